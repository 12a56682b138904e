package sim

import (
	"slices"

	"quoll"
	"quoll/election"
	"quoll/log"
	"quoll/log/vfs"
	"quoll/session"
	"quoll/tree"
	"quoll/zab"
	"quoll/zab/zabtest"
)

// server is one machine: a disk that outlives processes, and the process that runs on it, if one
// does. Its methods are the tasks of a production server (loop.go of the root), with the order
// between them decided by the seed.
type server struct {
	w       *World
	id      zab.ServerID
	subject *zabtest.Subject
	mem     *vfs.Mem // what the machine keeps

	// The process. Everything from here on begins anew with start.
	up      bool
	life    int
	boot_   uint64
	fault   *vfs.Fault
	log     *log.Log
	peer    *quoll.Peer
	act     quoll.Actions
	inbox   []input
	writes  []quoll.Handled
	looping bool // a step of the loop is planned
	ticks   int  // that are due and not taken
	gate    bool // clients are served, as connections see it
	until   int  // ticks to the next report of sessions
	staged  []*tree.Tree
	dialing *dial // the Connect in force

	disk   disk
	snaps  snapshotter
	conns  []*conn // by id
	open   map[session.ConnID]*conn
	owners map[zab.SessionID]*conn
	dirty  []*conn

	shown     roleShown // to traces
	counted   uint64    // incarnation whose leader was looked at for coverage
	led       zab.Epoch // as the paper's protocol was told
	leading   bool      // at the end of the last turn
	hopes     zab.Epoch // that it had chosen for itself then
	believes  belief    // what it knows to be on its disk
	believed  belief    // the same at the end of the last turn
	logged    zab.Zxid
	committed zab.Zxid
	round     uint64 // of its last notification

	// What is wrong with the machine. It outlives processes.
	ailment ailment
	virgin  bool // nothing was ever durable here: an empty disk is that of a new server
	wiped   bool // and this one is not
	stale   bool // an older disk came back and it has not served since
}

// ailment is what a nemesis has done to a machine.
type ailment struct {
	pausedUntil int64
	slowDisk    int64 // factor of the disk's latency; 0: none
	hungDisk    bool
	full        bool  // the disk has no room
	failSync    int   // the n-th fsync from now fails
	crashIn     int   // operations of disk and network until it crashes; 0: never
	crashPower  bool  // by a power loss
	thenPower   bool  // by a kill, and by a power loss soon after the next start
	keepDown    int   // not restarted while positive
	stranger    bool  // its list of servers is another one: nobody lets it in
	damaged     bool  // bits were flipped in its files
	wallMs      int64 // its clock on the wall is wrong by
	starve      task  // of its process: the task that gets no processor
	starveUntil int64
	restarting  bool // a start is planned
}

// task is one of the concurrent parts of a process.
type task uint8

const (
	noTask task = iota
	loopTask
	diskTask
	snapshotTask
	linkTask
	clientTask
	numTasks
)

type inputKind uint8

const (
	inLinkUp inputKind = iota
	inLinkDown
	inMessage
	inProgress
	inNotification
	inMeshUp
	inMeshDown
	inDiskFull
	inSnapshot
)

// input is what another task tells the loop: an event of loop.go.
type input struct {
	kind   inputKind
	link   zab.LinkID
	server zab.ServerID
	flag   bool // dialed, full
	msg    *zab.Message
	vote   election.Notification
	snap   *snapshotDone
	number int64 // of the message, for traces
}

func newServer(w *World, id zab.ServerID) *server {
	return &server{w: w, id: id, virgin: true, mem: vfs.NewMem(), subject: &zabtest.Subject{ID: id, Disk: zabtest.NewDisk()}}
}

// alive returns a function that runs do unless the process has ended meanwhile.
func (s *server) alive(do func()) func() {
	life := s.life
	return func() {
		if s.up && s.life == life {
			do()
		}
	}
}

// busy returns how long a task waits for the processor.
func (s *server) busy(t task) int64 {
	w := s.w
	us := w.between(0, w.plan.BusyUs)
	if s.ailment.starve == t && s.ailment.starveUntil > w.now {
		us += w.between(0, s.ailment.starveUntil-w.now)
		w.lag = max(w.lag, w.now+us)
	}
	if paused := s.ailment.pausedUntil - w.now; paused > us {
		us = paused
		w.lag = max(w.lag, s.ailment.pausedUntil)
	}
	return us
}

