package quoll

import (
	"quoll/election"
	"quoll/session"
	"quoll/tree"
	"quoll/zab"
)

// PeerConfig is what a Peer must be told once. Spans of time are in ticks of TickMs milliseconds.
type PeerConfig struct {
	ID       zab.ServerID
	Ensemble *zab.Ensemble
	Tree     tree.Options

	// Boot marks the requests of this process (zab.RequestID) and must differ from that of every
	// other process of the ensemble, past ones included: the shell draws it at random.
	Boot uint64

	TickMs      int64 // length of a tick
	BucketTicks int64 // sessions expire at multiples of it: ZooKeeper's tickTime
	InitTicks   int   // connect, discovery and synchronization, counted from the last progress
	SyncTicks   int   // silence after which a leader or a learner is given up
	PingTicks   int   // between the leader's pings

	FinalizeTicks  int // wait for a better vote once a quorum agrees
	ResendTicks    int // first re-send of an unanswered vote; doubles up to MaxResendTicks
	MaxResendTicks int

	MaxCounter  uint64 // 0: zab.MaxCounter; tests exhaust it (R22)
	WindowBytes int    // txns kept in memory for learners that were away; 0: zab.DefaultWindowBytes
	LeadBytes   int    // txns that a leader has outstanding before requests wait; 0: DefaultLeadBytes

	MinSessionMs, MaxSessionMs int32 // a client's wish is clamped to these

	ReapTicks   int64 // between the leader's searches for containers and TTL znodes to remove; 0: never
	ReapBatch   int   // removals proposed in one search, at most
	NeverUsedMs int64 // age at which a container that never had a child may go; 0: never

	ListMost int // children from which on a list is encoded beside the tree; 0: DefaultListMost

	ConfigText string // what /zookeeper/config shows
}

// WatchTable is session.Watches as a Peer uses it. The shell passes one behind a lock, since
// connections register watches beside each other; the simulator passes the bare one.
type WatchTable interface {
	Add(c session.ConnID, path string, m session.Mode)
	Has(c session.ConnID, path string, t session.WatcherType) bool
	Remove(c session.ConnID, path string, t session.WatcherType) bool
	RemoveConn(c session.ConnID)
	Trigger(e session.EventType, path []byte, emit func(session.ConnID))
}

// Peer is the whole server as one deterministic state machine: election, Zab, sessions, the tree
// and the order of answers. It has no goroutine, lock, clock, randomness, file, socket or logger:
// the same inputs give the same outputs, bit by bit, so that a seed replays a failure and a
// simulator runs what production runs.
//
// Inputs are methods; each appends to the Actions it is given, and none blocks or fails. One
// goroutine owns a Peer. Handle and Drop (peer_conn.go) may run beside it, but not beside Apply
// or Install: the shell holds a read lock for the former and the write lock for the latter.
type Peer struct {
	cfg PeerConfig

	zab      *zab.Peer
	election *election.Election
	tree     *tree.Tree
	rules    *tree.Rules
	watches  WatchTable
	views    ViewTable

	looking bool          // an election is under way for this incarnation
	own     election.Vote // in that election
	serving bool          // clients are served: Zab serves and what it delivered is applied
	full    bool          // the disk has no room: writes are refused, reads go on

	now    int64 // ticks since the start (R31: monotonic, for every deadline)
	wallMs int64 // the clock on the wall, as data only

	lead     leading      // the leader's role; empty otherwise
	requests requestQueue // writes of local connections, in order, until they are answered
	asks     []ask        // barriers and revalidations of local connections, until answered

	result tree.Result     // of the txn being applied, reused
	firing firing          // the event being told
	elect  election.Out    // of the election's last input, reused
	block  []byte          // txns are cut from blocks, not allocated one by one
	reqs   []zab.Request   // scratch
	ids    []zab.SessionID // scratch
}

// Actions is everything that a turn of inputs asks of the world. The embedded part carries the
// order of durability in its type: Send may leave at once, AfterSync only behind Persist.
type Actions struct {
	zab.Actions
	Votes   []election.Send // rest on durable state only, so they may leave at once
	Answers []Answer        // to requests that need no txn
}

// Reset empties a and keeps its memory.
func (a *Actions) Reset() {
	a.Actions.Reset()
	a.Votes = a.Votes[:0]
	a.Answers = a.Answers[:0]
}

