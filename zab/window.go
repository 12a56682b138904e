package zab

import "slices"

// txnOverhead is what a txn costs in memory beside its data.
const txnOverhead = 64

// window holds the last txns of the history in memory: all that are not delivered or not
// flushed yet, which come from nowhere else, and of the older ones as many as fit into limit bytes, so that a
// learner that was away for a moment is served without touching the disk.
//
// Messages and learners' streams alias txns. So an element never changes once it is there: the
// head moves by slicing, the tail by append, and truncate gives up the room behind the cut.
type window struct {
	base  Zxid // the txn before the first one held; a member of the history
	txns  []Txn
	bytes int // of txns, overhead included
	limit int
}

func newWindow(base Zxid, limit int) window { return window{base: base, limit: limit} }

// Size returns what t takes in memory, in bytes and about.
func (t *Txn) Size() int { return len(t.Data) + txnOverhead }

func (w *window) last() Zxid {
	if len(w.txns) == 0 {
		return w.base
	}
	return w.txns[len(w.txns)-1].Zxid
}

// append adds a txn, which the caller has appended to the history.
//
// The array doubles what it holds when it is full. A window that is trimmed comes to the end of its array
// again and again, and append, which adds a quarter to a large one, would copy each txn four times.
func (w *window) append(t Txn) {
	if len(w.txns) == cap(w.txns) {
		w.txns = append(make([]Txn, 0, max(16, 2*len(w.txns))), w.txns...)
	}
	w.txns = append(w.txns, t)
	w.bytes += t.Size()
}

// count returns how many of the txns are at or before z.
func (w *window) count(z Zxid) int {
	last := w.last()
	if z >= last {
		return len(w.txns)
	}
	// Counters have no gaps, so within the last epoch the place follows from the distance. This
	// is every call of the steady state.
	if n := len(w.txns) - int(min(last-z, Zxid(len(w.txns)))); n > 0 && w.txns[n-1].Zxid == z {
		return n
	}
	n, found := slices.BinarySearchFunc(w.txns, z, func(t Txn, z Zxid) int {
		switch {
		case t.Zxid < z:
			return -1
		case t.Zxid > z:
			return 1
		}
		return 0
	})
	if found {
		n++
	}
	return n
}

// between returns the txns of (from, to], where from is at or after the base. The result is
// shared and never changes.
func (w *window) between(from, to Zxid) []Txn {
	i, j := w.count(from), w.count(to)
	return w.txns[i:j:j]
}

// truncate forgets everything after p, which is at or after the base.
func (w *window) truncate(p Zxid) {
	n := w.count(p)
	for i := range w.txns[n:] {
		w.bytes -= w.txns[n+i].Size()
	}
	w.txns = w.txns[:n:n]
}

// trim forgets the oldest txns beyond the limit, but none after keep.
func (w *window) trim(keep Zxid) {
	n := 0
	for n < len(w.txns) && w.bytes > w.limit && w.txns[n].Zxid <= keep {
		w.bytes -= w.txns[n].Size()
		n++
	}
	if n > 0 {
		w.base = w.txns[n-1].Zxid
		w.txns = w.txns[n:]
	}
}
