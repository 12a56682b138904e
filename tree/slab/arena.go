package slab

import (
	"math/bits"
	"slices"
)

const (
	granuleBits = 4
	arenaBytes  = 32 << 10 // a chunk: what a write may have to copy while a view lives
	blockBits   = 11       // granules of a chunk
	maxSmall    = 8 << 10  // larger blocks have a chunk of their own
	numClasses  = 8 + 4*6  // 16..128 by 16, then four steps to each doubling up to maxSmall
	largeClass  = numClasses
	maxChunks   = 1 << (32 - blockBits)
	spareChunks = maxChunks / 16 // room for what is proposed but not applied; see Room
	poisonByte  = 0xdb
)

// PoisonFreed makes freed blocks unreadable, so that a use after free cannot pass unseen. Tests
// set it; whoever keeps slots in a Table should do the same to those.
var PoisonFreed = false

// Block names bytes in an Arena: the chunk above, the offset in granules of 16 bytes below. 0 is
// no block; chunk 0 is never used.
//
//	31              11 10          0
//	+-----------------+------------+
//	|      chunk      |  granule   |
//	+-----------------+------------+
type Block uint32

// Arena keeps strings of bytes in chunks without pointers. A chunk serves one size class; which of
// its slots are taken is in a bitmap beside it, so that freeing writes to no chunk that a view
// shares. A chunk whose slots are all free goes back.
type Arena struct {
	gen    *Generation
	chunks Blocks
	meta   []chunkMeta
	open   [numClasses]uint32 // list of the chunks with a free slot
	vacant []uint32           // places in chunks without a chunk
}

// chunkMeta is what the owner of an Arena knows of a chunk; a view needs none of it.
type chunkMeta struct {
	taken      []uint64 // a bit for each slot; those past the last slot are set
	stamp      uint32
	next, prev uint32 // in the list of open chunks of the class
	used       uint16
	hint       uint16 // no free slot in a word before this one
	class      uint8
}

// classOf returns the size class of n bytes, 0 < n <= maxSmall.
func classOf(n int) uint8 {
	if n <= 128 {
		return uint8((n - 1) >> granuleBits)
	}
	step := bits.Len(uint(n-1)) - 3 // n is in (2^(step+2), 2^(step+3)], cut in four
	return uint8(8 + 4*(step-5) + (n-1)>>step&3)
}

// classBytes is the inverse: the size of the blocks of a class.
func classBytes(class uint8) int {
	if class < 8 {
		return (int(class) + 1) << granuleBits
	}
	step := (int(class) - 8) / 4
	return (128 << step) + ((int(class)-8)%4+1)<<(step+5)
}

// Blocks is an Arena for reading: its chunks.
type Blocks [][]byte

// NewArena returns an empty Arena, whose chunks gen shares.
func NewArena(gen *Generation) Arena {
	return Arena{gen: gen, chunks: make(Blocks, 1), meta: make([]chunkMeta, 1)}
}

// Room reports whether the arena is far enough from the end of its address space (64 GiB of
// small blocks, two million large ones) for everything that may be outstanding.
func (a *Arena) Room() bool { return len(a.chunks)-len(a.vacant) < maxChunks-spareChunks }

// Blocks returns the Arena for reading. It is good until the next Edit, Alloc or Free.
func (a *Arena) Blocks() Blocks { return a.chunks }

// Share returns the Arena for reading, as it is when a view is frozen.
func (a *Arena) Share() Blocks { return slices.Clone(a.chunks) }

// Used returns the number of blocks that are taken.
func (a *Arena) Used() (blocks int) {
	for i := range a.meta {
		blocks += int(a.meta[i].used)
	}
	return blocks
}

// Bytes returns the first n bytes of a block, for reading.
func (a *Arena) Bytes(b Block, n int) []byte { return a.chunks.Bytes(b, n) }

// Bytes returns the first n bytes of a block, for reading.
func (chunks Blocks) Bytes(b Block, n int) []byte {
	if n == 0 {
		return nil
	}
	i := int(b&(1<<blockBits-1)) << granuleBits
	return chunks[b>>blockBits][i : i+n : i+n]
}

// Edit returns the first n bytes of a block, for writing.
func (a *Arena) Edit(b Block, n int) []byte {
	if n == 0 {
		return nil
	}
	c := b >> blockBits
	if m := &a.meta[c]; m.stamp <= a.gen.frozen {
		private := make([]byte, len(a.chunks[c]))
		copy(private, a.chunks[c])
		a.chunks[c] = private
		m.stamp = a.gen.now
	}
	return a.chunks.Bytes(b, n)
}

