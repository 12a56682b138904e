package transport

import (
	"bytes"
	"fmt"
	"math"
	"math/bits"

	"quoll/election"
	"quoll/zab"
)

// fields is the set of a Message's fields that a kind uses. On the wire they follow the kind in
// the order of this list.
type fields uint16

const (
	hasServer fields = 1 << iota
	hasObserver
	hasNoCount
	hasEpoch
	hasZxid
	hasCommit
	hasSeq
	hasTxns
	hasRequests
	hasSessions
	hasRevalidation

	// hasBytes are the fields whose values alias the frame they were decoded from.
	hasBytes = hasTxns | hasRequests | hasRevalidation
)

// layouts is the table of zab.Kind. Snap is not in it: on the wire it is the head of a stream.
var layouts = [...]fields{
	zab.FollowerInfo:    hasServer | hasObserver | hasEpoch,
	zab.LeaderInfo:      hasEpoch,
	zab.AckEpoch:        hasNoCount | hasEpoch | hasZxid,
	zab.Diff:            hasZxid,
	zab.Trunc:           hasZxid,
	zab.Proposal:        hasCommit | hasTxns,
	zab.Inform:          hasTxns,
	zab.NewLeader:       hasEpoch,
	zab.Ack:             hasZxid,
	zab.Commit:          hasCommit,
	zab.UpToDate:        hasCommit,
	zab.Ping:            hasCommit | hasSeq,
	zab.PingReply:       hasSeq,
	zab.Barrier:         hasSeq,
	zab.BarrierReply:    hasZxid | hasSeq,
	zab.Requests:        hasRequests,
	zab.Touch:           hasSessions,
	zab.Revalidate:      hasRevalidation,
	zab.RevalidateReply: hasZxid | hasRevalidation,
}

// The least bytes that an element of an array takes, and the elements of the inner arrays.
const (
	txnFields   = 2
	txnBytes    = 1 + 1 + 2
	requestSize = 7
	requestByte = 1 + 5 + 2 + 1
	authFields  = 2
	authBytes   = 1 + 1 + 1
	revalFields = 6
)

// layout returns the fields of kind; ok is false for what is no message of its own.
func layout(kind zab.Kind) (f fields, ok bool) {
	if int(kind) >= len(layouts) || layouts[kind] == 0 {
		return 0, false
	}
	return layouts[kind], true
}

// present returns the fields of m that are not zero.
func present(m *zab.Message) fields {
	var f fields
	for _, p := range [...]struct {
		set   bool
		field fields
	}{
		{m.Server != 0, hasServer},
		{m.Observer, hasObserver},
		{m.NoCount, hasNoCount},
		{m.Epoch != 0, hasEpoch},
		{m.Zxid != 0, hasZxid},
		{m.Commit != 0, hasCommit},
		{m.Seq != 0, hasSeq},
		{len(m.Txns) > 0, hasTxns},
		{len(m.Requests) > 0, hasRequests},
		{len(m.Sessions) > 0, hasSessions},
		{revalidating(&m.Revalidation), hasRevalidation},
	} {
		if p.set {
			f |= p.field
		}
	}
	return f
}

func revalidating(r *zab.Revalidation) bool {
	return r.ID != zab.RequestID{} || r.Session != 0 || len(r.Password) > 0 || r.TimeoutMs != 0 || r.Valid
}

// message appends the frame of m. A field that its kind does not carry would be lost on the way,
// which is a bug of the sender and panics here rather than confuse another server.
func (e *encoder) message(m *zab.Message) {
	f, ok := layout(m.Kind)
	if extra := present(m) &^ f; !ok || extra != 0 {
		panic(fmt.Sprintf("transport: message of kind %d with fields 0x%x that its frame does not carry", m.Kind, extra))
	}
	start := e.begin(uint8(m.Kind), bits.OnesCount16(uint16(f)))
	e.scalars(m, f)
	if f&hasTxns != 0 {
		e.txns(m.Txns)
	}
	if f&hasRequests != 0 {
		e.requests(m.Requests)
	}
	if f&hasSessions != 0 {
		e.array(len(m.Sessions))
		for _, s := range m.Sessions {
			e.int(int64(s))
		}
	}
	if f&hasRevalidation != 0 {
		e.revalidation(&m.Revalidation)
	}
	e.finish(start)
}

