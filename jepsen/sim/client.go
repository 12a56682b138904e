package sim

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"

	"quoll/jepsen/history"
	"quoll/jepsen/workload"
	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/tree"
	"quoll/zab"
)

// client is a program that uses the service through a client library: a session, one connection at a
// time, pipelined requests, watches that it brings along when it reconnects.
type client struct {
	w   *World
	id  int
	gen workload.Client
	rnd *rand.Rand // of the workload alone

	// The session.
	session  zab.SessionID
	password []byte
	patience int64 // µs; the negotiated timeout
	seen     int64 // last zxid
	nextXid  zab.Xid
	watches  history.Watches
	auth     []zab.AuthID

	// The connection; nil while there is none.
	conn    *conn
	joined  bool
	open    []int // operations that are sent and not answered, in order
	spokeUs int64 // when something was sent last
	heardUs int64

	dials    int          // numbers attempts, so that an old timer does nothing
	next     *history.Op  // planned, not sent yet
	stopped  bool         // sends no operations any more
	silent   bool         // sends nothing any more: its session must expire
	extra    map[int]bool // operations that a nemesis has asked for in its name
	last     bool         // the workload is over: what is asked now is for liveness
	partners []zab.ServerID
}

func (w *World) startClients() {
	gens := workload.Sized(w.plan.Workload, w.plan.Clients, w.plan.Operations, rand.New(rand.NewPCG(w.plan.Seed, 7)))
	for i, g := range gens {
		c := &client{w: w, id: i, gen: g, rnd: rand.New(rand.NewPCG(w.plan.Seed, uint64(100+i))), nextXid: 1}
		for _, m := range w.ensemble.Members() {
			c.partners = append(c.partners, m.ID)
		}
		w.clients = append(w.clients, c)
		w.after(w.between(0, 200_000), c.dial)
	}
}

func (w *World) clientLatency() int64 { return w.between(w.plan.LatencyUs[0], 2*w.plan.LatencyUs[1]) }

// dial connects to some server.
func (c *client) dial() {
	if c.silent || c.conn != nil || c.stopped && c.session == 0 {
		return
	}
	c.dials++
	s := c.w.server(c.partners[c.w.rnd.IntN(len(c.partners))])
	if !s.up || s.ailment.pausedUntil > c.w.now {
		c.redial()
		return
	}
	number := c.w.record.Dial(history.Conn{Client: c.id, Server: s.id, Asked: c.session, SeenZxid: c.seen})
	c.conn, c.joined, c.heardUs, c.spokeUs = s.accept(c, number), false, c.w.now, c.w.now
	r := wire.ConnectRequest{LastZxidSeen: c.seen, TimeoutMs: c.w.plan.SessionMs, SessionID: c.session, Password: c.password, HasReadOnly: true}
	if r.Password == nil {
		r.Password = make([]byte, wire.PasswordSize)
	}
	c.send(r.Append(nil))
	c.timer(c.dials)
}

func (c *client) redial() {
	dials := c.dials
	c.w.after(c.w.between(1_000, 60_000), func() {
		if c.dials == dials {
			c.dial()
		}
	})
}

// send puts a frame on the wire, behind what was sent before.
func (c *client) send(frame []byte) {
	conn := c.conn
	c.spokeUs = c.w.now
	conn.inAt = max(c.w.now+c.w.clientLatency(), conn.inAt)
	c.w.queue.push(conn.inAt, func() { conn.arrive(frame) })
}

// timer pings and gives a silent server up, as client libraries do.
func (c *client) timer(dials int) {
	patience := c.patience
	if patience == 0 {
		patience = int64(c.w.plan.SessionMs) * 1000
	}
	c.w.after(patience/6, func() {
		if c.dials != dials || c.conn == nil || c.silent {
			return
		}
		if c.w.now-c.heardUs > patience*2/3 {
			c.w.cover.Add("client gives a silent server up")
			c.leave()
			return
		}
		if c.joined && c.w.now-c.spokeUs > patience/3 {
			c.send(frame(wire.XidPing, &history.Op{Kind: wire.OpPing}))
		}
		c.timer(dials)
	})
}

// leave ends the connection from the client's side.
func (c *client) leave() {
	conn := c.conn
	c.disconnected(conn)
	c.w.after(c.w.clientLatency(), func() {
		if conn.alive() {
			conn.s.hangUp(conn)
		}
	})
}

// disconnected is the end of a connection as the client sees it: the outcome of what is open is not
// known.
func (c *client) disconnected(conn *conn) {
	if c.conn != conn {
		return
	}
	c.w.record.Close(conn.number)
	c.w.trace(0, "client disconnected", 0, 0, func() string { return "client " + itoa(int64(c.id)) })
	c.conn, c.joined = nil, false
	open := c.open
	c.open = nil
	for _, op := range open {
		c.done(op, nil)
	}
	if c.next != nil {
		c.gen.Done(c.next, nil, false)
		c.next = nil
	}
	c.redial()
}

// receive takes bytes from the server: whole frames.
func (c *client) receive(conn *conn, b []byte) {
	for len(b) > 0 && c.conn == conn {
		n := int(binary.BigEndian.Uint32(b))
		body := b[4 : 4+n]
		b = b[4+n:]
		c.heardUs = c.w.now
		if c.joined {
			c.reply(body)
		} else {
			c.welcome(body)
		}
	}
}

