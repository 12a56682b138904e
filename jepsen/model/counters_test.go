package model

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/jepsen/history"
	"quoll/transport/wire"
)

// No test has the time to count so far (protocol 5.1, 5.3).
func TestEndsOfCounters(t *testing.T) {
	require.Equal(t, int32(0), next(-2))
	require.Equal(t, int32(0), next(-1))
	require.Equal(t, int32(math.MinInt32), next(math.MaxInt32))

	tree := New()
	tree.sessions[7] = 0
	root := tree.znodes["/"]
	root.creates = math.MaxInt32 - 1
	tree.znodes["/"] = root
	for i, want := range []history.Result{{Path: "/s-2147483646"}, {Path: "/s-2147483647"}, {Code: wire.NodeExists}} {
		op := history.Op{Kind: wire.OpCreate, Path: "/s-", Mode: wire.PersistentSequential, ACL: wire.OpenACL}
		got, _ := tree.Apply(&history.Commit{Zxid: tree.Applied() + 1, Session: 7, Op: op})
		require.Equal(t, want, got, i)
	}
}
