package slab

const (
	bucketIDs  = 7
	bucketLoad = 5 // ids for each bucket, beyond which one is added

	indexBits    = 7
	indexBuckets = 1 << indexBits // of a chunk
	pageBuckets  = 4096 / 64      // of a page
)

// Index finds what has an id by the hash of its key, which its owner compares. It is a linear hash
// table: it grows by one bucket at a time, splitting the oldest unsplit one, so no insert ever
// pauses for all the others. A bucket is a line of the processor's cache: in a large index a line is
// what a step costs, and a search, an insert and a remove take one, with seldom a second. Chains from id
// to id would be smaller by 4 bytes an id, and each of their steps is a line.
//
// Buckets are arrays of integers in chunks, apart from what they lead to: a split touches no chunk that a
// view shares, and no view needs the index.
type Index struct {
	main    buckets
	spilled buckets // 1, 2, ...: what has no room where it belongs
	spare   uint32  // list of free ones of those
	count   uint32  // of ids

	mask   uint32  // the largest 2^k - 1 below main.n: those from 0 to main.n-2^k-1 are split
	moving []entry // scratch of split
}

// bucket holds ids under their hashes, in slots from 0 on. One that is full goes on in its spill; so
// only the last of such a chain has free slots.
//
//	+-----------------------+-----------------------+---------+---------+
//	|      hashes 7 x 4     |        ids 7 x 4      | count 4 | spill 4 |
//	+-----------------------+-----------------------+---------+---------+
type bucket struct {
	hashes [bucketIDs]uint32
	ids    [bucketIDs]uint32
	count  uint32
	spill  uint32 // 0: none; in a free one: the next free one
}

type entry struct{ hash, id uint32 }

// buckets is a growing array of them.
type buckets struct {
	chunks []*[indexBuckets]bucket
	n      uint32
}

func (b *buckets) at(i uint32) *bucket { return &b.chunks[i>>indexBits][i%indexBuckets] }

func (b *buckets) extend() uint32 {
	i := b.n
	if int(i>>indexBits) == len(b.chunks) {
		chunk := new([indexBuckets]bucket)
		for j := 0; j < indexBuckets; j += pageBuckets {
			touch(&chunk[j])
		}
		b.chunks = append(b.chunks, chunk)
	}
	b.n++
	return i
}

// NewIndex returns an Index of nothing.
func NewIndex() Index {
	var x Index
	x.main.extend()
	return x
}

// Len returns the number of ids.
func (x *Index) Len() uint32 { return x.count }

// Search goes through the ids under a hash. It dies at the next change of the index.
type Search struct {
	x    *Index
	at   *bucket
	slot uint32
	hash uint32
}

// Search begins to go through the ids under hash.
func (x *Index) Search(hash uint32) Search {
	return Search{x: x, at: x.main.at(x.place(hash)), hash: hash}
}

// Next returns an id that was not returned yet, 0 when there is none.
func (s *Search) Next() uint32 {
	for {
		b := s.at
		for s.slot < min(b.count, bucketIDs) {
			i := s.slot
			s.slot++
			if b.hashes[i] == s.hash {
				return b.ids[i]
			}
		}
		if b.spill == 0 {
			return 0
		}
		s.at, s.slot = s.x.spilled.at(b.spill), 0
	}
}

// Warm has the processor fetch the buckets in which hashes begin: all at once, as none depends on another,
// where searches would wait for one after the other. What it returns only makes that they are read.
//
//go:noinline
func (x *Index) Warm(hashes []uint32) (sum uint32) {
	for _, h := range hashes {
		sum += x.main.at(x.place(h)).count
	}
	return sum
}

// place returns the bucket in which ids under hash begin.
func (x *Index) place(hash uint32) uint32 {
	if b := hash & (2*x.mask + 1); b < x.main.n {
		return b
	}
	return hash & x.mask
}

// Insert adds id, which is not 0 and not in the index.
func (x *Index) Insert(id uint32, hash uint32) {
	x.push(entry{hash: hash, id: id})
	if x.count++; uint64(x.count) > bucketLoad*uint64(x.main.n) {
		x.split()
	}
}

func (x *Index) push(e entry) {
	b := x.main.at(x.place(e.hash))
	for b.spill != 0 {
		b = x.spilled.at(b.spill)
	}
	if b.count == bucketIDs {
		b.spill = x.takeSpare()
		b = x.spilled.at(b.spill)
	}
	b.hashes[b.count], b.ids[b.count] = e.hash, e.id
	b.count++
}

// takeSpare returns an empty bucket to spill into.
func (x *Index) takeSpare() uint32 {
	i := x.spare
	if i == 0 {
		if x.spilled.n == 0 {
			x.spilled.extend() // 0 is none
		}
		return x.spilled.extend()
	}
	b := x.spilled.at(i)
	x.spare, b.spill = b.spill, 0
	return i
}

// Remove takes id, which is in the index under hash, out. The last of its chain takes its slot.
func (x *Index) Remove(id uint32, hash uint32) {
	var from, before *bucket // where id is; what the last spills from
	slot := 0
	last := x.main.at(x.place(hash))
	for {
		for i, other := range last.ids[:last.count] {
			if other == id {
				from, slot = last, i
			}
		}
		if last.spill == 0 {
			break
		}
		before, last = last, x.spilled.at(last.spill)
	}
	last.count--
	from.hashes[slot], from.ids[slot] = last.hashes[last.count], last.ids[last.count]
	if last.count == 0 && before != nil {
		last.spill, x.spare = x.spare, before.spill
		before.spill = 0
	}
	x.count--
}

// split adds a bucket and moves to it what belongs there from the one it is cut off.
func (x *Index) split() {
	if x.main.n > 2*x.mask+1 {
		x.mask = 2*x.mask + 1
	}
	from := x.main.n & x.mask
	x.main.extend()
	x.moving = x.moving[:0]
	b := x.main.at(from)
	for emptied := uint32(0); ; {
		for i := range b.count {
			x.moving = append(x.moving, entry{hash: b.hashes[i], id: b.ids[i]})
		}
		next := b.spill
		b.count, b.spill = 0, 0
		if emptied != 0 {
			b.spill, x.spare = x.spare, emptied
		}
		if next == 0 {
			break
		}
		emptied, b = next, x.spilled.at(next)
	}
	for _, e := range x.moving {
		x.push(e)
	}
}
