package wire

import (
	"encoding/binary"

	"quoll/transport/jute"
	"quoll/zab"
)

// The xids that say what a frame is. Ordinary requests have positive ones, which the server
// echoes without a look; xid 0 is free for a client to use.
const (
	XidNotification zab.Xid = -1 // server to client only
	XidPing         zab.Xid = -2 // of every answer to a ping, whatever its request said
	XidAuth         zab.Xid = -4 // by custom; the answer may overtake others
	XidSetWatches   zab.Xid = -8 // by custom
)

// RequestHeader opens every frame of a client after the handshake.
type RequestHeader struct {
	Xid zab.Xid
	Op  Op
}

// Append appends the record.
func (h RequestHeader) Append(b []byte) []byte {
	return jute.AppendInt(jute.AppendInt(b, int32(h.Xid)), int32(h.Op))
}

// Decode reads the record.
func (h *RequestHeader) Decode(d *jute.Decoder) {
	h.Xid = zab.Xid(d.Int())
	h.Op = Op(d.Int())
}

// ReplyHeader opens every frame of a server after the handshake. With a Code no body follows.
type ReplyHeader struct {
	Xid  zab.Xid
	Zxid int64 // last zxid applied when the reply was made; -1 on events that setWatches makes up
	Code Code
}

// Append appends the record.
func (h ReplyHeader) Append(b []byte) []byte {
	b = jute.AppendInt(b, int32(h.Xid))
	b = jute.AppendLong(b, h.Zxid)
	return jute.AppendInt(b, int32(h.Code))
}

// Decode reads the record.
func (h *ReplyHeader) Decode(d *jute.Decoder) {
	h.Xid = zab.Xid(d.Int())
	h.Zxid = d.Long()
	h.Code = Code(d.Int())
}

// MultiHeader stands before each operation and each result of a multi, and ends the list.
type MultiHeader struct {
	Op   Op
	Done bool
	Code Code // in a request always -1
}

// MultiEnd ends the operations, and the results, of a multi.
var MultiEnd = MultiHeader{Op: -1, Done: true, Code: -1}

// Append appends the record.
func (h MultiHeader) Append(b []byte) []byte {
	b = jute.AppendInt(b, int32(h.Op))
	b = jute.AppendBool(b, h.Done)
	return jute.AppendInt(b, int32(h.Code))
}

// Decode reads the record.
func (h *MultiHeader) Decode(d *jute.Decoder) {
	h.Op = Op(d.Int())
	h.Done = d.Bool()
	h.Code = Code(d.Int())
}

// EventType says what a watch event, or one of the session, tells of.
type EventType int32

// The events. A server sends 1 to 4; the others a client makes for its user.
const (
	EventNone                EventType = -1 // the state of the session changed
	EventNodeCreated         EventType = 1
	EventNodeDeleted         EventType = 2
	EventNodeDataChanged     EventType = 3
	EventNodeChildrenChanged EventType = 4
)

// String returns ZooKeeper's name of the event.
func (t EventType) String() string {
	switch t {
	case EventNone:
		return "None"
	case EventNodeCreated:
		return "NodeCreated"
	case EventNodeDeleted:
		return "NodeDeleted"
	case EventNodeDataChanged:
		return "NodeDataChanged"
	case EventNodeChildrenChanged:
		return "NodeChildrenChanged"
	default:
		return "Unknown"
	}
}

// The states that an event carries. A server only ever says StateSyncConnected.
const (
	StateExpired       int32 = -112
	StateDisconnected  int32 = 0
	StateSyncConnected int32 = 3
)

// WatcherEvent is the body of a notification.
type WatcherEvent struct {
	Type  EventType
	State int32
	Path  []byte
}

// Append appends the record.
func (e *WatcherEvent) Append(b []byte) []byte {
	b = jute.AppendInt(b, int32(e.Type))
	b = jute.AppendInt(b, e.State)
	return jute.AppendBuffer(b, e.Path)
}

// Decode reads the record.
func (e *WatcherEvent) Decode(d *jute.Decoder) {
	e.Type = EventType(d.Int())
	e.State = d.Int()
	e.Path = d.Buffer()
}

// LengthSize is the size of a frame's length, which does not count itself.
const LengthSize = 4

// MaxFrame is ZooKeeper's default limit of an incoming frame (jute.maxbuffer), in bytes.
const MaxFrame = 0xfffff

// replyHeaderSize is the size of an encoded ReplyHeader.
const replyHeaderSize = 16

// BeginFrame appends the room for a frame's length. The frame starts at the length b had before;
// EndFrame takes that.
func BeginFrame(b []byte) []byte { return append(b, 0, 0, 0, 0) }

// EndFrame writes the length of the frame that starts at start and goes to the end of b. So a
// frame is encoded where it leaves from, in the buffer of its connection.
func EndFrame(b []byte, start int) []byte {
	binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start-LengthSize))
	return b
}

// AppendReply appends a whole frame of a reply without a body.
func AppendReply(b []byte, h ReplyHeader) []byte {
	start := len(b)
	return EndFrame(h.Append(BeginFrame(b)), start)
}

// PatchCode writes the outcome into the header of a reply that was begun before it was known.
// frame starts at the frame's length.
func PatchCode(frame []byte, code Code) {
	binary.BigEndian.PutUint32(frame[LengthSize+12:], uint32(code))
}

// FailReply drops the body of the reply that starts at start and goes to the end of b, and ends
// it with code: no reply has both a code and a body.
func FailReply(b []byte, start int, code Code) []byte {
	b = b[:start+LengthSize+replyHeaderSize]
	PatchCode(b[start:], code)
	return EndFrame(b, start)
}

// AppendEvent appends a whole frame of a notification.
func AppendEvent(b []byte, zxid int64, e *WatcherEvent) []byte {
	start := len(b)
	b = ReplyHeader{Xid: XidNotification, Zxid: zxid}.Append(BeginFrame(b))
	return EndFrame(e.Append(b), start)
}

// FrameLength reads a frame's length; false when it is not positive or above limit, after which
// the connection is beyond use.
func FrameLength(b [LengthSize]byte, limit int) (n int, ok bool) {
	n = int(int32(binary.BigEndian.Uint32(b[:])))
	return n, n > 0 && n <= limit
}
