package measure

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Report is the outcome of a run. Times are in milliseconds, rates in operations a second.
type Report struct {
	Command  string   `json:"command"`
	Servers  []string `json:"servers"`
	Mix      string   `json:"mix"`
	Conns    int      `json:"conns"`
	Inflight int      `json:"inflight"`
	Size     int      `json:"size"`
	Keys     int      `json:"keys,omitempty"`
	OpenLoop float64  `json:"openLoopRate,omitempty"` // 0: closed loop
	Warmup   float64  `json:"warmupSeconds"`
	Seconds  float64  `json:"seconds"`

	// LoaderCores is how many cores the loader kept busy: close to what the machine has, it is the
	// loader that was measured.
	LoaderCores float64 `json:"loaderCores,omitempty"`

	Ops          []OpReport       `json:"ops"`
	Total        OpReport         `json:"total"`
	LongestGap   float64          `json:"longestGapMs"` // without any acknowledgement
	LongestGapAt float64          `json:"longestGapAtSeconds"`
	Errors       map[string]int64 `json:"errors,omitempty"`
	SessionsLost int64            `json:"sessionsLost,omitempty"`
}

// OpReport is that of one kind of operation.
type OpReport struct {
	Op           string    `json:"op"`
	Acked        int64     `json:"acked"`
	Failed       int64     `json:"failed"`
	Rate         float64   `json:"rate"`
	LowestSecond *int64    `json:"lowestSecond"` // of the whole seconds; null: there was none
	Latency      Latencies `json:"latencyMs"`
}

// Latencies are percentiles in milliseconds. Count is of the operations that were due in the
// window: in an open loop also those that were answered after it.
type Latencies struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p999"`
	Max   float64 `json:"max"`
}

func newLatencies(h *hdrhistogram.Histogram) Latencies {
	if h == nil {
		return Latencies{}
	}
	ms := func(ns int64) float64 { return float64(ns) / float64(time.Millisecond) }
	return Latencies{
		Count: h.TotalCount(), Mean: h.Mean() / float64(time.Millisecond),
		P50: ms(h.ValueAtPercentile(50)), P90: ms(h.ValueAtPercentile(90)), P99: ms(h.ValueAtPercentile(99)),
		P999: ms(h.ValueAtPercentile(99.9)), Max: ms(h.Max()),
	}
}

// Setup is what a report repeats of how its run was asked for.
type Setup struct {
	Servers  []string
	Mix      string
	Conns    int
	Inflight int
	Size     int
	Keys     int
	Fill     int           // znodes that the run was to create; 0: it ran for a time
	Rate     float64       // of an open loop; 0: closed
	Warmup   time.Duration // before the window
	Cores    float64       // that the loader kept busy
}

// NewReport makes the report of what was recorded.
func NewReport(p Setup, r *Recorder) *Report {
	window := r.window()
	report := &Report{
		Servers: p.Servers, Mix: p.Mix, Conns: p.Conns, Inflight: p.Inflight, Size: p.Size, Keys: p.Keys,
		OpenLoop: p.Rate, Warmup: p.Warmup.Seconds(), Seconds: window.Seconds(),
		LoaderCores: p.Cores,
		Errors:      r.errors, SessionsLost: r.lost,
	}
	if p.Fill > 0 {
		report.Mix, report.Keys, report.Warmup = fmt.Sprintf("fill=%d", p.Fill), 0, 0
	}
	var total kindRecord
	for k := range r.kinds {
		rec := &r.kinds[k]
		if rec.acks == 0 && rec.failed == 0 && rec.latency == nil {
			continue
		}
		report.Ops = append(report.Ops, newOpReport(Kind(k).String(), rec, window))
		total.acks += rec.acks
		total.failed += rec.failed
		total.seconds = addAll(total.seconds, rec.seconds)
		if rec.latency != nil {
			if total.latency == nil {
				total.latency = hdrhistogram.New(int64(latencyUnit), int64(latencyMax), 3)
			}
			total.latency.Merge(rec.latency)
		}
	}
	report.Total = newOpReport("total", &total, window)
	gap, at := r.longestGap()
	report.LongestGap = float64(gap) / float64(time.Millisecond)
	report.LongestGapAt = at.Seconds()
	return report
}

func newOpReport(name string, rec *kindRecord, window time.Duration) OpReport {
	o := OpReport{Op: name, Acked: rec.acks, Failed: rec.failed, Latency: newLatencies(rec.latency)}
	if window > 0 {
		o.Rate = float64(rec.acks) / window.Seconds()
	}
	if whole := int(window / time.Second); whole > 0 { // the last second may be cut short
		seconds := grow(slices.Clone(rec.seconds), whole-1)[:whole]
		lowest := slices.Min(seconds)
		o.LowestSecond = &lowest
	}
	return o
}

// Text is the report for people.
func (r *Report) Text() string {
	var b strings.Builder
	loop := "closed loop"
	if r.OpenLoop > 0 {
		loop = fmt.Sprintf("open loop at %.0f/s", r.OpenLoop)
	}
	fmt.Fprintf(&b, "%s on %s\n", r.Mix, strings.Join(r.Servers, ","))
	fmt.Fprintf(&b, "%d x %d in flight, %d bytes, %s, %.1f s after %.1f s of warm-up\n\n",
		r.Conns, r.Inflight, r.Size, loop, r.Seconds, r.Warmup)
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "op\trate/s\tlowest s\tacked\tfailed\tp50 ms\tp90\tp99\tp99.9\tmax\t")
	rows := r.Ops
	if len(rows) > 1 {
		rows = append(slices.Clone(rows), r.Total)
	}
	for _, o := range rows {
		lowest := "-"
		if o.LowestSecond != nil {
			lowest = fmt.Sprint(*o.LowestSecond)
		}
		l := o.Latency
		fmt.Fprintf(t, "%s\t%.0f\t%s\t%d\t%d\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t\n",
			o.Op, o.Rate, lowest, o.Acked, o.Failed, l.P50, l.P90, l.P99, l.P999, l.Max)
	}
	t.Flush()
	fmt.Fprintf(&b, "\nlongest gap between acknowledgements: %.1f ms, at %.3f s\n", r.LongestGap, r.LongestGapAt)
	if r.LoaderCores > 0 {
		fmt.Fprintf(&b, "the loader kept %.2f cores busy\n", r.LoaderCores)
	}
	for _, reason := range slices.Sorted(maps.Keys(r.Errors)) {
		fmt.Fprintf(&b, "failed with %s: %d\n", reason, r.Errors[reason])
	}
	if r.SessionsLost > 0 {
		fmt.Fprintf(&b, "sessions lost: %d\n", r.SessionsLost)
	}
	return b.String()
}