// NewPeer makes a server of what recovery found: the tree at the newest snapshot and, in state,
// the history behind it. The tree stays at the snapshot until an epoch is established, since the
// txns after it are accepted but not known to be committed.
func NewPeer(cfg PeerConfig, state zab.State, t *tree.Tree, watches WatchTable, views ViewTable) *Peer {
	if cfg.ListMost == 0 {
		cfg.ListMost = DefaultListMost
	}
	if cfg.LeadBytes == 0 {
		cfg.LeadBytes = DefaultLeadBytes
	}
	p := &Peer{cfg: cfg, tree: t, watches: watches, views: views}
	p.rules = tree.NewRules(cfg.Tree)
	p.firing.emit = p.firing.tell // once: a function made for each change would be an allocation for each
	p.zab = zab.New(zab.Config{
		ID: cfg.ID, Ensemble: cfg.Ensemble, MaxCounter: cfg.MaxCounter, WindowBytes: cfg.WindowBytes,
		InitTicks: cfg.InitTicks, SyncTicks: cfg.SyncTicks, PingTicks: cfg.PingTicks,
	}, state)
	p.election = election.New(election.Config{
		ID: cfg.ID, Ensemble: cfg.Ensemble, FinalizeTicks: cfg.FinalizeTicks,
		ResendTicks: cfg.ResendTicks, MaxResendTicks: cfg.MaxResendTicks,
	})
	return p
}

// Start enters the first election.
func (p *Peer) Start(out *Actions) { p.settle(out) }

// Clock tells the time on the wall in ms since 1970. It is data in txns and nothing else (R31).
func (p *Peer) Clock(wallMs int64) { p.wallMs = wallMs }

// Tick tells that a tick has passed.
func (p *Peer) Tick(out *Actions) {
	p.now++
	p.zab.Tick(&out.Actions)
	if p.looking {
		p.election.Tick(&p.elect)
		p.vote(out)
	}
	if p.serving && p.leads() {
		p.expire(out)
		p.reap(out)
	}
	p.settle(out)
}

// Notification applies a notification of the election from another server.
func (p *Peer) Notification(from zab.ServerID, n election.Notification, out *Actions) {
	p.election.Receive(from, n, &p.elect)
	p.vote(out)
	p.settle(out)
}

// MeshUp tells that notifications reach id and come from it.
func (p *Peer) MeshUp(id zab.ServerID, out *Actions) {
	p.election.Connected(id, &p.elect)
	p.vote(out)
	p.settle(out)
}

// MeshDown tells that id cannot be reached.
func (p *Peer) MeshDown(id zab.ServerID, out *Actions) {
	p.election.Disconnected(id)
	if id == p.zab.Leader() && p.zab.Phase() == zab.Discovery {
		p.zab.Abdicate(&out.Actions) // it died before it could lead: dialing it is in vain
	}
	p.count(out)
	p.settle(out)
}

// LinkUp tells of a new link to or from server; dialed means that Connect asked for it.
func (p *Peer) LinkUp(link zab.LinkID, server zab.ServerID, dialed bool, out *Actions) {
	p.zab.LinkUp(link, server, dialed, &out.Actions)
	p.settle(out)
}

// LinkDown tells that a link is gone. It is the last that is heard of it.
func (p *Peer) LinkDown(link zab.LinkID, out *Actions) {
	p.zab.LinkDown(link, &out.Actions)
	p.count(out)
	p.settle(out)
}

// count has the election look whether those are still there on whose votes this server is about to
// lead: without them it would wait out the init window, and keep everybody else from an election.
func (p *Peer) count(out *Actions) {
	if p.leads() && !p.zab.Serving() {
		p.election.Linked(p.zab.Linked(), &p.elect)
		p.vote(out)
	}
}

// Progress tells that bytes of a snapshot or of a history flow on link: it is not dead.
func (p *Peer) Progress(link zab.LinkID) { p.zab.Progress(link) }

// Durable tells that the first seq records handed out in Persist are on disk.
func (p *Peer) Durable(seq uint64, out *Actions) {
	p.zab.Durable(seq, &out.Actions)
	if p.looking && p.ballot() != p.own {
		p.look(out) // what was under way when the election began is durable now, and may be acknowledged
	}
	p.settle(out)
}

// Receive applies a message that came over link.
func (p *Peer) Receive(link zab.LinkID, m *zab.Message, out *Actions) {
	switch m.Kind {
	case zab.Requests, zab.Touch, zab.Revalidate:
		p.fromLearner(link, m, out)
	case zab.RevalidateReply:
		if p.zab.IsLeaderLink(link) {
			p.revalidated(m)
		}
	default:
		p.zab.Receive(link, m, &out.Actions)
	}
	p.settle(out)
}

// DiskFull tells whether the log has room. Without any, writes are refused with a clear error
// and reads go on.
func (p *Peer) DiskFull(full bool, out *Actions) {
	changed := p.full != full
	p.full = full
	if changed && p.looking { // a server without room does not vote; one that has some again does
		p.look(out)
	}
	p.settle(out)
}

