package driver

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"quoll/jepsen/history"
	"quoll/jepsen/workload"
	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/zab"
)

// client is one client of a run. What is not said to be its goroutine's own is guarded by Run.mu.
type client struct {
	r    *Run
	id   int
	gen  workload.Client
	rnd  *rand.Rand // of the workload
	luck *rand.Rand // of the goroutine: servers and pauses
	// arrivals decides when requests are due, whatever becomes of them.
	arrivals *rand.Rand
	done     sync.WaitGroup

	// The session.
	session  zab.SessionID
	password []byte
	patience time.Duration // as negotiated; 0: there is no session
	seen     int64         // last zxid
	nextXid  zab.Xid
	watches  history.Watches

	// The connection.
	nc      net.Conn
	number  int // in History.Conns
	joined  bool
	broken  error // why it is to end; nil: it lives
	open    []int // operations without an answer, in order
	heard   time.Time
	changed chan struct{} // something above has: has room for one

	timeout time.Duration // of the session; from here on the goroutine's own
	spoke   time.Time
	due     time.Time // when the next request is due, or the last one was
	planned bool      // it is the next one
	over    bool      // the workload has done its share
	absent  absence
}

func newClient(r *Run, id int, gen workload.Client) *client {
	return &client{
		r: r, id: id, gen: gen, nextXid: 1, changed: make(chan struct{}, 1), due: r.began,
		arrivals: rand.New(rand.NewPCG(r.opts.Seed, uint64(2_000_000+id))),
		rnd:      rand.New(rand.NewPCG(r.opts.Seed, uint64(100+id))), luck: rand.New(rand.NewPCG(r.opts.Seed, uint64(1_000_000+id))),
	}
}

const (
	dialPatience  = 2 * time.Second        // for a connection, and for the answer to a handshake
	redialPause   = 100 * time.Millisecond // at most
	finalPatience = 10 * time.Second       // for answers when nothing is asked for any more
)

// live is the goroutine of the client.
func (c *client) live(ctx context.Context) {
	defer c.done.Done()
	end := c.r.began.Add(c.r.opts.For)
	ctx, cancel := context.WithDeadline(ctx, end.Add(finalPatience))
	defer cancel()
	for ctx.Err() == nil && (time.Now().Before(end) || c.waiting()) {
		if err := c.connect(ctx); err == nil {
			c.serve(ctx, end)
			c.stayAway(ctx)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(c.luck.Int64N(int64(redialPause)))):
		}
	}
	c.hangUp(context.Cause(ctx))
	c.leave(end)
}

// leave counts what was due before the end and never left.
func (c *client) leave(end time.Time) {
	if c.r.opts.Rate == 0 || c.over {
		return
	}
	n := 0
	for c.plan(); c.due.Before(end); c.plan() {
		n++
		c.planned = false
	}
	c.r.mu.Lock()
	c.r.unsent += n
	c.r.mu.Unlock()
}

// waiting reports whether some request has no answer yet.
func (c *client) waiting() bool {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	return len(c.open) > 0
}

// connect dials some server and goes through the handshake.
func (c *client) connect(ctx context.Context) error {
	i := c.luck.IntN(len(c.r.opts.Servers))
	dialing, cancel := context.WithTimeout(ctx, dialPatience)
	defer cancel()
	c.r.mu.Lock()
	c.number = c.r.record.Dial(history.Conn{Client: c.id, Server: zab.ServerID(i + 1), Asked: c.session, SeenZxid: c.seen})
	req := wire.ConnectRequest{
		LastZxidSeen: c.seen, TimeoutMs: int32(c.wish().Milliseconds()), SessionID: c.session, Password: c.password, HasReadOnly: true,
	}
	c.r.mu.Unlock()
	nc, err := c.r.opts.Dialer.DialContext(dialing, "tcp", c.r.opts.Servers[i])
	if err != nil {
		c.r.mu.Lock()
		c.r.record.Close(c.number)
		c.r.mu.Unlock()
		return err
	}
	if req.Password == nil {
		req.Password = make([]byte, wire.PasswordSize)
	}
	if err = c.greet(nc, &req); err != nil {
		_ = nc.Close()
		c.r.mu.Lock()
		c.r.record.Close(c.number)
		c.r.mu.Unlock()
	}
	return err
}

