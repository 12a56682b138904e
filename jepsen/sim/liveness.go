package sim

import (
	"fmt"
	"strings"

	"quoll/jepsen/history"
	"quoll/transport/wire"
	"quoll/zab"
)

// The second half of a run: a core of servers that is a quorum is healed for good, the rest stays as
// broken as it likes, and the core must make progress alone (zab.md 3.5).

// Bounds of what a healed core may take, in µs of virtual time. They are far above what it needs
// (an election is a few ticks, an init window a second), and fixed.
const (
	electUs  = 30_000_000
	settleUs = 20_000_000
	workUs   = 600_000
	pollUs   = 20_000
)

// heal ends the faults and chooses the core.
func (w *World) heal() {
	if w.broken != nil {
		return
	}
	w.calm = true
	w.drawCore()
	for _, s := range w.servers {
		if w.core.Has(s.id) {
			s.recoverMachine()
		} else {
			s.ailment.keepDown += 1000
			if w.chance(500) {
				s.crash(true)
			}
		}
	}
	w.net.heal(func(a zab.ServerID) bool { return w.core.Has(a) })
	for _, c := range w.clients {
		c.partners = c.partners[:0]
		for _, s := range w.servers {
			if w.core.Has(s.id) {
				c.partners = append(c.partners, s.id)
			}
		}
		if c.silent {
			c.silent = false
			c.redial()
		}
		if c.conn != nil && !w.core.Has(c.conn.s.id) {
			c.leave()
		}
	}
	w.until(max(w.now, w.lag)) // what a pause has put off happens only then
	w.trace(0, "act", 0, 0, func() string { return "healed" })
}

// drawCore takes everybody, or only as many as a quorum needs. A server that has forgotten everything
// does not count for it.
func (w *World) drawCore() {
	all := w.chance(500)
	var counted zab.Set
	w.core = zab.Set{}
	for _, k := range w.rnd.Perm(len(w.servers)) {
		s := w.servers[k]
		if !all && w.ensemble.Quorum(counted) {
			break
		}
		w.core.Add(s.id)
		if !s.memoryless() {
			counted.Add(s.id)
		}
	}
}

// recoverMachine takes every ailment away and has a process run.
func (s *server) recoverMachine() {
	s.ailment = ailment{wallMs: s.ailment.wallMs, restarting: s.ailment.restarting, damaged: s.ailment.damaged}
	if s.up {
		s.disk.kick()
		return
	}
	s.restart()
}

// heal opens every way inside the core, and closes those between the core and the rest.
func (n *network) heal(core func(zab.ServerID) bool) {
	for i := range n.ways {
		for j := range n.ways[i] {
			p := &n.ways[i][j]
			from, to := zab.ServerID(i+1), zab.ServerID(j+1)
			p.slow, p.slowTo, p.deaf = 0, 0, 0
			for lane := range p.lanes {
				if core(from) != core(to) {
					p.lanes[lane].blocked = 1000
				} else if p.lanes[lane].blocked > 0 {
					p.lanes[lane].blocked = 1
					n.unblock(lane, from, to)
				}
			}
		}
	}
	n.w.plan.VoteLoss, n.w.plan.VoteTwice, n.w.plan.HalfOpen, n.w.plan.Hiccups = 0, 0, 0, 0
}

// await lets the world run until ok, and fails with check when that takes too long.
func (w *World) await(us int64, check, what string, ok func() bool) bool {
	for end := w.now + us; w.broken == nil; {
		if ok() {
			return true
		}
		if w.now >= end {
			w.fail(check, 0, "%s: not after %d s of virtual time\n%s", what, us/1_000_000, w.state())
			return false
		}
		w.until(min(end, w.now+pollUs))
	}
	return false
}

// state describes all servers, for the message of a failure.
func (w *World) state() string {
	var b strings.Builder
	for _, s := range w.servers {
		fmt.Fprintf(&b, "  server %d core=%v up=%v", s.id, w.core.Has(s.id), s.up)
		if s.up {
			z := s.peer.Zab()
			fmt.Fprintf(&b, " %v/%v epoch=%d leader=%d accepted=%d current=%d logged=%v committed=%v delivered=%v silent=%v looking=%v round=%d serving=%v open=%d",
				z.Role(), z.Phase(), z.Epoch(), z.Leader(), z.AcceptedEpoch(), z.CurrentEpoch(), z.LastLogged(), z.Committed(), z.Delivered(),
				z.Silent(), s.peer.Looking(), s.round, s.peer.Serving(), s.peer.Open())
		}
		b.WriteByte('\n')
	}
	for _, c := range w.clients {
		fmt.Fprintf(&b, "  client %d session=%x connected=%v joined=%v open=%d stopped=%v\n", c.id, c.session, c.conn != nil, c.joined, len(c.open), c.stopped)
	}
	return b.String()
}

