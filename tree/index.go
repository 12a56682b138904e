package tree

const (
	indexBits  = 10
	indexSlots = 1 << indexBits
)

// index finds a znode by its parent and its name. It is a linear hash table: it grows by one
// bucket at a time, splitting the oldest unsplit one, so no insert ever pauses for all the others.
// Buckets and links are arrays of integers in chunks, apart from the znodes: a split touches no
// chunk that a View shares, and no View needs the index.
type index struct {
	heads   []*[indexSlots]link
	links   []*[indexSlots]link // by NodeID: what follows that znode in its chain
	buckets uint32
	mask    uint32 // the largest 2^k - 1 below buckets: those from 0 to buckets-2^k-1 are split
	count   uint32
}

// link leads to the next znode of a chain. The hash of that znode is beside it, so most lookups
// touch no other znode's memory than that of the one they find.
type link struct {
	hash uint32
	id   NodeID // 0: the end
}

func newIndex() index {
	return index{heads: []*[indexSlots]link{new([indexSlots]link)}, buckets: 1}
}

func (x *index) head(b uint32) *link { return &x.heads[b>>indexBits][b%indexSlots] }

func (x *index) link(id NodeID) *link { return &x.links[id>>indexBits][id%indexSlots] }

func (x *index) bucket(hash uint32) uint32 {
	if b := hash & (2*x.mask + 1); b < x.buckets {
		return b
	}
	return hash & x.mask
}

// insert adds id, which is not in the index.
func (x *index) insert(id NodeID, hash uint32) {
	for int(id>>indexBits) >= len(x.links) {
		x.links = append(x.links, new([indexSlots]link))
	}
	x.push(link{hash: hash, id: id})
	// Three znodes for two buckets: 13 bytes of index for a znode.
	if x.count++; uint64(x.count)*2 > uint64(x.buckets)*3 {
		x.split()
	}
}

func (x *index) push(l link) {
	head := x.head(x.bucket(l.hash))
	*x.link(l.id) = *head
	*head = l
}

// remove takes id, which is in the index under hash, out.
func (x *index) remove(id NodeID, hash uint32) {
	at := x.head(x.bucket(hash))
	for at.id != id {
		at = x.link(at.id)
	}
	*at = *x.link(id)
	*x.link(id) = link{}
	x.count--
}

// split adds a bucket and moves to it what belongs there from the one it is cut off.
func (x *index) split() {
	if x.buckets > 2*x.mask+1 {
		x.mask = 2*x.mask + 1
	}
	from, to := x.buckets&x.mask, x.buckets
	if int(to>>indexBits) == len(x.heads) {
		x.heads = append(x.heads, new([indexSlots]link))
	}
	x.buckets++
	l := *x.head(from)
	*x.head(from) = link{}
	for l.id != 0 {
		next := *x.link(l.id)
		x.push(l)
		l = next
	}
}
