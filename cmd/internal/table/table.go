package table

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// System names who was measured.
type System string

// The systems, in the order of columns.
const (
	Quoll     System = "quoll"
	ZooKeeper System = "zookeeper"
	Etcd      System = "etcd"
)

// Systems are all of them.
var Systems = []System{Quoll, ZooKeeper, Etcd}

// Row is one line of the table.
type Row struct {
	Name    string             `json:"name"` // short, of the command line
	What    string             `json:"what"`
	Unit    string             `json:"unit"`
	Lower   bool               `json:"lowerIsBetter,omitempty"`
	Goal    Goal               `json:"goal"`
	Stretch Goal               `json:"stretch"`
	Figures map[System]float64 `json:"figures"` // of those that were measured
	Note    string             `json:"note,omitempty"`
}

// Goal is what a row asks of Quoll. Only one of the two is set.
type Goal struct {
	Ratio float64 `json:"ratio,omitempty"` // how many times better than ZooKeeper
	Value float64 `json:"value,omitempty"` // in the row's unit
}

// Verdict says what became of the goals of a row.
type Verdict string

// The verdicts. Open is that of a row that was not measured.
const (
	Open    Verdict = "-"
	Missed  Verdict = "missed"
	Reached Verdict = "goal"
	Beyond  Verdict = "stretch"
)

// Times returns how many times better than b the figure a is: over 1 is better, whichever way the
// row counts.
func (r *Row) Times(a, b System) (float64, bool) {
	x, y := r.Figures[a], r.Figures[b]
	if x <= 0 || y <= 0 {
		return 0, false
	}
	if r.Lower {
		return y / x, true
	}
	return x / y, true
}

// Attained returns which part of a goal Quoll has attained: 1 is all of it.
func (r *Row) Attained(g Goal) (float64, bool) {
	if g.Ratio > 0 {
		times, ok := r.Times(Quoll, ZooKeeper)
		return times / g.Ratio, ok
	}
	value := r.Figures[Quoll]
	switch {
	case value <= 0 || g.Value <= 0:
		return 0, false
	case r.Lower:
		return g.Value / value, true
	default:
		return value / g.Value, true
	}
}

// Verdict judges the row.
func (r *Row) Verdict() Verdict {
	goal, known := r.Attained(r.Goal)
	stretch, further := r.Attained(r.Stretch)
	switch {
	case !known:
		return Open
	case further && stretch >= 1:
		return Beyond
	case goal >= 1:
		return Reached
	default:
		return Missed
	}
}

// goalText is a goal as people write it.
func (r *Row) goalText(g Goal) string {
	switch {
	case g.Ratio > 0 && r.Lower:
		return "1/" + short(g.Ratio)
	case g.Ratio > 0:
		return short(g.Ratio) + "x"
	case g.Value > 0:
		return short(g.Value) + " " + r.Unit
	default:
		return "-"
	}
}

// ratioText is how a figure relates to another: 5.2x is more, 1/5.2 is less of it. That more of
// something bad is not good is for the verdict to say.
func (r *Row) ratioText(a, b System) string {
	times, ok := r.Times(a, b)
	if !ok {
		return "-"
	}
	if r.Lower {
		times = 1 / times
	}
	if times < 1 {
		return "1/" + short(1/times)
	}
	return short(times) + "x"
}

// figureText is the figure of a system, or a dash.
func (r *Row) figureText(s System) string {
	v, ok := r.Figures[s]
	if !ok {
		return "-"
	}
	return figure(v)
}

// short writes a ratio with as many digits as anyone would repeat.
func short(v float64) string {
	if v >= 100 || v == math.Trunc(v) {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'f', 1, 64)
}

// figure writes a measured number: three digits that count, and thousands apart.
func figure(v float64) string {
	switch {
	case v >= 1000:
		return thousands(int64(math.Round(v)))
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 1:
		return fmt.Sprintf("%.2f", v)
	default:
		return fmt.Sprintf("%.3f", v)
	}
}

// thousands writes n, which is not negative, in groups of three digits.
func thousands(n int64) string {
	digits := strconv.FormatInt(n, 10)
	var groups []string
	for len(digits) > 3 {
		groups = append([]string{digits[len(digits)-3:]}, groups...)
		digits = digits[:len(digits)-3]
	}
	return strings.Join(append([]string{digits}, groups...), ",")
}
