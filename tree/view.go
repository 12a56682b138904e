package tree

import (
	"encoding/binary"
	"fmt"
	"io"

	"quoll/transport/jute"
	"quoll/tree/slab"
	"quoll/zab"
)

// View is the tree as it was at Freeze. It shares the tree's chunks; the tree copies one before it
// first changes it again, so that is all that a write waits for, and a View never changes.
type View struct {
	tree  *Tree
	stamp uint32

	nodes    slab.Table[node]
	kins     slab.Table[kin]
	blocks   slab.Blocks
	acls     slab.Table[aclEntry]
	sessions slab.Table[session]

	zxid         zab.Zxid
	count        int
	sessionCount int
	digest       uint64
}

// Freeze makes a View of the tree. It copies the lists of chunks, a few bytes for each 20 KiB of
// state. Release it, or the tree goes on copying.
func (t *Tree) Freeze() *View {
	return &View{
		tree:  t,
		stamp: t.gen.Freeze(),

		nodes:    t.nodes.Share(),
		kins:     t.kins.Share(),
		blocks:   t.arena.Share(),
		acls:     t.acls.entries.Share(),
		sessions: t.sessions.slots.Share(),

		zxid:         t.applied,
		count:        t.count,
		sessionCount: len(t.sessions.byID),
		digest:       t.Digest(),
	}
}

// Zxid returns the zxid of the last txn in the View.
func (v *View) Zxid() zab.Zxid { return v.zxid }

// Release ends the View. The owner of the tree calls it, once, when nobody reads the View any more.
func (v *View) Release() {
	v.tree.gen.Release(v.stamp)
	*v = View{}
}

// Snapshot format. Integers are big-endian; uvarint is the base-128 encoding of encoding/binary.
//
//	magic "QUOLLT01" | zxid 8 | sessions 8 | lists 8 | znodes 8
//	for each access control list that a znode has:
//	    uvarint length | vector of entries in jute
//	for each session:
//	    id 8 | timeout ms 4 | boot 8 | n 8 | password 16
//	for each znode, in preorder, the root first:
//	    uvarint up | uvarint name length | name       (not for the root)
//	    czxid 8 | mzxid 8 | pzxid 8 | ctime 8 | mtime 8 | owner 8 | version 4 | creates 4 | aversion 4
//	    uvarint list, counted from 0 | uvarint 0: null data, else data length + 1 | data
//	digest 8
//
// up is how far above the znode before it the znode hangs: 0 makes it its child, 1 its sibling.
// So no path and no link is stored, and none can be wrong. Siblings keep their order.
const (
	snapshotMagic  = "QUOLLT01"
	sessionBytes   = 8 + 4 + 8 + 8 + 16
	statBytes      = 6*8 + 3*4
	snapshotBuffer = 64 << 10
)

// Write encodes the View, see the format above. Any goroutine may call it while the tree changes.
func (v *View) Write(w io.Writer) error {
	s := snapshotWriter{w: w, buf: make([]byte, 0, snapshotBuffer)}
	lists, ids := v.usedACLs()
	s.buf = append(s.buf, snapshotMagic...)
	s.buf = jute.AppendLong(s.buf, int64(v.zxid))
	s.buf = jute.AppendLong(s.buf, int64(v.sessionCount))
	s.buf = jute.AppendLong(s.buf, int64(len(lists)))
	s.buf = jute.AppendLong(s.buf, int64(v.count))
	for _, id := range lists {
		raw := v.acls.At(id).raw
		s.buf = binary.AppendUvarint(s.buf, uint64(len(raw)))
		s.buf = append(s.buf, raw...)
		s.flush(snapshotBuffer / 2)
	}
	for i := uint32(1); i < v.sessions.Len(); i++ {
		if rec := v.sessions.At(i); rec.id != 0 {
			s.session(rec)
		}
	}
	v.writeNodes(&s, ids)
	s.buf = jute.AppendLong(s.buf, int64(v.digest))
	s.flush(0)
	if s.err != nil {
		return fmt.Errorf("tree: write snapshot %v: %w", v.zxid, s.err)
	}
	return nil
}

