package tree

import (
	"bytes"
	"slices"
	"strconv"

	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/zab"
)

// Prepare turns a request into a txn, checked against the tree and all that is outstanding, and
// appends its bytes to b. The checks come in ZooKeeper's order and the first that fails decides
// (protocol 4.2); the txn then is an error txn. nowMs becomes the time of the txn. Zxids ascend
// from call to call. req is not kept.
//
// createSession makes its id from the top byte of req.Session, which is the server that took the
// connection in, and the zxid.
func (p *Pending) Prepare(req *zab.Request, zxid zab.Zxid, nowMs int64, b []byte) []byte {
	if zxid <= p.current.zxid || zxid <= p.tree.applied {
		panic("tree: zxids of prepared txns must ascend")
	}
	start := len(b)
	h := headerOf(req, nowMs)
	if h.Op == wire.OpCreateSession {
		h.Session = makeSessionID(req.Session, zxid)
	}
	p.begin(preparation{zxid: zxid, nowMs: nowMs, session: h.Session, auth: req.Auth})
	b = h.append(b)
	head := len(b)
	b = jute.AppendInt(b, int32(wire.OK))
	b, code := p.appendRecord(h.Op, req.Body, b)
	// A closeSession was admitted one ephemeral at a time and must not fail.
	if code == wire.OK && h.Op != wire.OpCloseSession && len(b)-start > p.tree.options.maxTxnBytes() {
		code = wire.SystemError
	}
	if code != wire.OK {
		p.rollback()
		b = jute.AppendInt(b[:head], int32(code))
	}
	return b
}

// Refuse appends the error txn of a request that fails for a reason outside the tree, such as a
// session that moved.
func (p *Pending) Refuse(req *zab.Request, zxid zab.Zxid, nowMs int64, code wire.Code, b []byte) []byte {
	if zxid <= p.current.zxid || code == wire.OK {
		panic("tree: a refusal needs an ascending zxid and a reason")
	}
	p.current.zxid = zxid
	h := headerOf(req, nowMs)
	return jute.AppendInt(h.append(b), int32(code))
}

func headerOf(req *zab.Request, nowMs int64) Header {
	return Header{Session: req.Session, ID: req.ID, Xid: req.Xid, Op: wire.Op(req.Op), TimeMs: nowMs}
}

// makeSessionID joins the server that took a session in and the zxid that opens it.
func makeSessionID(origin zab.SessionID, zxid zab.Zxid) zab.SessionID {
	const low = 1<<56 - 1
	return origin&^low | zab.SessionID(zxid&low)
}

func (p *Pending) appendRecord(op wire.Op, body, b []byte) ([]byte, wire.Code) {
	switch op {
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL,
		wire.OpDelete, wire.OpSetData, wire.OpSetACL, wire.OpDeleteContainer:
		q, err := decodeRequest(op, body)
		if err != nil {
			return b, wire.MarshallingError
		}
		return p.appendChange(&q, b)
	case wire.OpMulti:
		return p.appendMulti(body, b)
	case wire.OpCreateSession:
		return p.openSession(body, b)
	case wire.OpCloseSession:
		return p.closeSession(b), wire.OK
	case wire.OpReconfig:
		return b, wire.ReconfigDisabled
	default:
		return b, wire.Unimplemented // check too, outside of a multi
	}
}

// appendChange prepares one op on a znode, alone or in a multi.
func (p *Pending) appendChange(q *request, b []byte) ([]byte, wire.Code) {
	c := change{op: q.Op, path: q.Path, data: q.Data}
	var code wire.Code
	switch q.Op {
	case wire.OpDelete:
		code = p.delete(q)
	case wire.OpSetData:
		code = p.setData(q, &c)
	case wire.OpSetACL:
		code = p.setACL(q, &c)
	case wire.OpCheck:
		code = p.check(q)
	case wire.OpDeleteContainer:
		code = p.deleteContainer(q)
	default:
		code = p.create(q, &c)
	}
	if code != wire.OK {
		return b, code
	}
	return c.append(b), wire.OK
}

