package main

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quoll/transport/wire"
)

func TestParseMix(t *testing.T) {
	mix, err := parseMix("get=90,set=10,create+delete")
	require.NoError(t, err)
	require.Equal(t, benchMix{{kindGet, 90}, {kindSet, 10}, {kindPair, 100}}, mix)
	for _, bad := range []string{"", "set=", "set=-1", "set=1.5", "set=2000000", "=5", "get,,set"} {
		_, err := parseMix(bad)
		require.Error(t, err, bad)
	}
	for k := range numKinds {
		require.NotContains(t, k.String(), "kind ")
	}
}

func TestPickFollowsTheWeights(t *testing.T) {
	mix, err := parseMix("get=3,set=1")
	require.NoError(t, err)
	r := rand.New(rand.NewPCG(1, 2))
	count := map[opKind]int{}
	for range 4000 {
		count[mix.pick(r)]++
	}
	require.InDelta(t, 3000, count[kindGet], 150)
	require.Equal(t, 4000, count[kindGet]+count[kindSet])
}

const ms = time.Millisecond

func TestRecorderWindow(t *testing.T) {
	r := newRecorder(1000*ms, 3000*ms)
	r.ack(kindSet, 900*ms, 1100*ms)  // due in the warm-up: a rate, no latency
	r.ack(kindSet, 1500*ms, 1510*ms) // whole
	r.ack(kindSet, 2500*ms, 2520*ms)
	r.ack(kindSet, 2900*ms, 3400*ms) // late: a latency, no rate
	r.ack(kindSet, 3000*ms, 3001*ms) // due after the window
	r.fail(kindSet, 2000*ms, "NoNode")
	r.fail(kindSet, 4000*ms, "NoNode")
	rec := r.kinds[kindSet]
	require.EqualValues(t, 3, rec.acks)
	require.EqualValues(t, 3, rec.latency.TotalCount())
	require.InDelta(t, float64(500*ms), float64(rec.latency.Max()), float64(ms))
	require.Equal(t, []int64{2, 1}, rec.seconds)
	require.EqualValues(t, 1, rec.failed)
	require.Equal(t, map[string]int64{"NoNode": 1}, r.errors)
	gap, at := r.longestGap()
	require.InDelta(t, float64(1010*ms), float64(gap), float64(2*gapUnit))
	require.InDelta(t, float64(510*ms), float64(at), float64(2*gapUnit))
}

// The longest gap is that between neighbours among all acknowledgements of all connections, the
// ends of the window included.
func TestLongestGap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const window = 300 * ms
		parts := []*recorder{newRecorder(0, window), newRecorder(0, window), newRecorder(0, window)}
		slots := rapid.SliceOfN(rapid.IntRange(0, int(window/gapUnit)-1), 0, 40).Draw(t, "slots")
		busy := map[int]bool{}
		for _, s := range slots {
			at := time.Duration(s) * gapUnit
			parts[rapid.IntRange(0, 2).Draw(t, "connection")].ack(kindGet, at, at)
			busy[s] = true
		}
		parts[0].merge(parts[1])
		parts[0].merge(parts[2])
		want, run := 0, 0
		for s := range int(window / gapUnit) {
			if run++; busy[s] {
				run = 0
			}
			want = max(want, run)
		}
		gap, at := parts[0].longestGap()
		require.Equal(t, time.Duration(want)*gapUnit, gap)
		for s := range want {
			require.False(t, busy[int(at/gapUnit)+s])
		}
		require.EqualValues(t, len(slots), parts[0].kinds[kindGet].acks)
	})
}

