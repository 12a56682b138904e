package zabtest

import (
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
	forged   bool             // a script has put a wrong message somewhere
	trace    *strings.Builder // nil: no transcript
}

// Server is a peer, its disk and its tree. Peer is nil while the process is down.
type Server struct {
	ID      zab.ServerID
	Peer    *zab.Peer
	Disk    *Disk
	Blocked bool // the disk does not sync

	lives    int       // processes started so far
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

// Link is a connection. End 0 dialed.
type Link struct {
	ends [2]linkEnd
}

type linkEnd struct {
	server *Server
	id     zab.LinkID
	life   int
	inbox  []parcel
	open   bool // this end has not closed, and was not told that the link broke
	eof    bool // the other end has closed: after inbox there is nothing
}

// parcel is a message in flight, with the file when it is a snapshot.
type parcel struct {
	msg  *zab.Message
	file []zab.Txn
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
	for _, m := range ensemble.Members() {
		e.servers = append(e.servers, &Server{ID: m.ID, Disk: newDisk()})
	}
	e.checker = newChecker(e)
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
func (e *Env) Err() error { return e.checker.err }

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
	state := s.Disk.recover(func(r zab.Record) { e.checker.synced(s, r) })
	state.Silent = silent
	s.lives++
	s.Peer = zab.New(zab.Config{
		ID: s.ID, Ensemble: e.ensemble,
		InitTicks: e.opts.Init, SyncTicks: e.opts.Sync, PingTicks: e.opts.Ping,
		MaxCounter: e.opts.MaxCounter, WindowBytes: e.opts.WindowBytes,
	}, state)
	s.held, s.dialing, s.shown, s.reported = nil, 0, "", s.Disk.synced
	s.tree = slices.Clone(s.Disk.files[state.Snapshot])
	e.logf("%s starts: accepted=%d current=%d last=%s", Name(s.ID), state.AcceptedEpoch,
		state.CurrentEpoch, Z(state.History.Last()))
	e.checker.started(s)
	e.checker.step()
}

// Crash ends a process and with it its links. Of what was not synced the first keep records stay:
// all of them when only the process was killed.
func (e *Env) Crash(s *Server, keep int) {
	if s.Peer == nil {
		return
	}
	s.Peer = nil
	s.Disk.lose(max(s.Disk.synced, min(keep, len(s.Disk.records))))
	for _, l := range slices.Clone(e.links) {
		for i := range l.ends {
			if end := &l.ends[i]; end.server == s && end.open {
				e.shut(l, i)
			}
		}
	}
	e.checker.step()
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
	e.checker.step()
}

// perform does what the actions ask, as the shell would.
func (e *Env) perform(s *Server) {
	out := &s.out
	for _, v := range out.Violations {
		e.seen["refused "+v.Kind.String()]++
		e.checker.refused(s, v)
		if v.Kind == 0 {
			e.logf("%s gives %s up: %s", Name(s.ID), Name(e.peerOf(v.Link)), v.Text)
		} else {
			e.logf("%s refuses %v from %s: %s", Name(s.ID), v.Kind, Name(e.peerOf(v.Link)), v.Text)
		}
	}
	for _, r := range out.Persist {
		e.seen["logged "+r.Kind.String()]++
		e.logf("%s appends %s", Name(s.ID), describeRecord(r))
		e.checker.appending(s, r)
	}
	if err := s.Disk.append(out.Persist); err != nil {
		e.checker.fail("%s: %v", Name(s.ID), err)
	}
	for _, env := range out.AfterSync {
		s.held = append(s.held, heldEnvelope{records: len(s.Disk.records), env: env})
	}
	e.release(s) // nothing to wait for: at once
	for _, env := range out.Send {
		e.checker.sending(s, env)
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
		e.checker.answered(s, b)
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
		file, ok := s.Disk.files[z]
		if !ok {
			e.checker.fail("%s installs a snapshot at %s that it does not have", Name(s.ID), Z(z))
			return
		}
		s.tree = slices.Clone(file)
		e.checker.installed(s, z)
	}
	if d := s.out.Deliver; len(d) > 0 {
		e.seen["delivered"] += len(d)
		e.logf("%s delivers %s", Name(s.ID), txns(d))
		for _, t := range d {
			s.tree = append(s.tree, t)
			e.checker.delivered(s, t)
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
			e.checker.attested(s, env.Msg)
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
		file, ok := s.Disk.files[m.Zxid]
		if !ok {
			e.checker.fail("%s sends a snapshot at %s that it does not have", Name(s.ID), Z(m.Zxid))
		}
		p.file = file
	}
	to.inbox = append(to.inbox, p)
	for _, t := range s.Disk.read(env.History) {
		to.inbox = append(to.inbox, parcel{msg: &zab.Message{Kind: zab.Proposal, Txns: []zab.Txn{t}}})
	}
}

// read returns the txns of a range from the log.
func (d *Disk) read(r zab.Range) []zab.Txn {
	if r.To == 0 {
		return nil
	}
	if !d.all.generation.holds(r.From) || !d.all.generation.holds(r.To) || r.From < d.horizon {
		panic(fmt.Sprintf("zabtest: asked for (%s, %s], which is not in the log", Z(r.From), Z(r.To)))
	}
	var found []zab.Txn
	for _, t := range d.all.generation.txns {
		if t.Zxid > r.From && t.Zxid <= r.To {
			found = append(found, t.Txn)
		}
	}
	return found
}

// find returns the link with an end of that number, and which end it is.
func (e *Env) find(id zab.LinkID) (*Link, int) {
	for _, l := range e.links {
		for i := range l.ends {
			if l.ends[i].id == id {
				return l, i
			}
		}
	}
	return nil, 0
}

func (e *Env) peerOf(id zab.LinkID) zab.ServerID {
	if l, i := e.find(id); l != nil {
		return l.ends[1-i].server.ID
	}
	return 0
}

// shut closes one end. What is under way to the other still arrives there, then it is told.
func (e *Env) shut(l *Link, i int) {
	l.ends[i].open = false
	l.ends[i].inbox = nil
	l.ends[1-i].eof = true
	e.sweep()
}

func (e *Env) sweep() {
	e.links = slices.DeleteFunc(e.links, func(l *Link) bool {
		return !l.ends[0].open && !l.ends[1].open
	})
}

// Connect lets the dialing of s succeed.
func (e *Env) Connect(s *Server) bool {
	if s.Peer == nil || s.dialing == 0 {
		return false
	}
	to := e.servers[s.dialing-1]
	if to.Peer == nil || e.IsCut(s, to) {
		return false
	}
	l := &Link{}
	for i, end := range []*Server{s, to} {
		e.lastLink++
		l.ends[i] = linkEnd{server: end, id: e.lastLink, life: end.lives, open: true}
	}
	e.links = append(e.links, l)
	s.dialing = 0
	e.logf("%s connects to %s", Name(s.ID), Name(to.ID))
	e.turn(s, func(p *zab.Peer, out *zab.Actions) { p.LinkUp(l.ends[0].id, to.ID, true, out) })
	if l.ends[1].open {
		e.turn(to, func(p *zab.Peer, out *zab.Actions) { p.LinkUp(l.ends[1].id, s.ID, false, out) })
	}
	return true
}

// Break breaks a link: both ends are told, what was under way is lost.
func (e *Env) Break(l *Link) {
	for i := range l.ends {
		l.ends[i].inbox, l.ends[i].eof = nil, true
	}
	for i := range l.ends {
		e.Deliver(l, i)
	}
}

// Deliver hands the next message to end i of a link, or tells it that the link is down, and
// reports whether there was anything.
func (e *Env) Deliver(l *Link, i int) bool {
	end := &l.ends[i]
	if !end.open {
		return false
	}
	s, from := end.server, l.ends[1-i].server
	switch {
	case len(end.inbox) > 0:
		p := end.inbox[0]
		end.inbox = end.inbox[1:]
		e.seen[p.msg.Kind.String()]++
		e.logf("%s→%s %s", Name(from.ID), Name(s.ID), Describe(p.msg))
		if p.file != nil {
			s.Disk.files[p.msg.Zxid] = p.file
		}
		e.turn(s, func(peer *zab.Peer, out *zab.Actions) { peer.Receive(end.id, p.msg, out) })
	case end.eof:
		end.open = false
		e.sweep()
		e.logf("%s loses the link to %s", Name(s.ID), Name(from.ID))
		e.turn(s, func(peer *zab.Peer, out *zab.Actions) { peer.LinkDown(end.id, out) })
	default:
		return false
	}
	return true
}

// Pending reports whether Deliver has something for end i of a link.
func (l *Link) Pending(i int) bool {
	return l.ends[i].open && (len(l.ends[i].inbox) > 0 || l.ends[i].eof)
}

// Open returns the end of the link that s has open, -1 if there is none.
func (l *Link) Open(s *Server) int {
	for i := range l.ends {
		if l.ends[i].server == s && l.ends[i].open {
			return i
		}
	}
	return -1
}

// Next returns the kind of the message that Deliver has for end i, 0 if there is none.
func (l *Link) Next(i int) zab.Kind {
	if len(l.ends[i].inbox) == 0 {
		return 0
	}
	return l.ends[i].inbox[0].msg.Kind
}

// Sync makes the first n records of a server durable and lets go what waited for them.
func (e *Env) Sync(s *Server, n int) bool {
	n = min(n, len(s.Disk.records))
	if s.Peer == nil || n <= s.Disk.synced {
		return false
	}
	s.Disk.sync(n, func(r zab.Record) { e.checker.synced(s, r) })
	e.logf("%s syncs its log: last=%s", Name(s.ID), Z(s.Disk.durable.generation.last()))
	if !e.opts.ReleaseBeforeDurable {
		e.Report(s)
	}
	e.release(s)
	if !s.batched {
		e.checker.step()
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
func (s *Server) Unsynced() (from, to int) { return s.Disk.synced, len(s.Disk.records) }

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
			e.checker.proposed(s, z, d)
			zs = append(zs, z)
		}
	})
	return zs
}

