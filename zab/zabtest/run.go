package zabtest

import (
	"fmt"
	"slices"

	"quoll/zab"
)

// Run lets everything happen that waits to happen, except on blocked disks and held links, until
// all is quiet. Time stands still.
func (e *Env) Run() {
	for e.Err() == nil && e.round() {
	}
}

// round does one of everything that is possible and reports whether there was anything.
func (e *Env) round() bool {
	some := false
	for _, s := range e.servers {
		some = e.Connect(s) || some
	}
	for _, l := range slices.Clone(e.links) {
		for i := range l.ends {
			if e.hold[[2]zab.ServerID{l.ends[1-i].server.ID, l.ends[i].server.ID}] {
				continue
			}
			for range len(l.ends[i].inbox) {
				e.Deliver(l, i)
				some = true
			}
			if l.Pending(i) {
				some = e.Deliver(l, i) || some
			}
		}
	}
	for _, s := range e.servers {
		if !s.Blocked {
			some = e.Sync(s, len(s.files.records)) || some
		}
		some = e.Report(s) || some
	}
	return some
}

// Elect has an honest oracle decide where it can: servers that look follow a leader that a quorum
// can reach, or the most recent of them leads, if it has a quorum of them behind it. A leader that
// is cut off is not asked, and does not learn of it.
func (e *Env) Elect() {
	leader := e.reachableLeader()
	if leader == nil {
		var looking zab.Set
		for _, s := range e.servers {
			if s.Peer != nil && s.Peer.Role() == zab.Looking {
				leader = better(e.ensemble, leader, s)
			}
		}
		for _, s := range e.servers {
			if leader != nil && s.Peer != nil && s.Peer.Role() == zab.Looking && !e.IsCut(s, leader) {
				looking.Add(s.ID)
			}
		}
		if !e.ensemble.Quorum(looking) {
			return
		}
		e.Lead(leader)
	}
	for _, s := range e.servers {
		if s != leader && s.Peer != nil && s.Peer.Role() == zab.Looking && !e.IsCut(s, leader) {
			e.Follow(s, leader)
		}
	}
}

func (e *Env) reachableLeader() *Server {
	for _, l := range e.servers {
		if l.Peer == nil || l.Peer.Role() != zab.Leading {
			continue
		}
		var near zab.Set
		for _, s := range e.servers {
			if s.Peer != nil && !e.IsCut(s, l) {
				near.Add(s.ID)
			}
		}
		if e.ensemble.Quorum(near) {
			return l
		}
	}
	return nil
}

// better returns the one of two Looking servers with the higher vote; a may be nil.
func better(ensemble *zab.Ensemble, a, b *Server) *Server {
	if b.Peer.Silent() || !ensemble.Electable(b.ID) {
		return a
	}
	if a == nil {
		return b
	}
	p, q := a.Peer, b.Peer
	switch {
	case p.CurrentEpoch() != q.CurrentEpoch():
		if p.CurrentEpoch() > q.CurrentEpoch() {
			return a
		}
		return b
	case p.LastDurable() > q.LastDurable():
		return a
	}
	return b
}

// Converge ends every fault, restarts what is down, and demands what must then come true: one
// leader, every server in its broadcast phase, the same history and the same tree everywhere
// (zab.md 3.5). It takes the ticks that time-outs need, and no more than a bound.
func (e *Env) Converge() error {
	clear(e.cut)
	clear(e.hold)
	for _, s := range e.servers {
		s.Blocked = false
		if s.Peer == nil {
			e.Start(s, false)
		}
	}
	for range 8 * (e.opts.Init + e.opts.Sync) {
		e.Run()
		if e.Err() != nil {
			return e.Err()
		}
		if e.converged() == nil {
			return e.agree()
		}
		e.Elect()
		e.Run()
		for _, s := range e.servers {
			e.Tick(s)
		}
	}
	return fmt.Errorf("L-JOIN: no convergence: %w", e.converged())
}

// agree checks what holds after convergence: the same tree everywhere.
func (e *Env) agree() error {
	for _, s := range e.servers {
		if n := e.checker.Applied(&s.Subject); e.Err() == nil && n != len(e.checker.Canon()) {
			e.fail(s, "L-CONV", "applied %d txns of %d", n, len(e.checker.Canon()))
		}
	}
	return e.Err()
}

// converged says what is still missing.
func (e *Env) converged() error {
	first := e.servers[0].Peer
	for _, s := range e.servers {
		p := s.Peer
		switch {
		case p.Phase() != zab.Broadcast:
			return fmt.Errorf("%s is %v/%v", Name(s.ID), p.Role(), p.Phase())
		case p.Epoch() != first.Epoch() || p.Leader() != first.Leader():
			return fmt.Errorf("%s and A are in different epochs", Name(s.ID))
		case p.Delivered() != p.LastLogged() || p.Delivered() != first.Delivered():
			return fmt.Errorf("%s delivered %s of %s, A %s", Name(s.ID), Z(p.Delivered()),
				Z(p.LastLogged()), Z(first.Delivered()))
		}
	}
	return nil
}
