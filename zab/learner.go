package zab

import "fmt"

// learnerState is what a server knows because it follows or observes. It dies with the role (R6).
type learnerState struct {
	dialing bool   // Connect was asked for, and no link is up yet
	link    LinkID // to the leader
	heard   int64  // tick of the last sign of life

	mode      SyncMode    // 0: the leader has not said yet
	end       Zxid        // with DIFF: where the initial history ends
	install   *generation // with SNAP, until NEWLEADER: the history that is being built aside
	delimited bool        // NEWLEADER came
	attested  uint64      // all records up to this one belong to its ack
	upToDate  bool        // UPTODATE came
	hint      Zxid        // highest commit heard of before this server serves
}

// generation is a history that starts at a received snapshot. Until NEWLEADER makes it current,
// the old one stays what this server votes with and what a crash finds: the snapshot may lie below
// txns that this server has acked and that are committed nowhere else but here and on the leader
// (R10).
type generation struct {
	snapshot Zxid
	history  History
	window   window
}

// linked introduces this server to the leader. Its accepted epoch may be on its way to the disk.
func (p *Peer) linked(link LinkID, out *Actions) {
	p.asLearner.dialing, p.asLearner.link, p.asLearner.heard = false, link, p.now
	out.afterSync(link, &Message{
		Kind: FollowerInfo, Epoch: p.acceptedEpoch, Server: p.cfg.ID, Observer: p.role == Observing,
	})
}

// onLeaderInfo promises the epoch: durably, before the leader hears of it (R3). The history and the
// current epoch that the promise names are those of the log, so it waits for all of that, too.
// An epoch that was promised before is accepted without being counted again: the first promise
// may have gone to another server that wanted to lead it.
func (p *Peer) onLeaderInfo(link LinkID, m *Message, out *Actions) {
	switch {
	case m.Epoch == 0 || m.Epoch > MaxEpoch:
		p.violation(link, m.Kind, fmt.Sprintf("epoch %d", m.Epoch), out)
		return
	case m.Epoch < p.acceptedEpoch:
		p.violation(link, m.Kind, fmt.Sprintf("epoch %d, but %d is promised", m.Epoch, p.acceptedEpoch), out)
		return
	}
	noCount := m.Epoch == p.acceptedEpoch
	if !noCount {
		p.persistAcceptedEpoch(m.Epoch, out)
	}
	p.epoch = m.Epoch
	p.phase = Synchronization
	out.afterSync(link, &Message{
		Kind: AckEpoch, Epoch: p.currentEpoch, Zxid: p.history.Last(), NoCount: noCount,
	})
}

// begin notes how the leader syncs us and reports whether it may say so now.
func (p *Peer) begin(link LinkID, m *Message, mode SyncMode, out *Actions) bool {
	if p.asLearner.mode != 0 {
		p.violation(link, m.Kind, "second mode of one synchronization", out)
		return false
	}
	p.asLearner.mode = mode
	return true
}

// onDiff keeps the history as it is. Being told where the leader stands changes nothing yet: only
// the txns themselves do (R11, ZOOKEEPER-2355).
func (p *Peer) onDiff(link LinkID, m *Message, out *Actions) {
	if !p.begin(link, m, ModeDiff, out) {
		return
	}
	if m.Zxid < p.history.Last() {
		p.violation(link, m.Kind, fmt.Sprintf("up to %v, behind %v here", m.Zxid, p.history.Last()), out)
		return
	}
	p.asLearner.end = m.Zxid
}

// onTrunc cuts off a dead branch. The leader's claim is verified: what is kept must end in a record
// that is here. A txn known to be committed is in every leader's history, so an order to cut one
// off means that the ensemble has lost it, and nothing this server could do makes that good.
func (p *Peer) onTrunc(link LinkID, m *Message, out *Actions) {
	if !p.begin(link, m, ModeTrunc, out) {
		return
	}
	if m.Zxid >= p.history.Last() || !p.history.Contains(m.Zxid) {
		p.violation(link, m.Kind, fmt.Sprintf("to %v, which is not before %v in the history here",
			m.Zxid, p.history.Last()), out)
		return
	}
	if m.Zxid < p.committed {
		panic(fmt.Sprintf("zab: server %d is told by leader %d to truncate its history to %v, but "+
			"%v is committed and %v is applied here: the other servers have lost committed txns; "+
			"keep this server's data directory", p.cfg.ID, p.leader, m.Zxid, p.committed, p.delivered))
	}
	p.history.Truncate(m.Zxid)
	p.window.truncate(m.Zxid)
	n := p.persist(Record{Kind: RecordTruncate, Zxid: m.Zxid}, out)
	p.pending.push(mark{kind: RecordTruncate, first: n, seq: n, last: m.Zxid})
	p.branchedAt = n
}

