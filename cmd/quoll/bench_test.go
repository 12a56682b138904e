package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quoll/cmd/internal/measure"
	"quoll/transport/wire"
)

const ms = time.Millisecond

// bench runs the command against a fake server and returns its report.
func bench(t *testing.T, f *fakeServer, args ...string) *measure.Report {
	args = append([]string{"bench", "--servers=" + f.addr, "--json=-", "--warmup=20ms", "--duration=200ms", "--keys=20", "--conns=2", "--inflight=8"}, args...)
	r := invoke(t, "", args...)
	require.Zero(t, r.code, r.err)
	require.Empty(t, r.err)
	report := new(measure.Report)
	require.NoError(t, json.Unmarshal([]byte(r.out), report))
	require.Zero(t, report.Total.Failed, report.Errors)
	return report
}

func TestBenchMixes(t *testing.T) {
	f := startFake(t)
	r := bench(t, f, "--duration=1s", "--mix=set=1,get=2,exists=1,ls=1,sync=1,syncget=1,create+delete=1,create=1")
	require.Len(t, r.Ops, int(measure.NumKinds))
	for _, o := range r.Ops {
		require.Positive(t, o.Acked, o.Op)
		require.Positive(t, o.Latency.Max, o.Op)
		require.GreaterOrEqual(t, o.Latency.P99, o.Latency.P50, o.Op)
	}
	require.Equal(t, []string{"set", "create", "delete", "get", "exists", "ls", "sync", "syncget"}, opNames(r))
	require.InDelta(t, 1, r.Seconds, 1e-9)
	require.Positive(t, f.counted(wire.OpSync))
	require.False(t, f.has(benchRoot+"/"), "a run leaves nothing behind")
	require.EqualValues(t, f.sessions, f.counted(wire.OpCloseSession))
}

func opNames(r *measure.Report) (names []string) {
	for _, o := range r.Ops {
		names = append(names, o.Op)
	}
	return names
}

func TestBenchKeepsAndWritesJSON(t *testing.T) {
	f := startFake(t)
	file := filepath.Join(t.TempDir(), "report.json")
	r := invoke(t, "", "bench", "--servers="+f.addr, "--json="+file, "--keep", "--conns=1", "--keys=5", "--warmup=0s", "--duration=50ms")
	require.Zero(t, r.code, r.err)
	require.Contains(t, r.out, "longest gap between acknowledgements")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var report measure.Report
	require.NoError(t, json.Unmarshal(text, &report))
	require.Equal(t, []string{"set"}, opNames(&report))
	require.True(t, f.has(benchRoot+"/"))
}

func TestBenchFill(t *testing.T) {
	f := startFake(t)
	r := bench(t, f, "--fill=1001", "--conns=3")
	require.EqualValues(t, 1001, r.Total.Acked)
	require.Equal(t, []string{"create"}, opNames(r))
	require.Positive(t, r.Total.Rate)
	require.Equal(t, "fill=1001", r.Mix)
	n := 0
	for _, p := range f.paths() {
		if strings.Contains(p, "/n") {
			n++
		}
	}
	require.Equal(t, 1001, n)
}

// An open loop starts what is due, no more: the rate is the asked one, not what would go.
func TestBenchOpenLoop(t *testing.T) {
	r := bench(t, startFake(t), "--rate=1000", "--mix=get", "--duration=300ms")
	require.EqualValues(t, 300, r.Total.Latency.Count)
	require.LessOrEqual(t, r.Total.Acked, int64(300+20), "those due in the warm-up may be answered in the window")
	require.InDelta(t, 1000, r.OpenLoop, 1e-9)
}

// One request in flight at a time cannot keep up with the rate, and the latencies say so: they
// count from when each operation was due.
func TestOpenLoopCountsTheWait(t *testing.T) {
	p := &benchPlan{benchCmd: &benchCmd{Conns: 1, Inflight: 1, Rate: 1000, Duration: time.Second, Mix: "get"}}
	p.mix, p.keys = measure.Mix{{Kind: measure.Get, Weight: 1}}, [][]byte{[]byte("/k")}
	w := newWorker(p, 0, nil)
	w.rec = measure.NewRecorder(0, time.Second)
	var dues []time.Duration
	for now := range 5 { // answers take 10 ms each
		w.mu.Lock()
		s := w.pick(time.Duration(now*10) * ms)
		require.NotNil(t, s)
		require.Nil(t, w.pick(time.Duration(now*10)*ms), "one in flight")
		w.mu.Unlock()
		dues = append(dues, s.due)
		w.rec.Ack(s.kind, s.due, time.Duration(now*10+10)*ms)
		w.release(s, false)
	}
	require.Equal(t, []time.Duration{0, ms, 2 * ms, 3 * ms, 4 * ms}, dues)
	require.InDelta(t, 46, measure.NewReport(p.setup(0), w.rec).Total.Latency.Max, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	require.EqualValues(t, 995, w.overdue())
}

// The writer of --gap goes on over lost connections and over a lost session.
func TestBenchGap(t *testing.T) {
	f := startFake(t)
	done := make(chan result)
	go func() {
		done <- invoke(t, "", "bench", "--servers="+f.addr, "--json=-", "--gap", "--duration=1s")
	}()
	require.Eventually(t, func() bool { return f.counted(wire.OpSetData) > 10 }, 5*time.Second, ms)
	f.drop()
	before := f.counted(wire.OpSetData)
	require.Eventually(t, func() bool { return f.counted(wire.OpSetData) > before+10 }, 5*time.Second, ms)
	f.mu.Lock()
	f.expire = true
	f.mu.Unlock()
	f.drop()
	r := <-done
	require.Zero(t, r.code, r.err)
	var report measure.Report
	require.NoError(t, json.Unmarshal([]byte(r.out), &report))
	require.Equal(t, 1, report.Conns*report.Inflight)
	require.Positive(t, report.LongestGap)
	require.Greater(t, report.Total.Acked, int64(20))
	require.LessOrEqual(t, report.Total.Failed, int64(4))
}

// When the servers are gone by the end of a run, its report stands, and what stays behind is told
// of once, with what to do about it.
func TestBenchCannotCleanUp(t *testing.T) {
	f := startFake(t)
	f.dieAt = wire.OpGetChildren2 // which removing the znodes begins with
	r := invoke(t, "", "bench", "--servers="+f.addr, "--json=-", "--conns=2", "--keys=5", "--warmup=0s", "--duration=50ms", "--timeout=200ms")
	require.Zero(t, r.code, r.err)
	var report measure.Report
	require.NoError(t, json.Unmarshal([]byte(r.out), &report))
	require.Positive(t, report.Total.Acked)
	require.Equal(t, 1, strings.Count(r.err, "\n"), r.err)
	require.Contains(t, r.err, benchRoot+"/")
	require.Contains(t, r.err, "are still there")
	require.Contains(t, r.err, "quoll delete --recursive")
}
