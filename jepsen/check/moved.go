package check

import (
	"cmp"
	"fmt"
	"slices"

	"quoll/jepsen/history"
	"quoll/transport/wire"
	"quoll/zab"
)

// movedOn: a session belongs to the connection that it went on with last. Once a write over the new
// one took effect, none over the old one does any more (R27): its client may have given that one up
// and done what depends on its never having happened. Where the two overlapped while they were
// made nobody can say which one is the newer. Closing is not looked at: who asks for the end of its
// session gets it, as in ZooKeeper, wherever it asks.
func (s *study) movedOn(r *report) {
	type write struct {
		op   int
		zxid int64
	}
	writes := map[zab.SessionID][]write{}
	for i := range s.h.Ops {
		if o := &s.h.Ops[i]; o.Op.IsWrite() && o.Op.Kind != wire.OpCloseSession && o.Session != 0 && s.tookEffect(i) {
			writes[o.Session] = append(writes[o.Session], write{i, s.zxid(i)})
		}
	}
	for i := range s.h.Ops { // sessions in the order of their first op, so that reports are equal
		session := s.h.Ops[i].Session
		list := writes[session]
		delete(writes, session)
		slices.SortFunc(list, func(a, b write) int { return cmp.Compare(a.zxid, b.zxid) })
		newest := -1
		for _, w := range list {
			if newest < 0 {
				newest = w.op
				continue
			}
			old, now := s.conn(w.op), s.conn(newest)
			if !old.Joined.IsZero() && old.Joined.Before(now.Dialed) {
				r.add(s.h.Ops[w.op].Call, []int{newest, w.op}, fmt.Sprintf(
					"%s took effect with zxid %s over a connection that its session had left: %s had taken effect with %s over the next one",
					s.op(w.op), hex(w.zxid), s.op(newest), hex(s.zxid(newest))))
			}
			if now.Dialed.Before(old.Dialed) {
				newest = w.op
			}
		}
	}
}

func (s *study) conn(op int) *history.Conn { return &s.h.Conns[s.h.Ops[op].Conn] }

// tookEffect reports whether a write is known to have changed something. How a multi failed only its
// results say, so of one that has no answer it is not known.
func (s *study) tookEffect(op int) bool {
	o := &s.h.Ops[op]
	if s.zxid(op) == 0 {
		return false
	}
	if acknowledged(o) {
		return o.Result.Code == wire.OK && !slices.ContainsFunc(o.Result.Results, func(r history.Result) bool { return r.Kind == wire.OpError })
	}
	if o.Op.Kind == wire.OpMulti {
		return false
	}
	at := s.commits[request{o.Session, o.Xid}]
	return s.h.Commits[at[0]].Code == wire.OK
}
