package session

import (
	"iter"
	"maps"
	"slices"

	"quoll/transport/wire"
	"quoll/zab"
)

// ConnID numbers a client connection of this server, never reused in the life of the process. It
// is below MaxConnID.
type ConnID uint64

// MaxConnID bounds ConnID: the four bits above it hold a watcher's modes.
const MaxConnID ConnID = 1 << 60

// EventType is the kind of a change, with the values that go to clients.
type EventType = wire.EventType

// The events that watches tell of.
const (
	NodeCreated         = wire.EventNodeCreated
	NodeDeleted         = wire.EventNodeDeleted
	NodeDataChanged     = wire.EventNodeDataChanged
	NodeChildrenChanged = wire.EventNodeChildrenChanged
)

// Mode is what a watch waits for and whether it outlives its event; a connection may watch a path
// in several. ZooKeeper keeps two tables (protocol 7.2), data and child: a persistent watch
// stands in both, a recursive one in the data table only.
type Mode uint8

// The modes, as bits. Data and Child are the standard, one-shot watches.
const (
	Data                Mode = 1 << iota // of exists and getData
	Child                                // of getChildren
	Persistent                           // every event of the path itself
	PersistentRecursive                  // the path and all below it, but never NodeChildrenChanged

	standard  = Data | Child
	dataTable = Data | Persistent | PersistentRecursive
	allModes  = Data | Child | Persistent | PersistentRecursive
)

// WatcherType selects watches in checkWatches and removeWatches, with its wire values.
type WatcherType int32

// The watcher types of protocol 7.6.
const (
	WatcherChildren            WatcherType = 1
	WatcherData                WatcherType = 2
	WatcherAny                 WatcherType = 3
	WatcherPersistent          WatcherType = 4
	WatcherPersistentRecursive WatcherType = 5
)

// Valid reports whether t is one of the types; any other is answered MarshallingError.
func (t WatcherType) Valid() bool { return t >= WatcherChildren && t <= WatcherPersistentRecursive }

func (t WatcherType) modes() Mode {
	switch t {
	case WatcherChildren:
		return Child
	case WatcherData:
		return Data
	case WatcherAny:
		return allModes
	case WatcherPersistent:
		return Persistent
	case WatcherPersistentRecursive:
		return PersistentRecursive
	default:
		return 0
	}
}

// triggered returns the modes that an event on the watched path itself concerns (protocol 7.3).
// NodeDeleted is triggered in both tables, but told once per connection.
func triggered(e EventType) Mode {
	switch e {
	case NodeCreated, NodeDataChanged:
		return dataTable
	case NodeDeleted:
		return allModes
	case NodeChildrenChanged:
		return Child | Persistent
	default:
		return 0
	}
}

// watcher is a connection and its modes on one path. Their order is the order of connections.
//
//	63                      4 3     0
//	+------------------------+-------+
//	|         ConnID         | modes |
//	+------------------------+-------+
type watcher uint64

const modeBits = 4

func makeWatcher(c ConnID, m Mode) watcher { return watcher(c)<<modeBits | watcher(m) }

func (w watcher) conn() ConnID { return ConnID(w >> modeBits) }

func (w watcher) modes() Mode { return Mode(w) & allModes }

// watchedPath is a path that somebody watches. Its slot number is the path's name everywhere
// else, and may name another path once nobody watches this one.
type watchedPath struct {
	path     string
	watchers []watcher  // sorted, one per connection; starts out as only[:0]
	only     [1]watcher // most paths have one watcher
	inData   int32      // watchers that stand in the data table
}

func (p *watchedPath) find(c ConnID) (int, bool) {
	return slices.BinarySearchFunc(p.watchers, c, func(w watcher, c ConnID) int {
		switch {
		case w.conn() < c:
			return -1
		case w.conn() > c:
			return 1
		}
		return 0
	})
}

