package quoll

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quoll/tree"
	"quoll/zab"
)

// Unless the operator counts txns, what a start would have to replay says when a snapshot is due.
func TestSnapshotIsDueByTheCostOfReplay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		each := rapid.IntRange(0, 1<<20).Draw(t, "bytes of a txn")
		n := &snapshotter{s: &Server{}}
		n.draw()
		for !n.due() {
			n.txns++
			n.bytes += int64(each)
		}
		cost := replayCost(n.txns, n.bytes)
		require.GreaterOrEqual(t, cost, replayBudget/2)
		require.LessOrEqual(t, cost, replayBudget+replayCost(1, int64(each)))
	})
}

// What the operator counts is honoured, whatever it costs.
func TestSnapCountIsHonoured(t *testing.T) {
	s := &Server{}
	s.cfg.SnapCount = 1000
	n := newSnapshotter(s)
	n.bytes = 1 << 40
	n.txns = 499
	require.False(t, n.due())
	n.txns = 1000
	require.True(t, n.due())
	s.cfg.SnapSizeLimit = 1 << 30
	n.draw()
	n.bytes = 1 << 30
	require.True(t, n.due(), "nor is the limit of bytes forgotten")
}

// A large tree under load does nothing but write snapshots, if nobody stops it; but who counts txns is obeyed.
func TestSnapshotsRest(t *testing.T) {
	s := &Server{}
	n := newSnapshotter(s)
	n.txns, n.rests = 1<<30, time.Now().Add(time.Hour)
	require.False(t, n.due())
	n.rests = time.Now()
	require.True(t, n.due())
	s.cfg.SnapCount = 1000
	n.draw()
	n.txns, n.rests = 1000, time.Now().Add(time.Hour)
	require.True(t, n.due())
}

// After a load, and in a quiet hour, less than the budget is worth a snapshot. A second of load is not calm, whatever
// snapshots were begun in it, and who counts txns is obeyed.
func TestSnapshotInCalm(t *testing.T) {
	s := &Server{peer: &Peer{tree: tree.New(tree.Options{})}}
	n := newSnapshotter(s)
	now := time.Now()
	second := func(txns int) (begun bool) {
		n.applied(make([]zab.Txn, txns))
		now = now.Add(time.Second)
		n.tick(now)
		if begun = n.busy; begun {
			s.views.Drop(<-n.work)
			n.busy = false
		}
		return begun
	}
	n.tick(now)
	enough := int((calmReplay + replayPerTxn - 1) / replayPerTxn)
	require.False(t, second(enough), "nobody is calm in a load")
	require.True(t, second(calmTxns-1))
	require.False(t, second(0), "there is nothing more to replay")
	require.False(t, second(enough-1))
	require.False(t, second(0), "nor is it worth it")
	n.limit.replay = 2 * calmReplay
	require.True(t, second(2*enough), "it was due")
	require.False(t, second(0))
	s.cfg.SnapCount = 10 * enough
	n.draw()
	require.False(t, second(enough))
	require.False(t, second(0))
}

// slowWriter takes its time.
type slowWriter time.Duration

func (w slowWriter) Write(b []byte) (int, error) {
	time.Sleep(time.Duration(w))
	return len(b), nil
}

// A snapshot works a quarter of the time, whether its pieces are quick or slow; one that is to stop does not rest.
func TestSnapshotsAreWrittenAtLeisure(t *testing.T) {
	for _, piece := range []time.Duration{50 * time.Microsecond, 3 * time.Millisecond, 10 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			l := &leisure{ctx: ctx, w: slowWriter(piece), since: time.Now()}
			begin := time.Now()
			const pieces = 1000
			for range pieces {
				n, err := l.Write(make([]byte, 10))
				require.NoError(t, err)
				require.Equal(t, 10, n)
			}
			require.InEpsilon(t, (1+restPerWork)*pieces*piece, time.Since(begin), 0.1)
			l.w = io.Discard
			l.debt = time.Hour
			cancel()
			begin = time.Now()
			_, err := l.Write(nil)
			require.Error(t, err)
			require.Zero(t, time.Since(begin))
		})
	}
}
