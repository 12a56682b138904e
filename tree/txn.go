package tree

import (
	"fmt"

	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/zab"
)

// The bytes of a txn, in the primitives of jute: big-endian, buffers and vectors with a length in
// front. They are the proposal on the wire, the record in the log and the input of Apply.
//
//	 0        8        16       24     28    32       40     44
//	+--------+--------+--------+------+-----+--------+------+-----------
//	|session |  boot  |   n    | xid  | op  |  time  | code | record ...
//	+--------+--------+--------+------+-----+--------+------+-----------
//	 \________________ Header _____________________/
//
// op is that of the request, also when it failed: then code says why and nothing follows (an
// error txn). With code 0 the record is
//
//	create, create2, createContainer, createTTL
//	                path, data, acl vector, owner long, creates int   (creates: the parent's, after it)
//	delete, deleteContainer
//	                path
//	setData         path, data, version int                           (the new version)
//	setACL          path, acl vector, version int                     (the new aversion)
//	multi           count int, then for each op: op int and its record as above; check has only a path
//	createSession   timeout int, password buffer                      (the id is the header's session)
//	closeSession    vector of the paths to delete, ascending
//
// A multi that failed has an op of -1 with a code int in place of each of its ops: 0 before the
// one that failed, its code, and RuntimeInconsistency after it (protocol 3.5).

// headerBytes is the size of an encoded Header, closeBytes that of a closeSession without paths.
const (
	headerBytes = 40
	closeBytes  = headerBytes + 4 + 4
)

// Header starts every txn: whose request it carries out and when the leader prepared it.
type Header struct {
	Session zab.SessionID
	ID      zab.RequestID // zero: nobody waits for the outcome across an election
	Xid     zab.Xid
	Op      wire.Op
	TimeMs  int64 // ms since 1970 on the leader's clock; the time of every stat the txn changes
}

func (h *Header) append(b []byte) []byte {
	b = jute.AppendLong(b, int64(h.Session))
	b = jute.AppendLong(b, int64(h.ID.Boot))
	b = jute.AppendLong(b, int64(h.ID.N))
	b = jute.AppendInt(b, int32(h.Xid))
	b = jute.AppendInt(b, int32(h.Op))
	return jute.AppendLong(b, h.TimeMs)
}

func (h *Header) decode(d *jute.Decoder) {
	h.Session = zab.SessionID(d.Long())
	h.ID.Boot = uint64(d.Long())
	h.ID.N = uint64(d.Long())
	h.Xid = zab.Xid(d.Int())
	h.Op = wire.Op(d.Int())
	h.TimeMs = d.Long()
}

// DecodeHeader reads the header of a txn, which may come from anywhere.
func DecodeHeader(data []byte) (Header, error) {
	var h Header
	d := jute.NewDecoder(data)
	h.decode(&d)
	if err := d.Err(); err != nil {
		return Header{}, fmt.Errorf("tree: header of a txn of %d bytes: %w", len(data), err)
	}
	return h, nil
}

// change is the record of one op on a znode. Its bytes alias what it was decoded from.
type change struct {
	op    wire.Op
	path  []byte
	data  []byte
	acl   []byte // encoded vector
	owner zab.SessionID
	count int32     // the resulting counter: creates of the parent, version or aversion
	code  wire.Code // of an op of a failed multi
}

func (c *change) append(b []byte) []byte {
	switch c.op {
	case wire.OpError:
		return jute.AppendInt(b, int32(c.code))
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL:
		b = jute.AppendBuffer(b, c.path)
		b = jute.AppendBuffer(b, c.data)
		b = append(b, c.acl...)
		b = jute.AppendLong(b, int64(c.owner))
		return jute.AppendInt(b, c.count)
	case wire.OpDelete, wire.OpDeleteContainer, wire.OpCheck:
		return jute.AppendBuffer(b, c.path)
	case wire.OpSetData:
		b = jute.AppendBuffer(b, c.path)
		b = jute.AppendBuffer(b, c.data)
		return jute.AppendInt(b, c.count)
	case wire.OpSetACL:
		b = jute.AppendBuffer(b, c.path)
		b = append(b, c.acl...)
		return jute.AppendInt(b, c.count)
	default:
		panic(fmt.Sprintf("tree: no txn record for op %d", c.op))
	}
}

func (c *change) decode(op wire.Op, d *jute.Decoder) {
	*c = change{op: op}
	switch op {
	case wire.OpError:
		c.code = wire.Code(d.Int())
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL:
		c.path = d.Buffer()
		c.data = d.Buffer()
		c.acl = rawACLs(d)
		c.owner = zab.SessionID(d.Long())
		c.count = d.Int()
	case wire.OpDelete, wire.OpDeleteContainer, wire.OpCheck:
		c.path = d.Buffer()
	case wire.OpSetData:
		c.path = d.Buffer()
		c.data = d.Buffer()
		c.count = d.Int()
	case wire.OpSetACL:
		c.path = d.Buffer()
		c.acl = rawACLs(d)
		c.count = d.Int()
	default:
		d.Fail(fmt.Errorf("tree: no txn record for op %d", op))
	}
}

// rawACLs reads over a vector of access control entries and returns its bytes, length included.
func rawACLs(d *jute.Decoder) []byte {
	all := d.Rest()
	for n := d.Count(12); n > 0; n-- {
		d.Int()
		d.Buffer()
		d.Buffer()
	}
	if d.Err() != nil {
		return nil
	}
	n := len(all) - d.Len()
	return all[:n:n]
}
