package wire

import (
	"errors"

	"quoll/transport/jute"
	"quoll/zab"
)

// ErrMalformed is the fault of a record whose bytes are all there but may not say what they say.
// Together with jute.ErrShort it is all that a Decode of this package fails with; a server
// answers either with MarshallingError.
var ErrMalformed = errors.New("wire: record is malformed")

// CreateMode says what kind of znode a create makes: the flags of CreateRequest.
type CreateMode int32

// The modes. Any other value is BadArguments. Container counts only with OpCreateContainer, the
// TTL modes only with OpCreateTTL.
const (
	Persistent              CreateMode = 0
	Ephemeral               CreateMode = 1
	PersistentSequential    CreateMode = 2
	EphemeralSequential     CreateMode = 3
	Container               CreateMode = 4
	PersistentTTL           CreateMode = 5
	PersistentSequentialTTL CreateMode = 6
)

// Valid reports whether ZooKeeper knows the mode.
func (m CreateMode) Valid() bool { return m >= Persistent && m <= PersistentSequentialTTL }

// Ephemeral reports whether the znode goes with its session.
func (m CreateMode) Ephemeral() bool { return m == Ephemeral || m == EphemeralSequential }

// Sequential reports whether the parent's counter is appended to the name.
func (m CreateMode) Sequential() bool {
	return m == PersistentSequential || m == EphemeralSequential || m == PersistentSequentialTTL
}

// TTL reports whether the znode goes when its time is over.
func (m CreateMode) TTL() bool { return m == PersistentTTL || m == PersistentSequentialTTL }

// CreateRequest asks for a znode.
type CreateRequest struct {
	Path  []byte
	Data  []byte // nil: null
	ACL   []ACL  // not to be changed after Decode, see DecodeACLs
	Flags CreateMode
}

// Append appends the record.
func (r *CreateRequest) Append(b []byte) []byte {
	b = jute.AppendBuffer(b, r.Path)
	b = jute.AppendBuffer(b, r.Data)
	b = AppendACLs(b, r.ACL)
	return jute.AppendInt(b, int32(r.Flags))
}

// Decode reads the record.
func (r *CreateRequest) Decode(d *jute.Decoder) {
	r.Path = d.Buffer()
	r.Data = d.Buffer()
	r.ACL = DecodeACLs(d)
	r.Flags = CreateMode(d.Int())
}

// CreateTTLRequest asks for a znode that goes when it has had no children and no setData for a
// time.
type CreateTTLRequest struct {
	CreateRequest
	TTLMs int64
}

// Append appends the record.
func (r *CreateTTLRequest) Append(b []byte) []byte {
	return jute.AppendLong(r.CreateRequest.Append(b), r.TTLMs)
}

// Decode reads the record.
func (r *CreateTTLRequest) Decode(d *jute.Decoder) {
	r.CreateRequest.Decode(d)
	r.TTLMs = d.Long()
}

// AnyVersion is the version of a request that does not care.
const AnyVersion int32 = -1

// PathVersionRequest is that of delete, and of check within a multi.
type PathVersionRequest struct {
	Path    []byte
	Version int32
}

// Append appends the record.
func (r *PathVersionRequest) Append(b []byte) []byte {
	return jute.AppendInt(jute.AppendBuffer(b, r.Path), r.Version)
}

// Decode reads the record.
func (r *PathVersionRequest) Decode(d *jute.Decoder) {
	r.Path = d.Buffer()
	r.Version = d.Int()
}

// SetDataRequest replaces the data of a znode.
type SetDataRequest struct {
	Path    []byte
	Data    []byte // nil: null
	Version int32
}

// Append appends the record.
func (r *SetDataRequest) Append(b []byte) []byte {
	b = jute.AppendBuffer(b, r.Path)
	b = jute.AppendBuffer(b, r.Data)
	return jute.AppendInt(b, r.Version)
}

// Decode reads the record.
func (r *SetDataRequest) Decode(d *jute.Decoder) {
	r.Path = d.Buffer()
	r.Data = d.Buffer()
	r.Version = d.Int()
}

// SetACLRequest replaces the ACL of a znode.
type SetACLRequest struct {
	Path    []byte
	ACL     []ACL // not to be changed after Decode, see DecodeACLs
	Version int32 // compared with Stat.Aversion
}

// Append appends the record.
func (r *SetACLRequest) Append(b []byte) []byte {
	b = jute.AppendBuffer(b, r.Path)
	b = AppendACLs(b, r.ACL)
	return jute.AppendInt(b, r.Version)
}

// Decode reads the record.
func (r *SetACLRequest) Decode(d *jute.Decoder) {
	r.Path = d.Buffer()
	r.ACL = DecodeACLs(d)
	r.Version = d.Int()
}

// PathWatchRequest is that of exists, getData, getChildren and getChildren2.
type PathWatchRequest struct {
	Path  []byte
	Watch bool
}

// Append appends the record.
func (r *PathWatchRequest) Append(b []byte) []byte {
	return jute.AppendBool(jute.AppendBuffer(b, r.Path), r.Watch)
}

// Decode reads the record.
func (r *PathWatchRequest) Decode(d *jute.Decoder) {
	r.Path = d.Buffer()
	r.Watch = d.Bool()
}

// PathRequest is that of getACL, sync, getAllChildrenNumber and deleteContainer, and of
// getEphemerals, where Path is a plain prefix of strings.
type PathRequest struct {
	Path []byte
}

