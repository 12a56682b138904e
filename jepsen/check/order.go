package check

import (
	"cmp"
	"fmt"
	"slices"

	"quoll/jepsen/history"
	"quoll/transport/wire"
	"quoll/zab"
)

// zxidOrder sweeps over the calls of writes with the highest zxid that had returned before.
func (s *study) zxidOrder() []Violation {
	r := &report{check: "C-ZXIDORD"}
	returned, highest := s.byReturn(), -1
	for i := range s.h.Ops {
		z := s.zxid(i)
		if z == 0 {
			continue
		}
		o := &s.h.Ops[i]
		for ; len(returned) > 0 && s.h.Ops[returned[0]].Return.Before(o.Call); returned = returned[1:] {
			if acknowledged(&s.h.Ops[returned[0]]) && (highest < 0 || s.h.Ops[highest].Zxid < s.h.Ops[returned[0]].Zxid) {
				highest = returned[0]
			}
		}
		if highest >= 0 && s.h.Ops[highest].Zxid >= z {
			first := &s.h.Ops[highest]
			r.add(o.Call, []int{highest, i}, fmt.Sprintf("%s got zxid %s, but %s had returned with %s at %s",
				s.op(i), hex(z), s.op(highest), hex(first.Zxid), seconds(first.Return)))
		}
	}
	return r.list
}

// fifo looks at each connection for itself, and at the order of a session's connections. That a write takes effect behind one that had returned
// before is C-ZXIDORD's to say; this is about those that were on their way together.
func (s *study) fifo() []Violation {
	r := &report{check: "C-FIFO"}
	for _, ops := range s.conns {
		s.answersInOrder(r, ops)
		s.writesInOrder(r, ops)
	}
	s.movedOn(r)
	return r.list
}

func (s *study) answersInOrder(r *report, ops []int) {
	open, last := -1, -1
	for _, i := range ops {
		o := &s.h.Ops[i]
		switch {
		case o.Op.Kind == wire.OpAuth: // its answer may overtake others (protocol 8.5)
		case !o.Known():
			open = i
		case open >= 0:
			r.add(o.Return, []int{open, i}, fmt.Sprintf("%s was answered, but not %s before it on its connection", s.op(i), s.op(open)))
		case last >= 0 && o.Return.Before(s.h.Ops[last].Return):
			r.add(o.Return, []int{last, i}, fmt.Sprintf("%s was answered at %s, before %s that came first on its connection",
				s.op(i), seconds(o.Return), s.op(last)))
		default:
			last = i
		}
	}
}

// writesInOrder: those of a connection that took effect did so in the order of asking, and none
// was left out in front of one that was acknowledged.
func (s *study) writesInOrder(r *report, ops []int) {
	highest, lost := -1, -1
	for _, i := range ops {
		o := &s.h.Ops[i]
		z := s.zxid(i)
		switch {
		case !o.Op.IsWrite():
			continue
		case z == 0:
			if s.complete && !o.Known() {
				lost = i
			}
			continue
		case highest >= 0 && s.zxid(highest) >= z && !s.returnedBefore(highest, o.Call):
			r.add(o.Call, []int{highest, i}, fmt.Sprintf("%s got zxid %s, but %s was sent before it and got %s",
				s.op(i), hex(z), s.op(highest), hex(s.zxid(highest))))
		}
		if lost >= 0 && acknowledged(o) {
			r.add(o.Return, []int{lost, i}, fmt.Sprintf("%s was acknowledged, but %s was sent before it and never took effect", s.op(i), s.op(lost)))
			lost = -1
		}
		if highest < 0 || s.zxid(highest) < z {
			highest = i
		}
	}
}

func (s *study) returnedBefore(op int, m history.Moment) bool {
	return s.h.Ops[op].Known() && s.h.Ops[op].Return.Before(m)
}

