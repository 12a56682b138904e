package sim

import (
	"slices"

	"quoll/election"
	"quoll/zab"
)

// network is what is between the servers: links for Zab, with the guarantees of package transport,
// and the mesh of the election, which has none.
type network struct {
	w     *World
	ways  [][]way // from, to; by index
	links []*link // of which an end may still hear something
}

// way is one direction between two servers.
type way struct {
	lanes    [2]lane
	deaf     int   // notifications are lost, links live
	slow     int64 // µs more than usual
	slowTo   int64 // until
	meshUp   bool  // the receiver takes the sender for connected
	meshDue  bool
	stale    bool                   // of a process that is gone
	last     *election.Notification // sent again on a new connection
	next     *election.Notification // newest wins: what has not left yet
	lastVote int64                  // when the last notification arrives: they keep their order
}

// lane is what a way has for links, and again for the mesh.
type lane struct {
	blocked int      // by so many nemeses: bytes wait, nobody is told
	parked  []func() // what arrived meanwhile
}

// The lanes of a way.
const (
	linkLane = iota
	meshLane
)

// link is a connection between two processes. End 0 dialed.
type link struct {
	ends [2]end
}

// end is one side of a link.
type end struct {
	link   *link
	side   int
	s      *server
	life   int
	id     zab.LinkID
	open   bool // this side has neither closed it nor heard that it is down
	down   bool // this side was told that nothing more will come
	queue  []item
	busy   bool  // an item is being written
	lastAt int64 // when the last byte so far arrives
}

// item is what waits to be written: a message, or a stream from the log or a snapshot.
type item struct {
	msg     *zab.Message
	history zab.Range
	number  int64
}

func (n *network) init(w *World) {
	n.w = w
	count := len(w.ensemble.Members())
	n.ways = make([][]way, count)
	for i := range n.ways {
		n.ways[i] = make([]way, count)
	}
}

func (n *network) way(from, to zab.ServerID) *way { return &n.ways[from-1][to-1] }

// latency draws how long something is under way.
func (n *network) latency(from, to zab.ServerID) int64 {
	w := n.w
	us := w.between(w.plan.LatencyUs[0], w.plan.LatencyUs[1])
	if w.chance(w.plan.Hiccups) {
		us += w.between(0, 50*w.plan.LatencyUs[1])
	}
	if p := n.way(from, to); p.slowTo > w.now {
		us += w.between(0, p.slow)
	}
	return us
}

// arrive has do happen at a time, or when the lane is open again.
func (n *network) arrive(which int, from, to zab.ServerID, at int64, do func()) {
	n.w.queue.push(at, func() {
		if l := &n.way(from, to).lanes[which]; l.blocked > 0 {
			l.parked = append(l.parked, do)
			return
		}
		do()
	})
}

// block holds back everything on a lane from one server to another, until as many unblocks.
func (n *network) block(which int, from, to zab.ServerID) {
	if from != to {
		n.way(from, to).lanes[which].blocked++
	}
}

func (n *network) unblock(which int, from, to zab.ServerID) {
	if from == to {
		return
	}
	l := &n.way(from, to).lanes[which]
	if l.blocked = max(0, l.blocked-1); l.blocked > 0 {
		return
	}
	parked := l.parked
	l.parked = nil
	for _, do := range parked {
		do()
	}
}

// reach reports whether a connection between two servers can be made now.
func (n *network) reach(which int, a, b *server) bool {
	return a.up && b.up && !a.ailment.stranger && !b.ailment.stranger &&
		n.way(a.id, b.id).lanes[which].blocked == 0 && n.way(b.id, a.id).lanes[which].blocked == 0
}

// ---- links ----

const dialPauseUs = 20_000

// connect dials until there is a link or something else is asked for.
func (n *network) connect(s *server, leader zab.ServerID) {
	dialing := &dial{server: leader}
	s.dialing = dialing
	n.tryDial(s, dialing, n.latency(s.id, leader))
}

func (n *network) disconnect(s *server) { s.dialing = nil }

// dial is one Connect; its address is its identity.
type dial struct{ server zab.ServerID }

func (n *network) tryDial(s *server, d *dial, in int64) {
	n.w.after(in+s.busy(linkTask), s.alive(func() {
		if s.dialing != d {
			return
		}
		if to := n.w.server(d.server); n.reach(linkLane, s, to) {
			s.dialing = nil
			n.linkUp(s, to)
			return
		}
		n.tryDial(s, d, n.w.between(dialPauseUs/4, dialPauseUs))
	}))
}

