package main

import (
	"bytes"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"quoll/jepsen/campaign"
	"quoll/jepsen/check"
	"quoll/jepsen/history"
)

// What cannot be asked for is refused before anything is started.
func TestJepsenRefuses(t *testing.T) {
	for args, want := range map[string]string{
		"--target a:1,b:2 --nemesis kill":       "--nemesis kill: servers that run already cannot be broken from here",
		"--target a:1 --nemesis none --break x": "--break and --heal belong together",
		"--break x --heal y":                    "are for servers that run already",
		"--matrix quick --for 1m":               "--matrix quick: its runs alone take 2m5s, and --for is 1m0s",
		"--workload nothing":                    "--workload nothing: it is one of append",
		"--nemesis earthquake":                  "--nemesis earthquake: it is all, few, none or of kill",
		"--target zookeeper":                    "say with --zookeeper where its jars are",
		"--clients 0":                           "want positive numbers",
	} {
		code, _, errs := do(t, append([]string{"jepsen"}, strings.Fields(args)...)...)
		require.Equal(t, exitUsage, code, args)
		require.Contains(t, errs, want, args)
	}
}

// A matrix that was cut short is not one that passed.
func TestMatrixCutShort(t *testing.T) {
	run := func(matrix string, length time.Duration, one func(n int, o *campaign.Options) (bool, error)) (made int, errs string, err error) {
		var e bytes.Buffer
		j := &jepsenCmd{Matrix: matrix, For: length, Out: "reports"}
		runs := campaign.Matrix(matrix, campaign.Options{Servers: 3, Rate: 1}, 1, 20*time.Minute)
		for i := range runs {
			runs[i].For /= 1000
		}
		err = j.all(&console{err: &e}, runs, func(o *campaign.Options) (bool, error) {
			made++
			return one(made, o)
		})
		return made, e.String(), err
	}
	good := func(int, *campaign.Options) (bool, error) { return true, nil }
	slow := func(n int, o *campaign.Options) (bool, error) {
		if n == 2 {
			time.Sleep(200 * time.Millisecond)
		}
		return true, nil
	}
	made, errs, err := run(campaign.Quick, time.Hour, good)
	require.NoError(t, err)
	require.Equal(t, 5, made)
	require.Contains(t, errs, "5 runs, no violation")

	made, errs, err = run(campaign.Quick, 200*time.Millisecond, slow)
	require.Equal(t, 2, made)
	require.EqualError(t, err, "only 2 of 5 runs were made in 200ms: give --for more")
	require.Contains(t, errs, "there was no time for bank lock watch")

	made, errs, err = run(campaign.Full, 200*time.Millisecond, slow)
	require.NoError(t, err, "a full one takes what time there is")
	require.Equal(t, 2, made)
	require.Contains(t, errs, "no time for counter")
	require.NotContains(t, errs, "append")
	require.Contains(t, errs, "2 runs, no violation")

	_, _, err = run(campaign.Full, time.Millisecond, good)
	require.EqualError(t, err, "no run fits into 1ms")

	_, _, err = run(campaign.Full, time.Hour, func(n int, _ *campaign.Options) (bool, error) { return n != 2, nil })
	require.ErrorContains(t, err, "1 of 20 runs found a violation")

	made, _, err = run(campaign.Full, time.Hour, func(int, *campaign.Options) (bool, error) { return true, errors.New("harness") })
	require.EqualError(t, err, "harness")
	require.Equal(t, 1, made)
}

// The history of a run that was kept is judged again, with the same outcome and exit code.
func TestJudgeAgain(t *testing.T) {
	h := &history.History{End: history.Moment{At: 9, Seq: 9}}
	record := func(r *campaign.Record) string {
		path := filepath.Join(t.TempDir(), "history.json.gz")
		require.NoError(t, write(path, r, func(w io.Writer, r *campaign.Record) error { return r.Write(w) }))
		return path
	}
	code, out, errs := do(t, "jepsen", "--judge", record(&campaign.Record{Target: "quoll", Workload: "set", Seed: 5, History: h}))
	require.Zero(t, code, errs)
	require.Contains(t, out, "quoll, set, seed 5: 0 requests")
	bad := &campaign.Record{Target: "quoll", Workload: "set", History: h, Unserved: []check.Violation{{Check: "SERVE", Text: "server 2 ended by itself"}}}
	code, out, errs = do(t, "jepsen", "--judge", record(bad))
	require.Equal(t, exitFailure, code)
	require.Contains(t, out, "SERVE violated: server 2 ended by itself")
	require.Contains(t, errs, "the history shows a violation")
}

// The command of a report, given to a shell, asks for the same run.
func TestAgain(t *testing.T) {
	for _, args := range [][]string{
		{"--binary", "/tmp/my quoll", "--rate", "123.456", "--strict", "--search", "7s", "--network", "proxies", "--servers", "5", "--nemesis", "kill,wipe"},
		{"--target", "h1:1,h2:2,h3:3", "--break", "ssh h1 'kill -9 $(pidof x)'", "--heal", `echo "up" | tee`, "--for", "90s", "--clients", "3"},
		{"--nemesis", "none", "--session", "2500ms", "--rate", "0", "--pipeline", "1"},
	} {
		parse := func(args []string) (*jepsenCmd, campaign.Options) {
			var c cli
			parser, err := kong.New(&c, kong.Bind(&console{}), variables())
			require.NoError(t, err)
			_, err = parser.Parse(args)
			require.NoError(t, err)
			seed, err := c.Jepsen.seed()
			require.NoError(t, err)
			runs := c.Jepsen.runs(seed)
			require.Len(t, runs, 1)
			return &c.Jepsen, runs[0]
		}
		j, opts := parse(append([]string{"jepsen", "--seed", "77", "--workload", "set"}, args...))
		words, err := exec.Command("sh", "-c", `for w in `+j.again(&campaign.Result{Options: opts})+`; do printf '%s\0' "$w"; done`).Output()
		require.NoError(t, err)
		all := strings.Split(strings.TrimSuffix(string(words), "\x00"), "\x00")
		require.Equal(t, "quoll", all[0])
		again, same := parse(all[1:])
		require.Equal(t, opts, same)
		require.Equal(t, *j, *again)
	}
}
