package measure

import (
	"math/bits"
	"slices"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	// latencyMax is the highest latency that a histogram tells apart.
	latencyMax = 5 * time.Minute
	// latencyUnit is its resolution at the lower end.
	latencyUnit = time.Microsecond
	// gapUnit is the resolution of the longest gap between acknowledgements.
	gapUnit = 100 * time.Microsecond
	// MaxRecorders bounds the histograms of runs with many connections, which then share them.
	MaxRecorders = 16
)

// Recorder gathers what was measured in a window of time. Connections that share one take turns;
// the recorders of a run are merged when it has ended.
type Recorder struct {
	from, to time.Duration // the window; to 0: open

	mu     sync.Mutex
	kinds  [NumKinds]kindRecord
	acked  []uint64      // bit i: something was acknowledged in the i-th gapUnit of the window
	last   time.Duration // of the acknowledgements in the window
	errors map[string]int64
	lost   int64 // sessions
}

// kindRecord is what was measured of one kind of operation.
type kindRecord struct {
	latency *hdrhistogram.Histogram // of operations due in the window, ns; nil: there were none
	seconds []int64                 // acknowledged in each second of the window
	acks    int64                   // acknowledged in the window
	failed  int64
}

// NewRecorder returns a recorder of the window between two times of a run; to 0 leaves it open.
func NewRecorder(from, to time.Duration) *Recorder {
	return &Recorder{from: from, to: to, errors: map[string]int64{}}
}

func (r *Recorder) within(t time.Duration) bool { return t >= r.from && (r.to == 0 || t < r.to) }

// Ack records an operation that was due at one time and acknowledged at another. Latency belongs
// to the time when it was due, however late the answer: so nothing is left out because it was slow.
func (r *Recorder) Ack(k Kind, due, end time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec := &r.kinds[k]
	if r.within(due) {
		if rec.latency == nil {
			rec.latency = hdrhistogram.New(int64(latencyUnit), int64(latencyMax), 3)
		}
		// Out of range is the only error there is, and min rules it out.
		_ = rec.latency.RecordValue(int64(min(max(end-due, 0), latencyMax)))
	}
	if !r.within(end) {
		return
	}
	rec.acks++
	at := end - r.from
	rec.seconds = grow(rec.seconds, int(at/time.Second))
	rec.seconds[at/time.Second]++
	slot := int(at / gapUnit)
	r.acked = grow(r.acked, slot/64)
	r.acked[slot/64] |= 1 << (slot % 64)
	r.last = max(r.last, at)
}

// Fail records an operation that ended without success.
func (r *Recorder) Fail(k Kind, due time.Duration, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.within(due) {
		r.kinds[k].failed++
		r.errors[reason]++
	}
}

// Skip records that n operations were due in the window and never begun.
func (r *Recorder) Skip(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n > 0 {
		r.errors["NotBegun"] += n
	}
}

// SessionLost records that a session expired.
func (r *Recorder) SessionLost() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost++
}

// grow returns s with at least i+1 elements.
func grow[T any](s []T, i int) []T {
	if i < len(s) {
		return s
	}
	return slices.Grow(s, i+1-len(s))[:i+1]
}

// Merge adds what other recorded; nobody writes to either any more.
func (r *Recorder) Merge(other *Recorder) {
	for k := range r.kinds {
		to, from := &r.kinds[k], &other.kinds[k]
		if to.latency == nil {
			to.latency = from.latency
		} else if from.latency != nil {
			to.latency.Merge(from.latency)
		}
		to.seconds = addAll(to.seconds, from.seconds)
		to.acks += from.acks
		to.failed += from.failed
	}
	if len(other.acked) > 0 {
		r.acked = grow(r.acked, len(other.acked)-1)
	}
	for i, w := range other.acked {
		r.acked[i] |= w
	}
	for reason, n := range other.errors {
		r.errors[reason] += n
	}
	r.last = max(r.last, other.last)
	r.lost += other.lost
}

func addAll(sum, add []int64) []int64 {
	if len(add) > 0 {
		sum = grow(sum, len(add)-1)
	}
	for i, n := range add {
		sum[i] += n
	}
	return sum
}

// window returns how long was measured: the window, or when it is open the time up to the last
// acknowledgement.
func (r *Recorder) window() time.Duration {
	if r.to == 0 {
		return r.last
	}
	return r.to - r.from
}

// longestGap returns the longest time in the window without an acknowledgement, and when it began.
// The window's ends count as acknowledgements. It is right to two gapUnits.
func (r *Recorder) longestGap() (gap, at time.Duration) {
	end := int(r.window() / gapUnit)
	begin := 0 // of the run of empty slots that is being walked
	longest, where := 0, 0
	note := func(slot int) {
		if slot-begin > longest {
			longest, where = slot-begin, begin
		}
		begin = slot + 1
	}
	for i, w := range r.acked {
		for ; w != 0; w &= w - 1 {
			note(i*64 + bits.TrailingZeros64(w))
		}
	}
	note(end)
	return time.Duration(longest) * gapUnit, time.Duration(where) * gapUnit
}
