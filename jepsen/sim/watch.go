package sim

import (
	"quoll/jepsen/history"
	"quoll/transport/jute"
	"quoll/transport/wire"
)

// event takes a watch event: one-shot watches of the path are used up.
func (c *client) event(h *wire.ReplyHeader, d *jute.Decoder) {
	var e wire.WatcherEvent
	e.Decode(d)
	if d.Err() != nil {
		c.w.fail("C-WATCH1", c.conn.s.id, "client %d cannot read an event: %v", c.id, d.Err())
		return
	}
	path := string(e.Path)
	c.watches.Fired(e.Type, path)
	ev := history.Event{Client: c.id, Conn: c.conn.number, Session: c.session, Type: e.Type, Path: path, Zxid: h.Zxid}
	c.w.record.Event(ev)
	c.w.note(uint64(c.id), uint64(e.Type), uint64(h.Zxid))
	c.w.trace(0, "event", c.conn.s.id, 0, func() string { return e.Type.String() + " " + path })
	c.gen.Event(ev)
}