// Snapshotted tells the newest complete snapshot and from where on the log is complete.
func (p *Peer) Snapshotted(newest, horizon zab.Zxid, out *Actions) {
	p.zab.Snapshotted(newest, horizon, &out.Actions)
	p.settle(out)
}

// Abdicate leaves the role, if there is one, for another election.
func (p *Peer) Abdicate(out *Actions) {
	p.zab.Abdicate(&out.Actions)
	p.settle(out)
}

// Flush ends a turn: what the turn gathered leaves in one message per link.
func (p *Peer) Flush(out *Actions) {
	if p.serving {
		p.forward(out)
	}
	p.zab.Flush(&out.Actions)
	p.settle(out)
}

// Caught tells, after a turn was performed, that everything in Deliver is applied. It reports
// whether that gave rise to anything in out.
func (p *Peer) Caught(out *Actions) bool {
	answered := false
	if p.leads() && p.lead.pending != nil {
		p.lead.pending.Committed(p.tree.Applied())
		answered = p.answerQuestions(out)
	}
	if p.zab.Serving() && !p.serving && p.tree.Applied() == p.zab.Delivered() {
		p.serve(out)
		return true
	}
	return p.answerAsks(out) || answered
}

// settle brings the parts together after each input: an ended role starts an election, a broken
// barrier is asked again, an answered one waits for its zxid.
func (p *Peer) settle(out *Actions) {
	for _, b := range out.Barriers {
		p.confirmed(b)
	}
	out.Barriers = out.Barriers[:0]
	if p.serving && !p.zab.Serving() {
		p.retire()
	}
	if p.zab.Role() == zab.Looking && !p.looking {
		p.look(out)
	}
}

// look starts an election.
func (p *Peer) look(out *Actions) {
	p.retire()
	p.looking = true
	p.own = p.ballot()
	p.election.Start(p.own, &p.elect)
	p.vote(out)
}

// ballot returns the vote for this server: what is durable, never what is applied (R5, R11). It is the
// zero one when this server may not be voted for.
func (p *Peer) ballot() election.Vote {
	if p.zab.Silent() || p.full || !p.cfg.Ensemble.IsVoter(p.cfg.ID) {
		return election.Vote{}
	}
	return election.Vote{Leader: p.cfg.ID, Zxid: p.zab.LastDurable(), Epoch: p.zab.CurrentEpoch()}
}

// vote passes on what the election asked for, and acts on its decision.
func (p *Peer) vote(out *Actions) {
	out.Votes = append(out.Votes, p.elect.Send...)
	leader, deserted := p.elect.Decided, p.elect.Deserted
	p.elect.Reset()
	if deserted && !p.looking && !p.zab.Serving() {
		// The voters of an epoch that is not established have gone to look for another leader:
		// waiting out the init window would be in vain (ZOOKEEPER-3109).
		p.zab.Abdicate(&out.Actions)
		return
	}
	if leader == 0 || !p.looking {
		return
	}
	p.looking = false
	if leader == p.cfg.ID {
		p.zab.Lead(&out.Actions)
	} else {
		p.zab.Follow(leader, &out.Actions)
	}
}

// serve begins to serve clients. Everything of the epoch's initial history is applied, so a
// request that is still unanswered is not in it: it was never committed and never will be, and
// goes out again, in order, before anything newer (R6 and design.md, "exactly once").
func (p *Peer) serve(out *Actions) {
	p.serving = true
	state := election.Following
	switch p.zab.Role() {
	case zab.Leading:
		state = election.Leading
		p.lead.begin(p)
	case zab.Observing:
		state = election.Observing
	default:
	}
	p.election.Settle(state, p.zab.Epoch(), &p.elect)
	p.vote(out)
	p.requests.unsend()
	p.forward(out)
	p.askAgain(out)
}

// retire ends serving. The tree stays: it holds committed txns only, so it is a prefix of every
// history to come (D2). Requests and asks stay too; everything else of the role is dropped (R6).
func (p *Peer) retire() {
	p.serving = false
	p.lead = leading{}
}

func (p *Peer) leads() bool { return p.zab.Role() == zab.Leading }

// Serving reports whether clients are served.
func (p *Peer) Serving() bool { return p.serving }

// Tree returns the tree; it changes only in Apply and Install.
func (p *Peer) Tree() *tree.Tree { return p.tree }

// Zab returns the broadcast protocol's state, for questions only.
func (p *Peer) Zab() *zab.Peer { return p.zab }

// Looking reports whether an election is under way.
func (p *Peer) Looking() bool { return p.looking }
