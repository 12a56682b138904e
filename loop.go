package quoll

import (
	"context"
	"time"

	"quoll/election"
	"quoll/session"
	"quoll/transport/wire"
	"quoll/tree"
	"quoll/zab"
)

// The queues of a server, all in one place. A full one pushes back on the socket behind it and never grows. What
// they come to in the worst case is added up in docs/ARCHITECTURE.md, "Bounds"; the bounds of the Peer itself are
// flyingBytes and DefaultLeadBytes (peer_requests.go) and zab.DefaultWindowBytes.
const (
	inboxEvents  = 256 // batches of messages from other servers, and reports
	inboxBatches = 256 // batches of client writes; what is in them counts in requestBytes
	spareBatches = 64  // batches kept for use again, 11 KB each
	turnBatches  = 64  // what one turn takes from each at most, so that ticks are not starved

	linkQueueBytes = 64 << 20 // per link; a learner that lags more is dropped and syncs again
	requestBytes   = 64 << 20 // unanswered writes of this server's clients; above it they wait
	unsyncedBytes  = 32 << 20 // txns on their way to the disk; above it a learner takes no more from its link

	// Of all connections together: answers that are not written yet, and requests that wait behind writes. Up to
	// there each may have as much as it likes, within its own bounds; above it, its share.
	clientBytes   = 128 << 20
	connOutBytes  = 64 << 20 // unread answers and events of one client, above which it is dropped; of a multiRead
	outShare      = 1 << 20
	connPipeBytes = 4 << 20 // requests of one connection that wait behind its writes; the rest waits in the socket
	pipeShare     = 64 << 10
	accountBytes  = 4 << 10 // what a connection may hold more or less than is counted of it
)

type eventKind uint8

const (
	evLinkUp eventKind = iota
	evLinkDown
	evMessages
	evProgress
	evNotification
	evMeshUp
	evMeshDown
	evDiskFull
	evSnapshot
)

// event is what a goroutine tells the loop.
type event struct {
	kind     eventKind
	link     zab.LinkID
	server   zab.ServerID
	dialed   bool // evLinkUp
	full     bool // evDiskFull
	messages []*zab.Message
	bytes    int // of the txns in messages
	vote     election.Notification
	snapshot *snapshotDone
}

// post hands an event to the loop; it blocks while the inbox is full.
func (s *Server) post(e event) {
	select {
	case s.inbox <- e:
	case <-s.stopped:
	}
}

// loop owns s.peer and s.act.
func (s *Server) loop(ctx context.Context) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	s.ticked = time.Now()
	s.peer.Clock(s.ticked.UnixMilli())
	s.peer.Start(&s.act)
	s.turn()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.tick()
		case e := <-s.inbox:
			s.take(e)
		case w := <-s.writes:
			s.submit(w)
		case <-s.disk.moved: // gather tells the Peer
		}
		s.gather()
		s.turn()
		s.views.sweep()
	}
}

// gather adds what piled up meanwhile to the turn: it shares one write and one fsync.
func (s *Server) gather() {
	s.peer.Clock(time.Now().UnixMilli())
	if n := s.disk.durable.Load(); n > s.durable {
		s.durable = n
		s.peer.Durable(n, &s.act)
	}
	for range min(len(s.inbox), turnBatches) {
		s.take(<-s.inbox)
	}
	for range min(len(s.writes), turnBatches) {
		s.submit(<-s.writes)
	}
}

// turn ends a turn: its effects are performed, and what applying them made possible follows.
func (s *Server) turn() {
	s.peer.Flush(&s.act)
	s.perform(&s.act)
	s.act.Reset()
	for s.peer.Caught(&s.act) {
		s.peer.Flush(&s.act)
		s.perform(&s.act)
		s.act.Reset()
	}
	s.unsynced.add(-s.taken) // the disk has counted them
	s.taken = 0
	s.publish()
}

// A server that gets too little of the processor misses ticks. It makes them up, few at a time, so
// that what arrived meanwhile is looked at between them; what it missed by being stopped for longer
// than pauseMost is let go: nobody else's silence may be inferred from one's own.
const (
	catchUp   = 4
	pauseMost = time.Second
)

func (s *Server) tick() {
	now := time.Now()
	if now.Sub(s.ticked) > pauseMost {
		s.ticked = now.Add(-tick)
	}
	for range catchUp {
		if now.Sub(s.ticked) < tick {
			break
		}
		s.ticked = s.ticked.Add(tick)
		s.tickOnce(now)
	}
}

func (s *Server) tickOnce(now time.Time) {
	s.snaps.tick(now)
	s.peer.Tick(&s.act)
	if s.clients.due(s.reportTicks) && s.peer.Serving() {
		s.peer.Touch(s.clients.heard(now), &s.act)
	}
}

func (s *Server) submit(w *work) {
	s.brought += w.cost // counted by hand
	for i := range w.handled {
		h := &w.handled[i]
		switch h.Step {
		case StepSubmit:
			s.peer.Submit(h.Ticket, h.Request, &s.act)
		case StepSync:
			s.peer.Sync(h.Ticket, &s.act)
		case StepRevalidate:
			s.peer.Revalidate(h.Ticket, h.Revalidation, &s.act)
		case StepGone:
			s.peer.Gone(h.Conn)
		case StepNone, StepClose:
		}
	}
	s.worked(w)
}

