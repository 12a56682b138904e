package wire

import "quoll/transport/jute"

// MultiOp is one operation of a multi or a multiRead. Op says which fields count.
type MultiOp struct {
	Op      Op
	Path    []byte
	Data    []byte     // creates, setData
	ACL     []ACL      // creates; not to be changed after Next, see DecodeACLs
	Flags   CreateMode // creates
	TTLMs   int64      // createTTL
	Version int32      // delete, setData, check
	Watch   bool       // getData, getChildren; ignored by servers
}

// Append appends the operation with its header. The list of them is closed by MultiEnd.
func (o *MultiOp) Append(b []byte) []byte {
	b = MultiHeader{Op: o.Op, Code: -1}.Append(b)
	switch o.Op {
	case OpCreate, OpCreate2, OpCreateContainer:
		r := CreateRequest{Path: o.Path, Data: o.Data, ACL: o.ACL, Flags: o.Flags}
		return r.Append(b)
	case OpCreateTTL:
		r := CreateTTLRequest{CreateRequest{Path: o.Path, Data: o.Data, ACL: o.ACL, Flags: o.Flags}, o.TTLMs}
		return r.Append(b)
	case OpDelete, OpCheck:
		r := PathVersionRequest{Path: o.Path, Version: o.Version}
		return r.Append(b)
	case OpSetData:
		r := SetDataRequest{Path: o.Path, Data: o.Data, Version: o.Version}
		return r.Append(b)
	case OpGetData, OpGetChildren:
		r := PathWatchRequest{Path: o.Path, Watch: o.Watch}
		return r.Append(b)
	default: // a bug of the caller: no such operation may be in a multi, and a server says so
		return b
	}
}

// decode reads the record that belongs to o.Op, which must be one that kind, multi or multiRead,
// may hold.
func (o *MultiOp) decode(d *jute.Decoder, kind Op) {
	switch {
	case kind == OpMultiRead && (o.Op == OpGetData || o.Op == OpGetChildren):
		o.Path = d.Buffer()
		o.Watch = d.Bool()
	case kind == OpMultiRead:
		d.Fail(ErrMalformed)
	case o.Op == OpCreate || o.Op == OpCreate2 || o.Op == OpCreateContainer || o.Op == OpCreateTTL:
		var r CreateRequest
		r.Decode(d)
		o.Path, o.Data, o.ACL, o.Flags = r.Path, r.Data, r.ACL, r.Flags
		if o.Op == OpCreateTTL {
			o.TTLMs = d.Long()
		}
	case o.Op == OpDelete || o.Op == OpCheck:
		o.Path = d.Buffer()
		o.Version = d.Int()
	case o.Op == OpSetData:
		o.Path = d.Buffer()
		o.Data = d.Buffer()
		o.Version = d.Int()
	default:
		d.Fail(ErrMalformed)
	}
}

// MultiReader reads the operations of a multi one by one, so that a server holds none of them.
// What it cannot read fails the Decoder, and with it the whole multi.
type MultiReader struct {
	d    *jute.Decoder
	kind Op
}

// NewMultiReader reads from d, which stands after the RequestHeader. kind is OpMulti or
// OpMultiRead and says which operations may be there.
func NewMultiReader(d *jute.Decoder, kind Op) MultiReader { return MultiReader{d: d, kind: kind} }

// Next reads the next operation into o, whose slices alias the frame. It is false at the end of
// the list and at a fault; the Decoder's Err tells them apart.
func (r *MultiReader) Next(o *MultiOp) bool {
	var h MultiHeader
	h.Decode(r.d)
	if h.Done || r.d.Err() != nil {
		return false
	}
	*o = MultiOp{Op: h.Op}
	o.decode(r.d, r.kind)
	return r.d.Err() == nil
}

// MultiResult is the result of one operation of a multi or a multiRead. Op says which fields
// count; OpError is that of an operation that did not happen.
type MultiResult struct {
	Op       Op
	Code     Code     // OpError. In a multi that failed OK says: undone because of a later one
	Path     []byte   // creates
	Stat     Stat     // create2, setData, getData
	Data     []byte   // getData
	Children []string // getChildren
}

// Append appends the result with its header. createContainer and createTTL answer as create2. The
// list of results is closed by MultiEnd.
func (r *MultiResult) Append(b []byte) []byte {
	switch r.Op {
	case OpError:
		return AppendMultiError(b, r.Code)
	case OpCreate:
		return jute.AppendBuffer(MultiHeader{Op: OpCreate}.Append(b), r.Path)
	case OpCreate2, OpCreateContainer, OpCreateTTL:
		b = jute.AppendBuffer(MultiHeader{Op: OpCreate2}.Append(b), r.Path)
		return r.Stat.Append(b)
	case OpSetData:
		return r.Stat.Append(MultiHeader{Op: OpSetData}.Append(b))
	case OpGetData:
		b = jute.AppendBuffer(MultiHeader{Op: OpGetData}.Append(b), r.Data)
		return r.Stat.Append(b)
	case OpGetChildren:
		return AppendStrings(MultiHeader{Op: OpGetChildren}.Append(b), r.Children)
	default: // delete, check
		return MultiHeader{Op: r.Op}.Append(b)
	}
}

// AppendMultiError appends the result of an operation that did not happen.
func AppendMultiError(b []byte, code Code) []byte {
	return jute.AppendInt(MultiHeader{Op: OpError, Code: code}.Append(b), int32(code))
}

// Decode reads one result; false at the end of the list and at a fault.
func (r *MultiResult) Decode(d *jute.Decoder) bool {
	var h MultiHeader
	h.Decode(d)
	if h.Done || d.Err() != nil {
		return false
	}
	*r = MultiResult{Op: h.Op}
	switch h.Op {
	case OpError:
		r.Code = Code(d.Int())
	case OpCreate:
		r.Path = d.Buffer()
	case OpCreate2:
		r.Path = d.Buffer()
		r.Stat.Decode(d)
	case OpSetData:
		r.Stat.Decode(d)
	case OpGetData:
		r.Data = d.Buffer()
		r.Stat.Decode(d)
	case OpGetChildren:
		r.Children = DecodeStrings(d)
	case OpDelete, OpCheck:
	default:
		d.Fail(ErrMalformed)
	}
	return d.Err() == nil
}
