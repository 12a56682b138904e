package wire

import "strconv"

// Code is the outcome of a client request, replicated in txns and sent in replies. The values
// are ZooKeeper's; clients fail on any other, so none is ever invented.
type Code int32

// The codes a server sends.
const (
	OK                      Code = 0
	SystemError             Code = -1
	RuntimeInconsistency    Code = -2
	MarshallingError        Code = -5
	Unimplemented           Code = -6
	BadArguments            Code = -8
	NoNode                  Code = -101
	NoAuth                  Code = -102
	BadVersion              Code = -103
	NoChildrenForEphemerals Code = -108
	NodeExists              Code = -110
	NotEmpty                Code = -111
	SessionExpired          Code = -112
	InvalidACL              Code = -114
	AuthFailed              Code = -115
	SessionMoved            Code = -118
	NotReadOnly             Code = -119
	NoWatcher               Code = -121
	ReconfigDisabled        Code = -123
	QuotaExceeded           Code = -125
	ThrottledOp             Code = -127
)

var codeNames = map[Code]string{
	OK: "ok", SystemError: "system error", RuntimeInconsistency: "runtime inconsistency",
	MarshallingError: "marshalling error", Unimplemented: "unimplemented", BadArguments: "bad arguments",
	NoNode: "no node", NoAuth: "not authorized", BadVersion: "bad version",
	NoChildrenForEphemerals: "ephemerals cannot have children", NodeExists: "node exists",
	NotEmpty: "node has children", SessionExpired: "session expired", InvalidACL: "invalid ACL",
	AuthFailed: "authentication failed", SessionMoved: "session moved", NotReadOnly: "not a read-only call",
	NoWatcher: "no such watch", ReconfigDisabled: "reconfig is disabled",
	QuotaExceeded: "quota exceeded", ThrottledOp: "throttled",
}

// Error implements error; OK is not an error and must not be returned as one.
func (c Code) Error() string {
	if s, ok := codeNames[c]; ok {
		return s
	}
	return "zookeeper error " + strconv.Itoa(int(c))
}