// onSnap starts a generation with a snapshot that the link has received, verified and made durable.
func (p *Peer) onSnap(link LinkID, m *Message, out *Actions) {
	if !p.begin(link, m, ModeSnap, out) {
		return
	}
	if m.Zxid < p.committed {
		p.violation(link, m.Kind, fmt.Sprintf("at %v, behind %v which is committed here",
			m.Zxid, p.committed), out)
		return
	}
	p.persist(Record{Kind: RecordInstall, Zxid: m.Zxid}, out)
	p.asLearner.install = &generation{
		snapshot: m.Zxid,
		history:  NewHistory(m.Zxid),
		window:   newWindow(m.Zxid, p.cfg.WindowBytes),
	}
}

// onProposal accepts txns. Before NEWLEADER they are of the initial history and attested as a whole
// with its ack; after it they are of this epoch and acked each (R13). A gap is never accepted
// (R32, ZOOKEEPER-4925).
func (p *Peer) onProposal(link LinkID, m *Message, out *Actions) {
	ls := p.asLearner
	switch {
	case ls.mode == 0:
		p.violation(link, m.Kind, "before the mode of synchronization", out)
		return
	case len(m.Txns) == 0:
		p.violation(link, m.Kind, "without a txn", out)
		return
	}
	for _, t := range m.Txns {
		if text := p.take(t, out); text != "" {
			p.violation(link, m.Kind, text, out)
			return
		}
	}
	if ls.delimited && p.role == Following {
		out.ack(link, p.history.Last())
	}
	if m.Commit != 0 {
		p.heardCommit(link, m.Kind, m.Commit, out)
	}
}

// take appends one txn to the history, or to the generation that is built aside; else it says why
// not. A txn of this epoch before NEWLEADER would be held under an older current epoch: in a vote
// it would not count as what it is (R13).
func (p *Peer) take(t Txn, out *Actions) string {
	ls := p.asLearner
	switch e := t.Zxid.Epoch(); {
	case ls.delimited && e != p.epoch:
		return fmt.Sprintf("%v after NEWLEADER(%d)", t.Zxid, p.epoch)
	case !ls.delimited && e >= p.epoch:
		return fmt.Sprintf("%v before NEWLEADER(%d)", t.Zxid, p.epoch)
	}
	if g := ls.install; g != nil {
		if !g.history.Append(t.Zxid) {
			return fmt.Sprintf("%v cannot follow %v", t.Zxid, g.history.Last())
		}
		g.window.append(t)
		p.persist(Record{Kind: RecordTxn, Zxid: t.Zxid, Data: t.Data}, out)
		return ""
	}
	if !p.accept(t, out) {
		return fmt.Sprintf("%v cannot follow %v", t.Zxid, p.history.Last())
	}
	return ""
}

// onInform accepts txns that are committed.
func (p *Peer) onInform(link LinkID, m *Message, out *Actions) {
	if !p.asLearner.delimited {
		p.violation(link, m.Kind, "before NEWLEADER", out)
		return
	}
	if n := len(m.Txns); n > 0 {
		m.Commit = m.Txns[n-1].Zxid
	}
	p.onProposal(link, m, out)
}