var (
	errOver = errors.New("the session is over")
	errLeft = errors.New("the client went away")
)

// greet asks for the session and takes the answer.
func (c *client) greet(nc net.Conn, req *wire.ConnectRequest) error {
	_ = nc.SetDeadline(time.Now().Add(dialPatience)) // it fails where Write does
	if _, err := nc.Write(wire.EndFrame(req.Append(wire.BeginFrame(nil)), 0)); err != nil {
		return err
	}
	body, err := readFrame(nc, nil)
	if err != nil {
		return err
	}
	_ = nc.SetDeadline(time.Time{})
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	d := jute.NewDecoder(body)
	var resp wire.ConnectResponse
	resp.Decode(&d)
	if d.Err() != nil {
		c.r.fault(c.id, "the answer to a handshake cannot be read: %v", d.Err())
		return d.Err()
	}
	c.r.record.Join(c.number, resp.SessionID, resp.TimeoutMs)
	if resp.SessionID == 0 {
		c.r.record.Close(c.number)
		c.expired()
		return errOver
	}
	c.session, c.password = resp.SessionID, slices.Clone(resp.Password)
	c.patience = time.Duration(resp.TimeoutMs) * time.Millisecond
	c.nc, c.joined, c.broken, c.heard = nc, true, nil, time.Now()
	return nil
}

// serve uses the connection until it ends.
func (c *client) serve(ctx context.Context, end time.Time) {
	gone, nc := make(chan struct{}), c.nc
	go func() {
		defer close(gone)
		c.hear(nc)
	}()
	c.spoke = time.Now()
	c.r.mu.Lock()
	c.timeout = c.patience
	again := c.watches
	seen := c.seen
	c.r.mu.Unlock()
	if !again.Empty() {
		c.ask(again.Again(seen), time.Time{})
	}
	for ctx.Err() == nil {
		wake := c.next(end)
		select {
		case <-ctx.Done():
		case <-time.After(time.Until(wake)):
		case <-c.changed:
		}
		if c.ended() || c.goesAway(time.Now()) || time.Now().After(end) && !c.waiting() {
			break
		}
	}
	c.hangUp(cmp.Or(context.Cause(ctx), errLeft)) // what comes from now on, nobody waits for
	<-gone
}

// ended reports whether the connection is to be left: it broke, or the server has fallen silent.
func (c *client) ended() bool {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	if c.broken == nil && time.Since(c.heard) > c.patience*2/3 {
		c.broken = errors.New("the server is silent")
	}
	return c.broken != nil
}

