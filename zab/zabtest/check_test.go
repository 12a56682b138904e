package zabtest

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/zab"
)

// The Checker is tested with sequences of calls that no correct server makes. An Env makes the honest
// part of each; then the case says something to the Checker that is not so, or that a wrong server
// would do. So the tests have to see inside.

// three is an ensemble in which A leads epoch 1 and 1:1 and 1:2 are committed and delivered everywhere.
func three(t *testing.T) (e *Env, a, b, c *Server) {
	t.Helper()
	e = many(t, Options{Voters: 3})
	return e, e.servers[0], e.servers[1], e.servers[2]
}

// many is three for other ensembles.
func many(t *testing.T, opts Options) *Env {
	t.Helper()
	e := New(opts)
	for _, s := range e.servers {
		e.Start(s, false)
	}
	elect(e, e.servers...)
	e.Propose(e.servers[0], "x", "y")
	e.Run()
	require.NoError(t, e.Err())
	require.Equal(t, []zab.Zxid{zxid(1, 1), zxid(1, 2)}, e.checker.Canon())
	return e
}

// elect has some servers follow the first of them, and lets everything happen.
func elect(e *Env, on ...*Server) {
	vote(e, on...)
	e.Run()
}

func vote(e *Env, on ...*Server) {
	e.Run() // links that broke are noticed
	for _, s := range on {
		e.Abdicate(s)
	}
	e.Lead(on[0])
	for _, s := range on[1:] {
		e.Follow(s, on[0])
	}
}

func zxid(e zab.Epoch, n uint64) zab.Zxid { return zab.MakeZxid(e, n) }

func txnRecord(z zab.Zxid, data string) zab.Record {
	return zab.Record{Kind: zab.RecordTxn, Zxid: z, Data: []byte(data)}
}

func truncateRecord(z zab.Zxid) zab.Record { return zab.Record{Kind: zab.RecordTruncate, Zxid: z} }

func acceptedRecord(e zab.Epoch) zab.Record {
	return zab.Record{Kind: zab.RecordAcceptedEpoch, Epoch: e}
}

func currentRecord(e zab.Epoch) zab.Record { return zab.Record{Kind: zab.RecordCurrentEpoch, Epoch: e} }

// writes has a server hand out records of its own and append them; the honest Peer knows nothing.
func writes(e *Env, s *Server, recs ...zab.Record) {
	e.checker.Turn(&s.Subject, &zab.Actions{Persist: recs})
	e.checker.Appended(&s.Subject, recs)
}

// synced makes everything durable that a server has appended, as far as the Checker is concerned.
func synced(e *Env, s *Server) {
	appended, _ := s.Disk.Len()
	e.checker.Synced(&s.Subject, appended-s.Disk.started)
}

func sends(e *Env, s *Server, m *zab.Message) {
	e.checker.Turn(&s.Subject, &zab.Actions{Send: []zab.Envelope{{Link: linkOf(e, s), Msg: m}}})
}

func leaves(e *Env, s *Server, m *zab.Message) {
	e.checker.Leaves(&s.Subject, zab.Envelope{Link: linkOf(e, s), Msg: m})
}

// linkOf returns the end that s has of its newest link.
func linkOf(e *Env, s *Server) zab.LinkID {
	for _, l := range slices.Backward(e.links) {
		if i := l.Open(s); i >= 0 {
			return l.ends[i].id
		}
	}
	return 0
}

// syncing brings a server into the synchronization of a leader: it has promised the epoch, and got
// nothing of the stream.
func syncing(t *testing.T, e *Env, leader, s *Server, others ...*Server) {
	t.Helper()
	vote(e, append([]*Server{leader, s}, others...)...)
	until(t, e, leader, s, zab.LeaderInfo)
	e.Deliver(between(e, leader, s))
	e.Run()
	require.NoError(t, e.Err())
	require.Equal(t, zab.Synchronization, s.Peer.Phase())
}

// until lets everything happen until the next message from one server to another is of a kind; it is
// returned, and nothing more arrives there.
func until(t *testing.T, e *Env, from, to *Server, k zab.Kind) *zab.Message {
	t.Helper()
	e.hold[[2]zab.ServerID{from.ID, to.ID}] = true
	for range 20 {
		e.Run()
		l, i := between(e, from, to)
		if l.Next(i) == k {
			return l.ends[i].inbox[0].msg
		}
		e.Deliver(l, i)
	}
	require.Fail(t, "it does not come", "%v", k)
	return nil
}

// between returns the link of two servers and the end that to has.
func between(e *Env, from, to *Server) (*Link, int) {
	for _, l := range slices.Backward(e.links) {
		if l.joins(from, to) && l.Open(to) >= 0 {
			return l, l.Open(to)
		}
	}
	return &Link{ends: [2]linkEnd{{server: from}, {server: to}}}, 1
}

// lags has c miss what A proposes.
func lags(e *Env, a, c *Server, data ...string) {
	e.Cut(a, c)
	e.Propose(a, data...)
	e.Run()
}

// swap replaces the process of a server by one of another world, which believes other things.
func swap(s, with *Server) { s.Peer = with.Peer }

// wrong is one sequence of calls that breaks an invariant.
type wrong struct {
	invariant, how string
	do             func(t *testing.T) *Env
}

func TestCheckerFinds(t *testing.T) {
	caught := make(map[string]bool)
	for _, cases := range [][]wrong{wrongLogs, wrongMessages, wrongRoles, wrongTrees, wrongAnswers} {
		for _, w := range cases {
			t.Run(w.invariant+" "+w.how, func(t *testing.T) {
				e := w.do(t)
				require.NoError(t, e.broken)
				err := e.checker.Err()
				require.NotNil(t, err, "nobody noticed")
				require.Equal(t, w.invariant, err.Name, "%v", err)
				t.Log(err)
				caught[w.invariant] = true
			})
		}
	}
	for _, name := range Names() {
		require.True(t, caught[name], "%s has no case", name)
	}
}
