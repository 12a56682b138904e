package tree

import (
	"math"

	"quoll/transport/wire"
	"quoll/tree/slab"
	"quoll/zab"
)

// NodeID addresses a znode in its tree. It is valid until the next Apply; 0 names none.
type NodeID uint32

const rootID NodeID = 1

// node is a znode. It has no pointers, so that the collector does not look at it, and its size is
// pinned by a test: 256 of them fill an allocation class of the runtime exactly.
//
// Children hang on a list of siblings, newest first, which starts in the kin of the parent.
//
// A free slot is zero but for next, which leads to the next free one.
type node struct {
	czxid, mzxid       zab.Zxid
	ctime, mtime       int64
	version            int32
	aversion           int32
	parent, next, prev NodeID
	kin                uint32     // slot of its kin; 0: it has none, see kinOf
	block              slab.Block // the name, then the data
	nameLen            uint32
	dataLen            int32 // -1: the data is null, which is not the same as empty
	acl                aclID
}

// kin is what a znode needs that has or had children, or is not persistent. Most znodes of most
// trees are plain leaves and do without.
//
// An ephemeral has no children, so the two words of the family serve it as links in the list of
// its session. A free slot is zero but for first, which leads to the next free one.
type kin struct {
	pzxid    zab.Zxid
	owner    zab.SessionID // as persisted, see kindOf
	creates  int32         // children ever created: the number of the next sequential one
	children uint32        // their number; of an ephemeral: the previous of its session
	first    NodeID        // first child; of an ephemeral: the next of its session
}

// leaf is the kin of a znode that has none.
func leaf(n *node) kin { return kin{pzxid: n.czxid} }

// kinOf returns the kin of a znode of the tree or the View whose table is kins.
func kinOf(kins *slab.Table[kin], n *node) kin {
	if n.kin == 0 {
		return leaf(n)
	}
	return *kins.At(n.kin)
}

func (t *Tree) kin(n *node) kin { return kinOf(&t.kins, n) }

// editKin returns the kin of a znode for writing.
func (t *Tree) editKin(id NodeID) *kin {
	n := t.at(id)
	if n.kin == 0 {
		slot := t.allocKin(leaf(n))
		n = t.edit(id)
		n.kin = slot
	}
	return t.kins.Edit(n.kin)
}

func (t *Tree) allocKin(k kin) uint32 {
	slot := t.freeKins
	if slot != 0 {
		t.freeKins = uint32(t.kins.At(slot).first)
	} else {
		slot = t.kins.Extend()
	}
	*t.kins.Edit(slot) = k
	return slot
}

func (t *Tree) freeKin(slot uint32) {
	if slot == 0 {
		return
	}
	k := t.kins.Edit(slot)
	*k = kin{first: NodeID(t.freeKins)}
	if slab.PoisonFreed {
		k.pzxid, k.owner, k.children = poisonedSlot, poisonedSlot, poisonedSlot
	}
	t.freeKins = slot
}

// poisonedSlot is what is in freed slots when slab.PoisonFreed.
const poisonedSlot = 0xdbdbdbdb

// The persisted owner says what kind of znode it is (protocol 5.2).
const (
	ownerContainer zab.SessionID = math.MinInt64
	ownerTTL       uint64        = 0xff << 56 // | the time to live in ms
	maxTTL                       = 1<<40 - 1
)

// kind is what an owner says a znode is.
type kind uint8

const (
	persistent kind = iota
	ephemeral
	container
	expiring // has a time to live
)

func kindOf(owner zab.SessionID) kind {
	switch {
	case owner == 0:
		return persistent
	case owner == ownerContainer:
		return container
	case uint64(owner) >= ownerTTL:
		return expiring
	}
	return ephemeral
}

// ttlMs returns the time to live of an expiring znode.
func ttlMs(owner zab.SessionID) int64 { return int64(owner) & maxTTL }

// numChildren returns the number of children.
func (k *kin) numChildren() int32 {
	if kindOf(k.owner) == ephemeral {
		return 0
	}
	return int32(k.children)
}

func (k *kin) firstChild() NodeID {
	if kindOf(k.owner) == ephemeral {
		return 0
	}
	return k.first
}

// firstChild returns the first child of a znode, or 0.
func (t *Tree) firstChild(id NodeID) NodeID {
	k := t.kin(t.at(id))
	return k.firstChild()
}

// kindAt returns the kind of a znode.
func (t *Tree) kindAt(id NodeID) kind { return kindOf(t.kin(t.at(id)).owner) }

func (n *node) dataBytes() int { return max(0, int(n.dataLen)) }

// stat is what clients see. The change counter of the wire is creates + deletes of children,
// which is 2*creates - children and, as a Java int, wraps.
func (t *Tree) stat(n *node) wire.Stat {
	k := t.kin(n)
	s := wire.Stat{
		Czxid: n.czxid, Mzxid: n.mzxid, Pzxid: k.pzxid,
		Ctime: n.ctime, Mtime: n.mtime,
		Version: n.version, Aversion: n.aversion,
		DataLength: int32(n.dataBytes()), NumChildren: k.numChildren(),
	}
	s.Cversion = 2*k.creates - s.NumChildren
	if kindOf(k.owner) == ephemeral {
		s.EphemeralOwner = k.owner
	}
	return s
}

