package zab

import (
	"fmt"
	"slices"
)

// leaderState is what a server knows because it leads, or wants to. It dies with the role (R6).
type leaderState struct {
	learners []*learner // by link

	// Discovery.
	infos     Set   // voters that sent FOLLOWERINFO, self included
	highest   Epoch // highest accepted epoch among all that came
	epochAcks Set   // voters that promised the epoch and are not more recent, self included

	// Synchronization.
	initial  Zxid  // end of the initial history; fixed when the phase begins
	newAcks  Set   // voters that acked NEWLEADER, self included
	progress int64 // tick at which the epoch last came nearer to being established

	// Broadcast. A learner that subscribes gets from its stream what has been flushed to its
	// kind, and everything else from the messages that all share (R15).
	sent       Zxid    // flushed to the voters
	informed   Zxid    // flushed to the observers; all committed
	commitSent Zxid    // highest commit that all voters were told
	acks       tally   // up to where each voter that acked NEWLEADER holds the history durably
	sentAt     []Zxid  // sent at the end of each of the last SyncTicks ticks, by tick modulo length
	rounds     confirm // confirmation rounds and the barriers that wait for them
}

func newLeaderState(p *Peer) *leaderState {
	l := &leaderState{
		highest:  max(p.heardOf, p.acceptedEpoch),
		progress: p.now,
		acks:     newTally(p.cfg.Ensemble),
		sentAt:   make([]Zxid, p.cfg.SyncTicks+1),
		rounds:   confirm{echoes: newTally(p.cfg.Ensemble)},
	}
	l.infos.Add(p.cfg.ID)
	return l
}

// stage is how far a learner has come on its link.
type stage uint8

const (
	connected  stage = iota // nothing came yet
	informed                // FOLLOWERINFO came
	invited                 // LEADERINFO was sent
	promised                // ACKEPOCH came; waits for the initial history to be fixed
	subscribed              // its stream was sent, and it gets all that is broadcast
	synced                  // acked NEWLEADER
)

// learner is the leader's view of one link.
type learner struct {
	link   LinkID
	server ServerID
	votes  bool // a follower; else it observes, and nothing of it is ever counted
	stage  stage
	last   Zxid   // its last zxid, from ACKEPOCH
	sync   string // row of the sync table that was chosen

	delimiter Zxid  // NEWLEADER was put after this zxid: its ack attests everything up to it
	acked     Zxid  // everything up to it is durable there
	heard     int64 // tick of the last sign of life
	advanced  int64 // tick at which acked last grew or its stream last moved
	current   bool  // has caught up with the live proposals once
}

func (l *leaderState) add(p *Peer, link LinkID, server ServerID) {
	l.learners = append(l.learners, &learner{link: link, server: server, heard: p.now})
	slices.SortFunc(l.learners, func(a, b *learner) int {
		if a.link < b.link {
			return -1
		}
		return 1
	})
}

func (l *leaderState) find(link LinkID) *learner {
	for _, ln := range l.learners {
		if ln.link == link {
			return ln
		}
	}
	return nil
}

// remove forgets a link. What the server behind it acked on it was durable and stays counted
// (R14); its echoes were promises of the live link and go with it.
func (l *leaderState) remove(ln *learner) {
	l.learners = slices.DeleteFunc(l.learners, func(other *learner) bool { return other == ln })
	l.rounds.forget(ln)
}

// drop closes the link of a learner; it will come again.
func (p *Peer) drop(ln *learner, out *Actions) {
	out.Close = append(out.Close, ln.link)
	p.asLeader.remove(ln)
}

// refuse closes the link of a learner that broke no rule but cannot be served now.
func (p *Peer) refuse(ln *learner, k Kind, text string, out *Actions) {
	out.Violations = append(out.Violations, Violation{Link: ln.link, Kind: k, Text: text})
	p.drop(ln, out)
}

// onFollowerInfo hears a learner out. Before the epoch is chosen it may complete the quorum for
// that; later it is told the same epoch as everybody.
func (p *Peer) onFollowerInfo(link LinkID, m *Message, out *Actions) {
	ln := p.asLeader.find(link)
	if ln.stage != connected {
		p.violation(link, m.Kind, "second one on this link", out)
		return
	}
	if !p.admit(ln, m, out) {
		return
	}
	switch {
	case p.epoch == 0:
		p.tryEpoch(out)
	case m.Epoch > p.epoch:
		p.lockedOut(ln, m, out)
	default:
		p.invite(ln, out)
	}
}