// usedACLs returns the ids of the lists in use and, by id, their numbers in the snapshot.
func (v *View) usedACLs() (used, numbers []uint32) {
	numbers = make([]uint32, v.acls.Len())
	for id := uint32(1); id < v.acls.Len(); id++ {
		if v.acls.At(id).raw != "" {
			numbers[id] = uint32(len(used))
			used = append(used, id)
		}
	}
	return used, numbers
}

// writeNodes walks the View in preorder by the links of the znodes, without a stack.
func (v *View) writeNodes(s *snapshotWriter, acls []uint32) {
	s.node(v, v.nodes.At(uint32(rootID)), acls)
	up := uint64(0)
	for id := v.firstChild(v.nodes.At(uint32(rootID))); id != 0 && s.err == nil; {
		n := v.nodes.At(uint32(id))
		s.buf = binary.AppendUvarint(s.buf, up)
		s.buf = binary.AppendUvarint(s.buf, uint64(n.nameLen))
		s.bytes(v.blocks.Bytes(n.block, int(n.nameLen)))
		s.node(v, n, acls)
		up = 0
		if id = v.firstChild(n); id != 0 {
			continue
		}
		for up = 1; n.next == 0 && n.parent != 0; up++ {
			n = v.nodes.At(uint32(n.parent))
		}
		id = n.next
	}
}

func (v *View) firstChild(n *node) NodeID {
	k := kinOf(&v.kins, n)
	return k.firstChild()
}

// snapshotWriter gathers bytes and writes them in large pieces. Its first error sticks.
type snapshotWriter struct {
	w   io.Writer
	buf []byte
	err error
}

// flush writes what was gathered when it is more than limit.
func (s *snapshotWriter) flush(limit int) {
	if len(s.buf) <= limit {
		return
	}
	s.write(s.buf)
	s.buf = s.buf[:0]
}

func (s *snapshotWriter) write(b []byte) {
	if s.err == nil {
		_, s.err = s.w.Write(b)
	}
}

// bytes appends b, or writes it through when it is large.
func (s *snapshotWriter) bytes(b []byte) {
	if len(b) <= snapshotBuffer/2 {
		s.buf = append(s.buf, b...)
		return
	}
	s.flush(0)
	s.write(b)
}

func (s *snapshotWriter) session(rec *session) {
	s.buf = jute.AppendLong(s.buf, int64(rec.id))
	s.buf = jute.AppendInt(s.buf, rec.timeoutMs)
	s.buf = jute.AppendLong(s.buf, int64(rec.last.Boot))
	s.buf = jute.AppendLong(s.buf, int64(rec.last.N))
	s.buf = append(s.buf, rec.password[:]...)
	s.flush(snapshotBuffer / 2)
}

func (s *snapshotWriter) node(v *View, n *node, acls []uint32) {
	k := kinOf(&v.kins, n)
	s.buf = jute.AppendLong(s.buf, int64(n.czxid))
	s.buf = jute.AppendLong(s.buf, int64(n.mzxid))
	s.buf = jute.AppendLong(s.buf, int64(k.pzxid))
	s.buf = jute.AppendLong(s.buf, n.ctime)
	s.buf = jute.AppendLong(s.buf, n.mtime)
	s.buf = jute.AppendLong(s.buf, int64(k.owner))
	s.buf = jute.AppendInt(s.buf, n.version)
	s.buf = jute.AppendInt(s.buf, k.creates)
	s.buf = jute.AppendInt(s.buf, n.aversion)
	s.buf = binary.AppendUvarint(s.buf, uint64(acls[n.acl]))
	s.buf = binary.AppendUvarint(s.buf, uint64(int64(n.dataLen)+1))
	s.bytes(nodeData(v.blocks, n))
	s.flush(snapshotBuffer / 2)
}
