package zab_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/zab"
)

// establishedLeader returns a leader with one live follower, driven by hand, and
// the number of records handed out so far. The follower is only its link.
func establishedLeader(t testing.TB, window int) (p *zab.Peer, out *zab.Actions, records *uint64) {
	t.Helper()
	ensemble, err := zab.NewEnsemble(zab.EnsembleConfig{Voters: []zab.ServerID{1, 2, 3}})
	require.NoError(t, err)
	p = zab.New(zab.Config{
		ID: 1, Ensemble: ensemble, InitTicks: 50, SyncTicks: 20, PingTicks: 5, WindowBytes: window,
	}, zab.State{})
	out, records = new(zab.Actions), new(uint64)
	settle := func() {
		*records += uint64(len(out.Persist))
		out.Reset()
		p.Durable(*records, out)
		*records += uint64(len(out.Persist))
	}
	p.Lead(out)
	p.LinkUp(link, 2, false, out)
	p.Receive(link, &zab.Message{Kind: zab.FollowerInfo, Server: 2}, out)
	settle()
	p.Receive(link, &zab.Message{Kind: zab.AckEpoch}, out)
	settle()
	p.Receive(link, &zab.Message{Kind: zab.Ack, Zxid: zab.MakeZxid(p.Epoch(), 0)}, out)
	settle()
	require.True(t, p.Serving())
	out.Reset()
	return p, out, records
}

const link zab.LinkID = 7

// batch runs 100 txns through a leader: proposed in one turn, synced, acked in another, applied.
func batch(p *zab.Peer, out *zab.Actions, records *uint64, data []byte, ack *zab.Message) (delivered int) {
	for range 100 {
		ack.Zxid = p.Propose(data, out)
	}
	p.Flush(out)
	*records += uint64(len(out.Persist))
	out.Reset()
	p.Durable(*records, out)
	p.Receive(link, ack, out)
	p.Flush(out)
	delivered = len(out.Deliver)
	out.Reset()
	return delivered
}

// TestLeaderAllocatesByBatch is the budget of the write path: what a leader allocates does not
// depend on the number of txns, except for the window's slice, which is amortized.
func TestLeaderAllocatesByBatch(t *testing.T) {
	p, out, records := establishedLeader(t, 256<<10)
	data, ack := make([]byte, 200), &zab.Message{Kind: zab.Ack}
	for range 100 {
		require.Equal(t, 100, batch(p, out, records, data, ack))
	}
	allocs := testing.AllocsPerRun(200, func() { batch(p, out, records, data, ack) })
	require.LessOrEqual(t, allocs, 4.0, "allocations for a batch of 100 txns")
}

// TestFollowerAllocatesByBatch: of a proposal of 100 txns a follower makes one ack.
func TestFollowerAllocatesByBatch(t *testing.T) {
	p, out := establishedFollower(t, 256<<10)
	data, txns := make([]byte, 200), make([]zab.Txn, 100)
	m, next, records := &zab.Message{Kind: zab.Proposal}, z(1, 1), uint64(2)
	batch := func() {
		for i := range txns {
			txns[i] = zab.Txn{Zxid: next, Data: data}
			next++
		}
		m.Txns, m.Commit = txns, next-1
		records += uint64(len(txns))
		p.Receive(link, m, out)
		p.Flush(out)
		out.Reset()
		p.Durable(records, out)
		if len(out.Deliver) != len(txns) {
			t.Fatal("not delivered")
		}
		out.Reset()
	}
	for range 100 {
		batch()
	}
	require.LessOrEqual(t, testing.AllocsPerRun(200, batch), 1.0)
}

// establishedFollower returns a follower of server 1 in epoch 1 that serves and has acked nothing yet but that.
func establishedFollower(t testing.TB, window int) (*zab.Peer, *zab.Actions) {
	t.Helper()
	ensemble, err := zab.NewEnsemble(zab.EnsembleConfig{Voters: []zab.ServerID{1, 2, 3}})
	require.NoError(t, err)
	p := zab.New(zab.Config{
		ID: 2, Ensemble: ensemble, InitTicks: 50, SyncTicks: 20, PingTicks: 5, WindowBytes: window,
	}, zab.State{})
	out := new(zab.Actions)
	p.Follow(1, out)
	p.LinkUp(link, 1, true, out)
	p.Receive(link, &zab.Message{Kind: zab.LeaderInfo, Epoch: 1}, out)
	p.Receive(link, &zab.Message{Kind: zab.Diff}, out)
	p.Receive(link, &zab.Message{Kind: zab.NewLeader, Epoch: 1}, out)
	require.Len(t, out.Persist, 2)
	out.Reset()
	p.Durable(2, out)
	p.Receive(link, &zab.Message{Kind: zab.UpToDate}, out)
	require.True(t, p.Serving())
	out.Reset()
	return p, out
}

func BenchmarkLeaderBatchOf100(b *testing.B) {
	p, out, records := establishedLeader(b, 0)
	data, ack := make([]byte, 200), &zab.Message{Kind: zab.Ack}
	b.ReportAllocs()
	for b.Loop() {
		batch(p, out, records, data, ack)
	}
}

// TestFollowerAcksOncePerTurn drains many proposals into one turn: one ack leaves, for the last.
func TestFollowerAcksOncePerTurn(t *testing.T) {
	ensemble, err := zab.NewEnsemble(zab.EnsembleConfig{Voters: []zab.ServerID{1, 2, 3}})
	require.NoError(t, err)
	p := zab.New(zab.Config{ID: 2, Ensemble: ensemble, InitTicks: 50, SyncTicks: 20, PingTicks: 5}, zab.State{})
	out := new(zab.Actions)
	p.Follow(1, out)
	p.LinkUp(link, 1, true, out)
	p.Receive(link, &zab.Message{Kind: zab.LeaderInfo, Epoch: 1}, out)
	p.Receive(link, &zab.Message{Kind: zab.Diff}, out)
	out.Reset()
	p.Receive(link, &zab.Message{Kind: zab.NewLeader, Epoch: 1}, out)
	for i := range uint64(50) {
		p.Receive(link, &zab.Message{Kind: zab.Proposal, Txns: []zab.Txn{{Zxid: z(1, i+1)}}}, out)
	}
	require.Len(t, out.AfterSync, 2)
	require.Equal(t, z(1, 0), out.AfterSync[0].Msg.Zxid, "NEWLEADER's ack stays first and what it is")
	require.Equal(t, z(1, 50), out.AfterSync[1].Msg.Zxid)
	require.Len(t, out.Persist, 51)
}
