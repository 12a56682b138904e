package check

import (
	"github.com/anishathalye/porcupine"

	"quoll/jepsen/history"
	"quoll/transport/wire"
)

// access is an operation as the specification of a znode takes it, or the end of the history.
type access struct {
	*history.Operation
	open bool   // it has no answer
	nth  int    // among those without an answer that are alike, by call
	data string // what it writes, as mark has it
	end  bool
}

// znode is the state of one path, with what keeps a search short.
type znode struct {
	exists  bool
	data    string
	version int32

	// over: the end has come, and with it the place of all that never took effect. Until then an
	// operation without an answer is only put where it does something; otherwise a search would try
	// all the places where it does not matter.
	over bool
	// used counts the operations without an answer that took effect, among those that are alike. If
	// any did, then the ones called first can as well have been them, in the order of their calls.
	used [numAlike]int
}

// alike sorts operations without an answer that are the same to everybody.
type alike uint8

const (
	alikeCreate alike = iota
	alikeSet
	alikeDelete
	numAlike
	unlike
)

func (o *access) alike() alike {
	switch {
	case o.data != "" && o.Op.Kind != wire.OpDelete:
		return unlike
	case o.Op.Kind == wire.OpCreate || o.Op.Kind == wire.OpCreate2:
		return alikeCreate
	case o.Op.Version != wire.AnyVersion:
		return unlike
	case o.Op.Kind == wire.OpSetData:
		return alikeSet
	case o.Op.Kind == wire.OpDelete:
		return alikeDelete
	default:
		return unlike
	}
}

// mark tells null data from empty ones, and both from nothing.
func mark(b []byte) string {
	if b == nil {
		return "null"
	}
	return "=" + string(b)
}

// znodeModel is the sequential specification. Its znode does not exist in the beginning.
var znodeModel = porcupine.Model{
	Init:  func() any { return znode{} },
	Step:  func(state, input, _ any) (bool, any) { return step(state.(znode), input.(access)) },
	Equal: func(a, b any) bool { return a == b },
}

// step applies an operation where it is put.
func step(n znode, o access) (bool, znode) {
	switch {
	case o.end:
		n.over = true
		return true, n
	case n.over: // what has an answer is behind us
		return true, n
	case o.open:
		return openStep(n, o)
	case !o.Op.IsWrite():
		return n.shows(o.Operation), n
	case o.Result.Code != wire.OK:
		return n.allows(o.Operation), n
	}
	code, next := n.write(&o)
	sameVersion := o.Op.Kind != wire.OpSetData || next.version == o.Result.Stat.Version
	return code == wire.OK && sameVersion, next
}

func openStep(n znode, o access) (bool, znode) {
	code, next := n.write(&o)
	if code != wire.OK {
		return false, n
	}
	if kind := o.alike(); kind < numAlike {
		if o.nth != n.used[kind] {
			return false, n
		}
		next.used[kind]++
	}
	return true, next
}

// write returns the outcome of a write and the state behind it.
func (n znode) write(o *access) (wire.Code, znode) {
	next := n
	switch kind := o.Op.Kind; {
	case kind == wire.OpCreate || kind == wire.OpCreate2:
		if n.exists {
			return wire.NodeExists, n
		}
		next.exists, next.data, next.version = true, o.data, 0
	case !n.exists:
		return wire.NoNode, n
	case o.Op.Version != wire.AnyVersion && o.Op.Version != n.version:
		return wire.BadVersion, n
	case kind == wire.OpDelete:
		next.exists, next.data, next.version = false, "", 0
	default:
		next.data, next.version = o.data, n.version+1
	}
	return wire.OK, next
}

// allows reports whether a write can have failed as it did. What depends on more than the znode,
// as its parent, its children, its list or the session, can always be.
func (n znode) allows(o *history.Operation) bool {
	create := o.Op.Kind == wire.OpCreate || o.Op.Kind == wire.OpCreate2
	switch o.Result.Code {
	case wire.NodeExists:
		return n.exists
	case wire.NoNode:
		return create || !n.exists
	case wire.BadVersion:
		return n.exists && n.version != o.Op.Version
	case wire.NotEmpty:
		return n.exists
	default:
		return true
	}
}

// shows reports whether a read can have the answer that it had.
func (n znode) shows(o *history.Operation) bool {
	switch o.Result.Code {
	case wire.OK:
		return n.exists && n.version == o.Result.Stat.Version && (o.Op.Kind == wire.OpExists || n.data == mark(o.Result.Data))
	case wire.NoNode:
		return !n.exists
	default:
		return true
	}
}