// next sends what is due and returns when to look again.
func (c *client) next(end time.Time) time.Time {
	now := time.Now()
	ping := c.spoke.Add(c.timeout / 3)
	if !now.Before(ping) {
		c.write(wire.AppendRequest(nil, wire.XidPing, wire.OpPing, nil))
		ping = now.Add(c.timeout / 3)
	}
	for now.Before(end) && !c.over {
		c.plan()
		if now.Before(c.due) {
			return earlier(ping, c.due)
		}
		if !c.room() {
			break // an answer wakes us
		}
		if !c.request() {
			break
		}
	}
	return earlier(ping, now.Add(50*time.Millisecond))
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// plan decides when the next request is due, unless that is decided. An open load waits for nobody: the next
// request follows the time at which the last one was due, however late that one left. Whatever was held up
// leaves as soon as it can, and its time counts from when it was due.
func (c *client) plan() {
	if c.planned {
		return
	}
	c.planned = true
	if c.r.opts.Rate > 0 {
		mean := float64(c.r.opts.Clients) / c.r.opts.Rate
		c.due = c.due.Add(time.Duration(c.arrivals.ExpFloat64() * mean * float64(time.Second)))
	}
}

// room reports whether the pipeline takes one more.
func (c *client) room() bool {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	return len(c.open) < c.r.opts.Pipeline
}

// request sends the workload's next operation, unless it wants to think first.
func (c *client) request() bool {
	c.r.mu.Lock()
	op, pause, ok := c.gen.Next(c.rnd)
	c.r.mu.Unlock()
	if !ok {
		c.over = true
		return false
	}
	if c.r.opts.Rate == 0 && pause > 0 {
		time.Sleep(time.Duration(pause) * time.Microsecond) // its own thinking: nothing is due meanwhile
	}
	c.planned = false
	due := time.Time{}
	if c.r.opts.Rate > 0 {
		due = c.due
	}
	c.ask(op, due)
	return true
}

// lateness is what the timers and processors of a busy machine may add to the time at which a request leaves.
const lateness = 20 * time.Millisecond

// ask sends an operation and records it, in one order with all others. A due of zero is now.
func (c *client) ask(op history.Op, due time.Time) {
	c.r.mu.Lock()
	xid := c.nextXid
	c.nextXid++
	n := c.r.record.Call(history.Operation{
		Client: c.id, Conn: c.number, Session: c.session, Server: c.r.record.Conns[c.number].Server, Xid: xid, Op: op,
	})
	c.open = append(c.open, n)
	if !due.IsZero() {
		c.r.due[n] = due.Sub(c.r.began).Microseconds()
		if time.Since(due) > lateness {
			c.r.late++
		}
	}
	c.r.mu.Unlock()
	c.write(wire.AppendRequest(nil, xid, op.Kind, func(b []byte) []byte { return history.AppendBody(b, &op) }))
}

// write sends a frame. An error shows where the answer should come.
func (c *client) write(frame []byte) {
	c.spoke = time.Now()
	_ = c.nc.SetWriteDeadline(c.spoke.Add(c.timeout))
	if _, err := c.nc.Write(frame); err != nil {
		c.r.mu.Lock()
		c.end(err)
		c.r.mu.Unlock()
	}
}

// end marks the connection as one to be left. The caller holds mu.
func (c *client) end(err error) {
	if c.broken == nil {
		c.broken = err
	}
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// hangUp ends the connection: what is open has an outcome that nobody will know.
func (c *client) hangUp(why error) {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	if c.nc == nil {
		return
	}
	_ = c.nc.Close()
	if c.broken == nil {
		c.broken = why
	}
	c.r.record.Close(c.number)
	c.nc, c.joined = nil, false
	open := c.open
	c.open = nil
	for _, n := range open {
		c.r.unknown++
		c.tell(n, nil)
	}
	if c.session == 0 {
		c.gen.Lost()
	}
}

// expired forgets the session. The caller holds mu. The workload is told when all that was asked on it
// is done.
func (c *client) expired() {
	c.session, c.password, c.patience, c.watches = 0, nil, 0, history.Watches{}
	if c.nc == nil {
		c.gen.Lost()
	}
}

// maxFrame is more than any server sends.
const maxFrame = 64 << 20

// readFrame reads one, into b if it fits.
func readFrame(nc io.Reader, b []byte) ([]byte, error) {
	var length [wire.LengthSize]byte
	if _, err := io.ReadFull(nc, length[:]); err != nil {
		return nil, err
	}
	n := int(int32(binary.BigEndian.Uint32(length[:])))
	if n < 0 || n > maxFrame {
		return nil, fmt.Errorf("a frame of %d bytes", n)
	}
	if n > cap(b) {
		b = make([]byte, n)
	}
	b = b[:n]
	_, err := io.ReadFull(nc, b)
	return b, err
}
