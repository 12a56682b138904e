package zabtest

import (
	"slices"

	"quoll/zab"
)

// epoch is what came of an epoch.
type epoch struct {
	number zab.Epoch

	led    bool // some server leads it or has led it, past discovery
	leader leadership

	// The initial history I[e]: that of the leader when its quorum of promises closed.
	closed  bool
	initial *txn

	adopters    zab.Set // voters that have had it as durable current epoch
	established bool    // a quorum of them
	proposed    bool    // something was
}

// leadership is one role of one process.
type leadership struct {
	server      zab.ServerID
	life        int
	incarnation uint64
}

// epoch returns what is known of an epoch.
func (c *Checker) epoch(number zab.Epoch) *epoch {
	if e := c.byNumber[number]; e != nil {
		return e
	}
	e := &epoch{number: number, initial: genesis}
	c.byNumber[number] = e
	i, _ := slices.BinarySearchFunc(c.epochs, number, func(e *epoch, n zab.Epoch) int { return int(e.number) - int(n) })
	c.epochs = slices.Insert(c.epochs, i, e)
	return e
}

// lead notes that s leads an epoch and is past discovery (I-LEAD1, I-LEAD2). Its history is then the
// initial one of the epoch: nobody proposes before the epoch is established, which takes more turns.
func (c *Checker) lead(s *server, number zab.Epoch, incarnation uint64) *epoch {
	e, l := c.epoch(number), leadership{s.ID, s.Life, incarnation}
	switch other := c.byID[e.leader.server]; {
	case !e.led:
		e.led, e.leader = true, l
	case e.leader == l:
		return e
	case other != s && other.Peer != nil && other.Life == e.leader.life && other.Peer.Role() == zab.Leading &&
		other.Peer.Incarnation() == e.leader.incarnation:
		c.failf(s, "I-LEAD1", "leads epoch %d, and so does %s", number, Name(other.ID))
	default:
		c.failf(s, "I-LEAD2", "leads epoch %d, which %s has led before", number, Name(e.leader.server))
	}
	if !e.closed {
		initial := c.txns[s.Peer.LastLogged()]
		if initial == nil {
			initial = s.Disk.all.history.last
		}
		e.closed, e.initial = true, initial
		c.complete(s, e)
	}
	return e
}

// complete demands that the initial history of an epoch has all that earlier epochs committed
// (I-LC). Whether the epoch was established does not matter: a quorum has promised it.
func (c *Checker) complete(s *server, e *epoch) {
	if n := c.before(e.number); !e.initial.has(c.end.at(n)) {
		c.failf(s, "I-LC", "leads epoch %d without %s, which is committed", e.number, Z(c.end.at(n).Zxid))
	}
}

// leading checks a server that leads, and notes whether it does.
func (c *Checker) leading(s *server, now view) {
	s.leads = nil
	if now.role != zab.Leading || now.phase < zab.Synchronization {
		return
	}
	e := c.lead(s, now.epoch, now.incarnation)
	s.leads = e
	if now.phase == zab.Broadcast && !e.established {
		c.failf(s, "I-COMMITQ", "takes epoch %d for established: only %s have adopted it", e.number, names(e.adopters))
	}
	if s.checked == len(c.canon) {
		return
	}
	s.checked = len(c.canon)
	if t := c.end.at(c.before(e.number + 1)); t.Zxid.Epoch() != e.number && !e.initial.has(t) {
		c.failf(s, "I-LC", "leads epoch %d without %s, which is committed", e.number, Z(t.Zxid))
	}
}

// hold counts a durable copy of t that was made in the broadcast of its own epoch.
func (c *Checker) hold(s *server, t *txn) {
	t.holders.Add(s.ID)
	if !t.committed && c.ensemble.Quorum(t.holders) {
		c.extend(t, t.Zxid.Epoch())
	}
}

// adopt counts a voter whose durable current epoch is e. Its initial history must be durable by now:
// the order of these two is what ZOOKEEPER-4643 is about (I-CEHIST).
func (c *Checker) adopt(s *server, e *epoch) {
	e.adopters.Add(s.ID)
	if e.established || !c.ensemble.Quorum(e.adopters) {
		return
	}
	e.established = true
	c.complete(nil, e)
	c.extend(e.initial, e.number)
}

// extend: epoch e has committed everything up to t (T1: Canon only grows at its end).
func (c *Checker) extend(t *txn, e zab.Epoch) {
	if t.committed || c.err != nil {
		return
	}
	if trunk := t.trunk(); trunk != c.end {
		c.failf(nil, "T1", "%s is committed and does not follow %s, which is committed: they part after %s",
			Z(t.Zxid), Z(c.end.Zxid), Z(trunk.Zxid))
		return
	}
	for _, later := range slices.Backward(c.epochs) {
		if later.number <= e {
			break
		}
		if later.closed && !later.initial.has(t) {
			c.failf(c.byID[later.leader.server], "I-LC", "took epoch %d without %s, which epoch %d committed",
				later.number, Z(t.Zxid), e)
		}
	}
	if n := len(c.by); n > 0 && c.by[n-1] > e { // an initial history holds it, but who holds that is ahead
		e = c.by[n-1]
	}
	old := len(c.canon)
	c.canon = slices.Grow(c.canon, t.depth-old)[:t.depth]
	for x := t; x != c.end; x = x.parent {
		c.canon[x.depth-1], x.committed = x.Zxid, true
		c.by = append(c.by, e)
		if x.Zxid.Epoch() != e {
			c.seen[committedLater]++
		}
	}
	c.end = t
	c.recount = true
	for _, s := range c.servers {
		f := &s.Disk.durable
		if s.cover == old {
			s.cover = f.history.last.trunk().depth
		}
		if f.current > e {
			s.owes = len(c.canon)
			c.obliged(s)
		}
	}
}
