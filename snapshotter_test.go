package quoll

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Unless the operator counts txns, what a start would have to replay says when a snapshot is due.
func TestSnapshotIsDueByTheCostOfReplay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		took := time.Duration(rapid.Int64Range(0, int64(5*time.Second)).Draw(t, "took"))
		each := rapid.IntRange(0, 1<<20).Draw(t, "bytes of a txn")
		n := &snapshotter{s: &Server{}, took: took}
		n.draw()
		for !n.due() {
			n.txns++
			n.bytes += int64(each)
		}
		cost, budget := replayCost(n.txns, n.bytes), max(time.Second, took)
		require.GreaterOrEqual(t, cost, budget/2)
		require.LessOrEqual(t, cost, budget+replayCost(1, int64(each)))
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
