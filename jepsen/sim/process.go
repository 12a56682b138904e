package sim

import (
	"errors"
	"io"

	"quoll"
	"quoll/log"
	"quoll/log/vfs"
	"quoll/session"
	"quoll/tree"
	"quoll/zab"
)

// The life of a process: boot, crash, and the supervisor that starts it again.

const dataDir = "/data"

// thenPowerUs is how long at most a process lives on what a killed one left in the page cache, when a
// power loss is to follow: long enough to tell others of it.
const thenPowerUs = 150_000

func (s *server) logOptions(fs vfs.FS) log.Options {
	return log.Options{
		FS: fs, Dir: dataDir, Server: s.id, SegmentBytes: s.w.plan.SegmentBytes,
		Autocreate: s.virgin,
	}
}

func (s *server) treeOptions() tree.Options {
	return tree.Options{ExtendedTypes: true, HashSeed: s.boot_, MaxTxnBytes: s.w.budget.txn}
}

func (s *server) peerConfig() quoll.PeerConfig {
	p := &s.w.plan
	return quoll.PeerConfig{
		ID: s.id, Ensemble: s.w.ensemble, Boot: s.boot_, Tree: s.treeOptions(), MaxCounter: p.MaxCounter,
		WindowBytes: p.WindowBytes, LeadBytes: p.TxnBytes / 8, // runs with small bounds come to this one, too
		TickMs: p.TickUs / 1000, BucketTicks: 20, InitTicks: p.InitTicks, SyncTicks: p.SyncTicks, PingTicks: p.PingTicks,
		FinalizeTicks: 2, ResendTicks: 10, MaxResendTicks: 40, MinSessionMs: 200, MaxSessionMs: 60_000,
		ReapTicks: 50, ReapBatch: 10, NeverUsedMs: 500, ListMost: 3,
	}
}

// boot starts a process on what the disk holds. It may find the disk full or crash on the way;
// then the supervisor tries again.
func (s *server) boot() {
	s.ailment.restarting = false
	if s.up || s.ailment.keepDown > 0 {
		return
	}
	s.life++
	s.w.boots++
	s.boot_ = s.w.boots<<8 | uint64(s.id)
	s.up = true
	s.fault = vfs.NewFault(s.mem, s.inject)
	l, rec, err := log.Open(s.logOptions(s.fault))
	var damage *log.CorruptError
	if errors.As(err, &damage) && s.ailment.damaged {
		s.w.cover.Add("recovery: damaged log put aside")
		s.forget() // a crash on the way leaves what is refused again, or a silent server
		if _, err = log.Quarantine(s.logOptions(s.fault)); err == nil {
			l, rec, err = log.Open(s.logOptions(s.fault))
		}
	}
	if err != nil {
		s.stillborn("recovery", err)
		return
	}
	s.log = l
	s.coverRecovery(rec)
	s.w.checker.Recovered(s.subject, &rec.State)
	t := tree.New(s.treeOptions())
	if z := rec.State.Snapshot; z != 0 {
		if t, err = s.load(z); err != nil {
			s.stillborn("snapshot", err)
			return
		}
		s.w.compare(s.id, "the tree of the snapshot", z, t.Digest())
	}
	s.ailment.damaged = false
	s.begin(rec, t)
}

// begin makes the process of what recovery found.
func (s *server) begin(rec *log.Recovery, t *tree.Tree) {
	s.inbox, s.writes, s.looping, s.ticks, s.gate, s.until = nil, nil, false, 0, false, s.w.plan.ReportTicks
	s.staged, s.conns, s.dirty, s.shown = nil, nil, nil, roleShown{}
	s.open, s.owners = map[session.ConnID]*conn{}, map[zab.SessionID]*conn{}
	s.disk = disk{s: s}
	s.snaps = snapshotter{}
	s.snaps.draw(s)
	s.act.Reset()
	s.peer = quoll.NewPeer(s.peerConfig(), rec.State, t, session.NewWatches(s.boot_), new(tree.Views))
	s.subject.Peer, s.subject.Life = s.peer.Zab(), s.life
	s.w.paper.Restarts(s.id)
	if z := rec.State.Snapshot; z != 0 {
		s.w.paperSays(s.id, s.w.paper.Installs(s.id, z))
	}
	s.believes = belief{rec.State.CurrentEpoch, rec.State.History.Last()}
	s.believed, s.leading, s.hopes = s.believes, false, 0
	s.counted = 0
	s.led, s.logged, s.committed = 0, rec.State.History.Last(), rec.State.Snapshot
	s.w.note(uint64(s.id), uint64(s.life), uint64(rec.State.History.Last()))
	s.w.trace(s.id, "start", 0, 0, func() string {
		return "accepted=" + itoa(int64(rec.State.AcceptedEpoch)) + " current=" + itoa(int64(rec.State.CurrentEpoch)) +
			" last=" + rec.State.History.Last().String() + " snapshot=" + rec.State.Snapshot.String() + silent(rec.State.Silent)
	})
	s.peer.Clock(s.wallMs())
	s.peer.Start(&s.act)
	s.turn()
	if !s.up {
		return
	}
	s.w.after(s.w.between(0, s.w.plan.TickUs), s.alive(s.tick))
	if s.ailment.thenPower && s.ailment.crashIn == 0 {
		s.ailment.thenPower = false
		s.w.after(s.w.between(0, thenPowerUs), s.alive(func() {
			if !s.w.calm {
				s.w.cover.Add("power loss soon after a start")
				s.crash(true)
			}
		}))
	}
	s.w.net.arrived(s)
}

