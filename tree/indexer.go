package tree

// indexer fills the index of a tree that is being restored, beside what reads the tree: for a large one both take
// long, and they share nothing (Options.Go). The places of znodes in the index are anywhere in memory, so it takes many at a
// time and has the processor fetch all of them in the time of one.
type indexer struct {
	tree  *Tree
	batch *indexBatch
	work  chan *indexBatch // to the goroutine; nil: there is none yet
	spare chan *indexBatch
	done  chan struct{}

	twins []twins // the goroutine's until done
}

// indexBatch is what goes to the goroutine at once: too much to wait for each, and not so little that the change of
// hands is felt. A tree of one batch is indexed without it.
type indexBatch struct {
	n      int
	ids    [indexBatchSize]NodeID
	hashes [indexBatchSize]uint32
}

const (
	indexBatchSize = 2048
	indexBatches   = 4  // under way
	indexWarm      = 64 // fetched at once
)

// twins have a place in common. Whether they have the name in common too is seen when both are complete.
type twins struct{ older, younger NodeID }

// add has a znode indexed under a hash.
func (x *indexer) add(id NodeID, hash uint32) {
	if x.batch == nil {
		x.batch = new(indexBatch)
	}
	b := x.batch
	b.ids[b.n], b.hashes[b.n] = id, hash
	if b.n++; b.n < indexBatchSize {
		return
	}
	if x.tree.options.Go == nil {
		x.insert(b)
		return
	}
	if x.work == nil {
		x.start()
	}
	x.work <- b
	x.batch = <-x.spare
}

func (x *indexer) start() {
	x.work, x.spare = make(chan *indexBatch, indexBatches), make(chan *indexBatch, indexBatches)
	x.done = make(chan struct{})
	for range indexBatches - 1 {
		x.spare <- new(indexBatch)
	}
	x.tree.options.Go(x.run)
}

func (x *indexer) run() {
	defer close(x.done)
	for b := range x.work {
		x.insert(b)
		x.spare <- b
	}
}

func (x *indexer) insert(b *indexBatch) {
	index := &x.tree.index
	for at := 0; at < b.n; at += indexWarm {
		end := min(at+indexWarm, b.n)
		index.Warm(b.hashes[at:end])
		for i, id := range b.ids[at:end] {
			hash := b.hashes[at+i]
			found := index.Search(hash)
			for older := found.Next(); older != 0; older = found.Next() {
				x.twins = append(x.twins, twins{older: NodeID(older), younger: id})
			}
			index.Insert(uint32(id), hash)
		}
	}
	b.n = 0
}

// finish waits until everything is indexed and reports whether a name came twice in a family.
func (x *indexer) finish() (twice bool) {
	if x.work != nil {
		close(x.work)
		<-x.done
	}
	if x.batch != nil {
		x.insert(x.batch)
	}
	t := x.tree
	for _, pair := range x.twins {
		a, b := t.at(pair.older), t.at(pair.younger)
		if a.parent == b.parent && string(t.name(a)) == string(t.name(b)) {
			return true
		}
	}
	return false
}
