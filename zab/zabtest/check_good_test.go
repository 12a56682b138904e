package zabtest

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/zab"
)

// False alarms cost as much as misses: what looks wrong and is not. Each case ends with the end of all
// faults, and names what the Checker must have seen on the way.
var tricky = []struct {
	name, seen string
	do         func(t *testing.T) *Env
}{
	{"an unfinished synchronization leaves a copy that counts for nothing (example X1)", "copy not counted", func(t *testing.T) *Env {
		e, a, b, c := three(t)
		e.Propose(a, "z") // only in A's log
		_, to := a.Unsynced()
		e.Sync(a, to)
		for _, s := range []*Server{a, b, c} {
			e.Crash(s, 0)
		}
		e.Start(c, false)
		e.Start(b, false)
		vote(e, c, b)
		until(t, e, b, c, zab.AckEpoch)
		e.Deliver(between(e, b, c)) // I[2] lacks 1:3
		_, to = c.Unsynced()
		e.Sync(c, to)
		require.Equal(t, zab.Epoch(2), c.Peer.CurrentEpoch())
		e.Cut(b, c) // before B hears of it
		e.Crash(c, 0)
		e.Heal(b, c)
		delete(e.hold, [2]zab.ServerID{b.ID, c.ID})
		e.Start(a, false)
		vote(e, a, b)
		until(t, e, a, b, zab.NewLeader) // B has 1:3 from the stream, and not the epoch
		_, to = b.Unsynced()
		e.Sync(b, to)
		_, last := b.Disk.Last()
		require.Equal(t, zxid(1, 3), last)
		delete(e.hold, [2]zab.ServerID{a.ID, b.ID})
		e.Crash(a, 0)
		e.Crash(b, 0)
		require.False(t, e.checker.Committed(zxid(1, 3)), "two of three disks have it")
		e.Start(b, false)
		e.Start(c, false)
		elect(e, c, b) // rightly: (2 1:2) is more recent than (1 1:3)
		require.True(t, c.Peer.Serving())
		_, last = b.Disk.Last()
		require.Equal(t, zxid(1, 2), last)
		return e
	}},
	{"a txn that nobody acked survives", "committed by a later epoch", func(t *testing.T) *Env {
		e, _, b, c := strayed(t)
		elect(e, b, c)
		require.True(t, e.checker.Committed(zxid(1, 3)))
		return e
	}},
	{"a txn that nobody acked is cut off", "truncated", func(t *testing.T) *Env {
		e, a, b, c := strayed(t)
		e.Start(a, false)
		e.Heal(a, c)
		elect(e, a, c)
		e.Abdicate(b)
		e.Follow(b, a)
		e.Run()
		require.False(t, e.checker.Committed(zxid(1, 3)))
		return e
	}},
	{"a promise is spent on one link and repeated on the next", "promise not counted", func(t *testing.T) *Env {
		e, a, b, c := three(t)
		syncing(t, e, a, b)
		l, _ := between(e, a, b)
		e.Break(l)
		delete(e.hold, [2]zab.ServerID{a.ID, b.ID})
		e.Follow(b, a)
		e.Follow(c, a)
		e.Run()
		require.True(t, b.Peer.Serving())
		return e
	}},
	{"a stale leader cuts what a later epoch has committed", "truncated", func(t *testing.T) *Env {
		e := many(t, Options{Voters: 5})
		a, b, c, d, f := e.servers[0], e.servers[1], e.servers[2], e.servers[3], e.servers[4]
		for _, s := range []*Server{c, d, f} {
			e.hold[[2]zab.ServerID{a.ID, s.ID}] = true
		}
		e.Propose(a, "z")
		e.Run() // A and B have 1:3
		clear(e.hold)
		for _, s := range []*Server{a, c, d, f} {
			e.Crash(s, 0)
			e.Start(s, false)
		}
		_, last := b.Disk.Last()
		require.Equal(t, zxid(1, 3), last)
		e.Run()
		vote(e, c, d, f) // C leads epoch 2 without 1:3 ...
		e.hold[[2]zab.ServerID{c.ID, f.ID}] = true
		for _, s := range []*Server{d, f} {
			until(t, e, c, s, zab.LeaderInfo)
			e.Deliver(between(e, c, s))
		}
		e.Run()
		require.Equal(t, zab.Synchronization, c.Peer.Phase())
		e.Follow(b, c)
		until(t, e, c, b, zab.Trunc) // ... and is about to cut it off on B
		e.Abdicate(d)
		e.Abdicate(f)
		vote(e, a, d, f) // epoch 3 commits it
		require.NoError(t, e.Err())
		e.Run()
		require.True(t, e.checker.Committed(zxid(1, 3)))
		e.Deliver(between(e, c, b))
		e.Run()
		appended, _ := b.Disk.Last()
		require.Equal(t, zxid(1, 2), appended)
		return e
	}},
	{"a server that lost its disk votes again in the same epoch", "copy counted late", func(t *testing.T) *Env {
		e, a, b, c := three(t)
		wipe(e, c)
		e.Start(c, true)
		e.Follow(c, a)
		e.Run()
		require.Equal(t, zab.Observing, c.Peer.Role())
		e.Propose(a, "z")
		e.Run()
		e.Abdicate(c)
		e.Follow(c, a)
		e.Run()
		require.Equal(t, zab.Following, c.Peer.Role())
		b.Blocked = true
		e.Propose(a, "zz") // with the vote of C
		e.Run()
		require.True(t, e.checker.Committed(zxid(1, 4)))
		return e
	}},
	{"a crash leaves what was not synced", "crash kept unsynced records", func(t *testing.T) *Env {
		e, a, b, _ := three(t)
		b.Blocked = true
		e.Propose(a, "z")
		e.Run()
		_, to := b.Unsynced()
		e.Crash(b, to)
		e.Start(b, false)
		return e
	}},
	{"a crash finds a snapshot half installed", "crash abandoned a snapshot", func(t *testing.T) *Env {
		e, a, b, c := three(t)
		e.Snapshot(a, true)
		wipe(e, c)
		e.Start(c, true)
		e.Follow(c, a)
		until(t, e, a, c, zab.NewLeader)
		e.Crash(c, len(c.files.records))
		delete(e.hold, [2]zab.ServerID{a.ID, c.ID})
		e.Start(c, true)
		e.Follow(c, a)
		e.Run()
		e.Abdicate(c)
		e.Follow(c, a)
		e.Run()
		elect(e, b, c)
		return e
	}},
}

