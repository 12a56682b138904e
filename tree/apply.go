package tree

import (
	"bytes"
	"fmt"
	"slices"

	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/tree/slab"
	"quoll/zab"
)

// Apply carries out a committed txn and tells r what came of it. It is the only path that changes
// a tree. Txns come in zxid order without gaps; one at or before Applied has been carried out
// already and changes nothing, so a replay may start before the snapshot it builds on.
//
// A txn holds results, and what Prepare made fits the tree that it was prepared on. One that does
// not decode or that contradicts the tree is a bug; Apply panics, since a server that went on
// would diverge (R18).
func (t *Tree) Apply(txn zab.Txn, r *Result) {
	r.Reset()
	r.Zxid = txn.Zxid
	d := jute.NewDecoder(txn.Data)
	r.decode(&d)
	r.Code = wire.Code(d.Int())
	if d.Err() == nil && txn.Zxid > t.applied {
		t.applyRecord(&d, r)
		t.touch(&r.Header)
		t.applied = txn.Zxid
		if d.Len() != 0 {
			d.Fail(fmt.Errorf("%d bytes too many", d.Len()))
		}
	}
	if err := d.Err(); err != nil {
		panic(fmt.Sprintf("tree: txn %v of op %d: %v", txn.Zxid, r.Op, err))
	}
}

func (t *Tree) applyRecord(d *jute.Decoder, r *Result) {
	if r.Code != wire.OK {
		return
	}
	switch r.Op {
	case wire.OpMulti:
		t.applyMulti(d, r)
	case wire.OpCreateSession:
		t.openSession(d, r)
	case wire.OpCloseSession:
		t.closeSession(d, r)
	default:
		var c change
		if c.decode(r.Op, d); d.Err() != nil {
			return
		}
		r.Path = c.path
		r.Stat = t.applyChange(&c, r)
	}
}

func (t *Tree) applyMulti(d *jute.Decoder, r *Result) {
	for n := d.Count(8); n > 0; n-- {
		var c change
		if c.decode(wire.Op(d.Int()), d); d.Err() != nil {
			return
		}
		op := OpResult{Op: c.op, Code: c.code}
		switch c.op {
		case wire.OpError:
		case wire.OpCreateContainer, wire.OpCreateTTL:
			op.Op = wire.OpCreate2
			fallthrough
		default:
			op.Path, op.Stat = c.path, t.applyChange(&c, r)
		}
		r.Ops = append(r.Ops, op)
	}
}

// applyChange returns the stat that the change leaves behind.
func (t *Tree) applyChange(c *change, r *Result) wire.Stat {
	var id NodeID
	switch c.op {
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL:
		id = t.create(c, r)
	case wire.OpSetData:
		id = t.setData(c, r)
	case wire.OpSetACL:
		id = t.setACL(c, r)
	case wire.OpDelete, wire.OpDeleteContainer:
		t.remove(c.path, r)
		return wire.Stat{}
	case wire.OpCheck: // was checked when the txn was prepared
		return wire.Stat{}
	default:
		r.contradicts(c.path, "an op that changes no znode")
	}
	return t.stat(t.at(id))
}

// contradicts stops the server on a txn that does not fit the tree.
func (r *Result) contradicts(path []byte, what string) {
	panic(fmt.Sprintf("tree: txn %v of op %d on %q: %s", r.Zxid, r.Op, path, what))
}

// mustLookup finds a znode that the txn says is there.
func (t *Tree) mustLookup(path []byte, r *Result) NodeID {
	id, ok := t.Lookup(path)
	if !ok {
		r.contradicts(path, "no such znode")
	}
	return id
}

func (t *Tree) create(c *change, r *Result) NodeID {
	parentPath, name := Split(c.path)
	parent := t.mustLookup(parentPath, r)
	if len(name) == 0 || c.path[0] != '/' || t.child(parent, name) != 0 || t.kindAt(parent) == ephemeral {
		r.contradicts(c.path, "cannot be created")
	}
	owned := kindOf(c.owner) == ephemeral
	if owned && t.sessions.byID[c.owner] == 0 {
		r.contradicts(c.path, "has no live owner")
	}
	hash := pathHash(parentPath)
	t.sum -= t.familyTerm(hash, t.at(parent))
	id := t.attach(parent, name, c.data, node{
		czxid: r.Zxid, mzxid: r.Zxid, ctime: r.TimeMs, mtime: r.TimeMs, acl: t.acls.intern(c.acl),
	}, kin{pzxid: r.Zxid, owner: c.owner})
	k := t.editKin(parent)
	k.pzxid = r.Zxid
	k.creates = max(k.creates, c.count)
	t.sum += t.familyTerm(hash, t.at(parent))
	if owned {
		t.own(id, len(c.path))
	}
	n := t.at(id)
	t.sum += t.terms(slab.Hash(hash, name), n)
	t.count++
	t.dataSize += int64(len(c.path) + n.dataBytes())
	r.Changes = append(r.Changes, Change{
		Type: Created, Path: c.path, ACL: t.acls.at(n.acl).acls, ParentACL: t.ACL(parent),
	})
	return id
}

func (t *Tree) remove(path []byte, r *Result) {
	var f family
	f.of(t, path, r)
	f.remove(path, r)
	f.leave(r)
}

// family is a parent some of whose children are deleted. Closing a session deletes many of one in a row, which look for
// their parent and change what it adds to the digest once.
type family struct {
	tree   *Tree
	path   []byte // of the parent
	parent NodeID // 0: none yet
	hash   uint64 // of its path
}

