package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quoll/jepsen/mutants"
)

// A list names mutants, lines of the table, and ranges of lines.
func TestChoose(t *testing.T) {
	ids := func(only string) string {
		chosen, err := choose(mutants.All(), only)
		require.NoError(t, err)
		var list []string
		for _, m := range chosen {
			list = append(list, m.ID)
		}
		return strings.Join(list, " ")
	}
	require.Equal(t, "M3a M3b M3c", ids("M3"))
	require.Equal(t, "M1 M3b", ids("M3b,M1"))
	require.Equal(t, "M1 M21a M21b M21c M21d M22a M22b M23", ids("M21-M23,M1"))
	require.Len(t, strings.Fields(ids("")), len(mutants.All()))
	for _, none := range []string{"M41", "M1x", "M2,", "x"} {
		_, err := choose(mutants.All(), none)
		require.ErrorContains(t, err, "there is no mutant", none)
	}
}

// The line of a failure counts, and without one the sum.
func TestParseFinding(t *testing.T) {
	f, err := parseFinding(strings.NewReader(`{"seed":7,"check":"I-ACK","text":"too early","seeds":3}
{"seeds":3,"failed":1,"cover":{"x":1}}`))
	require.NoError(t, err)
	require.Equal(t, finding{Seed: 7, Check: "I-ACK", Text: "too early", Seeds: 3}, f)
	f, err = parseFinding(strings.NewReader(`{"seeds":100,"failed":0}`))
	require.NoError(t, err)
	require.Equal(t, finding{Seeds: 100}, f)
	_, err = parseFinding(strings.NewReader("no JSON"))
	require.Error(t, err)
}

// fake writes a program that stands for quoll.
func fake(t *testing.T, script string) string {
	t.Helper()
	if _, err := exec.LookPath("sh"); err != nil {
		t.Fatal("these tests need a shell")
	}
	name := filepath.Join(t.TempDir(), "quoll")
	require.NoError(t, os.WriteFile(name, []byte("#!/bin/sh\n"+script), 0o700))
	return name
}

// What a program says, and how it ends, decides whether a mutant was found or nothing is known.
func TestSimulate(t *testing.T) {
	h := hunt{options: options{seeds: 10, from: 5, limit: time.Minute}}
	for name, c := range map[string]struct {
		script string
		faults []string
		want   finding
		fault  string
	}{
		"survives": {`echo '{"seeds":10,"failed":0}'`, nil, finding{Seeds: 10}, ""},
		"caught": {
			`echo '{"seed":6,"check":"I-DUR","text":"gone","seeds":2}'; echo '{"seeds":2}'; exit 1`, nil,
			finding{Seed: 6, Check: "I-DUR", Text: "gone", Seeds: 2},
			"",
		},
		"its arguments": {
			`test "$*" = "sim --seeds 5-14 --for 1m0s --stop --json --faults rot,wipe" && echo '{"seeds":1}'`,
			[]string{"rot", "wipe"},
			finding{Seeds: 1},
			"",
		},
		"dies": {
			`printf 'fatal error: stack overflow\n\ngoroutine 1 [running]:\n' >&2; exit 2`, nil,
			finding{Check: "panic", Text: "fatal error: stack overflow\n\ngoroutine 1 [running]:\n"},
			"",
		},
		"refuses": {`echo "unknown flag" >&2; exit 2`, nil, finding{}, "unknown flag"},
		"silent":  {`exit 0`, nil, finding{}, "sim --seeds"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := h.simulate(context.Background(), fake(t, c.script), c.faults)
			if c.fault != "" {
				require.ErrorContains(t, err, c.fault)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, f)
		})
	}
}

// Survivors come last and decide about the exit code, except for those that are allowed to live.
func TestReport(t *testing.T) {
	mutant := func(id, exempt string) mutants.Mutant {
		return mutants.Mutant{ID: id, Title: "breaks " + id, Expect: []string{"I-ACK"}, Exempt: exempt}
	}
	found := []verdict{
		{Mutant: mutant("M1", ""), how: "draw", found: finding{Check: "I-ACK", Seeds: 3}, took: 2 * time.Second},
		{Mutant: mutant("M2", ""), how: "forced", found: finding{Check: "I-DUR", Seeds: 9}},
		{Mutant: mutant("M3a", ""), how: "draw", found: finding{Check: "panic", Text: "zab: server 1: a bug\nmore", Seeds: 1}},
		{Mutant: mutant("M24", ""), how: "tests", found: finding{Check: "TestTraces of ./election"}},
	}
	exempt := verdict{Mutant: mutant("M25", "it is harmless"), how: "draw", found: finding{Seeds: 100}}
	alive := verdict{Mutant: mutant("M4", ""), how: "forced", found: finding{Seeds: 100}}
	late := verdict{Mutant: mutant("M40", ""), how: "draw", found: finding{Seeds: 100}}

	var b bytes.Buffer
	require.Zero(t, report(&b, append([]verdict{exempt}, found...)))
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	require.Len(t, lines, 6)
	require.Regexp(t, `^M1 +I-ACK +3 +2 +breaks M1$`, lines[1])
	require.Regexp(t, `^M2 +I-DUR \(not expected\) +9 forced +0 +breaks M2$`, lines[2])
	require.Regexp(t, `^M3a +panic: zab: server 1: a bug \(not expected\) +1 `, lines[3])
	require.Regexp(t, `^M24 +TestTraces of \./election +tests `, lines[4])
	require.Regexp(t, `^M25 +nothing: it is harmless +100 `, lines[5])

	b.Reset()
	require.Zero(t, markdown(&b, found))
	lines = strings.Split(strings.TrimSpace(b.String()), "\n")
	require.Len(t, lines, 6)
	require.Equal(t, "| M24 | breaks M24 |  | TestTraces of ./election | tests |", lines[5])
	require.Equal(t, exitSurvivor, markdown(&b, []verdict{late}))

	b.Reset()
	require.Equal(t, exitSurvivor, report(&b, append([]verdict{alive, exempt, late}, found...)))
	lines = strings.Split(strings.TrimSpace(b.String()), "\n")
	require.Regexp(t, `^M25`, lines[5])
	require.Regexp(t, `^M4 +NOTHING, and it must +100 forced`, lines[6])
	require.Regexp(t, `^M40 +NOTHING +100 `, lines[7])
}

// Bad arguments are found before anything is built.
func TestArguments(t *testing.T) {
	for _, args := range [][]string{{"-seeds", "0"}, {"M1"}, {"-only", "M99"}, {"-for", "-1s"}, {"-nothing"}} {
		var out, progress bytes.Buffer
		code, err := run(context.Background(), args, &out, &progress)
		require.Error(t, err, args)
		require.Equal(t, exitTrouble, code, args)
	}
}