// createMode reads a create's flags: the owner that makes the znode what it is, and whether it
// gets a number.
func (p *Pending) createMode(q *request) (owner zab.SessionID, sequential bool, code wire.Code) {
	if !q.Flags.Valid() {
		return 0, false, wire.BadArguments
	}
	switch {
	case q.Flags.TTL():
		if !p.tree.options.ExtendedTypes {
			return 0, false, wire.Unimplemented
		}
		if q.Op != wire.OpCreateTTL || q.TTLMs <= 0 || q.TTLMs > maxTTL {
			return 0, false, wire.BadArguments
		}
		owner = zab.SessionID(ownerTTL | uint64(q.TTLMs))
	case q.Op == wire.OpCreateTTL:
		return 0, false, wire.BadArguments
	case q.Op == wire.OpCreateContainer: // whatever the flags say
		owner = ownerContainer
	case q.Flags.Ephemeral():
		owner = p.current.session
	}
	return owner, q.Flags.Sequential(), wire.OK // wire.Container of a plain create is persistent
}

func (p *Pending) create(q *request, c *change) wire.Code {
	owner, sequential, code := p.createMode(q)
	if code != wire.OK {
		return code
	}
	if !p.Alive(p.current.session) {
		return wire.SessionExpired
	}
	if q.Path == nil {
		return wire.MarshallingError
	}
	if !CheckPath(q.Path) {
		return wire.BadArguments
	}
	acls, code := p.fixUp(q.ACL, c)
	if code != wire.OK {
		return code
	}
	parentPath, _ := Split(q.Path)
	parent := p.node(parentPath)
	if !parent.exists {
		return wire.NoNode
	}
	if !p.allowed(parent.acl, wire.PermCreate) {
		return wire.NoAuth
	}
	if sequential {
		p.path = appendSequence(append(p.path[:0], q.Path...), parent.creates)
		c.path = p.path
	}
	if !ValidatePath(c.path) {
		return wire.BadArguments
	}
	if p.node(c.path).exists {
		return wire.NodeExists
	}
	if kindOf(parent.owner) == ephemeral {
		return wire.NoChildrenForEphemerals
	}
	c.owner, c.count = owner, nextCreates(parent.creates)
	return p.addNode(parentPath, parent, c, acls)
}

// addNode puts a created znode into the overlay, unless the server could not hold it or could not
// close its session any more (R30).
func (p *Pending) addNode(parentPath []byte, parent nodeState, c *change, acls []wire.ACL) wire.Code {
	if !p.tree.arena.Room() {
		return wire.SystemError
	}
	owned := kindOf(c.owner) == ephemeral
	var owner pendingSession
	if owned {
		owner = p.session(c.owner)
		owner.bytes += pathBytes(len(c.path))
		if closeBytes+owner.bytes > p.tree.options.maxTxnBytes() {
			return wire.SystemError
		}
	}
	parent.creates = c.count
	parent.children++
	p.setNode(parentPath, parent)
	i := p.setNode(c.path, nodeState{exists: true, owner: c.owner, mtime: p.current.nowMs, acl: acls})
	if owned {
		owner.created = p.addCreated(c.owner, owner.created, i)
		p.setSession(c.owner, owner)
	}
	return wire.OK
}

func (p *Pending) delete(q *request) wire.Code {
	if !p.Alive(p.current.session) {
		return wire.SessionExpired
	}
	if q.Path == nil {
		return wire.MarshallingError
	}
	if !CheckPath(q.Path) || Reserved(q.Path) {
		return wire.BadArguments
	}
	parentPath, _ := Split(q.Path)
	parent := p.node(parentPath)
	if !parent.exists {
		return wire.NoNode
	}
	if !p.allowed(parent.acl, wire.PermDelete) {
		return wire.NoAuth
	}
	n := p.node(q.Path)
	switch {
	case !n.exists:
		return wire.NoNode
	case !versionMatches(q.Version, n.version):
		return wire.BadVersion
	case n.children != 0:
		return wire.NotEmpty
	}
	p.removeNode(q.Path)
	return wire.OK
}

