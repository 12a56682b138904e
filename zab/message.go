package zab

// LinkID numbers a connection between two servers, unique in the life of a process. What an old
// connection still delivers carries its own number and is dropped (R6, zab.md N4). 0 names none.
type LinkID uint64

// SessionID names a client session. The top byte is the server that took the connection in.
type SessionID int64

// Xid is the number a client gives to a request; clients reuse them, so it identifies nothing.
type Xid int32

// RequestID identifies a client request for as long as its outcome matters: Boot is drawn at
// random by each process at its start, N counts up within it. It is part of the txn, so that a
// request that outlives an election is answered exactly once. The zero value is "no request".
type RequestID struct {
	Boot uint64
	N    uint64
}

// Kind says what a Message is, with the names of zab.md 1.6.
type Kind uint8

// The kinds of message between a learner and its leader, and the fields that each uses.
const (
	_               Kind = iota
	FollowerInfo         // learner→leader  Epoch: accepted epoch, Server: sender, Observer
	LeaderInfo           // leader→learner  Epoch: e'
	AckEpoch             // learner→leader  Epoch: current epoch, Zxid: last durable, NoCount
	Diff                 // leader→learner  Zxid: end of the initial history
	Trunc                // leader→learner  Zxid: new end of the learner's history
	Snap                 // leader→learner  Zxid: of the snapshot; the link delivers it whole
	Proposal             // leader→voter    Txns, Commit
	Inform               // leader→observer Txns, all committed
	NewLeader            // leader→learner  Epoch: e'; delimiter of the initial history (R13)
	Ack                  // voter→leader    Zxid: all up to it is durable; (e',0) acks NewLeader
	Commit               // leader→learner  Commit: all up to it is committed
	UpToDate             // leader→learner  Commit: serve clients
	Ping                 // leader→learner  Seq: confirmation round, Commit
	PingReply            // learner→leader  Seq
	Barrier              // learner→leader  Seq: the learner's number for it
	BarrierReply         // leader→learner  Seq, Zxid: answer when applied up to it
	Requests             // learner→leader  Requests: client writes, in order
	Touch                // learner→leader  Sessions heard from since the last one
	Revalidate           // learner→leader  Revalidation
	RevalidateReply      // leader→learner  Revalidation, Zxid: answer when applied up to it
	numKinds
)

// Message is one frame between a learner and its leader. Kind says which fields count; the rest
// are zero. A Message handed to Receive belongs to the callee, which may keep the bytes it holds;
// one that left in an Envelope is shared and must not be changed.
type Message struct {
	Kind     Kind
	Server   ServerID
	Observer bool // the sender learns and serves, but never acks or votes
	NoCount  bool // the promise for this epoch was spent on an earlier connection

	Epoch  Epoch
	Zxid   Zxid
	Commit Zxid
	Seq    uint64

	Txns         []Txn
	Requests     []Request
	Sessions     []SessionID
	Revalidation Revalidation
}

// Txn is a proposed change: its place in the history and its bytes, encoded once by the leader.
// The same bytes are the proposal, the log record and the input of apply; nobody changes them.
type Txn struct {
	Zxid Zxid
	Data []byte
}

// Request is a client's write on its way to the leader.
type Request struct {
	ID      RequestID
	Session SessionID
	Xid     Xid
	Op      int32    // wire.Op
	Body    []byte   // the client's record, still in jute
	Auth    []AuthID // identities of the connection when the request arrived
}

// AuthID is one identity of a client connection, such as {"digest", "user:hash"}.
type AuthID struct {
	Scheme string
	ID     string
}

// Revalidation asks the leader whether a session lives and moves it to the sender (R27).
type Revalidation struct {
	ID        RequestID // the asking server's number for the handshake
	Session   SessionID
	Password  []byte
	TimeoutMs int32
	Valid     bool // in the reply
}

// RecordKind is the type of a log record.
type RecordKind uint8

// The kinds of log record. Replaying a log is a fold over them, so the order of appending is the
// only order there is between history and epochs (R2).
const (
	_                   RecordKind = iota
	RecordTxn                      // Zxid, Data: a txn was accepted
	RecordAcceptedEpoch            // Epoch: promised to a prospective leader
	RecordCurrentEpoch             // Epoch: its initial history precedes this record
	RecordTruncate                 // Zxid: everything after it is gone (R9)
	RecordInstall                  // Zxid: a new generation starts at this snapshot (R10). It stays aside,
	// and so do the txns after it, until the next RecordCurrentEpoch makes it the history.
	RecordAbandon  // the generation that was being installed is dropped
	RecordSnapshot // Zxid: a complete snapshot of this zxid is on disk
	numRecordKinds
)

// Record is one entry of the log. Data is shared with the Txn and must not be changed.
type Record struct {
	Kind  RecordKind
	Epoch Epoch
	Zxid  Zxid
	Data  []byte
}

// Size returns what r takes in memory, in bytes and about.
func (r *Record) Size() int { return len(r.Data) + txnOverhead }