// post hands an input to the loop.
func (s *server) post(in input) {
	if !s.up {
		return
	}
	s.inbox = append(s.inbox, in)
	s.wake()
}

func (s *server) wake() {
	if s.up && !s.looping {
		s.looping = true
		s.w.after(s.busy(loopTask), s.alive(s.step))
	}
}

// tick is the ticker of the process. A loop that is late finds few ticks, not all that it missed.
func (s *server) tick() {
	if s.ailment.pausedUntil <= s.w.now {
		s.ticks = min(s.ticks+1, 4)
		s.wake()
	}
	rate := s.w.plan.TickUs + s.w.plan.DriftUs[s.id-1]
	s.w.after(rate, s.alive(s.tick))
}

// step is one pass of the loop: what piled up is taken, in an order of the sources that the seed
// decides and with each source's own order kept, and makes one turn.
func (s *server) step() {
	s.looping = false
	if s.ailment.pausedUntil > s.w.now {
		s.wake()
		return
	}
	s.peer.Clock(s.wallMs())
	some := s.w.chance(s.w.plan.PartialTurns)
	early := s.w.chance(500)
	if early {
		s.tellDurable()
	}
	for s.ticks > 0 && (!some || !s.w.chance(300)) {
		s.ticks--
		s.tickOnce()
	}
	for len(s.inbox)+len(s.writes) > 0 && (!some || !s.w.chance(200)) {
		if len(s.inbox) > 0 && (len(s.writes) == 0 || s.w.chance(600)) {
			in := s.inbox[0]
			s.inbox = s.inbox[1:]
			s.take(&in)
		} else {
			h := s.writes[0]
			s.writes = s.writes[1:]
			s.submit(&h)
		}
	}
	if !early && (!some || !s.w.chance(500)) {
		s.tellDurable()
	}
	s.turn()
	if s.up && (len(s.inbox)+len(s.writes) > 0 || s.ticks > 0 || s.disk.durable > s.disk.told) {
		s.wake()
	}
}

func (s *server) wallMs() int64 {
	return 1_700_000_000_000 + s.w.now/1000 + s.ailment.wallMs
}

func (s *server) tellDurable() {
	if d := &s.disk; d.durable > d.told {
		d.told = d.durable
		s.peer.Durable(d.told, &s.act)
		s.believes.current, s.believes.last = s.w.checker.Durable(s.subject)
	}
}

// belief is what a process knows to be on its disk: what was true when it was told last.
type belief struct {
	current zab.Epoch
	last    zab.Zxid
}

func (s *server) tickOnce() {
	s.peer.Tick(&s.act)
	if s.until--; s.until <= 0 {
		s.until = s.w.plan.ReportTicks
		if s.peer.Serving() {
			s.peer.Touch(s.heard(), &s.act)
		}
	}
}

func (s *server) take(in *input) {
	p, out, w := s.peer, &s.act, s.w
	switch in.kind {
	case inLinkUp:
		p.LinkUp(in.link, in.server, in.flag, out)
	case inLinkDown:
		p.LinkDown(in.link, out)
	case inMessage:
		w.note(uint64(s.id)<<56|uint64(in.msg.Kind)<<48|uint64(in.link), uint64(in.msg.Zxid)^uint64(in.msg.Commit)<<7)
		w.trace(s.id, "receive", in.server, in.number, func() string { return zabtest.Describe(in.msg) })
		w.checker.Heard(s.subject, in.link, in.msg)
		p.Receive(in.link, in.msg, out)
	case inProgress:
		p.Progress(in.link)
	case inNotification:
		w.trace(s.id, "hear", in.server, in.number, in.vote.String)
		p.Notification(in.server, in.vote, out)
	case inMeshUp:
		p.MeshUp(in.server, out)
	case inMeshDown:
		p.MeshDown(in.server, out)
	case inDiskFull:
		p.DiskFull(in.flag, out)
	case inSnapshot:
		s.snapshotted(in.snap)
	}
}

func (s *server) submit(h *quoll.Handled) {
	switch h.Step {
	case quoll.StepSubmit:
		s.peer.Submit(h.Ticket, h.Request, &s.act)
	case quoll.StepSync:
		s.peer.Sync(h.Ticket, &s.act)
	case quoll.StepRevalidate:
		s.peer.Revalidate(h.Ticket, h.Revalidation, &s.act)
	case quoll.StepGone:
		s.peer.Gone(h.Conn)
	case quoll.StepNone, quoll.StepClose:
	}
}

