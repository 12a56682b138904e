package campaign_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quoll/jepsen/campaign"
	"quoll/jepsen/check"
	"quoll/jepsen/driver"
	"quoll/jepsen/history"
	"quoll/jepsen/nemesis"
	"quoll/jepsen/report"
	"quoll/jepsen/workload"
	"quoll/transport/wire"
)

func quollBinary(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "quoll")
	out, err := exec.Command("go", "build", "-pgo=off", "-o", binary, "quoll/cmd/quoll").CombinedOutput()
	require.NoError(t, err, string(out))
	return binary
}

// A whole run: servers are killed and cut off, and come back; nothing is lost; the report has it all.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	told := 0
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	res, err := campaign.Run(ctx, campaign.Options{
		Target: campaign.Quoll(quollBinary(t)), Servers: 3, Workload: "registers", Nemesis: []string{"kill-leader", "isolate-leader"}, Seed: 3,
		For: 8 * time.Second, Rate: 200, Clients: 5, Session: 4 * time.Second, Network: campaign.NetworkProxies, Dir: dir, Search: 3 * time.Second,
	}, func(driver.Progress, []nemesis.Fault) { told++ })
	require.NoError(t, err)
	for _, v := range res.Verdicts {
		require.NotEqual(t, campaign.Violated, v.Outcome, "%s: %s", v.Check, v.Why)
	}
	require.True(t, res.OK())
	require.Greater(t, told, 3)
	require.NotEmpty(t, res.Faults)
	require.Greater(t, res.Figures.OK, 300)
	require.NotEmpty(t, res.Logs)
	require.Contains(t, res.Version, "quoll")
	require.True(t, slices.ContainsFunc(res.Logs, func(l campaign.Line) bool { return strings.Contains(l.Text, "snapshot written") }),
		"a short run has snapshots, too")
	surveyed := map[int]bool{}
	for i := range res.Outcome.History.Ops {
		surveyed[res.Outcome.History.Ops[i].Client] = true
	}
	require.True(t, surveyed[5] && surveyed[6] && surveyed[7], "each server was read at the end")
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left, "the servers' directories are of no use any more")

	run, err := res.Report("again")
	require.NoError(t, err)
	require.NotEmpty(t, run.Picture)
	var b bytes.Buffer
	require.NoError(t, report.HTML(&b, run))
	require.Contains(t, b.String(), "No violation")
}

