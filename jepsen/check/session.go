package check

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"quoll/jepsen/history"
	"quoll/transport/wire"
	"quoll/zab"
)

func (s *study) sessions() []Violation {
	r := &report{check: "C-SESS"}
	s.handshakes(r)
	if s.complete {
		s.opened(r)
		s.overForGood(r)
	} else {
		s.tookEffectBehind(r)
	}
	return r.list
}

// handshakes judges what connections were answered.
func (s *study) handshakes(r *report) {
	refused, first := map[zab.SessionID]history.Moment{}, map[zab.SessionID]history.Moment{}
	for _, i := range s.byJoin() {
		c := &s.h.Conns[i]
		since, dead := refused[c.Asked]
		switch {
		case c.Expired && c.Asked != 0:
			if _, ok := s.closed[c.Asked]; s.complete && !ok {
				r.add(c.Joined, nil, fmt.Sprintf("client %d was told at %s that its %s is over, but nothing has closed it",
					c.Client, seconds(c.Joined), session(c.Asked)))
			}
			if !dead {
				refused[c.Asked] = c.Joined
			}
		case c.Expired:
		case c.Asked != 0 && c.Session != c.Asked:
			r.add(c.Joined, nil, fmt.Sprintf("client %d asked to go on with %s and was given %s",
				c.Client, session(c.Asked), session(c.Session)))
		case c.Asked != 0 && dead && since.Before(c.Dialed):
			r.add(c.Joined, nil, fmt.Sprintf("client %d went on with %s at %s, which was over at %s",
				c.Client, session(c.Asked), seconds(c.Joined), seconds(since)))
		case c.Asked == 0:
			if at, again := first[c.Session]; again {
				r.add(c.Joined, nil, fmt.Sprintf("client %d was given %s at %s, which is that of another since %s",
					c.Client, session(c.Session), seconds(c.Joined), seconds(at)))
			}
			first[c.Session] = c.Joined
		}
	}
}

// byJoin returns the connections that got an answer, in the order of these.
func (s *study) byJoin() []int {
	var conns []int
	for i := range s.h.Conns {
		if !s.h.Conns[i].Joined.IsZero() {
			conns = append(conns, i)
		}
	}
	slices.SortFunc(conns, func(a, b int) int { return cmp.Compare(s.h.Conns[a].Joined.Seq, s.h.Conns[b].Joined.Seq) })
	return conns
}

// opened: every id is opened once, and before a client has it.
func (s *study) opened(r *report) {
	by := map[zab.SessionID]int{}
	for i := range s.h.Commits {
		c := &s.h.Commits[i]
		if c.Op.Kind != wire.OpCreateSession || s.h.Commits[i].Code != wire.OK {
			continue
		}
		if old, again := by[c.Session]; again {
			r.add(s.h.End, nil, fmt.Sprintf("%s was opened with zxid %v and again with %v",
				session(c.Session), s.h.Commits[old].Zxid, c.Zxid))
		}
		by[c.Session] = i
	}
	for i := range s.h.Conns {
		c := &s.h.Conns[i]
		if _, ok := by[c.Session]; !ok && c.Session != 0 && c.Asked == 0 {
			r.add(c.Joined, nil, fmt.Sprintf("client %d was given %s at %s, which nothing has opened",
				c.Client, session(c.Session), seconds(c.Joined)))
		}
	}
}

// overForGood: what a session asks for behind its end fails.
func (s *study) overForGood(r *report) {
	for i := range s.h.Commits {
		c := &s.h.Commits[i]
		end, over := s.closed[c.Session]
		if c.Session == 0 || !over || end >= i || c.Code != wire.OK || !s.changed(i) {
			continue
		}
		text := fmt.Sprintf("%s took effect with zxid %v, but %s was closed with %v",
			asks(&c.Op), c.Zxid, session(c.Session), s.h.Commits[end].Zxid)
		r.add(s.h.End, s.asked[request{c.Session, c.Xid}], text)
	}
}

// changed reports whether the servers may have changed something for a commit that they say is
// well. closeSession may come twice; a multi may say how it failed in its results.
func (s *study) changed(commit int) bool {
	switch c := &s.h.Commits[commit]; c.Op.Kind {
	case wire.OpCloseSession, wire.OpCreateSession:
		return false
	case wire.OpMulti:
		asked := s.asked[request{c.Session, c.Xid}]
		return len(asked) == 1 && acknowledged(&s.h.Ops[asked[0]]) &&
			!slices.ContainsFunc(s.h.Ops[asked[0]].Result.Results, func(r history.Result) bool { return r.Kind == wire.OpError })
	default:
		return true
	}
}

// end returns the zxid that closes a session, from the committed sequence or from the answer to the
// client that asked for it; 0 when it is not known.
func (s *study) end(id zab.SessionID) int64 {
	if at, ok := s.closed[id]; ok {
		return int64(s.h.Commits[at].Zxid)
	}
	return s.endings()[id].zxid
}

// outlived returns the session of an ephemeral that a read shows behind the end of the session.
func (s *study) outlived(o *history.Operation) zab.SessionID {
	dead := func(id zab.SessionID) bool {
		end := int64(0)
		if id != 0 {
			end = s.end(id)
		}
		return end != 0 && end <= o.Zxid
	}
	if owner := o.Result.Stat.EphemeralOwner; o.Result.Code == wire.OK && dead(owner) {
		return owner
	}
	for i := range o.Result.Results {
		if owner := o.Result.Results[i].Stat.EphemeralOwner; dead(owner) {
			return owner
		}
	}
	if o.Op.Kind == wire.OpGetEphemerals && len(o.Result.Children) > 0 && dead(o.Session) {
		return o.Session
	}
	return 0
}