// readYourWrites compares each answer that is not a write's with the acknowledged writes of its
// session: those sent before it on its connection, and those returned before it was called.
func (s *study) readYourWrites() []Violation {
	r := &report{check: "C-RYW"}
	judge := func(i, write int) {
		o := &s.h.Ops[i]
		if write >= 0 && s.h.Ops[write].Zxid > o.Zxid {
			w := &s.h.Ops[write]
			r.add(o.Return, []int{write, i}, fmt.Sprintf("%s reflects zxid %s, although its own %s was acknowledged with %s at %s",
				s.op(i), hex(o.Zxid), s.op(write), hex(w.Zxid), seconds(w.Return)))
		}
	}
	higher := func(a, b int) int {
		if a < 0 || s.h.Ops[a].Zxid < s.h.Ops[b].Zxid {
			return b
		}
		return a
	}
	returned, done, sent := s.byReturn(), map[zab.SessionID]int{}, map[int]int{}
	for i := range s.h.Ops {
		o := &s.h.Ops[i]
		for ; len(returned) > 0 && s.h.Ops[returned[0]].Return.Before(o.Call); returned = returned[1:] {
			if w := &s.h.Ops[returned[0]]; acknowledged(w) {
				done[w.Session] = higher(found(done, w.Session), returned[0])
			}
		}
		write := found(sent, o.Conn)
		if w := found(done, o.Session); w >= 0 {
			write = higher(write, w)
		}
		switch {
		case acknowledged(o):
			sent[o.Conn] = higher(found(sent, o.Conn), i)
		case s.state(o):
			judge(i, write)
		}
	}
	return r.list
}

func found[K comparable](m map[K]int, k K) int {
	if i, ok := m[k]; ok {
		return i
	}
	return -1
}

// state reports whether the header of an answer tells what the answer reflects, and the answer is
// not that of a write, which is its own txn's.
func (s *study) state(o *history.Operation) bool {
	return o.Known() && o.Zxid >= 0 && !o.Op.IsWrite() && o.Op.Kind != wire.OpAuth && o.Result.Code != wire.Unimplemented
}

// seen is what a session was shown: an answer, an event, or the answer to a ping.
type seen struct {
	at    history.Moment
	zxid  int64
	conn  int
	op    int // -1: no answer to an operation
	event int // -1: no event
}

func (x *seen) isEvent() bool { return x.event >= 0 }

func (x *seen) ops() []int {
	if x.op < 0 {
		return nil
	}
	return []int{x.op}
}

func (s *study) item(x *seen) string {
	switch {
	case x.op >= 0:
		return s.op(x.op)
	case x.isEvent():
		return s.event(x.event)
	default:
		return fmt.Sprintf("the answer to a ping at %s", seconds(x.at))
	}
}

func (s *study) event(i int) string {
	e := &s.h.Events[i]
	return fmt.Sprintf("event %s of %q at %s for %s", e.Type, e.Path, seconds(e.At), session(e.Session))
}

// stream returns what came over a connection, in order.
func (s *study) stream(conn int) []seen {
	all := s.answers(conn)
	for _, i := range s.events[conn] {
		if e := &s.h.Events[i]; e.Zxid > 0 {
			all = append(all, seen{at: e.At, zxid: e.Zxid, conn: conn, op: -1, event: i})
		}
	}
	return inOrder(all)
}

// answers returns the answers that came over a connection, those to pings included.
func (s *study) answers(conn int) []seen {
	var all []seen
	for _, i := range s.conns[conn] {
		if o := &s.h.Ops[i]; s.state(o) || acknowledged(o) {
			all = append(all, seen{at: o.Return, zxid: o.Zxid, conn: conn, op: i, event: -1})
		}
	}
	for _, i := range s.pings[conn] {
		p := &s.h.Heards[i]
		all = append(all, seen{at: p.At, zxid: p.Zxid, conn: conn, op: -1, event: -1})
	}
	return all
}

// allAnswers returns the answers that came over all connections, in order.
func (s *study) allAnswers() []seen {
	var all []seen
	for conn := range s.conns {
		all = append(all, s.answers(conn)...)
	}
	return inOrder(all)
}

func inOrder(all []seen) []seen {
	slices.SortFunc(all, func(a, b seen) int { return cmp.Compare(a.at.Seq, b.at.Seq) })
	return all
}

// monotonic leaves to C-RYW what a read does not see of a write, to C-FIFO and C-ZXIDORD the order
// of writes, and to C-WATCH1 that of events among answers. What a session saw before a connection
// was dialed binds that connection, and so does what the client said it had seen when it asked for
// a new session.
func (s *study) monotonic() []Violation {
	r := &report{check: "C-MONO"}
	floor := s.floors()
	for conn := range s.conns {
		reads, events := limit{}, limit{}
		if conn < len(s.h.Conns) {
			reads = floor(&s.h.Conns[conn])
		}
		for _, x := range s.stream(conn) {
			bound := &reads
			if x.isEvent() {
				bound = &events
			}
			if x.zxid < bound.zxid {
				r.add(x.at, append(bound.by.ops(), x.ops()...),
					fmt.Sprintf("%s has zxid %s, although %s", s.item(&x), hex(x.zxid), s.why(bound)))
			}
			if x.zxid > bound.zxid && !s.isWrite(&x) {
				*bound = limit{x.zxid, x}
			}
		}
	}
	return r.list
}

