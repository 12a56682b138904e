package zabtest

import (
	"bytes"

	"quoll/zab"
)

// Delivered tells that a txn was applied. Trees are prefixes of Canon (I-PREFIX), which is more than each of the
// others says, but they name what is wrong.
func (c *Checker) Delivered(s *Subject, x zab.Txn) {
	if c.err != nil {
		return
	}
	sv, t := c.byID[s.ID], c.txns[x.Zxid]
	n := sv.applied
	before := c.end.at(n).Zxid
	switch {
	case s.Peer == nil:
		c.failf(sv, "I-INC", "delivers %s and does not run", Z(x.Zxid))
	case t == nil:
		c.failf(sv, "I-INTEGRITY", "delivers %s, which nobody proposed", Z(x.Zxid))
	case !bytes.Equal(t.Data, x.Data):
		c.failf(sv, "I-INTEGRITY", "delivers %q at %s, proposed was %q", x.Data, Z(x.Zxid), t.Data)
	case before.Epoch() > x.Zxid.Epoch():
		c.failf(sv, "I-GPO", "delivers %s after %s", Z(x.Zxid), Z(before))
	case c.last != nil && x.Zxid.Epoch() < c.last.number && !c.last.initial.has(t):
		c.failf(sv, "I-PI", "delivers %s, epoch %d began to broadcast without it", Z(x.Zxid), c.last.number)
	case before.Epoch() == x.Zxid.Epoch() && x.Zxid != before+1, before.Epoch() < x.Zxid.Epoch() && x.Zxid.Counter() != 1:
		c.failf(sv, "I-LPO", "delivers %s after %s, and the leader proposed others in between or %s before",
			Z(x.Zxid), Z(before), Z(x.Zxid))
	case n >= len(c.canon) || c.canon[n] != x.Zxid:
		c.failf(sv, "I-PREFIX", "delivers %s at place %d, committed is %s", Z(x.Zxid), n, Z(c.end.Zxid))
	case n >= sv.cover:
		c.failf(sv, "I-APPLY", "delivers %s before it is durable there", Z(x.Zxid))
	}
	c.shows(sv, n+1)
}

// Installed tells that a snapshot became the tree. What it holds is not the Checker's business.
func (c *Checker) Installed(s *Subject, z zab.Zxid) {
	if c.err != nil {
		return
	}
	sv, t := c.byID[s.ID], c.txns[z]
	switch {
	case s.Peer == nil:
		c.failf(sv, "I-INC", "installs the snapshot at %s and does not run", Z(z))
	case t == nil || !t.committed:
		c.failf(sv, "I-SNAP", "makes the snapshot at %s its tree, committed is %s", Z(z), Z(c.end.Zxid))
	case t.depth < sv.applied:
		c.failf(sv, "I-PREFIX", "makes the snapshot at %s its tree, which shows %s", Z(z), Z(c.canon[sv.applied-1]))
	case t.depth > sv.cover:
		c.failf(sv, "I-APPLY", "makes the snapshot at %s its tree before it is its durable history", Z(z))
	default:
		c.shows(sv, t.depth)
	}
}

func (c *Checker) shows(s *server, n int) {
	if c.err != nil {
		return
	}
	s.applied = n
	c.reached = max(c.reached, n)
	if n > 0 {
		c.highest = max(c.highest, c.canon[n-1])
	}
}

// Asked tells that s was asked for a barrier.
func (c *Checker) Asked(s *Subject, id uint64) {
	sv := c.byID[s.ID]
	if sv.asks == nil {
		sv.asks = make(map[uint64]zab.Zxid)
	}
	sv.asks[id] = c.highest
}

// Answered tells that s may answer a barrier, which covers all that anybody could have seen when it was asked (R28).
func (c *Checker) Answered(s *Subject, b zab.BarrierDone) {
	sv := c.byID[s.ID]
	if seen, ok := sv.asks[b.ID]; !ok || b.Zxid < seen {
		c.failf(sv, "C-SYNC", "answers %d at %s, %s was visible when it was asked", b.ID, Z(b.Zxid), Z(seen))
	}
	delete(sv.asks, b.ID)
}
