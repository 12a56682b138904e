package zab_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/zab"
)

// newPeer returns server id of an ensemble of three voters and an observer, 4.
func newPeer(t *testing.T, id zab.ServerID, s zab.State) (*zab.Peer, *zab.Actions) {
	t.Helper()
	ensemble, err := zab.NewEnsemble(zab.EnsembleConfig{
		Voters: []zab.ServerID{1, 2, 3}, Observers: []zab.ServerID{4},
	})
	require.NoError(t, err)
	return zab.New(zab.Config{
		ID: id, Ensemble: ensemble, InitTicks: 10, SyncTicks: 4, PingTicks: 2,
	}, s), new(zab.Actions)
}

// stateOf is a recovered disk with txns 1:1 to 1:n and a snapshot at 1:snapshot.
func stateOf(n, snapshot uint64) zab.State {
	s := zab.State{AcceptedEpoch: 1, CurrentEpoch: 1, History: zab.NewHistory(0)}
	if snapshot > 0 {
		s.Snapshot = z(1, snapshot)
	}
	for c := uint64(1); c <= n; c++ {
		s.History.Append(z(1, c))
		if c > snapshot {
			s.Tail = append(s.Tail, zab.Txn{Zxid: z(1, c)})
		}
	}
	return s
}

func tick(p *zab.Peer, out *zab.Actions, n int) {
	for range n {
		p.Tick(out)
	}
}

// TestProgressIsNotSilence gives a snapshot all the time that it needs: on both sides moving bytes
// refresh the deadline, and on the leader that of the whole epoch (ZOOKEEPER-1465, 1697).
func TestProgressIsNotSilence(t *testing.T) {
	follower, out := newPeer(t, 2, zab.State{})
	follower.Follow(1, out)
	follower.LinkUp(link, 1, true, out)
	follower.Receive(link, &zab.Message{Kind: zab.LeaderInfo, Epoch: 1}, out)
	leader, out := newPeer(t, 1, zab.State{})
	leader.Lead(out)
	leader.LinkUp(link, 2, false, out)
	leader.Receive(link, &zab.Message{Kind: zab.FollowerInfo, Server: 2}, out)
	leader.Durable(1, out)
	leader.Receive(link, &zab.Message{Kind: zab.AckEpoch}, out)
	leader.Durable(2, out)
	require.Equal(t, zab.Synchronization, leader.Phase())
	for range 5 {
		tick(follower, out, 9)
		tick(leader, out, 9)
		follower.Progress(link)
		leader.Progress(link)
	}
	require.Equal(t, zab.Following, follower.Role())
	require.Equal(t, zab.Leading, leader.Role())
	tick(follower, out, 11)
	tick(leader, out, 11)
	require.Equal(t, zab.Looking, follower.Role())
	require.Equal(t, zab.Looking, leader.Role())
}

// TestDialing asks for a connection once, keeps at it through refusals for the init window, and
// takes the request back when the role ends before.
func TestDialing(t *testing.T) {
	p, out := newPeer(t, 2, zab.State{})
	p.Follow(1, out)
	require.Equal(t, zab.ServerID(1), out.Connect)
	out.Reset()
	tick(p, out, 10)
	require.Equal(t, zab.Following, p.Role())
	require.Zero(t, *out, "refused connections are the shell's business")
	tick(p, out, 1)
	require.Equal(t, zab.Looking, p.Role())
	require.True(t, out.Disconnect)

	// What was dialed comes up all the same, or twice.
	out.Reset()
	p.LinkUp(7, 1, true, out)
	require.Equal(t, []zab.LinkID{7}, out.Close)
	out.Reset()
	p.Follow(3, out)
	p.LinkUp(8, 1, true, out)
	p.LinkUp(9, 3, true, out)
	p.LinkUp(10, 3, true, out)
	require.Equal(t, []zab.LinkID{8, 10}, out.Close)
	require.Len(t, out.AfterSync, 1)
	require.Equal(t, zab.LinkID(9), out.AfterSync[0].Link)
}

