package zab

// Propose gives data the next zxid and takes it as the next txn; data is kept. It returns 0 when
// this server may not propose: it does not lead an established epoch, or the epoch has no counter
// left and the role was given up for that (R22). A carry into the epoch would use an epoch that
// nobody promised (ZOOKEEPER-1277).
func (p *Peer) Propose(data []byte, out *Actions) Zxid {
	if p.role != Leading || p.phase != Broadcast {
		return 0
	}
	z := p.NextZxid()
	if z == 0 {
		p.leave(CounterUsedUp, out)
		p.check()
		return 0
	}
	t := Txn{Zxid: z, Data: data}
	if !p.accept(t, out) {
		p.bug("proposed " + z.String() + ", which cannot follow the history")
	}
	p.outstanding.n++
	p.outstanding.bytes += t.Size()
	p.check()
	return z
}

// tryCommit commits what a quorum of voters has acked. Acks are cumulative, so the order of
// commits is the order of the history and nothing overtakes (R14).
func (p *Peer) tryCommit(out *Actions) {
	if p.phase == Broadcast {
		p.commit(Zxid(p.asLeader.acks.quorum()), out)
	}
}

// Flush ends a turn: what was proposed and committed in it leaves, in messages that all learners
// of a kind share, so that they are encoded once. A commit rides on proposals or a ping and gets a
// message of its own only when there is neither.
func (p *Peer) Flush(out *Actions) {
	if p.asLeader == nil || p.phase < Synchronization {
		return
	}
	p.flushProposals(out)
	p.flushInforms(out)
	l := p.asLeader
	if l.rounds.due || l.rounds.wanted() {
		p.ping(out)
	}
	if p.phase == Broadcast && l.commitSent < p.committed {
		p.sendAll(&Message{Kind: Commit, Commit: p.committed}, true, out)
		l.commitSent = p.committed
	}
	p.confirmRounds(out)
	p.trim()
	p.check()
}

// flushProposals sends new txns to the voters, with what is committed up to them.
func (p *Peer) flushProposals(out *Actions) {
	l := p.asLeader
	p.eachBatch(l.sent, p.history.Last(), func(txns []Txn) {
		l.sent = txns[len(txns)-1].Zxid
		l.commitSent = min(p.committed, l.sent)
		p.sendAll(&Message{Kind: Proposal, Txns: txns, Commit: l.commitSent}, true, out)
	})
}

// flushInforms sends new committed txns to the observers.
func (p *Peer) flushInforms(out *Actions) {
	l := p.asLeader
	if p.committed <= l.informed {
		return
	}
	if !l.subscribers(false) {
		l.informed = p.committed
		return
	}
	p.eachBatch(l.informed, p.committed, func(txns []Txn) {
		p.sendAll(&Message{Kind: Inform, Txns: txns}, false, out)
	})
	l.informed = p.committed
}

// ping starts a confirmation round with a sign of life to all subscribers.
func (p *Peer) ping(out *Actions) {
	l := p.asLeader
	l.rounds.start(p)
	m := &Message{Kind: Ping, Seq: l.rounds.last}
	if p.phase == Broadcast {
		m.Commit = p.committed // all of it was flushed just now
		l.commitSent = p.committed
	}
	p.sendAll(m, true, out)
	p.sendAll(m, false, out)
}

// subscribers reports whether there are any that vote, or any that do not.
func (l *leaderState) subscribers(votes bool) bool {
	for _, ln := range l.learners {
		if ln.votes == votes && ln.stage >= subscribed {
			return true
		}
	}
	return false
}

// sendAll sends m to the subscribers that vote, or to those that do not.
func (p *Peer) sendAll(m *Message, votes bool, out *Actions) {
	for _, ln := range p.asLeader.learners {
		if ln.votes == votes && ln.stage >= subscribed {
			out.send(ln.link, m)
		}
	}
}
