package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quoll/cmd/internal/measure"
	"quoll/cmd/internal/null"
	"quoll/cmd/internal/table"
	"quoll/transport/wire"
)

// What failed can be looked into: the servers' directories stay, and the user is told where.
func TestCompareKeepsEvidence(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Setenv("PATH", dir) // so that there is no java
	out := filepath.Join(dir, "out")
	r := invoke(t, "", "compare", "--zookeeper="+dir, "--only=writes", "--quick", "--out="+out)
	require.Equal(t, exitFailure, r.code)
	require.Contains(t, r.err, "start java")
	kept, err := filepath.Glob(filepath.Join(dir, "quoll-compare-*", "load", "zookeeper", "s1", "zoo.cfg"))
	require.NoError(t, err)
	require.Len(t, kept, 1)
	home := filepath.Dir(filepath.Dir(filepath.Dir(filepath.Dir(kept[0]))))
	require.Contains(t, r.err, "are kept: "+home+"\n")

	// What there is is written all the same, with what went wrong.
	text, err := os.ReadFile(filepath.Join(out, "results.json"))
	require.NoError(t, err)
	var result table.Result
	require.NoError(t, json.Unmarshal(text, &result))
	require.Len(t, result.Failures, 1)
	require.Contains(t, result.Failures[0], "start java")
	require.Len(t, result.Rows, 1)
	require.NotEmpty(t, result.Machine)
}

func TestCompareCommandLine(t *testing.T) {
	for args, want := range map[string]string{
		"--only=writes,nothing": `there is no row "nothing"; there are: writes creates`,
		"--duration=-1s":        "want positive values",
		"--servers=0":           "want at least 1",
		"--etcd=" + os.Args[0]:  "--etcd and --etcd-load: want both or none",
	} {
		r := invoke(t, "", "compare", args)
		require.Equal(t, exitUsage, r.code, args)
		require.Contains(t, r.err, want)
	}
	quick := compareCmd{Quick: true, Fill: 5}
	quick.settle()
	require.Equal(t, 5, quick.Fill, "what was asked for stands")
	require.Equal(t, 2*time.Second, quick.Duration)
	full := compareCmd{}
	full.settle()
	require.Equal(t, 5*time.Minute, full.Long)
	require.Equal(t, 1_000_000, full.Fill)
}

// Every row has a goal, and belongs to a stage that measures it.
func TestRows(t *testing.T) {
	r := new(comparing)
	r.compareCmd = &compareCmd{ZooKeeper: "jars"}
	staged := map[string]int{}
	for _, s := range r.stages() {
		for _, row := range s.rows {
			staged[row]++
		}
	}
	for _, row := range wanted(nil) {
		require.Equal(t, 1, staged[row.Name], row.Name)
		require.NotEqual(t, row.Goal.Ratio > 0, row.Goal.Value > 0, row.Name)
		if row.Lower && row.Goal.Value > 0 {
			require.Less(t, row.Stretch.Value, row.Goal.Value, row.Name)
		}
	}
	require.Len(t, staged, len(goals))
	require.Len(t, wanted([]string{"gap", "ls"}), 2)
}

func TestFileSystem(t *testing.T) {
	mounts := "rootfs / rootfs rw 0 0\n/dev/sda1 / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/sdb /tmp/disk xfs rw 0 0\nbroken\n"
	for dir, want := range map[string]string{"/home": "ext4", "/tmp/a": "tmpfs", "/tmpfile": "ext4", "/tmp/disk": "xfs", "/tmp/disk/b": "xfs"} {
		require.Equal(t, want, fileSystem(mounts, dir), dir)
	}
	require.Equal(t, "unknown", fileSystem("", "/"))
}

func TestBusyShare(t *testing.T) {
	const before = "cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 2 3\n"
	require.InDelta(t, 0.25, busyShare(before, "cpu  110 5 60 860 65 0 0 0 0 0\n"), 1e-9)
	require.Zero(t, busyShare(before, before))
	require.Zero(t, busyShare("", "cpu  a b\n"))
}

// A figure of a run in which operations failed does not stand without a word.
func TestFailedOperationsAreNoted(t *testing.T) {
	r := &comparing{c: &console{err: io.Discard}, result: &table.Result{Rows: wanted([]string{"writes", "gap"})}}
	r.run("writes", table.Etcd, &measure.Report{Total: measure.OpReport{Acked: 90, Failed: 10}})
	r.run("gap", table.Etcd, &measure.Report{Total: measure.OpReport{Acked: 90, Failed: 10}})
	require.Equal(t, "etcd failed 10 operations of 100", r.result.Row("writes").Note)
	require.Empty(t, r.result.Row("gap").Note)
	require.Len(t, r.result.Runs, 2)
}

// The loader is named where it may be what was measured.
func TestLoadersAreJudged(t *testing.T) {
	report := func(rate float64) *measure.Report {
		return &measure.Report{Mix: "get=100", Conns: 16, Total: measure.OpReport{Rate: rate}}
	}
	r := &comparing{c: &console{err: io.Discard}, result: &table.Result{Rows: wanted([]string{"reads"})}}
	r.noteLoader(table.ZooKeeper, report(1000))
	r.run("reads", table.ZooKeeper, report(100))
	r.run("reads", table.Quoll, report(700))
	r.run("reads", table.Etcd, report(900)) // whose loader is another
	r.judgeLoaders()
	require.Equal(t, "quoll was at 70 % of what the loader can do against a server that answers at once", r.result.Row("reads").Note)
}