// nextVersion counts a version up. It wraps, and skips -1, which in a request means any.
func nextVersion(v int32) int32 {
	if v++; v == -1 {
		return 0
	}
	return v
}

// nextCreates counts the creates of a parent up. The counter sticks at its end: the next
// sequential name there exists already, as in ZooKeeper.
func nextCreates(c int32) int32 {
	if c == math.MaxInt32 {
		return c
	}
	return c + 1
}

// name returns the name of a znode; it aliases the arena.
func (t *Tree) name(n *node) []byte { return t.arena.Bytes(n.block, int(n.nameLen)) }

// data returns the data of a znode, nil when it is null; it aliases the arena.
func (t *Tree) data(n *node) []byte { return nodeData(t.arena.Blocks(), n) }

func nodeData(blocks slab.Blocks, n *node) []byte {
	switch {
	case n.dataLen < 0:
		return nil
	case n.dataLen == 0:
		return []byte{}
	}
	end := int(n.nameLen) + int(n.dataLen)
	return blocks.Bytes(n.block, end)[n.nameLen:end:end]
}

// attach links a new znode as the first child of parent, which counts it. The slot gets the values of n and k,
// a block for name and data, and its place in the index. Without a parent it is the root, which has no name.
func (t *Tree) attach(parent NodeID, name, data []byte, n node, k kin) NodeID {
	id := t.hang(parent, 0, name, data, n, k)
	if parent != 0 {
		t.index.Insert(uint32(id), t.hashName(parent, name))
	}
	return id
}

// hang is attach without the index; elder, when it is not 0, is the sibling in front.
func (t *Tree) hang(parent, elder NodeID, name, data []byte, n node, k kin) NodeID {
	id := t.allocNode()
	n.parent = parent
	n.nameLen, n.dataLen = uint32(len(name)), int32(len(data))
	n.block = t.arena.Alloc(len(name) + len(data))
	text := t.arena.Edit(n.block, len(name)+len(data))
	copy(text[copy(text, name):], data)
	if data == nil {
		n.dataLen = -1
	}
	if k != leaf(&n) {
		n.kin = t.allocKin(k)
	}
	if parent != 0 {
		t.linkSibling(id, parent, elder, &n)
	}
	*t.nodes.Edit(uint32(id)) = n
	if is := kindOf(k.owner); is == container || is == expiring {
		t.reapable.set(id)
	}
	return id
}

func (t *Tree) linkSibling(id, parent, elder NodeID, n *node) {
	p := t.editKin(parent)
	p.children++
	if elder != 0 {
		e := t.edit(elder)
		n.prev, n.next = elder, e.next
		e.next = id
	} else {
		n.next = p.first
		p.first = id
	}
	if n.next != 0 {
		t.edit(n.next).prev = id
	}
}

// detach takes a childless znode out of its family and the index and frees its slot.
func (t *Tree) detach(id NodeID) {
	n := *t.at(id)
	p := t.editKin(n.parent)
	p.children--
	if n.prev != 0 {
		t.edit(n.prev).next = n.next
	} else {
		p.first = n.next
	}
	if n.next != 0 {
		t.edit(n.next).prev = n.prev
	}
	t.index.Remove(uint32(id), t.hashName(n.parent, t.name(&n)))
	t.reapable.clear(id)
	t.arena.Free(n.block)
	t.freeKin(n.kin)
	t.freeNode(id)
}

func (t *Tree) allocNode() NodeID {
	if id := t.free; id != 0 {
		t.free = t.at(id).next
		return id
	}
	return NodeID(t.nodes.Extend())
}

func (t *Tree) freeNode(id NodeID) {
	n := t.edit(id)
	*n = node{next: t.free}
	if slab.PoisonFreed {
		n.block, n.nameLen, n.acl = poisonedSlot, poisonedSlot, poisonedSlot
		n.parent, n.kin, n.prev = poisonedSlot, poisonedSlot, poisonedSlot
		n.czxid = poisonedSlot
	}
	t.free = id
}

// replaceData gives a znode other data, in place when the block has the right size.
func (t *Tree) replaceData(id NodeID, data []byte) {
	n := t.edit(id)
	size := int(n.nameLen) + len(data)
	if !t.arena.Fits(n.block, size) {
		old, name := n.block, t.name(n)
		n.block = t.arena.Alloc(size)
		copy(t.arena.Edit(n.block, size), name)
		t.arena.Free(old)
	}
	copy(t.arena.Edit(n.block, size)[n.nameLen:], data)
	n.dataLen = int32(len(data))
	if data == nil {
		n.dataLen = -1
	}
}

// slotSet is a set of znodes as a bitmap over their slots.
type slotSet struct{ words []uint64 }

func (s *slotSet) set(id NodeID) {
	for int(id/64) >= len(s.words) {
		s.words = append(s.words, 0)
	}
	s.words[id/64] |= 1 << (id % 64)
}

func (s *slotSet) clear(id NodeID) {
	if int(id/64) < len(s.words) {
		s.words[id/64] &^= 1 << (id % 64)
	}
}
