package slab

import (
	"math"
	"testing"

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
		found := 0
		for b := range x.buckets {
			for l := *x.head(b); l.ID != 0; l = *x.link(l.ID) {
				require.Equal(t, hashes[l.ID], l.Hash)
				require.Equal(t, b, x.bucket(l.Hash))
				found++
			}
		}
		require.Equal(t, len(hashes), found)
		require.Equal(t, len(hashes), int(x.count))
		require.LessOrEqual(t, 2*len(hashes), 3*int(x.buckets))
	})
}

// TestGrowingMovesOneChain: an insert splits one bucket at most, so none of them waits for all that
// came before it.
func TestGrowingMovesOneChain(t *testing.T) {
	x := NewIndex()
	for id := uint32(1); id <= 200_000; id++ {
		before := x.buckets
		x.Insert(id, uint32(Hash(1, []byte{byte(id), byte(id >> 8), byte(id >> 16)})))
		require.LessOrEqual(t, x.buckets-before, uint32(1))
	}
	longest := 0
	for b := range x.buckets {
		chain := 0
		for l := *x.head(b); l.ID != 0; l = x.Next(l.ID) {
			chain++
		}
		longest = max(longest, chain)
	}
	require.Less(t, longest, 20)
}
