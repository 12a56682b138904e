package zabtest

import (
	"bytes"
	"fmt"

	"quoll/zab"
)

// Stopped tells that the process of s is gone. What was not durable may or may not come back.
func (c *Checker) Stopped(s *Subject) {
	sv := c.byID[s.ID]
	sv.handed, sv.taken, sv.mute = 0, 0, 0
	sv.leads, sv.links, sv.dying = nil, nil, false
	clear(sv.closed)
	clear(sv.asks)
}

// Recovered tells what the log of s found when a process started on its disk: the fold of some first
// records, at least all that were durable (I-RECOVER). All of it is durable from here on (R19).
func (c *Checker) Recovered(s *Subject, st *zab.State) {
	sv, d := c.byID[s.ID], s.Disk
	c.Stopped(s)
	n, err := c.recovers(sv, st)
	if err != nil {
		c.fail(sv, err)
		n = d.synced
	}
	if appended, synced := d.Len(); n < appended {
		c.seen[lostRecords]++
	} else if n > synced {
		c.seen[keptRecords]++
	}
	d.lose(n)
	c.sync(sv, n)
	if d.all.aside.last != nil {
		c.seen[abandoned]++
		_ = d.append(record{Record: zab.Record{Kind: zab.RecordAbandon}})
		c.sync(sv, n+1)
	}
	d.started = d.synced
	if sv.silent != st.Silent {
		sv.silent, c.recount = st.Silent, true
	}
	sv.told, sv.knows = 0, 0
	sv.view = view{committed: st.Snapshot, delivered: st.Snapshot}
	sv.checked, sv.linear = -1, unlooked
	sv.ends.reset(belief{d.durable.current, d.durable.history.last.Zxid})
	sv.applied = 0
	if t := c.txns[st.Snapshot]; t != nil && t.committed {
		c.shows(sv, t.depth)
	}
}

// RecoverableAs reports why a log that a copy of the disk of s would give cannot be, nil if it can.
// Nothing changes by it.
func (c *Checker) RecoverableAs(s *Subject, st *zab.State) error {
	if _, err := c.recovers(c.byID[s.ID], st); err != nil {
		err.Server = s.ID
		return err
	}
	return nil
}

// recovers returns the number of records whose fold is st. Where several are, as with the notes of
// snapshots and with a snapshot that is half installed, it is the highest.
func (c *Checker) recovers(s *server, st *zab.State) (int, *Broken) {
	d := s.Disk
	f := d.durable
	found, why := -1, (*Broken)(nil)
	for n, i := d.synced, d.head; ; n, i = n+1, i+1 {
		if b := c.finds(&f, st); b == nil {
			found = n
		} else if why == nil {
			why = b
		}
		if i == len(d.pending) {
			break
		}
		_ = f.apply(&d.pending[i])
	}
	switch {
	case found >= 0 && s.wiped && !st.Silent && st.CurrentEpoch == 0:
		return 0, broken("I-RECOVER", "has lost its disk and starts as if it had not: it must be silent")
	case found >= 0:
		return found, nil
	}
	appended, durable := d.Len()
	why.Text += fmt.Sprintf("; no prefix of its log of %d to %d records gives what was found, the last ends at accepted=%d "+
		"current=%d last=%s", durable, appended, d.all.accepted, d.all.current, Z(d.all.history.last.Zxid))
	return 0, why
}

