package slab

import (
	"encoding/binary"
	"math/bits"
)

const multiplier uint64 = 0x9fb21c651e98df25

// Spread makes a seed's difference of a small number: it is v times an odd constant.
func Spread(v uint64) uint64 { return v * multiplier }

// Fold mixes v into h by a full 64x64 bit product, both halves of which count.
func Fold(h, v uint64) uint64 {
	hi, lo := bits.Mul64(h^v, multiplier)
	return hi ^ lo ^ bits.RotateLeft64(h, 23)
}

// Hash hashes b under a seed. The seed goes into both factors of each product, so that
// without it nobody can choose bytes that make a product vanish.
func Hash(seed uint64, b []byte) uint64 {
	h := seed ^ uint64(len(b))*multiplier
	for ; len(b) > 16; b = b[16:] {
		h = foldPair(h, seed, binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:]))
	}
	switch n := len(b); {
	case n >= 8:
		h = foldPair(h, seed, binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[n-8:]))
	case n >= 4:
		h = foldPair(h, seed, uint64(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[n-4:])))
	case n > 0:
		h = foldPair(h, seed, uint64(b[0])<<16|uint64(b[n/2])<<8|uint64(b[n-1]), uint64(n))
	}
	return Fold(h, seed)
}

func foldPair(h, seed, v, w uint64) uint64 {
	hi, lo := bits.Mul64(v^seed^multiplier, w^h)
	return hi ^ lo ^ bits.RotateLeft64(h, 31)
}
