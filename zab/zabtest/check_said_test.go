package zabtest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/zab"
)

// What leaves a server.
var wrongMessages = []wrong{
	{"I-PROMISE", "a promise before it is durable (M6)", func(t *testing.T) *Env {
		e, a, b, c := three(t)
		b.Blocked = true
		vote(e, a, b, c)
		e.Run()
		require.NotEmpty(t, b.held)
		e.checker.Leaves(&b.Subject, b.held[0].env)
		return e
	}},
	{"I-PROMISE", "a promise that does not wait for the disk", func(t *testing.T) *Env {
		e, a, b, c := three(t)
		b.Blocked = true
		vote(e, a, b, c)
		e.Run()
		require.NotEmpty(t, b.held)
		sends(e, b, b.held[0].env.Msg)
		return e
	}},
	{"I-PROMISE", "an epoch is announced before its leader has promised it to itself (ZOOKEEPER-1291)", func(t *testing.T) *Env {
		e, a, b, c := three(t)
		a.Blocked = true
		vote(e, a, b, c)
		e.Run()
		require.NotEmpty(t, a.held)
		e.checker.Leaves(&a.Subject, a.held[0].env)
		return e
	}},
	{"I-PROMISE", "a silent server votes (M37)", func(t *testing.T) *Env {
		e, _, b, _ := three(t)
		e.Crash(b, 0)
		e.checker.Wiped(&b.Subject)
		e.checker.Recovered(&b.Subject, &zab.State{Silent: true})
		e.checker.Voted(&b.Subject, zxid(1, 2), 1)
		return e
	}},
	{"I-PROMISE", "a server does not know that it has lost its disk (M37)", func(t *testing.T) *Env {
		e, _, b, _ := three(t)
		wipe(e, b)
		e.Start(b, true)
		other := New(Options{Voters: 3})
		other.Start(other.servers[1], false)
		swap(b, other.servers[1])
		e.checker.Step(&b.Subject)
		return e
	}},
	{"I-ACKNL", "NEWLEADER is acked before the epoch is durable (M7)", func(t *testing.T) *Env {
		e, a, b, c := three(t)
		syncing(t, e, a, b, c)
		leaves(e, b, &zab.Message{Kind: zab.Ack, Zxid: zxid(2, 0)})
		return e
	}},
	{"I-ACK", "a txn is acked before it is durable (M1)", func(t *testing.T) *Env {
		e, a, b, _ := three(t)
		b.Blocked = true
		e.Propose(a, "z")
		e.Run()
		require.NotEmpty(t, b.held)
		e.checker.Leaves(&b.Subject, b.held[0].env)
		return e
	}},
	{"I-ACK", "a message that attests does not wait", func(t *testing.T) *Env {
		e, a, b, _ := three(t)
		b.Blocked = true
		e.Propose(a, "z")
		e.Run()
		sends(e, b, &zab.Message{Kind: zab.Ack, Zxid: zxid(1, 3)})
		return e
	}},
	{"I-ZXIDREAL", "a vote names what is not durable", func(t *testing.T) *Env {
		e, a, b, _ := three(t)
		b.Blocked = true
		e.Propose(a, "z")
		e.Run()
		e.checker.Voted(&b.Subject, zxid(1, 3), 1)
		return e
	}},
	{"I-ZXIDREAL", "a promise names what was delivered (ZOOKEEPER-2845, M15)", func(t *testing.T) *Env {
		e, _, b, c := strayed(t)
		vote(e, c, b)
		e.Run()
		sends(e, b, &zab.Message{Kind: zab.AckEpoch, Epoch: 1, Zxid: zxid(1, 2)})
		return e
	}},
	{"I-CONN", "a txn is acked before NEWLEADER (ZOOKEEPER-4685, M16)", func(t *testing.T) *Env {
		e, a, b, c := three(t)
		syncing(t, e, a, b, c)
		leaves(e, b, &zab.Message{Kind: zab.Ack, Zxid: zxid(1, 2)})
		return e
	}},
	{"I-CONN", "acks go back", func(t *testing.T) *Env {
		e, _, b, _ := three(t)
		leaves(e, b, &zab.Message{Kind: zab.Ack, Zxid: zxid(1, 1)})
		return e
	}},
	{"I-CONN", "a second NEWLEADER", func(t *testing.T) *Env {
		e, a, _, _ := three(t)
		sends(e, a, &zab.Message{Kind: zab.NewLeader, Epoch: 1})
		return e
	}},
	{"I-CONN", "a gap between proposals (M19)", func(t *testing.T) *Env {
		e, a, _, _ := three(t)
		sends(e, a, &zab.Message{Kind: zab.Proposal, Txns: []zab.Txn{{Zxid: zxid(1, 4)}}})
		return e
	}},
	{"I-CONN", "commits go back", func(t *testing.T) *Env {
		e, a, _, _ := three(t)
		sends(e, a, &zab.Message{Kind: zab.Commit, Commit: zxid(1, 1)})
		return e
	}},
	{"I-CONN", "a commit of what was not proposed on the link (R15)", func(t *testing.T) *Env {
		e, a, _, c := three(t)
		lags(e, a, c, "z")
		e.Heal(a, c)
		e.Follow(c, a)
		e.hold[[2]zab.ServerID{a.ID, c.ID}] = true
		e.Run()
		sends(e, a, &zab.Message{Kind: zab.Commit, Commit: zxid(1, 3)})
		return e
	}},
	{"I-CONN", "somebody refuses what an honest server sent", func(t *testing.T) *Env {
		e, _, b, _ := three(t)
		e.checker.Turn(&b.Subject, &zab.Actions{Violations: []zab.Violation{{Link: 1, Kind: zab.Proposal, Text: "no"}}})
		return e
	}},
	{"I-INC", "a message on a link of an earlier role", func(t *testing.T) *Env {
		e, _, b, _ := three(t)
		id := linkOf(e, b)
		e.Abdicate(b)
		e.checker.Turn(&b.Subject, &zab.Actions{Send: []zab.Envelope{{Link: id, Msg: &zab.Message{Kind: zab.PingReply}}}})
		return e
	}},
	{"I-INC", "a message on a link that its process never had", func(t *testing.T) *Env {
		e, _, b, _ := three(t)
		e.checker.Leaves(&b.Subject, zab.Envelope{Link: 99, Msg: &zab.Message{Kind: zab.Ack, Zxid: zxid(1, 2)}})
		return e
	}},
	{"I-COMMITQ", "a commit is sent that no quorum has made", func(t *testing.T) *Env {
		e, a, b, c := three(t)
		b.Blocked, c.Blocked = true, true
		e.Propose(a, "z")
		e.Run()
		sends(e, a, &zab.Message{Kind: zab.Commit, Commit: zxid(1, 3)})
		return e
	}},
	{"C-SYNC", "a barrier is answered with the past", func(t *testing.T) *Env {
		e, _, b, _ := three(t)
		e.checker.Asked(&b.Subject, 7)
		e.checker.Answered(&b.Subject, zab.BarrierDone{ID: 7, Zxid: zxid(1, 1)})
		return e
	}},
	{"C-SYNC", "a barrier is answered that nobody asked for", func(t *testing.T) *Env {
		e, _, b, _ := three(t)
		e.checker.Answered(&b.Subject, zab.BarrierDone{ID: 7, Zxid: zxid(1, 2)})
		return e
	}},
}

