package driver

import (
	"bufio"
	"errors"
	"net"
	"time"

	"quoll/jepsen/history"
	"quoll/transport/jute"
	"quoll/transport/wire"
)

// hear takes frames until the connection ends.
func (c *client) hear(nc net.Conn) {
	r := bufio.NewReader(nc)
	var b []byte
	for {
		body, err := readFrame(r, b)
		c.r.mu.Lock()
		if err == nil {
			b = body
			c.heard = time.Now()
			err = c.reply(body)
		}
		if err != nil {
			c.end(err)
			c.r.mu.Unlock()
			return
		}
		c.r.mu.Unlock()
	}
}

var errStrange = errors.New("an answer that cannot be one")

// reply takes a frame: an event, the answer to a ping, or to the oldest open operation. The caller
// holds mu.
func (c *client) reply(body []byte) error {
	if c.broken != nil {
		return c.broken // what comes now, nobody waits for
	}
	d := jute.NewDecoder(body)
	var h wire.ReplyHeader
	h.Decode(&d)
	if d.Err() != nil {
		c.r.fault(c.id, "the header of an answer cannot be read: %v", d.Err())
		return errStrange
	}
	switch h.Xid {
	case wire.XidNotification:
		return c.event(&h, &d)
	case wire.XidPing:
		c.seen = max(c.seen, h.Zxid)
		c.r.record.Heard(c.number, h.Zxid)
		return nil
	}
	c.seen = max(c.seen, h.Zxid)
	if len(c.open) == 0 || c.r.record.Ops[c.open[0]].Xid != h.Xid {
		c.r.fault(c.id, "session %#x got an answer to request %d, which is not its oldest open one", c.session, h.Xid)
		return errStrange
	}
	n := c.open[0]
	o := &c.r.record.Ops[n]
	res := history.Result{Code: h.Code}
	if h.Code == wire.OK {
		if res = history.DecodeResult(&d, &o.Op); d.Err() != nil {
			c.r.fault(c.id, "the answer to %v %q cannot be read: %v", o.Op.Kind, o.Op.Path, d.Err())
			return errStrange
		}
	}
	c.open = c.open[1:]
	c.r.record.Return(n, h.Zxid, res)
	c.count(h.Code)
	return c.answered(n, &res)
}

// count keeps the figures of Progress.
func (c *client) count(code wire.Code) {
	if code == wire.OK {
		c.r.ok++
	} else {
		c.r.failed++
	}
	now := c.r.record.Now()
	if len(c.r.recent) > 1<<16 {
		c.r.forget(now)
	}
	c.r.recent = append(c.r.recent, now)
}

func (c *client) answered(n int, res *history.Result) error {
	op := &c.r.record.Ops[n].Op
	c.watches.Remember(op, res)
	c.tell(n, res)
	select {
	case c.changed <- struct{}{}: // there is room in the pipeline
	default:
	}
	switch {
	case op.Kind == wire.OpCloseSession && res.Code == wire.OK:
		c.expired()
		return errOver
	case res.Code == wire.SessionExpired, res.Code == wire.SessionMoved:
		return errors.New(res.Code.Name()) // the next handshake tells for certain
	}
	return nil
}

// tell has the workload know how an operation ended; res is nil when nobody knows.
func (c *client) tell(n int, res *history.Result) {
	if op := &c.r.record.Ops[n].Op; op.Kind != wire.OpSetWatches2 { // that is the library's own
		c.gen.Done(op, res, res != nil)
	}
}

// event takes a watch event.
func (c *client) event(h *wire.ReplyHeader, d *jute.Decoder) error {
	var e wire.WatcherEvent
	e.Decode(d)
	if d.Err() != nil {
		c.r.fault(c.id, "an event cannot be read: %v", d.Err())
		return errStrange
	}
	path := string(e.Path)
	c.watches.Fired(e.Type, path)
	ev := history.Event{Client: c.id, Conn: c.number, Session: c.session, Type: e.Type, Path: path, Zxid: h.Zxid}
	c.r.record.Event(ev)
	c.gen.Event(ev)
	return nil
}

// take records the answer to the oldest operation that is open.
func (a *asker) take(n int, body []byte) (res history.Result, err error) {
	a.r.mu.Lock()
	defer a.r.mu.Unlock()
	d := jute.NewDecoder(body)
	var h wire.ReplyHeader
	h.Decode(&d)
	o := &a.r.record.Ops[n]
	if d.Err() != nil || h.Xid != o.Xid {
		a.r.fault(a.id, "the answer to %v %q is to request %d, not %d", o.Op.Kind, o.Op.Path, h.Xid, o.Xid)
		return res, errStrange
	}
	res = history.Result{Code: h.Code}
	if h.Code == wire.OK {
		if res = history.DecodeResult(&d, &o.Op); d.Err() != nil {
			a.r.fault(a.id, "the answer to %v %q cannot be read: %v", o.Op.Kind, o.Op.Path, d.Err())
			return res, errStrange
		}
	}
	a.r.record.Return(n, h.Zxid, res)
	return res, nil
}
