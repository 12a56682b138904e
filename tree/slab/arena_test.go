package slab

import (
	"bytes"
	"maps"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Freed blocks are poisoned in every test of this package.
func init() { PoisonFreed = true }

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
		chunks Blocks
		want   map[Block][]byte
	}
	rapid.Check(t, func(t *rapid.T) {
		gen := NewGeneration()
		a := NewArena(&gen)
		live := map[Block][]byte{}
		var order []Block
		var views []view
		put := func(b Block, n int) {
			want := bytes.Repeat([]byte{byte(len(order)), byte(n)}, n/2+1)[:n]
			copy(a.Edit(b, n), want)
			live[b] = want
		}
		pick := func() int { return rapid.IntRange(0, len(order)-1).Draw(t, "block") }
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			n := rapid.OneOf(rapid.IntRange(1, 300), rapid.IntRange(2000, 40_000)).Draw(t, "size")
			switch do := rapid.IntRange(0, 9).Draw(t, "do"); {
			case do < 5 || len(order) == 0:
				b := a.Alloc(n)
				require.NotContains(t, live, b)
				order = append(order, b)
				put(b, n)
			case do < 7:
				i := pick()
				a.Free(order[i])
				delete(live, order[i])
				order[i] = order[len(order)-1]
				order = order[:len(order)-1]
			case do < 8:
				b := order[pick()]
				put(b, len(live[b]))
			case do < 9:
				v := view{stamp: gen.Freeze(), chunks: a.Share(), want: map[Block][]byte{}}
				maps.Copy(v.want, live)
				views = append(views, v)
			case len(views) > 0:
				gen.Release(views[0].stamp)
				views = views[1:]
			}
		}
		for b, want := range live {
			require.True(t, bytes.Equal(want, a.Bytes(b, len(want))))
		}
		for _, v := range views {
			for b, want := range v.want {
				require.True(t, bytes.Equal(want, v.chunks.Bytes(b, len(want))))
			}
		}
	})
}

// Memory that was of one size class serves another: chunks whose blocks are all free go back.
func TestArenaGivesChunksBack(t *testing.T) {
	gen := NewGeneration()
	a := NewArena(&gen)
	var blocks []Block
	for range 10_000 {
		blocks = append(blocks, a.Alloc(100))
	}
	chunks := len(a.chunks)
	for _, b := range blocks {
		a.Free(b)
	}
	require.GreaterOrEqual(t, len(a.vacant), chunks-2)
	for range 5000 {
		a.Alloc(200)
	}
	require.LessOrEqual(t, len(a.chunks), chunks+1)
	a.Alloc(300)
	b := a.Alloc(300)
	a.Free(b)
	require.Panics(t, func() { a.Free(b) }, "freed twice")
}

// TestArenaSaysWhenItIsNearlyFull: an owner is told while there is room for what it has let in, and the
// end of the address space is a panic, never a block that is somebody else's.
func TestArenaSaysWhenItIsNearlyFull(t *testing.T) {
	gen := NewGeneration()
	a := NewArena(&gen)
	a.Alloc(100)
	require.True(t, a.Room())
	a.chunks = append(a.chunks, make(Blocks, maxChunks-spareChunks-len(a.chunks))...)
	a.meta = append(a.meta, make([]chunkMeta, len(a.chunks)-len(a.meta))...)
	require.False(t, a.Room())
	b := a.Alloc(200)
	require.Equal(t, len(a.chunks)-1, int(b>>blockBits))
	a.chunks = append(a.chunks, make(Blocks, maxChunks-len(a.chunks))...)
	a.meta = append(a.meta, make([]chunkMeta, maxChunks-len(a.meta))...)
	a.Alloc(200) // in the chunk that is open
	require.Panics(t, func() { a.Alloc(300) })
	a.Free(b)
}

// TestTableEndsWithAPanic: a slot beyond the last number must not become slot 0.
func TestTableEndsWithAPanic(t *testing.T) {
	gen := NewGeneration()
	table := NewTable[uint64](&gen)
	table.slots = math.MaxUint32
	require.Panics(t, func() { table.Extend() })
}
