package model

import "quoll/zab"

// txn is a proposed change. It knows what it follows, so it stands for the whole history that ends
// with it: two histories are equal if and only if they end with the same *txn. That is what a chain
// of hashes is for where histories are apart; here they live in one process.
type txn struct {
	zab.Txn
	before *txn
	place  int // in the histories that hold it; the root, which all histories begin with, is at 0
}

// trunk is Canon, the committed sequence, with the root in front.
type trunk struct {
	txns []*txn
	by   []zab.Epoch // the epoch whose quorum committed each of them: its own or a later one
}

func newTrunk(root *txn) *trunk { return &trunk{txns: []*txn{root}, by: []zab.Epoch{0}} }

func (c *trunk) last() *txn { return c.txns[len(c.txns)-1] }

func (c *trunk) has(t *txn) bool { return t.place < len(c.txns) && c.txns[t.place] == t }

// branch is a history, a sequence of txns: so many as are shared with Canon, then its own. Committed txns move
// from tail to shared in passing, so nothing here costs more than the txns that are not committed.
type branch struct {
	canon  *trunk
	shared int // of Canon, root included: never 0
	tail   []*txn
}

func (h *branch) last() *txn {
	if n := len(h.tail); n > 0 {
		return h.tail[n-1]
	}
	return h.canon.txns[h.shared-1]
}

// at returns the txn at a place, nil behind the end.
func (h *branch) at(place int) *txn {
	switch {
	case place < h.shared:
		return h.canon.txns[place]
	case place < h.shared+len(h.tail):
		return h.tail[place-h.shared]
	}
	return nil
}

// has reports whether t, and with it everything before t, is in h.
func (h *branch) has(t *txn) bool { return h.at(t.place) == t }

// append adds a txn that follows the last one.
func (h *branch) append(t *txn) {
	n := 0
	for n < len(h.tail) && h.canon.has(h.tail[n]) {
		n++
	}
	h.shared, h.tail = h.shared+n, append(h.tail[n:], t)
}

// cut removes everything after t, which h has.
func (h *branch) cut(t *txn) {
	if t.place < h.shared {
		h.shared, h.tail = t.place+1, nil
		return
	}
	h.tail = h.tail[:t.place+1-h.shared]
}
