package sim

import (
	"slices"

	"quoll"
	"quoll/session"
	"quoll/transport/wire"
	"quoll/tree"
	"quoll/zab"
)

// conn is a client connection as the server's process has it: conn.go and clients.go of the root.
type conn struct {
	quoll.Conn
	s       *server
	life    int
	client  *client
	number  int      // of the history
	frames  [][]byte // that came and are not handled yet
	closed  bool
	heard   bool
	lastUs  int64 // when it was heard last
	isDirty bool
	inAt    int64 // when the last byte from the client arrives
	outAt   int64 // when the last byte to the client arrives
	stalled bool  // it is not read on: too many of its requests wait
	stalls  int   // numbers these times
}

// accept takes a client's connection.
func (s *server) accept(cl *client, number int) *conn {
	s.w.lastConn++
	c := &conn{s: s, life: s.life, client: cl, number: number, lastUs: s.w.now}
	c.ID = session.ConnID(s.w.lastConn)
	for i := range c.Password {
		c.Password[i] = byte(s.w.rnd.Uint32())
	}
	s.conns = append(s.conns, c)
	s.open[c.ID] = c
	return c
}

// alive reports whether the process still has the connection.
func (c *conn) alive() bool { return !c.closed && c.s.up && c.s.life == c.life }

// arrive takes a frame from the network.
func (c *conn) arrive(frame []byte) {
	if c.alive() {
		if len(frame) > c.s.w.budget.frame {
			c.s.w.cover.Add("request too large for a frame")
			c.s.hangUp(c)
			return
		}
		c.frames = append(c.frames, frame)
		c.s.w.after(c.s.busy(clientTask), func() {
			if c.alive() {
				c.s.pump(c)
			}
		})
	}
}

// pump handles what came, as far as the gate and the handshake allow. A client that has no session
// yet is sent away while nobody serves.
func (s *server) pump(c *conn) {
	for len(c.frames) > 0 && c.alive() && !c.Joining() {
		if !s.gate {
			if !c.Open() {
				s.hangUp(c)
			}
			return
		}
		if !s.room(c) {
			return
		}
		frame := c.frames[0]
		c.frames = c.frames[1:]
		said := len(c.Out)
		h := s.peer.Handle(&c.Conn, frame)
		if len(c.Out) > said {
			s.w.checker.Responds(s.subject, 0)
		}
		c.heard = true
		switch h.Step {
		case quoll.StepClose:
			s.flush(c)
			s.hangUp(c)
			return
		case quoll.StepNone:
		default:
			s.writes = append(s.writes, h)
			s.wake()
		}
		s.flush(c)
	}
}

// flush sends what the server has to say, and closes the connection behind it if it says so.
func (s *server) flush(c *conn) {
	if c.closed {
		return
	}
	if taken := s.peer.Take(&c.Conn, nil); !taken.Empty() {
		var out []byte
		for part := taken.Next(); len(part) > 0; part = taken.Next() {
			out = append(out, part...)
		}
		c.toClient(func() { c.client.receive(c, out) })
		s.resume(c)
	}
	if c.Close {
		s.hangUp(c)
	}
}

// toClient has something arrive at the client, in order.
func (c *conn) toClient(do func()) {
	w := c.s.w
	c.outAt = max(w.now+w.clientLatency(), c.outAt)
	w.queue.push(c.outAt, do)
}

// hangUp ends a connection from the server's side.
func (s *server) hangUp(c *conn) {
	if c.closed {
		return
	}
	open := c.Joining() || !c.Idle()
	c.closed = true
	s.peer.Drop(&c.Conn)
	s.conns = slices.DeleteFunc(s.conns, func(o *conn) bool { return o == c })
	delete(s.open, c.ID)
	if s.owners[c.Session] == c {
		delete(s.owners, c.Session)
	}
	if open {
		s.writes = append(s.writes, quoll.Handled{Step: quoll.StepGone, Ticket: quoll.Ticket{Conn: c.ID}})
		s.wake()
	}
	c.toClient(func() { c.client.disconnected(c) })
}

// lost tells the client that the process is gone; after a power loss it may take long to notice.
func (c *conn) lost(power bool) {
	c.closed = true
	if w := c.s.w; power && w.chance(w.plan.HalfOpen) {
		return // only its own patience tells it
	}
	c.toClient(func() { c.client.disconnected(c) })
}

// heard returns the sessions heard from since the last call, and ends connections that were silent
// for longer than their session lives.
func (s *server) heard() []zab.SessionID {
	var ids []zab.SessionID
	for _, c := range slices.Clone(s.conns) {
		switch {
		case c.heard:
			c.heard, c.lastUs = false, s.w.now
			if c.Open() {
				ids = append(ids, c.Session)
			}
		case c.Open() && c.Idle() && s.w.now-c.lastUs > int64(c.TimeoutMs)*1000:
			s.hangUp(c)
		}
	}
	slices.Sort(ids)
	return ids
}

// join enters a connection whose handshake is decided. An older one of the same session is closed:
// the newest wins.
func (s *server) join(c *conn) {
	if c.Open() {
		old := s.owners[c.Session]
		if !c.closed {
			s.owners[c.Session] = c
		}
		if old != nil && old != c {
			s.w.cover.Add("an older connection of a session is closed")
			s.hangUp(old)
		}
	}
	s.w.after(s.busy(clientTask), func() {
		if c.alive() {
			s.pump(c)
		}
	})
}

func (s *server) touch(c *conn) {
	if !c.isDirty {
		c.isDirty = true
		s.dirty = append(s.dirty, c)
	}
}

// flushDirty wakes the writers of the connections that a batch of txns wrote to.
func (s *server) flushDirty() {
	for _, c := range s.dirty {
		c.isDirty = false
		s.w.after(s.busy(clientTask), func() {
			if c.alive() {
				s.flush(c)
			}
		})
	}
	s.dirty = s.dirty[:0]
}

// settle delivers the answers that took no txn.
func (s *server) settle(answers []quoll.Answer) {
	for i := range answers {
		a := &answers[i]
		c := s.open[a.Conn]
		if c == nil {
			continue
		}
		joining := c.Joining()
		s.peer.Settle(&c.Conn, a)
		if joining {
			s.join(c)
		}
		s.touch(c)
	}
	s.flushDirty()
}

// Event implements quoll.Sink.
func (s *server) Event(id session.ConnID, e session.EventType, path []byte, z zab.Zxid, acl []wire.ACL) {
	if c := s.open[id]; c != nil {
		s.w.cover.Add("watch event")
		s.peer.Event(&c.Conn, e, path, z, acl)
		s.touch(c)
	}
}

// Before implements quoll.Sink.
func (s *server) Before(t quoll.Ticket) {
	if c := s.open[t.Conn]; c != nil {
		s.peer.Before(&c.Conn, t)
		s.touch(c)
	}
}

// Reply implements quoll.Sink.
func (s *server) Reply(t quoll.Ticket, r *tree.Result) {
	c := s.open[t.Conn]
	if c == nil {
		s.w.cover.Add("answer for a connection that is gone")
		return
	}
	s.w.checker.Responds(s.subject, r.Zxid)
	s.peer.Reply(&c.Conn, t, r)
	if r.Op == wire.OpCreateSession {
		s.join(c)
	}
	s.touch(c)
}

// Closed implements quoll.Sink.
func (s *server) Closed(id zab.SessionID) {
	s.w.cover.Add("session closed")
	if c := s.owners[id]; c != nil {
		c.Close = true
		s.touch(c)
	}
}
