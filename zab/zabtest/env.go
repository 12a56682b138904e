package zabtest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"quoll/zab"
)

// Options describes the ensemble. Servers are numbered from 1, voters first.
type Options struct {
	Voters, Observers    int
	Groups               map[int][]zab.ServerID
	Weights              map[zab.ServerID]int
	Init, Sync, Ping     int    // ticks; 0: 50, 20, 5
	MaxCounter           uint64 // 0: as in zab.Config
	WindowBytes          int    // 0: as in zab.Config
	ReleaseBeforeDurable bool   // messages that waited for the disk leave before Report tells the peer
}

// Env is the world of an ensemble. Its methods are the events; each runs one turn of the server
// that it happens to, and then has the Checker look at everything.
type Env struct {
	opts     Options
	ensemble *zab.Ensemble
	servers  []*Server
	links    []*Link
	lastLink zab.LinkID
	cut      map[[2]zab.ServerID]bool
	hold     map[[2]zab.ServerID]bool // from, to: Run lets nothing arrive
	checker  *Checker
	seen     map[string]int
	broken   error            // the first broken invariant that the Checker does not know
	trace    *strings.Builder // nil: no transcript
}

// Server is a peer, its disk and its tree. Peer is nil while the process is down.
type Server struct {
	Subject
	Blocked bool // the disk does not sync

	files    files
	tree     []zab.Txn // what was applied, from the beginning
	held     []heldEnvelope
	dialing  zab.ServerID
	answers  []zab.BarrierDone
	shown    string // role as last printed
	batched  bool   // inputs gather, the turn goes on
	reported int    // records that the peer knows to be durable, of all on the disk
	out      zab.Actions
}

// heldEnvelope waits in AfterSync for the first records of the disk.
type heldEnvelope struct {
	records int
	env     zab.Envelope
}

// New returns the world of an ensemble whose servers are all down, with empty disks.
func New(opts Options) *Env {
	setDefault(&opts.Init, 50)
	setDefault(&opts.Sync, 20)
	setDefault(&opts.Ping, 5)
	cfg := zab.EnsembleConfig{Groups: opts.Groups, Weights: opts.Weights}
	for i := range opts.Voters {
		cfg.Voters = append(cfg.Voters, zab.ServerID(i+1))
	}
	for i := range opts.Observers {
		cfg.Observers = append(cfg.Observers, zab.ServerID(opts.Voters+i+1))
	}
	ensemble, err := zab.NewEnsemble(cfg)
	if err != nil {
		panic(err)
	}
	e := &Env{opts: opts, ensemble: ensemble, seen: make(map[string]int)}
	e.cut, e.hold = make(map[[2]zab.ServerID]bool), make(map[[2]zab.ServerID]bool)
	var subjects []*Subject
	for _, m := range ensemble.Members() {
		s := &Server{Subject: Subject{ID: m.ID, Disk: NewDisk()}}
		s.files.snapshots = make(map[zab.Zxid][]zab.Txn)
		e.servers = append(e.servers, s)
		subjects = append(subjects, &s.Subject)
	}
	e.checker = NewChecker(ensemble, subjects)
	return e
}

func setDefault(v *int, to int) {
	if *v == 0 {
		*v = to
	}
}

// Servers returns all servers, by id.
func (e *Env) Servers() []*Server { return e.servers }

// Links returns the links of which an end is open, oldest first.
func (e *Env) Links() []*Link { return e.links }

// Ensemble returns the membership.
func (e *Env) Ensemble() *zab.Ensemble { return e.ensemble }

// Err returns the first broken invariant.
func (e *Env) Err() error {
	if err := e.checker.Err(); err != nil {
		return err
	}
	return e.broken
}

// Situations counts what the Checker has met of rare situations.
func (e *Env) Situations() map[string]int { return e.checker.Seen() }

// fail notes what only an Env sees, because it has the trees and the snapshot files.
func (e *Env) fail(s *Server, name, format string, args ...any) {
	if e.broken == nil {
		b := broken(name, format, args...)
		b.Server = s.ID
		e.broken = b
	}
}

