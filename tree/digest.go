package tree

import (
	"quoll/tree/slab"
	"quoll/zab"
)

// The digest of a tree is a sum of 64-bit terms, three for each znode and one for each session, so
// the order in which they came does not matter and a txn changes only the terms it touches:
//
//	birth    path, acl, aversion, czxid, ctime, owner   setACL
//	content  path, data, version, mzxid, mtime          setData
//	family   path, pzxid, creates                       create and delete of a child
//	session  id, timeout, password, last request        every txn of the session
//
// It is split this way because a create must not hash the data of its parent again. A path counts
// as the hash of its names, folded from the root, which a walk over the tree carries along.
//
// ZooKeeper's digest (protocol 15.5) leaves out access control lists, sessions and what is below
// /zookeeper; ours covers all that is replicated. It is no protection against somebody who
// chooses data to collide, only against divergence and damage.
const (
	seedBirth   uint64 = 0xd1b54a32d192ed03
	seedContent uint64 = 0xabc98388fb8fac03
	seedFamily  uint64 = 0x8cb92ba72f3d8dd7
	seedSession uint64 = 0xf1357aea2e62a9c5
	seedACL     uint64 = 0x9e6c63d0876a9a47
	seedRoot    uint64 = 0xc2b2ae3d27d4eb4f
	seedDigest  uint64 = 0xa0761d6478bd642f
)

// hashName is the place of a name among the children of parent in the index.
func (t *Tree) hashName(parent NodeID, name []byte) uint32 {
	return uint32(slab.Hash(t.options.HashSeed^slab.Spread(uint64(parent)), name))
}

// pathHash folds the names of an absolute path.
func pathHash(path []byte) uint64 {
	h := seedRoot
	for start := 1; start < len(path); {
		end := start
		for end < len(path) && path[end] != '/' {
			end++
		}
		h = slab.Hash(h, path[start:end])
		start = end + 1
	}
	return h
}

// birthTerm, contentTerm and familyTerm take the path hash of n.

func (t *Tree) birthTerm(path uint64, n *node) uint64 {
	h := slab.Fold(path^seedBirth, t.acls.at(n.acl).hash)
	h = slab.Fold(h, uint64(uint32(n.aversion)))
	h = slab.Fold(h, uint64(n.czxid))
	h = slab.Fold(h, uint64(n.ctime))
	return slab.Fold(h, uint64(t.kin(n).owner))
}

func (t *Tree) contentTerm(path uint64, n *node) uint64 {
	h := slab.Fold(path^seedContent, slab.Hash(seedContent, t.data(n)))
	h = slab.Fold(h, uint64(uint32(n.version))<<1|uint64(uint32(n.dataLen)>>31)) // null is not empty
	h = slab.Fold(h, uint64(n.mzxid))
	return slab.Fold(h, uint64(n.mtime))
}

func (t *Tree) familyTerm(path uint64, n *node) uint64 {
	k := t.kin(n)
	return slab.Fold(slab.Fold(path^seedFamily, uint64(k.pzxid)), uint64(uint32(k.creates)))
}

// terms is the whole contribution of a znode.
func (t *Tree) terms(path uint64, n *node) uint64 {
	return t.birthTerm(path, n) + t.contentTerm(path, n) + t.familyTerm(path, n)
}

func sessionTerm(s *session) uint64 {
	h := slab.Fold(seedSession, uint64(s.id))
	h = slab.Fold(h, uint64(uint32(s.timeoutMs)))
	h = slab.Hash(h, s.password[:])
	return slab.Fold(slab.Fold(h, s.last.Boot), s.last.N)
}

// Digest returns 64 bits that are equal for equal trees at equal zxids, on every server, and
// different for different ones but for a chance of 2^-64.
func (t *Tree) Digest() uint64 { return digest(t.sum, t.applied, t.count) }

func digest(sum uint64, applied zab.Zxid, count int) uint64 {
	return slab.Fold(slab.Fold(slab.Fold(seedDigest, sum), uint64(applied)), uint64(count))
}
