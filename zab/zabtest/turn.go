package zabtest

import "quoll/zab"

// Turn takes in what a server decided, after Flush and before anything of it is performed.
func (c *Checker) Turn(s *Subject, out *zab.Actions) {
	sv, now := c.byID[s.ID], look(s.Peer)
	if c.err != nil {
		sv.handed += uint64(len(out.Persist))
		return
	}
	for i := range out.Violations {
		c.refused(sv, &out.Violations[i])
	}
	if now.role == zab.Leading && now.phase >= zab.Synchronization {
		sv.leads = c.lead(sv, now.epoch, now.incarnation)
	}
	for i := range out.Persist {
		c.hands(sv, now, &out.Persist[i])
	}
	sv.handed += uint64(len(out.Persist))
	if sv.silent || now.role == zab.Observing || sv.view.role == zab.Observing && sv.view.incarnation+1 == now.incarnation {
		sv.mute = sv.handed
	}
	c.wakes(sv)
	c.sends(sv, now, out)
}

// hands checks a record that a server hands out: whether its role may write such a thing now (T3, T4,
// T5), and, of a leader, what it proposes.
func (c *Checker) hands(s *server, now view, r *zab.Record) {
	was := s.view
	stays := was.incarnation == now.incarnation
	leads := now.role == zab.Leading
	switch r.Kind {
	case zab.RecordTxn:
		switch {
		case leads && s.leads == nil:
			c.failf(s, "I-PROPEST", "proposes %s during discovery", Z(r.Zxid))
		case s.leads != nil && (leads || r.Zxid.Epoch() == s.leads.number):
			c.proposes(s, zab.Txn{Zxid: r.Zxid, Data: r.Data})
		case stays && now.role == zab.Looking:
			c.failf(s, "I-INC", "logs %s and has no leader", Z(r.Zxid))
		}
	case zab.RecordAcceptedEpoch:
		if stays && (now.role == zab.Looking || was.phase >= zab.Synchronization) {
			c.failf(s, "T4", "promises epoch %d in %v/%v", r.Epoch, was.role, was.phase)
		}
	case zab.RecordCurrentEpoch:
		switch {
		case !stays:
			if was.role == zab.Leading && was.phase == zab.Discovery && r.Epoch == was.epoch {
				c.lead(s, r.Epoch, was.incarnation) // it closed discovery and then left
			}
		case leads && was.phase == zab.Broadcast:
			c.failf(s, "T5", "takes current epoch %d while it broadcasts", r.Epoch)
		case now.role == zab.Looking, now.phase == zab.Discovery, was.phase == zab.Broadcast:
			c.failf(s, "T4", "takes current epoch %d in %v/%v", r.Epoch, was.role, was.phase)
		}
	case zab.RecordTruncate, zab.RecordInstall, zab.RecordAbandon:
		switch {
		case !stays && !leads:
		case leads && was.phase == zab.Broadcast:
			c.failf(s, "T5", "writes %v %s while it broadcasts", r.Kind, Z(r.Zxid))
		case leads, now.role == zab.Looking, was.phase == zab.Broadcast, r.Kind == zab.RecordAbandon:
			c.failf(s, "T3", "writes %v %s in %v/%v", r.Kind, Z(r.Zxid), was.role, was.phase)
		}
	default:
	}
}

// proposes: a leader gives data a zxid (I-UNIQ, I-PROPEST, T5).
func (c *Checker) proposes(s *server, x zab.Txn) {
	c.bounded(s, &x)
	e := s.leads
	parent := e.initial
	if x.Zxid.Counter() != 1 {
		parent = c.txns[x.Zxid-1]
	}
	old := c.txns[x.Zxid]
	switch {
	case x.Zxid.Epoch() != e.number:
		c.failf(s, "I-UNIQ", "proposes %s, it leads epoch %d", Z(x.Zxid), e.number)
	case old != nil:
		c.failf(s, "I-UNIQ", "proposes %q at %s, which is %q", x.Data, Z(x.Zxid), old.Data)
	case !e.established:
		c.failf(s, "I-PROPEST", "proposes %s, but only %s have adopted epoch %d", Z(x.Zxid), names(e.adopters), e.number)
	case x.Zxid.Counter() == 0 || parent == nil:
		c.failf(s, "T5", "proposes %s and has not proposed what comes before", Z(x.Zxid))
	default:
		c.propose(parent, x)
		if !e.proposed {
			e.proposed = true
			c.integral(s, e)
		}
	}
}

