package zab

import "slices"

// confirm tells when leadership was confirmed by a quorum. Two servers may both think that they
// lead, so an answer that must not be stale needs a round of messages that voters send after the
// question came (R28); ZooKeeper's sync has none (ZOOKEEPER-1675). A round is a ping and the
// replies to it. One round serves all that wait for it.
type confirm struct {
	last      uint64 // number of the last round started
	confirmed uint64 // rounds up to this one were echoed by a quorum
	echoes    tally  // last round echoed by each voter on its present link
	waiting   []waiter
	due       bool  // the next Flush sends a ping in any case
	pinged    int64 // tick of the last ping
}

// waiter is a barrier that waits for a round.
type waiter struct {
	round uint64
	link  LinkID // 0: this server's own
	id    uint64
	zxid  Zxid // proposed when it was asked: answered once it is committed, as in ZooKeeper
}

// wanted reports whether a round must start now: somebody waits for one, and none is under way
// that was started for others who wait. One that runs already does not count for newcomers, its
// echoes may have been sent before they asked.
func (c *confirm) wanted() bool {
	return len(c.waiting) > 0 && c.waiting[0].round > c.last
}

func (c *confirm) start(p *Peer) {
	c.last++
	c.due, c.pinged = false, p.now
	c.echoes.set(p.cfg.ID, c.last)
}

// forget drops the echoes and the barriers of a link.
func (c *confirm) forget(ln *learner) {
	if ln.votes {
		c.echoes.set(ln.server, 0)
	}
	c.waiting = slices.DeleteFunc(c.waiting, func(w waiter) bool { return w.link == ln.link })
}

// Barrier asks for a zxid such that who has applied everything up to it has seen every write that
// was acknowledged anywhere before this call (zab.md 7.2). The answer comes in Actions.Barriers of
// a later input, with the same id. There is none when this server does not serve or its role ends
// first: ask again then.
func (p *Peer) Barrier(id uint64, out *Actions) {
	switch {
	case p.phase != Broadcast:
	case p.asLeader != nil:
		p.await(0, id)
	default:
		out.send(p.asLearner.link, &Message{Kind: Barrier, Seq: id})
	}
	p.check()
}

func (p *Peer) await(link LinkID, id uint64) {
	c := &p.asLeader.rounds
	c.waiting = append(c.waiting, waiter{round: c.last + 1, link: link, id: id, zxid: p.history.Last()})
}

// onBarrier takes the barrier of a learner.
func (p *Peer) onBarrier(link LinkID, m *Message, out *Actions) {
	if p.asLeader.find(link).stage != synced {
		p.violation(link, m.Kind, "before NEWLEADER was acked", out)
		return
	}
	p.await(link, m.Seq)
}

// onBarrierReply takes the leader's answer.
func (p *Peer) onBarrierReply(_ LinkID, m *Message, out *Actions) {
	out.Barriers = append(out.Barriers, BarrierDone{ID: m.Seq, Zxid: m.Zxid})
}

// onPingReply counts an echo. Only voters that are synced count: they have promised this epoch
// durably and, still being here, none after it.
func (p *Peer) onPingReply(link LinkID, m *Message, out *Actions) {
	c := &p.asLeader.rounds
	ln := p.asLeader.find(link)
	switch {
	case ln.stage < subscribed || m.Seq > c.last:
		p.violation(link, m.Kind, "round was never started", out)
	case ln.votes && ln.stage == synced:
		c.echoes.set(ln.server, m.Seq) // Flush answers those who waited for it
	}
}

// confirmRounds answers the barriers whose round a quorum has echoed and whose zxid is committed.
// Flush calls it last, so that the answer follows, on its link, all commits up to its zxid.
func (p *Peer) confirmRounds(out *Actions) {
	c := &p.asLeader.rounds
	c.confirmed = max(c.confirmed, c.echoes.quorum())
	if p.phase != Broadcast {
		return
	}
	n := 0
	for ; n < len(c.waiting) && c.waiting[n].round <= c.confirmed && c.waiting[n].zxid <= p.committed; n++ {
		w := &c.waiting[n]
		if w.link == 0 {
			out.Barriers = append(out.Barriers, BarrierDone{ID: w.id, Zxid: w.zxid})
		} else {
			out.send(w.link, &Message{Kind: BarrierReply, Seq: w.id, Zxid: w.zxid})
		}
	}
	if n > 0 {
		c.waiting = slices.Delete(c.waiting, 0, n)
	}
}