// step has the Checker look at the servers, and at what only an Env sees.
func (e *Env) step(servers ...*Server) {
	for _, s := range servers {
		e.checker.Step(&s.Subject)
		if n := len(s.tree); s.Peer != nil && n > 0 && s.tree[n-1].Zxid != s.Peer.Delivered() {
			e.fail(s, "I-TREE", "has a tree at %s, delivered is %s", Z(s.tree[n-1].Zxid), Z(s.Peer.Delivered()))
		}
	}
	if err := e.Err(); err != nil {
		e.logf("BROKEN %v", err)
	}
}

// examine compares a snapshot that became the tree with what is committed (I-SNAP).
func (e *Env) examine(s *Server, z zab.Zxid) {
	canon := e.checker.Canon()
	if i, ok := e.checker.InCanon(z); z != 0 && (!ok || len(s.tree) != i+1) {
		e.fail(s, "I-SNAP", "has a snapshot at %s with %d txns", Z(z), len(s.tree))
		return
	}
	for i, t := range s.tree {
		if t.Zxid != canon[i] || !bytes.Equal(t.Data, e.checker.Data(t.Zxid)) {
			e.fail(s, "I-SNAP", "has a snapshot at %s that holds %s at place %d", Z(z), Z(t.Zxid), i)
			return
		}
	}
}

// Seen counts what has happened by name: kinds of message received, records logged, and more. A
// random test asks it whether it went everywhere.
func (e *Env) Seen() map[string]int { return e.seen }

// Trace writes what happens from now on to b, line by line; nil stops it.
func (e *Env) Trace(b *strings.Builder) { e.trace = b }

func (e *Env) logf(format string, args ...any) {
	if e.trace != nil {
		fmt.Fprintf(e.trace, format+"\n", args...)
	}
}

// Start starts a process on what the disk holds. silent: the disk is empty, and was not meant to be.
func (e *Env) Start(s *Server, silent bool) {
	state := s.recover()
	state.Silent = silent
	s.Life++
	e.checker.Recovered(&s.Subject, &state)
	s.Peer = zab.New(zab.Config{
		ID: s.ID, Ensemble: e.ensemble,
		InitTicks: e.opts.Init, SyncTicks: e.opts.Sync, PingTicks: e.opts.Ping,
		MaxCounter: e.opts.MaxCounter, WindowBytes: e.opts.WindowBytes,
	}, state)
	s.held, s.dialing, s.shown, s.reported = nil, 0, "", s.Disk.synced
	s.tree = slices.Clone(s.files.snapshots[state.Snapshot])
	e.logf("%s starts: accepted=%d current=%d last=%s", Name(s.ID), state.AcceptedEpoch,
		state.CurrentEpoch, Z(state.History.Last()))
	e.examine(s, state.Snapshot)
	e.step(s)
}

// Crash ends a process and with it its links. Of what was not synced the first keep records stay:
// all of them when only the process was killed.
func (e *Env) Crash(s *Server, keep int) {
	if s.Peer == nil {
		return
	}
	s.Peer = nil
	e.checker.Stopped(&s.Subject)
	from, to := s.Unsynced()
	s.lose(max(from, min(keep, to)))
	for _, l := range slices.Clone(e.links) {
		for i := range l.ends {
			if end := &l.ends[i]; end.server == s && end.open {
				e.shut(l, i)
			}
		}
	}
	e.step(s)
}

// Batch makes the events of one server that happen in inputs one turn, as a busy server has them.
func (e *Env) Batch(s *Server, inputs func()) {
	s.batched = true
	inputs()
	s.batched = false
	e.turn(s, func(*zab.Peer, *zab.Actions) {})
}

// turn runs one input and what ends a turn.
func (e *Env) turn(s *Server, input func(*zab.Peer, *zab.Actions)) {
	input(s.Peer, &s.out)
	if s.batched {
		return
	}
	s.Peer.Flush(&s.out)
	e.perform(s)
	e.step(s)
}

