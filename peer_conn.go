package quoll

import (
	"slices"

	"quoll/session"
	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/tree"
	"quoll/zab"
)

// settled is the outcome of a request that took no txn: a barrier, or a write that was refused.
type settled struct {
	seq  uint64
	xid  zab.Xid
	code wire.Code
}

// connState is how far a client connection has come.
type connState uint8

const (
	greeting connState = iota // nothing came yet: the next frame is a ConnectRequest
	joining                   // its session is being created or moved here
	open
	ending // nothing that comes is looked at any more
)

// Conn is what the core knows of a client connection. All of it belongs to whoever holds the
// connection's lock; Handle also needs the tree's read lock, Reply, Event and Settle are called
// where the tree cannot change.
type Conn struct {
	ID      session.ConnID
	Session zab.SessionID
	Auth    []zab.AuthID // replaced, never changed in place: requests on their way share it

	// Password is that of the session; before it exists, random bytes for a new one.
	Password  [wire.PasswordSize]byte
	TimeoutMs int32

	// Out is what the client is to read next, whole frames in order, but for the names of long lists:
	// whoever writes it to the socket Takes it.
	Out []byte

	// Frames counts what was appended to Out. Whoever takes Out may set it back.
	Frames int64

	// OutLimit bounds in bytes what reads behind a write, which are answered in one go, may add to Out: beyond it
	// the connection is given up. 0: connOutBytes.
	OutLimit int

	// Close asks for the connection to be closed once Out is written.
	Close bool

	state     connState
	wantsBool bool // the client's ConnectRequest carried readOnly, so the response must (2.1)
	pipe      session.Pipeline
	seq       uint64
	settled   []settled // answers without a txn that came while an earlier request was open
	lastZxid  zab.Zxid  // of the last reply
	frame     int       // where in Out the last reply begins
	lists     []list    // long ones, whose names are missing in Out
}

// Step says what the shell must do for a frame, besides writing out Conn.Out.
type Step uint8

// The steps.
const (
	StepNone       Step = iota // answered, or waiting its turn in the connection's pipeline
	StepSubmit                 // Handled.Request goes to Submit
	StepSync                   // the ticket goes to Sync
	StepRevalidate             // Handled.Revalidation goes to Revalidate
	StepClose                  // close the connection
	StepGone                   // the connection has ended: Gone
)

// Handled is the result of a frame.
type Handled struct {
	Step
	Ticket
	Request      zab.Request
	Revalidation zab.Revalidation
	AuthFailed   bool // an identity was refused
}

// Own moves the body of the request from the frame that it aliases to the end of b, and returns b. b must have
// room for it, since what it held before would stay behind in the old array, and is never changed again.
func (h *Handled) Own(b []byte) []byte {
	n := len(b)
	b = append(b, h.Request.Body...)
	h.Request.Body = b[n:len(b):len(b)]
	return b
}

// Open reports whether the session of c is set up.
func (c *Conn) Open() bool { return c.state == open }

// Joining reports whether c waits for its session: nothing more is to be read from it meanwhile.
func (c *Conn) Joining() bool { return c.state == joining }

// Idle reports whether no request of c is unanswered.
func (c *Conn) Idle() bool { return c.pipe.Idle() }

// openBytes is what a request that waits costs beside its frame.
const openBytes = 64

// Waiting returns what the requests of c take that wait for answers, about. The shell reads no more from
// the client while it is too much.
func (c *Conn) Waiting() int { return c.pipe.Bytes() + c.pipe.Len()*openBytes }

func (c *Conn) ticket() Ticket {
	c.seq++
	return Ticket{Conn: c.ID, Seq: c.seq}
}

// Handle takes the next frame of c. Reads are answered at once into c.Out when no earlier write
// of the connection is open, and wait behind it otherwise, so that replies keep the order of
// requests (R29). The frame is not kept, but Handled.Request aliases it: whoever reuses the frame before the
// request is answered copies the body, for many requests at a time (Handled.Own).
func (p *Peer) Handle(c *Conn, frame []byte) Handled {
	if c.Close { // its session is over: from here on it is told of no change, so it must not see one
		return Handled{}
	}
	switch c.state {
	case greeting:
		return p.greet(c, frame)
	case joining:
		return Handled{Step: StepClose}
	case ending: // the replies before the end are on their way, and what follows it is nobody's
		return Handled{}
	case open:
	}
	d := jute.NewDecoder(frame)
	var h wire.RequestHeader
	h.Decode(&d)
	if d.Err() != nil {
		return Handled{Step: StepClose}
	}
	xid, op := h.Xid, h.Op
	switch {
	case op == wire.OpAuth:
		return Handled{AuthFailed: !p.authenticate(c, xid, d)}
	case op == wire.OpSASL: // there is no mechanism here: say so, or the client waits (8.6)
		c.finish()
		c.answer(xid, 0, wire.AuthFailed)
		return Handled{AuthFailed: true}
	case op == wire.OpSync:
		t := c.ticket()
		c.pipe.PushWrite(t.Seq, xid, op)
		c.pipe.PushRead(frame) // answered like a read once the barrier in front of it is through
		return Handled{Step: StepSync, Ticket: t}
	case op == wire.OpCloseSession || op.IsWrite():
		if op == wire.OpCloseSession {
			c.state = ending
		}
		t := c.ticket()
		c.pipe.PushWrite(t.Seq, xid, op)
		return Handled{Step: StepSubmit, Ticket: t, Request: zab.Request{
			Session: c.Session, Xid: xid, Op: int32(op), Auth: c.Auth, Body: d.Rest(),
		}}
	case c.pipe.Idle():
		p.read(c, frame)
	default:
		c.pipe.PushRead(frame)
	}
	return Handled{}
}