func (s *study) ephemerals() []Violation {
	r := &report{check: "C-EPHLIFE"}
	for i := range s.h.Ops {
		o := &s.h.Ops[i]
		if !s.state(o) {
			continue
		}
		if owner := s.outlived(o); owner != 0 {
			r.add(o.Return, []int{i}, fmt.Sprintf("%s shows an ephemeral of %s by a server that says it has applied %s, but %s",
				s.op(i), session(owner), hex(o.Zxid), s.whyOver(owner)))
		}
	}
	if s.complete {
		s.expiries(r)
	} else {
		s.toldTooEarly(r)
		r.list = append(r.list, s.alone(r.check)...)
	}
	return r.list
}

// touch is when a session was surely alive for those who expire it.
type touch struct {
	at        int64 // µs: the earliest that it can have been
	timeoutMs int32
	what      string
}

// expiries: when a session is closed without its client having asked, a timeout has passed since
// the leader heard of it last. When that was committed nobody has seen; but it cannot have been
// later than the first answer or event that reflects it.
func (s *study) expiries(r *report) {
	shown := s.firstShown()
	for id, at := range s.closedInOrder() {
		c := &s.h.Commits[at]
		if c.Xid != 0 {
			continue
		}
		latest, ok := shown(int64(c.Zxid))
		if !ok {
			continue
		}
		last, touched := s.lastTouch(id, latest)
		if !touched {
			continue
		}
		if latest.At < last.until(s.limits.Rate) {
			r.add(latest, nil, fmt.Sprintf("%s with a timeout of %d ms had expired by %s (zxid %v), but had %s not before %s",
				session(id), last.timeoutMs, seconds(latest), c.Zxid, last.what, seconds(history.Moment{At: last.at})))
		}
	}
}

// closedInOrder yields the closed sessions by the zxid of their end.
func (s *study) closedInOrder() func(yield func(zab.SessionID, int) bool) {
	return func(yield func(zab.SessionID, int) bool) {
		for i := range s.h.Commits {
			if at, ok := s.closed[s.h.Commits[i].Session]; ok && at == i && !yield(s.h.Commits[i].Session, i) {
				return
			}
		}
	}
}

// firstShown returns a function that finds the first moment at which anybody was shown a zxid or a
// later one.
func (s *study) firstShown() func(zxid int64) (history.Moment, bool) {
	type shown struct {
		zxid int64
		at   history.Moment
	}
	var all []shown
	for _, x := range s.allAnswers() {
		all = append(all, shown{x.zxid, x.at})
	}
	for i := range s.h.Events {
		all = append(all, shown{s.h.Events[i].Zxid, s.h.Events[i].At})
	}
	slices.SortFunc(all, func(a, b shown) int { return cmp.Compare(a.zxid, b.zxid) })
	for i := len(all) - 2; i >= 0; i-- {
		if all[i+1].at.Before(all[i].at) {
			all[i].at = all[i+1].at
		}
	}
	return func(zxid int64) (history.Moment, bool) {
		i, _ := slices.BinarySearchFunc(all, zxid, func(x shown, z int64) int { return cmp.Compare(x.zxid, z) })
		if i == len(all) {
			return history.Moment{At: math.MaxInt64}, false
		}
		return all[i].at, true
	}
}

// lastTouch finds the last that was heard of a session before a moment. A server hears of a request
// between its call and its return, so the call counts. Only what opens a connection is put to the
// leader at once, and what it makes a txn of. The others it learns of when the server reports whom it
// heard from, and a server may be cut off for a while before it notices.
func (s *study) lastTouch(id zab.SessionID, before history.Moment) (last touch, ok bool) {
	timeout := int32(0)
	better := func(t touch) {
		if !ok || t.at > last.at {
			last, ok = t, true
		}
	}
	for _, i := range s.connsOf()[id] {
		c := &s.h.Conns[i]
		if c.Joined.IsZero() || c.Expired || !c.Joined.Before(before) {
			continue
		}
		timeout = c.TimeoutMs
		if c.Asked == 0 || s.limits.Moves { // a new session is a txn; a move a leader that is deposed may grant
			better(touch{c.Dialed.At, timeout, "a connection that was dialed"})
		}
		for _, op := range s.conns[i] {
			o := &s.h.Ops[op]
			if !o.Known() || o.Session != id || !o.Return.Before(before) || o.Op.Kind == wire.OpCloseSession {
				continue
			}
			if s.limits.Writes && acknowledged(o) && o.Result.Code == wire.OK {
				better(touch{o.Call.At, timeout, "sent a write that was acknowledged,"})
			}
			if s.limits.TouchUs >= 0 {
				better(touch{o.Call.At - s.limits.TouchUs, timeout, "sent a request that was answered,"})
			}
		}
	}
	return last, ok
}

// connsOf returns the connections of each session.
func (s *study) connsOf() map[zab.SessionID][]int {
	if s.bySession == nil {
		s.bySession = map[zab.SessionID][]int{}
		for i := range s.h.Conns {
			c := &s.h.Conns[i]
			s.bySession[c.Session] = append(s.bySession[c.Session], i)
		}
	}
	return s.bySession
}
