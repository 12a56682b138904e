package tree

import (
	"quoll/transport/wire"
	"quoll/zab"
)

// Result is what a server needs to know of an applied txn: the reply, if the session is connected
// here, and the changes that watches are told of. Apply resets and refills it, so one can serve
// for ever without allocating. Paths alias the txn's bytes, lists belong to the tree and never
// change; both may be kept as long as those.
type Result struct {
	Header
	Zxid zab.Zxid
	Code wire.Code // of the reply's header: OK for a multi of which an op failed
	Path []byte    // of a create, delete, setData or setACL: the znode's; a create's with its number
	Stat wire.Stat // of that znode after the txn; zero for a delete
	Ops  []OpResult

	Changes []Change
	Opened  zab.SessionID // createSession: the new session, whose record is Session
	Closed  zab.SessionID // closeSession: the session that is gone
	Session Session
}

// OpResult is the outcome of one op of a multi.
type OpResult struct {
	Op   wire.Op   // type of the reply: every create but OpCreate is answered as OpCreate2; OpError
	Code wire.Code // for OpError; OK in front of the op that failed
	Path []byte
	Stat wire.Stat // as it was after this op
}

// ChangeType says what happened to a znode. The values are those of the watch events.
type ChangeType uint8

// The changes that watches are told of. A change of an access control list is none of them.
const (
	Created     ChangeType = 1
	Deleted     ChangeType = 2
	DataChanged ChangeType = 3
)

// Change is one znode's change, in the order in which it happened. The lists decide who may hear
// of it (CVE-2024-23944): that of the znode, also of one that is gone, and for Created and
// Deleted that of its parent.
type Change struct {
	Type      ChangeType
	Path      []byte
	ACL       []wire.ACL
	ParentACL []wire.ACL
}

// keptResults is how much memory a Result keeps, in ops and in changes: one of a hundred thousand must
// not stay, nor the txn that it points into.
const keptResults = 1024

// Reset empties r and keeps its memory, unless that is much.
func (r *Result) Reset() {
	ops, changes := r.Ops[:0], r.Changes[:0]
	if cap(ops) > keptResults {
		ops = nil
	}
	if cap(changes) > keptResults {
		changes = nil
	}
	*r = Result{Ops: ops, Changes: changes}
}
