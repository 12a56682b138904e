package session

import (
	"cmp"
	"iter"
	"slices"

	"quoll/transport/wire"
	"quoll/tree/slab"
)

// ConnID numbers a client connection of this server, never reused in the life of the process.
type ConnID uint64

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

// watchedPath is a path that somebody watches. Its slot may serve another path once nobody does.
type watchedPath struct {
	text   slab.Block
	size   uint32 // bytes of text
	first  uint32 // of its watches, newest first; 0: the slot is free
	inData uint32 // watches that stand in the data table; of a free slot: the next free one
}

// watchingConn is a connection that watches something.
type watchingConn struct {
	id     ConnID
	first  uint32 // of its watches, newest first; 0: the slot is free
	inData uint32 // watches that stand in the data table; of a free slot: the next free one
}

// watch is what one connection waits for on one path. It hangs on two lists, that of its path and
// that of its connection, so that it goes from both without a search, however long they are.
type watch struct {
	path                   uint32
	connModes              uint32 // the connection's slot, and the modes in the lowest bits
	nextOfPath, prevOfPath uint32 // of a free slot: the next free one
	nextOfConn, prevOfConn uint32
}

const modeBits = 4

func (x *watch) conn() uint32 { return x.connModes >> modeBits }

func (x *watch) modes() Mode { return Mode(x.connModes) & allModes }

// Watches knows which connections of this server wait for which changes. An event that nobody
// waits for costs one lookup; a watch that is added, fires or goes costs the same however many there
// are, on its path, of its connection or in all. Memory goes only to what is watched: 37 bytes for
// a watch, 29 for each path besides its name, 29 for each connection. None of it has pointers:
// the collector would look at millions of them again and again.
type Watches struct {
	seed uint64
	gen  slab.Generation // never frozen
	text slab.Arena

	paths   slab.Table[watchedPath]
	conns   slab.Table[watchingConn]
	watches slab.Table[watch]

	byPath, byConn, byPair        slab.Index
	freePath, freeConn, freeWatch uint32

	recursive int // recursive watches; without any, an event need not look at ancestors
	longest   int // bytes of the longest path that had one, since there was none

	dataPaths, dataConns, dataWatches int // Totals

	hits []ConnID // scratch of Trigger
}

// NewWatches returns a table without watches. The seed keys the lookup of paths, so that clients
// that do not know it cannot choose paths that are slow to find. It reaches no output.
func NewWatches(seed uint64) *Watches {
	w := &Watches{
		seed: seed, gen: slab.NewGeneration(),
		byPath: slab.NewIndex(), byConn: slab.NewIndex(), byPair: slab.NewIndex(),
	}
	w.text = slab.NewArena(&w.gen)
	w.paths = slab.NewTable[watchedPath](&w.gen)
	w.conns = slab.NewTable[watchingConn](&w.gen)
	w.watches = slab.NewTable[watch](&w.gen)
	return w
}

// Add registers a watch; if the connection has it already, nothing changes. The path need not
// exist nor even be one.
func (w *Watches) Add(c ConnID, path string, m Mode) {
	p, conn := w.findPath([]byte(path)), w.findConn(c)
	if p == 0 {
		p = w.newPath(path)
	}
	if conn == 0 {
		conn = w.newConn(c)
	}
	id := w.findWatch(p, conn)
	if id == 0 {
		id = w.newWatch(p, conn)
	}
	w.set(id, w.watches.At(id).modes()|m)
}

// Has reports whether c has a watch of type t on path.
func (w *Watches) Has(c ConnID, path string, t WatcherType) bool {
	id := w.findWatch(w.findPath([]byte(path)), w.findConn(c))
	return id != 0 && w.watches.At(id).modes()&t.modes() != 0
}

// Remove takes away the watches of type t that c has on path and reports whether there were any.
// It makes no event: the client makes those itself (protocol 7.6).
func (w *Watches) Remove(c ConnID, path string, t WatcherType) bool {
	id := w.findWatch(w.findPath([]byte(path)), w.findConn(c))
	if id == 0 {
		return false
	}
	before := w.watches.At(id).modes()
	if before&t.modes() == 0 {
		return false
	}
	w.set(id, before&^t.modes())
	return true
}

// RemoveConn takes away all watches of c. It touches no path that c did not watch.
func (w *Watches) RemoveConn(c ConnID) {
	conn := w.findConn(c)
	if conn == 0 {
		return
	}
	for id := w.conns.At(conn).first; id != 0; {
		next := w.watches.At(id).nextOfConn
		w.set(id, 0)
		id = next
	}
}

