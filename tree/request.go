package tree

import (
	"quoll/transport/jute"
	"quoll/transport/wire"
)

// request is one op of a client on a znode, alone or in a multi. It aliases the body it was
// decoded from: prepare copies what lasts.
type request = wire.MultiOp

// decodeRequest reads the client's record of an op outside of a multi. Bytes behind it are
// ignored, as in ZooKeeper.
func decodeRequest(op wire.Op, body []byte) (request, error) {
	q := request{Op: op}
	d := jute.NewDecoder(body)
	switch op {
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer:
		var r wire.CreateRequest
		r.Decode(&d)
		q.Path, q.Data, q.ACL, q.Flags = r.Path, r.Data, r.ACL, r.Flags
	case wire.OpCreateTTL:
		var r wire.CreateTTLRequest
		r.Decode(&d)
		q.Path, q.Data, q.ACL, q.Flags, q.TTLMs = r.Path, r.Data, r.ACL, r.Flags, r.TTLMs
	case wire.OpDelete:
		var r wire.PathVersionRequest
		r.Decode(&d)
		q.Path, q.Version = r.Path, r.Version
	case wire.OpSetData:
		var r wire.SetDataRequest
		r.Decode(&d)
		q.Path, q.Data, q.Version = r.Path, r.Data, r.Version
	case wire.OpSetACL:
		var r wire.SetACLRequest
		r.Decode(&d)
		q.Path, q.ACL, q.Version = r.Path, r.ACL, r.Version
	case wire.OpDeleteContainer:
		var r wire.PathRequest
		r.Decode(&d)
		q.Path = r.Path
	default:
		d.Fail(wire.Unimplemented)
	}
	return q, d.Err()
}
