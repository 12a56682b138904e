package tree

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/tree/slab"
	"quoll/zab"
)

// Restore reads a tree that View.Write wrote, to the end of r. It verifies everything that a tree
// relies on, and the digest: damaged input is an error, never a panic, and takes no more memory
// than the bytes that came account for.
func Restore(o Options, r io.Reader) (*Tree, error) {
	x := restorer{snapshotReader: snapshotReader{r: r, buf: make([]byte, 0, snapshotBuffer)}, tree: empty(o)}
	x.indexer.tree = x.tree
	x.header()
	x.readACLs()
	x.readSessions()
	x.readNodes()
	if x.indexer.finish() {
		x.fail("a name comes twice in a family")
	}
	if x.err == nil {
		x.finish()
	}
	if x.err != nil {
		return nil, fmt.Errorf("tree: restore snapshot %v, byte %d: %w", x.tree.applied, x.offset(), x.err)
	}
	return x.tree, nil
}

// errDamaged is what every impossible snapshot is.
var errDamaged = errors.New("snapshot is damaged")

// restorer builds a tree from the records of a snapshot.
type restorer struct {
	snapshotReader
	tree     *Tree
	sessions uint64
	lists    uint64
	znodes   uint64
	acls     []aclID
	family   []ancestor // from the root to the znode read last
	name     []byte     // of the znode being read
	indexer  indexer
}

// ancestor is a znode on the way from the root to the one that is being read.
type ancestor struct {
	id       NodeID
	youngest NodeID // of its children read so far, the last
	path     uint64 // path hash
	pathLen  int
}

func (x *restorer) fail(what string) {
	if x.err == nil {
		x.err = fmt.Errorf("%w: %s", errDamaged, what)
	}
}

func (x *restorer) header() {
	b := x.fixed(len(snapshotMagic) + 4*8)
	if x.err != nil {
		return
	}
	if string(b[:len(snapshotMagic)]) != snapshotMagic {
		x.fail("it does not start with " + snapshotMagic)
		return
	}
	d := jute.NewDecoder(b[len(snapshotMagic):])
	x.tree.applied = zab.Zxid(d.Long())
	x.sessions, x.lists, x.znodes = uint64(d.Long()), uint64(d.Long()), uint64(d.Long())
	if x.sessions > math.MaxUint32 || x.lists > math.MaxUint32 || x.znodes > math.MaxUint32 || x.znodes == 0 {
		x.fail("counts out of range")
	}
}

func (x *restorer) readACLs() {
	for i := uint64(0); i < x.lists && x.err == nil; i++ {
		raw := x.fixed(x.length())
		if x.err != nil {
			return
		}
		// Only what the encoder makes may come in: the bytes are the identity of a list.
		d := jute.NewDecoder(raw)
		acls := wire.DecodeACLs(&d)
		if d.Err() != nil || d.Len() != 0 || string(wire.AppendACLs(nil, acls)) != string(raw) {
			x.fail("an access control list does not decode")
			return
		}
		if _, ok := x.tree.acls.byRaw[string(raw)]; ok {
			x.fail("an access control list comes twice")
			return
		}
		x.acls = append(x.acls, x.tree.acls.add(string(raw)))
	}
}

func (x *restorer) readSessions() {
	t := x.tree
	for i := uint64(0); i < x.sessions && x.err == nil; i++ {
		d := jute.NewDecoder(x.fixed(sessionBytes))
		if x.err != nil {
			return
		}
		s := session{id: zab.SessionID(d.Long()), timeoutMs: d.Int()}
		s.last = zab.RequestID{Boot: uint64(d.Long()), N: uint64(d.Long())}
		copy(s.password[:], d.Rest())
		if kindOf(s.id) != ephemeral || t.sessions.byID[s.id] != 0 {
			x.fail("a session's id is impossible or comes twice")
			return
		}
		t.sessions.add(s)
		t.sum += sessionTerm(&s)
	}
}

func (x *restorer) readNodes() {
	for i := uint64(0); i < x.znodes && x.err == nil; i++ {
		if i == 0 {
			x.node(nil)
			continue
		}
		up := x.uvarint()
		if up >= uint64(len(x.family)) {
			x.fail("a znode hangs above the root")
			return
		}
		x.family = x.family[:len(x.family)-int(up)]
		// The name must outlive the reading of the stat and the data.
		x.name = append(x.name[:0], x.fixed(x.length())...)
		if x.err != nil {
			return
		}
		parent := &x.family[len(x.family)-1]
		if !validName(x.name) || x.tree.kindAt(parent.id) == ephemeral {
			x.fail("a znode has an impossible name or parent")
			return
		}
		x.node(x.name)
	}
}

func validName(name []byte) bool {
	for _, c := range name {
		if c == '/' || c == 0 {
			return false
		}
	}
	return len(name) > 0
}