// perform does what the actions ask, as the shell would.
func (e *Env) perform(s *Server) {
	out := &s.out
	e.checker.Turn(&s.Subject, out)
	for _, v := range out.Violations {
		e.seen["refused "+v.Kind.String()]++
		if v.Kind == 0 {
			e.logf("%s gives %s up: %s", Name(s.ID), Name(e.peerOf(v.Link)), v.Text)
		} else {
			e.logf("%s refuses %v from %s: %s", Name(s.ID), v.Kind, Name(e.peerOf(v.Link)), v.Text)
		}
	}
	for _, r := range out.Persist {
		e.seen["logged "+r.Kind.String()]++
		e.logf("%s appends %s", Name(s.ID), DescribeRecord(r))
	}
	s.files.records = append(s.files.records, out.Persist...)
	e.checker.Appended(&s.Subject, out.Persist)
	for _, env := range out.AfterSync {
		s.held = append(s.held, heldEnvelope{records: len(s.files.records), env: env})
	}
	e.release(s) // nothing to wait for: at once
	for _, env := range out.Send {
		e.post(s, env)
	}
	e.apply(s)
	for _, id := range out.Close {
		if l, i := e.find(id); l != nil {
			e.logf("%s closes the link to %s", Name(s.ID), Name(l.ends[1-i].server.ID))
			e.shut(l, i)
		}
	}
	if out.Disconnect {
		s.dialing = 0
	}
	if out.Connect != 0 {
		s.dialing = out.Connect
	}
	for _, b := range out.Barriers {
		e.seen["barrier answered"]++
		e.logf("%s may answer %d at %s", Name(s.ID), b.ID, Z(b.Zxid))
		e.checker.Answered(&s.Subject, b)
		s.answers = append(s.answers, b)
	}
	out.Reset()
	e.showRole(s)
}

// apply installs and delivers.
func (e *Env) apply(s *Server) {
	if z := s.out.Install; z != 0 {
		e.seen["installed"]++
		e.logf("%s installs the snapshot at %s", Name(s.ID), Z(z))
		file, ok := s.files.snapshots[z]
		if !ok {
			e.fail(s, "I-SNAP", "installs a snapshot at %s that it does not have", Z(z))
			return
		}
		s.tree = slices.Clone(file)
		e.checker.Installed(&s.Subject, z)
		e.examine(s, z)
	}
	if d := s.out.Deliver; len(d) > 0 {
		e.seen["delivered"] += len(d)
		e.logf("%s delivers %s", Name(s.ID), txns(d))
		for _, t := range d {
			s.tree = append(s.tree, t)
			e.checker.Responds(&s.Subject, t.Zxid) // as if each txn were a client's of this server
			e.checker.Delivered(&s.Subject, t)
		}
	}
}

func (e *Env) showRole(s *Server) {
	p := s.Peer
	role := fmt.Sprintf("%v/%v", p.Role(), p.Phase())
	if p.Epoch() != 0 {
		role += fmt.Sprintf(" epoch=%d", p.Epoch())
	}
	if role != s.shown {
		if s.shown != "" || p.Role() != zab.Looking {
			e.logf("%s is %s", Name(s.ID), role)
		}
		s.shown = role
	}
}

// release posts what waited for records that are durable now.
func (e *Env) release(s *Server) {
	for len(s.held) > 0 && s.held[0].records <= s.Disk.synced {
		env := s.held[0].env
		s.held = s.held[1:]
		if l, i := e.find(env.Link); l != nil && l.ends[i].open {
			e.checker.Leaves(&s.Subject, env)
			e.post(s, env)
		}
	}
}

