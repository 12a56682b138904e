package quoll

import (
	"bytes"
	"strings"

	"quoll/session"
	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/tree"
)

// read answers a frame that needs no txn from the tree as it stands.
func (p *Peer) read(c *Conn, frame []byte) {
	d := jute.NewDecoder(frame)
	var h wire.RequestHeader
	h.Decode(&d)
	z := p.tree.Applied()
	switch h.Op {
	case wire.OpPing:
		c.answer(wire.XidPing, int64(z), wire.OK)
		return
	case wire.OpSetWatches, wire.OpSetWatches2:
		code := p.rewatch(c, h.Op, &d) // its events come before its reply (7.5)
		c.answer(h.Xid, int64(z), code)
		return
	default:
	}
	start := c.begin(h.Xid, z, wire.OK)
	code, known := p.readBody(c, h.Op, &d)
	if !known {
		c.Out = c.Out[:start]
		c.answer(h.Xid, -1, code)
		c.finish()
		return
	}
	if code == wire.OK && d.Err() != nil {
		code = wire.MarshallingError
	}
	if code != wire.OK {
		c.Out = wire.FailReply(c.Out, start, code)
	}
	c.end(start)
}

// readBody appends the body of the reply to an operation that needs no txn, unless it fails. known is false for an
// operation that nobody knows, or that only a multi may hold (3.3). It is a switch and no table: through a
// pointer to a function the decoder would be an allocation for each read.
func (p *Peer) readBody(c *Conn, op wire.Op, d *jute.Decoder) (code wire.Code, known bool) {
	switch op {
	case wire.OpSync:
		code = p.readSync(c, d)
	case wire.OpExists:
		code = p.readExists(c, d)
	case wire.OpGetData:
		code = p.readData(c, d)
	case wire.OpGetACL:
		code = p.readACL(c, d)
	case wire.OpGetChildren:
		code = p.readChildren(c, d)
	case wire.OpGetChildren2:
		code = p.readChildren2(c, d)
	case wire.OpGetEphemerals:
		code = p.readEphemerals(c, d)
	case wire.OpGetAllChildrenNumber:
		code = p.readDescendants(c, d)
	case wire.OpMultiRead:
		code = p.readMulti(c, d)
	case wire.OpAddWatch:
		code = p.readAddWatch(c, d)
	case wire.OpCheckWatches:
		code = p.readCheckWatches(c, d)
	case wire.OpRemoveWatches:
		code = p.readRemoveWatches(c, d)
	case wire.OpWhoAmI:
		code = p.readWhoAmI(c, d)
	default:
		return wire.Unimplemented, false
	}
	return code, true
}

// node finds the znode of a request and checks that c may do perm with it. An empty path is the
// root, as in ZooKeeper, but a null one is no path.
func (p *Peer) node(c *Conn, path []byte, perm wire.Perm) (tree.NodeID, wire.Code) {
	if path == nil {
		return 0, wire.MarshallingError
	}
	n, ok := p.tree.Lookup(path)
	if !ok {
		return 0, wire.NoNode
	}
	if !p.rules.Check(p.tree.ACL(n), perm, c.Auth) {
		return 0, wire.NoAuth
	}
	return n, wire.OK
}

func (p *Peer) stat(c *Conn, path []byte, n tree.NodeID) {
	_, s := p.shown(path, n)
	c.Out = s.Append(c.Out)
}

func (p *Peer) readSync(c *Conn, d *jute.Decoder) wire.Code {
	c.Out = jute.AppendBuffer(c.Out, d.Buffer())
	return wire.OK
}

// readExists watches also what does not exist, but nothing that c may not read (7.2).
func (p *Peer) readExists(c *Conn, d *jute.Decoder) wire.Code {
	path, watch := d.Buffer(), d.Bool()
	if d.Err() != nil {
		return wire.MarshallingError
	}
	if bytes.IndexByte(path, 0) >= 0 {
		return wire.BadArguments
	}
	n, code := p.node(c, path, wire.PermRead)
	if watch && (code == wire.OK || code == wire.NoNode) {
		p.watches.Add(c.ID, string(path), session.Data)
	}
	if code == wire.OK {
		p.stat(c, path, n)
	}
	return code
}

func (p *Peer) readData(c *Conn, d *jute.Decoder) wire.Code {
	path, watch := d.Buffer(), d.Bool()
	if d.Err() != nil {
		return wire.MarshallingError
	}
	n, code := p.node(c, path, wire.PermRead)
	if code != wire.OK {
		return code
	}
	if watch {
		p.watches.Add(c.ID, string(path), session.Data)
	}
	p.appendData(c, path, n)
	return wire.OK
}

func (p *Peer) appendData(c *Conn, path []byte, n tree.NodeID) {
	data, s := p.shown(path, n)
	c.Out = s.Append(jute.AppendBuffer(c.Out, data))
}

