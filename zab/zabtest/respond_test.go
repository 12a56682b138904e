package zabtest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/zab"
)

// What clients are told, and what is too large to be told to anybody.
var wrongAnswers = []wrong{
	{"T7", "a learner answers before UPTODATE (M9)", func(t *testing.T) *Env {
		e, a, b, c := three(t)
		vote(e, a, b, c)
		until(t, e, a, b, zab.UpToDate)
		e.checker.Responds(&b.Subject, 0)
		return e
	}},
	{"T7", "UPTODATE of an earlier role", func(t *testing.T) *Env {
		e, a, b, c := three(t)
		vote(e, a, b, c)
		m := until(t, e, a, b, zab.UpToDate)
		l, i := between(e, a, b)
		e.Abdicate(b)
		e.checker.Heard(&b.Subject, l.ends[i].id, m)
		e.checker.Responds(&b.Subject, 0)
		return e
	}},
	{"T7", "a leader answers before its epoch is established", func(t *testing.T) *Env {
		e, a, b, c := three(t)
		vote(e, a, b, c)
		e.hold[[2]zab.ServerID{a.ID, b.ID}] = true
		until(t, e, a, c, zab.Diff)
		require.Equal(t, zab.Synchronization, a.Peer.Phase())
		e.checker.Responds(&a.Subject, 0)
		return e
	}},
	{"T7", "a server that looks for a leader answers", func(t *testing.T) *Env {
		e, _, b, _ := three(t)
		e.Abdicate(b)
		e.checker.Responds(&b.Subject, 0)
		return e
	}},
	{"T7", "a write is answered when it is proposed (M34)", func(t *testing.T) *Env {
		e, a, b, c := three(t)
		b.Blocked, c.Blocked = true, true
		e.Propose(a, "z")
		e.Run()
		e.checker.Responds(&a.Subject, zxid(1, 3))
		return e
	}},
	{"T7", "a server that is down answers", func(t *testing.T) *Env {
		e, _, b, _ := three(t)
		e.Crash(b, 0)
		e.checker.Responds(&b.Subject, zxid(1, 2))
		return e
	}},
	{"I-BUDGET", "a txn is larger than any may be (ZOOKEEPER-4306)", func(t *testing.T) *Env {
		e, a, _, _ := three(t)
		e.checker.TxnBytes = 10
		e.Propose(a, "eleven byte")
		return e
	}},
	{"I-BUDGET", "requests that no frame can hold", func(t *testing.T) *Env {
		e, _, b, _ := three(t)
		e.checker.TxnBytes = 10
		large := make([]byte, batchBytes/2)
		sends(e, b, &zab.Message{Kind: zab.Requests, Requests: []zab.Request{{Body: large}, {Body: large}, {Body: large[:20]}}})
		return e
	}},
	{"I-BUDGET", "proposals that no frame can hold", func(t *testing.T) *Env {
		e, a, _, _ := three(t)
		e.checker.TxnBytes = 10
		large := make([]byte, batchBytes)
		sends(e, a, &zab.Message{Kind: zab.Proposal, Txns: []zab.Txn{{Zxid: zxid(1, 3), Data: large}, {Zxid: zxid(1, 4), Data: large}}})
		return e
	}},
}

// What may be answered and is: each txn that an Env delivers counts as a client's, so the other tests
// show it for servers that are in broadcast; here are the edges.
func TestAnswersThatMayBe(t *testing.T) {
	e, a, b, _ := three(t)
	e.checker.TxnBytes = 10
	e.checker.Responds(&a.Subject, 0)
	e.checker.Responds(&b.Subject, zxid(1, 1))
	e.Propose(a, "ten bytes!")
	e.Run()
	require.NoError(t, e.Err())

	b.Peer.Abdicate(&zab.Actions{}) // in a turn that has committed something before
	e.checker.Responds(&b.Subject, 0)
	e.checker.Step(&b.Subject)
	e.checker.Responds(&b.Subject, zxid(1, 3)) // and when that is durable only later
	require.NoError(t, e.Err())
}
