package tree

import (
	"encoding/binary"
	"math/bits"

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

	multiplier uint64 = 0x9fb21c651e98df25
)

// fold mixes v into h by a full 64x64 bit product, both halves of which count.
func fold(h, v uint64) uint64 {
	hi, lo := bits.Mul64(h^v, multiplier)
	return hi ^ lo ^ bits.RotateLeft64(h, 23)
}

// hashBytes hashes b under a seed. The seed goes into both factors of each product, so that
// without it nobody can choose bytes that make a product vanish.
func hashBytes(seed uint64, b []byte) uint64 {
	h := seed ^ uint64(len(b))*multiplier
	for ; len(b) > 16; b = b[16:] {
		h = foldPair(h, seed, binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:]))
	}
	switch n := len(b); {
	case n >= 8:
		h = foldPair(h, seed, binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[n-8:]))
	case n >= 4:
		h = foldPair(h, seed, uint64(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[n-4:])))
	case n > 0:
		h = foldPair(h, seed, uint64(b[0])<<16|uint64(b[n/2])<<8|uint64(b[n-1]), uint64(n))
	}
	return fold(h, seed)
}

func foldPair(h, seed, v, w uint64) uint64 {
	hi, lo := bits.Mul64(v^seed^multiplier, w^h)
	return hi ^ lo ^ bits.RotateLeft64(h, 31)
}

// hashName is the place of a name among the children of parent in the index.
func (t *Tree) hashName(parent NodeID, name []byte) uint32 {
	return uint32(hashBytes(t.options.HashSeed^uint64(parent)*multiplier, name))
}

// pathHash folds the names of an absolute path.
func pathHash(path []byte) uint64 {
	h := seedRoot
	for start := 1; start < len(path); {
		end := start
		for end < len(path) && path[end] != '/' {
			end++
		}
		h = hashBytes(h, path[start:end])
		start = end + 1
	}
	return h
}

// birthTerm, contentTerm and familyTerm take the path hash of n.

func (t *Tree) birthTerm(path uint64, n *node) uint64 {
	h := fold(path^seedBirth, t.acls.at(n.acl).hash)
	h = fold(h, uint64(uint32(n.aversion)))
	h = fold(h, uint64(n.czxid))
	h = fold(h, uint64(n.ctime))
	return fold(h, uint64(n.owner))
}

func (t *Tree) contentTerm(path uint64, n *node) uint64 {
	h := fold(path^seedContent, hashBytes(seedContent, t.data(n)))
	h = fold(h, uint64(uint32(n.version))<<1|uint64(uint32(n.dataLen)>>31)) // null is not empty
	h = fold(h, uint64(n.mzxid))
	return fold(h, uint64(n.mtime))
}

func familyTerm(path uint64, n *node) uint64 {
	return fold(fold(path^seedFamily, uint64(n.pzxid)), uint64(uint32(n.creates)))
}

// terms is the whole contribution of a znode.
func (t *Tree) terms(path uint64, n *node) uint64 {
	return t.birthTerm(path, n) + t.contentTerm(path, n) + familyTerm(path, n)
}

func sessionTerm(s *session) uint64 {
	h := fold(seedSession, uint64(s.id))
	h = fold(h, uint64(uint32(s.timeoutMs)))
	h = hashBytes(h, s.password[:])
	return fold(fold(h, s.last.Boot), s.last.N)
}

// Digest returns 64 bits that are equal for equal trees at equal zxids, on every server, and
// different for different ones but for a chance of 2^-64.
func (t *Tree) Digest() uint64 { return digest(t.sum, t.applied, t.count) }

func digest(sum uint64, applied zab.Zxid, count int) uint64 {
	return fold(fold(fold(seedDigest, sum), uint64(applied)), uint64(count))
}