// Servers that do not come back have not kept a promise; what clients saw is judged all the same, the report is
// complete, and the directories stay.
func TestServerThatDoesNotComeBack(t *testing.T) {
	dir := t.TempDir()
	target := campaign.Quoll(quollBinary(t))
	serve := target.Command
	target.Command = func(zooCfg string) []string { // the second start fails
		return append([]string{"sh", "-c", `test -e started && { echo no more of this; exit 3; }; touch started; exec "$@"`, "sh"}, serve(zooCfg)...)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	res, err := campaign.Run(ctx, campaign.Options{
		Target: target, Servers: 3, Workload: "set", Nemesis: []string{"kill"}, Seed: 1, For: 4 * time.Second, Rate: 100, Clients: 3,
		Session: 4 * time.Second, Network: campaign.NetworkNone, Dir: dir,
	}, nil)
	require.NoError(t, err)
	require.False(t, res.OK())
	outcome := map[string]campaign.Verdict{}
	for _, v := range res.Verdicts {
		outcome[v.Check] = v
	}
	require.Equal(t, campaign.Violated, outcome["SERVE"].Outcome)
	require.Contains(t, outcome["SERVE"].Why, "no more of this")
	require.Contains(t, outcome["SERVE"].Why, "ended by itself")
	require.Equal(t, campaign.Holds, outcome["C-LINW"].Outcome)
	require.Equal(t, "SERVE", res.Violations[0].Check)
	require.Positive(t, res.Violations[0].At.At)
	run, err := res.Report("again")
	require.NoError(t, err)
	require.Equal(t, "SERVE", run.Violations[0].Check)
	require.False(t, run.OK())

	var b bytes.Buffer
	require.NoError(t, res.Record.Write(&b))
	again, err := campaign.ReadRecord(&b)
	require.NoError(t, err)
	require.Equal(t, res.Record, again)
	verdicts, violations := again.Judge(5 * time.Second)
	require.Equal(t, res.Verdicts, verdicts)
	require.Equal(t, res.Violations, violations)
	require.DirExists(t, filepath.Join(dir, "s1"))
}

// Every server gets a distance between snapshots that a short run goes through, drawn from the seed, unless the target
// has its own.
func TestSnapCount(t *testing.T) {
	drawn := map[int]bool{}
	for seed := range uint64(50) {
		n := campaign.SnapCount(seed)
		require.True(t, n >= 100 && n <= 2000, n)
		require.Contains(t, campaign.Config(campaign.Options{Seed: seed}), fmt.Sprintf("snapCount=%d", n))
		drawn[n] = true
	}
	require.Greater(t, len(drawn), 40)
	own := campaign.Config(campaign.Options{Target: campaign.Target{Extra: []string{"snapCount=7"}}})
	require.Contains(t, own, "snapCount=7")
	require.NotContains(t, strings.Join(own, " "), "snapCount=1")
	require.NotContains(t, strings.Join(own, " "), "purge")
}

// A kind of fault that was tried in vain, or not at all, is named.
func TestNeverDone(t *testing.T) {
	r := &campaign.Result{Kinds: []string{"clock", "disk-full", "flip-snapshot", "kill", "wipe"}, Faults: []nemesis.Fault{
		{Kind: "flip-snapshot", Err: "there is no snapshot.*", Failed: true},
		{Kind: "flip-snapshot", Err: "there is no snapshot.*", Failed: true},
		{Kind: "kill"},
		{Kind: "wipe", Err: "late", Failed: false},
		{Kind: "kill", Err: "gone", Failed: true},
	}}
	require.Empty(t, r.Notes())
	require.Contains(t, (&campaign.Result{Faults: []nemesis.Fault{{Kind: "clock"}}}).Notes()[0], "no clock stepped while its server ran")
	require.Equal(t, []string{"flip-snapshot: tried 2 times, there is no snapshot.*", "clock, disk-full: not drawn in this time"}, r.NeverDone())
}

// What is no record is refused.
func TestReadRecord(t *testing.T) {
	for _, text := range []string{"", "not compressed"} {
		_, err := campaign.ReadRecord(strings.NewReader(text))
		require.ErrorContains(t, err, "no record of a run")
	}
	var b bytes.Buffer
	require.NoError(t, (&campaign.Record{}).Write(&b))
	_, err := campaign.ReadRecord(&b)
	require.ErrorContains(t, err, "there is no history in it")
}

// Two leaders at once are seen at the fence of an election.
func TestElectionIsJudged(t *testing.T) {
	var r history.Recorder
	r.Now = func() int64 { return 0 }
	conn := r.Dial(history.Conn{Client: 0, Server: 1})
	r.Join(conn, 5, 4000)
	for i, data := range []string{"4294967301 c0.1", "4294967310 c1.1", "4294967301 c0.2"} {
		n := r.Call(history.Operation{
			Conn: conn, Session: 5, Server: 1, Xid: campaign.Xid(i + 1),
			Op: history.Op{Kind: wire.OpSetData, Path: "/election/fence", Data: []byte(data), Version: int32(i)},
		})
		r.Return(n, int64(20+i), history.Result{Stat: wire.Stat{Czxid: 4, Version: int32(i + 1)}})
	}
	r.End = r.Moment()
	v := check.Locks(&r.History)
	require.Len(t, v, 1)
	require.Contains(t, v[0].Text, "passed the fence for holder 4294967301")
}

// A matrix has every workload, and as many runs as there is time for.
func TestMatrix(t *testing.T) {
	base := campaign.Options{Servers: 3, Rate: 100}
	require.Len(t, campaign.Matrix(campaign.Quick, base, 1, time.Hour), 5)
	all := campaign.Matrix(campaign.Full, base, 1, time.Hour)
	seen := map[string]bool{}
	total := time.Duration(0)
	for _, o := range all {
		seen[o.Workload] = true
		total += o.For
	}
	rounds := map[string]bool{}
	for _, o := range campaign.Matrix(campaign.Full, base, 1, 4*time.Hour) {
		if o.Workload == "set" {
			rounds[fmt.Sprint(o.Servers, o.Nemesis)] = true
		}
	}
	require.Equal(t, map[string]bool{"3 [all]": true, "3 [few]": true, "5 [all]": true, "5 [few]": true}, rounds)
	draws := map[string]bool{}
	for seed := range uint64(30) {
		kinds := campaign.Drawn(nemesis.Names(), seed)
		require.Len(t, kinds, 3)
		require.Equal(t, kinds, campaign.Drawn(nemesis.Names(), seed))
		draws[fmt.Sprint(kinds)] = true
	}
	require.Greater(t, len(draws), 25)
	require.Len(t, seen, len(workload.Names()))
	require.GreaterOrEqual(t, total, time.Hour)
}