// of turns to the parent of a path.
func (f *family) of(t *Tree, path []byte, r *Result) {
	parent, _ := Split(path)
	if f.parent != 0 && bytes.Equal(parent, f.path) {
		return
	}
	f.leave(r)
	f.tree, f.path, f.parent, f.hash = t, parent, t.mustLookup(parent, r), pathHash(parent)
	t.sum -= t.familyTerm(f.hash, t.at(f.parent))
}

// leave says that no more children of the parent are deleted for now.
func (f *family) leave(r *Result) {
	if f.parent == 0 {
		return
	}
	t := f.tree
	t.editKin(f.parent).pzxid = r.Zxid
	t.sum += t.familyTerm(f.hash, t.at(f.parent))
	f.parent = 0
}

// deletesAtOnce is how many deletes of one txn look for their places in the index at once.
const deletesAtOnce = 64

// warm makes ready to delete those of paths that belong to the family.
func (f *family) warm(paths [][]byte) {
	var hashes [deletesAtOnce]uint32
	n := 0
	for _, path := range paths {
		if parent, name := Split(path); bytes.Equal(parent, f.path) {
			hashes[n] = f.tree.hashName(f.parent, name)
			n++
		}
	}
	f.tree.index.Warm(hashes[:n])
}

func (f *family) remove(path []byte, r *Result) {
	t := f.tree
	_, name := Split(path)
	id := t.child(f.parent, name)
	if id == 0 || path[0] != '/' {
		r.contradicts(path, "no such znode")
	}
	n := t.at(id)
	k := t.kin(n)
	if k.numChildren() != 0 {
		r.contradicts(path, "cannot be deleted")
	}
	acl := n.acl
	t.sum -= t.terms(slab.Hash(f.hash, name), n)
	t.count--
	t.dataSize -= int64(len(path) + n.dataBytes())
	r.Changes = append(r.Changes, Change{
		Type: Deleted, Path: path, ACL: t.acls.at(acl).acls, ParentACL: t.ACL(f.parent),
	})
	if kindOf(k.owner) == ephemeral {
		t.disown(id, len(path))
	}
	t.detach(id)
	t.acls.release(acl)
}

func (t *Tree) setData(c *change, r *Result) NodeID {
	id := t.mustLookup(c.path, r)
	n := t.edit(id)
	hash := pathHash(c.path)
	t.sum -= t.contentTerm(hash, n)
	t.dataSize += int64(len(c.data) - n.dataBytes())
	t.replaceData(id, c.data)
	n.version, n.mzxid, n.mtime = c.count, r.Zxid, r.TimeMs
	t.sum += t.contentTerm(hash, n)
	r.Changes = append(r.Changes, Change{Type: DataChanged, Path: c.path, ACL: t.acls.at(n.acl).acls})
	return id
}

func (t *Tree) setACL(c *change, r *Result) NodeID {
	id := t.mustLookup(c.path, r)
	n := t.edit(id)
	hash := pathHash(c.path)
	t.sum -= t.birthTerm(hash, n)
	old := n.acl
	n.acl, n.aversion = t.acls.intern(c.acl), c.count
	t.acls.release(old)
	t.sum += t.birthTerm(hash, n)
	return id
}

func (t *Tree) openSession(d *jute.Decoder, r *Result) {
	s := session{id: r.Header.Session, timeoutMs: d.Int()}
	password := d.Buffer()
	if d.Err() != nil {
		return
	}
	if copy(s.password[:], password) != len(password) || len(password) != len(s.password) ||
		kindOf(s.id) != ephemeral || t.sessions.byID[s.id] != 0 {
		r.contradicts(nil, fmt.Sprintf("session %#x cannot be opened", uint64(s.id)))
	}
	i := t.sessions.add(s)
	t.sum += sessionTerm(&s)
	r.Opened = s.id
	r.Session = t.sessions.slots.At(i).public()
	r.Session.Last = r.ID
}

// closeSession deletes exactly the paths that the txn lists (ZOOKEEPER-3145). A session may be
// gone already: its client and its expiry can both have closed it.
func (t *Tree) closeSession(d *jute.Decoder, r *Result) {
	n := d.Count(4)
	r.Changes = slices.Grow(r.Changes, n)
	var f family
	for n > 0 {
		var paths [deletesAtOnce][]byte
		next := paths[:min(n, deletesAtOnce)]
		for i := range next {
			next[i] = d.Buffer()
		}
		if d.Err() != nil {
			return
		}
		f.of(t, next[0], r)
		f.warm(next)
		for _, path := range next {
			f.of(t, path, r)
			f.remove(path, r)
		}
		n -= len(next)
	}
	f.leave(r)
	r.Closed = r.Header.Session
	i, ok := t.sessions.byID[r.Closed]
	if !ok {
		return
	}
	s := t.sessions.slots.At(i)
	if s.ephemerals != 0 {
		r.contradicts(nil, "session has ephemerals that the txn does not list")
	}
	t.sum -= sessionTerm(s)
	t.sessions.remove(i)
}

// touch records the request in its session, failed ones too: after an election that tells what
// was answered and what must be sent again.
func (t *Tree) touch(h *Header) {
	if h.ID == (zab.RequestID{}) {
		return
	}
	i, ok := t.sessions.byID[h.Session]
	if !ok {
		return
	}
	s := t.sessions.slots.Edit(i)
	t.sum -= sessionTerm(s)
	s.last = h.ID
	t.sum += sessionTerm(s)
}