// watchingConn is a connection that watches something, or did.
type watchingConn struct {
	// slots contains the slot of every path the connection watches. A watch that fires does not
	// look for its slot here, so some are out of date or appear twice; trim drops these.
	slots  []uint32
	live   int // paths that the connection watches
	inData int // of these, in the data table
}

// slotChunk is the number of paths in a chunk: chunks never move, so growing copies nothing.
const slotChunk = 256

// Watches knows which connections of this server wait for which changes. An event that nobody
// waits for costs one lookup, and memory goes only to what is watched: about 160 bytes for a path
// with one watcher, its name included, and 16 for each further one.
type Watches struct {
	slots  map[string]uint32
	chunks []*[slotChunk]watchedPath
	used   uint32   // slots ever handed out
	free   []uint32 // of these, the ones without watchers
	conns  map[ConnID]*watchingConn

	recursive int // recursive watches; without any, an event need not look at ancestors
	longest   int // bytes of the longest path that had one, since there was none

	dataPaths, dataConns, dataWatches int // Totals

	hits []ConnID // scratch of Trigger
}

// NewWatches returns a table without watches.
func NewWatches() *Watches {
	return &Watches{slots: make(map[string]uint32), conns: make(map[ConnID]*watchingConn)}
}

// Add registers a watch; if the connection has it already, nothing changes. The path need not
// exist nor even be one. Add keeps the string.
func (w *Watches) Add(c ConnID, path string, m Mode) {
	if c >= MaxConnID {
		panic("session: connection number does not fit a watcher")
	}
	slot := w.slot(path)
	p := w.at(slot)
	conn := w.conns[c]
	if conn == nil {
		conn = &watchingConn{}
		w.conns[c] = conn
	}
	i, found := p.find(c)
	if !found {
		p.watchers = slices.Insert(p.watchers, i, makeWatcher(c, 0))
		conn.slots = append(conn.slots, slot)
	}
	old := p.watchers[i].modes()
	p.watchers[i] |= makeWatcher(0, m)
	w.account(p, conn, old, old|m)
	if len(conn.slots) > 2*conn.live+16 {
		w.trim(c, conn)
	}
}

// slot returns the slot of path, a new one when nobody watches it.
func (w *Watches) slot(path string) uint32 {
	if slot, ok := w.slots[path]; ok {
		return slot
	}
	var slot uint32
	if n := len(w.free); n > 0 {
		slot, w.free = w.free[n-1], w.free[:n-1]
	} else {
		slot = w.used
		if slot%slotChunk == 0 {
			w.chunks = append(w.chunks, new([slotChunk]watchedPath))
		}
		w.used++
	}
	w.slots[path] = slot
	p := w.at(slot)
	p.path = path
	p.watchers = p.only[:0]
	return slot
}

func (w *Watches) at(slot uint32) *watchedPath { return &w.chunks[slot/slotChunk][slot%slotChunk] }

// release frees the slot of a path that lost its last watcher.
func (w *Watches) release(slot uint32) {
	p := w.at(slot)
	delete(w.slots, p.path)
	*p = watchedPath{}
	w.free = append(w.free, slot)
}

// account keeps every count true when a connection's modes on a path change.
func (w *Watches) account(p *watchedPath, conn *watchingConn, before, after Mode) {
	conn.live += present(after) - present(before)
	if d := present(after&PersistentRecursive) - present(before&PersistentRecursive); d != 0 {
		w.recursive += d
		if w.recursive == 0 {
			w.longest = 0
		} else {
			w.longest = max(w.longest, len(p.path))
		}
	}
	switch d := present(after&dataTable) - present(before&dataTable); {
	case d > 0:
		w.dataWatches++
		w.dataPaths += 1 - min(int(p.inData), 1)
		w.dataConns += 1 - min(conn.inData, 1)
		p.inData++
		conn.inData++
	case d < 0:
		p.inData--
		conn.inData--
		w.dataWatches--
		w.dataPaths -= 1 - min(int(p.inData), 1)
		w.dataConns -= 1 - min(conn.inData, 1)
	}
}