// onNewLeader attests the initial history: the log has it, then the current epoch, then the ack
// leaves (R2). The order is that of the records, so no crash finds the epoch without the history
// (ZOOKEEPER-3911, 4643, 4646, 4785), and a history without the epoch is harmless (R21).
func (p *Peer) onNewLeader(link LinkID, m *Message, out *Actions) {
	ls := p.asLearner
	last := p.history.Last()
	if ls.install != nil {
		last = ls.install.history.Last()
	}
	switch {
	case ls.mode == 0 || ls.delimited:
		p.violation(link, m.Kind, "out of order", out)
		return
	case m.Epoch != p.epoch:
		p.violation(link, m.Kind, fmt.Sprintf("epoch %d, promised was %d", m.Epoch, p.epoch), out)
		return
	case ls.mode == ModeDiff && last != ls.end:
		p.violation(link, m.Kind, fmt.Sprintf("after %v, DIFF said %v", last, ls.end), out)
		return
	}
	if g := ls.install; g != nil {
		ls.install = nil
		p.history, p.window = g.history, g.window
		p.snapshot = g.snapshot
		p.persistCurrentEpoch(p.epoch, g.snapshot, out)
	} else if p.currentEpoch != p.epoch {
		p.persistCurrentEpoch(p.epoch, 0, out)
	}
	ls.delimited, ls.attested = true, p.appended
	out.afterSync(link, &Message{Kind: Ack, Zxid: MakeZxid(p.epoch, 0)})
}

// onCommit learns that everything up to a zxid is committed.
func (p *Peer) onCommit(link LinkID, m *Message, out *Actions) {
	p.heardCommit(link, m.Kind, m.Commit, out)
}

// heardCommit raises what is known to be committed. Commits are cumulative and name a place in the
// history, so there is no pending proposal to be looked up and missed (ZOOKEEPER-4394). Before
// UPTODATE they are only remembered: nothing of a history that may not be final is applied.
func (p *Peer) heardCommit(link LinkID, k Kind, z Zxid, out *Actions) {
	switch {
	case !p.asLearner.delimited:
		p.violation(link, k, fmt.Sprintf("commits %v before NEWLEADER", z), out)
	case z > p.history.Last() || z > p.committed && !p.history.Contains(z):
		p.violation(link, k, fmt.Sprintf("commits %v, which was not proposed here; last is %v",
			z, p.history.Last()), out)
	case p.phase == Broadcast:
		p.commit(z, out)
	default:
		p.asLearner.hint = max(p.asLearner.hint, z)
	}
}

// onUpToDate lets this server serve, with what the leader has committed by now.
func (p *Peer) onUpToDate(link LinkID, m *Message, out *Actions) {
	if p.asLearner.upToDate || !p.asLearner.delimited {
		p.violation(link, m.Kind, "out of order", out)
		return
	}
	p.heardCommit(link, m.Kind, m.Commit, out)
	if p.asLearner == nil { // that was a violation
		return
	}
	p.asLearner.upToDate = true
	p.tryServe(out)
}

// tryServe enters broadcast when the leader has said so. That came because our ack of NEWLEADER
// left, so its records are durable; the word of our own disk may still be on its way.
func (p *Peer) tryServe(out *Actions) {
	ls := p.asLearner
	if p.phase != Synchronization || !ls.upToDate || p.durable < ls.attested {
		return
	}
	p.phase = Broadcast
	p.silent = false
	p.commit(ls.hint, out)
}

// onPing answers a sign of life. The echo confirms that this server is still bound to the epoch,
// on its disk (zab.md 7.2).
func (p *Peer) onPing(link LinkID, m *Message, out *Actions) {
	if !p.asLearner.delimited {
		p.violation(link, m.Kind, "before NEWLEADER", out)
		return
	}
	if m.Commit != 0 {
		if p.heardCommit(link, m.Kind, m.Commit, out); p.asLearner == nil {
			return
		}
	}
	reply := &Message{Kind: PingReply}
	if p.durableAccepted == p.epoch {
		reply.Seq = m.Seq
	}
	out.send(link, reply)
}

// ToLeader sends a message that is not the protocol's to the leader and reports whether there is
// one: this server must be a learner that serves.
func (p *Peer) ToLeader(m *Message, out *Actions) bool {
	if p.asLearner == nil || p.phase != Broadcast {
		return false
	}
	out.send(p.asLearner.link, m)
	return true
}

// learnerTick gives the leader up when it has been silent for too long.
func (p *Peer) learnerTick(out *Actions) {
	limit := p.cfg.InitTicks
	if p.phase == Broadcast {
		limit = p.cfg.SyncTicks
	}
	if p.now-p.asLearner.heard > int64(limit) {
		p.leave(LeaderSilent, out)
	}
}
