package campaign

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"time"
)

// Line is a line of a server's log.
type Line struct {
	Server int       `json:"server"` // from 1
	At     time.Time `json:"at"`
	Text   string    `json:"text"`
}

// The beginnings of lines of log that tell the time, of Quoll and of ZooKeeper.
var (
	stamps = regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.,]\d+(Z|[+-]\d\d:\d\d)?`)
	forms  = []string{time.RFC3339Nano, "2006-01-02 15:04:05,000", "2006-01-02T15:04:05.999999999"}
)

// What is kept of each server's log, in lines: all that it has, or so much.
const (
	mostLines = 2000
	endLines  = 300 // at either end, whatever happened then
)

// readLogs takes what the servers printed, on the clock that they share with this process.
func (b *bench) readLogs() {
	moments := b.moments()
	for i := range b.size() {
		f, err := os.Open(b.cluster.LogFile(i))
		if err != nil {
			continue // a report without this log
		}
		b.res.Logs = append(b.res.Logs, pertinent(scanLog(f, i+1, b.res.Began), moments, mostLines, endLines)...)
		_ = f.Close() // only read
	}
	slices.SortStableFunc(b.res.Logs, func(x, y Line) int { return x.At.Compare(y.At) })
}

// moments are the times at which something was done to the servers, or a promise was broken, in order.
func (b *bench) moments() (all []time.Time) {
	for _, f := range b.res.Faults {
		all = append(all, f.From, f.To)
	}
	for _, v := range b.res.Violations {
		all = append(all, b.res.Outcome.Began.Add(time.Duration(v.At.At)*time.Microsecond))
	}
	slices.SortFunc(all, time.Time.Compare)
	return all
}

// scanLog reads a log. A line without a time has that of the line before; one that is too long ends it.
func scanLog(r io.Reader, server int, began time.Time) (all []Line) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for at := began; lines.Scan(); {
		text := lines.Text()
		if stamp := stamps.FindString(text); stamp != "" {
			for _, form := range forms {
				if t, err := time.ParseInLocation(form, stamp, time.Local); err == nil {
					at = t
					break
				}
			}
		}
		all = append(all, Line{Server: server, At: at, Text: text})
	}
	return all
}

// pertinent keeps at most so many lines of a log: both its ends, roles that were taken, and what was printed closest to
// a moment. Where something is left out, a line says how much.
func pertinent(all []Line, moments []time.Time, most, ends int) (kept []Line) {
	if len(all) <= most {
		return all
	}
	const first = -1 // before all that is at some distance
	distance := make([]time.Duration, len(all))
	order := make([]int, len(all))
	for i := range all {
		order[i] = i
		if distance[i] = nearest(moments, all[i].At); i < ends || i >= len(all)-ends || elected(all[i].Text) {
			distance[i] = first
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(distance[a], distance[b]) })
	order = order[:most]
	slices.Sort(order)
	next := 0
	for _, i := range order {
		if i > next {
			kept = append(kept, Line{Server: all[i].Server, At: all[next].At, Text: fmt.Sprintf("… %d lines are left out here …", i-next)})
		}
		kept, next = append(kept, all[i]), i+1
	}
	if left := len(all) - next; left > 0 {
		kept = append(kept, Line{Server: all[next].Server, At: all[next].At, Text: fmt.Sprintf("… %d lines are left out here …", left)})
	}
	return kept
}

// nearest returns how far the closest of some moments, in order, is from t.
func nearest(moments []time.Time, t time.Time) time.Duration {
	i, _ := slices.BinarySearchFunc(moments, t, time.Time.Compare)
	least := time.Duration(1<<63 - 1)
	for _, m := range moments[max(0, i-1):min(len(moments), i+1)] {
		least = min(least, m.Sub(t).Abs())
	}
	return least
}