// TestStrangersAndOldLinks are closed or not heard at all (R6, nemesis N4).
func TestStrangersAndOldLinks(t *testing.T) {
	p, out := newPeer(t, 1, zab.State{})
	p.LinkUp(5, 99, false, out)
	p.LinkUp(6, 1, false, out)
	require.Equal(t, []zab.LinkID{5, 6}, out.Close)
	out.Reset()
	p.LinkUp(7, 2, false, out)
	p.LinkUp(8, 2, false, out)
	require.Equal(t, []zab.LinkID{7}, out.Close, "the newer link of a server replaces the older")
	out.Reset()
	p.Receive(7, &zab.Message{Kind: zab.FollowerInfo, Server: 2}, out)
	p.LinkDown(7, out)
	p.Lead(out)
	p.Receive(7, &zab.Message{Kind: zab.FollowerInfo, Server: 2}, out)
	require.Empty(t, out.AfterSync, "an old link is not heard")
	p.Receive(8, &zab.Message{Kind: zab.FollowerInfo, Server: 3}, out)
	require.Equal(t, []zab.LinkID{8}, out.Close)
	require.Contains(t, out.Violations[0].Text, "server 2 says it is 3")
	out.Reset()
	p.LinkUp(9, 4, false, out)
	p.Receive(9, &zab.Message{Kind: zab.FollowerInfo, Server: 4}, out)
	require.Contains(t, out.Violations[0].Text, "wants to vote")
}

// TestUnknownKindClosesTheLink covers what a decoder of a newer version might let through.
func TestUnknownKindClosesTheLink(t *testing.T) {
	p, out := newPeer(t, 1, zab.State{})
	p.LinkUp(link, 2, false, out)
	p.Receive(link, &zab.Message{Kind: 200}, out)
	require.Equal(t, []zab.LinkID{link}, out.Close)
	require.Equal(t, "unknown kind", out.Violations[0].Text)
}

// follow brings a follower to the point where the leader of epoch 2 says how it syncs it.
func follow(t *testing.T, s zab.State) (*zab.Peer, *zab.Actions) {
	t.Helper()
	p, out := newPeer(t, 2, s)
	p.Follow(1, out)
	p.LinkUp(link, 1, true, out)
	p.Receive(link, &zab.Message{Kind: zab.LeaderInfo, Epoch: 2}, out)
	p.Durable(1, out)
	out.Reset()
	return p, out
}

// TestTruncateBelowCommittedPanics refuses to help a leader that has lost committed txns: the
// message names both zxids and what to keep.
func TestTruncateBelowCommittedPanics(t *testing.T) {
	p, out := follow(t, stateOf(5, 3))
	require.PanicsWithValue(t, "zab: server 2 is told by leader 1 to truncate its history to "+
		"0x10000000002, but 0x10000000003 is committed and 0x10000000003 is applied here: the other "+
		"servers have lost committed txns; keep this server's data directory",
		func() { p.Receive(link, &zab.Message{Kind: zab.Trunc, Zxid: z(1, 2)}, out) })
}

// TestSyncIsVerified lists what a learner does not believe its leader (R8, R32).
func TestSyncIsVerified(t *testing.T) {
	for _, c := range []struct {
		name string
		sent []zab.Message
		text string
	}{
		{"truncated to what is not here", []zab.Message{{Kind: zab.Trunc, Zxid: z(0, 9)}}, "not before"},
		{"truncated to its end", []zab.Message{{Kind: zab.Trunc, Zxid: z(1, 5)}}, "not before"},
		{"snapshot behind what is committed", []zab.Message{{Kind: zab.Snap, Zxid: z(1, 2)}}, "behind"},
		{"history that ends too early", []zab.Message{{Kind: zab.Diff, Zxid: z(1, 4)}}, "behind"},
		{"two modes", []zab.Message{{Kind: zab.Diff, Zxid: z(1, 5)}, {Kind: zab.Diff, Zxid: z(1, 5)}}, "second"},
		{"txns before the mode", []zab.Message{{Kind: zab.Proposal, Txns: []zab.Txn{{Zxid: z(1, 6)}}}}, "before the mode"},
		{"no txns", []zab.Message{{Kind: zab.Diff, Zxid: z(1, 5)}, {Kind: zab.Proposal}}, "without a txn"},
		{
			"txn of the new epoch before NEWLEADER",
			[]zab.Message{{Kind: zab.Diff, Zxid: z(1, 5)}, {Kind: zab.Proposal, Txns: []zab.Txn{{Zxid: z(2, 1)}}}},
			"before NEWLEADER",
		},
		{
			"commit before NEWLEADER",
			[]zab.Message{{Kind: zab.Diff, Zxid: z(1, 5)}, {Kind: zab.Commit, Commit: z(1, 4)}},
			"before NEWLEADER",
		},
		{
			"DIFF that was cut short",
			[]zab.Message{{Kind: zab.Diff, Zxid: z(1, 6)}, {Kind: zab.NewLeader, Epoch: 2}},
			"DIFF said",
		},
		{"NEWLEADER of another epoch", []zab.Message{{Kind: zab.Diff, Zxid: z(1, 5)}, {Kind: zab.NewLeader, Epoch: 3}}, "promised was 2"},
		{"NEWLEADER at once", []zab.Message{{Kind: zab.NewLeader, Epoch: 2}}, "out of order"},
		{"UPTODATE at once", []zab.Message{{Kind: zab.UpToDate}}, "out of order"},
		{"ping before NEWLEADER", []zab.Message{{Kind: zab.Ping}}, "before NEWLEADER"},
		{"second epoch", []zab.Message{{Kind: zab.LeaderInfo, Epoch: 3}}, "not in Synchronization"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, out := follow(t, stateOf(5, 3))
			for i := range c.sent {
				require.Empty(t, out.Violations)
				p.Receive(link, &c.sent[i], out)
			}
			require.Len(t, out.Violations, 1)
			require.Contains(t, out.Violations[0].Text, c.text)
			require.Equal(t, zab.Looking, p.Role())
			require.Equal(t, []zab.LinkID{link}, out.Close)
		})
	}
}

