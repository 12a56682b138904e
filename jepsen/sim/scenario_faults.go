package sim

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"quoll/election"
	"quoll/log/vfs"
	"quoll/zab/zabtest"
)

// What a scenario does to machines and to the network.

func (p *scenario) crash(c *command) error {
	power := c.has("power")
	for _, s := range c.servers {
		if n := c.number("after", 0); n > 0 {
			s.ailment.crashIn, s.ailment.crashPower = n, power
			continue
		}
		if power {
			p.w.plan.HalfOpen = 1000 // who loses power says nothing to other servers
		}
		s.crash(power)
		p.w.plan.HalfOpen = 0
		for _, cl := range p.w.clients {
			if cl.conn != nil && cl.conn.s == s {
				cl.disconnected(cl.conn)
			}
		}
	}
	return nil
}

// decide has an adversary decide elections (R24): from now on no server hears the votes of others, and
// those who look are told that everybody votes for A. Without a server the honest election is back.
func (p *scenario) decide(c *command) error {
	p.w.plan.OracleUs = 0
	for _, leader := range c.servers {
		p.w.plan.OracleUs = 1
		p.w.oracle.epoch++
		for _, s := range p.w.servers {
			switch {
			case !s.up || !s.peer.Looking():
			case s == leader:
				p.elect(s)
			default:
				p.w.oracle.persuade(s, leader.id)
			}
		}
	}
	return nil
}

// elect tells a server that all vote for it. They name what it has: nobody stands by another vote.
func (p *scenario) elect(s *server) {
	z := s.peer.Zab()
	vote := election.Vote{Leader: s.id, Zxid: z.LastDurable(), Epoch: z.CurrentEpoch()}
	for _, id := range p.w.ensemble.Voters() {
		if id != s.id && p.w.net.way(id, s.id).meshUp {
			s.post(input{kind: inNotification, server: id, vote: election.Notification{State: election.Looking, Vote: vote, Round: s.round}})
		}
	}
}

func (p *scenario) failSync(c *command) error {
	for _, s := range c.servers {
		s.ailment.failSync = c.number("n", 1)
	}
	return nil
}

// snapshot takes one now, or in two steps with whatever comes between them.
func (p *scenario) snapshot(c *command) error {
	for _, s := range c.servers {
		if !s.up {
			return fmt.Errorf("%s is down", zabtest.Name(s.id))
		}
		if !c.has("end") {
			s.snaps.busy = true
			p.frozen[s] = s.peer.Tree().Freeze()
		}
		if view := p.frozen[s]; !c.has("begin") && view != nil {
			delete(p.frozen, s)
			failed := p.w.cover["snapshot failed"]
			z := view.Zxid()
			s.writeSnapshot(view)
			p.w.until(p.w.now + 1_000)
			if p.w.cover["snapshot failed"] > failed {
				p.say("%s has no room for a snapshot of %s", zabtest.Name(s.id), zabtest.Z(z))
			} else {
				p.say("%s has a snapshot of %s", zabtest.Name(s.id), zabtest.Z(z))
			}
		}
	}
	return nil
}

// damage does something to files of a server that is down: to the newest of a kind, or to all.
func (p *scenario) damage(c *command) error {
	for _, s := range c.servers {
		if s.up {
			return fmt.Errorf("%s runs", zabtest.Name(s.id))
		}
		prefix := "snapshot."
		if c.has("log") {
			prefix = "log."
		}
		names, err := s.mem.List(dataDir)
		if err != nil {
			return err
		}
		names = slices.DeleteFunc(names, func(n string) bool { return !strings.HasPrefix(n, prefix) || s.size(n) == 0 })
		if len(names) == 0 {
			return errors.New("there is no such file")
		}
		switch {
		case c.has("all"):
		case c.has("oldest"):
			names = names[:1]
		default:
			names = names[len(names)-1:]
		}
		for _, name := range names {
			if err := s.spoil(c.name, path.Join(dataDir, name)); err != nil {
				return err
			}
			p.say("%s: %s %s", zabtest.Name(s.id), c.name, name)
		}
		s.ailment.damaged = true
	}
	return nil
}

