package history

import (
	"quoll/transport/wire"
	"quoll/zab"
)

// Op is a request as its client means it. Kind says which fields count.
type Op struct {
	Kind    wire.Op
	Path    string
	Data    []byte          // creates, setData; nil is null
	Version int32           // delete, setData, setACL, check
	Mode    wire.CreateMode // creates
	TTLMs   int64           // createTTL
	ACL     []wire.ACL      // creates, setACL
	Watch   bool            // exists, getData, getChildren, getChildren2: leave a watch

	WatchMode int32    // addWatch
	Ops       []Op     // multi, multiRead
	Rewatch   *Rewatch // setWatches2
	TimeoutMs int32    // createSession
	Password  []byte   // createSession
}

// Rewatch is what a client that comes back tells of its watches.
type Rewatch struct {
	SinceZxid                              int64 // the last that it has seen
	Data, Exist, Child, Persistent, Recurs []string
}

// Result is what came back for an Op, or what should have.
type Result struct {
	Code     wire.Code
	Path     string // creates, sync
	Data     []byte // getData
	Stat     wire.Stat
	ACL      []wire.ACL
	Children []string // in any order
	Count    int32    // getAllChildrenNumber
	Results  []Result // multi, multiRead: one per op, Kind of a failed one is OpError
	Kind     wire.Op  // in Results: of the result
}

// IsWrite reports whether the op takes a txn.
func (o *Op) IsWrite() bool {
	switch o.Kind {
	case wire.OpCreateSession, wire.OpCloseSession:
		return true
	default:
		return o.Kind.IsWrite()
	}
}

// Commit is an entry of the committed sequence, as far as a recorder can see it: a simulation sees
// all of it, a recorder of real processes none.
type Commit struct {
	Zxid    zab.Zxid
	Session zab.SessionID // whose request it carries out, or who is opened or closed
	Xid     zab.Xid       // 0: of no client: an expiry, the removal of a container
	TimeMs  int64         // the leader's clock, as data
	Op      Op            // what was asked
	Auth    []zab.AuthID  // of the connection that asked
	Code    wire.Code     // outcome as the server has it in its history
	Refused int           // the how manieth op of a multi the server had no room for; 0: none
}
