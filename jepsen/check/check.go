package check

import (
	"cmp"
	"slices"
	"time"

	"quoll/jepsen/history"
)

// Violation is a broken promise.
type Violation struct {
	Check string // the name in zab.md 3.4, as C-MONO
	Text  string // for people
	At    history.Moment
	Ops   []int // what proves it: indices in History.Ops

	// Undecided says that a check ran out of time: the history is neither found good nor bad.
	Undecided bool
}

// Limits are what a history is judged by besides the promises themselves.
type Limits struct {
	// Rate is how much faster than the history's clock, in parts of a million, a server's may run: a
	// session may expire that much earlier.
	Rate int64
	// TouchUs is for how long, in microseconds, a server may serve a client without the leader
	// hearing of it: a report, the ticks of syncLimit, and what the link takes. So much is taken
	// off the time of a request. A negative value lets only the opening of connections count, which
	// the leader sees each time.
	TouchUs int64
	// Writes says that a write is a sign of life to those who expire its session, whatever the server
	// that it was sent to has reported.
	Writes bool
	// Moves says that whoever lets a session go on at another connection is the leader for certain:
	// one that is deposed and does not know it yet may grant that, too, and the next one never
	// hears of it.
	Moves bool
	// Search is the time that C-LINW may take for a history.
	Search time.Duration
	// Strict has C-LINW take plain reads for linearizable, which no server of this kind promises: whoever
	// wants to see a stale read asks for it.
	Strict bool
}

// DefaultLimits hold for servers with any clock that a machine can have, and any ticks.
var DefaultLimits = Limits{Rate: 100_000, TouchUs: -1, Writes: true, Moves: true, Search: 5 * time.Second}

// checks are all there are. The last column says that one proves less where History.Commits is
// not known.
var checks = []struct {
	name string
	run  func(s *study) []Violation
	less bool
}{
	{"C-LINW", (*study).linearizable, false},
	{"C-DUR", (*study).durable, true},
	{"C-ONCE", (*study).once, true},
	{"C-ZXIDORD", (*study).zxidOrder, false},
	{"C-FIFO", (*study).fifo, false},
	{"C-RYW", (*study).readYourWrites, false},
	{"C-MONO", (*study).monotonic, false},
	{"C-READ", (*study).reads, true},
	{"C-SYNC", (*study).sync, false},
	{"C-WATCH1", (*study).watchOrder, false},
	{"C-WATCH2", (*study).watchTruth, true},
	{"C-WATCH3", (*study).watchDelivery, true},
	{"C-SESS", (*study).sessions, true},
	{"C-EPHLIFE", (*study).ephemerals, true},
	{"C-SEQ", (*study).sequences, false},
	{"C-MULTI", (*study).multis, true},
	{"C-LOCK", (*study).locks, false},
}

// Names returns the names of the checks, in the order of zab.md 3.4.
func Names() []string {
	var names []string
	for _, c := range checks {
		names = append(names, c.name)
	}
	return names
}

// All runs every check with DefaultLimits.
func All(h *history.History) []Violation { return AllWithin(h, DefaultLimits) }

// AllWithin runs every check. What happened first is first.
func AllWithin(h *history.History, l Limits) []Violation {
	s := newStudy(h, l)
	all := s.faults
	for _, c := range checks {
		all = append(all, c.run(s)...)
	}
	slices.SortStableFunc(all, func(a, b Violation) int { return cmp.Compare(a.At.Seq, b.At.Seq) })
	return all
}

// Applicable returns the names of the checks that a history has the evidence for: all, also where nobody
// has seen the committed sequence.
func Applicable(*history.History) []string { return Names() }

// ByClients returns the names of the checks that find less in a history than they could, because they
// have only what its clients can prove: nobody has seen the committed sequence.
func ByClients(h *history.History) []string {
	var names []string
	for _, c := range checks {
		if c.less && h.Commits == nil {
			names = append(names, c.name)
		}
	}
	return names
}

// Linearizable is C-LINW: writes, and reads that follow a sync, are linearizable for each znode.
func Linearizable(h *history.History) []Violation { return newStudy(h, DefaultLimits).linearizable() }

// Durable is C-DUR: every acknowledged write is in the committed sequence, under the zxid and
// with the result that its client was told.
func Durable(h *history.History) []Violation { return newStudy(h, DefaultLimits).durable() }

// Once is C-ONCE: no request takes effect twice, and nothing does that nobody asked for.
func Once(h *history.History) []Violation {
	s := newStudy(h, DefaultLimits)
	return append(s.faults, s.once()...)
}

// ZxidOrder is C-ZXIDORD: a write that returned before another was called has the lower zxid.
func ZxidOrder(h *history.History) []Violation { return newStudy(h, DefaultLimits).zxidOrder() }

// FIFO is C-FIFO: on a connection answers come, and writes take effect, in the order of asking.
func FIFO(h *history.History) []Violation { return newStudy(h, DefaultLimits).fifo() }

// ReadYourWrites is C-RYW: a read reflects the earlier writes of its session.
func ReadYourWrites(h *history.History) []Violation {
	return newStudy(h, DefaultLimits).readYourWrites()
}

// Monotonic is C-MONO: a session never sees a state older than one that it has seen.
func Monotonic(h *history.History) []Violation { return newStudy(h, DefaultLimits).monotonic() }

// Reads is C-READ: every read returns what the committed sequence up to its header's zxid makes.
func Reads(h *history.History) []Violation { return newStudy(h, DefaultLimits).reads() }

// Sync is C-SYNC: a sync covers all that anybody had been told of before it was called.
func Sync(h *history.History) []Violation { return newStudy(h, DefaultLimits).sync() }

// WatchOrder is C-WATCH1: a connection hears of a change before it sees it, and not before it is.
func WatchOrder(h *history.History) []Violation { return newStudy(h, DefaultLimits).watchOrder() }

// WatchTruth is C-WATCH2: every event is that of a watch and of a change, and comes once.
func WatchTruth(h *history.History) []Violation { return newStudy(h, DefaultLimits).watchTruth() }

// WatchDelivery is C-WATCH3: no event is left out.
func WatchDelivery(h *history.History) []Violation { return newStudy(h, DefaultLimits).watchDelivery() }

// Sessions is C-SESS: sessions that are over are over for good, and ids are never used again.
func Sessions(h *history.History) []Violation { return newStudy(h, DefaultLimits).sessions() }

// Ephemerals is C-EPHLIFE: ephemerals go with their session, which does not expire too early.
func Ephemerals(h *history.History) []Violation { return newStudy(h, DefaultLimits).ephemerals() }

// Sequences is C-SEQ: a parent gives out each sequence number once.
func Sequences(h *history.History) []Violation { return newStudy(h, DefaultLimits).sequences() }

// Multis is C-MULTI: the results of a multi say that all of it happened, at once, or nothing.
func Multis(h *history.History) []Violation { return newStudy(h, DefaultLimits).multis() }

// Locks is C-LOCK: of two writes on the same condition one fails, and fences only go up.
func Locks(h *history.History) []Violation { return newStudy(h, DefaultLimits).locks() }

// maxViolations bounds what one check reports: behind the first few there is nothing to learn.
const maxViolations = 20

// report gathers the violations of one check.
type report struct {
	check string
	list  []Violation
}

func (r *report) add(at history.Moment, ops []int, text string) {
	if len(r.list) < maxViolations {
		r.list = append(r.list, Violation{Check: r.check, Text: text, At: at, Ops: ops})
	}
}
