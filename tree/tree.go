package tree

import (
	"bytes"
	"math/bits"

	"quoll/transport/wire"
	"quoll/tree/slab"
	"quoll/zab"
)

// Tree is the committed state at one zxid. New or Restore makes one; see the package's
// documentation for who may call what when.
type Tree struct {
	options Options
	rules   *Rules

	gen      slab.Generation
	nodes    slab.Table[node]
	free     NodeID // list of free slots
	kins     slab.Table[kin]
	freeKins uint32 // list of free slots
	arena    slab.Arena
	index    slab.Index
	acls     aclStore
	sessions sessionTable
	reapable slotSet // containers and znodes with a time to live

	applied    zab.Zxid
	sum        uint64 // of the digest's terms, see digest.go
	count      int    // znodes, the root once
	ephemerals int
	dataSize   int64
}

// New returns the tree of a fresh server: "/", /zookeeper, /zookeeper/quota and /zookeeper/config
// (protocol 5.1), at zxid 0.
func New(o Options) *Tree {
	t := empty(o)
	open := wire.AppendACLs(nil, wire.OpenACL)
	readOnly := wire.AppendACLs(nil, []wire.ACL{{Perms: wire.PermRead, Scheme: schemeWorld, ID: worldAnyone}})
	t.plant(0, rootPath, open, 0)
	t.plant(rootID, zkPath, open, 0)
	zookeeper, _ := t.Lookup([]byte(zkPath))
	t.plant(zookeeper, quotaPath, open, 0)
	t.plant(zookeeper, configPath, readOnly, -1)
	return t
}

func empty(o Options) *Tree {
	t := &Tree{options: o, rules: NewRules(o), gen: slab.NewGeneration()}
	t.nodes = slab.NewTable[node](&t.gen)
	t.kins = slab.NewTable[kin](&t.gen)
	t.arena = slab.NewArena(&t.gen)
	t.acls = newACLStore(&t.gen)
	t.sessions = newSessionTable(&t.gen)
	t.index = slab.NewIndex()
	return t
}

// plant adds one of the znodes that no txn creates. They do not count as creates of their parent.
func (t *Tree) plant(parent NodeID, path string, acl []byte, aversion int32) {
	_, name := Split([]byte(path))
	id := t.attach(parent, name, []byte{}, node{acl: t.acls.intern(acl), aversion: aversion}, kin{})
	t.count++
	t.dataSize += int64(len(path))
	t.sum += t.terms(pathHash([]byte(path)), t.at(id))
}

func (t *Tree) at(id NodeID) *node { return t.nodes.At(uint32(id)) }

func (t *Tree) edit(id NodeID) *node { return t.nodes.Edit(uint32(id)) }

// Applied returns the zxid of the last txn in the tree.
func (t *Tree) Applied() zab.Zxid { return t.applied }

// Rules returns the rules that the tree's options ask for.
func (t *Tree) Rules() *Rules { return t.rules }

// NodeCount returns what ZooKeeper reports as znode_count: its map holds the root twice.
func (t *Tree) NodeCount() int { return t.count + 1 }

// DataSize returns what ZooKeeper reports as approximate_data_size: the bytes of all paths and data.
func (t *Tree) DataSize() int64 { return t.dataSize }

// EphemeralCount returns the number of ephemerals.
func (t *Tree) EphemeralCount() int { return t.ephemerals }

// HasHostACL reports whether any znode's list names a host. Only then is it worth to ask for the
// names of clients.
func (t *Tree) HasHostACL() bool { return t.acls.hosts > 0 }

// Lookup finds the znode of a path. No rule of paths is checked: a path that cannot exist is not
// found. The empty path is the root, as in ZooKeeper's map.
func (t *Tree) Lookup(path []byte) (NodeID, bool) {
	if len(path) == 0 || len(path) == 1 && path[0] == '/' {
		return rootID, true
	}
	if path[0] != '/' {
		return 0, false
	}
	id := rootID
	for rest := path[1:]; ; {
		name := rest
		i := bytes.IndexByte(rest, '/')
		if i >= 0 {
			name = rest[:i]
		}
		if id = t.child(id, name); id == 0 {
			return 0, false
		}
		if i < 0 {
			return id, true
		}
		rest = rest[i+1:]
	}
}