func present(m Mode) int {
	if m != 0 {
		return 1
	}
	return 0
}

// trim drops the slots that conn no longer watches. It costs what the watches that fired since
// the last time have saved.
func (w *Watches) trim(c ConnID, conn *watchingConn) {
	slices.Sort(conn.slots)
	conn.slots = slices.Compact(conn.slots)
	conn.slots = slices.DeleteFunc(conn.slots, func(slot uint32) bool {
		_, found := w.at(slot).find(c)
		return !found
	})
	if cap(conn.slots) > 1024 && len(conn.slots) < cap(conn.slots)/4 {
		conn.slots = slices.Clone(conn.slots)
	}
}

// Has reports whether c has a watch of type t on path.
func (w *Watches) Has(c ConnID, path string, t WatcherType) bool {
	slot, ok := w.slots[path]
	if !ok {
		return false
	}
	p := w.at(slot)
	i, found := p.find(c)
	return found && p.watchers[i].modes()&t.modes() != 0
}

// Remove takes away the watches of type t that c has on path and reports whether there were any.
// It makes no event: the client makes those itself (protocol 7.6).
func (w *Watches) Remove(c ConnID, path string, t WatcherType) bool {
	slot, ok := w.slots[path]
	if !ok {
		return false
	}
	p := w.at(slot)
	i, found := p.find(c)
	if !found {
		return false
	}
	before := p.watchers[i].modes()
	if before&t.modes() == 0 {
		return false
	}
	w.set(slot, i, before&^t.modes())
	return true
}

// set gives watcher i of a slot other modes; none removes it.
func (w *Watches) set(slot uint32, i int, after Mode) {
	p := w.at(slot)
	c := p.watchers[i].conn()
	w.account(p, w.conns[c], p.watchers[i].modes(), after)
	if after != 0 {
		p.watchers[i] = makeWatcher(c, after)
		return
	}
	p.watchers = slices.Delete(p.watchers, i, i+1)
	if len(p.watchers) == 0 {
		w.release(slot)
	}
}

// RemoveConn takes away all watches of c. It touches no path that c did not watch.
func (w *Watches) RemoveConn(c ConnID) {
	conn := w.conns[c]
	if conn == nil {
		return
	}
	for _, slot := range conn.slots {
		if i, found := w.at(slot).find(c); found {
			w.set(slot, i, 0)
		}
	}
	delete(w.conns, c)
}

// Trigger calls emit for every connection that must be told of an event on path, once for each
// and in the order of their numbers, and removes the standard watches among these. Whether the
// connection may read what it would learn is for emit to decide: a watch that is filtered is
// consumed all the same (CVE-2024-23944). path is that of a znode; emit must not use w.
//
// A txn triggers, for each change in order, first the event of the znode and then
// NodeChildrenChanged on its parent, if the change made or deleted it.
func (w *Watches) Trigger(e EventType, path []byte, emit func(c ConnID)) {
	if len(w.slots) == 0 {
		return
	}
	w.hits = w.hits[:0]
	if slot, ok := w.slots[string(path)]; ok {
		w.consume(slot, triggered(e))
	}
	if w.recursive > 0 && e != NodeChildrenChanged {
		w.fromAncestors(path)
	}
	for _, c := range w.hits {
		emit(c)
	}
}

// consume collects the watchers of a path in any of the given modes and removes the standard
// watches among these. The client that watches data and children sees one NodeDeleted, and both
// of its watches are gone.
func (w *Watches) consume(slot uint32, modes Mode) {
	p := w.at(slot)
	kept := p.watchers[:0]
	for _, v := range p.watchers {
		before := v.modes()
		if before&modes == 0 {
			kept = append(kept, v)
			continue
		}
		c := v.conn()
		w.hits = append(w.hits, c)
		after := before &^ (modes & standard)
		if after != before {
			w.account(p, w.conns[c], before, after)
		}
		if after != 0 {
			kept = append(kept, makeWatcher(c, after))
		}
	}
	p.watchers = kept
	if len(kept) == 0 {
		w.release(slot)
	}
}

