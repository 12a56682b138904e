package zab

import "fmt"

// startSync brings a learner into line, in one step (R15): it chooses how, sends the stream up to
// the cut and subscribes the learner to everything after it.
//
//	DIFF | TRUNC | SNAP, initial history, NEWLEADER, txns of this epoch up to the cut
//
// The cut is what has been flushed to the learner's kind, not the end of the history: what was
// proposed in this turn and not flushed yet leaves with the next Flush in one message that is
// shared by all subscribers, the new one among them. So nothing is sent twice, nothing is left
// out, and joining costs the others no extra message. Everything up to the cut was broadcast
// already, so NEWLEADER stands right behind the initial history (R13) and a learner never has to
// hold a txn of this epoch back.
func (p *Peer) startSync(ln *learner, out *Actions) {
	l := p.asLeader
	cut := l.informed
	if ln.votes {
		cut = l.sent
	}
	plan := planSync(&p.history, &p.window, p.snapshot, ln.last)
	if plan.start > cut {
		// It was never sent that by us, and the initial history ends before.
		p.violation(ln.link, AckEpoch, fmt.Sprintf("claims %v, only %v was sent", ln.last, cut), out)
		return
	}
	first := &Message{Kind: plan.mode.kind(), Zxid: plan.start}
	ln.delimiter = max(plan.start, l.initial)
	if plan.mode == ModeDiff {
		first.Zxid = ln.delimiter
	}
	ln.stage, ln.sync = subscribed, plan.label
	p.stream(ln, first, plan.start, ln.delimiter, out)
	p.stream(ln, &Message{Kind: NewLeader, Epoch: p.epoch}, ln.delimiter, cut, out)
}

// stream sends first and then the txns of (from, to]: from the log as far as memory does not
// reach back, then from memory. Both are stretches of the one history and meet at the window's
// base, so there is no seam that could gape (ZOOKEEPER-2418).
func (p *Peer) stream(ln *learner, first *Message, from, to Zxid, out *Actions) {
	env := Envelope{Link: ln.link, Msg: first}
	if base := min(p.window.base, to); from < base {
		env.History = Range{From: from, To: base}
		from = base
	}
	out.Send = append(out.Send, env)
	p.eachBatch(from, to, func(txns []Txn) {
		out.send(ln.link, &Message{Kind: Proposal, Txns: txns})
	})
}

// batchBytes bounds the txns of one message: as much again as a txn may be large at most.
const batchBytes = 1 << 20

// eachBatch cuts (from, to] of the window into messages of about batchBytes.
func (p *Peer) eachBatch(from, to Zxid, send func([]Txn)) {
	txns := p.window.between(from, to)
	for len(txns) > 0 {
		n, size := 1, txns[0].Size()
		for n < len(txns) && size+txns[n].Size() <= batchBytes {
			size += txns[n].Size()
			n++
		}
		send(txns[:n:n])
		txns = txns[n:]
	}
}

// tryEstablish ends synchronization when a quorum holds the initial history durably under the new
// current epoch, this server included: its own disk obeys the same rule as any other (R4). All of
// the initial history is committed by that, and by nothing before (D5).
func (p *Peer) tryEstablish(out *Actions) {
	l := p.asLeader
	if p.phase != Synchronization || p.durableCurrent != p.epoch {
		return
	}
	l.newAcks.Add(p.cfg.ID)
	if !p.cfg.Ensemble.Quorum(l.newAcks) {
		return
	}
	p.phase = Broadcast
	l.commitSent = l.initial
	for i := range l.sentAt {
		l.sentAt[i] = l.initial
	}
	l.acks.raise(p.cfg.ID, uint64(p.lastDurable))
	p.commit(l.initial, out)
	for _, ln := range l.learners {
		if ln.stage == synced {
			p.upToDate(ln, out)
		}
	}
}

// upToDate lets a learner serve. It is told the commit of now, not that of its ack (zab.md 1.10),
// and only as far as it was sent the txns.
func (p *Peer) upToDate(ln *learner, out *Actions) {
	known := min(p.committed, p.asLeader.informed)
	if ln.votes {
		known = min(p.committed, p.asLeader.sent)
	}
	out.send(ln.link, &Message{Kind: UpToDate, Commit: known})
}

// onAck takes the ack of NEWLEADER, the first of a link, or of proposals.
func (p *Peer) onAck(link LinkID, m *Message, out *Actions) {
	l := p.asLeader
	ln := l.find(link)
	switch {
	case ln.stage < subscribed:
		p.violation(link, m.Kind, "nothing was sent to ack", out)
	case m.Zxid == MakeZxid(p.epoch, 0):
		p.onNewLeaderAck(ln, out)
	case ln.stage != synced:
		p.violation(link, m.Kind, fmt.Sprintf("%v before NEWLEADER's", m.Zxid), out)
	case !ln.votes:
		p.violation(link, m.Kind, fmt.Sprintf("%v from a learner that does not vote", m.Zxid), out)
	case m.Zxid.Epoch() != p.epoch || m.Zxid > l.sent:
		p.violation(link, m.Kind, fmt.Sprintf("%v, only %v was sent", m.Zxid, l.sent), out)
	case m.Zxid > ln.acked:
		ln.acked, ln.advanced = m.Zxid, p.now
		l.acks.raise(ln.server, uint64(m.Zxid))
		p.tryCommit(out)
	}
}

// onNewLeaderAck counts a learner as synced. Everything that was sent before NEWLEADER was durable
// before its ack (R2), also the part that a server which comes back within the epoch had already.
func (p *Peer) onNewLeaderAck(ln *learner, out *Actions) {
	if ln.stage == synced {
		p.violation(ln.link, Ack, "second one of NEWLEADER", out)
		return
	}
	l := p.asLeader
	ln.stage = synced
	ln.acked, ln.advanced = ln.delimiter, p.now
	if ln.votes {
		l.newAcks.Add(ln.server)
		l.acks.raise(ln.server, uint64(ln.delimiter))
	}
	if p.phase == Broadcast {
		p.tryCommit(out)
		p.upToDate(ln, out)
		return
	}
	l.progress = p.now
	p.tryEstablish(out)
}