// Fits reports whether n bytes would get a block of the size that b has.
func (a *Arena) Fits(b Block, n int) bool {
	if b == 0 || n == 0 {
		return b == 0 && n == 0
	}
	m := &a.meta[b>>blockBits]
	if m.class == largeClass {
		return n == len(a.chunks[b>>blockBits])
	}
	return n <= maxSmall && classOf(n) == m.class
}

// Alloc returns a block of at least n bytes, whose content is arbitrary.
func (a *Arena) Alloc(n int) Block {
	switch {
	case n == 0:
		return 0
	case n > maxSmall:
		c := a.addChunk(n, largeClass)
		a.meta[c].used = 1
		return Block(c << blockBits)
	}
	class := classOf(n)
	c := a.open[class]
	if c == 0 {
		c = a.addChunk(arenaBytes, class)
		a.meta[c].taken = freshBitmap(arenaBytes / classBytes(class))
		a.pushOpen(c)
	}
	m := &a.meta[c]
	for m.taken[m.hint] == ^uint64(0) {
		m.hint++
	}
	bit := bits.TrailingZeros64(^m.taken[m.hint])
	m.taken[m.hint] |= 1 << bit
	m.used++
	size := classBytes(class)
	if int(m.used) == arenaBytes/size {
		a.dropOpen(c)
	}
	slot := int(m.hint)*64 + bit
	return Block(c<<blockBits) | Block(slot*size>>granuleBits)
}

// Free gives a block back. Its bytes stay where a view can see them.
func (a *Arena) Free(b Block) {
	if b == 0 {
		return
	}
	c := uint32(b >> blockBits)
	m := &a.meta[c]
	if m.class == largeClass {
		a.removeChunk(c)
		return
	}
	size := classBytes(m.class)
	if PoisonFreed {
		for i, w := 0, a.Edit(b, size); i < size; i++ {
			w[i] = poisonByte
		}
	}
	slot := int(b&(1<<blockBits-1)) << granuleBits / size
	if m.taken[slot/64]&(1<<(slot%64)) == 0 {
		panic("slab: a block was freed twice")
	}
	if int(m.used) == arenaBytes/size {
		a.pushOpen(c)
	}
	m.taken[slot/64] &^= 1 << (slot % 64)
	m.hint = min(m.hint, uint16(slot/64))
	m.used--
	// The last open chunk of a class stays, or a lone block that comes and goes would cost a chunk
	// each time.
	if m.used == 0 && (m.next != 0 || m.prev != 0) {
		a.dropOpen(c)
		a.removeChunk(c)
	}
}

func freshBitmap(slots int) []uint64 {
	taken := make([]uint64, (slots+63)/64)
	if tail := slots % 64; tail != 0 {
		taken[len(taken)-1] = ^uint64(0) << tail
	}
	return taken
}

func (a *Arena) addChunk(n int, class uint8) uint32 {
	chunk := make([]byte, n)
	meta := chunkMeta{stamp: a.gen.now, class: class}
	if v := len(a.vacant); v > 0 {
		c := a.vacant[v-1]
		a.vacant = a.vacant[:v-1]
		a.chunks[c], a.meta[c] = chunk, meta
		return c
	}
	if len(a.chunks) == maxChunks {
		panic("slab: the arena is full; its owner must refuse before (Room)")
	}
	a.chunks = append(a.chunks, chunk)
	a.meta = append(a.meta, meta)
	return uint32(len(a.chunks) - 1)
}

func (a *Arena) removeChunk(c uint32) {
	a.chunks[c], a.meta[c] = nil, chunkMeta{}
	a.vacant = append(a.vacant, c)
}

func (a *Arena) pushOpen(c uint32) {
	m := &a.meta[c]
	head := a.open[m.class]
	m.prev, m.next = 0, head
	if head != 0 {
		a.meta[head].prev = c
	}
	a.open[m.class] = c
}

func (a *Arena) dropOpen(c uint32) {
	m := &a.meta[c]
	if m.prev != 0 {
		a.meta[m.prev].next = m.next
	} else {
		a.open[m.class] = m.next
	}
	if m.next != 0 {
		a.meta[m.next].prev = m.prev
	}
	m.next, m.prev = 0, 0
}