// propose puts a txn into the tree of histories.
func (c *Checker) propose(parent *txn, x zab.Txn) *txn {
	t := c.fresh(parent, x)
	c.txns[x.Zxid] = t
	return t
}

// fresh returns a txn that is in no tree.
func (c *Checker) fresh(parent *txn, x zab.Txn) *txn {
	const slab = 128
	if len(c.store) == 0 {
		c.store = make([]txn, slab)
	}
	t := &c.store[0]
	c.store = c.store[1:]
	t.follow(parent, x)
	return t
}

// integral: an epoch begins to broadcast. What any tree shows by now is in its initial history (I-PI).
func (c *Checker) integral(s *server, e *epoch) {
	if c.last == nil || e.number > c.last.number {
		c.last = e
	}
	n := min(c.reached, c.before(e.number))
	if t := c.end.at(n); !e.initial.has(t) {
		c.failf(s, "I-PI", "begins to broadcast in epoch %d without %s, which was delivered", e.number, Z(t.Zxid))
	}
}

// edge checks what a server did to its role in a turn (T6), and that what it knows only grows (T2).
func (c *Checker) edge(s *server, was, now view) {
	p := s.Peer
	odd := now.incarnation%2 == 1
	same := was.incarnation == now.incarnation
	switch {
	case now.incarnation < was.incarnation,
		odd == (now.role == zab.Looking),
		(now.role == zab.Looking) != (now.phase == zab.Election),
		same && now.role != was.role,
		same && now.phase < was.phase,
		same && was.epoch != 0 && now.epoch != was.epoch:
		c.failf(s, "T6", "goes from %v/%v in epoch %d to %v/%v in epoch %d (incarnations %d, %d)", was.role, was.phase,
			was.epoch, now.role, now.phase, now.epoch, was.incarnation, now.incarnation)
	case now.role == zab.Leading && (!c.ensemble.Electable(s.ID) || p.Silent()),
		now.role == zab.Following && (!s.voter || p.Silent()),
		now.role == zab.Observing && s.voter && !s.silent && !same:
		c.failf(s, "T6", "is %v, which it may not be", now.role)
	case now.committed < was.committed, now.delivered < was.delivered:
		c.failf(s, "T2", "goes back from committed %s, applied %s to committed %s, applied %s", Z(was.committed),
			Z(was.delivered), Z(now.committed), Z(now.delivered))
	}
}

// consistent: a learner that has passed NEWLEADER holds nothing that its leader does not (I-PS). What
// is of the epoch was proposed by this leader and is in its history, the rest in the initial one.
func (c *Checker) consistent(s *server, now view) {
	f := &s.Disk.all
	t := f.history.last
	if t.Zxid == s.linear || now.role != zab.Following && now.role != zab.Observing {
		return
	}
	if now.epoch == 0 || f.current != now.epoch || f.accepted != now.epoch {
		return
	}
	l := c.byID[s.Peer.Leader()]
	if l == nil || l.Peer == nil || l.Peer.Role() != zab.Leading || l.Peer.Epoch() != now.epoch ||
		l.Peer.Phase() < zab.Synchronization {
		return
	}
	s.linear = t.Zxid
	if last := l.Peer.LastLogged(); t.Zxid > last ||
		t.Zxid.Epoch() != now.epoch && !c.epoch(now.epoch).initial.has(t) {
		c.failf(s, "I-PS", "has %s, its leader %s has not: that ends at %s", Z(t.Zxid), Name(l.ID), Z(last))
	}
}