func (s *Server) take(e event) {
	p, out := s.peer, &s.act
	switch e.kind {
	case evLinkUp:
		p.LinkUp(e.link, e.server, e.dialed, out)
	case evLinkDown:
		p.LinkDown(e.link, out)
	case evMessages:
		for _, m := range e.messages {
			p.Receive(e.link, m, out)
		}
		s.taken += e.bytes
	case evProgress:
		p.Progress(e.link)
	case evNotification:
		p.Notification(e.server, e.vote, out)
	case evMeshUp:
		p.MeshUp(e.server, out)
	case evMeshDown:
		p.MeshDown(e.server, out)
	case evDiskFull:
		p.DiskFull(e.full, out)
	case evSnapshot:
		s.snapshotted(e.snapshot)
	}
}

// perform carries out the effects of a turn. The order between them is in the types (Actions);
// the order here only serves speed: the leader's proposals leave before its own disk is asked,
// so that all disks of the ensemble work at once.
func (s *Server) perform(a *Actions) {
	for i := range a.Violations {
		s.complain(&a.Violations[i])
	}
	if s.links != nil {
		for i := range a.Send {
			s.links.Send(a.Send[i])
		}
		for _, v := range a.Votes {
			s.mesh.Notify(v.To, v.N)
		}
		if a.Disconnect {
			s.links.Disconnect()
		}
		if a.Connect != 0 {
			s.links.Connect(a.Connect)
		}
	}
	s.disk.append(a.Persist, a.AfterSync)
	if s.peer.leads() {
		for i := range a.Persist {
			if r := &a.Persist[i]; r.Kind == zab.RecordTxn {
				s.stats.proposals.add(int64(len(r.Data)))
			}
		}
	}
	s.settle(a.Answers) // they rest on the state before the txns
	s.apply(a)
	for _, link := range a.Close {
		s.links.Close(link)
	}
}

// complain tells operators why the Peer closed a link.
func (s *Server) complain(v *zab.Violation) {
	if v.Kind == 0 { // no message did it: there were none for too long
		s.logger.Warn("learner given up as too slow, link closed", "link", v.Link, "why", v.Text)
		return
	}
	s.logger.Warn("protocol violation, link closed", "link", v.Link, "message", v.Kind.String(), "what", v.Text)
}

// applyBytes bounds the txns that are applied under one hold of the write lock, but for a single one
// that is larger: readers wait no longer than a millisecond or so, however much was committed at once.
const applyBytes = 128 << 10

// portion returns how many of txns, of which there are some, one hold of the write lock applies.
func portion(txns []zab.Txn) int {
	n, size := 1, len(txns[0].Data)
	for ; n < len(txns); n++ {
		if size += len(txns[n].Data); size > applyBytes {
			break
		}
	}
	return n
}

// apply applies what is committed, keeping readers out once for a whole portion. Replies and
// events join their connections' buffers before readers return: no read that sees a change can
// be answered before the event that announces it (R29).
func (s *Server) apply(a *Actions) {
	if len(a.Deliver) == 0 && a.Install == 0 {
		return
	}
	if a.Install != 0 {
		s.clients.closeAll() // they compare and set their watches again when they come back
		s.treeMu.Lock()
		s.peer.Install(s.staged.take(a.Install))
		s.treeMu.Unlock()
	}
	for rest := a.Deliver; len(rest) > 0; {
		n := portion(rest)
		s.treeMu.Lock()
		for _, txn := range rest[:n] {
			s.peer.Apply(txn, (*sink)(s))
		}
		s.treeMu.Unlock()
		rest = rest[n:]
	}
	s.wake()
	s.snaps.applied(a.Deliver)
}

// sink is the Server as the receiver of what Apply tells. Its methods run in the loop, under the
// write lock of treeMu.
type sink Server

func (s *sink) Event(id session.ConnID, e wire.EventType, path []byte, z zab.Zxid, acl []wire.ACL) {
	if c := s.clients.byID(id); c != nil {
		c.mu.Lock()
		if !c.overrun() {
			s.peer.Event(&c.Conn, e, path, z, acl)
		}
		c.account()
		c.mu.Unlock()
		s.clients.tell(c)
	}
}

func (s *sink) Before(t Ticket) {
	if c := s.clients.byID(t.Conn); c != nil {
		c.mu.Lock()
		s.peer.Before(&c.Conn, t)
		c.account()
		c.mu.Unlock()
		s.clients.dirty(c)
	}
}

func (s *sink) Reply(t Ticket, r *tree.Result) {
	c := s.clients.byID(t.Conn)
	if c == nil {
		return
	}
	c.mu.Lock()
	if !c.overrun() {
		s.peer.Reply(&c.Conn, t, r)
	}
	c.answered(t.Seq)
	c.account()
	c.mu.Unlock()
	if r.Op == wire.OpCreateSession {
		s.clients.join(c)
	}
	s.clients.dirty(c)
}

func (s *sink) Closed(id zab.SessionID) {
	if c := s.clients.bySession(id); c != nil {
		c.mu.Lock()
		c.Close = true
		c.mu.Unlock()
		s.clients.dirty(c)
	}
}

// settle delivers the answers that took no txn.
func (s *Server) settle(answers []Answer) {
	if len(answers) == 0 {
		return
	}
	s.treeMu.RLock()
	for i := range answers {
		a := &answers[i]
		c := s.clients.byID(a.Conn)
		if c == nil {
			continue
		}
		c.mu.Lock()
		joining := c.Joining()
		if !c.overrun() {
			s.peer.Settle(&c.Conn, a)
		}
		c.answered(a.Seq)
		c.account()
		c.mu.Unlock()
		if joining {
			s.clients.join(c)
		}
		s.clients.dirty(c)
	}
	s.treeMu.RUnlock()
	s.wake()
}