// TestOldEpochIsRefused keeps a promise against a leader that is too late (R3).
func TestOldEpochIsRefused(t *testing.T) {
	p, out := newPeer(t, 2, zab.State{AcceptedEpoch: 5})
	p.Follow(1, out)
	p.LinkUp(link, 1, true, out)
	p.Receive(link, &zab.Message{Kind: zab.LeaderInfo, Epoch: 4}, out)
	require.Equal(t, zab.Looking, p.Role())
	require.Contains(t, out.Violations[0].Text, "5 is promised")
}

// TestEpochsEnd: there is no epoch after the last, and nobody wraps around into old ones.
func TestEpochsEnd(t *testing.T) {
	p, out := newPeer(t, 1, zab.State{AcceptedEpoch: zab.MaxEpoch})
	p.LinkUp(link, 2, false, out)
	p.Receive(link, &zab.Message{Kind: zab.FollowerInfo, Server: 2}, out)
	require.PanicsWithValue(t, "zab: server 1: epoch 16777215 was accepted and is the last one there is: "+
		"export the data and start a new ensemble", func() { p.Lead(out) })
}

// TestLastEpochClaimed: a server that claims the last epoch ends its own link and not the leader,
// whether it comes before the epoch is chosen, while the leader still looks, or later. Only to the
// leader of that epoch it is nothing special.
func TestLastEpochClaimed(t *testing.T) {
	claim := &zab.Message{Kind: zab.FollowerInfo, Server: 2, Epoch: zab.MaxEpoch}
	refused := func(t *testing.T, p *zab.Peer, out *zab.Actions) {
		t.Helper()
		require.Equal(t, zab.Leading, p.Role())
		require.Equal(t, []zab.LinkID{link}, out.Close)
		require.Len(t, out.Violations, 1)
		require.Contains(t, out.Violations[0].Text, "16777215 is the last one there is")
		out.Reset()
		p.LinkUp(link+1, 3, false, out)
		p.Receive(link+1, &zab.Message{Kind: zab.FollowerInfo, Server: 3, Epoch: 6}, out)
		require.EqualValues(t, 7, p.Epoch(), "the others have their epoch, for which the claim does not count")
		require.Empty(t, out.Close)
	}
	t.Run("in discovery", func(t *testing.T) {
		p, out := newPeer(t, 1, zab.State{})
		p.Lead(out)
		p.LinkUp(link, 2, false, out)
		p.Receive(link, claim, out)
		refused(t, p, out)
	})
	t.Run("parked", func(t *testing.T) {
		p, out := newPeer(t, 1, zab.State{})
		p.LinkUp(link, 2, false, out)
		p.Receive(link, claim, out)
		p.Lead(out)
		refused(t, p, out)
	})
	t.Run("later", func(t *testing.T) {
		p, out := newPeer(t, 1, zab.State{AcceptedEpoch: 6})
		p.LinkUp(link+2, 3, false, out)
		p.Receive(link+2, &zab.Message{Kind: zab.FollowerInfo, Server: 3}, out)
		p.Lead(out)
		require.EqualValues(t, 7, p.Epoch())
		p.LinkUp(link, 2, false, out)
		p.Receive(link, claim, out)
		require.Equal(t, []zab.LinkID{link}, out.Close)
		require.Equal(t, zab.Leading, p.Role(), "it is not locked out, which would end the role")
	})
	t.Run("in that epoch", func(t *testing.T) {
		p, out := newPeer(t, 1, zab.State{AcceptedEpoch: zab.MaxEpoch - 1})
		p.LinkUp(link+2, 3, false, out)
		p.Receive(link+2, &zab.Message{Kind: zab.FollowerInfo, Server: 3}, out)
		p.Lead(out)
		require.Equal(t, zab.MaxEpoch, p.Epoch())
		p.LinkUp(link, 2, false, out)
		p.Receive(link, claim, out)
		require.Empty(t, out.Close)
		require.Empty(t, out.Violations)
	})
}

