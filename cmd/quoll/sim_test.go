package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/jepsen/sim"
)

// unservable writes a plan whose network is slower than its servers wait for, so that nobody is ever
// elected: a failure that does not depend on what the code under test does wrong.
func unservable(t *testing.T) string {
	p := sim.Draw(7, sim.Limits{Voters: [2]int{3, 3}, Observers: -1, Faults: []string{"kill"}, FaultUs: 1_000_000})
	p.LatencyUs = [2]int64{3_000_000, 4_000_000}
	var b bytes.Buffer
	require.NoError(t, sim.WritePlan(&b, &p))
	path := filepath.Join(t.TempDir(), "plan.json")
	require.NoError(t, os.WriteFile(path, b.Bytes(), 0o644))
	return path
}

// doLong is do for outputs of any length.
func doLong(t *testing.T, args ...string) (code int, out, errs string) {
	var o, e bytes.Buffer
	code = run(args, &console{ctx: t.Context(), in: strings.NewReader(""), out: &o, err: &e})
	return code, o.String(), e.String()
}

// A seed is run, its transcript printed, and its steps written in all forms.
func TestSimTrace(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	code, out, errs := doLong(t, "sim", "--seed", "5", "--servers", "3", "--observers", "0", "--trace", "--out", dir)
	require.Equal(t, strings.Contains(out, "FAILED seed 5"), code == exitFailure, errs)
	require.Regexp(t, `(?m)^ +\d+\.\d{3} ms  [ABC]  is Leading/Broadcast epoch=\d+$`, out)
	require.Contains(t, out, "\nseeds: 1 in ")
	for _, suffix := range []string{"jsonl", "shiviz", "viewer.json"} {
		path := filepath.Join(dir, "seed-5."+suffix)
		require.Contains(t, errs, "wrote "+path+"\n")
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.NotZero(t, info.Size())
	}
	t.Chdir(dir)
	_, again, errs := doLong(t, "sim", "--seed", "5", "--servers", "3", "--observers", "0", "--trace")
	require.FileExists(t, filepath.Join(tracesDir, "seed-5.jsonl"), "nobody said where")
	require.Contains(t, errs, "wrote "+filepath.Join(tracesDir, "seed-5.jsonl")+"\n")
	transcript := func(out string) string { return out[:strings.LastIndex(out, " ms  ")] }
	require.Equal(t, transcript(out), transcript(again), "the same run")
}

// A batch tells what it did; the same seeds are the same runs.
func TestSimBatch(t *testing.T) {
	hash := regexp.MustCompile(`hash [0-9a-f]{16}`)
	args := []string{"sim", "--seeds", "100-104", "--servers", "3-4", "--faults", "kill,votes", "--workload", "register"}
	code, out, errs := do(t, args...)
	require.Equal(t, strings.Contains(out, "FAILED"), code == exitFailure, errs)
	require.Contains(t, out, "seeds: 5 in ")
	_, again, _ := do(t, append(args, "--workers", "1")...)
	require.NotEmpty(t, hash.FindString(out))
	require.Equal(t, hash.FindString(out), hash.FindString(again))
}

// With a base that is drawn, the base is printed.
func TestSimRandom(t *testing.T) {
	code, out, errs := do(t, "sim", "--seeds", "random+2", "--servers", "1", "--json")
	require.NotEqual(t, exitUsage, code)
	require.Regexp(t, `^seeds from \d+\n`, errs)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var sum simSum
	require.NoError(t, json.Unmarshal([]byte(lines[len(lines)-1]), &sum))
	require.EqualValues(t, 2, sum.Seeds)
	require.Len(t, lines, sum.Failed+1)
	require.NotEmpty(t, sum.Cover)
	require.Positive(t, sum.WallUs)
}