// converge demands what must come true once the core is healed, and what is asked of sessions when no
// request is open any more.
func (w *World) converge(ofSessions ...func() bool) {
	if !w.await(electUs, "L-JOIN", "one leader that all of the core serve with", w.oneLeader) {
		return
	}
	// Damage of before may show only now: a link that broke unnoticed, a leader that nobody follows
	// any more. After that there is no reason left for another election.
	w.until(w.now + w.noticeUs())
	if !w.await(electUs, "L-JOIN", "one leader that all of the core serve with", w.oneLeader) {
		return
	}
	leader, used := w.leader(), w.cover[counterUsedUp]
	w.until(w.now + workUs) // clients work with it
	for _, c := range w.clients {
		c.stopped = true
	}
	if !w.await(electUs, "L-OPS", "all requests of clients are answered", w.quiet) {
		return
	}
	for _, hold := range ofSessions {
		if !hold() {
			return
		}
	}
	if !w.await(settleUs, "L-CONV", "all of the core have applied all that is committed", w.equal) {
		return
	}
	if w.broken == nil && w.leader() != leader && w.cover[counterUsedUp] == used {
		w.fail("L-LEADER", 0, "the leader of a healed core changed\n%s", w.state())
	}
}

// noticeUs is the time in which a server notices that another one does not hear it, and the other one
// that it was left.
func (w *World) noticeUs() int64 {
	return 2 * int64(w.plan.SyncTicks+w.plan.PingTicks) * w.plan.TickUs * 5 / 4
}

// counterUsedUp counts the leaderships that rightly end while all is well (R22).
const counterUsedUp = "left: " + string(zab.CounterUsedUp)

// oneLeader reports whether all of the core serve in the same epoch.
func (w *World) oneLeader() bool {
	l := w.leader()
	if l == nil || !w.core.Has(l.id) {
		return false
	}
	for _, s := range w.servers {
		if w.core.Has(s.id) && (!s.up || !s.peer.Serving() || s.peer.Zab().Epoch() != l.peer.Zab().Epoch()) {
			return false
		}
	}
	return true
}

// quiet reports whether no client waits for anything.
func (w *World) quiet() bool {
	for _, c := range w.clients {
		if len(c.open) > 0 || c.session != 0 && !c.joined || c.session == 0 && c.conn != nil {
			return false
		}
	}
	return true
}

// sessionsWork: every session that is alive can write where its client is connected now, wherever it
// was before. One disconnection is a server's right: the leader may not know yet where a session
// lives that has only read since it moved (R27). Another one is each new leader's.
func (w *World) sessionsWork() bool {
	for _, c := range w.clients {
		c.last = true
		used := w.cover[counterUsedUp]
		for try := 1; w.broken == nil; try++ {
			if !w.await(electUs, "L-OPS", "every client is connected", func() bool { return c.session == 0 || c.joined }) {
				return false
			}
			if c.session == 0 {
				break
			}
			n := c.ask(history.Op{Kind: wire.OpCreate, Path: "/last-" + itoa(int64(c.id)) + "-" + itoa(int64(try)), ACL: wire.OpenACL})
			conn := c.conn
			if !w.await(electUs, "L-OPS", "a last write is answered", func() bool { return w.record.Ops[n].Known() || c.conn != conn }) {
				return false
			}
			if code := w.record.Ops[n].Result.Code; w.record.Ops[n].Known() && (code == wire.OK || code == wire.NoAuth) {
				break
			}
			if try >= 2+w.cover[counterUsedUp]-used {
				w.fail("L-OPS", 0, "a write of session %x at a server of the healed core fails again and again\n%s", c.session, w.state())
			}
		}
	}
	return w.broken == nil
}

// sessionsEnd: sessions that nobody touches any more expire, the others do not (L-SESS).
func (w *World) sessionsEnd() bool {
	gone, most := map[zab.SessionID]bool{}, int64(0)
	for _, c := range w.clients {
		if c.session == 0 || c.id%2 == 1 {
			continue
		}
		gone[c.session] = true
		most = max(most, c.patience)
		c.silent = true
		if c.conn != nil {
			c.leave()
		}
	}
	ended := func() bool {
		t := w.leader()
		for id := range gone { // any order: a conjunction
			if t == nil {
				return false
			}
			if _, alive := t.peer.Tree().Session(id); alive {
				return false
			}
		}
		return true
	}
	if !w.await(3*most+settleUs, "L-SESS", "abandoned sessions expire", ended) {
		return false
	}
	for _, c := range w.clients {
		if c.session == 0 || gone[c.session] || !c.joined || c.closing() {
			continue
		}
		if _, alive := w.leader().peer.Tree().Session(c.session); !alive {
			w.fail("L-SESS", 0, "the session %x of client %d expired although it was touched", c.session, c.id)
			return false
		}
	}
	return true
}

// equal reports whether all of the core show all that is committed.
func (w *World) equal() bool {
	canon := w.checker.Canon()
	for _, s := range w.servers {
		if !w.core.Has(s.id) {
			continue
		}
		if !s.up || len(canon) > 0 && s.peer.Tree().Applied() != canon[len(canon)-1] {
			return false
		}
	}
	return true
}
