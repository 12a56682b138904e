package zabtest

import (
	"fmt"
	"slices"

	"quoll/zab"
)

// Appended takes in records that were handed to the log of s.
func (c *Checker) Appended(s *Subject, recs []zab.Record) {
	sv := c.byID[s.ID]
	for i := range recs {
		sv.taken++
		if sv.taken > sv.handed {
			c.failf(sv, "I-INC", "logs a record that its process never handed out: %v %s", recs[i].Kind, Z(recs[i].Zxid))
		}
		c.appends(sv, &recs[i], sv.taken > sv.mute)
	}
}

func (c *Checker) appends(s *server, r *zab.Record, counts bool) {
	rec := record{Record: *r, counts: counts && s.voter}
	f := &s.Disk.all
	switch r.Kind {
	case zab.RecordTxn:
		rec.txn = c.logs(s, f, zab.Txn{Zxid: r.Zxid, Data: r.Data})
	case zab.RecordInstall:
		rec.txn = c.txns[r.Zxid]
		if rec.txn == nil || !rec.txn.committed {
			c.failf(s, "I-SNAP", "installs a snapshot at %s, committed is %s", Z(r.Zxid), Z(c.end.Zxid))
			rec.txn = c.fresh(genesis, zab.Txn{Zxid: r.Zxid})
		}
	case zab.RecordTruncate:
		// What the leader that orders it has to hold is gone wrongly; what a later epoch
		// committed is not its business (example X1).
		if n := min(f.history.last.trunk().depth, c.before(f.accepted+1)); n > 0 && c.end.at(n).Zxid > r.Zxid {
			c.failf(s, "I-TRUNC", "truncates to %s, committed is %s", Z(r.Zxid), Z(c.end.at(n).Zxid))
		}
		if f.history.last.Zxid > r.Zxid {
			c.seen[truncated]++
		}
	case zab.RecordCurrentEpoch:
		if f.aside.last == nil {
			break
		}
		old := min(f.history.last.trunk().depth, c.before(f.accepted+1))
		if n := f.aside.last.trunk().depth; n < old {
			c.failf(s, "I-TRUNC", "installs a snapshot with what ends at %s, it had %s, which is committed",
				Z(f.aside.last.Zxid), Z(c.end.at(old).Zxid))
		}
	default:
	}
	if b := s.Disk.append(rec); b != nil {
		c.fail(s, b)
	}
}

// logs finds the txn that a record is (I-INTEGRITY, I-CHAIN, I-MATCH). Histories that share a zxid are
// equal up to it if and only if each zxid has one data and one predecessor everywhere.
func (c *Checker) logs(s *server, f *fold, x zab.Txn) *txn {
	last, t := f.target().last, c.txns[x.Zxid]
	switch {
	case !last.Zxid.Precedes(x.Zxid):
		c.failf(s, "I-CHAIN", "logs %s behind %s", Z(x.Zxid), Z(last.Zxid))
	case t == nil:
		c.failf(s, "I-INTEGRITY", "logs %s, which nobody proposed", Z(x.Zxid))
	case t.parent != last:
		c.failf(s, "I-MATCH", "logs %s behind %s, proposed it was behind %s", Z(x.Zxid), Z(last.Zxid), Z(t.parent.Zxid))
	case t.sum != chain(last.sum, x):
		c.failf(s, "I-MATCH", "logs %q at %s, proposed was %q", x.Data, Z(x.Zxid), t.Data)
	case x.Zxid.Epoch() >= f.accepted && x.Zxid.Epoch() != f.current:
		c.failf(s, "I-EPOCH", "logs %s of an epoch that it has not entered (R13): accepted is %d, current %d",
			Z(x.Zxid), f.accepted, f.current)
		return t
	default:
		return t
	}
	return c.fresh(last, x)
}

// Synced tells that the first n records of this process are durable. It counts like zab.Peer.Durable:
// the first record that the process handed out is number 1.
func (c *Checker) Synced(s *Subject, n int) {
	c.sync(c.byID[s.ID], s.Disk.started+n)
}