// welcome takes the answer to the handshake.
func (c *client) welcome(body []byte) {
	d := jute.NewDecoder(body)
	var r wire.ConnectResponse
	r.Decode(&d)
	if d.Err() != nil {
		c.w.fail("C-FIFO", c.conn.s.id, "client %d cannot read the answer to its handshake: %v", c.id, d.Err())
		return
	}
	c.w.note(uint64(c.id), uint64(r.SessionID))
	c.w.record.Join(c.conn.number, r.SessionID, r.TimeoutMs)
	if r.SessionID == 0 {
		c.w.cover.Add("client learns that its session is over")
		c.expired()
		return
	}
	c.joined = true
	if c.session != 0 {
		c.w.cover.Add("session goes on at another connection")
	} else {
		c.w.cover.Add("session begins")
	}
	c.session, c.password, c.patience = r.SessionID, slices.Clone(r.Password), int64(r.TimeoutMs)*1000
	c.auth = nil
	if c.w.plan.Auth && c.id%2 == 1 {
		c.authenticate()
	}
	if !c.watches.Empty() { // before anything else is asked there
		c.w.cover.Add("watches set again")
		c.ask(c.watches.Again(c.seen))
	}
	c.think()
}

// authenticate proves an identity; its answer has an xid of its own.
func (c *client) authenticate() {
	credentials := "user" + itoa(int64(c.id)) + ":secret"
	c.auth = []zab.AuthID{{Scheme: "digest", ID: tree.GenerateDigest("SHA1", credentials)}}
	r := wire.AuthRequest{Scheme: "digest", Auth: []byte(credentials)}
	b := binary.BigEndian.AppendUint32(nil, uint32(0xfffffffc)) // wire.XidAuth
	c.send(r.Append(binary.BigEndian.AppendUint32(b, uint32(wire.OpAuth))))
}

// expired begins a new life after the session is over.
func (c *client) expired() {
	c.session, c.password, c.patience, c.watches = 0, nil, 0, history.Watches{}
	c.disconnected(c.conn)
	c.gen.Lost()
}

// think plans the next operation.
func (c *client) think() {
	if c.next != nil || c.stopped || !c.joined || len(c.open) >= c.w.plan.Pipeline {
		return
	}
	op, pause, ok := c.gen.Next(c.rnd)
	if !ok {
		c.stopped = true
		return
	}
	c.next = &op
	c.w.after(pause*c.w.plan.PauseFactor/100, func() {
		if c.next == &op {
			c.next = nil
			c.ask(op)
			c.think()
		}
	})
}

// ask sends an operation and returns its index in the history.
func (c *client) ask(op history.Op) int {
	xid := c.nextXid
	c.nextXid++
	n := c.w.record.Call(history.Operation{
		Client: c.id, Conn: c.conn.number, Session: c.session, Server: c.conn.s.id, Xid: xid, Auth: c.auth, Op: op,
	})
	c.w.asked[request{c.session, xid}] = n
	c.open = append(c.open, n)
	c.w.trace(0, "ask", c.conn.s.id, 0, func() string { return c.describe(n) })
	c.send(frame(xid, &op))
	return n
}

// reply takes a frame: an event, the answer to a ping or to the oldest open operation.
func (c *client) reply(body []byte) {
	d := jute.NewDecoder(body)
	var h wire.ReplyHeader
	h.Decode(&d)
	if h.Xid != wire.XidNotification {
		c.seen = max(c.seen, h.Zxid)
	}
	switch h.Xid {
	case wire.XidNotification:
		c.event(&h, &d)
		return
	case wire.XidPing:
		c.w.record.Heard(c.conn.number, h.Zxid)
		return
	case wire.XidAuth:
		return
	}
	if len(c.open) == 0 || c.w.record.Ops[c.open[0]].Xid != h.Xid {
		c.w.fail("C-FIFO", c.conn.s.id, "client %d got an answer to request %d, which is not the oldest open one", c.id, h.Xid)
		return
	}
	n := c.open[0]
	c.open = c.open[1:]
	o := &c.w.record.Ops[n]
	res := history.Result{Code: h.Code}
	if h.Code == wire.OK {
		res = history.DecodeResult(&d, &o.Op)
		if d.Err() != nil {
			c.w.fail("C-FIFO", c.conn.s.id, "client %d cannot read the answer to %v: %v", c.id, o.Op.Kind, d.Err())
			return
		}
	}
	c.w.record.Return(n, h.Zxid, res)
	c.w.note(uint64(c.id)<<32|uint64(h.Xid), uint64(h.Zxid)^uint64(uint32(h.Code)))
	c.w.trace(0, "answer", c.conn.s.id, 0, func() string { return c.describe(n) })
	c.answered(n, &res)
}

// closing reports whether the client has asked for the end of its session and has no answer yet.
func (c *client) closing() bool {
	return slices.ContainsFunc(c.open, func(n int) bool { return c.w.record.Ops[n].Op.Kind == wire.OpCloseSession })
}

// done tells the workload about an operation that it asked for; res is nil when nobody knows.
func (c *client) done(n int, res *history.Result) {
	if o := &c.w.record.Ops[n]; o.Op.Kind != wire.OpSetWatches2 && !c.last && !c.extra[n] { // those are not its own
		c.gen.Done(&o.Op, res, res != nil)
	}
}

func (c *client) answered(n int, res *history.Result) {
	o := &c.w.record.Ops[n]
	c.watches.Remember(&o.Op, res)
	c.done(n, res)
	switch {
	case o.Op.Kind == wire.OpCloseSession && res.Code == wire.OK:
		c.expired()
	case res.Code == wire.SessionExpired:
		c.leave() // the next handshake tells for certain
	default:
		c.think()
	}
}
