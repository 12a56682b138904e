package admin

import (
	"net/netip"
	"time"
)

// Source is a server as the words see it. Its methods are called from any number of goroutines
// and return values that the caller may keep; each is one consistent view, two calls need not be.
type Source interface {
	// Status describes the server.
	Status() Status
	// Connections lists the client connections, in the order in which they came.
	Connections() []Connection
	// Watches lists the data watches, sorted by path, then by session.
	Watches() []Watch
	// Sessions lists all sessions that the server knows, sorted by id.
	Sessions() []Session
	// Reset sets counters to zero: those of every connection, or those of the server.
	Reset(what ResetScope)
}

// ResetScope says which counters go.
type ResetScope uint8

// The scopes of crst and of srst.
const (
	ResetConnections ResetScope = iota
	ResetServer
)

// Mode is what a server is to its clients, as srvr and mntr print it.
type Mode string

// The modes.
const (
	ModeLeader     Mode = "leader"
	ModeFollower   Mode = "follower"
	ModeObserver   Mode = "observer"
	ModeStandalone Mode = "standalone"
	ModeReadOnly   Mode = "read-only"
)

// Status is one moment of a server. Latencies count from a request's arrival to its answer, in
// milliseconds, since the start or the last srst.
type Status struct {
	Serving bool // clients are served: there is a leader, or the server stands alone
	Mode    Mode // while Serving

	Latency     Latency
	Received    int64 // packets from clients
	Sent        int64 // packets to clients
	Outstanding int64 // requests that wait for their answer
	Connections int   // client connections
	Zxid        uint64
	NodeCount   int
	WatchCount  int
	Ephemerals  int
	DataSize    int64 // bytes of paths and data in the tree
	Sessions    int
	Uptime      time.Duration // since the server began to serve

	OpenFiles, MaxFiles int64 // file descriptors in use and allowed
	Responses           Sizes // of responses to clients
	AuthFailed          int64
	Dropped             int64 // connections refused over maxClientCnxns or maxCnxns

	// Quorum is how the server takes part in an ensemble. Nil: it stands alone.
	Quorum *Quorum
	// Leader is what only a leader knows. Nil otherwise.
	Leader *LeaderStatus

	// Disk usage in bytes, below the data and the log directory.
	DataDirSize, LogDirSize int64

	Config  ConfigStatus
	Digests []Digest // what hash prints: digests of the tree, oldest first

	Counters  []Counter // more lines of mntr
	Summaries []Summary
}

// Latency is in milliseconds.
type Latency struct {
	Min, Max int64
	Avg      float64
}

// Sizes are byte counts; -1 before the first.
type Sizes struct {
	Last, Min, Max int64
}

// Quorum is a member's part in its ensemble.
type Quorum struct {
	// Peer is the state of the protocol: "leading - broadcast", "following - synchronization -
	// diff", "looking".
	Peer string
	Size int // voters
	// SyncedObservers are observers that this server feeds.
	SyncedObservers int
}

// LeaderStatus is the leader's view of its learners and proposals.
type LeaderStatus struct {
	Learners                 int // connected followers and observers
	SyncedFollowers          int
	SyncedNonVotingFollowers int
	SyncedObservers          int
	PendingSyncs             int
	Uptime                   time.Duration // as a leader
	Proposals                Sizes
}

// ConfigStatus is what conf prints.
type ConfigStatus struct {
	ClientPort                           int
	DataDir, DataLogDir                  string
	TickTime                             time.Duration
	MaxClientCnxns                       int // 0: no limit
	MinSessionTimeout, MaxSessionTimeout time.Duration
	ServerID                             int

	// The rest is printed for a member of an ensemble.
	InitLimit, SyncLimit     int
	ElectionPort, QuorumPort int
	Observer                 bool
	Membership               string // the data of /zookeeper/config
}

// Digest is the digest of the tree at a zxid.
type Digest struct {
	Zxid   uint64
	Digest uint64
}

// Counter is one number for mntr; its name is without the prefix zk_.
type Counter struct {
	Name  string
	Value int64
}

// Summary is the distribution of something measured, for mntr.
type Summary struct {
	Name       string
	Min, Max   int64
	Count, Sum int64
	Quantiles  bool // P50 to P999 are set
	P50, P95   int64
	P99, P999  int64
}

// Connection is one client connection. Session is 0 until its handshake is done; what follows it
// means something only then.
type Connection struct {
	Remote      netip.AddrPort
	Reading     bool // waits for bytes from the client
	Outstanding int64
	Received    int64
	Sent        int64

	Established time.Time

	Session       uint64
	LastOperation string // "PING", "CREA": four letters, NA before the first
	Timeout       time.Duration
	LastCxid      int64 // xid of the last request; negative (ping and its like) is not printed
	LastZxid      uint64
	LastResponse  time.Time // zero before the first
	LastLatency   int64     // ms
	Latency       Latency
}

// Watch is one data watch.
type Watch struct {
	Path    string
	Session uint64
}

// Session is one session of the ensemble.
type Session struct {
	ID         uint64
	Timeout    time.Duration
	Expires    time.Time // known to the leader and to a standalone server only; zero elsewhere
	Ephemerals []string  // sorted
}
