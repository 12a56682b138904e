package slab

import (
	"math"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestIndexAgainstMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := NewIndex()
		hashes := map[uint32]uint32{}
		// Few bits make long chains; the index must not care.
		mask := rapid.SampledFrom([]uint32{math.MaxUint32, 0xf, 0xf0000000}).Draw(t, "mask")
		n := rapid.IntRange(1, 3000).Draw(t, "ids")
		for i := range n {
			id := uint32(i + 1)
			hashes[id] = uint32(Hash(uint64(n), []byte{byte(i), byte(i >> 8)})) & mask
			x.Insert(id, hashes[id])
			if i%3 == 2 {
				x.Remove(id-1, hashes[id-1])
				delete(hashes, id-1)
			}
		}
		require.Equal(t, hashes, x.content(t))
		sample := 0
		for id, hash := range hashes {
			search := x.Search(hash)
			got := search.Next()
			for got != 0 && got != id {
				require.Equal(t, hash, hashes[got])
				got = search.Next()
			}
			require.Equal(t, id, got)
			if sample++; sample == 100 {
				break
			}
		}
		require.Equal(t, len(hashes), int(x.count))
		require.LessOrEqual(t, len(hashes), bucketLoad*int(x.main.n))
	})
}

// content returns the hashes of the ids, from where they belong, and checks that every bucket is in one chain or
// spare, and that only the last of a chain has free slots.
func (x *Index) content(t require.TestingT) map[uint32]uint32 {
	hashes, spills := map[uint32]uint32{}, 0
	for i := range x.main.n {
		for b := x.main.at(i); ; b = x.spilled.at(b.spill) {
			for j, id := range b.ids[:b.count] {
				if i != x.place(b.hashes[j]) || hashes[id] != 0 {
					require.Fail(t, "an id is at a wrong place, or twice")
				}
				hashes[id] = b.hashes[j]
			}
			if b.spill == 0 {
				break
			}
			spills++
			if b.count != bucketIDs || x.spilled.at(b.spill).count == 0 {
				require.Fail(t, "a bucket spills that has room, or into one that is empty")
			}
		}
	}
	for i := x.spare; i != 0; i = x.spilled.at(i).spill {
		require.Zero(t, x.spilled.at(i).count)
		spills++
	}
	require.Equal(t, int(max(x.spilled.n, 1))-1, spills)
	return hashes
}

// TestGrowingMovesOneChain: an insert splits one bucket at most, so none of them waits for all that
// came before it; and few searches take more than one bucket, at whatever size.
func TestGrowingMovesOneChain(t *testing.T) {
	x := NewIndex()
	for id := uint32(1); id <= 200_000; id++ {
		before := x.main.n
		x.Insert(id, uint32(Hash(1, []byte{byte(id), byte(id >> 8), byte(id >> 16)})))
		require.LessOrEqual(t, x.main.n-before, uint32(1))
		require.LessOrEqual(t, 5*x.spilled.n, x.main.n+100)
	}
	require.Len(t, x.content(t), 200_000)
}

// TestBucketIsALineOfTheCache: and chunks begin at one.
func TestBucketIsALineOfTheCache(t *testing.T) {
	require.EqualValues(t, 64, unsafe.Sizeof(bucket{}))
	x := NewIndex()
	require.Zero(t, uintptr(unsafe.Pointer(x.main.at(0)))%64)
}