// turn ends a turn as loop.go does.
func (s *server) turn() {
	s.peer.Flush(&s.act)
	s.perform()
	for n := 0; s.up && s.peer.Caught(&s.act); n++ {
		if n > 10_000 {
			s.w.fail("L-NOLIVELOCK", s.id, "a turn does not end")
			return
		}
		s.peer.Flush(&s.act)
		s.perform()
	}
	if s.up {
		s.publish()
		s.frugal()
		s.w.examine()
	}
}

// point is an instant at which a crash can strike: between any two operations of disk or network.
// It reports whether the process is gone.
func (s *server) point() bool {
	if a := &s.ailment; a.crashIn > 0 {
		if a.crashIn--; a.crashIn == 0 {
			s.w.cover.Add("crash between operations")
			s.crash(a.crashPower)
		}
	}
	return !s.up
}

// perform carries out the effects of a turn, in the order of loop.go.
func (s *server) perform() {
	a := &s.act
	w := s.w
	w.checker.Turn(s.subject, &a.Actions)
	s.coverTurn(a)
	s.follow(a.Persist)
	s.traceTurn(a)
	for i := range a.Send {
		w.net.send(s, a.Send[i])
		if s.point() {
			return
		}
	}
	for _, v := range a.Votes {
		s.checkVote(v)
		s.round = v.N.Round
		w.net.notify(s, v)
	}
	if a.Disconnect {
		w.net.disconnect(s)
	}
	if a.Connect != 0 {
		w.net.connect(s, a.Connect)
	}
	s.disk.append(a.Persist, a.AfterSync)
	if s.point() {
		return
	}
	s.settle(a.Answers)
	s.apply(a)
	if !s.up {
		return
	}
	for _, link := range a.Close {
		w.net.hangUp(s, link)
	}
	a.Reset()
	s.believed = s.believes
	w.checker.Step(s.subject)
	w.nemesis.watch(s)
}

// checkVote: a vote for oneself names what is durable, as far as the process was told, before this turn or
// in it (I-ZXIDREAL); the zero vote is that of a server that may not say.
func (s *server) checkVote(v election.Send) {
	n := &v.N
	if n.State != election.Looking || n.Vote.Leader != s.id {
		return
	}
	if named := (belief{n.Vote.Epoch, n.Vote.Zxid}); named != s.believes && named != s.believed {
		s.w.fail("I-ZXIDREAL", s.id, "votes (%d %v), knows to be durable %v", n.Vote.Epoch, n.Vote.Zxid, s.believes)
	}
}

func (s *server) apply(a *quoll.Actions) {
	if len(a.Deliver) == 0 && a.Install == 0 {
		return
	}
	if z := a.Install; z != 0 {
		for _, c := range slices.Clone(s.conns) {
			s.hangUp(c)
		}
		i := slices.IndexFunc(s.staged, func(t *tree.Tree) bool { return t.Applied() == z })
		if i < 0 {
			s.w.fail("panic", s.id, "install of snapshot %v, which was not received", z)
			return
		}
		t := s.staged[i]
		s.staged = s.staged[i+1:]
		s.w.cover.Add("snapshot installed")
		s.w.compare(s.id, "the installed tree", z, t.Digest())
		s.peer.Install(t)
		s.w.checker.Installed(s.subject, z)
		s.w.paperSays(s.id, s.w.paper.Installs(s.id, z))
	}
	for i := range a.Deliver {
		txn := a.Deliver[i]
		s.peer.Apply(txn, s)
		s.w.compare(s.id, "the tree", txn.Zxid, s.peer.Tree().Digest())
		s.w.checker.Delivered(s.subject, txn)
		s.w.paperSays(s.id, s.w.paper.Delivers(s.id, txn))
		if s.point() {
			return
		}
	}
	s.flushDirty()
	s.snaps.applied(s, len(a.Deliver))
}

// publish shows the state after a turn to the other tasks.
func (s *server) publish() {
	serving := s.peer.Serving()
	if z := s.peer.Zab(); z.Role() == zab.Looking && !z.Installing() {
		s.staged = nil
	}
	s.wiped = s.wiped && s.peer.Zab().Silent()
	if serving == s.gate {
		return
	}
	s.gate = serving
	if serving {
		s.stale = false
		s.w.cover.Add("serves as " + s.peer.Zab().Role().String())
		if s.w.oracle.silences(0, 0) && s.peer.Zab().Role() == zab.Leading {
			s.w.cover.Add("established under the oracle")
		}
		for _, c := range slices.Clone(s.conns) {
			s.pump(c)
		}
	}
}
