package zabtest

import (
	"fmt"
	"slices"

	"quoll/zab"
)

// files is what an Env has of a server's disk beside the ghost: the records, to be shown, and the
// snapshot files.
type files struct {
	records   []zab.Record
	snapshots map[zab.Zxid][]zab.Txn // complete ones, received ones included
	own       []zab.Zxid             // those that this server took of its own tree
	horizon   zab.Zxid               // purged up to here
}

// lose drops everything after the first n records: a power cut.
func (s *Server) lose(n int) {
	s.files.records = s.files.records[:n]
	s.Disk.lose(n)
}

// recover is what the log package does at the start of a process, made of the same fold: an
// unfinished generation is discarded, and the tail is synced before anybody hears of it (R19).
func (s *Server) recover() zab.State {
	f := &s.Disk.all
	if f.aside.last != nil {
		s.files.records = append(s.files.records, zab.Record{Kind: zab.RecordAbandon})
	}
	h := &f.history
	st := zab.State{
		AcceptedEpoch: f.accepted,
		CurrentEpoch:  f.current,
		Snapshot:      h.base.Zxid,
		Horizon:       max(h.base.Zxid, s.files.horizon),
	}
	for _, z := range s.files.own {
		if h.logged(z) != nil {
			st.Snapshot = max(st.Snapshot, z)
		}
	}
	var after []*txn
	for t := h.last; t != h.base; t = t.parent {
		after = append(after, t)
	}
	st.History = zab.NewHistory(st.Horizon)
	for _, t := range slices.Backward(after) {
		if t.Zxid > st.Horizon && !st.History.Append(t.Zxid) {
			panic(fmt.Sprintf("zabtest: %v does not follow %v", t.Zxid, st.History.Last()))
		}
		if t.Zxid > st.Snapshot {
			st.Tail = append(st.Tail, t.Txn)
		}
	}
	return st
}

// logged returns the txn of a zxid that is the base of a history or follows it, nil if it is not there.
func (h *history) logged(z zab.Zxid) *txn {
	t := h.last
	for t != h.base && t.Zxid > z {
		t = t.parent
	}
	if t.Zxid != z {
		return nil
	}
	return t
}

// read returns the txns of a range from the log.
func (s *Server) read(r zab.Range) []zab.Txn {
	if r.To == 0 {
		return nil
	}
	h := &s.Disk.all.history
	t := h.logged(r.To)
	if t == nil || h.logged(r.From) == nil || r.From < s.files.horizon {
		panic(fmt.Sprintf("zabtest: asked for (%s, %s], which is not in the log", Z(r.From), Z(r.To)))
	}
	var found []zab.Txn
	for ; t.Zxid > r.From; t = t.parent {
		found = append(found, t.Txn)
	}
	slices.Reverse(found)
	return found
}