// wipe takes the disk of a server away.
func wipe(e *Env, s *Server) {
	e.Crash(s, 0)
	e.checker.Wiped(&s.Subject)
	s.files = files{snapshots: make(map[zab.Zxid][]zab.Txn)}
}

func TestCheckerAllows(t *testing.T) {
	for _, good := range tricky {
		t.Run(good.name, func(t *testing.T) {
			e := good.do(t)
			require.NoError(t, e.Err())
			require.Positive(t, e.checker.Seen()[good.seen])
			require.NoError(t, e.Converge())
		})
	}
}

// What a recovery may find is the fold of any prefix from what is durable on, and nothing else.
func TestRecoverableAs(t *testing.T) {
	e, a, b, c := three(t)
	b.Blocked, c.Blocked = true, true
	e.Propose(a, "z")
	e.Run()
	e.Propose(a, "zz")
	e.Run()
	state := func(n int, change func(st *zab.State)) error {
		other := &Server{Subject: Subject{ID: b.ID, Disk: NewDisk()}}
		*other.Disk = *b.Disk
		other.Disk.pending = append([]record(nil), b.Disk.pending...)
		other.Disk.lose(n)
		st := other.recover()
		if change != nil {
			change(&st)
		}
		return e.checker.RecoverableAs(&b.Subject, &st)
	}
	from, to := b.Unsynced()
	require.Equal(t, from+2, to)
	for n := from; n <= to; n++ {
		require.NoError(t, state(n, nil), n)
		require.NoError(t, state(n, func(st *zab.State) { // purged behind a snapshot
			st.Snapshot, st.Horizon = zxid(1, 2), zxid(1, 1)
			st.History.Rebase(zxid(1, 1))
			st.Tail = st.Tail[2:]
		}), n)
		for what, change := range map[string]func(st *zab.State){
			"promise lost":            func(st *zab.State) { st.AcceptedEpoch-- },
			"epoch lost":              func(st *zab.State) { st.CurrentEpoch-- },
			"txn lost":                func(st *zab.State) { st.History.Truncate(zxid(1, 1)) },
			"txn from nowhere":        func(st *zab.State) { st.History.Append(st.History.Last() + 1) },
			"silent":                  func(st *zab.State) { st.Silent = true },
			"snapshot not committed":  func(st *zab.State) { st.Snapshot, st.Tail = zxid(1, 3), st.Tail[len(st.Tail):] },
			"snapshot from nowhere":   func(st *zab.State) { st.Snapshot = zxid(1, 7) },
			"snapshot before the log": func(st *zab.State) { st.Horizon = zxid(1, 1); st.History.Rebase(zxid(1, 1)) },
			"horizon from nowhere":    func(st *zab.State) { st.Horizon = zxid(1, 7); st.History = zab.NewHistory(zxid(1, 7)) },
			"horizon and history differ": func(st *zab.State) {
				st.History.Rebase(zxid(1, 1))
			},
			"tail too short": func(st *zab.State) { st.Tail = st.Tail[:1] },
			"other bytes":    func(st *zab.State) { st.Tail[0].Data = []byte("X") },
			"other zxid":     func(st *zab.State) { st.Tail[0].Zxid++ },
			"dead branch": func(st *zab.State) {
				st.History = zab.NewHistory(0)
				for _, z := range []zab.Zxid{zxid(1, 1), zxid(1, 2), zxid(1, 3), zxid(1, 4), zxid(1, 5)} {
					if z <= st.Tail[len(st.Tail)-1].Zxid+1 {
						st.History.Append(z)
					}
				}
			},
		} {
			err := state(n, change)
			require.Error(t, err, "%s at %d", what, n)
			require.ErrorContains(t, err, "I-RECOVER")
		}
	}
}

