package wire

import (
	"quoll/transport/jute"
	"quoll/zab"
)

// PasswordSize is the size of a session's password. A server sends nothing else, not even when it
// refuses: the C client reads a fixed number of bytes.
const PasswordSize = 16

// ConnectRequest opens a connection. It asks for a new session, or for an old one to go on.
type ConnectRequest struct {
	Version      int32 // 0; servers ignore it
	LastZxidSeen int64
	TimeoutMs    int32
	SessionID    zab.SessionID // 0: a new session
	Password     []byte        // aliases the frame
	ReadOnly     bool
	HasReadOnly  bool // old clients end the record before ReadOnly
}

// Append appends the record.
func (r *ConnectRequest) Append(b []byte) []byte {
	b = jute.AppendInt(b, r.Version)
	b = jute.AppendLong(b, r.LastZxidSeen)
	b = jute.AppendInt(b, r.TimeoutMs)
	b = jute.AppendLong(b, int64(r.SessionID))
	b = jute.AppendBuffer(b, r.Password)
	return appendReadOnly(b, r.HasReadOnly, r.ReadOnly)
}

// Decode reads the record.
func (r *ConnectRequest) Decode(d *jute.Decoder) {
	r.Version = d.Int()
	r.LastZxidSeen = d.Long()
	r.TimeoutMs = d.Int()
	r.SessionID = zab.SessionID(d.Long())
	r.Password = d.Buffer()
	r.HasReadOnly, r.ReadOnly = decodeReadOnly(d)
}

// ConnectResponse answers it. TimeoutMs 0 and SessionID 0 say that the session is over, or that
// its password was wrong; the two are told the same way on purpose.
type ConnectResponse struct {
	Version     int32
	TimeoutMs   int32 // as negotiated
	SessionID   zab.SessionID
	Password    []byte // PasswordSize bytes; aliases the frame
	ReadOnly    bool   // the server is a read-only one
	HasReadOnly bool   // the request had it
}

// Append appends the record.
func (r *ConnectResponse) Append(b []byte) []byte {
	b = jute.AppendInt(b, r.Version)
	b = jute.AppendInt(b, r.TimeoutMs)
	b = jute.AppendLong(b, int64(r.SessionID))
	b = jute.AppendBuffer(b, r.Password)
	return appendReadOnly(b, r.HasReadOnly, r.ReadOnly)
}

// Decode reads the record.
func (r *ConnectResponse) Decode(d *jute.Decoder) {
	r.Version = d.Int()
	r.TimeoutMs = d.Int()
	r.SessionID = zab.SessionID(d.Long())
	r.Password = d.Buffer()
	r.HasReadOnly, r.ReadOnly = decodeReadOnly(d)
}

func appendReadOnly(b []byte, has, readOnly bool) []byte {
	if !has {
		return b
	}
	return jute.AppendBool(b, readOnly)
}

func decodeReadOnly(d *jute.Decoder) (has, readOnly bool) {
	if d.Err() != nil || d.Len() == 0 {
		return false, false
	}
	return true, d.Bool()
}
