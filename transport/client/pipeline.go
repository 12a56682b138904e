package client

import (
	"fmt"
	"math"
	"net"
	"time"

	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/zab"
)

const (
	// readSize is what one Read asks for at least, in bytes.
	readSize = 64 << 10
	// maxKept bounds a buffer that outlives the burst it grew for, in bytes.
	maxKept = 1 << 20
)

// Reply is how a request ended.
type Reply struct {
	Zxid int64     // last zxid applied by the server; a write's own
	Code wire.Code // OK, or why the server refused
	Body []byte    // the record of the result; dies when the callback returns
	Err  error     // not nil: there was no reply, and the rest is zero
}

// Failure returns Err, or else Code unless it is OK.
func (r *Reply) Failure() error {
	if r.Err == nil && r.Code != wire.OK {
		return r.Code
	}
	return r.Err
}

// pending is a request whose reply is awaited. done is nil when nobody does: for pings and for
// identities that are given again.
type pending struct {
	xid  zab.Xid
	done func(Reply)
}

func (p *pending) end(r Reply) {
	if p.done != nil {
		p.done(r)
	}
}

// Do sends a request and returns at once. encode appends the request's record; nil: there is
// none. It runs before Do returns and must call nothing of the Client. done runs exactly once:
// with the reply in the session's goroutine, or, when the client is over or has too much in
// flight, before Do returns. Do allocates nothing, so a caller that makes its functions once
// sends without a trace on the heap.
func (c *Client) Do(op wire.Op, encode func(b []byte) []byte, done func(Reply)) {
	c.mu.Lock()
	err := c.over
	if err == nil && len(c.queued)+len(c.auths) >= c.opts.MaxPending {
		err = ErrTooManyPending
	}
	if err != nil {
		c.mu.Unlock()
		done(Reply{Err: err})
		return
	}
	p := pending{done: done}
	if op == wire.OpAuth {
		p.xid = wire.XidAuth
		c.auths = append(c.auths, p)
	} else {
		if c.xid == math.MaxInt32 {
			c.xid = 0
		}
		c.xid++
		p.xid = c.xid
		c.queued = append(c.queued, p)
	}
	c.out = wire.AppendRequest(c.out, p.xid, op, encode)
	wake := c.unpark()
	c.mu.Unlock()
	if wake {
		c.signal()
	}
}

// unpark reports whether the caller, who holds mu, must signal the writer once it has released it.
func (c *Client) unpark() bool {
	wake := c.idle && !c.corked && len(c.out) > 0
	c.idle = c.idle && !wake
	return wake
}

// signal leaves word for the writer. One that is there already says the same.
func (c *Client) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// cork holds back what the callbacks of a batch of replies send, so that it leaves as one Write.
func (c *Client) cork(on bool) {
	c.mu.Lock()
	c.corked = on
	wake := c.unpark()
	c.mu.Unlock()
	if wake {
		c.signal()
	}
}

// ping keeps the session alive when the caller has nothing to say, and the connection known to
// be: the server answers in order like to any other request.
func (c *Client) ping() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queued = append(c.queued, pending{xid: wire.XidPing})
	c.out = wire.AppendRequest(c.out, wire.XidPing, wire.OpPing, nil)
}

// write is a connection's writer. It ends when stop is closed, or when the connection fails: then
// it closes it, which ends the reader.
func (c *Client) write(conn net.Conn, stop <-chan struct{}) {
	ping := time.NewTicker(c.Timeout() / 3)
	defer ping.Stop()
	var buf []byte
	for {
		c.mu.Lock()
		for len(c.out) == 0 || c.corked {
			c.idle = true
			c.mu.Unlock()
			select {
			case <-c.wake:
			case <-ping.C:
				c.ping()
			case <-stop:
				return
			}
			c.mu.Lock()
		}
		c.idle = false
		buf, c.out = c.out, buf[:0]
		c.mu.Unlock()
		if _, err := conn.Write(buf); err != nil {
			conn.Close()
			return
		}
		if cap(buf) > maxKept {
			buf = nil
		}
	}
}

// read is a connection's reader. It hands out replies and events until the connection fails, is
// silent for too long, or says what it may not.
func (c *Client) read(conn net.Conn) error {
	if cap(c.in) < readSize || cap(c.in) > maxKept {
		c.in = make([]byte, readSize)
	}
	fill := 0
	for {
		// Pings go out every third of the time-out; two thirds without an answer is a dead server.
		if err := conn.SetReadDeadline(after(c.Timeout() * 2 / 3)); err != nil {
			return err
		}
		n, err := conn.Read(c.in[fill:])
		if err != nil {
			return err
		}
		fill += n
		used, err := c.deliver(c.in[:fill])
		if err != nil {
			return err
		}
		fill = copy(c.in, c.in[used:fill])
		if fill == len(c.in) { // a frame that is longer: grow with what came, not with what it says
			c.in = append(c.in, make([]byte, len(c.in))...)
		}
	}
}

// deliver hands out the whole frames at the start of b and returns their size.
func (c *Client) deliver(b []byte) (used int, err error) {
	c.cork(true)
	defer c.cork(false)
	for len(b)-used >= wire.LengthSize {
		n, ok := wire.FrameLength([wire.LengthSize]byte(b[used:]), c.opts.MaxFrame)
		if !ok {
			return used, fmt.Errorf("%w: frame of %d bytes", ErrProtocol, n)
		}
		end := used + wire.LengthSize + n
		if len(b) < end {
			break
		}
		if err := c.frame(b[used+wire.LengthSize : end]); err != nil {
			return used, err
		}
		used = end
	}
	return used, nil
}

// frame hands one frame to whom it concerns.
func (c *Client) frame(b []byte) error {
	d := jute.NewDecoder(b)
	var h wire.ReplyHeader
	h.Decode(&d)
	if d.Err() != nil {
		return fmt.Errorf("%w: reply header: %w", ErrProtocol, d.Err())
	}
	if h.Xid == wire.XidNotification {
		return c.event(h.Zxid, &d)
	}
	p, ok := c.take(h.Xid)
	if !ok {
		return fmt.Errorf("%w: reply to xid %d, which is not next", ErrProtocol, h.Xid)
	}
	if h.Zxid > c.seen.Load() {
		c.seen.Store(h.Zxid)
	}
	p.end(Reply{Zxid: h.Zxid, Code: h.Code, Body: d.Rest()})
	return nil
}

func (c *Client) event(zxid int64, d *jute.Decoder) error {
	var e wire.WatcherEvent
	e.Decode(d)
	if d.Err() != nil {
		return fmt.Errorf("%w: event: %w", ErrProtocol, d.Err())
	}
	if c.opts.OnEvent != nil {
		c.opts.OnEvent(Event{Type: e.Type, State: e.State, Path: string(e.Path), Zxid: zxid})
	}
	return nil
}

// take removes the request that a reply with xid belongs to: the oldest, or there is none. The
// queue changes hands as a whole: one lock for as many replies as there were requests in flight.
func (c *Client) take(xid zab.Xid) (p pending, ok bool) {
	if xid == wire.XidAuth {
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.auths) == 0 {
			return pending{}, false
		}
		p = c.auths[0]
		c.auths = c.auths[1:]
		return p, true
	}
	if c.head == len(c.inflight) {
		clear(c.inflight)
		c.mu.Lock()
		c.inflight, c.queued = c.queued, c.inflight[:0]
		c.mu.Unlock()
		c.head = 0
	}
	if c.head == len(c.inflight) || c.inflight[c.head].xid != xid {
		return pending{}, false
	}
	p = c.inflight[c.head]
	c.head++
	return p, true
}