// The open loop is at the same rate for all, and one that ZooKeeper bears with ease.
func TestOpenRate(t *testing.T) {
	require.InDelta(t, 100, openRate(map[table.System]float64{table.Quoll: 900, table.ZooKeeper: 200, table.Etcd: 20}), 0)
	require.InDelta(t, 450, openRate(map[table.System]float64{table.Quoll: 900, table.Etcd: 20}), 0)
}

func TestMedian(t *testing.T) {
	values := []float64{3, 1, 2}
	require.InDelta(t, 2, median(values), 0)
	require.Equal(t, []float64{3, 1, 2}, values, "the order of the runs stays")
	require.InDelta(t, 2, median([]float64{2, 1}), 0)
}

// The JVM's answer has a line for each class, and the sum at the end.
func TestHistogramTotal(t *testing.T) {
	bytes, ok := histogramTotal("4711:\n num     #instances         #bytes  class name (module)\n" +
		"   1:         12345        1234567  [B (java.base@17)\nTotal        400000      123456789\n")
	require.True(t, ok)
	require.InDelta(t, 123456789, bytes, 0)
	_, ok = histogramTotal("4711:\ncould not attach\n")
	require.False(t, ok)
}

// A watch counts what begins while it looks, and a purge leaves the newest.
func TestSnapshotWatch(t *testing.T) {
	dir := t.TempDir()
	write := func(name string) {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "version-2"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "version-2", name), nil, 0o600))
	}
	write("snapshot.9")
	write("log.1")
	w := watchSnapshots(dir, true)
	for _, name := range []string{"snapshot.a", "snapshot.ff", "snapshot.100", "snapshot.1000"} {
		time.Sleep(2 * snapshotPoll / 3) // as a server writes them: one after another
		write(name)
	}
	require.Eventually(t, func() bool {
		left, err := snapshots(dir)
		return err == nil && len(left) == keptSnapshots
	}, 5*time.Second, 10*time.Millisecond)
	made, err := w.end()
	require.NoError(t, err)
	require.Equal(t, 4, made)
	left, err := snapshots(dir)
	require.NoError(t, err)
	for i, name := range []string{"snapshot.ff", "snapshot.100", "snapshot.1000"} {
		require.Equal(t, name, filepath.Base(left[i]))
	}
	require.FileExists(t, filepath.Join(dir, "version-2", "log.1"))
}

// startNullServer serves within the test.
func startNullServer(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error)
	go func() { served <- (&null.Server{Data: bytes.Repeat([]byte("q"), 100)}).Serve(l) }()
	t.Cleanup(func() {
		l.Close()
		require.NoError(t, <-served)
	})
	return l.Addr().String()
}

// The null server is good enough for all that the load generator does.
func TestNullServer(t *testing.T) {
	b := benchCmd{
		Servers: []string{startNullServer(t)}, Mix: "set,get,exists,ls,sync,syncget,create+delete,create", Conns: 2, Inflight: 8,
		Size: 100, Keys: 20, Duration: 200 * ms, Timeout: 5 * time.Second, Seed: 1,
	}
	report, left, err := b.measure(t.Context())
	require.NoError(t, err)
	require.NoError(t, left)
	require.Len(t, report.Ops, int(measure.NumKinds))
	require.Zero(t, report.Total.Failed, report.Errors)
	require.Positive(t, report.LoaderCores)
}

// The command tells where it listens and ends with its input.
func TestNullCommand(t *testing.T) {
	in, release := io.Pipe()
	out, said := io.Pipe()
	ended := make(chan int)
	go func() {
		ended <- run([]string{"null"}, &console{ctx: t.Context(), in: in, out: said, err: io.Discard})
	}()
	address := make([]byte, 64)
	n, err := out.Read(address)
	require.NoError(t, err)
	conn, err := net.Dial("tcp", string(bytes.TrimSpace(address[:n])))
	require.NoError(t, err)
	conn.Close()
	release.Close()
	require.Zero(t, <-ended)
}

// Idle sessions ping for as long as they are wanted, and are closed when they are not.
func TestIdle(t *testing.T) {
	f := startFake(t)
	in, release := io.Pipe()
	out, said := io.Pipe()
	ended := make(chan int)
	go func() {
		ended <- run([]string{"idle", "--servers=" + f.addr, "--sessions=7", "--timeout=300ms"}, &console{ctx: t.Context(), in: in, out: said, err: io.Discard})
	}()
	ready := make([]byte, 16)
	n, err := out.Read(ready)
	require.NoError(t, err)
	require.Equal(t, "ready\n", string(ready[:n]))
	require.Eventually(t, func() bool { return f.counted(wire.OpPing) >= 14 }, 5*time.Second, ms)
	release.Close()
	require.Zero(t, <-ended)
	require.Equal(t, 7, f.counted(wire.OpCloseSession))
}

// That a server drops an idle session is told: what is measured is not what was meant.
func TestIdleNotesLoss(t *testing.T) {
	f := startFake(t)
	in, release := io.Pipe()
	defer release.Close()
	var said bytes.Buffer
	out, ready := io.Pipe()
	ended := make(chan int)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	go func() {
		ended <- run([]string{"idle", "--servers=" + f.addr, "--sessions=3"}, &console{ctx: ctx, in: in, out: ready, err: &said})
	}()
	_, err := out.Read(make([]byte, 16))
	require.NoError(t, err)
	f.drop()
	require.Equal(t, exitFailure, <-ended)
	require.Contains(t, said.String(), "was dropped by the server")
}
