package quoll

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"quoll/transport/admin"
	"quoll/transport/wire"
	"quoll/tree"
	"quoll/zab"
)

// roleStatus is what the loop tells everybody else about the Peer. A value is never changed.
type roleStatus struct {
	serving     bool
	role        zab.Role
	phase       zab.Phase
	sync        string
	learners    []zab.LearnerStatus
	since       time.Time // when serving began
	outstanding int
}

// publish shows the state after a turn: the gate at once, the rest when the role changed or a
// report is due.
func (s *Server) publish() {
	p := s.peer
	s.gate.set(p.Serving())
	s.writable.add(p.requests.nbytes - s.brought) // less what was answered, dropped or refused
	s.brought = p.requests.nbytes
	z, old := p.Zab(), s.role.Load()
	same := old.serving == p.Serving() && old.role == z.Role() && old.phase == z.Phase()
	if same && s.clients.until != 1 {
		return
	}
	r := &roleStatus{
		serving: p.Serving(), role: z.Role(), phase: z.Phase(), sync: z.SyncMode(),
		learners: z.Learners(), since: old.since, outstanding: p.Open(),
	}
	if !same {
		s.logger.Info("role", "role", r.role.String(), "phase", r.phase.String(), "epoch", z.Epoch(), "leader", z.Leader(),
			"zxid", z.LastLogged(), "left", string(z.Left()))
	}
	if r.role == zab.Looking && !z.Installing() {
		s.staged.clear()
	}
	if r.serving && !old.serving {
		r.since = time.Now()
	}
	s.role.Store(r)
}

// source is the Server as the four-letter words see it.
type source struct{ s *Server }

// Status describes the server.
func (v source) Status() admin.Status {
	s := v.s
	r := s.role.Load()
	st := admin.Status{
		Serving: r.serving, Mode: v.mode(r),
		Latency:  admin.Latency{Min: s.stats.latency.minMs(), Max: s.stats.latency.maxMs(), Avg: s.stats.latency.avgMs()},
		Received: s.stats.received.Load(), Sent: s.stats.sent.Load(), Outstanding: int64(r.outstanding),
		Connections: s.clients.count(), Dropped: s.stats.rejected.Load(), AuthFailed: s.stats.authFailed.Load(),
		Responses: admin.Sizes{Last: -1, Min: -1, Max: -1},
		Config:    v.config(),
	}
	if r.serving {
		st.Uptime = time.Since(r.since)
	}
	st.OpenFiles, st.MaxFiles = openFiles()
	st.DataDirSize, st.LogDirSize = diskUsage(s.cfg.DataDir), diskUsage(s.cfg.DataLogDir)
	_, _, st.WatchCount = s.watches.totals()
	v.treeStatus(&st)
	if len(s.cfg.Servers) > 0 {
		v.quorum(r, &st)
	}
	return st
}

func (v source) treeStatus(st *admin.Status) {
	v.s.treeMu.RLock()
	defer v.s.treeMu.RUnlock()
	t := v.s.peer.Tree()
	st.Zxid, st.NodeCount, st.DataSize = uint64(t.Applied()), t.NodeCount(), t.DataSize()
	st.Ephemerals, st.Sessions = t.EphemeralCount(), t.SessionCount()
	st.Digests = []admin.Digest{{Zxid: uint64(t.Applied()), Digest: t.Digest()}}
}

func (v source) mode(r *roleStatus) admin.Mode {
	switch {
	case !r.serving:
		return ""
	case len(v.s.cfg.Servers) == 0:
		return admin.ModeStandalone
	case r.role == zab.Leading:
		return admin.ModeLeader
	case r.role == zab.Observing:
		return admin.ModeObserver
	default:
		return admin.ModeFollower
	}
}

func (v source) quorum(r *roleStatus, st *admin.Status) {
	peer := strings.ToLower(r.role.String())
	if r.role != zab.Looking {
		peer += " - " + strings.ToLower(r.phase.String())
	}
	if r.sync != "" && r.phase == zab.Synchronization {
		peer += " - " + strings.ToLower(r.sync)
	}
	st.Quorum = &admin.Quorum{Peer: peer, Size: len(v.s.ensemble.Voters())}
	if r.role != zab.Leading {
		return
	}
	sizes := &v.s.stats.proposals
	st.Leader = &admin.LeaderStatus{
		Learners: len(r.learners), Uptime: time.Since(r.since),
		Proposals: admin.Sizes{Last: sizes.last.Load(), Min: sizes.least.Load(), Max: sizes.most.Load()},
	}
	for _, l := range r.learners {
		switch {
		case !l.Synced:
			st.Leader.PendingSyncs++
		case l.Votes:
			st.Leader.SyncedFollowers++
		default:
			st.Leader.SyncedObservers++
			st.Quorum.SyncedObservers++
		}
	}
}

