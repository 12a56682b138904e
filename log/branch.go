package log

import (
	"slices"

	"quoll/zab"
)

// place is where a record is: after the record with crc before it, at an offset of a segment.
type place struct {
	segment *segment
	offset  int64
	before  uint32
}

// extent is a run of txns that lie one after another in a segment, with nothing of a dead branch
// between them. A reader starts at the place and stops at last.
type extent struct {
	place
	first, last zab.Zxid
}

// extentBytes is how far a reader may have to read in vain to find a txn: the index has an extent
// for about so many bytes of log.
const extentBytes = 256 << 10

// branch is a history and where its txns are. Membership is a lookup in a table of epochs: within
// an epoch counters have no gaps, so the last zxid of each says it all (R8).
type branch struct {
	base    zab.Zxid   // nothing is known of what was before it
	ends    []zab.Zxid // last zxid of each epoch after base, ascending
	horizon zab.Zxid   // every txn after it is in an extent; a member
	extents []extent   // ascending
	broken  bool       // the next txn does not lie behind the last one
}

func newBranch(base zab.Zxid) branch { return branch{base: base, horizon: base} }

func (b *branch) last() zab.Zxid {
	if len(b.ends) == 0 {
		return b.base
	}
	return b.ends[len(b.ends)-1]
}

// contains reports whether z is base or a txn of the history.
func (b *branch) contains(z zab.Zxid) bool {
	if z == b.base {
		return true
	}
	if z < b.base || z.Counter() == 0 {
		return false
	}
	i, _ := slices.BinarySearch(b.ends, z)
	return i < len(b.ends) && b.ends[i].Epoch() == z.Epoch()
}

// add appends a txn that follows the last one.
func (b *branch) add(z zab.Zxid, at place) {
	n := len(b.ends)
	if n > 0 && b.ends[n-1].Epoch() == z.Epoch() {
		b.ends[n-1] = z
	} else {
		b.ends = append(b.ends, z)
	}
	if n := len(b.extents); n > 0 && !b.broken {
		e := &b.extents[n-1]
		if e.segment == at.segment && at.offset-e.offset < extentBytes {
			e.last = z
			return
		}
	}
	b.broken = false
	b.extents = append(b.extents, extent{place: at, first: z, last: z})
}

// truncate drops everything after p, a member.
func (b *branch) truncate(p zab.Zxid) {
	for n := len(b.ends); n > 0 && b.ends[n-1] > p; n-- {
		if b.ends[n-1].Epoch() == p.Epoch() && p > b.base {
			b.ends[n-1] = p
			break
		}
		b.ends = b.ends[:n-1]
	}
	for n := len(b.extents); n > 0 && b.extents[n-1].first > p; n-- {
		b.extents = b.extents[:n-1]
	}
	if n := len(b.extents); n > 0 {
		b.extents[n-1].last = min(b.extents[n-1].last, p)
	}
	b.horizon = min(b.horizon, p)
	b.broken = true
}

// forget drops the extents that keep does not want, from the oldest on, and what is known of the
// history before them.
func (b *branch) forget(keep func(*segment) bool) {
	for len(b.extents) > 0 && !keep(b.extents[0].segment) {
		b.horizon = b.extents[0].last
		b.extents = b.extents[1:]
	}
	b.extents = slices.Clone(b.extents)
	b.rebase(b.horizon)
}

// rebase forgets what was before z, a member.
func (b *branch) rebase(z zab.Zxid) {
	i, _ := slices.BinarySearch(b.ends, z+1)
	b.base, b.ends = z, slices.Clone(b.ends[i:])
}

// count returns how many txns follow z, a member.
func (b *branch) count(z zab.Zxid) int {
	n := 0
	for _, r := range b.runs(z) {
		n += int(r.last-r.first) + 1
	}
	return n
}

// run is an unbroken range of zxids.
type run struct{ first, last zab.Zxid }

// runs returns the txns after z, a member, epoch by epoch.
func (b *branch) runs(z zab.Zxid) []run {
	var runs []run
	for _, end := range b.ends {
		if end <= z {
			continue
		}
		first := zab.MakeZxid(end.Epoch(), 1)
		if z.Epoch() == end.Epoch() {
			first = z + 1
		}
		runs = append(runs, run{first: first, last: end})
	}
	return runs
}

// history is the part after the horizon in the form in which the core knows it.
func (b *branch) history() zab.History {
	h := zab.NewHistory(b.horizon)
	for _, r := range b.runs(b.horizon) {
		for z := r.first; z <= r.last; z++ {
			if !h.Append(z) {
				panic("log: the history refuses " + z.String())
			}
		}
	}
	return h
}