// greet takes the ConnectRequest, with the checks of protocol.md 2.2.
func (p *Peer) greet(c *Conn, frame []byte) Handled {
	var req wire.ConnectRequest
	d := jute.NewDecoder(frame)
	req.Decode(&d)
	if d.Err() != nil || zab.Zxid(max(req.LastZxidSeen, 0)) > p.tree.Applied() {
		return Handled{Step: StepClose} // behind what the client has seen: it tries another server (R27)
	}
	c.state = joining
	c.wantsBool = req.HasReadOnly
	c.TimeoutMs = min(max(req.TimeoutMs, p.cfg.MinSessionMs), p.cfg.MaxSessionMs)
	h := Handled{Ticket: c.ticket()}
	if req.SessionID == 0 {
		h.Step = StepSubmit
		h.Request = zab.Request{Op: int32(wire.OpCreateSession), Auth: c.Auth}
		h.Request.Body = jute.AppendBuffer(jute.AppendInt(nil, c.TimeoutMs), c.Password[:])
		return h
	}
	h.Step = StepRevalidate
	h.Revalidation = zab.Revalidation{Session: req.SessionID, TimeoutMs: c.TimeoutMs}
	h.Revalidation.Password = append([]byte(nil), req.Password...)
	return h
}

// authenticate answers an auth packet at once: its reply may overtake earlier requests' (8.5),
// and what it adds holds for requests that come after it.
func (p *Peer) authenticate(c *Conn, xid zab.Xid, d jute.Decoder) bool {
	var req wire.AuthRequest
	req.Decode(&d)
	ids, ok := p.rules.Authenticate(req.Scheme, req.Auth)
	if d.Err() != nil || !ok || !c.addAuth(ids) {
		c.finish()
		c.answer(xid, 0, wire.AuthFailed)
		return false
	}
	c.answer(xid, 0, wire.OK)
	return true
}

// maxAuthBytes bounds the identities of a connection: they travel with each of its writes.
const maxAuthBytes = 64 << 10

// addAuth adds identities to those of c, and reports whether there is room for them.
func (c *Conn) addAuth(ids []zab.AuthID) bool {
	next, size := append([]zab.AuthID(nil), c.Auth...), 0
	for _, id := range ids {
		known := false
		for _, have := range next {
			known = known || have == id
		}
		if !known {
			next = append(next, id)
		}
	}
	for _, id := range next {
		size += len(id.Scheme) + len(id.ID)
	}
	if size > maxAuthBytes {
		return false
	}
	c.Auth = next
	return true
}

// Joined completes the handshake of c with a new session.
func (c *Conn) joined(id zab.SessionID) {
	c.Session, c.state = id, open
	c.welcome(wire.ConnectResponse{TimeoutMs: c.TimeoutMs, SessionID: id, Password: c.Password[:]})
}

// refused tells the client that its session is over (or its password wrong: 2.2), and ends c.
func (c *Conn) refused() {
	c.welcome(wire.ConnectResponse{Password: make([]byte, wire.PasswordSize)})
	c.finish()
}

func (c *Conn) welcome(resp wire.ConnectResponse) {
	resp.HasReadOnly = c.wantsBool
	start := len(c.Out)
	c.Out = resp.Append(wire.BeginFrame(c.Out))
	c.end(start)
}

func (c *Conn) finish() { c.state, c.Close = ending, true }

// Reply answers the write of t with the result of its txn, and then the reads that waited behind
// it: they see the state right after their own write and nothing later of their connection.
func (p *Peer) Reply(c *Conn, t Ticket, r *tree.Result) {
	switch {
	case c.Close:
		return
	case c.state == joining && r.Opened != 0:
		c.joined(r.Opened)
		return
	case c.state == joining, r.Code == wire.SessionMoved:
		// No session could be made, or the client is served elsewhere now: close without a word (2.4).
		c.finish()
		return
	}
	if p.Before(c, t); c.Close {
		return
	}
	c.pipe.Complete(t.Seq)
	start := c.begin(r.Xid, r.Zxid, r.Code)
	if r.Code == wire.OK {
		c.Out = appendResult(c.Out, r)
	}
	c.end(start)
	if r.Op == wire.OpCloseSession {
		c.finish()
		return
	}
	p.drain(c)
}