func (c *Checker) sync(s *server, n int) {
	if appended, _ := s.Disk.Len(); n > appended {
		c.failf(s, "I-INC", "has %d durable records, only %d were appended", n, appended)
		n = appended
	}
	for s.Disk.synced < n {
		r := s.Disk.sync()
		c.durable(s, r)
		if c.OnDurable != nil {
			c.OnDurable(s.Subject, r.Record)
		}
	}
}

// durable: one more record is durable. Copies are counted towards Canon.
func (c *Checker) durable(s *server, r *record) {
	f := &s.Disk.durable
	switch r.Kind {
	case zab.RecordTxn:
		if f.aside.last != nil {
			return
		}
		c.covers(s)
		if e := r.Zxid.Epoch(); e != f.current {
			break
		} else if e != f.accepted || !r.counts {
			if s.voter {
				c.seen[copyNotCounted]++
			}
			break
		}
		c.hold(s, r.txn)
	case zab.RecordCurrentEpoch:
		c.covers(s)
		c.enters(s, r)
	case zab.RecordTruncate:
		c.covers(s)
		if f.accepted > s.acked.Epoch() {
			s.acked = 0 // a later leader may cut what it never had to hold
		}
		if e := c.byNumber[f.current]; e != nil && f.accepted == f.current && e.closed && !f.history.covers(e.initial) {
			c.failf(s, "I-CEHIST", "cuts the initial history of its own epoch %d, up to %s, to %s", f.current,
				Z(e.initial.Zxid), Z(r.Zxid))
		}
	default:
		return
	}
	s.ends.add(belief{f.current, f.history.last.Zxid})
}

// covers notes how far the durable history of s holds Canon.
func (c *Checker) covers(s *server) {
	cover := s.Disk.durable.history.last.trunk().depth
	if cover == s.cover {
		return
	}
	s.cover, c.recount = cover, true
	c.obliged(s)
}

// enters: an epoch became the durable current one of s.
func (c *Checker) enters(s *server, r *record) {
	f := &s.Disk.durable
	e := c.epoch(r.Epoch)
	if !e.closed || !f.history.covers(e.initial) {
		c.failf(s, "I-CEHIST", "has current epoch %d, but %s and not its initial history up to %s",
			r.Epoch, Z(f.history.last.Zxid), Z(e.initial.Zxid))
	}
	if s.acked.Epoch() != r.Epoch {
		s.acked = 0
	}
	s.owes, s.wiped = c.before(r.Epoch), false
	c.obliged(s)
	if r.counts {
		c.adopt(s, e)
	}
}

// rejoins counts what s holds of epoch e without having counted when it came there: it was synced
// as a server without a vote, and now acks NEWLEADER as a voter.
func (c *Checker) rejoins(s *server, e *epoch) {
	if !s.voter || s.silent {
		return
	}
	c.adopt(s, e)
	for t := s.Disk.durable.history.last; t.Zxid.Epoch() == e.number && !t.holders.Has(s.ID); t = t.parent {
		c.hold(s, t)
		c.seen[copyCountedLate]++
	}
}

// belief is a durable state that a vote may name: current epoch and last zxid.
type belief struct {
	epoch zab.Epoch
	last  zab.Zxid
}

func (b belief) String() string { return fmt.Sprintf("(%d %s)", b.epoch, Z(b.last)) }

// beliefs are the durable states that may still be named. A Peer learns of them after the fact, in
// order, and may be told of several at once. A vote stays what it was when the election began.
type beliefs struct {
	queue []belief
	at    int // the one that the Peer knows
}

func (q *beliefs) reset(b belief) { q.queue, q.at = append(q.queue[:0], b), 0 }

func (q *beliefs) add(b belief) {
	if b != q.newest() {
		q.queue = append(q.queue, b)
	}
}

func (q *beliefs) newest() belief { return q.queue[len(q.queue)-1] }

// reach moves to the next state that is b, and reports whether there is one.
func (q *beliefs) reach(b belief) bool {
	n := slices.Index(q.queue[q.at:], b)
	if n >= 0 {
		q.at += n
	}
	return n >= 0
}

// forget drops the states before the one that the Peer knows.
func (q *beliefs) forget() {
	if q.at > len(q.queue)/2 { // what is moved is at most as much as what goes
		q.queue = q.queue[:copy(q.queue, q.queue[q.at:])]
		q.at = 0
	}
}