// admit checks and notes a FOLLOWERINFO. Only voters count (ZOOKEEPER-2959); a voter that says
// Observer has lost its disk and with it its promises, so it does not.
func (p *Peer) admit(ln *learner, m *Message, out *Actions) bool {
	voter := p.cfg.Ensemble.IsVoter(ln.server)
	switch {
	case m.Server != ln.server:
		p.violation(ln.link, m.Kind, fmt.Sprintf("server %d says it is %d", ln.server, m.Server), out)
		return false
	case !voter && !m.Observer:
		p.violation(ln.link, m.Kind, fmt.Sprintf("server %d wants to vote; here it observes", ln.server), out)
		return false
	case m.Epoch > MaxEpoch:
		p.violation(ln.link, m.Kind, fmt.Sprintf("epoch %d is too large", m.Epoch), out)
		return false
	case m.Epoch == MaxEpoch && p.epoch != MaxEpoch:
		// None could exceed it. An ensemble comes to its end by its own leaders, one epoch after the
		// other, and not because of what a single server says.
		p.violation(ln.link, m.Kind, fmt.Sprintf("epoch %d is the last one there is: no leader could come after it", m.Epoch), out)
		return false
	}
	l := p.asLeader
	ln.stage = informed
	ln.votes = voter && !m.Observer
	if ln.votes {
		l.infos.Add(ln.server)
	}
	l.highest = max(l.highest, m.Epoch)
	p.heardOf = max(p.heardOf, m.Epoch)
	return true
}

// tryEpoch chooses the epoch when a quorum, self included, has said which ones it accepted: one
// more than any of them. The promise to ourselves is durable before anybody hears of it (R3,
// ZOOKEEPER-1291), else a crash could let the same epoch be used twice.
func (p *Peer) tryEpoch(out *Actions) {
	l := p.asLeader
	if p.epoch != 0 || !p.cfg.Ensemble.Quorum(l.infos) {
		return
	}
	if l.highest >= MaxEpoch {
		panic(fmt.Sprintf("zab: server %d: epoch %d was accepted and is the last one there is: "+
			"export the data and start a new ensemble", p.cfg.ID, l.highest))
	}
	p.epoch = l.highest + 1
	p.heardOf = p.epoch
	l.progress = p.now
	p.persistAcceptedEpoch(p.epoch, out)
	for _, ln := range l.learners {
		if ln.stage == informed {
			p.invite(ln, out)
		}
	}
}

func (p *Peer) invite(ln *learner, out *Actions) {
	ln.stage = invited
	out.afterSync(ln.link, &Message{Kind: LeaderInfo, Epoch: p.epoch})
}

// lockedOut meets a server that has promised a later epoch to a leader that never got further. It
// could not join before the next election, and nothing would call one: the ensemble would run
// without its fault tolerance, in silence. So this leader gives up, and has noted the epoch to
// exceed (D3). That costs a moment of service, so not more than once in an init window; until
// then the server is sent away and comes again.
func (p *Peer) lockedOut(ln *learner, m *Message, out *Actions) {
	p.refuse(ln, m.Kind, fmt.Sprintf("server %d promised epoch %d, this is %d: a new one is needed",
		ln.server, m.Epoch, p.epoch), out)
	if p.lockedOutYet && p.now-p.lockedOutAt <= int64(p.cfg.InitTicks) {
		return
	}
	p.lockedOutYet, p.lockedOutAt = true, p.now
	p.leave(LockedOut, out)
}

// onAckEpoch takes a promise. While the epoch is being decided, one from a more recent server
// means that the election was wrong; such a server is sent away and not counted. Afterwards there
// is no comparison: a more recent history then belongs to an epoch that was never established,
// and synchronization cuts it (zab.md, example X1).
func (p *Peer) onAckEpoch(link LinkID, m *Message, out *Actions) {
	ln := p.asLeader.find(link)
	switch {
	case ln.stage != invited:
		p.violation(link, m.Kind, "not asked for", out)
		return
	case m.Epoch > p.epoch:
		p.violation(link, m.Kind, fmt.Sprintf("current epoch %d in epoch %d", m.Epoch, p.epoch), out)
		return
	}
	ln.last = m.Zxid
	if p.phase != Discovery {
		p.startSync(ln, out)
		return
	}
	if ln.votes && (m.Epoch > p.currentEpoch ||
		m.Epoch == p.currentEpoch && m.Zxid > p.history.Last()) {
		p.refuse(ln, m.Kind, fmt.Sprintf("server %d is more recent: (%d %v), this one is at (%d %v)",
			ln.server, m.Epoch, m.Zxid, p.currentEpoch, p.history.Last()), out)
		return
	}
	ln.stage = promised
	if ln.votes && !m.NoCount {
		p.asLeader.epochAcks.Add(ln.server)
	}
	p.tryInitial(out)
}