func (s *study) isWrite(x *seen) bool { return x.op >= 0 && s.h.Ops[x.op].Op.IsWrite() }

// limit is a zxid that what comes later must not be below.
type limit struct {
	zxid int64
	by   seen // where the session saw it; without a moment: its client said so
}

func (s *study) why(l *limit) string {
	if l.by.at.IsZero() {
		return "its client had seen " + hex(l.zxid) + " before"
	}
	return fmt.Sprintf("%s showed %s at %s", s.item(&l.by), hex(l.zxid), seconds(l.by.at))
}

// floors returns a function that finds the limit with which a connection begins. It must be asked for
// connections in the order in which they were dialed.
func (s *study) floors() func(c *history.Conn) limit {
	answers, highest := s.allAnswers(), map[zab.SessionID]seen{}
	return func(c *history.Conn) limit {
		for ; len(answers) > 0 && answers[0].at.Before(c.Dialed); answers = answers[1:] {
			x := answers[0]
			if id := s.sessionOf(&x); !s.isWrite(&x) && x.zxid > highest[id].zxid {
				highest[id] = x
			}
		}
		if c.Asked == 0 && c.SeenZxid > 0 {
			return limit{c.SeenZxid, seen{op: -1}}
		}
		if top := highest[c.Asked]; c.Asked != 0 && top.zxid > 0 {
			return limit{top.zxid, top}
		}
		return limit{}
	}
}

func (s *study) sessionOf(x *seen) zab.SessionID {
	if x.op >= 0 {
		return s.h.Ops[x.op].Session
	}
	return s.h.Conns[x.conn].Session
}

// sync sweeps over the calls of syncs with the highest zxid that anybody had been told of. That
// reads behind a sync keep what it showed is C-MONO's.
func (s *study) sync() []Violation {
	r := &report{check: "C-SYNC"}
	answers, highest := s.allAnswers(), seen{}
	for i := range s.h.Ops {
		o := &s.h.Ops[i]
		if o.Op.Kind != wire.OpSync || !s.state(o) || o.Result.Code != wire.OK {
			continue
		}
		for ; len(answers) > 0 && answers[0].at.Before(o.Call); answers = answers[1:] {
			if answers[0].zxid > highest.zxid {
				highest = answers[0]
			}
		}
		if highest.zxid > o.Zxid {
			r.add(o.Return, append(highest.ops(), i), fmt.Sprintf("%s was answered with zxid %s, although %s had returned with %s at %s",
				s.op(i), hex(o.Zxid), s.item(&highest), hex(highest.zxid), seconds(highest.at)))
		}
	}
	return r.list
}

// watchOrder needs no knowledge of watches: an event names its change.
func (s *study) watchOrder() []Violation {
	r := &report{check: "C-WATCH1"}
	for conn := range s.conns {
		var answer, event seen
		for _, x := range s.stream(conn) {
			switch {
			case !x.isEvent() && x.zxid < event.zxid:
				r.add(x.at, x.ops(), fmt.Sprintf("%s of change %s came before the change could be seen: %s reflects %s only",
					s.event(event.event), hex(event.zxid), s.item(&x), hex(x.zxid)))
			case !x.isEvent() && x.zxid >= answer.zxid:
				answer = x
			case !x.isEvent():
			case answer.zxid >= x.zxid:
				r.add(x.at, answer.ops(), fmt.Sprintf("%s of change %s came after %s had shown %s at %s",
					s.event(x.event), hex(x.zxid), s.item(&answer), hex(answer.zxid), seconds(answer.at)))
			default:
				s.notTooSoon(r, x.event)
			}
			if x.isEvent() && x.zxid > event.zxid {
				event = x
			}
		}
	}
	return r.list
}

// notTooSoon: nobody hears of a change before its author asked for it.
func (s *study) notTooSoon(r *report, event int) {
	e := &s.h.Events[event]
	if !s.complete {
		if op, known := s.partly().acked[e.Zxid]; known && e.At.Before(s.h.Ops[op].Call) {
			r.add(e.At, []int{op}, fmt.Sprintf("%s came before its cause, %s", s.event(event), s.op(op)))
		}
		return
	}
	i, ok := s.pos(e.Zxid)
	if !ok || i < 0 {
		return
	}
	c := &s.h.Commits[i]
	if asked := s.asked[request{c.Session, c.Xid}]; len(asked) == 1 && e.At.Before(s.h.Ops[asked[0]].Call) {
		r.add(e.At, asked, fmt.Sprintf("%s came before its cause, %s", s.event(event), s.op(asked[0])))
	}
}