func (v source) config() admin.ConfigStatus {
	c := &v.s.cfg
	st := admin.ConfigStatus{
		ClientPort: portOf(v.s.ClientAddr()), DataDir: c.DataDir, DataLogDir: c.DataLogDir, TickTime: c.TickTime,
		MaxClientCnxns: max(c.MaxClientCnxns, 0), MinSessionTimeout: c.MinSessionTimeout, MaxSessionTimeout: c.MaxSessionTimeout,
		ServerID: int(c.MyID), InitLimit: c.InitLimit, SyncLimit: c.SyncLimit, Membership: c.ConfigText(),
	}
	if self, ok := c.Self(); ok {
		st.ElectionPort, st.QuorumPort, st.Observer = self.ElectionPort, self.LinkPort, self.Observer
	} else {
		st.ServerID = 0
	}
	return st
}

// Connections lists the client connections.
func (v source) Connections() []admin.Connection {
	var all []admin.Connection
	for _, c := range v.s.clients.all() {
		all = append(all, c.describe())
	}
	return all
}

func (c *clientConn) describe() admin.Connection {
	c.mu.Lock()
	defer c.mu.Unlock()
	st := &c.stats
	return admin.Connection{
		Remote: c.remote, Reading: true, Outstanding: int64(c.pipe.Len()), Received: st.received, Sent: st.sent,
		Session: uint64(c.Session), LastOperation: shortName(st.lastOp), Established: c.since,
		Timeout: time.Duration(c.TimeoutMs) * time.Millisecond, LastCxid: int64(st.lastXid),
		LastZxid: uint64(c.lastZxid), LastResponse: st.lastResponse, LastLatency: st.lastLatency.Milliseconds(),
		Latency: admin.Latency{Min: st.latency.minMs(), Max: st.latency.maxMs(), Avg: st.latency.avgMs()},
	}
}

// shortName is how cons names an operation.
func shortName(op wire.Op) string {
	names := map[wire.Op]string{
		wire.OpNotification: "NA", wire.OpCreate: "CREA", wire.OpDelete: "DELE", wire.OpExists: "EXIS", wire.OpGetData: "GETD",
		wire.OpSetData: "SETD", wire.OpGetACL: "GETA", wire.OpSetACL: "SETA", wire.OpGetChildren: "GETC", wire.OpSync: "SYNC",
		wire.OpPing: "PING", wire.OpGetChildren2: "GETC", wire.OpMulti: "MULT", wire.OpCreate2: "CREA", wire.OpAuth: "AUTH",
		wire.OpSetWatches: "SETW", wire.OpSetWatches2: "STW2", wire.OpAddWatch: "ADDW", wire.OpWhoAmI: "WHOA",
		wire.OpCloseSession: "CLOS", wire.OpCheckWatches: "CHKW", wire.OpRemoveWatches: "REMW", wire.OpGetEphemerals: "GETE",
		wire.OpGetAllChildrenNumber: "GETACN", wire.OpMultiRead: "MLTR", wire.OpCreateContainer: "CREA", wire.OpCreateTTL: "CREA",
	}
	if name, ok := names[op]; ok {
		return name
	}
	return "UNKN"
}

// Watches lists the data watches.
func (v source) Watches() []admin.Watch {
	sessions := map[uint64]uint64{}
	for _, c := range v.s.clients.all() {
		c.mu.Lock()
		sessions[uint64(c.ID)] = uint64(c.Session)
		c.mu.Unlock()
	}
	w := v.s.watches
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []admin.Watch
	for path, id := range w.table.ByPath() {
		all = append(all, admin.Watch{Path: path, Session: sessions[uint64(id)]})
	}
	return all
}

// Sessions lists all sessions of the ensemble.
func (v source) Sessions() []admin.Session {
	v.s.treeMu.RLock()
	defer v.s.treeMu.RUnlock()
	t := v.s.peer.Tree()
	var all []admin.Session
	t.EachSession(func(s *tree.Session) bool {
		one := admin.Session{ID: uint64(s.ID), Timeout: time.Duration(s.TimeoutMs) * time.Millisecond}
		t.EachEphemeral(s.ID, func(path []byte) bool {
			one.Ephemerals = append(one.Ephemerals, string(path))
			return true
		})
		slices.Sort(one.Ephemerals)
		all = append(all, one)
		return true
	})
	return all
}

// Reset sets counters to zero.
func (v source) Reset(what admin.ResetScope) {
	if what == admin.ResetServer {
		v.s.stats.latency.reset()
		v.s.stats.received.Store(0)
		v.s.stats.sent.Store(0)
		return
	}
	for _, c := range v.s.clients.all() {
		c.mu.Lock()
		c.stats.received, c.stats.sent = 0, 0
		c.stats.latency.reset()
		c.mu.Unlock()
	}
}

// diskUsage adds up the sizes of the files in a directory; what cannot be read counts nothing.
func diskUsage(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, fault error) error {
		if fault != nil || d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			n += info.Size()
		}
		return nil
	})
	return n
}

// openFiles counts the file descriptors in use, where the system shows them.
func openFiles() (n, limit int64) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return -1, -1
	}
	return int64(len(entries)), maxOpenFiles()
}

func portOf(addr string) int {
	i := strings.LastIndexByte(addr, ':')
	n := 0
	for _, r := range addr[i+1:] {
		n = n*10 + int(r-'0')
	}
	return n
}
