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
	NewConfigNoQuorum       Code = -13
	ReconfigInProgress      Code = -14
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
	EphemeralOnLocalSession Code = -120
	NoWatcher               Code = -121
	ReconfigDisabled        Code = -123
	SessionClosedNoAuth     Code = -124
	QuotaExceeded           Code = -125
	ThrottledOp             Code = -127
)

var codeTexts = map[Code]string{
	OK: "ok", SystemError: "system error", RuntimeInconsistency: "runtime inconsistency",
	MarshallingError: "marshalling error", Unimplemented: "unimplemented", BadArguments: "bad arguments",
	NewConfigNoQuorum:  "no quorum of the new configuration is connected",
	ReconfigInProgress: "another reconfig is in progress",
	NoNode:             "no node", NoAuth: "not authorized", BadVersion: "bad version",
	NoChildrenForEphemerals: "ephemerals cannot have children", NodeExists: "node exists",
	NotEmpty: "node has children", SessionExpired: "session expired", InvalidACL: "invalid ACL",
	AuthFailed: "authentication failed", SessionMoved: "session moved", NotReadOnly: "not a read-only call",
	EphemeralOnLocalSession: "a local session cannot own ephemerals",
	NoWatcher:               "no such watch", ReconfigDisabled: "reconfig is disabled",
	SessionClosedNoAuth: "the server requires authentication",
	QuotaExceeded:       "quota exceeded", ThrottledOp: "throttled",
}

// Error implements error; OK is not an error and must not be returned as one.
func (c Code) Error() string {
	if s, ok := codeTexts[c]; ok {
		return s
	}
	return "zookeeper error " + strconv.Itoa(int(c))
}

var codeNames = map[Code]string{
	OK: "Ok", SystemError: "SystemError", RuntimeInconsistency: "RuntimeInconsistency",
	MarshallingError: "MarshallingError", Unimplemented: "Unimplemented", BadArguments: "BadArguments",
	NewConfigNoQuorum: "NewConfigNoQuorum", ReconfigInProgress: "ReconfigInProgress",
	NoNode: "NoNode", NoAuth: "NoAuth", BadVersion: "BadVersion",
	NoChildrenForEphemerals: "NoChildrenForEphemerals", NodeExists: "NodeExists", NotEmpty: "NotEmpty",
	SessionExpired: "SessionExpired", InvalidACL: "InvalidACL", AuthFailed: "AuthFailed",
	SessionMoved: "SessionMoved", NotReadOnly: "NotReadOnly",
	EphemeralOnLocalSession: "EphemeralOnLocalSession", NoWatcher: "NoWatcher",
	ReconfigDisabled: "ReconfigDisabled", SessionClosedNoAuth: "SessionClosedRequireAuth",
	QuotaExceeded: "QuotaExceeded", ThrottledOp: "ThrottledOp",
}

// Name returns ZooKeeper's name of the code, such as NoNode: for traces and machine-readable
// output, where Error is for people.
func (c Code) Name() string {
	if s, ok := codeNames[c]; ok {
		return s
	}
	return "Code" + strconv.Itoa(int(c))
}
