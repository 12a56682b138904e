package session

import (
	"fmt"
	"runtime"
	"runtime/metrics"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"quoll/tree/slab"
)

// Freed blocks are poisoned in every test of this package.
func init() { slab.PoisonFreed = true }

// A chunk of each fills an allocation class of the runtime: 4096 and 6144 bytes.
func TestWatchSizes(t *testing.T) {
	require.Equal(t, uintptr(16), unsafe.Sizeof(watchedPath{}))
	require.Equal(t, uintptr(16), unsafe.Sizeof(watchingConn{}))
	require.Equal(t, uintptr(24), unsafe.Sizeof(watch{}))
}

// heap returns the live bytes of the heap and those that the collector looks at.
func heap() (live, scanned int64) {
	runtime.GC()
	runtime.GC()
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/heap:bytes"}}
	metrics.Read(samples)
	return int64(samples[0].Value.Uint64()), int64(samples[1].Value.Uint64())
}

// TestWatchesAreNotScanned: millions of watches, paths and connections must not keep the collector
// busy, so what it looks at is the lists of chunks.
func TestWatchesAreNotScanned(t *testing.T) {
	const n = 200_000
	for what, c := range map[string]struct {
		budget int64 // bytes of a watch with its path and its connection
		path   func(i int) string
		conn   func(i int) ConnID
	}{
		"each on its own path":          {104, func(i int) string { return fmt.Sprintf("/locks/lock-%010d", i) }, func(i int) ConnID { return ConnID(i / 1000) }},
		"each of its own connection":    {72, func(int) string { return "/config" }, func(i int) ConnID { return ConnID(i) }},
		"a thousand of each, all pairs": {42, func(i int) string { return fmt.Sprintf("/config/%d", i%1000) }, func(i int) ConnID { return ConnID(i / 1000) }},
	} {
		live, scanned := heap()
		w := NewWatches(0)
		for i := range n {
			w.Add(c.conn(i), c.path(i), Data)
		}
		liveAfter, scannedAfter := heap()
		require.LessOrEqual(t, (liveAfter-live)/n, c.budget, what)
		require.Less(t, (scannedAfter-scanned)/n, int64(2), "the collector scans watches: %s", what)
		require.Equal(t, n, int(w.byPair.Len()))
	}
}

// TestNothingIsLeftBehind: what goes by firing, by removal or with its connection frees its slots, and
// these are used again before new ones.
func TestNothingIsLeftBehind(t *testing.T) {
	w := NewWatches(0)
	round := func() {
		for i := range 3000 {
			w.Add(ConnID(i%100), fmt.Sprintf("/a/%d", i%300), modesOf(i))
		}
		for i := range 300 {
			w.Trigger(NodeDeleted, fmt.Appendf(nil, "/a/%d", i), func(ConnID) {})
		}
		for c := range ConnID(100) {
			w.RemoveConn(c)
		}
		require.Zero(t, w.byPair.Len()+w.byPath.Len()+w.byConn.Len())
		require.Zero(t, w.text.Used())
		require.Zero(t, w.recursive+w.dataPaths+w.dataConns+w.dataWatches)
	}
	round()
	paths, conns, watches := w.paths.Len(), w.conns.Len(), w.watches.Len()
	for range 5 {
		round()
	}
	require.Equal(t, [3]uint32{paths, conns, watches}, [3]uint32{w.paths.Len(), w.conns.Len(), w.watches.Len()})
}

func modesOf(i int) Mode { return Mode(1 << (i / 7 % modeBits)) }

// TestCrowdedPathIsNotWalked: a watch on a path, or of a connection, that has many is found and goes
// by its place in the index, not along a list.
func TestCrowdedPathIsNotWalked(t *testing.T) {
	const n = 50_000
	w := NewWatches(1)
	for c := range ConnID(n) {
		w.Add(c, "/crowd", Data)
		w.Add(n, fmt.Sprintf("/own/%d", c), Data)
	}
	longest, steps := 0, 0
	for slot := uint32(1); slot < w.watches.Len(); slot++ {
		x := w.watches.At(slot)
		chain := 1
		for found := w.byPair.Search(w.hashWatch(x.path, x.conn())); found.Next() != slot; {
			chain++
		}
		longest, steps = max(longest, chain), steps+chain
	}
	require.Less(t, longest, 4)
	require.Less(t, 100*steps, 101*2*n)
}
