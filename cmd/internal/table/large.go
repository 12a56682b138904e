package table

import "quoll/cmd/internal/measure"

// Large is how long small requests of other clients waited while something large was done, and before it.
type Large struct {
	Row    string  `json:"row"`
	System System  `json:"system"`
	Took   float64 `json:"tookMs"` // the large thing itself, all its repetitions
	Before Waits   `json:"before"`
	During Waits   `json:"during"`
}

// Waits are those of the probes: small reads and small writes on every server.
type Waits struct {
	Read  measure.Latencies `json:"readMs"`
	Write measure.Latencies `json:"writeMs"`
}

// Longest is the longest wait of any probe, in ms.
func (w *Waits) Longest() float64 { return max(w.Read.Max, w.Write.Max) }

// NewWaits reads them off the report of the probes.
func NewWaits(r *measure.Report) (w Waits) {
	for _, o := range r.Ops {
		switch o.Op {
		case measure.Get.String():
			w.Read = o.Latency
		case measure.Set.String():
			w.Write = o.Latency
		}
	}
	return w
}

func (r *Result) largeGrid() grid {
	g := grid{{
		"large thing", "system", "took ms", "read p99.9 ms", "max", "max before", "write p99.9 ms", "max", "max before",
	}}
	for i := range r.Large {
		l := &r.Large[i]
		g = append(g, []string{
			l.Row, string(l.System), figure(l.Took), figure(l.During.Read.P999), figure(l.During.Read.Max), figure(l.Before.Read.Max),
			figure(l.During.Write.P999), figure(l.During.Write.Max), figure(l.Before.Write.Max),
		})
	}
	return g
}
