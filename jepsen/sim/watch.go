package sim

import (
	"slices"

	"quoll/jepsen/history"
	"quoll/transport/jute"
	"quoll/transport/wire"
)

// remember notes the watches that an answered operation left, as client libraries do.
func (c *client) remember(o *history.Op, res *history.Result) {
	l := &c.watches
	switch {
	case o.Kind == wire.OpAddWatch && res.Code == wire.OK:
		if o.WatchMode == wire.AddWatchPersistentRecursive {
			add(&l.recursive, o.Path)
		} else {
			add(&l.persistent, o.Path)
		}
	case !o.Watch:
	case o.Kind == wire.OpExists && res.Code == wire.NoNode:
		add(&l.exist, o.Path)
	case res.Code != wire.OK:
	case o.Kind == wire.OpExists, o.Kind == wire.OpGetData:
		add(&l.data, o.Path)
	case o.Kind == wire.OpGetChildren, o.Kind == wire.OpGetChildren2:
		add(&l.child, o.Path)
	}
}

func add(list *[]string, path string) {
	if !slices.Contains(*list, path) {
		*list = append(*list, path)
	}
}

func drop(list *[]string, path string) {
	*list = slices.DeleteFunc(*list, func(p string) bool { return p == path })
}

func (l *watchList) empty() bool {
	return len(l.data)+len(l.exist)+len(l.child)+len(l.persistent)+len(l.recursive) == 0
}

// event takes a watch event: one-shot watches of the path are used up.
func (c *client) event(h *wire.ReplyHeader, d *jute.Decoder) {
	var e wire.WatcherEvent
	e.Decode(d)
	if d.Err() != nil {
		c.w.fail("C-WATCH1", c.conn.s.id, "client %d cannot read an event: %v", c.id, d.Err())
		return
	}
	path, l := string(e.Path), &c.watches
	switch e.Type {
	case wire.EventNodeCreated, wire.EventNodeDataChanged:
		drop(&l.data, path)
		drop(&l.exist, path)
	case wire.EventNodeDeleted:
		drop(&l.data, path)
		drop(&l.exist, path)
		drop(&l.child, path)
	case wire.EventNodeChildrenChanged:
		drop(&l.child, path)
	default:
	}
	ev := history.Event{Client: c.id, Conn: c.conn.number, Session: c.session, Type: e.Type, Path: path, Zxid: h.Zxid}
	c.w.record.Event(ev)
	c.w.note(uint64(c.id), uint64(e.Type), uint64(h.Zxid))
	c.w.trace(0, "event", c.conn.s.id, 0, func() string { return e.Type.String() + " " + path })
	c.gen.Event(ev)
}

// rewatch sets the watches again on a new connection, before anything else is asked there.
func (c *client) rewatch() {
	l := &c.watches
	c.w.cover.Add("watches set again")
	c.ask(history.Op{Kind: wire.OpSetWatches2, Rewatch: &history.Rewatch{
		SinceZxid: c.seen, Data: slices.Clone(l.data), Exist: slices.Clone(l.exist), Child: slices.Clone(l.child),
		Persistent: slices.Clone(l.persistent), Recurs: slices.Clone(l.recursive),
	}})
}
