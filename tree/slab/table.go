package slab

import (
	"math"
	"slices"
)

const (
	chunkBits = 8

	// ChunkSlots is the number of slots in a chunk of a Table: what a write may have to copy while
	// a view lives. A record's size should make it fill an allocation class of the runtime.
	ChunkSlots = 1 << chunkBits
)

// Generation decides which chunks an owner shares with its views. Every chunk carries the stamp of
// the generation that made or last copied it; freezing ends a generation, and a chunk whose stamp
// is not newer than the newest living view is copied before it is written.
type Generation struct {
	now    uint32   // stamp of the chunks made from now on
	frozen uint32   // chunks stamped up to this are shared; 0: none
	live   []uint32 // stamps of the views not yet released, ascending
}

// NewGeneration returns the first one, shared with nobody.
func NewGeneration() Generation { return Generation{now: 1} }

// Freeze ends a generation: what was written so far stays as it is for a view. It returns the
// stamp for Release.
func (g *Generation) Freeze() uint32 {
	stamp := g.now
	g.live = append(g.live, stamp)
	g.frozen = stamp
	g.now++
	return stamp
}

// Views is how many views are not released.
func (g *Generation) Views() int { return len(g.live) }

// Release says that the view with that stamp is gone.
func (g *Generation) Release(stamp uint32) {
	i := slices.Index(g.live, stamp)
	if i < 0 {
		panic("slab: a view was released twice")
	}
	g.live = slices.Delete(g.live, i, i+1)
	g.frozen = 0
	if n := len(g.live); n > 0 {
		g.frozen = g.live[n-1]
	}
}

// Table is a growing array of T in chunks that views can share. Slots are addressed from 1; slot 0
// names nothing. A pointer from At is for reading and dies at the next Edit; one from Edit lives
// as long as the generation.
type Table[T any] struct {
	gen    *Generation
	chunks []*[ChunkSlots]T
	stamps []uint32 // apart from the chunks, which would not fit their allocation class otherwise
	slots  uint32   // handed out, slot 0 included
}

// NewTable returns an empty Table, whose chunks gen shares.
func NewTable[T any](gen *Generation) Table[T] { return Table[T]{gen: gen, slots: 1} }

// Len returns the number of slots that were handed out, slot 0 included.
func (t *Table[T]) Len() uint32 { return t.slots }

// Share returns a table for reading, with the chunks as they are.
func (t *Table[T]) Share() Table[T] { return Table[T]{chunks: slices.Clone(t.chunks), slots: t.slots} }

// At returns a slot for reading.
func (t *Table[T]) At(i uint32) *T { return &t.chunks[i>>chunkBits][i%ChunkSlots] }

// Edit returns a slot for writing.
func (t *Table[T]) Edit(i uint32) *T {
	c := i >> chunkBits
	if t.stamps[c] <= t.gen.frozen {
		t.unshare(c)
	}
	return &t.chunks[c][i%ChunkSlots]
}

func (t *Table[T]) unshare(c uint32) {
	private := new([ChunkSlots]T)
	*private = *t.chunks[c]
	t.chunks[c] = private
	t.stamps[c] = t.gen.now
}

// touch makes the first access to a page of memory a write. Were it a read, as the check that a pointer to a chunk
// is not nil is one, the system would map the page twice, and have all processors forget the first: three times
// the cost, which what grows by millions feels.
//
//go:noinline
func touch[T any](first *T) {
	var zero T
	*first = zero
}

// Extend hands out the next slot, which is zero.
func (t *Table[T]) Extend() uint32 {
	i := t.slots
	if i == math.MaxUint32 {
		panic("slab: a table has no slot left")
	}
	if c := i >> chunkBits; int(c) == len(t.chunks) {
		chunk := new([ChunkSlots]T)
		touch(&chunk[0])
		t.chunks = append(t.chunks, chunk)
		t.stamps = append(t.stamps, t.gen.now)
	}
	t.slots++
	return i
}