func (e *encoder) scalars(m *zab.Message, f fields) {
	if f&hasServer != 0 {
		e.uint(uint64(m.Server))
	}
	if f&hasObserver != 0 {
		e.bool(m.Observer)
	}
	if f&hasNoCount != 0 {
		e.bool(m.NoCount)
	}
	if f&hasEpoch != 0 {
		e.uint(uint64(m.Epoch))
	}
	if f&hasZxid != 0 {
		e.uint(uint64(m.Zxid))
	}
	if f&hasCommit != 0 {
		e.uint(uint64(m.Commit))
	}
	if f&hasSeq != 0 {
		e.uint(m.Seq)
	}
}

func (e *encoder) txns(txns []zab.Txn) {
	e.array(len(txns))
	for i := range txns {
		e.array(txnFields)
		e.uint(uint64(txns[i].Zxid))
		e.bin(txns[i].Data)
	}
}

func (e *encoder) requests(requests []zab.Request) {
	e.array(len(requests))
	for i := range requests {
		r := &requests[i]
		e.array(requestSize)
		e.uint(r.ID.Boot)
		e.uint(r.ID.N)
		e.int(int64(r.Session))
		e.int(int64(r.Xid))
		e.int(int64(r.Op))
		e.bin(r.Body)
		e.array(len(r.Auth))
		for j := range r.Auth {
			e.array(authFields)
			e.string(r.Auth[j].Scheme)
			e.string(r.Auth[j].ID)
		}
	}
}

func (e *encoder) revalidation(r *zab.Revalidation) {
	e.array(revalFields)
	e.uint(r.ID.Boot)
	e.uint(r.ID.N)
	e.int(int64(r.Session))
	e.bin(r.Password)
	e.int(int64(r.TimeoutMs))
	e.bool(r.Valid)
}

// message decodes the frame of a Message of its own. The result owns its bytes: payload may be
// reused at once. Bytes are copied frame by frame, exactly, so that a small txn that is kept does
// not keep the reader's buffer with it.
func (d *decoder) message(payload []byte) (*zab.Message, error) {
	kind, n := d.open(payload)
	f, ok := layout(zab.Kind(kind))
	switch {
	case d.err != nil:
		return nil, d.err
	case !ok:
		return nil, fmt.Errorf("%w: unknown kind %d", errMalformed, kind)
	case f&hasBytes != 0:
		d.in.buf = bytes.Clone(payload)
	}
	d.fields(kind, n, bits.OnesCount16(uint16(f)))
	m := &zab.Message{Kind: zab.Kind(kind)}
	d.scalars(m, f)
	if f&hasTxns != 0 {
		m.Txns = d.txns()
	}
	if f&hasRequests != 0 {
		m.Requests = d.requests()
	}
	if f&hasSessions != 0 {
		m.Sessions = d.sessions()
	}
	if f&hasRevalidation != 0 {
		m.Revalidation = d.revalidation()
	}
	if err := d.end(); err != nil {
		return nil, fmt.Errorf("kind %d: %w", kind, err)
	}
	return m, nil
}

func (d *decoder) scalars(m *zab.Message, f fields) {
	if f&hasServer != 0 {
		m.Server = d.server()
	}
	if f&hasObserver != 0 {
		m.Observer = d.bool()
	}
	if f&hasNoCount != 0 {
		m.NoCount = d.bool()
	}
	if f&hasEpoch != 0 {
		m.Epoch = d.epoch()
	}
	if f&hasZxid != 0 {
		m.Zxid = d.zxid()
	}
	if f&hasCommit != 0 {
		m.Commit = d.zxid()
	}
	if f&hasSeq != 0 {
		m.Seq = d.uint(math.MaxUint64)
	}
}

func (d *decoder) server() zab.ServerID   { return zab.ServerID(d.uint(math.MaxUint8)) }
func (d *decoder) epoch() zab.Epoch       { return zab.Epoch(d.uint(uint64(zab.MaxEpoch))) }
func (d *decoder) zxid() zab.Zxid         { return zab.Zxid(d.uint(math.MaxUint64)) }
func (d *decoder) int32() int32           { return int32(d.int(math.MinInt32, math.MaxInt32)) }
func (d *decoder) session() zab.SessionID { return zab.SessionID(d.int(math.MinInt64, math.MaxInt64)) }

