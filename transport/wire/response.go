package wire

import "quoll/transport/jute"

// AppendStrings appends a vector of strings; nil is a null vector.
func AppendStrings(b []byte, v []string) []byte {
	if v == nil {
		return jute.AppendInt(b, -1)
	}
	b = jute.AppendInt(b, int32(len(v)))
	for _, s := range v {
		b = jute.AppendString(b, s)
	}
	return b
}

// firstStrings bounds what a vector of strings allocates before its strings were read.
const firstStrings = 1024

// DecodeStrings reads a vector of strings; a null vector is nil, a null string is empty. A string
// header takes more memory than the four bytes of an empty string, so a long vector grows with
// what was really read.
func DecodeStrings(d *jute.Decoder) []string {
	n := d.Count(4)
	if n < 0 || d.Err() != nil {
		return nil
	}
	v := make([]string, 0, min(n, firstStrings))
	for range n {
		v = append(v, d.String())
		if d.Err() != nil {
			return nil
		}
	}
	return v
}

// PathResponse is that of create, with the name the znode got, and of sync.
type PathResponse struct {
	Path []byte
}

// Append appends the record.
func (r *PathResponse) Append(b []byte) []byte { return jute.AppendBuffer(b, r.Path) }

// Decode reads the record.
func (r *PathResponse) Decode(d *jute.Decoder) { r.Path = d.Buffer() }

// PathStatResponse is that of create2, createContainer and createTTL.
type PathStatResponse struct {
	Path []byte
	Stat Stat
}

// Append appends the record.
func (r *PathStatResponse) Append(b []byte) []byte {
	return r.Stat.Append(jute.AppendBuffer(b, r.Path))
}

// Decode reads the record.
func (r *PathStatResponse) Decode(d *jute.Decoder) {
	r.Path = d.Buffer()
	r.Stat.Decode(d)
}

// DataResponse is that of getData and of reconfig.
type DataResponse struct {
	Data []byte // nil: null
	Stat Stat
}

// Append appends the record.
func (r *DataResponse) Append(b []byte) []byte {
	return r.Stat.Append(jute.AppendBuffer(b, r.Data))
}

// Decode reads the record.
func (r *DataResponse) Decode(d *jute.Decoder) {
	r.Data = d.Buffer()
	r.Stat.Decode(d)
}

// ACLResponse is that of getACL.
type ACLResponse struct {
	ACL  []ACL
	Stat Stat
}

// Append appends the record.
func (r *ACLResponse) Append(b []byte) []byte { return r.Stat.Append(AppendACLs(b, r.ACL)) }

// Decode reads the record.
func (r *ACLResponse) Decode(d *jute.Decoder) {
	r.ACL = DecodeACLs(d)
	r.Stat.Decode(d)
}

// ChildrenResponse is that of getChildren, with names, and of getEphemerals, with paths.
type ChildrenResponse struct {
	Children []string
}

// Append appends the record.
func (r *ChildrenResponse) Append(b []byte) []byte { return AppendStrings(b, r.Children) }

// Decode reads the record.
func (r *ChildrenResponse) Decode(d *jute.Decoder) { r.Children = DecodeStrings(d) }

// Children2Response is that of getChildren2.
type Children2Response struct {
	Children []string
	Stat     Stat // of the parent
}

// Append appends the record.
func (r *Children2Response) Append(b []byte) []byte {
	return r.Stat.Append(AppendStrings(b, r.Children))
}

// Decode reads the record.
func (r *Children2Response) Decode(d *jute.Decoder) {
	r.Children = DecodeStrings(d)
	r.Stat.Decode(d)
}

// CountResponse is that of getAllChildrenNumber.
type CountResponse struct {
	Count int32
}

// Append appends the record.
func (r *CountResponse) Append(b []byte) []byte { return jute.AppendInt(b, r.Count) }

// Decode reads the record.
func (r *CountResponse) Decode(d *jute.Decoder) { r.Count = d.Int() }

// ErrorResponse is that of addWatch, with OK, and the result of an operation of a multi that did
// not happen.
type ErrorResponse struct {
	Code Code
}

// Append appends the record.
func (r *ErrorResponse) Append(b []byte) []byte { return jute.AppendInt(b, int32(r.Code)) }

// Decode reads the record.
func (r *ErrorResponse) Decode(d *jute.Decoder) { r.Code = Code(d.Int()) }

// ClientInfo is one identity of a connection, without its secret.
type ClientInfo struct {
	Scheme string
	User   string
}

// WhoAmIResponse is that of whoAmI.
type WhoAmIResponse struct {
	Identities []ClientInfo
}

// Append appends the record.
func (r *WhoAmIResponse) Append(b []byte) []byte {
	if r.Identities == nil {
		return jute.AppendInt(b, -1)
	}
	b = jute.AppendInt(b, int32(len(r.Identities)))
	for _, id := range r.Identities {
		b = jute.AppendString(b, id.Scheme)
		b = jute.AppendString(b, id.User)
	}
	return b
}

// Decode reads the record.
func (r *WhoAmIResponse) Decode(d *jute.Decoder) {
	r.Identities = nil
	n := d.Count(8)
	if n < 0 || d.Err() != nil {
		return
	}
	ids := make([]ClientInfo, 0, min(n, firstStrings))
	for range n {
		id := ClientInfo{Scheme: decodeScheme(d), User: d.String()}
		if d.Err() != nil {
			return
		}
		ids = append(ids, id)
	}
	r.Identities = ids
}