func (n *network) linkUp(from, to *server) {
	l := &link{}
	for i, s := range []*server{from, to} {
		n.w.lastLink++
		l.ends[i] = end{link: l, side: i, s: s, life: s.life, id: n.w.lastLink, open: true}
	}
	n.links = append(n.links, l)
	n.w.cover.Add("link made")
	from.post(input{kind: inLinkUp, link: l.ends[0].id, server: to.id, flag: true})
	at := n.w.now + n.latency(from.id, to.id)
	l.ends[0].lastAt, l.ends[1].lastAt = at, n.w.now // messages come behind the connection
	n.arrive(linkLane, from.id, to.id, at, func() {
		e := &l.ends[1]
		if e.alive() {
			to.post(input{kind: inLinkUp, link: e.id, server: from.id})
		}
	})
}

// alive reports whether the process that had this end still has it open.
func (e *end) alive() bool { return e.open && e.s.up && e.s.life == e.life }

// hears reports whether what arrives is still handed to the process: also for a link that its Peer
// has closed a moment ago (zab.md N4).
func (e *end) hears() bool { return !e.down && e.s.up && e.s.life == e.life }

func (e *end) other() *end { return &e.link.ends[1-e.side] }

func (n *network) find(s *server, id zab.LinkID) *end {
	for _, l := range n.links {
		for i := range l.ends {
			if e := &l.ends[i]; e.id == id && e.s == s && e.life == s.life {
				return e
			}
		}
	}
	return nil
}

// send queues a message, then the history that comes with it.
func (n *network) send(s *server, env zab.Envelope) {
	e := n.find(s, env.Link)
	if e == nil || !e.open {
		return
	}
	if env.Msg != nil {
		n.w.messages++
		n.w.trace(s.id, "send", e.other().s.id, n.w.messages, describe(env))
		n.coverSend(env)
		e.queue = append(e.queue, item{msg: env.Msg, number: n.w.messages})
	}
	if env.History.To != 0 {
		n.w.cover.Add("history from the log")
		e.queue = append(e.queue, item{history: env.History})
	}
	n.write(e)
}

// write puts what is queued on the wire, in order.
func (n *network) write(e *end) {
	for !e.busy && len(e.queue) > 0 && e.alive() {
		it := e.queue[0]
		e.queue = e.queue[1:]
		switch {
		case it.msg == nil:
			n.writeHistory(e, it.history)
		case it.msg.Kind == zab.Snap:
			n.writeSnapshot(e, it)
		default:
			n.put(e, it.msg, it.number)
		}
	}
}

// arrival draws when what leaves an end now is at the other one, behind everything before it.
func (n *network) arrival(e *end) int64 {
	return max(n.w.now+n.latency(e.s.id, e.other().s.id), e.lastAt)
}

// put has a message arrive at the other side, behind everything before it.
func (n *network) put(e *end, m *zab.Message, number int64) {
	o := e.other()
	at := n.arrival(e)
	e.lastAt = at
	own := *m // the receiver owns it
	n.arrive(linkLane, e.s.id, o.s.id, at, func() {
		if !o.open {
			n.w.cover.Add("message for a link that is gone")
		}
		if o.hears() {
			o.s.post(input{kind: inMessage, link: o.id, server: e.s.id, msg: &own, number: number})
		}
	})
}

// writeHistory reads a stretch of the log when its turn comes. A log that cannot give it ends the
// link.
func (n *network) writeHistory(e *end, r zab.Range) {
	err := e.s.log.Read(r.From, r.To, func(txns []zab.Txn) error {
		for len(txns) > 0 {
			k := int(n.w.between(1, int64(min(len(txns), 16))))
			m := &zab.Message{Kind: zab.Proposal}
			for _, t := range txns[:k] {
				m.Txns = append(m.Txns, zab.Txn{Zxid: t.Zxid, Data: slices.Clone(t.Data)})
			}
			n.put(e, m, 0)
			txns = txns[k:]
		}
		return nil
	})
	if e.s.point() {
		return
	}
	if err != nil {
		n.w.cover.Add("history is not in the log any more")
		n.cut(e.link)
	}
}

// writeSnapshot sends the file in pieces that take time; both sides hear that the link is alive.
// What comes behind it on the link waits.
func (n *network) writeSnapshot(e *end, it item) {
	file, err := readSnapshot(e.s, it.msg.Zxid)
	if e.s.point() {
		return
	}
	if err != nil {
		n.w.cover.Add("snapshot to be sent is gone")
		n.cut(e.link)
		return
	}
	e.busy = true
	n.writePiece(e, it, file, int(n.w.between(0, n.w.plan.SnapPieces)))
}

func (n *network) writePiece(e *end, it item, file []byte, pieces int) {
	o := e.other()
	n.w.after(n.latency(e.s.id, o.s.id), func() {
		switch {
		case !e.alive() || !o.alive():
			if o.alive() { // what has arrived is half a snapshot: it must leave no trace
				n.half(o, it.msg.Zxid, file)
			}
		case n.way(e.s.id, o.s.id).lanes[linkLane].blocked > 0:
			n.writePiece(e, it, file, pieces)
		case pieces > 0:
			e.s.post(input{kind: inProgress, link: e.id})
			o.s.post(input{kind: inProgress, link: o.id})
			n.writePiece(e, it, file, pieces-1)
		default:
			e.busy = false
			n.snapshotArrives(e, it, file)
			n.write(e)
		}
	})
}