func (d *decoder) requestID() (id zab.RequestID) {
	id.Boot = d.uint(math.MaxUint64)
	id.N = d.uint(math.MaxUint64)
	return id
}

func (d *decoder) txns() []zab.Txn {
	n := d.array(txnBytes)
	if n == 0 {
		return nil
	}
	txns := make([]zab.Txn, n)
	for i := range txns {
		d.tuple(txnFields)
		txns[i].Zxid = d.zxid()
		txns[i].Data = d.bin()
		if d.err != nil {
			return nil
		}
	}
	return txns
}

func (d *decoder) requests() []zab.Request {
	n := d.array(requestByte)
	if n == 0 {
		return nil
	}
	requests := make([]zab.Request, n)
	for i := range requests {
		r := &requests[i]
		d.tuple(requestSize)
		r.ID = d.requestID()
		r.Session = d.session()
		r.Xid = zab.Xid(d.int32())
		r.Op = d.int32()
		r.Body = d.bin()
		r.Auth = d.auth()
		if d.err != nil {
			return nil
		}
	}
	return requests
}

// The identities that a decoder remembers: those of a follower's clients come again with each of their writes.
const (
	knownAuths     = 1024
	knownAuthBytes = 512 // of one list, encoded
)

// auth decodes a list of identities. Equal lists are one list in memory, which nobody changes.
func (d *decoder) auth() []zab.AuthID {
	start := d.in.pos
	for range d.array(authBytes) {
		d.tuple(authFields)
		d.bytes("a string", isString, stringSize)
		d.bytes("a string", isString, stringSize)
	}
	if d.err != nil {
		return nil
	}
	raw := d.in.buf[start:d.in.pos]
	ids, known := d.auths[string(raw)]
	if known {
		return ids
	}
	d.in.pos = start
	ids = d.newAuth()
	if len(raw) <= knownAuthBytes {
		if d.auths == nil || len(d.auths) == knownAuths {
			d.auths = make(map[string][]zab.AuthID)
		}
		d.auths[string(raw)] = ids
	}
	return ids
}

func (d *decoder) newAuth() []zab.AuthID {
	n := d.array(authBytes)
	if n == 0 {
		return nil
	}
	ids := make([]zab.AuthID, n)
	for i := range ids {
		d.tuple(authFields)
		ids[i].Scheme = d.string()
		ids[i].ID = d.string()
		if d.err != nil {
			return nil
		}
	}
	return ids
}

func (d *decoder) sessions() []zab.SessionID {
	n := d.array(1)
	if n == 0 {
		return nil
	}
	sessions := make([]zab.SessionID, n)
	for i := range sessions {
		sessions[i] = d.session()
		if d.err != nil {
			return nil
		}
	}
	return sessions
}

func (d *decoder) revalidation() (r zab.Revalidation) {
	d.tuple(revalFields)
	r.ID = d.requestID()
	r.Session = d.session()
	r.Password = d.bin()
	r.TimeoutMs = d.int32()
	r.Valid = d.bool()
	return r
}

const notificationFields = 5

// notification appends the frame of n.
func (e *encoder) notification(n election.Notification) {
	start := e.begin(kindNotification, notificationFields)
	e.uint(uint64(n.State))
	e.uint(uint64(n.Vote.Leader))
	e.uint(uint64(n.Vote.Zxid))
	e.uint(uint64(n.Vote.Epoch))
	e.uint(n.Round)
	e.finish(start)
}

// notification decodes a frame that was opened. A state that does not exist is malformed; whether
// a vote makes sense is for election to say.
func (d *decoder) notification(kind uint8, fields int) (n election.Notification, err error) {
	if kind != kindNotification {
		d.fail("kind %d on an election connection", kind)
	}
	d.fields(kind, fields, notificationFields)
	n.State = election.State(d.uint(uint64(election.Observing)))
	n.Vote.Leader = d.server()
	n.Vote.Zxid = d.zxid()
	n.Vote.Epoch = d.epoch()
	n.Round = d.uint(math.MaxUint64)
	if n.State == 0 {
		d.fail("no state")
	}
	if err := d.end(); err != nil {
		return election.Notification{}, err
	}
	return n, nil
}
