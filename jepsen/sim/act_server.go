package sim

import (
	"quoll/log/vfs"
	"quoll/zab"
)

// Acts on machines, disks and processes.

// crashIn lets the process end after N more operations of its disk or its network. Other 1: with the
// power of the machine; 2: alone, but the power goes soon after the next process has begun on what
// it found in the page cache.
func crashIn(_ *nemesis, a *Act, s *server) {
	s.ailment.crashIn, s.ailment.crashPower, s.ailment.thenPower = int(a.N), a.Other == 1, a.Other == 2
}

// down keeps a server away for a time (N26).
func down(n *nemesis, a *Act, s *server) {
	s.ailment.keepDown++
	s.crash(a.Other == 1)
	n.later(a.ForUs, func() {
		s.ailment.keepDown--
		s.restart()
	})
}

func allDown(n *nemesis, a *Act, _ *server) {
	for _, s := range n.w.servers {
		s.crash(a.Other == 1)
	}
}

func rollingRestart(n *nemesis, a *Act, _ *server) {
	for i, s := range n.w.servers {
		n.later(int64(i)*a.ForUs, func() { s.crash(false) })
	}
}

func slowDisk(n *nemesis, a *Act, s *server) {
	s.ailment.slowDisk = a.N
	n.later(a.ForUs, func() { s.ailment.slowDisk = 0 })
}

// hungDisk lets no fsync end for a time.
func hungDisk(n *nemesis, a *Act, s *server) {
	s.ailment.hungDisk = true
	n.later(a.ForUs, func() { s.unhang() })
}

func (s *server) unhang() {
	s.ailment.hungDisk = false
	if s.up {
		s.disk.kick()
	}
}

func fullDisk(n *nemesis, a *Act, s *server) {
	s.ailment.full = true
	n.later(a.ForUs, func() { s.ailment.full = false })
}

func failSync(_ *nemesis, a *Act, s *server) { s.ailment.failSync = int(a.N) }

func pause(n *nemesis, a *Act, s *server) { s.ailment.pausedUntil = n.w.now + a.ForUs }

// clockJump steps the clock on the wall, by hours and both ways (N21).
func clockJump(_ *nemesis, a *Act, s *server) { s.ailment.wallMs += a.N }

// starve lets one task of the process wait for the processor again and again (N32).
func starve(n *nemesis, a *Act, s *server) {
	s.ailment.starve, s.ailment.starveUntil = task(1+a.N%int64(numTasks-1)), n.w.now+a.ForUs
}

// stranger gives the server a wrong list of members for a time: the handshakes of transport compare
// digests of the membership, so nobody lets it in (N31).
func stranger(n *nemesis, a *Act, s *server) {
	s.crash(false)
	s.ailment.stranger = true
	n.later(a.ForUs, func() {
		s.ailment.stranger = false
		s.crash(false)
	})
}

// takeSnapshot begins one now, whatever is going on (N28).
func takeSnapshot(_ *nemesis, _ *Act, s *server) {
	if s.up && !s.snaps.busy && s.peer.Tree().Applied() != 0 {
		s.snaps.begin(s)
	}
}

// wipe empties the disk of a server (N23), as soon as the others can bear it: they serve without it,
// and all that it ever acknowledged is committed and on a quorum of the others' disks. Without this
// budget it would be a loss that no protocol survives.
func wipe(n *nemesis, _ *Act, s *server) {
	n.ruin(s, func() {
		n.w.cover.Add("disk wiped")
		s.mem = vfs.NewMem()
		s.virgin = false
		s.forget()
	})
}

// ruin takes a server down, does harm to its disk if that comes to be within the budget, and lets it
// start again.
func (n *nemesis) ruin(s *server, harm func()) {
	s.ailment.keepDown++
	s.crash(false)
	n.awaitBudget(s, 40, func(within bool) {
		if within {
			harm()
		}
		s.ailment.keepDown--
		s.restart()
	})
}

// awaitBudget calls do when the ensemble can bear that s forgets everything, or, after some tries,
// when it cannot.
func (n *nemesis) awaitBudget(s *server, tries int, do func(within bool)) {
	switch {
	case n.w.bears(s):
		do(true)
	case tries == 0 || n.w.calm:
		do(false)
	default:
		n.later(50_000, func() { n.awaitBudget(s, tries-1, do) })
	}
}

// bears reports whether the ensemble can lose what s knows: a quorum serves without it, nobody else
// has lost its memory, and the budget of the Checker allows it.
func (w *World) bears(s *server) bool {
	l := w.leader()
	if l == nil || l == s || s.up || !w.checker.Expendable(s.subject) {
		return false
	}
	var rest zab.Set
	for _, o := range w.servers {
		switch {
		case o == s:
		case w.ensemble.IsVoter(o.id) && o.memoryless():
			return false // one at a time
		case o.up && o.peer.Serving() && o.peer.Zab().Epoch() == l.peer.Zab().Epoch():
			rest.Add(o.id)
		}
	}
	return w.ensemble.Quorum(rest)
}

// memoryless reports whether the server has lost its disk and was not synced since.
func (s *server) memoryless() bool {
	return !s.virgin && (s.stale || s.ailment.damaged || s.up && s.peer.Zab().Silent() || !s.up && s.wiped)
}