// finds says why a recovery must not find st where the records amount to f.
func (c *Checker) finds(f *fold, st *zab.State) *Broken {
	last := f.history.last
	switch {
	case st.AcceptedEpoch != f.accepted || st.CurrentEpoch != f.current || st.History.Last() != last.Zxid:
		return broken("I-RECOVER", "finds accepted=%d current=%d last=%s, durable is accepted=%d current=%d last=%s",
			st.AcceptedEpoch, st.CurrentEpoch, Z(st.History.Last()), f.accepted, f.current, Z(last.Zxid))
	case st.Silent && f.current != 0:
		return broken("I-RECOVER", "is silent, and has entered epoch %d", f.current)
	case st.History.Base() != st.Horizon:
		return broken("I-RECOVER", "finds a log from %s on, and a history from %s", Z(st.Horizon), Z(st.History.Base()))
	}
	horizon, snapshot := c.txns[st.Horizon], c.txns[st.Snapshot]
	switch {
	case horizon == nil || !last.has(horizon) || horizon.depth < f.history.base.depth:
		return broken("I-RECOVER", "finds a log from %s on, which is not in its history from %s to %s", Z(st.Horizon),
			Z(f.history.base.Zxid), Z(last.Zxid))
	case snapshot == nil || !last.has(snapshot) || snapshot.depth < horizon.depth:
		return broken("I-RECOVER", "finds a snapshot at %s, which is not in its log from %s to %s", Z(st.Snapshot),
			Z(st.Horizon), Z(last.Zxid))
	case !snapshot.committed:
		return broken("I-RECOVER", "finds a snapshot at %s, committed is %s", Z(st.Snapshot), Z(c.end.Zxid))
	case len(st.Tail) != last.depth-snapshot.depth:
		return broken("I-RECOVER", "finds %d txns from %s to %s, there are %d", len(st.Tail), Z(st.Snapshot), Z(last.Zxid),
			last.depth-snapshot.depth)
	}
	// A history is a table of epochs. The ends of all of them are right if what precedes the first
	// txn of each is.
	for t := last; t.depth > horizon.depth; {
		first := t.at(max(horizon.depth, t.depth-int(t.Zxid.Counter())+1))
		if floor, ok := st.History.Floor(first.Zxid); first != horizon && (!ok || floor != first.parent.Zxid) {
			return broken("I-RECOVER", "finds a history in which %s follows %s and not %s", Z(first.Zxid), Z(floor),
				Z(first.parent.Zxid))
		}
		if t = first.parent; first == horizon {
			break
		}
	}
	t := last
	for i := len(st.Tail) - 1; i >= 0; i, t = i-1, t.parent {
		if x := &st.Tail[i]; x.Zxid != t.Zxid || !bytes.Equal(x.Data, t.Data) {
			return broken("I-RECOVER", "finds %q at %s, it logged %q at %s", x.Data, Z(x.Zxid), t.Data, Z(t.Zxid))
		}
	}
	return nil
}

// Wiped tells that s, which does not run, has lost everything that was on its disk, and with it what it
// promised and acked.
func (c *Checker) Wiped(s *Subject) {
	sv := c.byID[s.ID]
	c.Stopped(s)
	*s.Disk = *NewDisk()
	sv.cover, sv.owes, sv.applied = 0, 0, 0
	sv.vowed, sv.acked = 0, 0
	sv.silent, sv.wiped, c.recount = true, true, true
	sv.ends.reset(belief{})
	for _, e := range c.epochs {
		e.adopters.Remove(s.ID)
	}
	for _, t := range c.txns {
		if t != genesis && !t.committed {
			t.holders.Remove(s.ID)
		}
	}
}

// Expendable reports whether s may be wiped or its disk be damaged beyond use: the budget in which
// the protocol stays safe. Zab counts on three things that a voter has on its disk.
//
//   - What is committed: a quorum of the others must hold all of it.
//   - Its acks, which a leader may still hold or have under way: they must name nothing that is not
//     committed, else a leader counts a copy that is gone.
//   - Its promises: no other voter may be able to go on in an epoch below the highest that s has
//     promised, where s, having forgotten, would help it commit what the leader of the higher epoch
//     never hears of.
//
// An observer is always expendable.
func (c *Checker) Expendable(s *Subject) bool {
	sv := c.byID[s.ID]
	if !sv.voter {
		return true
	}
	f := &s.Disk.durable
	if !f.history.last.committed {
		return false
	}
	if e := c.byNumber[f.current]; e != nil && !e.established {
		return false
	}
	var holders zab.Set
	for _, other := range c.servers {
		if other == sv || !other.voter {
			continue
		}
		if other.Disk.durable.accepted < sv.vowed {
			return false
		}
		if !other.silent && other.cover == len(c.canon) {
			holders.Add(other.ID)
		}
	}
	return c.ensemble.Quorum(holders)
}