// What a server is and believes.
var wrongRoles = []wrong{
	{"I-LEAD1", "two leaders of one epoch (M27)", func(t *testing.T) *Env {
		e, _, _, c := three(t)
		e.Crash(c, 0)
		other := New(Options{Voters: 3})
		for _, s := range other.servers {
			other.Start(s, false)
		}
		elect(other, other.servers[2], other.servers[1])
		st := c.recover()
		e.checker.Recovered(&c.Subject, &st)
		swap(c, other.servers[2])
		e.checker.Step(&c.Subject)
		return e
	}},
	{"I-LEAD2", "two leaders of one epoch, one after the other", func(t *testing.T) *Env {
		e, a, _, c := three(t)
		e.Crash(a, 0)
		e.Crash(c, 0)
		other := New(Options{Voters: 3})
		for _, s := range other.servers {
			other.Start(s, false)
		}
		elect(other, other.servers[2], other.servers[1])
		st := c.recover()
		e.checker.Recovered(&c.Subject, &st)
		swap(c, other.servers[2])
		e.checker.Step(&c.Subject)
		return e
	}},
	{"I-COMMITQ", "a leader counts acks that nobody sent (M3)", func(t *testing.T) *Env {
		e, a, b, c := three(t)
		b.Blocked, c.Blocked = true, true
		e.Propose(a, "z")
		e.Run()
		e.turn(a, func(p *zab.Peer, out *zab.Actions) {
			p.Receive(e.links[0].ends[e.links[0].Open(a)].id, &zab.Message{Kind: zab.Ack, Zxid: zxid(1, 3)}, out)
		})
		return e
	}},
	{"I-COMMITQ", "a leader takes its epoch for established", func(t *testing.T) *Env {
		e, a, _, _ := three(t)
		e.checker.byNumber[1].established = false
		e.checker.Step(&a.Subject)
		return e
	}},
	{"I-COMMITQ", "a stale leader commits what only a later epoch has committed", func(t *testing.T) *Env {
		e := many(t, Options{Voters: 5})
		a, b, c, d, f := e.servers[0], e.servers[1], e.servers[2], e.servers[3], e.servers[4]
		for _, s := range []*Server{c, d, f} {
			e.hold[[2]zab.ServerID{a.ID, s.ID}] = true
		}
		e.Propose(a, "z")
		e.Run() // A and B have 1:3, and A knows it
		e.Cut(a, b)
		e.Cut(a, c)
		e.Cut(a, d)
		elect(e, b, c, d)
		require.NoError(t, e.Err())
		require.True(t, e.checker.Committed(zxid(1, 3)))
		e.turn(a, func(p *zab.Peer, out *zab.Actions) {
			p.Receive(linkOf(e, a), &zab.Message{Kind: zab.Ack, Zxid: zxid(1, 3)}, out) // F has nothing
		})
		return e
	}},
	{"I-PS", "a learner keeps a dead txn (ZOOKEEPER-1154, M4)", func(t *testing.T) *Env {
		e, a, b, c := strayed(t)
		e.Start(a, false)
		e.Heal(a, c)
		elect(e, a, c) // epoch 2, without the stray txn
		e.Run()
		e.Abdicate(b)
		e.Follow(b, a)
		until(t, e, a, b, zab.LeaderInfo)
		e.Deliver(between(e, a, b))
		e.Run()
		require.Equal(t, zab.Synchronization, b.Peer.Phase())
		require.NoError(t, e.Err())
		writes(e, b, currentRecord(2))
		e.checker.Step(&b.Subject)
		return e
	}},
	{"I-ZXIDREAL", "a server believes that more is logged than is", func(t *testing.T) *Env {
		e, _, _, c := three(t)
		other, _, _, oc := three(t)
		oc.Peer.Receive(linkOf(other, oc), &zab.Message{
			Kind: zab.Proposal, Txns: []zab.Txn{{Zxid: zxid(1, 3), Data: []byte("z")}},
		}, new(zab.Actions))
		swap(c, oc)
		e.checker.Step(&c.Subject)
		return e
	}},
	{"I-APPLY", "a server believes that more is applied than is durable", func(t *testing.T) *Env {
		e, a, _, c := three(t)
		lags(e, a, c, "z")
		other, oa, _, oc := three(t)
		other.Propose(oa, "z")
		other.Run()
		st := c.recover()
		e.checker.Recovered(&c.Subject, &st)
		swap(c, oc)
		e.checker.Step(&c.Subject)
		return e
	}},
	{"T2", "what is committed goes back", func(t *testing.T) *Env {
		e, a, _, c := three(t)
		_, _, _, behind := three(t)
		e.Propose(a, "z")
		e.Run()
		swap(c, behind)
		e.checker.Step(&c.Subject)
		return e
	}},
	{"T3", "a log shrinks in broadcast", func(t *testing.T) *Env {
		e, _, b, _ := three(t)
		writes(e, b, truncateRecord(zxid(1, 2)))
		return e
	}},
	{"T4", "a promise in broadcast", func(t *testing.T) *Env {
		e, _, b, _ := three(t)
		writes(e, b, acceptedRecord(2))
		return e
	}},
	{"T4", "an epoch is entered in broadcast", func(t *testing.T) *Env {
		e, _, b, _ := three(t)
		writes(e, b, currentRecord(1))
		return e
	}},
	{"T5", "a leader cuts its history", func(t *testing.T) *Env {
		e, a, _, _ := three(t)
		writes(e, a, truncateRecord(zxid(1, 2)))
		return e
	}},
	{"T5", "a leader leaves a counter out", func(t *testing.T) *Env {
		e, a, _, _ := three(t)
		writes(e, a, txnRecord(zxid(1, 4), "z"))
		return e
	}},
	{"T6", "a follower leads without an election", func(t *testing.T) *Env {
		e, a, _, c := three(t)
		swap(c, a)
		e.checker.Step(&c.Subject)
		return e
	}},
}