func TestReport(t *testing.T) {
	flags := &benchCmd{Servers: []string{"a:1", "b:2"}, Mix: "get=1,set=1", Conns: 2, Inflight: 4, Size: 100, Keys: 10, Warmup: time.Second}
	a, b := newRecorder(time.Second, 3500*ms), newRecorder(time.Second, 3500*ms)
	for i := range 100 {
		at := time.Second + time.Duration(i)*20*ms
		a.ack(kindGet, at, at+ms)
		if i < 50 {
			b.ack(kindSet, at, at+10*ms)
		}
	}
	b.fail(kindSet, 2*time.Second, "ConnectionLoss")
	a.merge(b)
	r := newReport(&benchPlan{benchCmd: flags}, a)
	require.InDelta(t, 2.5, r.Seconds, 1e-9)
	require.Len(t, r.Ops, 2)
	require.Equal(t, "set", r.Ops[0].Op)
	require.EqualValues(t, 50, r.Ops[0].Acked)
	require.EqualValues(t, 1, r.Ops[0].Failed)
	require.InDelta(t, 20, r.Ops[0].Rate, 1e-9)
	require.EqualValues(t, 0, *r.Ops[0].LowestSecond, "a second without any counts")
	require.InDelta(t, 10, r.Ops[0].Latency.P50, 0.02)
	require.EqualValues(t, 50, *r.Ops[1].LowestSecond)
	require.InDelta(t, 1, r.Ops[1].Latency.P999, 0.02)
	require.EqualValues(t, 150, r.Total.Acked)
	require.EqualValues(t, 150, r.Total.Latency.Count)
	require.InDelta(t, 10, r.Total.Latency.Max, 0.02)
	require.InDelta(t, 519, r.LongestGap, 0.3)

	text := r.text()
	require.Contains(t, text, "get=1,set=1 on a:1,b:2\n2 x 4 in flight, 100 bytes, closed loop, 2.5 s after 1.0 s of warm-up\n")
	require.Contains(t, text, "failed with ConnectionLoss: 1\n")
	var rows [][]string
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) == 10 && fields[0] != "op" {
			rows = append(rows, fields[:5])
		}
	}
	require.Equal(t, [][]string{{"set", "20", "0", "50", "1"}, {"get", "40", "50", "100", "0"}, {"total", "60", "50", "150", "1"}}, rows)
}

func TestReportOfNothing(t *testing.T) {
	r := newReport(&benchPlan{benchCmd: &benchCmd{Duration: 100 * ms}}, newRecorder(0, 100*ms))
	require.Empty(t, r.Ops)
	require.Nil(t, r.Total.LowestSecond)
	require.InDelta(t, 100, r.LongestGap, 1e-9)
	require.NotEmpty(t, r.text())
}

// bench runs the command against a fake server and returns its report.
func bench(t *testing.T, f *fakeServer, args ...string) *benchReport {
	args = append([]string{"bench", "--servers=" + f.addr, "--json=-", "--warmup=20ms", "--duration=200ms", "--keys=20", "--conns=2", "--inflight=8"}, args...)
	r := invoke(t, "", args...)
	require.Zero(t, r.code, r.err)
	require.Empty(t, r.err)
	report := new(benchReport)
	require.NoError(t, json.Unmarshal([]byte(r.out), report))
	require.Zero(t, report.Total.Failed, report.Errors)
	return report
}

func TestBenchMixes(t *testing.T) {
	f := startFake(t)
	r := bench(t, f, "--mix=set=1,get=2,exists=1,ls=1,sync=1,syncget=1,create+delete=1,create=1")
	require.Len(t, r.Ops, int(numKinds))
	for _, o := range r.Ops {
		require.Positive(t, o.Acked, o.Op)
		require.Positive(t, o.Latency.Max, o.Op)
		require.GreaterOrEqual(t, o.Latency.P99, o.Latency.P50, o.Op)
	}
	require.Equal(t, []string{"set", "create", "delete", "get", "exists", "ls", "sync", "syncget"}, opNames(r))
	require.InDelta(t, 0.2, r.Seconds, 1e-9)
	require.Positive(t, f.counted(wire.OpSync))
	require.False(t, f.has(benchRoot+"/"), "a run leaves nothing behind")
	require.EqualValues(t, f.sessions, f.counted(wire.OpCloseSession))
}

func opNames(r *benchReport) (names []string) {
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
	var report benchReport
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
	p.mix, p.keys = benchMix{{kindGet, 1}}, [][]byte{[]byte("/k")}
	w := newWorker(p, 0, nil)
	w.rec = newRecorder(0, time.Second)
	var dues []time.Duration
	for now := range 5 { // answers take 10 ms each
		w.mu.Lock()
		s := w.pick(time.Duration(now*10) * ms)
		require.NotNil(t, s)
		require.Nil(t, w.pick(time.Duration(now*10)*ms), "one in flight")
		w.mu.Unlock()
		dues = append(dues, s.due)
		w.rec.ack(s.kind, s.due, time.Duration(now*10+10)*ms)
		w.release(s, false)
	}
	require.Equal(t, []time.Duration{0, ms, 2 * ms, 3 * ms, 4 * ms}, dues)
	require.InDelta(t, float64(46*ms), float64(w.rec.kinds[kindGet].latency.Max()), float64(ms))
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
	var report benchReport
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
	var report benchReport
	require.NoError(t, json.Unmarshal([]byte(r.out), &report))
	require.Positive(t, report.Total.Acked)
	require.Equal(t, 1, strings.Count(r.err, "\n"), r.err)
	require.Contains(t, r.err, benchRoot+"/")
	require.Contains(t, r.err, "are still there")
	require.Contains(t, r.err, "quoll delete --recursive")
}