// Append appends the record.
func (r *PathRequest) Append(b []byte) []byte { return jute.AppendBuffer(b, r.Path) }

// Decode reads the record.
func (r *PathRequest) Decode(d *jute.Decoder) { r.Path = d.Buffer() }

// The modes of AddWatchRequest; any other is MarshallingError.
const (
	AddWatchPersistent          int32 = 0
	AddWatchPersistentRecursive int32 = 1
)

// AddWatchRequest asks for a watch that stays when it fires.
type AddWatchRequest struct {
	Path []byte
	Mode int32
}

// Append appends the record.
func (r *AddWatchRequest) Append(b []byte) []byte {
	return jute.AppendInt(jute.AppendBuffer(b, r.Path), r.Mode)
}

// Decode reads the record.
func (r *AddWatchRequest) Decode(d *jute.Decoder) {
	r.Path = d.Buffer()
	r.Mode = d.Int()
}

// The types of WatcherRequest; any other is MarshallingError.
const (
	WatcherChildren            int32 = 1
	WatcherData                int32 = 2
	WatcherAny                 int32 = 3
	WatcherPersistent          int32 = 4
	WatcherPersistentRecursive int32 = 5
)

// WatcherRequest is that of checkWatches and removeWatches.
type WatcherRequest struct {
	Path []byte
	Type int32
}

// Append appends the record.
func (r *WatcherRequest) Append(b []byte) []byte {
	return jute.AppendInt(jute.AppendBuffer(b, r.Path), r.Type)
}

// Decode reads the record.
func (r *WatcherRequest) Decode(d *jute.Decoder) {
	r.Path = d.Buffer()
	r.Type = d.Int()
}

// SetWatchesRequest brings the watches of a client to its new connection. setWatches carries the
// first three lists, setWatches2 all five. A null list is a fault.
type SetWatchesRequest struct {
	RelativeZxid        int64 // last zxid the client has seen
	Data                []string
	Exist               []string
	Child               []string
	Persistent          []string
	PersistentRecursive []string
}

// Append appends the record of setWatches.
func (r *SetWatchesRequest) Append(b []byte) []byte {
	b = jute.AppendLong(b, r.RelativeZxid)
	b = AppendStrings(b, r.Data)
	b = AppendStrings(b, r.Exist)
	return AppendStrings(b, r.Child)
}

// Append2 appends the record of setWatches2.
func (r *SetWatchesRequest) Append2(b []byte) []byte {
	b = AppendStrings(r.Append(b), r.Persistent)
	return AppendStrings(b, r.PersistentRecursive)
}

// Decode reads the record of setWatches.
func (r *SetWatchesRequest) Decode(d *jute.Decoder) {
	r.RelativeZxid = d.Long()
	r.Data = decodePaths(d)
	r.Exist = decodePaths(d)
	r.Child = decodePaths(d)
}

// Decode2 reads the record of setWatches2.
func (r *SetWatchesRequest) Decode2(d *jute.Decoder) {
	r.Decode(d)
	r.Persistent = decodePaths(d)
	r.PersistentRecursive = decodePaths(d)
}

func decodePaths(d *jute.Decoder) []string {
	v := DecodeStrings(d)
	if v == nil {
		d.Fail(ErrMalformed)
	}
	return v
}

// AuthRequest adds an identity to a connection.
type AuthRequest struct {
	Type   int32 // 0; servers ignore it
	Scheme string
	Auth   []byte
}

// Append appends the record.
func (r *AuthRequest) Append(b []byte) []byte {
	b = jute.AppendInt(b, r.Type)
	b = jute.AppendString(b, r.Scheme)
	return jute.AppendBuffer(b, r.Auth)
}

// Decode reads the record.
func (r *AuthRequest) Decode(d *jute.Decoder) {
	r.Type = d.Int()
	r.Scheme = decodeScheme(d)
	r.Auth = d.Buffer()
}

// ReconfigRequest changes who is in the ensemble. A nil list is null: not given.
type ReconfigRequest struct {
	Joining    []byte
	Leaving    []byte
	NewMembers []byte
	ConfigID   int64 // zxid of the configuration it starts from; -1: any
}

// Append appends the record.
func (r *ReconfigRequest) Append(b []byte) []byte {
	b = jute.AppendBuffer(b, r.Joining)
	b = jute.AppendBuffer(b, r.Leaving)
	b = jute.AppendBuffer(b, r.NewMembers)
	return jute.AppendLong(b, r.ConfigID)
}

// Decode reads the record.
func (r *ReconfigRequest) Decode(d *jute.Decoder) {
	r.Joining = d.Buffer()
	r.Leaving = d.Buffer()
	r.NewMembers = d.Buffer()
	r.ConfigID = d.Long()
}

// TokenRecord is both the request and the response of sasl.
type TokenRecord struct {
	Token []byte
}

// Append appends the record.
func (r *TokenRecord) Append(b []byte) []byte { return jute.AppendBuffer(b, r.Token) }

// Decode reads the record.
func (r *TokenRecord) Decode(d *jute.Decoder) { r.Token = d.Buffer() }

// AppendRequest appends a whole frame of a request. body appends its record; nil: it has none.
func AppendRequest(b []byte, xid zab.Xid, op Op, body func(b []byte) []byte) []byte {
	start := len(b)
	b = RequestHeader{Xid: xid, Op: op}.Append(BeginFrame(b))
	if body != nil {
		b = body(b)
	}
	return EndFrame(b, start)
}