// post puts a message on its link, and behind it what is to come from the log.
func (e *Env) post(s *Server, env zab.Envelope) {
	l, i := e.find(env.Link)
	if l == nil || !l.ends[i].open || !l.ends[1-i].open {
		return
	}
	to := &l.ends[1-i]
	m := *env.Msg // the receiver owns it
	p := parcel{msg: &m}
	if m.Kind == zab.Snap {
		file, ok := s.files.snapshots[m.Zxid]
		if !ok {
			e.fail(s, "I-SNAP", "sends a snapshot at %s that it does not have", Z(m.Zxid))
		}
		p.file = file
	}
	to.inbox = append(to.inbox, p)
	for _, t := range s.read(env.History) {
		to.inbox = append(to.inbox, parcel{msg: &zab.Message{Kind: zab.Proposal, Txns: []zab.Txn{t}}})
	}
}

// Sync makes the first n records of a server durable and lets go what waited for them.
func (e *Env) Sync(s *Server, n int) bool {
	n = min(n, len(s.files.records))
	if s.Peer == nil || n <= s.Disk.synced {
		return false
	}
	e.checker.Synced(&s.Subject, n-s.Disk.started)
	_, last := s.Disk.Last()
	e.logf("%s syncs its log: last=%s", Name(s.ID), Z(last))
	if !e.opts.ReleaseBeforeDurable {
		e.Report(s)
	}
	e.release(s)
	if !s.batched {
		e.step(s)
	}
	return true
}

// Report tells a peer what its disk has synced, and reports whether that is news. Sync does it,
// unless the messages that waited are let go first.
func (e *Env) Report(s *Server) bool {
	if s.Peer == nil || s.reported == s.Disk.synced {
		return false
	}
	s.reported = s.Disk.synced
	e.turn(s, func(p *zab.Peer, out *zab.Actions) {
		p.Durable(uint64(s.Disk.synced-s.Disk.started), out)
	})
	return true
}

// Unsynced returns the number of records before which and at which a sync may end.
func (s *Server) Unsynced() (from, to int) { return s.Disk.synced, len(s.files.records) }

// Lead has the oracle decide for s.
func (e *Env) Lead(s *Server) { e.turn(s, (*zab.Peer).Lead) }

// Follow has the oracle decide for leader, and tell s.
func (e *Env) Follow(s, leader *Server) {
	e.turn(s, func(p *zab.Peer, out *zab.Actions) { p.Follow(leader.ID, out) })
}

// Propose has a leader propose some txns in one turn and returns their zxids.
func (e *Env) Propose(s *Server, data ...string) []zab.Zxid {
	var zs []zab.Zxid
	e.turn(s, func(p *zab.Peer, out *zab.Actions) {
		for _, d := range data {
			z := p.Propose([]byte(d), out)
			if z == 0 {
				e.seen["counter exhausted"]++
				e.logf("%s cannot propose %q", Name(s.ID), d)
				return
			}
			zs = append(zs, z)
		}
	})
	return zs
}

// Barrier asks a server for a barrier.
func (e *Env) Barrier(s *Server, id uint64) {
	e.checker.Asked(&s.Subject, id)
	e.turn(s, func(p *zab.Peer, out *zab.Actions) { p.Barrier(id, out) })
}

// Tick lets one tick pass on a server.
func (e *Env) Tick(s *Server) { e.turn(s, (*zab.Peer).Tick) }

// Abdicate makes a server leave its role.
func (e *Env) Abdicate(s *Server) { e.turn(s, (*zab.Peer).Abdicate) }

// Snapshot completes a snapshot file of the tree, and with purge forgets the log before it.
func (e *Env) Snapshot(s *Server, purge bool) {
	z := s.Peer.Delivered()
	if z == 0 || s.Disk.durable.history.logged(z) == nil || s.Disk.all.aside.last != nil {
		return
	}
	s.files.snapshots[z] = slices.Clone(s.tree)
	s.files.own = append(s.files.own, z)
	if purge && s.Disk.all.history.logged(z) != nil {
		s.files.horizon = z
	}
	e.logf("%s has a snapshot at %s, its log begins after %s", Name(s.ID), Z(z), Z(s.files.horizon))
	e.turn(s, func(p *zab.Peer, out *zab.Actions) { p.Snapshotted(z, s.files.horizon, out) })
}
