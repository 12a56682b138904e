package tree

import (
	"slices"

	"quoll/transport/wire"
	"quoll/tree/slab"
	"quoll/zab"
)

// Pending is what the leader has proposed and its tree has not applied yet: an overlay on the
// tree, against which the next request is prepared. It holds the state of a znode or a session
// after the last txn that changed it, whole and not as a difference, so an entry stays right while
// the tree below it catches up. It dies with the leader's role.
type Pending struct {
	tree     *Tree
	nodes    []pendingNode     // slab; 0 is none
	byPath   map[uint64]uint32 // path hash → head of a chain in nodes
	free     uint32
	sessions map[zab.SessionID]*pendingSession

	// queue says in zxid order which txn touched what, for Committed; done of them are forgotten.
	queue []touched
	done  int

	undoNodes    []undoNode // of the txn being prepared
	undoSessions []undoSession

	current preparation

	ops  []request // of the multi being prepared
	path []byte    // with its number, of the create being prepared
	acl  []byte    // encoded, of the op being prepared
}

// preparation is what holds for all ops of the txn being prepared.
type preparation struct {
	zxid    zab.Zxid
	nowMs   int64
	session zab.SessionID
	auth    []zab.AuthID
}

// nodeState is what checks need to know of a znode.
type nodeState struct {
	exists   bool
	owner    zab.SessionID
	mtime    int64
	acl      []wire.ACL
	version  int32
	aversion int32
	creates  int32
	children int32
}

type pendingNode struct {
	path  []byte // its memory is kept when the slot is reused
	hash  uint64
	next  uint32 // in the chain, or the next free slot
	last  zab.Zxid
	state nodeState
}

type pendingSession struct {
	last    zab.Zxid
	exists  bool
	closing bool // R26
	bytes   int  // of the closeSession that would name all its ephemerals
	// created names entries of the overlay in which the session created an ephemeral. They may have
	// been dropped or serve another path by now: see owns.
	created []uint32
}

// touched is an entry of the queue: of a znode when node is not 0, of a session otherwise.
type touched struct {
	zxid    zab.Zxid
	node    uint32
	session zab.SessionID
}

type undoNode struct {
	node  uint32
	last  zab.Zxid // 0: the entry is new
	state nodeState
}

type undoSession struct {
	id    zab.SessionID
	fresh bool
	old   pendingSession
}

// NewPending starts with nothing outstanding. The tree must stand at the end of the history that
// the leader continues.
func NewPending(t *Tree) *Pending {
	return &Pending{
		tree:     t,
		nodes:    make([]pendingNode, 1),
		byPath:   map[uint64]uint32{},
		sessions: map[zab.SessionID]*pendingSession{},
	}
}

// Committed forgets what txns up to z did. Call it when the tree has applied them.
func (p *Pending) Committed(z zab.Zxid) {
	if z > p.tree.applied {
		panic("tree: the overlay cannot forget what the tree has not applied")
	}
	for p.done < len(p.queue) && p.queue[p.done].zxid <= z {
		switch e := &p.queue[p.done]; {
		case e.node == 0:
			if s := p.sessions[e.session]; s != nil && s.last == e.zxid {
				delete(p.sessions, e.session)
			}
		case p.nodes[e.node].last == e.zxid:
			p.drop(e.node)
		}
		p.done++
	}
	if p.done*2 >= len(p.queue) {
		n := copy(p.queue, p.queue[p.done:])
		p.queue, p.done = p.queue[:n], 0
	}
}

// node returns the state of a znode after everything prepared so far.
func (p *Pending) node(path []byte) nodeState {
	var s nodeState
	if i := p.find(path, p.hash(path)); i != 0 {
		s = p.nodes[i].state
	} else if id, ok := p.tree.Lookup(path); ok {
		s = p.tree.state(id)
	}
	if kindOf(s.owner) == ephemeral && p.closes(s.owner) {
		return nodeState{}
	}
	return s
}

// closes reports whether the close of a session is on the way. All its ephemerals go with it.
func (p *Pending) closes(id zab.SessionID) bool {
	s := p.sessions[id]
	return s != nil && s.closing
}

// state returns what checks need to know of a znode.
func (t *Tree) state(id NodeID) nodeState {
	n := t.at(id)
	k := t.kin(n)
	return nodeState{
		exists: true, owner: k.owner, mtime: n.mtime, acl: t.acls.at(n.acl).acls,
		version: n.version, aversion: n.aversion, creates: k.creates, children: k.numChildren(),
	}
}

// reapable reports whether a container or a znode with a time to live may go.
func (s nodeState) reapable(nowMs, neverUsedMs int64) bool {
	if s.children != 0 {
		return false
	}
	idleMs := nowMs - s.mtime
	switch kindOf(s.owner) {
	case container:
		return s.creates > 0 || neverUsedMs > 0 && idleMs > neverUsedMs
	case expiring:
		return idleMs > ttlMs(s.owner)
	default:
		return false
	}
}