// What is applied.
var wrongTrees = []wrong{
	{"I-INTEGRITY", "a txn is applied that nobody proposed", func(t *testing.T) *Env {
		e, _, b, _ := three(t)
		e.checker.Delivered(&b.Subject, zab.Txn{Zxid: zxid(1, 3), Data: []byte("z")})
		return e
	}},
	{"I-INTEGRITY", "other bytes are applied", func(t *testing.T) *Env {
		e, a, b, _ := three(t)
		b.Blocked = true
		e.Propose(a, "z")
		e.Run()
		e.checker.Delivered(&b.Subject, zab.Txn{Zxid: zxid(1, 3), Data: []byte("Z")})
		return e
	}},
	{"I-PREFIX", "a txn is applied before it is committed", func(t *testing.T) *Env {
		e, a, b, c := three(t)
		b.Blocked, c.Blocked = true, true
		e.Propose(a, "z")
		e.Run()
		e.checker.Delivered(&a.Subject, zab.Txn{Zxid: zxid(1, 3), Data: []byte("z")})
		return e
	}},
	{"I-PREFIX", "a snapshot takes a tree back", func(t *testing.T) *Env {
		e, _, b, _ := three(t)
		e.checker.Installed(&b.Subject, zxid(1, 1))
		return e
	}},
	{"I-LPO", "a txn is left out", func(t *testing.T) *Env {
		e, a, b, _ := three(t)
		b.Blocked = true
		e.Propose(a, "z", "zz")
		e.Run()
		e.checker.Delivered(&b.Subject, zab.Txn{Zxid: zxid(1, 4), Data: []byte("zz")})
		return e
	}},
	{"I-GPO", "a txn of an earlier epoch comes after one of a later", func(t *testing.T) *Env {
		e, a, b, c := three(t)
		elect(e, a, b, c)
		e.Propose(a, "new")
		e.Run()
		e.checker.Delivered(&b.Subject, zab.Txn{Zxid: zxid(1, 2), Data: []byte("y")})
		return e
	}},
	{"I-PI", "a txn is applied without which the next leader began", func(t *testing.T) *Env {
		e, a, b, c := strayed(t)
		e.Start(a, false)
		e.Heal(a, c)
		elect(e, a, c)
		e.Propose(a, "new")
		require.NoError(t, e.Err())
		e.checker.Delivered(&b.Subject, zab.Txn{Zxid: zxid(1, 3), Data: []byte("stray")})
		return e
	}},
	{"I-APPLY", "a txn is applied before it is durable (ZOOKEEPER-4882, M20)", func(t *testing.T) *Env {
		e, a, b, _ := three(t)
		b.Blocked = true
		e.Propose(a, "z")
		e.Run()
		e.checker.Delivered(&b.Subject, zab.Txn{Zxid: zxid(1, 3), Data: []byte("z")})
		return e
	}},
	{"I-SNAP", "a tree is made of what is not committed", func(t *testing.T) *Env {
		e, _, b, _ := three(t)
		e.checker.Installed(&b.Subject, zxid(1, 9))
		return e
	}},
	{"I-INC", "a server that is down applies", func(t *testing.T) *Env {
		e, _, b, _ := three(t)
		e.Crash(b, 0)
		e.checker.Delivered(&b.Subject, zab.Txn{Zxid: zxid(1, 3)})
		return e
	}},
}
