package zabtest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/zab"
)

// What goes into a log, and what comes back from it.
var wrongLogs = []wrong{
	{"I-EPOCH", "a promise falls back", func(t *testing.T) *Env {
		e, a, b, _ := three(t)
		e.Abdicate(b)
		e.Follow(b, a)
		writes(e, b, acceptedRecord(0))
		return e
	}},
	{"I-EPOCH", "an epoch is entered that was not promised", func(t *testing.T) *Env {
		e, a, b, c := three(t)
		syncing(t, e, a, b, c)
		writes(e, b, currentRecord(3))
		return e
	}},
	{"I-EPOCH", "a txn of the new epoch before NEWLEADER (M28)", func(t *testing.T) *Env {
		e, a, b, c := three(t)
		syncing(t, e, a, b, c)
		e.Propose(a, "z")
		writes(e, b, txnRecord(zxid(2, 1), "z"))
		return e
	}},
	{"I-UNIQ", "a zxid is used twice", func(t *testing.T) *Env {
		e, a, _, _ := three(t)
		writes(e, a, txnRecord(zxid(1, 2), "other"))
		return e
	}},
	{"I-UNIQ", "the counter carries into the epoch (M29)", func(t *testing.T) *Env {
		e, a, _, _ := three(t)
		writes(e, a, txnRecord(zxid(2, 1), "z"))
		return e
	}},
	{"I-PROPEST", "a proposal before the epoch is established", func(t *testing.T) *Env {
		e, a, b, c := three(t)
		vote(e, a, b, c)
		e.hold[[2]zab.ServerID{a.ID, b.ID}] = true
		until(t, e, a, c, zab.Diff)
		require.Equal(t, zab.Synchronization, a.Peer.Phase())
		writes(e, a, txnRecord(zxid(2, 1), "z"))
		return e
	}},
	{"I-CHAIN", "a gap", func(t *testing.T) *Env {
		e, a, _, c := three(t)
		e.hold[[2]zab.ServerID{a.ID, c.ID}] = true
		e.Propose(a, "z", "zz")
		writes(e, c, txnRecord(zxid(1, 4), "zz"))
		return e
	}},
	{"I-MATCH", "other bytes", func(t *testing.T) *Env {
		e, a, _, c := three(t)
		e.hold[[2]zab.ServerID{a.ID, c.ID}] = true
		e.Propose(a, "z")
		writes(e, c, txnRecord(zxid(1, 3), "Z"))
		return e
	}},
	{"I-MATCH", "bytes that changed under way, in memory that all share", func(t *testing.T) *Env {
		e, a, _, c := three(t)
		e.hold[[2]zab.ServerID{a.ID, c.ID}] = true
		e.Propose(a, "a longer piece of data")
		e.checker.txns[zxid(1, 3)].Data[3]++
		writes(e, c, zab.Record{Kind: zab.RecordTxn, Zxid: zxid(1, 3), Data: e.checker.Data(zxid(1, 3))})
		return e
	}},
	{"I-MATCH", "another predecessor (M4)", func(t *testing.T) *Env {
		e, a, b, c := three(t)
		lags(e, a, c, "z")
		syncing(t, e, b, c, a)
		e.Propose(b, "new")
		writes(e, c, currentRecord(2), txnRecord(zxid(2, 1), "new"))
		return e
	}},
	{"I-INTEGRITY", "a txn that nobody proposed", func(t *testing.T) *Env {
		e, _, b, _ := three(t)
		writes(e, b, txnRecord(zxid(1, 3), "z"))
		return e
	}},
	{"I-LC", "a leader that is less recent than its quorum (M26)", func(t *testing.T) *Env {
		e, a, b, c := three(t)
		lags(e, a, c, "z")
		e.Crash(a, 0)
		vote(e, c, b)
		m := until(t, e, b, c, zab.AckEpoch)
		m.Epoch, m.Zxid = 0, 0
		e.Deliver(between(e, b, c))
		return e
	}},
	{"I-LC", "an earlier epoch commits what the later began without", func(t *testing.T) *Env {
		e, a, b, c := strayed(t)
		e.Start(a, false)
		e.Heal(a, c)
		elect(e, a, c)
		e.checker.hold(e.checker.byID[b.ID], e.checker.txns[zxid(1, 3)])
		e.checker.hold(e.checker.byID[c.ID], e.checker.txns[zxid(1, 3)])
		return e
	}},
	{"I-DUR", "a quorum loses its disks", func(t *testing.T) *Env {
		e, _, b, c := three(t)
		for _, s := range []*Server{b, c} {
			e.Crash(s, 0)
			e.checker.Wiped(&s.Subject)
			e.checker.Step(&s.Subject)
		}
		return e
	}},
	{"I-TRUNC", "something committed is cut off", func(t *testing.T) *Env {
		e, a, b, c := three(t)
		syncing(t, e, a, b, c)
		writes(e, b, truncateRecord(zxid(1, 1)))
		return e
	}},
	{"I-TRUNC", "a truncation to what is not there (R9)", func(t *testing.T) *Env {
		e, a, b, c := three(t)
		syncing(t, e, a, b, c)
		writes(e, b, truncateRecord(zxid(1, 7)))
		return e
	}},
	{"I-TRUNC", "a snapshot that is older than the log replaces it (M39)", func(t *testing.T) *Env {
		e, a, b, c := three(t)
		syncing(t, e, a, b, c)
		writes(e, b, zab.Record{Kind: zab.RecordInstall, Zxid: zxid(1, 1)}, currentRecord(2))
		return e
	}},
	{"I-SNAP", "a snapshot of what is not committed", func(t *testing.T) *Env {
		e, a, b, c := three(t)
		syncing(t, e, a, b, c)
		writes(e, b, zab.Record{Kind: zab.RecordInstall, Zxid: zxid(1, 3)})
		return e
	}},
	{"I-CEHIST", "the epoch is durable before its history (ZOOKEEPER-4643, M8)", func(t *testing.T) *Env {
		e, a, b, c := three(t)
		lags(e, a, c, "z")
		e.Heal(a, c)
		syncing(t, e, a, c, b)
		writes(e, c, currentRecord(2))
		synced(e, c)
		return e
	}},
	{"I-CEHIST", "the initial history of the own epoch is cut", func(t *testing.T) *Env {
		e, _, b, c := strayed(t)
		syncing(t, e, b, c) // I[2] ends with the stray txn, which B alone has
		writes(e, c, txnRecord(zxid(1, 3), "stray"), currentRecord(2), truncateRecord(zxid(1, 2)))
		synced(e, c)
		return e
	}},
	{"I-RECOVER", "a durable txn is gone", func(t *testing.T) *Env {
		e, _, b, _ := three(t)
		e.Crash(b, 0)
		st := b.recover()
		st.History.Truncate(zxid(1, 1))
		st.Tail = st.Tail[:1]
		e.checker.Recovered(&b.Subject, &st)
		return e
	}},
	{"I-RECOVER", "a disk that was lost does not silence its server (M37)", func(t *testing.T) *Env {
		e, _, b, _ := three(t)
		e.Crash(b, 0)
		e.checker.Wiped(&b.Subject)
		e.checker.Recovered(&b.Subject, &zab.State{})
		return e
	}},
	{"I-ACK", "an acked txn is cut in the epoch in which it was acked", func(t *testing.T) *Env {
		e := many(t, Options{Voters: 5})
		a, b := e.servers[0], e.servers[1]
		for _, s := range e.servers[2:] {
			s.Blocked = true
		}
		e.Propose(a, "z")
		e.Run()
		l, _ := between(e, a, b)
		e.Break(l)
		e.Follow(b, a)
		until(t, e, a, b, zab.LeaderInfo)
		e.Deliver(between(e, a, b))
		writes(e, b, truncateRecord(zxid(1, 2)))
		synced(e, b)
		e.checker.Step(&b.Subject)
		return e
	}},
	{"I-DUR", "an older disk comes back beyond the budget (N22)", func(t *testing.T) *Env {
		e, a, b, c := three(t)
		lags(e, a, c, "z")
		older := c.recover()
		e.Crash(b, 0)
		e.checker.Restored(&b.Subject, &older)
		e.checker.Step(&b.Subject)
		return e
	}},
	{"I-RECOVER", "an older disk holds more than it can", func(t *testing.T) *Env {
		e, a, b, _ := three(t)
		e.Crash(b, 0)
		older := b.recover()
		e.Propose(a, "z")
		e.Run()
		e.checker.Restored(&b.Subject, &older)
		newer := a.recover()
		e.checker.Recovered(&b.Subject, &newer)
		return e
	}},
	{"I-INC", "a record that the process did not hand out (M18)", func(t *testing.T) *Env {
		e, a, b, _ := three(t)
		e.Propose(a, "z")
		e.checker.Appended(&b.Subject, []zab.Record{txnRecord(zxid(1, 3), "z")})
		return e
	}},
	{"I-INC", "a sync of more than was written", func(t *testing.T) *Env {
		e, _, b, _ := three(t)
		e.checker.Synced(&b.Subject, 100)
		return e
	}},
	{"T1", "two branches are committed", func(t *testing.T) *Env {
		e, _, _, _ := three(t)
		c := e.checker
		base := c.txns[zxid(1, 2)]
		c.extend(c.propose(base, zab.Txn{Zxid: zxid(1, 3)}), 1)
		c.extend(c.propose(base, zab.Txn{Zxid: zxid(2, 1)}), 2)
		return e
	}},
}

// strayed is three after a txn, 1:3, that only B has: A proposed it and lost it with its power, C never
// had it.
func strayed(t *testing.T) (e *Env, a, b, c *Server) {
	t.Helper()
	e, a, b, c = three(t)
	e.Cut(a, c)
	a.Blocked = true
	e.Propose(a, "stray")
	e.Run()
	e.Crash(a, 0)
	a.Blocked = false
	e.Run()
	require.NoError(t, e.Err())
	require.False(t, e.checker.Committed(zxid(1, 3)))
	_, last := b.Disk.Last()
	require.Equal(t, zxid(1, 3), last)
	return e, a, b, c
}
