package quoll

import (
	"cmp"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"quoll/log/vfs"
	"quoll/transport"
	"quoll/zab"
)

// Defaults of Config. They are ZooKeeper's.
const (
	DefaultClientAddress          = ":2181"
	DefaultTickTime               = 3 * time.Second
	DefaultInitLimit              = 10
	DefaultSyncLimit              = 5
	DefaultMaxClientCnxns         = 60
	DefaultMaxBuffer              = 0xfffff
	DefaultSnapSizeLimit          = 4 << 30
	DefaultPreAllocSize           = 64 << 20
	DefaultSnapRetainCount        = 3
	DefaultFsyncWarning           = time.Second
	DefaultContainerCheckInterval = time.Minute
	DefaultContainerMaxPerMinute  = 10_000
	DefaultDigestAlg              = "SHA1"
	DefaultClusterName            = "quoll"
)

// Config is everything a server is told. Each field names its key in zoo.cfg and what its zero
// value means; a Config with a DataDir and nothing else is a standalone server on port 2181.
// Limits for which ZooKeeper writes 0 as "none" are negative here when there is to be none.
type Config struct {
	// DataDir is the directory of snapshots and of the file myid (dataDir). Required.
	DataDir string
	// DataLogDir is the directory of the write-ahead log (dataLogDir). Empty: DataDir. A disk of
	// its own keeps snapshots from delaying writes.
	DataLogDir string
	// RequireInitialize refuses an empty disk unless DataDir holds a file named initialize, so
	// that a lost disk is not taken for a new server (db.autocreate=false).
	RequireInitialize bool
	// SnapCount is the number of txns between snapshots (snapCount). Each server draws the real
	// number from [SnapCount/2, SnapCount], so that they do not all write at once; otherwise at
	// least 2. 0: a snapshot is due when replaying what came after the last one would keep a start
	// waiting for about a second.
	SnapCount int
	// SnapSizeLimit is the number of log bytes between snapshots (snapSizeLimitInKb), drawn as
	// SnapCount is. 0: DefaultSnapSizeLimit; negative: no limit.
	SnapSizeLimit int64
	// PreAllocSize is the number of bytes by which the log grows on disk ahead of its contents
	// (preAllocSize, there in KB). 0: DefaultPreAllocSize.
	PreAllocSize int64
	// PurgeInterval says whether old snapshots and logs are removed (autopurge.purgeInterval).
	// Negative: never. Otherwise they are removed behind every new snapshot, which bounds the disk
	// better than a timer does, and the length of the interval is of no importance.
	PurgeInterval time.Duration
	// SnapRetainCount is the number of snapshots that a removal leaves, with the log behind the
	// oldest of them (autopurge.snapRetainCount). 0: DefaultSnapRetainCount, which is the least.
	SnapRetainCount int
	// NoSync acknowledges writes before they are on disk (forceSync=no). A power failure may then
	// lose acknowledged writes, and an ensemble may diverge.
	NoSync bool
	// FsyncWarning is the duration of an fsync from which on it is logged
	// (fsync.warningthresholdms). 0: DefaultFsyncWarning.
	FsyncWarning time.Duration

	// ClientAddress is the host:port for clients (clientPortAddress and clientPort). An empty host
	// is every address; port 0 is any free one. Empty: DefaultClientAddress.
	ClientAddress string
	// TickTime is ZooKeeper's unit of time (tickTime): sessions expire at its multiples, and
	// InitLimit and SyncLimit count it. 0: DefaultTickTime; otherwise at least MinTickTime.
	TickTime time.Duration
	// MinSessionTimeout and MaxSessionTimeout clamp what a client asks for. 0: 2 and 20 ticks.
	MinSessionTimeout, MaxSessionTimeout time.Duration
	// MaxClientCnxns is the number of connections from one IP address (maxClientCnxns).
	// 0: DefaultMaxClientCnxns; negative: no limit.
	MaxClientCnxns int
	// MaxCnxns is the number of client connections of the server (maxCnxns). 0: no limit.
	MaxCnxns int
	// MaxBuffer is the largest request in bytes (jute.maxbuffer). 0: DefaultMaxBuffer.
	MaxBuffer int
	// ReadOnlyMode adds isro to FourLetterWords (readonlymode.enabled), as in ZooKeeper. To serve
	// reads without a quorum is not built.
	ReadOnlyMode bool
	// FourLetterWords are the words that the client port answers (4lw.commands.whitelist); "*" is
	// all of them. Nil: srvr, and isro with ReadOnlyMode.
	FourLetterWords []string

	// MyID is the number of this server (the file myid). 0: 1, for a server that stands alone.
	MyID zab.ServerID
	// Servers are the ensemble (server.N), this server included. Empty: standalone.
	Servers []ServerSpec
	// Groups and Weights ask for hierarchical quorums (group.N, weight.N); a voter that Weights
	// does not name weighs 1. Nil: a quorum is a majority of the voters.
	Groups  map[int][]zab.ServerID
	Weights map[zab.ServerID]int
	// InitLimit is the number of ticks in which a learner must connect to the leader and have
	// its history, counted from the last progress (initLimit). 0: DefaultInitLimit.
	InitLimit int
	// SyncLimit is the number of ticks of silence after which a leader and a learner give each
	// other up (syncLimit). 0: DefaultSyncLimit.
	SyncLimit int
	// ListenOnAllIPs binds the two ports of this server's line on every address, not only on the
	// host that the line names (quorumListenOnAllIPs).
	ListenOnAllIPs bool
	// ClusterName keeps servers of different ensembles from talking to each other
	// (quoll.clusterName, a key of Quoll alone). Empty: DefaultClusterName.
	ClusterName string

	// ExtendedTypes allows znodes with a time to live (extendedTypesEnabled). All servers of an
	// ensemble must agree.
	ExtendedTypes bool
	// ContainerCheckInterval is the time between searches for containers and znodes with a time
	// to live that may go (znode.container.checkIntervalMs). 0: DefaultContainerCheckInterval;
	// negative: never.
	ContainerCheckInterval time.Duration
	// ContainerMaxPerMinute bounds their removals in a minute (znode.container.maxPerMinute).
	// 0: DefaultContainerMaxPerMinute.
	ContainerMaxPerMinute int
	// ContainerMaxNeverUsed is the age at which a container that never had a child goes
	// (znode.container.maxNeverUsedIntervalMs). 0: never.
	ContainerMaxNeverUsed time.Duration

	// SkipACL lets every request pass every access control list (skipACL).
	SkipACL bool
	// SuperDigest is the user:base64(digest) whose holder passes every access control list
	// (DigestAuthenticationProvider.superDigest). Empty: nobody does.
	SuperDigest string
	// DigestAlg is the hash of the digest scheme: SHA1, SHA-256 or SHA-512
	// (DigestAuthenticationProvider.digestAlg). Empty: DefaultDigestAlg. All servers must agree.
	DigestAlg string
	// DigestDisabled takes the digest scheme away (DigestAuthenticationProvider.enabled=false).
	DigestDisabled bool

	// FS is the disk. Nil: the operating system's. Paths above are paths in it.
	FS vfs.FS
	// Network opens and accepts all connections. Nil: TCP.
	Network transport.Network
	// Logger receives what operators should know. Nil: nothing is logged.
	Logger *slog.Logger
}

