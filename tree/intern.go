package tree

import (
	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/tree/slab"
)

// aclID names an interned access control list; 0 names none.
type aclID uint32

// aclEntry is one list that znodes share. It never changes, so what is read from it may be kept.
type aclEntry struct {
	acls []wire.ACL
	raw  string // the encoded vector, which is its identity
	hash uint64 // of raw, for the digest
}

// aclStore holds each distinct list once. Txns and znodes on the wire carry lists by value, so an
// id means nothing outside of one tree (ZOOKEEPER-4846).
type aclStore struct {
	entries slab.Table[aclEntry]
	refs    []uint32 // znodes with the list, by id
	byRaw   map[string]aclID
	free    []aclID
	hosts   int // lists that name a host, in use
}

func newACLStore(gen *slab.Generation) aclStore {
	return aclStore{entries: slab.NewTable[aclEntry](gen), refs: make([]uint32, 1), byRaw: map[string]aclID{}}
}

func (s *aclStore) at(id aclID) *aclEntry { return s.entries.At(uint32(id)) }

// intern returns the id of an encoded list, counting one more znode that has it.
func (s *aclStore) intern(raw []byte) aclID {
	id, ok := s.byRaw[string(raw)]
	if !ok {
		id = s.add(string(raw))
	}
	s.refs[id]++
	return id
}

func (s *aclStore) add(raw string) aclID {
	d := jute.NewDecoder([]byte(raw))
	entry := aclEntry{acls: wire.DecodeACLs(&d), raw: raw, hash: slab.Hash(seedACL, []byte(raw))}
	if d.Err() != nil || d.Len() != 0 {
		panic("tree: an access control list that no txn can hold")
	}
	var id aclID
	if n := len(s.free); n > 0 {
		id, s.free = s.free[n-1], s.free[:n-1]
	} else {
		id = aclID(s.entries.Extend())
		s.refs = append(s.refs, 0)
	}
	*s.entries.Edit(uint32(id)) = entry
	s.byRaw[raw] = id
	if namesHost(entry.acls) {
		s.hosts++
	}
	return id
}

// release undoes one intern; a list that no znode has any more is forgotten.
func (s *aclStore) release(id aclID) {
	if s.refs[id]--; s.refs[id] > 0 {
		return
	}
	entry := s.entries.Edit(uint32(id))
	if namesHost(entry.acls) {
		s.hosts--
	}
	delete(s.byRaw, entry.raw)
	*entry = aclEntry{}
	s.free = append(s.free, id)
}

func namesHost(acls []wire.ACL) bool {
	for i := range acls {
		if acls[i].Scheme == schemeHost {
			return true
		}
	}
	return false
}
