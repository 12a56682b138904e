package sim

import (
	"quoll/jepsen/history"
	"quoll/transport/wire"
	"quoll/zab"
)

// What a healed core owes besides an answer to each request: that a slow server that it does not need does
// not slow it down (L-FLOW), and that it keeps nothing of what is over (L-MEM).

const (
	flowWrites  = 10      // by which the pace is measured
	flowSlow    = 40      // times slower is the disk of one voter then
	flowFactor  = 4       // times slower the core may be with it: latencies are drawn
	flowGraceUs = 200_000 // and so much more, for a pause that is nobody's fault
)

// flows measures a client's pace with all disks well, and with that of a voter slow that the quorum does
// not need.
func (w *World) flows() bool {
	slow, c := w.spare()
	if slow == nil {
		return true
	}
	w.cover.Add("pace measured with a slow voter")
	well, ok := w.pace(c)
	if !ok {
		return w.broken == nil
	}
	slow.ailment.slowDisk = flowSlow
	with, ok := w.pace(c)
	slow.ailment.slowDisk = 0
	slow.disk.kick()
	if most := well*flowFactor + flowGraceUs; ok && with > most {
		w.fail("L-FLOW", slow.id, "%d writes take %d ms while the disk of a server is slow that they do not need, else %d ms",
			flowWrites, with/1000, well/1000)
	}
	return w.broken == nil
}

// spare returns a voter of the core that the quorum can do without, and a client of another server.
func (w *World) spare() (*server, *client) {
	for _, s := range w.servers {
		var rest zab.Set
		for _, o := range w.servers {
			if o != s && w.core.Has(o.id) && o.peer.Zab().Role() != zab.Observing { // one that lost its disk has no voice yet
				rest.Add(o.id)
			}
		}
		if s == w.leader() || !w.core.Has(s.id) || !w.ensemble.IsVoter(s.id) || !w.ensemble.Quorum(rest) {
			continue
		}
		for _, c := range w.clients {
			if c.joined && c.conn.s != s && w.core.Has(c.conn.s.id) {
				return s, c
			}
		}
	}
	return nil, nil
}

// pace returns how long a client takes to write so many times, one after the other; false when its
// connection ends meanwhile.
func (w *World) pace(c *client) (us int64, ok bool) {
	begin := w.now
	for range flowWrites {
		conn := c.conn
		if conn == nil || !c.joined {
			return 0, false
		}
		n := c.ask(history.Op{Kind: wire.OpCreate, Path: "/flow", ACL: wire.OpenACL})
		known := func() bool { return w.record.Ops[n].Known() || c.conn != conn }
		if !w.await(electUs, "L-OPS", "a write of a healed core is answered", known) || !w.record.Ops[n].Known() {
			return 0, false
		}
		us = w.record.Ops[n].Return.At - begin
	}
	return us, true
}

// drained demands that no server of the core keeps anything for anybody once all is answered (L-MEM).
func (w *World) drained() bool {
	return w.await(settleUs, "L-MEM", "no queue of the core holds anything", func() bool {
		for _, s := range w.servers {
			if w.core.Has(s.id) && !s.drained() {
				return false
			}
		}
		return true
	})
}

func (s *server) drained() bool {
	if !s.up {
		return false
	}
	bytes, asks := s.peer.Backlog()
	proposed, _ := s.peer.Zab().Outstanding()
	held := bytes + asks + s.peer.Open() + proposed + len(s.writes) + len(s.staged) + len(s.dirty)
	for _, c := range s.conns {
		held += c.Waiting() + c.Unread() + len(c.frames)
	}
	return held == 0
}