// set gives a watch other modes; without any it goes, and with it a path or a connection that had
// no other.
func (w *Watches) set(id uint32, after Mode) {
	x := w.watches.Edit(id)
	w.account(w.paths.Edit(x.path), w.conns.Edit(x.conn()), x.modes(), after)
	x.connModes = x.conn()<<modeBits | uint32(after)
	if after == 0 {
		w.dropWatch(id)
	}
}

// account keeps every count true when a connection's modes on a path change.
func (w *Watches) account(p *watchedPath, conn *watchingConn, before, after Mode) {
	if d := present(after&PersistentRecursive) - present(before&PersistentRecursive); d != 0 {
		w.recursive += d
		if w.recursive == 0 {
			w.longest = 0
		} else {
			w.longest = max(w.longest, int(p.size))
		}
	}
	switch d := present(after&dataTable) - present(before&dataTable); {
	case d > 0:
		w.dataWatches++
		w.dataPaths += 1 - min(int(p.inData), 1)
		w.dataConns += 1 - min(int(conn.inData), 1)
		p.inData++
		conn.inData++
	case d < 0:
		p.inData--
		conn.inData--
		w.dataWatches--
		w.dataPaths -= 1 - min(int(p.inData), 1)
		w.dataConns -= 1 - min(int(conn.inData), 1)
	}
}

func present(m Mode) int {
	if m != 0 {
		return 1
	}
	return 0
}

// Trigger calls emit for every connection that must be told of an event on path, once for each,
// and removes the standard watches among these. Their order is the same for the same history of
// calls, no more. Whether the connection may read what it would learn is for emit to decide: a
// watch that is filtered is consumed all the same (CVE-2024-23944). path is that of a znode; emit
// must not use w.
//
// A txn triggers, for each change in order, first the event of the znode and then
// NodeChildrenChanged on its parent, if the change made or deleted it.
func (w *Watches) Trigger(e EventType, path []byte, emit func(c ConnID)) {
	if w.byPair.Len() == 0 {
		return
	}
	w.hits = w.hits[:0]
	if p := w.findPath(path); p != 0 {
		w.consume(p, triggered(e))
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
func (w *Watches) consume(p uint32, modes Mode) {
	for id := w.paths.At(p).first; id != 0; {
		x := w.watches.At(id)
		next := x.nextOfPath
		if before := x.modes(); before&modes != 0 {
			w.hits = append(w.hits, w.conns.At(x.conn()).id)
			if after := before &^ (modes & standard); after != before {
				w.set(id, after)
			}
		}
		id = next
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
		p := w.findPath(path[:max(i, 1)])
		if p == 0 {
			continue
		}
		for id := w.paths.At(p).first; id != 0; id = w.watches.At(id).nextOfPath {
			if x := w.watches.At(id); x.modes()&PersistentRecursive != 0 {
				w.hits = append(w.hits, w.conns.At(x.conn()).id)
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

// ByPath yields the data table path by path, for wchp. The order is arbitrary, but the same for
// the same history of calls.
func (w *Watches) ByPath() iter.Seq2[string, ConnID] {
	return func(yield func(string, ConnID) bool) {
		for slot := uint32(1); slot < w.paths.Len(); slot++ {
			p := w.paths.At(slot)
			path := string(w.text.Bytes(p.text, int(p.size)))
			for id := p.first; id != 0; id = w.watches.At(id).nextOfPath {
				x := w.watches.At(id)
				if x.modes()&dataTable != 0 && !yield(path, w.conns.At(x.conn()).id) {
					return
				}
			}
		}
	}
}

// ByConn yields the data table connection by connection, in the order of their numbers, for wchc.
func (w *Watches) ByConn() iter.Seq2[ConnID, string] {
	return func(yield func(ConnID, string) bool) {
		var conns []*watchingConn
		for slot := uint32(1); slot < w.conns.Len(); slot++ {
			if c := w.conns.At(slot); c.first != 0 {
				conns = append(conns, c)
			}
		}
		slices.SortFunc(conns, func(a, b *watchingConn) int { return cmp.Compare(a.id, b.id) })
		for _, c := range conns {
			for id := c.first; id != 0; id = w.watches.At(id).nextOfConn {
				x := w.watches.At(id)
				p := w.paths.At(x.path)
				if x.modes()&dataTable != 0 && !yield(c.id, string(w.text.Bytes(p.text, int(p.size)))) {
					return
				}
			}
		}
	}
}