// Barrier asks a server for a barrier.
func (e *Env) Barrier(s *Server, id uint64) {
	e.checker.asked(s, id)
	e.turn(s, func(p *zab.Peer, out *zab.Actions) { p.Barrier(id, out) })
}

// Tick lets one tick pass on a server.
func (e *Env) Tick(s *Server) { e.turn(s, (*zab.Peer).Tick) }

// Abdicate makes a server leave its role.
func (e *Env) Abdicate(s *Server) { e.turn(s, (*zab.Peer).Abdicate) }

// Snapshot completes a snapshot file of the tree, and with purge forgets the log before it.
func (e *Env) Snapshot(s *Server, purge bool) {
	z := s.Peer.Delivered()
	if z == 0 || !s.Disk.durable.generation.holds(z) || s.Disk.all.aside != nil {
		return
	}
	s.Disk.files[z] = slices.Clone(s.tree)
	s.Disk.own = append(s.Disk.own, z)
	if purge && s.Disk.all.generation.holds(z) {
		s.Disk.horizon = z
	}
	e.logf("%s has a snapshot at %s, its log begins after %s", Name(s.ID), Z(z), Z(s.Disk.horizon))
	e.turn(s, func(p *zab.Peer, out *zab.Actions) { p.Snapshotted(z, s.Disk.horizon, out) })
}

// Cut breaks all links between two servers and lets none come up; Heal undoes it.
func (e *Env) Cut(a, b *Server) {
	e.cut[pair(a, b)] = true
	for _, l := range slices.Clone(e.links) {
		if l.joins(a, b) {
			e.Break(l)
		}
	}
}

// Heal lets two servers connect again.
func (e *Env) Heal(a, b *Server) { delete(e.cut, pair(a, b)) }

// IsCut reports whether two servers cannot connect.
func (e *Env) IsCut(a, b *Server) bool { return e.cut[pair(a, b)] }

func pair(a, b *Server) [2]zab.ServerID {
	return [2]zab.ServerID{min(a.ID, b.ID), max(a.ID, b.ID)}
}

func (l *Link) joins(a, b *Server) bool {
	x, y := l.ends[0].server, l.ends[1].server
	return x == a && y == b || x == b && y == a
}