// MinTickTime is the shortest TickTime: the server counts time in units of 10 ms.
const MinTickTime = 10 * time.Millisecond

// ServerSpec is one server.N line: a member of the ensemble and where it listens.
type ServerSpec struct {
	ID           zab.ServerID
	Host         string // name or address, without brackets; resolved again at every dial
	LinkPort     int    // Zab: the first port of the line ("quorum port")
	ElectionPort int    // the second one; must differ from LinkPort
	Observer     bool   // learns and serves, but never votes

	// ClientAddress is the part behind the semicolon as host:port. Empty: the line has none, and
	// /zookeeper/config shows none.
	ClientAddress string
}

// LinkAddress returns the host:port of Zab connections.
func (s ServerSpec) LinkAddress() string { return joinHostPort(s.Host, s.LinkPort) }

// ElectionAddress returns the host:port of election connections.
func (s ServerSpec) ElectionAddress() string { return joinHostPort(s.Host, s.ElectionPort) }

// String prints s as the value of a server.N line, in the form that ZooKeeper's parsers demand.
func (s ServerSpec) String() string {
	role := "participant"
	if s.Observer {
		role = "observer"
	}
	text := s.LinkAddress() + ":" + strconv.Itoa(s.ElectionPort) + ":" + role
	if s.ClientAddress != "" {
		text += ";" + s.ClientAddress
	}
	return text
}

func joinHostPort(host string, port int) string {
	return net.JoinHostPort(host, strconv.Itoa(port))
}

// Standalone reports whether the server is no member of an ensemble: it has no other to talk to.
func (c *Config) Standalone() bool { return len(c.Servers) == 0 }

// Self returns this server's line; false when it stands alone.
func (c *Config) Self() (ServerSpec, bool) {
	i := slices.IndexFunc(c.Servers, func(s ServerSpec) bool { return s.ID == c.MyID })
	if i < 0 {
		return ServerSpec{}, false
	}
	return c.Servers[i], true
}

