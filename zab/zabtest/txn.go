package zabtest

import (
	"encoding/binary"

	"quoll/zab"
)

// txn is a proposed txn at its place in the tree of all histories: following parent leads back to
// the beginning. Each zxid has one txn (I-UNIQ), each log record is checked to be that txn behind
// that parent (I-MATCH), so a history is its last txn: copying one costs nothing, and two are
// compared by asking whether one's end is on the other's way back.
type txn struct {
	zab.Txn
	parent *txn
	jump   *txn // an ancestor further back, so that any ancestor is found in O(log depth) steps
	depth  int  // txns up to this one and with it

	// sum is a hash over the txn and everything before it. Data may be shared between servers, so
	// comparing bytes would not find that somebody has changed them; the sum does.
	sum uint64

	committed bool    // in Canon, where its place is depth-1
	holders   zab.Set // voters that have made it durable in the broadcast of its own epoch
}

// genesis is the end of the empty history. It never changes.
var genesis = func() *txn {
	t := &txn{committed: true}
	t.parent, t.jump = t, t
	return t
}()

// follow makes t the txn that follows parent, which the caller has checked.
func (t *txn) follow(parent *txn, x zab.Txn) {
	t.Txn, t.parent, t.depth = x, parent, parent.depth+1
	t.sum = chain(parent.sum, x)
	// Jumps of lengths 1, 1, 3, 1, 1, 3, 7, ...: the sums of a skew binary number, which reach
	// any depth in logarithmically many steps and cost one pointer.
	t.jump = parent
	if one := parent.jump; parent.depth-one.depth == one.depth-one.jump.depth {
		t.jump = one.jump
	}
}

// at returns the ancestor at a depth that is not greater than that of t.
func (t *txn) at(depth int) *txn {
	for t.depth > depth {
		if t.jump.depth >= depth {
			t = t.jump
		} else {
			t = t.parent
		}
	}
	return t
}

// has reports whether the history that ends with t contains x.
func (t *txn) has(x *txn) bool { return t == x || x.depth < t.depth && t.at(x.depth) == x }

// trunk returns the last txn of the history that is committed. What precedes a committed txn is
// committed, so jumps can be tried first.
func (t *txn) trunk() *txn {
	for !t.committed {
		if t.jump.committed {
			t = t.parent
		} else {
			t = t.jump
		}
	}
	return t
}

// chain hashes a txn behind everything before it, eight bytes at a time.
func chain(sum uint64, t zab.Txn) uint64 {
	const prime = 1099511628211 // of FNV
	mix := func(h, v uint64) uint64 {
		h = (h ^ v) * prime
		return h ^ h>>29
	}
	sum = mix(mix(sum^14695981039346656037, uint64(t.Zxid)), uint64(len(t.Data)))
	data := t.Data
	for ; len(data) >= 8; data = data[8:] {
		sum = mix(sum, binary.LittleEndian.Uint64(data))
	}
	for _, b := range data {
		sum = mix(sum, uint64(b))
	}
	return sum
}