// The table of epochs that a recovery finds is compared epoch by epoch.
func TestRecoverableAsEpochs(t *testing.T) {
	e, a, b, c := three(t)
	for range 3 {
		elect(e, b, a, c)
		e.Propose(b, "p", "q", "r")
		e.Run()
	}
	require.NoError(t, e.Err())
	st := b.recover()
	require.NoError(t, e.checker.RecoverableAs(&b.Subject, &st))
	for _, shape := range [][]zab.Zxid{
		{zxid(1, 1), zxid(1, 2), zxid(2, 1), zxid(2, 2), zxid(3, 1), zxid(3, 2), zxid(3, 3), zxid(4, 1), zxid(4, 2), zxid(4, 3)},
		{zxid(1, 1), zxid(2, 1), zxid(2, 2), zxid(2, 3), zxid(3, 1), zxid(3, 2), zxid(3, 3), zxid(4, 1), zxid(4, 2), zxid(4, 3)},
		{zxid(1, 1), zxid(1, 2), zxid(2, 1), zxid(2, 2), zxid(2, 3), zxid(4, 1), zxid(4, 2), zxid(4, 3)},
		{zxid(2, 1), zxid(2, 2), zxid(2, 3), zxid(3, 1), zxid(3, 2), zxid(3, 3), zxid(4, 1), zxid(4, 2), zxid(4, 3)},
	} {
		bad := st
		bad.History = zab.NewHistory(0)
		for _, z := range shape {
			require.True(t, bad.History.Append(z))
		}
		require.ErrorContains(t, e.checker.RecoverableAs(&b.Subject, &bad), "I-RECOVER", shape)
	}
}

// A wipe is in the budget when the others have what is committed, what the server acked is committed,
// and nobody can go on in an epoch below its promise.
func TestExpendable(t *testing.T) {
	e, a, b, c := three(t)
	require.True(t, e.checker.Expendable(&c.Subject))
	b.Blocked = true
	e.Propose(a, "z")
	e.Run()
	require.False(t, e.checker.Expendable(&c.Subject), "committed on A and C alone")
	b.Blocked = false
	e.Run()
	require.True(t, e.checker.Expendable(&c.Subject))
	syncing(t, e, b, c)
	require.False(t, e.checker.Expendable(&c.Subject), "A could go on in epoch 1")
	require.Equal(t, 3, e.checker.Covers(&c.Subject))
}

// Anything can be asked about Canon.
func TestCanon(t *testing.T) {
	e, a, b, _ := three(t)
	c := e.checker
	place, ok := c.InCanon(zxid(1, 2))
	require.Equal(t, 1, place)
	require.True(t, ok)
	require.Equal(t, "y", string(c.Data(zxid(1, 2))))
	require.Nil(t, c.Data(zxid(1, 3)))
	require.False(t, c.Committed(0))
	require.False(t, c.Committed(zxid(1, 3)))
	require.Equal(t, 2, c.Applied(&b.Subject))
	var durable []zab.Record
	c.OnDurable = func(s *Subject, r zab.Record) {
		if s.ID == b.ID {
			durable = append(durable, r)
		}
	}
	e.Propose(a, "z")
	e.Run()
	require.Equal(t, []zab.Record{txnRecord(zxid(1, 3), "z")}, durable)
}

// Ancestors are found at every depth, whatever branches there are.
func TestTxnTree(t *testing.T) {
	path := []*txn{genesis}
	for i := 1; i <= 300; i++ {
		x := new(txn)
		x.follow(path[i-1], zab.Txn{Zxid: zxid(1, uint64(i)), Data: []byte(strconv.Itoa(i))})
		path = append(path, x)
	}
	end := path[300]
	for depth, x := range path {
		require.Same(t, x, end.at(depth))
		require.True(t, end.has(x))
		require.Equal(t, depth == 300, x.has(end))
		branch := new(txn)
		branch.follow(x, zab.Txn{Zxid: zxid(2, 1)})
		require.False(t, end.has(branch))
		require.Same(t, genesis, end.trunk())
	}
	for depth, x := range path[1:] {
		x.committed = true
		require.Same(t, x, end.trunk(), depth)
	}
}

// A step of a server to which nothing has happened costs no allocation, and a txn costs next to none.
func TestCheckerAllocations(t *testing.T) {
	e, a, _, _ := three(t)
	require.Zero(t, testing.AllocsPerRun(100, func() { e.checker.Step(&a.Subject) }))
}

// BenchmarkStep shows that a step costs the same whatever the length of the histories.
func BenchmarkStep(b *testing.B) {
	for _, txns := range []int{10, 10_000} {
		b.Run(strconv.Itoa(txns), func(b *testing.B) {
			e := New(Options{Voters: 5})
			for _, s := range e.servers {
				e.Start(s, false)
			}
			elect(e, e.servers...)
			for range txns {
				e.Propose(e.servers[0], "some bytes")
			}
			e.Run()
			b.ReportAllocs()
			for b.Loop() {
				e.checker.Step(&e.servers[0].Subject)
			}
		})
	}
}