// deleteContainer is the leader's reaper's: it goes by no session and no list, so it is refused to
// clients. What the reaper saw may have changed since, so it is judged again.
func (p *Pending) deleteContainer(q *request) wire.Code {
	if p.current.session != 0 {
		return wire.Unimplemented
	}
	if !CheckPath(q.Path) || Reserved(q.Path) {
		return wire.BadArguments
	}
	n := p.node(q.Path)
	switch {
	case !n.exists:
		return wire.NoNode
	case n.children != 0:
		return wire.NotEmpty
	case !n.reapable(p.current.nowMs, 1):
		return wire.BadVersion
	}
	p.removeNode(q.Path)
	return wire.OK
}

// removeNode takes an existing, childless znode out of the overlay.
func (p *Pending) removeNode(path []byte) {
	n := p.node(path)
	parentPath, _ := Split(path)
	parent := p.node(parentPath)
	parent.children--
	p.setNode(parentPath, parent)
	p.setNode(path, nodeState{})
	if kindOf(n.owner) == ephemeral {
		owner := p.session(n.owner)
		owner.bytes -= pathBytes(len(path))
		p.setSession(n.owner, owner)
	}
}

func (p *Pending) setData(q *request, c *change) wire.Code {
	n, code := p.visit(q, wire.PermWrite)
	if code != wire.OK {
		return code
	}
	if !versionMatches(q.Version, n.version) {
		return wire.BadVersion
	}
	if !p.tree.arena.Room() {
		return wire.SystemError
	}
	c.count = nextVersion(n.version)
	n.version, n.mtime = c.count, p.current.nowMs
	p.setNode(q.Path, n)
	return wire.OK
}

func (p *Pending) setACL(q *request, c *change) wire.Code {
	if !p.Alive(p.current.session) {
		return wire.SessionExpired
	}
	if !ValidatePath(q.Path) {
		return wire.BadArguments
	}
	acls, code := p.fixUp(q.ACL, c)
	if code != wire.OK {
		return code
	}
	n, code := p.visit(q, wire.PermAdmin)
	if code != wire.OK {
		return code
	}
	if !versionMatches(q.Version, n.aversion) {
		return wire.BadVersion
	}
	c.count = nextVersion(n.aversion)
	n.aversion, n.acl = c.count, acls
	p.setNode(q.Path, n)
	return wire.OK
}

func (p *Pending) check(q *request) wire.Code {
	n, code := p.visit(q, wire.PermRead)
	if code == wire.OK && !versionMatches(q.Version, n.version) {
		code = wire.BadVersion
	}
	return code
}

// visit makes the checks that all ops on one existing znode have in common.
func (p *Pending) visit(q *request, perm wire.Perm) (nodeState, wire.Code) {
	if !p.Alive(p.current.session) {
		return nodeState{}, wire.SessionExpired
	}
	if !ValidatePath(q.Path) {
		return nodeState{}, wire.BadArguments
	}
	n := p.node(q.Path)
	if !n.exists {
		return n, wire.NoNode
	}
	if !p.allowed(n.acl, perm) {
		return n, wire.NoAuth
	}
	return n, wire.OK
}

func (p *Pending) allowed(acl []wire.ACL, perm wire.Perm) bool {
	return p.tree.rules.Check(acl, perm, p.current.auth)
}

