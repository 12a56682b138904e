package tree

import "slices"

const (
	chunkBits  = 8
	chunkSlots = 1 << chunkBits
)

// generation decides which chunks the tree shares with Views. Every chunk carries the stamp of
// the generation that made or last copied it; freezing ends a generation, and a chunk whose stamp
// is not newer than the newest living View is copied before it is written.
type generation struct {
	now    uint32   // stamp of the chunks made from now on
	frozen uint32   // chunks stamped up to this are shared; 0: none
	live   []uint32 // stamps of the Views not yet released, ascending
}

func (g *generation) freeze() uint32 {
	stamp := g.now
	g.live = append(g.live, stamp)
	g.frozen = stamp
	g.now++
	return stamp
}

func (g *generation) release(stamp uint32) {
	i := slices.Index(g.live, stamp)
	if i < 0 {
		panic("tree: a View was released twice")
	}
	g.live = slices.Delete(g.live, i, i+1)
	g.frozen = 0
	if n := len(g.live); n > 0 {
		g.frozen = g.live[n-1]
	}
}

// table is a growing array of T in chunks that Views can share. Slots are addressed from 1; slot 0
// names nothing. A pointer from at is for reading and dies at the next edit; one from edit lives
// as long as the generation.
type table[T any] struct {
	gen    *generation
	chunks []*[chunkSlots]T
	stamps []uint32 // apart from the chunks, which would not fit their allocation class otherwise
	slots  uint32   // handed out, slot 0 included
}

func (t *table[T]) at(i uint32) *T { return &t.chunks[i>>chunkBits][i%chunkSlots] }

func (t *table[T]) edit(i uint32) *T {
	c := i >> chunkBits
	if t.stamps[c] <= t.gen.frozen {
		t.unshare(c)
	}
	return &t.chunks[c][i%chunkSlots]
}

func (t *table[T]) unshare(c uint32) {
	private := new([chunkSlots]T)
	*private = *t.chunks[c]
	t.chunks[c] = private
	t.stamps[c] = t.gen.now
}

// extend hands out the next slot, which is zero.
func (t *table[T]) extend() uint32 {
	if t.slots == 0 {
		t.slots = 1
	}
	i := t.slots
	if c := i >> chunkBits; int(c) == len(t.chunks) {
		t.chunks = append(t.chunks, new([chunkSlots]T))
		t.stamps = append(t.stamps, t.gen.now)
	}
	t.slots++
	return i
}
