package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHeadroom(t *testing.T) {
	for _, c := range []struct {
		live, scan uint64
		want       int
	}{
		{0, 0, 100},
		{4, 4, 100}, // MB
		{64, 1, 50},
		{256, 1, 12},
		{256, 128, 50},    // half of it are watches
		{1024, 1024, 100}, // all of it
		{64 << 10, 1, 8},
	} {
		require.Equal(t, c.want, percentFor(c.live<<20, c.scan<<20), "%d MB, %d of which are looked at", c.live, c.scan)
	}
}

// The headroom follows the heap, in both directions.
func TestHeadroomFollowsTheHeap(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(defaultPercent))
	afterEachCollection(keepHeadroom)
	percent := func() uint64 {
		now := []metrics.Sample{{Name: "/gc/gogc:percent"}}
		metrics.Read(now)
		return now[0].Value.Uint64()
	}
	large := make([]byte, 256<<20)
	for percent() > 30 {
		runtime.GC()
	}
	runtime.KeepAlive(large)
	for percent() < defaultPercent {
		runtime.GC()
	}
}