// Before answers the barriers that c asked for before the write of t, and the reads behind them,
// because the txn of that write is about to be applied: the quorum that committed it has confirmed
// the leader since (zab.md 7.2), everything that the barriers cover is applied, and the reads must
// not see the later write of their own session (R29).
func (p *Peer) Before(c *Conn, t Ticket) {
	for !c.Close && c.pipe.SkipBarrier(t.Seq) {
		p.drain(c)
	}
}

// Settle answers a request of c that took no txn.
func (p *Peer) Settle(c *Conn, a *Answer) {
	switch {
	case c.Close:
	case a.Revalidation != nil && c.state != joining:
	case a.Revalidation != nil && a.Revalidation.Valid:
		copy(c.Password[:], a.Revalidation.Password)
		c.joined(a.Revalidation.Session)
	case a.Revalidation != nil:
		c.refused()
	case c.state == joining: // a new session that the full disk refuses
		c.finish()
	case c.pipe.Answered(a.Seq): // a barrier that a later write confirmed
	default:
		c.settled = append(c.settled, settled{seq: a.Seq, xid: a.Xid, code: a.Code})
		p.drain(c)
	}
}

func (c *Conn) outLimit() int {
	if c.OutLimit == 0 {
		return connOutBytes
	}
	return c.OutLimit
}

// drain answers what waited behind the request that was answered last, up to the next open one.
// Nothing can be written meanwhile, and a small frame can ask for much: there is an end to that.
func (p *Peer) drain(c *Conn) {
	for !c.Close {
		if c.Unread() > c.outLimit() {
			c.Out = nil
			c.finish()
			return
		}
		if frame, ok := c.pipe.NextRead(); ok {
			p.read(c, frame)
			continue
		}
		seq, ok := c.pipe.Head()
		i := slices.IndexFunc(c.settled, func(s settled) bool { return s.seq == seq })
		if !ok || i < 0 {
			return
		}
		if s := c.settled[i]; s.code != wire.OK {
			c.answer(s.xid, int64(p.tree.Applied()), s.code)
		}
		if i == 0 {
			c.settled = c.settled[1:] // nearly always
		} else {
			c.settled = slices.Delete(c.settled, i, i+1)
		}
		c.pipe.Complete(seq)
		if c.state == ending && c.pipe.Len() == 0 { // a closeSession that was refused ends the connection all the same
			c.Close = true
		}
	}
}

// Event appends a watch event, unless the connection may not read what it tells of. A client that
// has asked for the end is told of what comes before it.
func (p *Peer) Event(c *Conn, e wire.EventType, path []byte, z zab.Zxid, acl []wire.ACL) {
	if c.state < open || c.Close || !p.rules.Check(acl, wire.PermRead, c.Auth) {
		return
	}
	c.event(e, path, int64(z))
}

// eventBytes is the frame of an event without its path.
const eventBytes = wire.LengthSize + 16 + 3*4

func (c *Conn) event(e wire.EventType, path []byte, z int64) {
	c.Frames++
	c.Out = slices.Grow(c.Out, eventBytes+len(path)) // one allocation for each of the many who are told
	c.Out = wire.AppendEvent(c.Out, z, &wire.WatcherEvent{Type: e, State: wire.StateSyncConnected, Path: path})
}

// Drop forgets the watches of a connection that is gone.
func (p *Peer) Drop(c *Conn) {
	c.finish() // whatever is answered from here on finds nobody
	p.watches.RemoveConn(c.ID)
	rest := p.Take(c, nil)
	rest.Drop()
}

// begin appends the header of a reply, its length still open; end closes it.
func (c *Conn) begin(xid zab.Xid, z zab.Zxid, code wire.Code) (start int) {
	start = len(c.Out)
	c.frame = start
	c.lastZxid = max(c.lastZxid, z)
	c.Out = wire.ReplyHeader{Xid: xid, Zxid: int64(z), Code: code}.Append(wire.BeginFrame(c.Out))
	return start
}

func (c *Conn) end(start int) {
	c.Frames++
	c.Out = wire.EndFrame(c.Out, start)
}

// answer appends a reply without a body.
func (c *Conn) answer(xid zab.Xid, z int64, code wire.Code) {
	c.Frames++
	c.Out = wire.AppendReply(c.Out, wire.ReplyHeader{Xid: xid, Zxid: z, Code: code})
}
