package history

import (
	"quoll/transport/wire"
	"quoll/zab"
)

// Moment is a point in a history. At is in microseconds since its start, on one monotonic clock;
// Seq orders moments of the same time and is never 0.
type Moment struct {
	At  int64
	Seq int64
}

// IsZero reports whether the moment never came.
func (m Moment) IsZero() bool { return m.Seq == 0 }

// Before reports whether m came before o, in real time.
func (m Moment) Before(o Moment) bool { return m.Seq < o.Seq }

// Operation is one request of a client.
type Operation struct {
	Client  int
	Conn    int // index in History.Conns
	Session zab.SessionID
	Server  zab.ServerID
	Xid     zab.Xid
	Auth    []zab.AuthID // identities of the connection when it was sent
	Op      Op
	Call    Moment
	Return  Moment // zero: the outcome is not known
	Zxid    int64  // of the reply's header
	Result  Result
}

// Known reports whether the operation returned.
func (o *Operation) Known() bool { return !o.Return.IsZero() }

// Conn is a connection of a client to a server, from dialing to its end.
type Conn struct {
	Client    int
	Server    zab.ServerID
	Asked     zab.SessionID // the session that it wants to go on with; 0: a new one
	SeenZxid  int64         // what it said it has seen
	Dialed    Moment
	Joined    Moment // zero: never got an answer
	Session   zab.SessionID
	TimeoutMs int32
	Expired   bool   // the answer was that the session is over
	Closed    Moment // zero: open to the end
}

// Event is a watch event as it arrived.
type Event struct {
	Client  int
	Conn    int
	Session zab.SessionID
	At      Moment
	Type    wire.EventType
	Path    string
	Zxid    int64 // of its header
}

// Heard is the zxid of an answer that carries nothing else: to a ping.
type Heard struct {
	Conn int
	At   Moment
	Zxid int64
}

// History is one run.
type History struct {
	Heards  []Heard     // by At
	Ops     []Operation // by Call
	Conns   []Conn      // by Dialed
	Events  []Event     // by At
	Commits []Commit    // by Zxid; nil: not known
	End     Moment
}

// Recorder appends to a History and numbers its moments. It is not safe for concurrent use.
type Recorder struct {
	History
	Now func() int64 // microseconds
	seq int64
}

// Moment returns the next moment.
func (r *Recorder) Moment() Moment {
	r.seq++
	return Moment{At: r.Now(), Seq: r.seq}
}

// Dial records a connection and returns its index.
func (r *Recorder) Dial(c Conn) int {
	c.Dialed = r.Moment()
	r.Conns = append(r.Conns, c)
	return len(r.Conns) - 1
}

// Join records the answer to a handshake; session 0 says that the session is over.
func (r *Recorder) Join(conn int, session zab.SessionID, timeoutMs int32) {
	c := &r.Conns[conn]
	c.Joined, c.Session, c.TimeoutMs, c.Expired = r.Moment(), session, timeoutMs, session == 0
}

// Close records the end of a connection; the first one counts.
func (r *Recorder) Close(conn int) {
	if c := &r.Conns[conn]; c.Closed.IsZero() {
		c.Closed = r.Moment()
	}
}

// Call records a request and returns its index.
func (r *Recorder) Call(o Operation) int {
	o.Call = r.Moment()
	r.Ops = append(r.Ops, o)
	return len(r.Ops) - 1
}

// Return records the outcome of an operation.
func (r *Recorder) Return(op int, zxid int64, res Result) {
	o := &r.Ops[op]
	o.Return, o.Zxid, o.Result = r.Moment(), zxid, res
}

// Heard records the answer to a ping.
func (r *Recorder) Heard(conn int, zxid int64) {
	r.Heards = append(r.Heards, Heard{Conn: conn, At: r.Moment(), Zxid: zxid})
}

// Event records a watch event.
func (r *Recorder) Event(e Event) {
	e.At = r.Moment()
	r.Events = append(r.Events, e)
}
