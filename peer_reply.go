package quoll

import (
	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/tree"
)

// appendResult appends the body of the reply to a write that succeeded (3.3).
func appendResult(b []byte, r *tree.Result) []byte {
	switch r.Op {
	case wire.OpCreate:
		return jute.AppendBuffer(b, r.Path)
	case wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL:
		return r.Stat.Append(jute.AppendBuffer(b, r.Path))
	case wire.OpSetData, wire.OpSetACL:
		return r.Stat.Append(b)
	case wire.OpMulti:
		return appendMulti(b, r.Ops)
	default: // delete, closeSession: no body
		return b
	}
}

// appendMulti appends the results of a multi. A multi that failed is a reply without an error
// whose results carry the codes (3.5).
func appendMulti(b []byte, ops []tree.OpResult) []byte {
	for i := range ops {
		o := &ops[i]
		m := wire.MultiResult{Op: o.Op, Code: o.Code, Path: o.Path, Stat: o.Stat}
		b = m.Append(b)
	}
	return wire.MultiEnd.Append(b)
}