func (n *network) half(o *end, z zab.Zxid, file []byte) {
	n.w.cover.Add("half a snapshot received")
	cut := n.w.rnd.IntN(len(file))
	err := o.s.receiveSnapshot(z, int64(len(file)), file[:cut])
	switch {
	case o.s.fault.Stopped():
		o.s.crash(o.s.ailment.crashPower)
	case o.s.log.Err() != nil:
		o.s.fail(o.s.log.Err())
	case err == nil:
		n.w.fail("R10", o.s.id, "%d of %d bytes of the snapshot of %v were taken for all of it", cut, len(file), z)
	}
}

// snapshotArrives stores it on the other side, off its loop, then tells the loop.
func (n *network) snapshotArrives(e *end, it item, file []byte) {
	o := e.other()
	at := n.arrival(e)
	e.lastAt = at + o.s.busy(linkTask)
	n.arrive(linkLane, e.s.id, o.s.id, at, func() {
		if !o.hears() {
			return
		}
		err := o.s.receiveSnapshot(it.msg.Zxid, int64(len(file)), file)
		switch {
		case o.s.fault.Stopped():
			o.s.crash(o.s.ailment.crashPower)
		case o.s.log.Err() != nil:
			o.s.fail(o.s.log.Err())
		case err != nil:
			n.w.cover.Add("snapshot could not be stored")
			n.cut(e.link)
			o.down = true // nothing from behind a gap
		default:
			own := *it.msg
			n.w.cover.Add("snapshot received")
			o.s.post(input{kind: inMessage, link: o.id, server: e.s.id, msg: &own, number: it.number})
		}
	})
}

// hangUp closes a link from one side. The Peer has forgotten it; the other side hears of it behind
// what was sent before.
func (n *network) hangUp(s *server, id zab.LinkID) {
	e := n.find(s, id)
	if e == nil || !e.open {
		return
	}
	e.shut()
	n.w.after(n.latency(s.id, s.id), e.bury)
	n.tell(e.other(), n.arrival(e))
	n.forget(e.link)
}

// tell has one side learn at some time that its link is down.
func (n *network) tell(e *end, at int64) {
	n.arrive(linkLane, e.other().s.id, e.s.id, at, func() {
		if e.alive() {
			e.shut()
			e.bury()
			n.forget(e.link)
		}
	})
}

// shut ends an end: what it has not put on the wire yet is lost.
func (e *end) shut() { e.open, e.queue = false, nil }

// bury tells the process that nothing more will come of a link.
func (e *end) bury() {
	if e.hears() {
		e.down = true
		e.s.post(input{kind: inLinkDown, link: e.id})
	}
}

// cut resets a link: what is under way is lost, a suffix on each side, and each side learns of it in
// its own time, one perhaps much later.
func (n *network) cut(l *link) {
	n.w.cover.Add("link broken")
	for i := range l.ends {
		e := &l.ends[i]
		if !e.alive() {
			continue
		}
		late := n.latency(e.s.id, e.s.id)
		if n.w.chance(n.w.plan.HalfOpen) {
			n.w.cover.Add("half-open link")
			late += n.w.between(0, n.w.plan.TickUs*int64(n.w.plan.SyncTicks)/2)
		}
		e.shut()
		e.down = !n.w.chance(500) // half of the time something that is under way still arrives
		n.w.after(late, e.s.alive(func() { e.s.post(input{kind: inLinkDown, link: e.id}) }))
	}
	n.forget(l)
}

// forget drops links of which both ends are gone.
func (n *network) forget(l *link) {
	if l.ends[0].alive() || l.ends[1].alive() {
		return
	}
	n.links = slices.DeleteFunc(n.links, func(o *link) bool { return o == l })
}

// left: a process is gone. With the power gone too nobody closes its connections: the others notice
// by silence, or when the machine is back.
func (n *network) left(s *server, power bool) {
	s.dialing = nil
	for _, l := range slices.Clone(n.links) {
		for i := range l.ends {
			e := &l.ends[i]
			if e.s != s || !e.open {
				continue
			}
			e.shut()
			late := n.latency(s.id, e.other().s.id)
			if power && n.w.chance(n.w.plan.HalfOpen) {
				n.w.cover.Add("silent death")
				late += n.w.between(0, 2*n.w.plan.TickUs*int64(n.w.plan.SyncTicks))
			}
			n.tell(e.other(), max(n.w.now+late, e.lastAt))
		}
		n.forget(l)
	}
	for _, o := range n.w.servers {
		if o != s {
			way := n.way(s.id, o.id)
			way.next, way.last, way.stale = nil, nil, true
			n.mesh(o.id, s.id, n.latency(s.id, o.id))
			n.way(o.id, s.id).meshUp = false
		}
	}
}