// shown is what a znode shows to clients: what the tree has, but for the membership.
func (p *Peer) shown(path []byte, n tree.NodeID) (data []byte, s wire.Stat) {
	data, s = p.tree.Data(n), p.tree.Stat(n)
	if string(path) == configPath && len(data) == 0 && p.cfg.ConfigText != "" {
		data = []byte(p.cfg.ConfigText)
		s.DataLength = int32(len(data))
	}
	return data, s
}

// configPath shows the membership. It comes from the server's configuration as long as the
// membership cannot be changed by a txn, and so it is not in the tree (R12).
const configPath = "/zookeeper/config"

func (p *Peer) readACL(c *Conn, d *jute.Decoder) wire.Code {
	path := d.Buffer()
	if d.Err() != nil {
		return wire.MarshallingError
	}
	n, code := p.node(c, path, wire.PermRead|wire.PermAdmin)
	if code != wire.OK {
		return code
	}
	c.Out = wire.AppendACLs(c.Out, p.rules.Redact(p.tree.ACL(n), c.Auth))
	p.stat(c, path, n)
	return wire.OK
}

func (p *Peer) readChildren(c *Conn, d *jute.Decoder) wire.Code {
	_, _, code := p.children(c, d)
	return code
}

func (p *Peer) readChildren2(c *Conn, d *jute.Decoder) wire.Code {
	path, n, code := p.children(c, d)
	if code == wire.OK {
		p.stat(c, path, n)
	}
	return code
}

func (p *Peer) children(c *Conn, d *jute.Decoder) (path []byte, n tree.NodeID, code wire.Code) {
	path, watch := d.Buffer(), d.Bool()
	if d.Err() != nil {
		return nil, 0, wire.MarshallingError
	}
	if n, code = p.node(c, path, wire.PermRead); code != wire.OK {
		return nil, 0, code
	}
	if watch {
		p.watches.Add(c.ID, string(path), session.Child)
	}
	p.appendList(c, n)
	return path, n, wire.OK
}

func (p *Peer) appendChildren(c *Conn, n tree.NodeID) {
	c.Out = jute.AppendInt(c.Out, int32(p.tree.NumChildren(n)))
	p.tree.EachChild(n, func(name []byte) bool {
		c.Out = jute.AppendBuffer(c.Out, name)
		return true
	})
}

// readEphemerals lists the session's own ephemerals whose paths start with the prefix, which
// need not end at a slash.
func (p *Peer) readEphemerals(c *Conn, d *jute.Decoder) wire.Code {
	prefix := d.String()
	if all := strings.TrimSpace(prefix); all == "" || all == "/" {
		prefix = ""
	}
	at, n := len(c.Out), int32(0)
	c.Out = jute.AppendInt(c.Out, 0)
	p.tree.EachEphemeral(c.Session, func(path []byte) bool {
		if bytes.HasPrefix(path, []byte(prefix)) {
			c.Out = jute.AppendBuffer(c.Out, path)
			n++
		}
		return true
	})
	jute.AppendInt(c.Out[:at], n)
	return wire.OK
}

func (p *Peer) readDescendants(c *Conn, d *jute.Decoder) wire.Code {
	path := d.Buffer()
	if d.Err() != nil {
		return wire.MarshallingError
	}
	if _, code := p.node(c, path, wire.PermRead); code != wire.OK {
		return code
	}
	c.Out = jute.AppendInt(c.Out, int32(p.tree.Descendants(path)))
	return wire.OK
}

// readMulti answers each sub-operation for itself; one that may not be there spoils the whole.
// Watch flags mean nothing here (3.6). Ops are small and what they read is not, so the answer has
// a limit.
func (p *Peer) readMulti(c *Conn, d *jute.Decoder) wire.Code {
	ops := wire.NewMultiReader(d, wire.OpMultiRead)
	start := len(c.Out)
	var o wire.MultiOp
	for ops.Next(&o) {
		if len(c.Out)-start > c.outLimit() {
			return wire.SystemError
		}
		n, code := p.node(c, o.Path, wire.PermRead)
		if code != wire.OK {
			c.Out = wire.AppendMultiError(c.Out, code)
			continue
		}
		c.Out = wire.MultiHeader{Op: o.Op}.Append(c.Out)
		if o.Op == wire.OpGetChildren {
			p.appendChildren(c, n)
			continue
		}
		p.appendData(c, o.Path, n)
	}
	c.Out = wire.MultiEnd.Append(c.Out)
	return wire.OK
}

func (p *Peer) readWhoAmI(c *Conn, _ *jute.Decoder) wire.Code {
	c.Out = jute.AppendInt(c.Out, int32(len(c.Auth)))
	for _, id := range c.Auth {
		user := id.ID
		if id.Scheme == "digest" { // never the hash (8.8)
			user, _, _ = strings.Cut(user, ":")
		}
		c.Out = jute.AppendString(c.Out, id.Scheme)
		c.Out = jute.AppendString(c.Out, user)
	}
	return wire.OK
}