// node reads the rest of a znode's record and hangs it below the last of family.
func (x *restorer) node(name []byte) {
	d := jute.NewDecoder(x.fixed(statBytes))
	var n node
	var k kin
	n.czxid, n.mzxid, k.pzxid = zab.Zxid(d.Long()), zab.Zxid(d.Long()), zab.Zxid(d.Long())
	n.ctime, n.mtime, k.owner = d.Long(), d.Long(), zab.SessionID(d.Long())
	n.version, k.creates, n.aversion = d.Int(), d.Int(), d.Int()
	list := x.uvarint()
	data := x.data()
	if x.err != nil {
		return
	}
	t := x.tree
	owned := kindOf(k.owner) == ephemeral
	switch {
	case list >= uint64(len(x.acls)):
		x.fail("a znode has an unknown access control list")
		return
	case owned && (t.sessions.byID[k.owner] == 0 || len(x.family) == 0):
		x.fail("an ephemeral has no session")
		return
	}
	n.acl = x.acls[list]
	t.acls.refs[n.acl]++
	a := ancestor{path: seedRoot, pathLen: 0}
	if len(x.family) == 0 {
		a.id = t.hang(0, 0, nil, data, n, k)
		t.dataSize++ // "/", which is "" in front of every other path
	} else {
		parent := &x.family[len(x.family)-1]
		a.id = t.hang(parent.id, parent.youngest, name, data, n, k)
		x.indexer.add(a.id, t.hashName(parent.id, name))
		parent.youngest = a.id
		a.path, a.pathLen = slab.Hash(parent.path, name), parent.pathLen+1+len(name)
	}
	if owned {
		t.own(a.id, a.pathLen)
	}
	t.sum += t.terms(a.path, t.at(a.id))
	t.count++
	t.dataSize += int64(a.pathLen + len(data))
	x.family = append(x.family, a)
}

// data reads a znode's data, nil when it is null.
func (x *restorer) data() []byte {
	n := x.length()
	if n == 0 || x.err != nil {
		return nil
	}
	if n == 1 {
		return []byte{}
	}
	return x.fixed(n - 1)
}

func (x *restorer) finish() {
	for _, id := range x.acls {
		if x.tree.acls.refs[id] == 0 {
			x.fail("an access control list that no znode has")
		}
	}
	d := jute.NewDecoder(x.fixed(8))
	if x.err != nil {
		return
	}
	if want, got := uint64(d.Long()), x.tree.Digest(); want != got {
		x.fail(fmt.Sprintf("its digest is %#x, that of its content %#x", want, got))
	}
	if x.err == nil && !x.atEnd() {
		x.fail("bytes after its end")
	}
}

// snapshotReader reads a stream through a buffer that grows only by bytes that came. Slices it
// returns die with the next call. Its first error sticks.
type snapshotReader struct {
	r    io.Reader
	buf  []byte
	at   int   // of buf is read
	past int64 // bytes before buf
	err  error
}

func (s *snapshotReader) offset() int64 { return s.past + int64(s.at) }

// fixed returns the next n bytes; on an error it returns nil.
func (s *snapshotReader) fixed(n int) []byte {
	for len(s.buf)-s.at < n {
		if s.fill(); s.err != nil {
			return nil
		}
	}
	b := s.buf[s.at : s.at+n : s.at+n]
	s.at += n
	return b
}

// fill reads more. What is left is moved to the front; a buffer full of what is still needed
// doubles, so it never exceeds twice the bytes that came.
func (s *snapshotReader) fill() {
	if s.err != nil {
		return
	}
	if s.at > 0 {
		s.past += int64(s.at)
		s.buf = s.buf[:copy(s.buf, s.buf[s.at:])]
		s.at = 0
	}
	if len(s.buf) == cap(s.buf) {
		s.buf = append(make([]byte, 0, 2*cap(s.buf)), s.buf...)
	}
	n, err := io.ReadAtLeast(s.r, s.buf[len(s.buf):cap(s.buf)], 1)
	s.buf = s.buf[:len(s.buf)+n]
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	s.err = err
}

func (s *snapshotReader) atEnd() bool {
	if s.at < len(s.buf) {
		return false
	}
	s.fill()
	if errors.Is(s.err, io.ErrUnexpectedEOF) {
		s.err = nil
		return true
	}
	return false
}

func (s *snapshotReader) uvarint() uint64 {
	for s.err == nil {
		v, n := binary.Uvarint(s.buf[s.at:])
		switch {
		case n > 0:
			s.at += n
			return v
		case n < 0:
			s.err = fmt.Errorf("%w: an integer is too long", errDamaged)
		default:
			s.fill()
		}
	}
	return 0
}

// length reads the length of a name, a list or data.
func (s *snapshotReader) length() int {
	n := s.uvarint()
	if n > math.MaxInt32 {
		s.err = fmt.Errorf("%w: a length of %d", errDamaged, n)
		return 0
	}
	return int(n)
}
