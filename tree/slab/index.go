package slab

const (
	indexBits  = 10
	indexSlots = 1 << indexBits
)

// Index finds what has an id by the hash of its key, which its owner compares. It is a linear hash
// table: it grows by one bucket at a time, splitting the oldest unsplit one, so no insert ever
// pauses for all the others. Buckets and links are arrays of integers in chunks, apart from what
// they lead to: a split touches no chunk that a view shares, and no view needs the index.
type Index struct {
	heads   []*[indexSlots]Link
	links   []*[indexSlots]Link // by id: what follows it in its chain
	buckets uint32
	mask    uint32 // the largest 2^k - 1 below buckets: those from 0 to buckets-2^k-1 are split
	count   uint32
}

// Link leads to the next of a chain. Its hash is beside it, so most lookups touch no other
// memory than that of what they find.
type Link struct {
	Hash uint32
	ID   uint32 // 0: the end
}

// NewIndex returns an Index of nothing.
func NewIndex() Index {
	return Index{heads: []*[indexSlots]Link{new([indexSlots]Link)}, buckets: 1}
}

// Len returns the number of ids.
func (x *Index) Len() uint32 { return x.count }

// First returns the first link of the chain in which all with that hash are, and others.
func (x *Index) First(hash uint32) Link { return *x.head(x.bucket(hash)) }

// Next returns the link behind that to id.
func (x *Index) Next(id uint32) Link { return *x.link(id) }

func (x *Index) head(b uint32) *Link { return &x.heads[b>>indexBits][b%indexSlots] }

func (x *Index) link(id uint32) *Link { return &x.links[id>>indexBits][id%indexSlots] }

func (x *Index) bucket(hash uint32) uint32 {
	if b := hash & (2*x.mask + 1); b < x.buckets {
		return b
	}
	return hash & x.mask
}

// Insert adds id, which is not in the index.
func (x *Index) Insert(id uint32, hash uint32) {
	for int(id>>indexBits) >= len(x.links) {
		x.links = append(x.links, new([indexSlots]Link))
	}
	x.push(Link{Hash: hash, ID: id})
	// Three ids for two buckets: 13 bytes of index for each.
	if x.count++; uint64(x.count)*2 > uint64(x.buckets)*3 {
		x.split()
	}
}

func (x *Index) push(l Link) {
	head := x.head(x.bucket(l.Hash))
	*x.link(l.ID) = *head
	*head = l
}

// Remove takes id, which is in the index under hash, out.
func (x *Index) Remove(id uint32, hash uint32) {
	at := x.head(x.bucket(hash))
	for at.ID != id {
		at = x.link(at.ID)
	}
	*at = *x.link(id)
	*x.link(id) = Link{}
	x.count--
}

// split adds a bucket and moves to it what belongs there from the one it is cut off.
func (x *Index) split() {
	if x.buckets > 2*x.mask+1 {
		x.mask = 2*x.mask + 1
	}
	from, to := x.buckets&x.mask, x.buckets
	if int(to>>indexBits) == len(x.heads) {
		x.heads = append(x.heads, new([indexSlots]Link))
	}
	x.buckets++
	l := *x.head(from)
	*x.head(from) = Link{}
	for l.ID != 0 {
		next := *x.link(l.ID)
		x.push(l)
		l = next
	}
}