// A failure says what, where, and how to see it again; the exit code tells.
func TestSimFailure(t *testing.T) {
	plan := unservable(t)
	code, out, errs := do(t, "sim", "--plan", plan)
	require.Equal(t, exitFailure, code)
	require.Equal(t, "quoll: seed 7 failed: L-JOIN\n", errs)
	require.Regexp(t, `^FAILED seed 7: L-JOIN after \d+\.\d{3} s of virtual time\n  one leader `, out)
	require.Contains(t, out, "\n  commit: ")
	require.Contains(t, out, "\n  replay: quoll sim --plan "+plan+" --trace\n")

	code, out, _ = do(t, "sim", "--plan", plan, "--json")
	require.Equal(t, exitFailure, code)
	var f simFailure
	require.NoError(t, json.NewDecoder(strings.NewReader(out)).Decode(&f))
	require.Equal(t, "L-JOIN", f.Check)
	require.EqualValues(t, []uint64{7, 1}, []uint64{f.Seed, f.Seeds})
	require.Positive(t, f.AtUs)
}

// A failure is reduced to what it needs, and the plan in the file fails the same way.
func TestSimShrink(t *testing.T) {
	dir := t.TempDir()
	code, _, errs := do(t, "sim", "--plan", unservable(t), "--shrink", "--out", dir)
	require.Equal(t, exitFailure, code)
	small := filepath.Join(dir, "seed-7.plan.json")
	require.Contains(t, errs, "  replay: quoll sim --plan "+small+" --trace\n")
	require.Contains(t, errs, "reduced to 0 acts, 2 servers, 1 clients")
	_, out, _ := do(t, "sim", "--plan", small)
	require.Contains(t, out, "FAILED seed 7: L-JOIN")
}

// The command to replay draws the same plan.
func TestSimReplay(t *testing.T) {
	require.Equal(t, "quoll sim --seed 9 --trace", (&simCmd{Observers: 2}).replay(9, ""))
	s := &simCmd{Servers: "3-5", Faults: []string{"kill", "power"}, Workload: "bank"}
	require.Equal(t, "quoll sim --seed 9 --servers 3-5 --observers 0 --faults kill,power --workload bank --trace", s.replay(9, ""))
}

func TestSimFaultsList(t *testing.T) {
	code, out, _ := do(t, "sim", "--faults", "list")
	require.Zero(t, code)
	require.Equal(t, len(sim.Faults()), strings.Count(out, "\n"))
	require.Regexp(t, `(?m)^power +\S`, out)
}

func TestSimUsage(t *testing.T) {
	for _, args := range [][]string{
		{"--seed", "x"},
		{"--seed", "1", "--seeds", "1-2"},
		{"--seed", "1", "--plan", "x"},
		{"--seeds", "5"},
		{"--seeds", "5-4"},
		{"--seeds", "random+0"},
		{"--seeds", "0-18446744073709551615"},
		{"--servers", "0-3"},
		{"--servers", "5-3"},
		{"--servers", "3-5-7"},
		{"--observers", "-1"},
		{"--faults", "kill,earthquake"},
		{"--workload", "juggling"},
		{"--checks", "C-MONO,nonsense"},
		{"--trace"},
		{"--seed", "1", "--trace", "--json"},
		{"--plan", "x", "--faults", "kill"},
		{"--workers", "-1"},
	} {
		code, _, errs := do(t, append([]string{"sim"}, args...)...)
		require.Equal(t, exitUsage, code, "%v: %s", args, errs)
	}
	code, _, errs := do(t, "sim", "--plan", filepath.Join(t.TempDir(), "gone"))
	require.Equal(t, exitFailure, code)
	require.Contains(t, errs, "gone")
}

// An interrupted batch says what it did so far.
func TestSimInterrupt(t *testing.T) {
	c := begin(t, "sim", "--for", "1h", "--servers", "3", "--workers", "1")
	c.await(c.err, `^seeds from \d+$`)
	require.Equal(t, exitFailure, c.end())
	require.Contains(t, c.out.String(), "seeds: ")
	require.Regexp(t, `quoll: (interrupted|\d+ of \d+ seeds failed)\n$`, c.err.String())
}