// child returns the child of parent with a name, or 0.
func (t *Tree) child(parent NodeID, name []byte) NodeID {
	for found := t.index.Search(t.hashName(parent, name)); ; {
		id := NodeID(found.Next())
		if id == 0 {
			return 0
		}
		if n := t.at(id); n.parent == parent && bytes.Equal(t.name(n), name) {
			return id
		}
	}
}

// Stat returns what clients see of a znode.
func (t *Tree) Stat(n NodeID) wire.Stat { return t.stat(t.at(n)) }

// Data returns the data of a znode, nil when it is null. It aliases the tree.
func (t *Tree) Data(n NodeID) []byte { return t.data(t.at(n)) }

// ACL returns the access control list of a znode. It never changes and may be kept, not written.
func (t *Tree) ACL(n NodeID) []wire.ACL { return t.acls.at(t.at(n).acl).acls }

// NumChildren returns the number of children of a znode.
func (t *Tree) NumChildren(n NodeID) int {
	k := t.kin(t.at(n))
	return int(k.numChildren())
}

// EachChild calls f with the names of a znode's children, in no particular order, until f returns
// false. A name aliases the tree.
func (t *Tree) EachChild(n NodeID, f func(name []byte) bool) {
	for id := t.firstChild(n); id != 0; {
		child := t.at(id)
		if !f(t.name(child)) {
			return
		}
		id = child.next
	}
}

// Descendants returns the number of znodes below path, which is that of getAllChildrenNumber: 0
// for a path that does not exist.
func (t *Tree) Descendants(path []byte) int {
	top, ok := t.Lookup(path)
	if !ok {
		return 0
	}
	if top == rootID {
		return t.count - 1
	}
	count := -1
	for id := top; id != 0; id = t.following(id, top) {
		count++
	}
	return count
}

// following returns the znode after id in the preorder of the subtree of top, or 0 at its end.
func (t *Tree) following(id, top NodeID) NodeID {
	if first := t.firstChild(id); first != 0 {
		return first
	}
	for ; id != top; id = t.at(id).parent {
		if next := t.at(id).next; next != 0 {
			return next
		}
	}
	return 0
}

// AppendPath appends the path of a znode.
func (t *Tree) AppendPath(n NodeID, b []byte) []byte {
	if n == rootID {
		return append(b, '/')
	}
	size := 0
	for id := n; id != rootID; id = t.at(id).parent {
		size += 1 + int(t.at(id).nameLen)
	}
	from := len(b)
	b = append(b, make([]byte, size)...)
	// Names come up from the znode to the root, so the path is written from its end.
	end := from + size
	for id := n; id != rootID; id = t.at(id).parent {
		name := t.name(t.at(id))
		end -= len(name)
		copy(b[end:], name)
		end--
		b[end] = '/'
	}
	return b
}

// EachReapable calls f with the paths of the containers and the znodes with a time to live that
// may go at nowMs, until f returns false. A container goes when it has had children and lost them,
// or had none for neverUsedMs (0: such a one stays); a znode with a time to live goes when it has no
// children and nobody wrote to it for that time (protocol 10). A path dies with its call.
//
// It looks at one bit per znode and at the znodes whose bit is set.
func (t *Tree) EachReapable(nowMs, neverUsedMs int64, f func(path []byte) bool) {
	var path []byte
	for i, word := range t.reapable.words {
		for ; word != 0; word &= word - 1 {
			id := NodeID(i*64 + bits.TrailingZeros64(word))
			if !t.state(id).reapable(nowMs, neverUsedMs) {
				continue
			}
			if path = t.AppendPath(id, path[:0]); !f(path) {
				return
			}
		}
	}
}
