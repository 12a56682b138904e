package wire

import "strconv"

// Op is the type of a client request.
type Op int32

// The operations of ZooKeeper's client protocol.
const (
	OpNotification         Op = 0
	OpCreate               Op = 1
	OpDelete               Op = 2
	OpExists               Op = 3
	OpGetData              Op = 4
	OpSetData              Op = 5
	OpGetACL               Op = 6
	OpSetACL               Op = 7
	OpGetChildren          Op = 8
	OpSync                 Op = 9
	OpPing                 Op = 11
	OpGetChildren2         Op = 12
	OpCheck                Op = 13
	OpMulti                Op = 14
	OpCreate2              Op = 15
	OpReconfig             Op = 16
	OpCheckWatches         Op = 17
	OpRemoveWatches        Op = 18
	OpCreateContainer      Op = 19
	OpDeleteContainer      Op = 20
	OpCreateTTL            Op = 21
	OpMultiRead            Op = 22
	OpAuth                 Op = 100
	OpSetWatches           Op = 101
	OpSASL                 Op = 102
	OpGetEphemerals        Op = 103
	OpGetAllChildrenNumber Op = 104
	OpSetWatches2          Op = 105
	OpAddWatch             Op = 106
	OpWhoAmI               Op = 107
	OpCreateSession        Op = -10
	OpCloseSession         Op = -11
	OpError                Op = -1
)

// String returns the name that ZooKeeper's documentation uses.
func (o Op) String() string {
	switch o {
	case OpNotification:
		return "notification"
	case OpCreate:
		return "create"
	case OpDelete:
		return "delete"
	case OpExists:
		return "exists"
	case OpGetData:
		return "getData"
	case OpSetData:
		return "setData"
	case OpGetACL:
		return "getACL"
	case OpSetACL:
		return "setACL"
	case OpGetChildren:
		return "getChildren"
	case OpSync:
		return "sync"
	case OpPing:
		return "ping"
	case OpGetChildren2:
		return "getChildren2"
	case OpCheck:
		return "check"
	case OpMulti:
		return "multi"
	case OpCreate2:
		return "create2"
	case OpReconfig:
		return "reconfig"
	case OpCheckWatches:
		return "checkWatches"
	case OpRemoveWatches:
		return "removeWatches"
	default:
		return o.newerName()
	}
}

// newerName names what ZooKeeper 3.5.1 and later added, and the operations without a client.
func (o Op) newerName() string {
	switch o {
	case OpCreateContainer:
		return "createContainer"
	case OpDeleteContainer:
		return "deleteContainer"
	case OpCreateTTL:
		return "createTTL"
	case OpMultiRead:
		return "multiRead"
	case OpAuth:
		return "auth"
	case OpSetWatches:
		return "setWatches"
	case OpSASL:
		return "sasl"
	case OpGetEphemerals:
		return "getEphemerals"
	case OpGetAllChildrenNumber:
		return "getAllChildrenNumber"
	case OpSetWatches2:
		return "setWatches2"
	case OpAddWatch:
		return "addWatch"
	case OpWhoAmI:
		return "whoAmI"
	case OpCreateSession:
		return "createSession"
	case OpCloseSession:
		return "closeSession"
	case OpError:
		return "error"
	default:
		return "op " + strconv.Itoa(int(o))
	}
}

// IsWrite reports whether a client's request of this type becomes a txn. closeSession does too,
// but ends the connection and is told apart by every caller. deleteContainer does not: it bypasses
// ACLs, so only the leader's own reaper may ask for it and a client's is refused. check is only a
// part of a multi.
func (o Op) IsWrite() bool {
	switch o {
	case OpCreate, OpCreate2, OpCreateContainer, OpCreateTTL, OpDelete, OpSetData, OpSetACL,
		OpMulti, OpReconfig:
		return true
	default:
		return false
	}
}

// IsRead reports whether a client's request of this type is answered from the state of the server
// it is connected to, the connection's watches included. sync is neither a read nor a write.
func (o Op) IsRead() bool {
	switch o {
	case OpExists, OpGetData, OpGetACL, OpGetChildren, OpGetChildren2, OpGetEphemerals,
		OpGetAllChildrenNumber, OpMultiRead, OpAddWatch, OpCheckWatches, OpRemoveWatches,
		OpSetWatches, OpSetWatches2, OpWhoAmI:
		return true
	default:
		return false
	}
}

// Known reports whether a client may send a request of this type. Any other is answered
// Unimplemented, and the connection closed.
func (o Op) Known() bool {
	switch o {
	case OpSync, OpPing, OpAuth, OpSASL, OpCloseSession:
		return true
	default:
		return o.IsWrite() || o.IsRead()
	}
}
