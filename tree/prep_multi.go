package tree

import (
	"quoll/transport/jute"
	"quoll/transport/wire"
)

// appendMulti prepares a multi: all of its ops or none. Each op sees what the earlier ones did, in
// the overlay; the first that fails takes all of it back and the txn carries a code for each op.
// Only a body that is no legal multi fails as a whole (protocol 3.5).
func (p *Pending) appendMulti(body, b []byte) ([]byte, wire.Code) {
	defer p.forgetOps()
	if !p.decodeMulti(body) {
		return b, wire.MarshallingError
	}
	start := len(b)
	b = jute.AppendInt(b, int32(len(p.ops)))
	for i := range p.ops {
		b = jute.AppendInt(b, int32(p.ops[i].Op))
		var code wire.Code
		if b, code = p.appendChange(&p.ops[i], b); code != wire.OK {
			p.rollback()
			return appendFailedMulti(b[:start], len(p.ops), i, code), wire.OK
		}
	}
	return b, wire.OK
}

// decodeMulti reads all ops of a multi before the first is judged, as ZooKeeper does: an op that
// may not be there, a null path, or flags that no create of its kind has are a fault of the whole.
func (p *Pending) decodeMulti(body []byte) bool {
	d := jute.NewDecoder(body)
	ops := wire.NewMultiReader(&d, wire.OpMulti)
	var q request
	for ops.Next(&q) {
		if q.Path == nil || q.Op != wire.OpCreateTTL && (!q.Flags.Valid() || q.Flags.TTL()) {
			return false
		}
		p.ops = append(p.ops, q)
	}
	return d.Err() == nil
}

// forgetOps lets go of the body, and of the memory of an unusually long multi.
func (p *Pending) forgetOps() {
	const keep = 1024
	clear(p.ops)
	if p.ops = p.ops[:0]; cap(p.ops) > keep {
		p.ops = nil
	}
}

func appendFailedMulti(b []byte, ops, failed int, code wire.Code) []byte {
	b = jute.AppendInt(b, int32(ops))
	for i := range ops {
		result := wire.OK
		if i == failed {
			result = code
		} else if i > failed {
			result = wire.RuntimeInconsistency
		}
		b = jute.AppendInt(b, int32(wire.OpError))
		b = jute.AppendInt(b, int32(result))
	}
	return b
}