func (p *Pending) hash(path []byte) uint64 { return slab.Hash(p.tree.options.HashSeed, path) }

func (p *Pending) find(path []byte, hash uint64) uint32 {
	i := p.byPath[hash]
	for i != 0 && string(p.nodes[i].path) != string(path) {
		i = p.nodes[i].next
	}
	return i
}

// setNode makes s the state of a znode after the txn being prepared and returns its entry.
func (p *Pending) setNode(path []byte, s nodeState) uint32 {
	hash := p.hash(path)
	i := p.find(path, hash)
	if i == 0 {
		i = p.add(path, hash)
	}
	e := &p.nodes[i]
	if e.last != p.current.zxid {
		p.undoNodes = append(p.undoNodes, undoNode{node: i, last: e.last, state: e.state})
		p.queue = append(p.queue, touched{zxid: p.current.zxid, node: i})
		e.last = p.current.zxid
	}
	e.state = s
	return i
}

func (p *Pending) add(path []byte, hash uint64) uint32 {
	i := p.free
	if i != 0 {
		p.free = p.nodes[i].next
	} else {
		i = uint32(len(p.nodes))
		p.nodes = append(p.nodes, pendingNode{})
	}
	e := &p.nodes[i]
	*e = pendingNode{path: append(e.path[:0], path...), hash: hash, next: p.byPath[hash]}
	p.byPath[hash] = i
	return i
}

// drop takes an entry out of its chain.
func (p *Pending) drop(i uint32) {
	e := &p.nodes[i]
	if head := p.byPath[e.hash]; head != i {
		for p.nodes[head].next != i {
			head = p.nodes[head].next
		}
		p.nodes[head].next = e.next
	} else if e.next != 0 {
		p.byPath[e.hash] = e.next
	} else {
		delete(p.byPath, e.hash)
	}
	const keepPath = 4096 // one huge path must not stay for ever
	if cap(e.path) > keepPath {
		e.path = nil
	}
	*e = pendingNode{path: e.path[:0], next: p.free}
	p.free = i
}

// session returns the state of a session after everything prepared so far.
func (p *Pending) session(id zab.SessionID) pendingSession {
	if s := p.sessions[id]; s != nil {
		return *s
	}
	i, ok := p.tree.sessions.byID[id]
	if !ok {
		return pendingSession{}
	}
	return pendingSession{exists: true, bytes: int(p.tree.sessions.slots.At(i).bytes)}
}

// Alive reports whether a session may write: it exists and its close is not on the way (R26).
func (p *Pending) Alive(id zab.SessionID) bool {
	if s := p.sessions[id]; s != nil {
		return s.exists && !s.closing
	}
	return p.tree.sessions.byID[id] != 0
}

func (p *Pending) setSession(id zab.SessionID, s pendingSession) {
	e := p.sessions[id]
	fresh := e == nil
	if fresh {
		e = &pendingSession{}
		p.sessions[id] = e
	}
	if e.last != p.current.zxid {
		p.undoSessions = append(p.undoSessions, undoSession{id: id, fresh: fresh, old: *e})
		p.queue = append(p.queue, touched{zxid: p.current.zxid, session: id})
	}
	s.last = p.current.zxid
	*e = s
}

// owns reports whether an entry of the overlay is an ephemeral of a session.
func (p *Pending) owns(id zab.SessionID, node uint32) bool {
	e := &p.nodes[node]
	return e.last != 0 && e.state.exists && e.state.owner == id
}

// addCreated notes an ephemeral. When the list is full it is pruned first, into new memory, since
// an undo may hold the old: a session that never rests must not grow it for ever.
func (p *Pending) addCreated(id zab.SessionID, created []uint32, node uint32) []uint32 {
	if len(created) == cap(created) {
		pruned := make([]uint32, 0, len(created))
		for _, n := range created {
			if p.owns(id, n) {
				pruned = append(pruned, n)
			}
		}
		slices.Sort(pruned)
		created = slices.Compact(pruned)
	}
	return append(created, node)
}

// begin starts a txn: what follows can be undone until the next one begins.
func (p *Pending) begin(c preparation) {
	p.current = c
	p.undoNodes = p.undoNodes[:0]
	p.undoSessions = p.undoSessions[:0]
}

// rollback takes back everything since begin. The queue keeps its entries: no entry of the overlay
// has their zxid any more, so Committed passes over them.
func (p *Pending) rollback() {
	for _, u := range p.undoNodes {
		if u.last == 0 {
			p.drop(u.node)
			continue
		}
		e := &p.nodes[u.node]
		e.last, e.state = u.last, u.state
	}
	for _, u := range p.undoSessions {
		if u.fresh {
			delete(p.sessions, u.id)
			continue
		}
		*p.sessions[u.id] = u.old
	}
	p.undoNodes = p.undoNodes[:0]
	p.undoSessions = p.undoSessions[:0]
}