// TestBadRecovery: states that the log cannot have found are bugs of the log.
func TestBadRecovery(t *testing.T) {
	require.Panics(t, func() { newPeer(t, 9, zab.State{}) }, "not a member")
	require.Panics(t, func() { newPeer(t, 1, zab.State{CurrentEpoch: 2, AcceptedEpoch: 1}) }, "ZOOKEEPER-2307")
	require.Panics(t, func() { newPeer(t, 1, zab.State{Horizon: z(1, 1)}) }, "horizon without history")
	s := stateOf(5, 0)
	s.Tail = s.Tail[1:]
	require.Panics(t, func() { newPeer(t, 1, s) }, "hole in the tail")
	s = stateOf(5, 0)
	s.Tail = s.Tail[:4]
	require.Panics(t, func() { newPeer(t, 1, s) }, "tail shorter than the history")
}

// TestDurableCannotRunAhead: the disk cannot sync what it was not given.
func TestDurableCannotRunAhead(t *testing.T) {
	p, out := newPeer(t, 1, zab.State{})
	require.Panics(t, func() { p.Durable(1, out) })
}

// TestLockedOutServerCannotDeposeTwice limits D3 in time: the leader gives up once for a server
// that promised a higher epoch, and sends another one away until the init window is over.
func TestLockedOutServerCannotDeposeTwice(t *testing.T) {
	p, out := newPeer(t, 1, zab.State{})
	records := uint64(0)
	lead := func(link zab.LinkID) {
		p.Lead(out)
		p.LinkUp(link, 2, false, out)
		p.Receive(link, &zab.Message{Kind: zab.FollowerInfo, Server: 2}, out)
		records++
		p.Durable(records, out)
	}
	meet := func(link zab.LinkID, accepted zab.Epoch) {
		p.LinkUp(link, 3, false, out)
		p.Receive(link, &zab.Message{Kind: zab.FollowerInfo, Server: 3, Epoch: accepted}, out)
	}
	lead(10)
	meet(11, 7)
	require.Equal(t, zab.Looking, p.Role())
	lead(12)
	require.Equal(t, zab.Epoch(8), p.Epoch(), "the next epoch exceeds what locked it out")
	meet(13, 9)
	require.Equal(t, zab.Leading, p.Role(), "sent away")
	tick(p, out, 10)
	meet(14, 9)
	require.Equal(t, zab.Leading, p.Role())
	tick(p, out, 1)
	p.Abdicate(out)
	lead(15)
	meet(16, 20)
	require.Equal(t, zab.Looking, p.Role())
}

// TestSnapshottedMovesTheHorizon: a purge is known to the sync decision at once, and a snapshot of a
// past that was replaced is ignored.
func TestSnapshottedMovesTheHorizon(t *testing.T) {
	p, out := newPeer(t, 1, stateOf(5, 5))
	p.Snapshotted(z(1, 9), z(1, 9), out)
	p.Snapshotted(z(1, 5), z(1, 3), out)
	p.Lead(out)
	p.LinkUp(link, 2, false, out)
	p.Receive(link, &zab.Message{Kind: zab.FollowerInfo, Server: 2}, out)
	p.Durable(1, out)
	out.Reset()
	p.Receive(link, &zab.Message{Kind: zab.AckEpoch, Zxid: z(1, 2)}, out)
	require.Equal(t, zab.Snap, out.Send[0].Msg.Kind)
	require.Equal(t, z(1, 5), out.Send[0].Msg.Zxid)
}

