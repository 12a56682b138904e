package tree

import (
	"bytes"
	"maps"
	"math"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quoll/zab"
)

// A chunk of znodes or sessions fills an allocation class of the runtime: 24576 and 14336 bytes.
func TestSizes(t *testing.T) {
	require.Equal(t, uintptr(96), unsafe.Sizeof(node{}))
	require.Equal(t, uintptr(56), unsafe.Sizeof(session{}))
	require.Equal(t, uintptr(24576), unsafe.Sizeof([chunkSlots]node{}))
}

func TestClassesCoverAllSizes(t *testing.T) {
	last := -1
	for n := 1; n <= maxSmall; n++ {
		class := classOf(n)
		size := classBytes(class)
		require.GreaterOrEqual(t, size, n)
		require.True(t, class == 0 || classBytes(class-1) < n, "%d bytes fit a smaller class", n)
		require.Zero(t, size%(1<<granuleBits))
		require.LessOrEqual(t, size-n, max(15, n/4))
		if int(class) != last {
			require.Equal(t, last+1, int(class))
			last = int(class)
		}
	}
	require.Equal(t, numClasses-1, last)
}

// The arena against a map: blocks keep their bytes while others come and go, and a frozen copy of
// the chunk list keeps all of them whatever happens after.
func TestArenaKeepsBytes(t *testing.T) {
	type view struct {
		stamp  uint32
		chunks [][]byte
		want   map[block][]byte
	}
	rapid.Check(t, func(t *rapid.T) {
		gen := generation{now: 1}
		a := newArena(&gen)
		live := map[block][]byte{}
		var order []block
		var views []view
		put := func(b block, n int) {
			want := bytes.Repeat([]byte{byte(len(order)), byte(n)}, n/2+1)[:n]
			copy(a.edit(b, n), want)
			live[b] = want
		}
		pick := func() int { return rapid.IntRange(0, len(order)-1).Draw(t, "block") }
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			n := rapid.OneOf(rapid.IntRange(1, 300), rapid.IntRange(2000, 40_000)).Draw(t, "size")
			switch do := rapid.IntRange(0, 9).Draw(t, "do"); {
			case do < 5 || len(order) == 0:
				b := a.alloc(n)
				require.NotContains(t, live, b)
				order = append(order, b)
				put(b, n)
			case do < 7:
				i := pick()
				a.free(order[i])
				delete(live, order[i])
				order[i] = order[len(order)-1]
				order = order[:len(order)-1]
			case do < 8:
				b := order[pick()]
				put(b, len(live[b]))
			case do < 9:
				v := view{stamp: gen.freeze(), chunks: append([][]byte(nil), a.chunks...), want: map[block][]byte{}}
				maps.Copy(v.want, live)
				views = append(views, v)
			case len(views) > 0:
				gen.release(views[0].stamp)
				views = views[1:]
			}
		}
		for b, want := range live {
			require.True(t, bytes.Equal(want, a.bytes(b, len(want))))
		}
		for _, v := range views {
			for b, want := range v.want {
				require.True(t, bytes.Equal(want, blockBytes(v.chunks, b, len(want))))
			}
		}
	})
}

// Memory that was of one size class serves another: chunks whose blocks are all free go back.
func TestArenaGivesChunksBack(t *testing.T) {
	gen := generation{now: 1}
	a := newArena(&gen)
	var blocks []block
	for range 10_000 {
		blocks = append(blocks, a.alloc(100))
	}
	chunks := len(a.chunks)
	for _, b := range blocks {
		a.free(b)
	}
	require.GreaterOrEqual(t, len(a.vacant), chunks-2)
	for range 5000 {
		a.alloc(200)
	}
	require.LessOrEqual(t, len(a.chunks), chunks+1)
	a.alloc(300)
	b := a.alloc(300)
	a.free(b)
	require.Panics(t, func() { a.free(b) }, "freed twice")
}

func TestIndexAgainstMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := newIndex()
		hashes := map[NodeID]uint32{}
		// Few bits make long chains; the index must not care.
		mask := rapid.SampledFrom([]uint32{math.MaxUint32, 0xf, 0xf0000000}).Draw(t, "mask")
		n := rapid.IntRange(1, 3000).Draw(t, "znodes")
		for i := range n {
			id := NodeID(i + 1)
			hashes[id] = uint32(hashBytes(uint64(n), []byte{byte(i), byte(i >> 8)})) & mask
			x.insert(id, hashes[id])
			if i%3 == 2 {
				x.remove(id-1, hashes[id-1])
				delete(hashes, id-1)
			}
		}
		found := 0
		for b := range x.buckets {
			for l := *x.head(b); l.id != 0; l = *x.link(l.id) {
				require.Equal(t, hashes[l.id], l.hash)
				require.Equal(t, b, x.bucket(l.hash))
				found++
			}
		}
		require.Equal(t, len(hashes), found)
		require.Equal(t, len(hashes), int(x.count))
		require.LessOrEqual(t, 2*len(hashes), 3*int(x.buckets))
	})
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
