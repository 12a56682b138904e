package tree

import (
	"cmp"
	"slices"

	"quoll/tree/slab"
	"quoll/zab"
)

// Session is what is replicated of a client session. Its owner and its deadline are not: only the
// leader knows them, and a new leader starts them anew (R25).
type Session struct {
	ID             zab.SessionID
	TimeoutMs      int32
	Password       [16]byte
	Last           zab.RequestID // of the session's last txn that had one
	Ephemerals     int
	EphemeralBytes int // what they take in the txn that closes the session (R30)
}

// sessionID is an index into the session table; 0 names none.
type sessionID = uint32

// session is the compact record of a session. Its ephemerals hang on a list, newest first, whose
// links are in the kin of the znodes.
type session struct {
	id         zab.SessionID
	last       zab.RequestID
	password   [16]byte
	timeoutMs  int32
	first      NodeID // newest ephemeral; of a free slot: the next free one
	ephemerals uint32
	bytes      uint32 // of closeSession's list of paths
}

// pathBytes is what a path of n bytes takes in closeSession's list.
func pathBytes(n int) int { return 4 + n }

type sessionTable struct {
	slots slab.Table[session]
	byID  map[zab.SessionID]sessionID
	free  sessionID
}

func newSessionTable(gen *slab.Generation) sessionTable {
	return sessionTable{slots: slab.NewTable[session](gen), byID: map[zab.SessionID]sessionID{}}
}

// add registers a session whose id is new.
func (s *sessionTable) add(rec session) sessionID {
	i := s.free
	if i != 0 {
		s.free = sessionID(s.slots.At(i).first)
	} else {
		i = s.slots.Extend()
	}
	*s.slots.Edit(i) = rec
	s.byID[rec.id] = i
	return i
}

// remove forgets a session, which has no ephemerals any more.
func (s *sessionTable) remove(i sessionID) {
	rec := s.slots.Edit(i)
	delete(s.byID, rec.id)
	*rec = session{first: NodeID(s.free)}
	s.free = i
}

// own puts an ephemeral on its session's list.
func (t *Tree) own(id NodeID, pathLen int) {
	k := t.editKin(id)
	s := t.sessions.slots.Edit(t.sessions.byID[k.owner])
	k.first, k.children = s.first, 0
	if s.first != 0 {
		t.editKin(s.first).children = uint32(id)
	}
	s.first = id
	s.ephemerals++
	s.bytes += uint32(pathBytes(pathLen))
	t.ephemerals++
}

// disown takes an ephemeral off its session's list.
func (t *Tree) disown(id NodeID, pathLen int) {
	k := t.kin(t.at(id))
	s := t.sessions.slots.Edit(t.sessions.byID[k.owner])
	next, prev := k.first, NodeID(k.children)
	if prev != 0 {
		t.editKin(prev).first = next
	} else {
		s.first = next
	}
	if next != 0 {
		t.editKin(next).children = uint32(prev)
	}
	s.ephemerals--
	s.bytes -= uint32(pathBytes(pathLen))
	t.ephemerals--
}

// Session returns the record of a session, false when there is none.
func (t *Tree) Session(id zab.SessionID) (Session, bool) {
	i, ok := t.sessions.byID[id]
	if !ok {
		return Session{}, false
	}
	return t.sessions.slots.At(i).public(), true
}

func (s *session) public() Session {
	return Session{
		ID: s.id, TimeoutMs: s.timeoutMs, Password: s.password, Last: s.last,
		Ephemerals: int(s.ephemerals), EphemeralBytes: int(s.bytes),
	}
}

// SessionCount returns the number of sessions.
func (t *Tree) SessionCount() int { return len(t.sessions.byID) }

// EachSession calls f with every session, by ascending id, until f returns false. f must not keep
// the pointer. It allocates; it is for a new leader and for reports.
func (t *Tree) EachSession(f func(*Session) bool) {
	ids := make([]sessionID, 0, len(t.sessions.byID))
	for i := sessionID(1); i < t.sessions.slots.Len(); i++ {
		if t.sessions.slots.At(i).id != 0 {
			ids = append(ids, i)
		}
	}
	slices.SortFunc(ids, func(a, b sessionID) int {
		return cmp.Compare(t.sessions.slots.At(a).id, t.sessions.slots.At(b).id)
	})
	for _, i := range ids {
		if s := t.sessions.slots.At(i).public(); !f(&s) {
			return
		}
	}
}

// EachEphemeral calls f with the paths of a session's ephemerals, in no particular order, until f
// returns false. A path dies with its call.
func (t *Tree) EachEphemeral(id zab.SessionID, f func(path []byte) bool) {
	i, ok := t.sessions.byID[id]
	if !ok {
		return
	}
	var path []byte
	for n := t.sessions.slots.At(i).first; n != 0; n = t.kin(t.at(n)).first {
		if path = t.AppendPath(n, path[:0]); !f(path) {
			return
		}
	}
}
