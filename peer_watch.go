package quoll

import (
	"quoll/session"
	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/zab"
)

// rewatch registers the watches that a client brings along from another connection, and tells at
// once of what they missed: whatever changed after the client's last zxid (7.5). That is why
// mzxid, czxid and pzxid must be exact after any recovery (ZOOKEEPER-3145).
func (p *Peer) rewatch(c *Conn, op wire.Op, d *jute.Decoder) wire.Code {
	var req wire.SetWatchesRequest
	if op == wire.OpSetWatches2 {
		req.Decode2(d)
	} else {
		req.Decode(d)
	}
	if d.Err() != nil {
		return wire.MarshallingError
	}
	since := zab.Zxid(max(req.RelativeZxid, 0)) // a negative one is no zxid: nothing was seen
	for _, path := range req.Data {
		p.catchUp(c, session.CatchUpData, path, since)
	}
	for _, path := range req.Exist {
		p.catchUp(c, session.CatchUpExist, path, since)
	}
	for _, path := range req.Child {
		p.catchUp(c, session.CatchUpChild, path, since)
	}
	for _, path := range req.Persistent {
		p.watches.Add(c.ID, path, session.Persistent)
	}
	for _, path := range req.PersistentRecursive {
		p.watches.Add(c.ID, path, session.PersistentRecursive)
	}
	return wire.OK
}

// catchUp fires or registers one watch. The event of a znode that is gone has no ACL to obey.
func (p *Peer) catchUp(c *Conn, kind session.CatchUpKind, path string, since zab.Zxid) {
	var stat wire.Stat
	var acl []wire.ACL
	n, exists := p.tree.Lookup([]byte(path))
	if exists {
		stat, acl = p.tree.Stat(n), p.tree.ACL(n)
	}
	e, fire := session.CatchUp(kind, exists, stat.Mzxid, stat.Pzxid, since)
	switch {
	case !fire:
		p.watches.Add(c.ID, path, kind.Mode())
	case p.rules.Check(acl, wire.PermRead, c.Auth):
		c.event(e, []byte(path), -1)
	}
}

func (p *Peer) readAddWatch(c *Conn, d *jute.Decoder) wire.Code {
	path, mode := d.String(), d.Int()
	if d.Err() != nil {
		return wire.MarshallingError
	}
	switch mode {
	case wire.AddWatchPersistent:
		p.watches.Add(c.ID, path, session.Persistent)
	case wire.AddWatchPersistentRecursive:
		p.watches.Add(c.ID, path, session.PersistentRecursive)
	default:
		return wire.MarshallingError
	}
	c.Out = jute.AppendInt(c.Out, int32(wire.OK)) // an ErrorResponse, though nothing failed (3.3)
	return wire.OK
}

func (p *Peer) readCheckWatches(c *Conn, d *jute.Decoder) wire.Code {
	return watcher(d, func(path string, t session.WatcherType) bool { return p.watches.Has(c.ID, path, t) })
}

func (p *Peer) readRemoveWatches(c *Conn, d *jute.Decoder) wire.Code {
	return watcher(d, func(path string, t session.WatcherType) bool { return p.watches.Remove(c.ID, path, t) })
}

func watcher(d *jute.Decoder, found func(path string, t session.WatcherType) bool) wire.Code {
	path, t := d.String(), session.WatcherType(d.Int())
	switch {
	case d.Err() != nil || !t.Valid():
		return wire.MarshallingError
	case !found(path, t):
		return wire.NoWatcher
	}
	return wire.OK
}