// fromAncestors adds the recursive watchers of all that is above path. Ancestors longer than any
// path with a recursive watch are not looked up, so a deep znode under a watch near the root
// costs no more than a shallow one.
func (w *Watches) fromAncestors(path []byte) {
	n := len(w.hits)
	for i := 0; i < len(path) && i <= w.longest; i++ {
		if path[i] != '/' || len(path) == 1 {
			continue
		}
		slot, ok := w.slots[string(path[:max(i, 1)])]
		if !ok {
			continue
		}
		for _, v := range w.at(slot).watchers {
			if v.modes()&PersistentRecursive != 0 {
				w.hits = append(w.hits, v.conn())
			}
		}
	}
	if len(w.hits) > n {
		slices.Sort(w.hits)
		w.hits = slices.Compact(w.hits)
	}
}

// Totals counts the data table, as the command wchs shows it: the connections that watch, the
// paths that are watched, and the pairs of both.
func (w *Watches) Totals() (conns, paths, watches int) {
	return w.dataConns, w.dataPaths, w.dataWatches
}

// ByPath yields the data table path by path, for wchp. The order of paths is arbitrary, but the
// same for the same history of calls.
func (w *Watches) ByPath() iter.Seq2[string, ConnID] {
	return func(yield func(string, ConnID) bool) {
		for slot := range w.used {
			p := w.at(slot)
			for _, v := range p.watchers {
				if v.modes()&dataTable != 0 && !yield(p.path, v.conn()) {
					return
				}
			}
		}
	}
}

// ByConn yields the data table connection by connection, in the order of their numbers, for wchc.
func (w *Watches) ByConn() iter.Seq2[ConnID, string] {
	return func(yield func(ConnID, string) bool) {
		for _, c := range slices.Sorted(maps.Keys(w.conns)) {
			slots := slices.Clone(w.conns[c].slots)
			slices.Sort(slots)
			for _, slot := range slices.Compact(slots) {
				p := w.at(slot)
				i, found := p.find(c)
				if found && p.watchers[i].modes()&dataTable != 0 && !yield(c, p.path) {
					return
				}
			}
		}
	}
}

// CatchUpKind is a list of setWatches, by which a client brings its standard watches along to
// another connection.
type CatchUpKind uint8

// The lists. The persistent ones of setWatches2 are simply registered.
const (
	CatchUpData  CatchUpKind = iota // set by getData, or by exists on a znode that was there
	CatchUpExist                    // set by exists on a znode that was missing
	CatchUpChild                    // set by getChildren
)

// Mode returns the watch that is registered when nothing was missed.
func (k CatchUpKind) Mode() Mode {
	if k == CatchUpChild {
		return Child
	}
	return Data
}

// CatchUp decides what becomes of a watch that a client held while it was away: fire says that
// the event happened meanwhile and is sent at once; otherwise the watch is registered. since is
// the last zxid that the client saw; mzxid and pzxid are those of the znode, if it exists.
//
//	          missing        exists
//	data      NodeDeleted    NodeDataChanged if mzxid > since
//	exist     register       NodeCreated
//	child     NodeDeleted    NodeChildrenChanged if pzxid > since
func CatchUp(k CatchUpKind, exists bool, mzxid, pzxid, since zab.Zxid) (e EventType, fire bool) {
	switch {
	case k == CatchUpExist:
		return NodeCreated, exists
	case !exists:
		return NodeDeleted, true
	case k == CatchUpChild:
		return NodeChildrenChanged, pzxid > since
	default:
		return NodeDataChanged, mzxid > since
	}
}
