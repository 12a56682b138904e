package driver

import (
	"slices"

	"quoll/transport/wire"
)

// Second is what came back in one second of a run. Times are in µs.
type Second struct {
	OK      int   `json:"ok"`
	Failed  int   `json:"failed"`  // answered with another code
	Unknown int   `json:"unknown"` // asked for in this second, and never answered
	P50     int64 `json:"p50_us"`
	P99     int64 `json:"p99_us"`
}

// Figures are how available a service was, as its clients saw it.
type Figures struct {
	Seconds []Second       `json:"seconds"`
	Asked   int            `json:"asked"`
	Opened  int            `json:"sessions_opened"`
	Expired int            `json:"sessions_expired"` // as clients were told that came back
	OK      int            `json:"ok"`
	Late    int            `json:"late"`   // requests that left late
	Unsent  int            `json:"unsent"` // and that were due and never left
	Errors  map[string]int `json:"errors"` // by name of the code; "unknown" is no answer
	PerSec  float64        `json:"ok_per_second"`
	P50     int64          `json:"p50_us"`
	P99     int64          `json:"p99_us"`
	Max     int64          `json:"max_us"`
	// Gap is the longest time, in µs, in which no request at all was answered with success, and GapAt when it
	// began. WriteGap is that of writes.
	Gap      int64 `json:"gap_us"`
	GapAt    int64 `json:"gap_at_us"`
	WriteGap int64 `json:"write_gap_us"`
	WriteAt  int64 `json:"write_gap_at_us"`
}

// Measure computes the figures of a run, of what was asked for before a moment in µs. How long a request took
// counts from when it was due: what had to wait before it could leave had to wait for the service.
func Measure(out *Outcome, until int64) *Figures {
	h := out.History
	f := &Figures{Late: out.Late, Unsent: out.Unsent, Errors: map[string]int{}, Seconds: make([]Second, until/1e6+1)}
	var took []int64
	within := make([][]int64, len(f.Seconds))
	acks, writes := []int64{0}, []int64{0}
	for i := range h.Ops {
		o := &h.Ops[i]
		if o.Call.At >= until {
			continue
		}
		f.Asked++
		if !o.Known() {
			f.Errors["unknown"]++
			f.Seconds[o.Call.At/1e6].Unknown++
			continue
		}
		at := min(o.Return.At, until)
		second := &f.Seconds[at/1e6]
		us := o.Return.At - o.Call.At
		if due, ok := out.Due[i]; ok {
			us = o.Return.At - due
		}
		took = append(took, us)
		within[at/1e6] = append(within[at/1e6], us)
		if o.Result.Code != wire.OK {
			f.Errors[o.Result.Code.Name()]++
			second.Failed++
			continue
		}
		f.OK++
		second.OK++
		acks = append(acks, at)
		if o.Op.IsWrite() {
			writes = append(writes, at)
		}
	}
	for i := range h.Conns {
		switch c := &h.Conns[i]; {
		case c.Expired:
			f.Expired++
		case !c.Joined.IsZero() && c.Asked == 0 && c.Joined.At < until:
			f.Opened++
		}
	}
	for i := range within {
		f.Seconds[i].P50, f.Seconds[i].P99, _ = quantiles(within[i])
	}
	f.P50, f.P99, f.Max = quantiles(took)
	f.PerSec = float64(f.OK) / (float64(until) / 1e6)
	f.Gap, f.GapAt = gap(acks, until)
	f.WriteGap, f.WriteAt = gap(writes, until)
	return f
}

func quantiles(us []int64) (p50, p99, most int64) {
	if len(us) == 0 {
		return 0, 0, 0
	}
	slices.Sort(us)
	return us[len(us)/2], us[len(us)*99/100], us[len(us)-1]
}

// gap returns the longest stretch between two of the times, and where it begins. The end is one of them.
func gap(at []int64, end int64) (longest, from int64) {
	at = append(at, end)
	slices.Sort(at)
	for i := 1; i < len(at); i++ {
		if d := at[i] - at[i-1]; d > longest {
			longest, from = d, at[i-1]
		}
	}
	return longest, from
}
