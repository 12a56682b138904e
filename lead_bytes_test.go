package quoll_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quoll"
	"quoll/zab"
)

// A leader whose disk hangs proposes no more than its bound, although the others would commit all of it; the rest
// waits, its own clients' and those of the others, and is carried out in order when the disk moves. The others'
// clients are answered as far as it proposed.
func TestLeaderHoldsWhatItsDiskCannotTake(t *testing.T) {
	const most = 20_000
	w := newAllocWorld(t, 3, func(c *quoll.PeerConfig) { c.LeadBytes = most })
	leader, follower := w.leader()
	mine, frames := w.writer(leader)
	theirs, moreFrames := w.writer(follower)
	w.hung = leader
	const batches = 10
	for range batches {
		for i := range frames {
			leader.frame(mine, frames[i])
			follower.frame(theirs, moreFrames[i])
		}
		leader.turn()
		follower.turn()
		w.turn()
	}
	for range 20 {
		w.turn()
	}
	n, bytes := leader.peer.Zab().Outstanding()
	require.Greater(t, bytes, most/2)
	require.Less(t, bytes, most+1000, "the last one of a turn may exceed the bound, and no more than that")
	require.Zero(t, mine.Frames, "the leader answers what its own disk holds")
	require.Positive(t, theirs.Frames)
	require.Less(t, theirs.Frames, int64(n))
	require.Equal(t, zab.Leading, leader.peer.Zab().Role())

	w.hung = nil
	for n := 0; !mine.Idle() || !theirs.Idle(); n++ {
		require.Less(t, n, 1000)
		w.turn()
	}
	require.EqualValues(t, batches*allocBatch, mine.Frames)
	require.EqualValues(t, batches*allocBatch, theirs.Frames)
	_, bytes = leader.peer.Zab().Outstanding()
	require.Zero(t, bytes)
	for _, c := range []*quoll.Conn{mine, theirs} {
		for _, s := range w.servers {
			id, ok := s.peer.Tree().Lookup([]byte(znodeOf(c)))
			require.True(t, ok)
			require.EqualValues(t, batches*allocBatch, s.peer.Tree().Stat(id).Version)
		}
	}
}

// Requests that a leader holds die with its role, and their server sends them to the next one, once.
func TestHeldRequestsSurviveTheLeader(t *testing.T) {
	w := newAllocWorld(t, 3, func(c *quoll.PeerConfig) { c.LeadBytes = 1000 })
	leader, follower := w.leader()
	c, frames := w.writer(follower)
	w.hung = leader
	for _, f := range frames {
		follower.frame(c, f)
	}
	follower.turn()
	for range 5 {
		w.turn()
	}
	require.Less(t, c.Frames, int64(allocBatch))
	w.hung = nil
	leader.close = func(zab.LinkID) {}
	leader.peer.Abdicate(&leader.act)
	leader.turn()
	for i, s := range w.servers {
		if s != leader {
			for j, other := range w.servers {
				if other == leader {
					s.peer.LinkDown(zab.LinkID(j+1), &s.act)
				}
			}
			s.close = func(zab.LinkID) {}
			s.turn()
		}
		w.mail[i] = nil
	}
	for n := 0; !c.Idle(); n++ {
		require.Less(t, n, 1000, "nobody leads, or the requests are lost")
		w.turn()
		for _, s := range w.servers {
			s.peer.Tick(&s.act)
			s.turn()
		}
	}
	require.EqualValues(t, allocBatch, c.Frames)
	id, _ := follower.peer.Tree().Lookup([]byte(znodeOf(c)))
	require.EqualValues(t, allocBatch, follower.peer.Tree().Stat(id).Version, "each was carried out once")
}
