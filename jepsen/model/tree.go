package model

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"

	"quoll/transport/wire"
	"quoll/zab"
)

// Tree is the state of the service after a prefix of the committed sequence: znodes and sessions.
// It is not safe for concurrent use, but a Clone is independent of its original.
type Tree struct {
	znodes   map[string]znode // by path
	sessions map[zab.SessionID]int32
	applied  zab.Zxid
}

// znode is one znode. Whoever changes one changes a copy and puts it back. Its slices belong to
// the commits that they came with, and nobody writes to them.
type znode struct {
	data                []byte // nil: null, which is not the same as empty
	acl                 []wire.ACL
	czxid, mzxid, pzxid zab.Zxid
	ctimeMs, mtimeMs    int64
	version, aversion   int32
	creates             int32 // children that txns ever created here: the next sequential number
	children            int32 // those that are here now
	life                life
	owner               zab.SessionID // of an ephemeral
	ttlMs               int64         // of an expiring one
}

// life says what ends a znode besides a delete.
type life uint8

const (
	persistent life = iota // nothing
	ephemeral              // the end of its session
	container              // the end of its last child
	expiring               // time without children and without a setData
)

// New returns the tree of a server that has applied nothing (protocol 5.1). What is there from the
// start was created by no txn, so it counts as child but not as create.
func New() *Tree {
	readOnly := []wire.ACL{{Perms: wire.PermRead, Scheme: "world", ID: "anyone"}}
	return &Tree{
		sessions: map[zab.SessionID]int32{},
		znodes: map[string]znode{
			"/":                 {data: []byte{}, acl: wire.OpenACL, children: 1},
			"/zookeeper":        {data: []byte{}, acl: wire.OpenACL, children: 2},
			"/zookeeper/quota":  {data: []byte{}, acl: wire.OpenACL},
			"/zookeeper/config": {data: []byte{}, acl: readOnly, aversion: -1},
		},
	}
}

// undeletable reports whether path is one of the znodes that are there from the start.
func undeletable(path string) bool {
	switch path {
	case "/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config":
		return true
	default:
		return false
	}
}

// stat is the znode as clients see it (protocol 5.1). Their count of changes is creates + deletes;
// with creates = children + deletes that is 2*creates - children. What a container and an
// expiring znode persist as their owner stays hidden.
func (n *znode) stat() wire.Stat {
	return wire.Stat{
		Czxid: n.czxid, Mzxid: n.mzxid, Pzxid: n.pzxid, Ctime: n.ctimeMs, Mtime: n.mtimeMs,
		Version: n.version, Aversion: n.aversion, Cversion: 2*n.creates - n.children,
		EphemeralOwner: n.owner, DataLength: int32(len(n.data)), NumChildren: n.children,
	}
}

// Applied returns the zxid of the last commit that was applied.
func (t *Tree) Applied() zab.Zxid { return t.applied }

// Sessions returns the sessions that are open, sorted.
func (t *Tree) Sessions() []zab.SessionID { return slices.Sorted(maps.Keys(t.sessions)) }

// SessionTimeoutMs returns the timeout that a session was opened with; false when it is not open.
func (t *Tree) SessionTimeoutMs(id zab.SessionID) (int32, bool) {
	ms, ok := t.sessions[id]
	return ms, ok
}

// Each calls f with every znode, sorted by path. data is nil when it is null; ttlMs is 0 for a znode
// without a time to live. f must not change what it is given.
func (t *Tree) Each(f func(path string, data []byte, stat wire.Stat, acl []wire.ACL, ttlMs int64)) {
	for _, path := range slices.Sorted(maps.Keys(t.znodes)) {
		n := t.znodes[path]
		f(path, n.data, n.stat(), n.acl, n.ttlMs)
	}
}

// Clone returns a copy that shares nothing that changes.
func (t *Tree) Clone() *Tree {
	return &Tree{znodes: maps.Clone(t.znodes), sessions: maps.Clone(t.sessions), applied: t.applied}
}

// Hash returns a hash of everything: trees of equal hash answer alike from here on. It is the same
// in every process.
func (t *Tree) Hash() uint64 {
	h := fnv.New64a()
	var b []byte
	number := func(v int64) { b = binary.BigEndian.AppendUint64(b, uint64(v)) }
	text := func(s string) {
		number(int64(len(s)))
		b = append(b, s...)
	}
	number(int64(t.applied))
	for _, path := range slices.Sorted(maps.Keys(t.znodes)) {
		n := t.znodes[path]
		text(path)
		if n.data == nil {
			number(-1)
		} else {
			text(string(n.data))
		}
		number(int64(len(n.acl)))
		for _, entry := range n.acl {
			number(int64(entry.Perms))
			text(entry.Scheme)
			text(entry.ID)
		}
		for _, v := range [...]int64{
			int64(n.czxid), int64(n.mzxid), int64(n.pzxid), n.ctimeMs, n.mtimeMs, int64(n.version), int64(n.aversion),
			int64(n.creates), int64(n.children), int64(n.life), int64(n.owner), n.ttlMs,
		} {
			number(v)
		}
		h.Write(b)
		b = b[:0]
	}
	for _, id := range t.Sessions() {
		number(int64(id))
		number(int64(t.sessions[id]))
	}
	h.Write(b)
	return h.Sum64()
}

// parentOf returns the path of a path's parent; path has a '/'. That of "/" is "/" itself.
func parentOf(path string) string {
	if i := strings.LastIndexByte(path, '/'); i > 0 {
		return path[:i]
	}
	return "/"
}

// below returns what every path below path starts with.
func below(path string) string { return strings.TrimSuffix(path, "/") + "/" }

// plausible is the check of paths that comes before any look at the tree. One that fails only
// validPath may meet NoNode or NoAuth first (protocol 4.2).
func plausible(path string) bool {
	return strings.Contains(path, "/") && !strings.Contains(path, "\x00")
}

// validPath reports whether a znode may have this path (protocol 6).
func validPath(path string) bool {
	if path == "/" {
		return true
	}
	names, rooted := strings.CutPrefix(path, "/")
	if !rooted || strings.ContainsFunc(path, forbidden) {
		return false
	}
	for name := range strings.SplitSeq(names, "/") {
		if name == "" || name == "." || name == ".." {
			return false
		}
	}
	return true
}

// forbidden reports whether no path may have this character. ZooKeeper looks at halves of
// surrogate pairs, so everything outside the basic plane is one; bytes that are no UTF-8 read as
// U+FFFD and are forbidden with it.
func forbidden(r rune) bool {
	return r <= 0x1F || r >= 0x7F && r <= 0x9F || r >= 0xD800 && r <= 0xF8FF || r >= 0xFFF0
}

// sequential appends the number of a sequential znode (protocol 5.3).
func sequential(path string, number int32) string { return fmt.Sprintf("%s%010d", path, number) }
