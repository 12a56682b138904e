package tree

import (
	"math"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"quoll/tree/slab"
	"quoll/zab"
)

// A chunk of each fills an allocation class of the runtime: 18432, 8192 and 14336 bytes.
func TestSizes(t *testing.T) {
	require.Equal(t, uintptr(72), unsafe.Sizeof(node{}))
	require.Equal(t, uintptr(32), unsafe.Sizeof(kin{}))
	require.Equal(t, uintptr(56), unsafe.Sizeof(session{}))
	require.Equal(t, uintptr(18432), unsafe.Sizeof([slab.ChunkSlots]node{}))
}

func TestVersionsAndCounters(t *testing.T) {
	for v, want := range map[int32]int32{0: 1, 5: 6, math.MaxInt32: math.MinInt32, -3: -2, -2: 0, -1: 0} {
		require.Equal(t, want, nextVersion(v), "after %d", v)
	}
	require.Equal(t, int32(1), nextCreates(0))
	require.Equal(t, int32(math.MaxInt32), nextCreates(math.MaxInt32-1))
	require.Equal(t, int32(math.MaxInt32), nextCreates(math.MaxInt32))
}

func TestKinds(t *testing.T) {
	for owner, want := range map[zab.SessionID]kind{
		0:                                   persistent,
		1<<56 | 7:                           ephemeral,
		-0x0200000000000000 + 9:             ephemeral, // server 254
		math.MinInt64 + 1:                   ephemeral, // server 128
		math.MinInt64:                       container,
		zab.SessionID(-1 << 56):             expiring,
		zab.SessionID(-1<<56 | (1<<40 - 1)): expiring,
		zab.SessionID(math.MaxInt64):        ephemeral,
	} {
		require.Equal(t, want, kindOf(owner), "owner %#x", uint64(owner))
	}
	require.Equal(t, int64(60000), ttlMs(zab.SessionID(-1<<56|60000)))
}

// Paths whose hashes collide share a chain of the overlay.
func TestOverlayChains(t *testing.T) {
	p := NewPending(New(Options{}))
	const hash = 42
	var entries []uint32
	for _, path := range []string{"/a", "/b", "/c"} {
		entries = append(entries, p.add([]byte(path), hash))
	}
	for _, gone := range []int{1, 2, 0} {
		p.drop(entries[gone])
		entries[gone] = 0
		for i, path := range []string{"/a", "/b", "/c"} {
			require.Equal(t, entries[i], p.find([]byte(path), hash), "%s after %d went", path, gone)
		}
	}
	require.Empty(t, p.byPath)
	require.Equal(t, p.add([]byte("/d"), hash), p.find([]byte("/d"), hash))
}

// A session that creates and deletes without a rest must not grow its list in the overlay.
func TestCreatedListIsPruned(t *testing.T) {
	p := NewPending(New(Options{}))
	p.begin(preparation{zxid: 1})
	live := p.setNode([]byte("/live"), nodeState{exists: true, owner: 5})
	gone := p.setNode([]byte("/gone"), nodeState{})
	var created []uint32
	for range 1000 {
		created = p.addCreated(5, created, live)
		created = p.addCreated(5, created, gone)
	}
	require.Less(t, len(created), 16)
	require.Contains(t, created, live)
}