// TestDiffFromLogNamesTheRange: what is not in memory is a range behind the message, for the link's
// writer to read, on either side of NEWLEADER.
func TestDiffFromLogNamesTheRange(t *testing.T) {
	p, out := newPeer(t, 1, stateOf(5, 5))
	p.Lead(out)
	p.LinkUp(link, 2, false, out)
	p.Receive(link, &zab.Message{Kind: zab.FollowerInfo, Server: 2}, out)
	p.Durable(1, out)
	out.Reset()
	p.Receive(link, &zab.Message{Kind: zab.AckEpoch, Zxid: z(1, 2)}, out)
	require.Equal(t, zab.Envelope{
		Link:    link,
		Msg:     &zab.Message{Kind: zab.Diff, Zxid: z(1, 5)},
		History: zab.Range{From: z(1, 2), To: z(1, 5)},
	}, out.Send[0])
	require.Equal(t, zab.Envelope{Link: link, Msg: &zab.Message{Kind: zab.NewLeader, Epoch: 2}}, out.Send[1])
}

// TestToLeader hands other messages on only while this server serves as a learner.
func TestToLeader(t *testing.T) {
	p, out := follow(t, zab.State{})
	m := &zab.Message{Kind: zab.Touch}
	require.False(t, p.ToLeader(m, out))
	p.Receive(link, &zab.Message{Kind: zab.Diff}, out)
	p.Receive(link, &zab.Message{Kind: zab.NewLeader, Epoch: 2}, out)
	p.Durable(2, out)
	require.False(t, p.IsLeaderLink(link))
	p.Receive(link, &zab.Message{Kind: zab.UpToDate}, out)
	out.Reset()
	require.True(t, p.ToLeader(m, out))
	require.Equal(t, []zab.Envelope{{Link: link, Msg: m}}, out.Send)
	require.True(t, p.IsLeaderLink(link))
}

// TestServingWaitsForTheDisk: UPTODATE may overtake the word of our own disk, when what waited for
// it is let go first. This server serves when it has heard both.
func TestServingWaitsForTheDisk(t *testing.T) {
	p, out := follow(t, stateOf(5, 3))
	p.Receive(link, &zab.Message{Kind: zab.Diff, Zxid: z(1, 5)}, out)
	p.Receive(link, &zab.Message{Kind: zab.NewLeader, Epoch: 2}, out)
	p.Receive(link, &zab.Message{Kind: zab.UpToDate, Commit: z(1, 5)}, out)
	require.False(t, p.Serving())
	require.Empty(t, out.Deliver)
	p.Durable(2, out)
	require.True(t, p.Serving())
	require.Equal(t, z(1, 5), p.Delivered())
	require.Len(t, out.Deliver, 2)
}

// TestNothingIsDeliveredAcrossABranch: while a snapshot is about to replace the history, the disk
// still reports records of the old one. They are not delivered: the snapshot has them.
func TestNothingIsDeliveredAcrossABranch(t *testing.T) {
	p, out := follow(t, zab.State{})
	p.Receive(link, &zab.Message{Kind: zab.Diff}, out)
	p.Receive(link, &zab.Message{Kind: zab.NewLeader, Epoch: 2}, out)
	p.Durable(2, out)
	p.Receive(link, &zab.Message{Kind: zab.UpToDate}, out)
	p.Receive(link, &zab.Message{Kind: zab.Proposal, Txns: []zab.Txn{{Zxid: z(2, 1)}}, Commit: z(2, 1)}, out)
	p.LinkDown(link, out)
	p.Follow(3, out)
	p.LinkUp(9, 3, true, out)
	p.Receive(9, &zab.Message{Kind: zab.LeaderInfo, Epoch: 3}, out)
	p.Receive(9, &zab.Message{Kind: zab.Snap, Zxid: z(2, 4)}, out)
	p.Receive(9, &zab.Message{Kind: zab.NewLeader, Epoch: 3}, out)
	p.Durable(3, out) // the txn 2:1
	require.Empty(t, out.Deliver)
	require.Zero(t, p.Delivered())
	p.Durable(6, out) // accepted epoch, install, current epoch
	require.Equal(t, z(2, 4), out.Install)
	require.Equal(t, z(2, 4), p.Delivered())
	require.Equal(t, z(2, 4), p.LastDurable())
	require.Empty(t, out.Deliver)
}