func (s *server) size(name string) int64 {
	n, _ := s.mem.Stat(path.Join(dataDir, name))
	return n
}

// spoil flips a bit in the middle of a file, empties or removes it, durably.
func (s *server) spoil(how, name string) error {
	if how == "remove" {
		return errors.Join(s.mem.Remove(name), s.mem.SyncDir(dataDir))
	}
	f, err := s.mem.OpenReadWrite(name)
	if err != nil {
		return err
	}
	if how == "empty" {
		err = f.Truncate(0)
	} else {
		size, _ := f.Size()
		b := make([]byte, 1)
		_, err = f.ReadAt(b, size/2)
		b[0] ^= 4
		if _, failed := f.WriteAt(b, size/2); failed != nil {
			err = failed
		}
	}
	return errors.Join(err, f.Sync(), f.Close())
}

// quarantine starts a server whose log is refused, as an operator does who has read why.
func (p *scenario) quarantine(s *server) error {
	if !p.w.checker.Expendable(s.subject) {
		return errors.New("the others cannot bear that this server forgets")
	}
	s.ailment.keepDown = 0
	s.boot()
	s.ailment.keepDown = 1
	return nil
}

func (p *scenario) wipe(s *server) error {
	if s.up || !p.w.checker.Expendable(s.subject) {
		return errors.New("it runs, or the others cannot bear that it forgets")
	}
	s.mem = vfs.NewMem()
	s.virgin = false
	s.forget()
	return nil
}

func (p *scenario) pause(c *command) error {
	us, err := c.time()
	for _, s := range c.servers {
		s.ailment.pausedUntil = p.w.now + us
	}
	return err
}

func (p *scenario) clock(c *command) error {
	us, err := c.time()
	for _, s := range c.servers {
		s.ailment.wallMs += us / 1000
	}
	return err
}

// isolate holds back all that a server says and hears, elections and links alike.
func (p *scenario) isolate(s *server) error {
	for _, o := range p.w.servers {
		for _, lane := range both {
			p.w.net.block(lane, s.id, o.id)
			p.w.net.block(lane, o.id, s.id)
		}
	}
	return nil
}

func (p *scenario) heal() {
	for _, a := range p.w.servers {
		for _, b := range p.w.servers {
			way := p.w.net.way(a.id, b.id)
			way.slow, way.slowTo = 0, 0
			for _, lane := range both {
				if way.lanes[lane].blocked > 0 {
					way.lanes[lane].blocked = 1
					p.w.net.unblock(lane, a.id, b.id)
				}
			}
		}
	}
}

var errTwo = errors.New("from which server to which?")

// hold keeps what one server sends another on their links, not in elections.
func (p *scenario) hold(c *command) error {
	if len(c.servers) != 2 {
		return errTwo
	}
	if c.name == "hold" {
		p.w.net.block(linkLane, c.servers[0].id, c.servers[1].id)
	} else {
		p.w.net.unblock(linkLane, c.servers[0].id, c.servers[1].id)
	}
	return nil
}

func (p *scenario) breakLink(c *command) error {
	if len(c.servers) != 2 {
		return errTwo
	}
	for _, l := range slices.Clone(p.w.net.links) {
		a, b := l.ends[0].s, l.ends[1].s
		if slices.Contains(c.servers, a) && slices.Contains(c.servers, b) {
			p.w.net.cut(l)
		}
	}
	return nil
}

func (p *scenario) slow(c *command) error {
	us, err := c.time()
	if err == nil && len(c.servers) != 2 {
		err = errTwo
	}
	if err != nil {
		return err
	}
	way := p.w.net.way(c.servers[0].id, c.servers[1].id)
	way.slow, way.slowTo = us, 1<<62
	return nil
}