// tryInitial closes discovery when a quorum has promised. From here on the history of this server
// is the initial history of the epoch.
func (p *Peer) tryInitial(out *Actions) {
	l := p.asLeader
	if p.phase != Discovery || p.epoch == 0 || p.durableAccepted != p.epoch {
		return
	}
	l.epochAcks.Add(p.cfg.ID)
	if !p.cfg.Ensemble.Quorum(l.epochAcks) {
		return
	}
	p.phase = Synchronization
	l.progress = p.now
	l.initial = p.history.Last()
	l.sent, l.informed = l.initial, l.initial
	p.persistCurrentEpoch(p.epoch, 0, out)
	for _, ln := range slices.Clone(l.learners) { // a stream may be refused and drop its learner
		if ln.stage == promised {
			p.startSync(ln, out)
		}
	}
}

// leaderDurable goes on with what waited for this server's own disk.
func (p *Peer) leaderDurable(out *Actions) {
	switch p.phase {
	case Discovery:
		p.tryInitial(out)
	case Synchronization:
		p.tryEstablish(out)
	default:
		p.asLeader.acks.raise(p.cfg.ID, uint64(p.lastDurable))
		p.tryCommit(out)
	}
}

// leaderTick gives up learners, and then the role, when time is up.
func (p *Peer) leaderTick(out *Actions) {
	l := p.asLeader
	kept := l.learners[:0]
	var live Set
	live.Add(p.cfg.ID)
	for _, ln := range l.learners {
		if text := p.overdue(ln); text != "" {
			out.Violations = append(out.Violations, Violation{Link: ln.link, Text: text})
			out.Close = append(out.Close, ln.link)
			l.rounds.forget(ln)
			continue
		}
		kept = append(kept, ln)
		if ln.votes && ln.stage == synced {
			live.Add(ln.server)
		}
	}
	clear(l.learners[len(kept):])
	l.learners = kept
	switch {
	case p.phase == Broadcast && !p.cfg.Ensemble.Quorum(live): // R23
		p.leave(QuorumLost, out)
		return
	case p.phase == Broadcast && p.lastDurable < l.old(p.now) && len(p.cfg.Ensemble.Voters()) > 1:
		p.leave(DiskHangs, out) // ZOOKEEPER-2247. Without another voter nobody could do better.
		return
	case p.phase != Broadcast && p.now-l.progress > int64(p.cfg.InitTicks):
		p.leave(NoQuorumInTime, out)
		return
	}
	l.sentAt[p.now%int64(len(l.sentAt))] = l.sent
	if p.phase >= Synchronization && p.now-l.rounds.pinged >= int64(p.cfg.PingTicks) {
		l.rounds.due = true
	}
}

// overdue says why a learner is to be given up, "" if it is not. A disk that does not sync makes
// a learner as good as dead although it answers pings: its oldest proposal that is not acked may
// not be older than SyncTicks. A learner that still works through its stream only has to move.
func (p *Peer) overdue(ln *learner) string {
	l, limit := p.asLeader, int64(p.cfg.SyncTicks)
	if ln.stage != synced {
		if p.now-ln.heard > int64(p.cfg.InitTicks) {
			return fmt.Sprintf("server %d made no progress for %d ticks", ln.server, p.cfg.InitTicks)
		}
		return ""
	}
	if p.now-ln.heard > limit {
		return fmt.Sprintf("server %d was silent for %d ticks", ln.server, limit)
	}
	if !ln.votes || p.phase != Broadcast {
		return ""
	}
	old := l.old(p.now)
	switch {
	case ln.acked >= old:
		ln.current = true
	case ln.current, p.now-ln.advanced > limit:
		return fmt.Sprintf("server %d acked up to %v only, %v was sent %d ticks ago",
			ln.server, ln.acked, old, limit)
	}
	return ""
}

// old returns what had been sent to the voters SyncTicks ago. leaderTick asks before it puts the
// newest in the same place.
func (l *leaderState) old(now int64) Zxid { return l.sentAt[now%int64(len(l.sentAt))] }

func (p *Peer) checkLeader() {
	l := p.asLeader
	switch {
	case p.leader != p.cfg.ID:
		p.bug("leads for somebody else")
	case p.epoch != 0 && p.acceptedEpoch != p.epoch:
		p.bug("leads an epoch that it did not promise to itself (R3)")
	case p.phase >= Synchronization && p.currentEpoch != p.epoch:
		p.bug("leads an epoch whose initial history is not its own")
	case p.phase == Synchronization && p.history.Last() != l.initial:
		p.bug("history changed before the epoch was established")
	case p.phase == Broadcast && p.committed < l.initial:
		p.bug("established without its initial history")
	case p.history.Last() > l.initial && p.phase == Broadcast && p.history.Last().Epoch() != p.epoch:
		p.bug("proposed in another epoch than its own")
	case l.sent > p.history.Last() || p.phase == Broadcast && l.informed > p.committed:
		p.bug("sent what it does not have, or informed of what is not committed")
	}
}
