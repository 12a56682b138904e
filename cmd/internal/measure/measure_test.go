package measure

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestParseMix(t *testing.T) {
	mix, err := ParseMix("get=90,set=10,create+delete")
	require.NoError(t, err)
	require.Equal(t, Mix{{Get, 90}, {Set, 10}, {Pair, 100}}, mix)
	for _, bad := range []string{"", "set=", "set=-1", "set=1.5", "set=2000000", "=5", "get,,set"} {
		_, err := ParseMix(bad)
		require.Error(t, err, bad)
	}
	for k := range NumKinds {
		require.NotContains(t, k.String(), "kind ")
	}
}

func TestPickFollowsTheWeights(t *testing.T) {
	mix, err := ParseMix("get=3,set=1")
	require.NoError(t, err)
	r := rand.New(rand.NewPCG(1, 2))
	count := map[Kind]int{}
	for range 4000 {
		count[mix.Pick(r)]++
	}
	require.InDelta(t, 3000, count[Get], 150)
	require.Equal(t, 4000, count[Get]+count[Set])
}

const ms = time.Millisecond

func TestRecorderWindow(t *testing.T) {
	r := NewRecorder(1000*ms, 3000*ms)
	r.Ack(Set, 900*ms, 1100*ms)  // due in the warm-up: a rate, no latency
	r.Ack(Set, 1500*ms, 1510*ms) // whole
	r.Ack(Set, 2500*ms, 2520*ms)
	r.Ack(Set, 2900*ms, 3400*ms) // late: a latency, no rate
	r.Ack(Set, 3000*ms, 3001*ms) // due after the window
	r.Fail(Set, 2000*ms, "NoNode")
	r.Fail(Set, 4000*ms, "NoNode")
	rec := r.kinds[Set]
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
		parts := []*Recorder{NewRecorder(0, window), NewRecorder(0, window), NewRecorder(0, window)}
		slots := rapid.SliceOfN(rapid.IntRange(0, int(window/gapUnit)-1), 0, 40).Draw(t, "slots")
		busy := map[int]bool{}
		for _, s := range slots {
			at := time.Duration(s) * gapUnit
			parts[rapid.IntRange(0, 2).Draw(t, "connection")].Ack(Get, at, at)
			busy[s] = true
		}
		parts[0].Merge(parts[1])
		parts[0].Merge(parts[2])
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
		require.EqualValues(t, len(slots), parts[0].kinds[Get].acks)
	})
}

func TestReport(t *testing.T) {
	setup := Setup{Servers: []string{"a:1", "b:2"}, Mix: "get=1,set=1", Conns: 2, Inflight: 4, Size: 100, Keys: 10, Warmup: time.Second}
	a, b := NewRecorder(time.Second, 3500*ms), NewRecorder(time.Second, 3500*ms)
	for i := range 100 {
		at := time.Second + time.Duration(i)*20*ms
		a.Ack(Get, at, at+ms)
		if i < 50 {
			b.Ack(Set, at, at+10*ms)
		}
	}
	b.Fail(Set, 2*time.Second, "ConnectionLoss")
	a.Merge(b)
	r := NewReport(setup, a)
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

	text := r.Text()
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
	r := NewReport(Setup{}, NewRecorder(0, 100*ms))
	require.Empty(t, r.Ops)
	require.Nil(t, r.Total.LowestSecond)
	require.InDelta(t, 100, r.LongestGap, 1e-9)
	require.NotEmpty(t, r.Text())
}

// The report tells how much of the machine its loader took.
func TestLoaderCores(t *testing.T) {
	cpu := StartCPU()
	for n := 0; cpu.Cores() == 0; n++ {
		require.Less(t, n, 1<<30)
	}
	r := NewReport(Setup{Cores: 1.25}, NewRecorder(0, ms))
	require.Contains(t, r.Text(), "the loader kept 1.25 cores busy\n")
}