// ListenAddresses returns what this server binds for Zab and for elections; empty when it stands
// alone.
func (c *Config) ListenAddresses() (link, election string) {
	self, ok := c.Self()
	if !ok {
		return "", ""
	}
	if c.ListenOnAllIPs {
		self.Host = ""
	}
	return self.LinkAddress(), self.ElectionAddress()
}

// Ensemble returns the membership. A server that stands alone is an ensemble of one.
func (c *Config) Ensemble() (*zab.Ensemble, error) {
	if c.Standalone() {
		return zab.NewEnsemble(zab.EnsembleConfig{Voters: []zab.ServerID{max(c.MyID, 1)}})
	}
	e := zab.EnsembleConfig{Groups: c.Groups, Weights: c.Weights}
	for _, s := range c.Servers {
		if s.Observer {
			e.Observers = append(e.Observers, s.ID)
		} else {
			e.Voters = append(e.Voters, s.ID)
		}
	}
	return zab.NewEnsemble(e)
}

// ConfigText returns the data of /zookeeper/config: the membership as server, group and weight
// lines, and its version. The version is 0 as long as the membership cannot be changed at run
// time. A standalone server has no such data, as in ZooKeeper.
func (c *Config) ConfigText() string {
	if c.Standalone() {
		return ""
	}
	var b strings.Builder
	servers := slices.SortedFunc(slices.Values(c.Servers), func(a, b ServerSpec) int {
		return cmp.Compare(a.ID, b.ID)
	})
	for _, s := range servers {
		b.WriteString("server." + strconv.Itoa(int(s.ID)) + "=" + s.String() + "\n")
	}
	if len(c.Groups) > 0 {
		c.writeGroups(&b, servers)
	}
	b.WriteString("version=0")
	return b.String()
}

// writeGroups writes group lines in the order of their numbers, then the weight of every voter.
func (c *Config) writeGroups(b *strings.Builder, servers []ServerSpec) {
	ids := make([]int, 0, len(c.Groups))
	for id := range c.Groups {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		members := make([]string, 0, len(c.Groups[id]))
		for _, m := range slices.Sorted(slices.Values(c.Groups[id])) {
			members = append(members, strconv.Itoa(int(m)))
		}
		b.WriteString("group." + strconv.Itoa(id) + "=" + strings.Join(members, ":") + "\n")
	}
	for _, s := range servers {
		weight, given := c.Weights[s.ID]
		if s.Observer {
			continue
		}
		if !given {
			weight = 1
		}
		b.WriteString("weight." + strconv.Itoa(int(s.ID)) + "=" + strconv.Itoa(weight) + "\n")
	}
}

// setDefaults fills in every zero field that stands for a default, FS and Network included.
func (c *Config) setDefaults() {
	fill(&c.DataLogDir, c.DataDir)
	fill(&c.SnapSizeLimit, DefaultSnapSizeLimit)
	fill(&c.PreAllocSize, DefaultPreAllocSize)
	fill(&c.SnapRetainCount, DefaultSnapRetainCount)
	fill(&c.FsyncWarning, DefaultFsyncWarning)
	fill(&c.ClientAddress, DefaultClientAddress)
	fill(&c.TickTime, DefaultTickTime)
	fill(&c.MinSessionTimeout, 2*c.TickTime)
	fill(&c.MaxSessionTimeout, 20*c.TickTime)
	fill(&c.MaxClientCnxns, DefaultMaxClientCnxns)
	fill(&c.MaxBuffer, DefaultMaxBuffer)
	fill(&c.MyID, 1)
	fill(&c.InitLimit, DefaultInitLimit)
	fill(&c.SyncLimit, DefaultSyncLimit)
	fill(&c.ClusterName, DefaultClusterName)
	fill(&c.ContainerCheckInterval, DefaultContainerCheckInterval)
	fill(&c.ContainerMaxPerMinute, DefaultContainerMaxPerMinute)
	fill(&c.DigestAlg, DefaultDigestAlg)
	if c.FourLetterWords == nil {
		c.FourLetterWords = []string{"srvr"}
	}
	if c.ReadOnlyMode && !slices.Contains(c.FourLetterWords, "isro") {
		c.FourLetterWords = append(slices.Clip(c.FourLetterWords), "isro")
	}
	if c.FS == nil {
		c.FS = vfs.OS()
	}
	if c.Network == nil {
		c.Network = transport.TCP{}
	}
}

// fill sets an unset field.
func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
