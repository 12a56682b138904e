package session

import "quoll/tree/slab"

// The slots of paths, connections and watches: finding them, taking new ones, giving them back.
// 0 is none of each.

func (w *Watches) hashPath(path []byte) uint32 { return uint32(slab.Hash(w.seed, path)) }

func (w *Watches) findPath(path []byte) uint32 {
	for found := w.byPath.Search(w.hashPath(path)); ; {
		slot := found.Next()
		if slot == 0 {
			return 0
		}
		if p := w.paths.At(slot); string(w.text.Bytes(p.text, int(p.size))) == string(path) {
			return slot
		}
	}
}

func (w *Watches) newPath(path string) uint32 {
	slot := w.freePath
	if slot != 0 {
		w.freePath = w.paths.At(slot).inData
	} else {
		slot = w.paths.Extend()
	}
	p := w.paths.Edit(slot)
	*p = watchedPath{text: w.text.Alloc(len(path)), size: uint32(len(path))}
	copy(w.text.Edit(p.text, len(path)), path)
	w.byPath.Insert(slot, w.hashPath([]byte(path)))
	return slot
}

func (w *Watches) dropPath(slot uint32) {
	p := w.paths.Edit(slot)
	w.byPath.Remove(slot, w.hashPath(w.text.Bytes(p.text, int(p.size))))
	w.text.Free(p.text)
	*p = watchedPath{inData: w.freePath}
	w.freePath = slot
}

func (w *Watches) hashConn(c ConnID) uint32 { return uint32(slab.Fold(w.seed, uint64(c))) }

func (w *Watches) findConn(c ConnID) uint32 {
	found := w.byConn.Search(w.hashConn(c))
	slot := found.Next()
	for slot != 0 && w.conns.At(slot).id != c {
		slot = found.Next()
	}
	return slot
}

func (w *Watches) newConn(c ConnID) uint32 {
	slot := w.freeConn
	if slot != 0 {
		w.freeConn = w.conns.At(slot).inData
	} else if slot = w.conns.Extend(); slot >= 1<<(32-modeBits) {
		panic("session: more connections than a watch can name")
	}
	*w.conns.Edit(slot) = watchingConn{id: c}
	w.byConn.Insert(slot, w.hashConn(c))
	return slot
}

func (w *Watches) dropConn(slot uint32) {
	c := w.conns.Edit(slot)
	w.byConn.Remove(slot, w.hashConn(c.id))
	*c = watchingConn{inData: w.freeConn}
	w.freeConn = slot
}

// hashWatch is the place of the watch of a connection on a path: neither list need be searched
// for it, and both may be long.
func (w *Watches) hashWatch(path, conn uint32) uint32 {
	return uint32(slab.Fold(w.seed, uint64(path)<<32|uint64(conn)))
}

func (w *Watches) findWatch(path, conn uint32) uint32 {
	if path == 0 || conn == 0 {
		return 0
	}
	for found := w.byPair.Search(w.hashWatch(path, conn)); ; {
		id := found.Next()
		if id == 0 {
			return 0
		}
		if x := w.watches.At(id); x.path == path && x.conn() == conn {
			return id
		}
	}
}

// newWatch puts a watch without modes at the head of both of its lists.
func (w *Watches) newWatch(path, conn uint32) uint32 {
	id := w.freeWatch
	if id != 0 {
		w.freeWatch = w.watches.At(id).nextOfPath
	} else {
		id = w.watches.Extend()
	}
	p, c := w.paths.Edit(path), w.conns.Edit(conn)
	*w.watches.Edit(id) = watch{path: path, connModes: conn << modeBits, nextOfPath: p.first, nextOfConn: c.first}
	if p.first != 0 {
		w.watches.Edit(p.first).prevOfPath = id
	}
	if c.first != 0 {
		w.watches.Edit(c.first).prevOfConn = id
	}
	p.first, c.first = id, id
	w.byPair.Insert(id, w.hashWatch(path, conn))
	return id
}

// dropWatch takes a watch off both lists and frees what has none any more.
func (w *Watches) dropWatch(id uint32) {
	x := *w.watches.At(id)
	p, c := w.paths.Edit(x.path), w.conns.Edit(x.conn())
	if x.prevOfPath != 0 {
		w.watches.Edit(x.prevOfPath).nextOfPath = x.nextOfPath
	} else {
		p.first = x.nextOfPath
	}
	if x.nextOfPath != 0 {
		w.watches.Edit(x.nextOfPath).prevOfPath = x.prevOfPath
	}
	if x.prevOfConn != 0 {
		w.watches.Edit(x.prevOfConn).nextOfConn = x.nextOfConn
	} else {
		c.first = x.nextOfConn
	}
	if x.nextOfConn != 0 {
		w.watches.Edit(x.nextOfConn).prevOfConn = x.prevOfConn
	}
	w.byPair.Remove(id, w.hashWatch(x.path, x.conn()))
	*w.watches.Edit(id) = watch{nextOfPath: w.freeWatch}
	w.freeWatch = id
	if p.first == 0 {
		w.dropPath(x.path)
	}
	if c.first == 0 {
		w.dropConn(x.conn())
	}
}