// fixUp judges and expands the list of a create or a setACL and leaves the bytes to store in c.
func (p *Pending) fixUp(acls []wire.ACL, c *change) ([]wire.ACL, wire.Code) {
	acls, code := p.tree.rules.FixUp(acls, p.current.auth)
	if code != wire.OK {
		return nil, code
	}
	p.acl = wire.AppendACLs(p.acl[:0], acls)
	c.acl = p.acl
	return acls, wire.OK
}

func versionMatches(want, have int32) bool { return want == wire.AnyVersion || want == have }

// appendSequence appends the number of a sequential znode: ten digits, or more when it is larger.
func appendSequence(path []byte, n int32) []byte {
	var digits [12]byte
	number := strconv.AppendInt(digits[:0], int64(n), 10)
	for range 10 - len(number) {
		path = append(path, '0')
	}
	return append(path, number...)
}

func (p *Pending) openSession(body, b []byte) ([]byte, wire.Code) {
	d := jute.NewDecoder(body)
	timeoutMs := d.Int()
	password := d.Buffer()
	if d.Err() != nil || len(password) != len(session{}.password) {
		return b, wire.MarshallingError
	}
	id := p.current.session
	// A server number of 255 would make the id a time to live. An id that is taken is left over from
	// 65,536 epochs before, for that many bits of the epoch fit in.
	if kindOf(id) != ephemeral || p.session(id).exists {
		return b, wire.SystemError
	}
	p.setSession(id, pendingSession{exists: true})
	return jute.AppendBuffer(jute.AppendInt(b, timeoutMs), password), wire.OK
}

// closeSession lists the ephemerals that the session has after everything prepared so far, and
// closes it to whatever comes later (R26, ZOOKEEPER-1208). It never fails: a session that is gone
// or closing has nothing to delete. With the session its ephemerals are gone from the overlay (node), so
// a hundred thousand of them take no entries of their own.
func (p *Pending) closeSession(b []byte) []byte {
	id := p.current.session
	s := p.session(id)
	if !s.exists || s.closing {
		return jute.AppendInt(b, 0)
	}
	paths := p.ephemeralsOf(id, s)
	b = jute.AppendInt(slices.Grow(b, closeBytes+s.bytes), int32(len(paths)))
	left := leaving{pending: p}
	for _, path := range paths {
		left.add(path)
		b = jute.AppendBuffer(b, path)
	}
	left.settle()
	p.setSession(id, pendingSession{exists: true, closing: true})
	return b
}

// ephemeralsOf returns the sorted paths of a session's ephemerals: those that the tree has and the overlay
// leaves, and those that only the overlay has.
func (p *Pending) ephemeralsOf(id zab.SessionID, s pendingSession) [][]byte {
	text := make([]byte, 0, s.bytes) // of all of them
	applied, _ := p.tree.Session(id)
	paths := make([][]byte, 0, applied.Ephemerals+len(s.created))
	add := func(path []byte) {
		text = append(text, path...)
		paths = append(paths, text[len(text)-len(path):])
	}
	p.tree.EachEphemeral(id, func(path []byte) bool {
		if i := p.find(path, p.hash(path)); i == 0 || p.owns(id, i) {
			add(path)
		}
		return true
	})
	for _, i := range s.created {
		if p.owns(id, i) {
			add(p.nodes[i].path)
		}
	}
	slices.SortFunc(paths, bytes.Compare)
	return slices.CompactFunc(paths, bytes.Equal)
}

// leaving takes children off their parents. Those of one parent that come in a row are counted once.
type leaving struct {
	pending *Pending
	parent  []byte
	n       int32
}

func (l *leaving) add(path []byte) {
	if parent, _ := Split(path); l.n == 0 || !bytes.Equal(parent, l.parent) {
		l.settle()
		l.parent = append(l.parent[:0], parent...)
	}
	l.n++
}

func (l *leaving) settle() {
	if l.n == 0 {
		return
	}
	parent := l.pending.node(l.parent)
	parent.children -= l.n
	l.pending.setNode(l.parent, parent)
	l.n = 0
}
