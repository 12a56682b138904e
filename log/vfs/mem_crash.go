package vfs

import (
	"maps"
	"math/rand/v2"
	"path"
	"slices"
)

func sortedNames[V any](names map[string]V) []string { return slices.Sorted(maps.Keys(names)) }

// Kill returns the disk as the next process finds it when this one is killed and the machine
// lives: the page cache is all there, what was not synced is still not durable, locks are free.
// m itself is left as it was; what the dead process still does to it reaches nobody.
func (m *Mem) Kill() *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := NewMem()
	nodes := make(map[*inode]*inode)
	copied := func(n *inode) *inode {
		if n == nil {
			return nil
		}
		if nodes[n] == nil {
			nodes[n] = &inode{
				data: n.data.clone(), synced: n.synced.clone(), dirty: maps.Clone(n.dirty), cut: n.cut,
			}
		}
		return nodes[n]
	}
	for name, n := range m.names {
		next.names[name] = copied(n)
	}
	for name, n := range m.durable {
		next.durable[name] = copied(n)
	}
	maps.Copy(next.dirs, m.dirs)
	for _, op := range m.ops {
		op.node = copied(op.node)
		next.ops = append(next.ops, op)
	}
	return next
}

// PowerLoss returns a disk as the machine may find it when the power fails now and comes back.
// The seed decides, and decides alone, for each change that was not durable:
//
//   - a change of names is kept or undone (a rename as a whole);
//   - a sector that was written is kept, has its old content, or is garbage;
//   - a shortened file has its old length again with probability 1/2, and so has a lengthened one.
//
// This is the disk of FoundationDB's simulation (AsyncFileNonDurable), with sectors for pages. m
// itself is left as it was, so that one moment can be tried with many seeds.
func (m *Mem) PowerLoss(seed uint64) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	rnd := rand.New(rand.NewPCG(seed, 0x51ec7045))
	names := maps.Clone(m.durable)
	dirs := make(map[string]bool)
	for dir, durable := range m.dirs {
		if durable {
			dirs[dir] = true
		}
	}
	for _, op := range m.ops {
		if rnd.IntN(2) == 0 {
			op.apply(names, dirs)
		}
	}
	next := NewMem()
	for _, dir := range sortedNames(dirs) {
		if next.dirs[path.Dir(dir)] { // a directory cannot outlive its parent
			next.dirs[dir] = true
		}
	}
	nodes := make(map[*inode]*inode)
	for _, name := range sortedNames(names) {
		n := names[name]
		if nodes[n] == nil {
			nodes[n] = n.powerLoss(rnd)
		}
		if next.dirs[path.Dir(name)] {
			next.names[name], next.durable[name] = nodes[n], nodes[n]
		}
	}
	return next
}

// powerLoss returns what is left of a file. Each sector is decided on its own, but the odds differ
// from file to file: fair coins alone would hardly ever keep, or lose, all of a long write.
func (n *inode) powerLoss(rnd *rand.Rand) *inode {
	left := n.synced.clone()
	if n.cut < left.size && rnd.IntN(2) == 0 {
		left.truncate(n.cut)
	}
	keep := []float64{0, 0.5, 0.9, 1}[rnd.IntN(4)]
	spoil := []float64{0, 0.4}[rnd.IntN(2)]
	for _, s := range slices.Sorted(maps.Keys(n.dirty)) {
		var sector [SectorSize]byte
		switch {
		case rnd.Float64() < keep:
			n.data.read(sector[:], s*SectorSize)
		case rnd.Float64() < spoil:
			for i := range sector {
				sector[i] = byte(rnd.Uint32())
			}
		default:
			continue
		}
		left.write(sector[:min(SectorSize, n.data.size-s*SectorSize)], s*SectorSize)
	}
	if left.size < n.data.size && rnd.IntN(2) == 0 {
		left.size = n.data.size
	}
	after := newInode()
	after.data, after.synced = left, left.clone()
	return after
}