func silent(yes bool) string {
	if yes {
		return " silent"
	}
	return ""
}

// load reads the tree of a snapshot.
func (s *server) load(z zab.Zxid) (t *tree.Tree, err error) {
	err = s.log.ReadSnapshot(z, func(r io.Reader) error {
		t, err = tree.Restore(s.treeOptions(), r)
		return err
	})
	return t, err
}

// stillborn ends a process that could not start. Whether it was allowed to fail depends on what was
// done to its machine.
func (s *server) stillborn(what string, err error) {
	var full *log.FullError
	switch {
	case s.fault.Stopped():
		s.w.cover.Add("crash during recovery")
		s.fall(s.ailment.crashPower)
	case errors.As(err, &full), errors.Is(err, vfs.ErrFull):
		s.w.cover.Add("recovery: disk full")
		s.fall(false)
	case errors.Is(err, errSync):
		s.w.cover.Add("recovery: fsync fails")
		s.fall(false)
	default:
		s.w.fail("I-RECOVER", s.id, "%s: %v", what, err)
	}
}

// forget tells the checks that this server knows nothing any more.
func (s *server) forget() {
	s.wiped = true
	s.w.checker.Wiped(s.subject)
	s.w.paper.Wiped(s.id)
}

// crash ends the process at this instant: with the power of the machine, or alone.
func (s *server) crash(power bool) {
	if !s.up {
		return
	}
	s.w.trace(s.id, "crash", 0, 0, func() string {
		if power {
			return "power"
		}
		return "kill"
	})
	if power {
		s.w.cover.Add("power loss")
	} else {
		s.w.cover.Add("process killed")
	}
	s.fall(power)
}

// fall takes the process away.
func (s *server) fall(power bool) {
	s.fault.Stop()
	s.up = false
	s.ailment.crashIn, s.ailment.failSync = 0, 0
	if s.log != nil {
		_ = s.log.Close() // the disk has stopped: it lets go of memory only
		s.log = nil
	}
	if power {
		s.mem = s.mem.PowerLoss(s.w.rnd.Uint64())
	} else {
		s.mem = s.mem.Kill()
	}
	s.w.net.left(s, power)
	for _, c := range s.conns {
		c.lost(power)
	}
	s.conns = nil
	if s.subject.Peer != nil {
		s.w.checker.Stopped(s.subject)
		s.subject.Peer = nil
	}
	s.peer = nil
	s.w.note(uint64(s.id), 0xdead)
	s.restart()
}

// restart has the supervisor start a process again.
func (s *server) restart() {
	if s.ailment.restarting || s.ailment.keepDown > 0 || s.up {
		return
	}
	s.ailment.restarting = true
	s.w.after(s.w.between(1_000, s.w.plan.RestartUs), s.boot)
}

// errSync is what an fsync fails with.
var errSync = errors.New("input/output error")

// inject decides about each operation of the process's disk.
func (s *server) inject(op vfs.Op) vfs.Effect {
	a := &s.ailment
	if op.Kind.Mutates() && a.crashIn > 0 {
		if a.crashIn--; a.crashIn == 0 {
			s.w.cover.Add("crash at a disk operation")
			s.w.cover.Add("crash at " + op.Kind.String())
			a.crashPower = a.crashPower || !a.thenPower && s.w.chance(500)
			return vfs.Effect{Stop: true}
		}
	}
	switch {
	case a.full && op.Kind.Grows():
		s.w.cover.Add("disk full at " + op.Kind.String())
		return vfs.Effect{Err: vfs.ErrFull, Short: s.w.rnd.IntN(op.Len + 1)}
	case a.failSync > 0 && op.Kind == vfs.OpSync:
		if a.failSync--; a.failSync == 0 {
			s.w.cover.Add("fsync fails")
			return vfs.Effect{Err: errSync, Done: s.w.chance(500)}
		}
	}
	return vfs.Effect{}
}
