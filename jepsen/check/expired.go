package check

import (
	"fmt"
	"math"

	"quoll/jepsen/history"
	"quoll/transport/wire"
	"quoll/zab"
)

// ending is how the end of a session is known where there is no committed sequence: its client was
// answered that it is closed, or told that it is over.
type ending struct {
	zxid int64          // it was closed with this one, or a lower one
	told history.Moment // zero: zxid is that of its closeSession
	by   int            // the op that came after told
}

// endings holds the sessions whose clients know them to be over. One that is called over is closed
// already (R25), so all that is proposed later has a higher zxid, and a sync that is called later
// covers its end.
func (s *study) endings() map[zab.SessionID]ending {
	if s.ended != nil {
		return s.ended
	}
	s.ended = map[zab.SessionID]ending{}
	for i := range s.h.Ops {
		if o := &s.h.Ops[i]; o.Op.Kind == wire.OpCloseSession && acknowledged(o) && o.Result.Code == wire.OK {
			s.ended[o.Session] = ending{zxid: o.Zxid, by: i}
		}
	}
	if s.complete {
		return s.ended
	}
	order := s.byJoin()
	lowest := ending{zxid: math.MaxInt64}
	for i := len(s.h.Ops) - 1; i >= 0 || len(order) > 0; i-- { // from the end, with the lowest zxid of what came later
		for len(order) > 0 {
			c := &s.h.Conns[order[len(order)-1]]
			if i >= 0 && c.Joined.Before(s.h.Ops[i].Call) {
				break
			}
			order = order[:len(order)-1]
			if old, known := s.ended[c.Asked]; c.Expired && c.Asked != 0 && lowest.zxid < math.MaxInt64 && (!known || lowest.zxid < old.zxid) {
				s.ended[c.Asked] = ending{lowest.zxid, c.Joined, lowest.by}
			}
		}
		if i < 0 {
			break
		}
		o := &s.h.Ops[i]
		covers := acknowledged(o) || o.Op.Kind == wire.OpSync && s.state(o) && o.Result.Code == wire.OK
		if covers && o.Zxid > 0 && o.Zxid < lowest.zxid {
			lowest = ending{zxid: o.Zxid, by: i}
		}
	}
	return s.ended
}

// whyOver says how the end of a session is known.
func (s *study) whyOver(id zab.SessionID) string {
	e := s.endings()[id]
	if e.told.IsZero() {
		return "the session was closed with " + hex(s.end(id))
	}
	return fmt.Sprintf("its client was told at %s that the session is over, and %s, which was called later, was answered with %s",
		seconds(e.told), s.op(e.by), hex(e.zxid))
}

// tookEffectBehind: what a session asks for behind its end fails.
func (s *study) tookEffectBehind(r *report) {
	for _, e := range s.partly().effects {
		o := &s.h.Ops[e.op]
		end, over := s.endings()[o.Session]
		if !over || o.Op.Kind == wire.OpCloseSession || e.zxid < end.zxid || e.zxid == end.zxid && end.told.IsZero() {
			continue
		}
		at := o.Return
		if !o.Known() {
			at = s.h.End
		}
		r.add(at, []int{e.op}, fmt.Sprintf("%s took effect with zxid %s, but %s", s.op(e.op), hex(e.zxid), s.whyOver(o.Session)))
	}
}

// toldTooEarly: a client that has not asked for the end of its session is told of it only when a
// timeout has passed since the leader heard of it last.
func (s *study) toldTooEarly(r *report) {
	done := map[zab.SessionID]bool{}
	for i := range s.h.Ops {
		if o := &s.h.Ops[i]; o.Op.Kind == wire.OpCloseSession {
			done[o.Session] = true
		}
	}
	for _, i := range s.byJoin() {
		c := &s.h.Conns[i]
		if !c.Expired || c.Asked == 0 || done[c.Asked] {
			continue
		}
		done[c.Asked] = true
		last, touched := s.lastTouch(c.Asked, c.Joined)
		if touched && c.Joined.At < last.until(s.limits.Rate) {
			r.add(c.Joined, nil, fmt.Sprintf("client %d was told at %s that %s with a timeout of %d ms is over, but it had %s not before %s",
				c.Client, seconds(c.Joined), session(c.Asked), last.timeoutMs, last.what, seconds(history.Moment{At: last.at})))
		}
	}
}

// until returns the time before which a session that was alive at a touch cannot have expired.
func (t *touch) until(rate int64) int64 {
	return t.at + int64(t.timeoutMs)*1000*1_000_000/(1_000_000+rate)
}
