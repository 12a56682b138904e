package zab

import "fmt"

// DefaultWindowBytes bounds the txns kept in memory for learners that were away for a moment: more than a
// second of writes at full load, and no more than 16 B for each of a million znodes. Who was away for
// longer is sent the log.
const DefaultWindowBytes = 16 << 20

// Config is what a Peer needs to know. Ticks are the shell's quantum.
type Config struct {
	ID       ServerID
	Ensemble *Ensemble // ID is a member

	InitTicks int // without progress, discovery and synchronization are given up after this long
	SyncTicks int // in broadcast, the other side is given up after this much silence
	PingTicks int // between pings; well below SyncTicks

	MaxCounter  uint64 // last counter of an epoch (R22); 0: the constant MaxCounter
	WindowBytes int    // committed txns kept in memory; 0: DefaultWindowBytes
	LinkBytes   int    // the shell's bound for the queue of one link; not used here
}

// State is what recovery found on the disk, after it made all of it durable (R19).
type State struct {
	AcceptedEpoch Epoch
	CurrentEpoch  Epoch
	Snapshot      Zxid    // the tree stands here: committed (R17); 0: empty
	Horizon       Zxid    // the log is complete after this zxid; 0: from the beginning
	History       History // of (Horizon, last]
	Tail          []Txn   // of (Snapshot, last], in order; accepted, not known to be committed

	// Silent: the disk is empty and nobody said that it should be. Its promises and acks are
	// lost, so this server must not vote before a leader has synced it (zxid -1 in ZooKeeper).
	Silent bool
}

// Peer is one server's side of the protocol. Its methods are inputs and questions; see the package
// comment for turns. It is not safe for concurrent use.
type Peer struct {
	cfg Config

	role        Role
	phase       Phase
	incarnation uint64 // counts roles entered and left (R6)
	left        Cause  // why the last one was left
	now         int64  // ticks since New
	epoch       Epoch  // of the leadership this role is part of; 0: not known yet
	leader      ServerID
	asLeader    *leaderState  // only while Leading
	asLearner   *learnerState // only while Following or Observing
	parked      []parkedLink  // only while Looking: links from servers that follow us already

	// What the log holds once all records handed out are durable, and what it holds for certain.
	// Messages that attest the former leave in AfterSync; whatever is decided here and now uses
	// the latter.
	acceptedEpoch   Epoch
	currentEpoch    Epoch
	history         History
	window          window // the end of history
	durableAccepted Epoch
	durableCurrent  Epoch
	lastDurable     Zxid

	appended   uint64 // number of the last record handed out
	durable    uint64 // number of the last record known to be durable
	pending    marks
	branchedAt uint64 // record of the last truncation or install: until it is durable, lastDurable
	// may name a txn that is not in history, and nothing is delivered.

	committed Zxid // known to be committed; never speculative
	delivered Zxid
	snapshot  Zxid // newest complete snapshot file
	silent    bool

	heardOf      Epoch // highest accepted epoch that any server has claimed (D3)
	lockedOutAt  int64 // when a leadership was last given up for D3
	lockedOutYet bool
	outstanding  struct{ n, bytes int } // proposed here, not delivered

	checked struct{ committed, delivered Zxid } // as check found them last
}

// New returns the peer of a server that has just recovered. It is Looking.
func New(cfg Config, s State) *Peer {
	if cfg.MaxCounter == 0 {
		cfg.MaxCounter = MaxCounter
	}
	if cfg.WindowBytes == 0 {
		cfg.WindowBytes = DefaultWindowBytes
	}
	if cfg.Ensemble == nil || !cfg.Ensemble.IsMember(cfg.ID) {
		panic(fmt.Sprintf("zab: server %d is not a member of its own ensemble", cfg.ID))
	}
	if s.History.Base() != s.Horizon {
		panic(fmt.Sprintf("zab: horizon %v, but the history starts at %v", s.Horizon, s.History.Base()))
	}
	p := &Peer{
		cfg:             cfg,
		acceptedEpoch:   s.AcceptedEpoch,
		currentEpoch:    s.CurrentEpoch,
		durableAccepted: s.AcceptedEpoch,
		durableCurrent:  s.CurrentEpoch,
		history:         s.History.Clone(),
		window:          newWindow(s.Snapshot, cfg.WindowBytes),
		lastDurable:     s.History.Last(),
		committed:       s.Snapshot,
		delivered:       s.Snapshot,
		snapshot:        s.Snapshot,
		silent:          s.Silent,
		heardOf:         s.AcceptedEpoch,
	}
	for i := range s.Tail {
		if !p.window.last().Precedes(s.Tail[i].Zxid) {
			panic(fmt.Sprintf("zab: recovered tail: %v cannot follow %v", s.Tail[i].Zxid, p.window.last()))
		}
		p.window.append(s.Tail[i])
	}
	p.check()
	return p
}

// handler is what one role does with one kind of message, and in which phases.
type handler struct {
	in phases
	do func(*Peer, LinkID, *Message, *Actions)
}

// phases is a set of Phase.
type phases uint8

const (
	election  phases = 1 << Election
	discovery phases = 1 << Discovery
	syncing   phases = 1 << Synchronization
	broadcast phases = 1 << Broadcast
)

// handlers is the protocol at a glance. An empty cell is a message that this role must not get,
// a phase that is not named is too early or too late for it: both close the link (R32). Requests,
// Touch, Revalidate and its reply are the server's own and never come here.
var handlers = [numRoles][numKinds]handler{
	Looking: {
		FollowerInfo: {election, (*Peer).onParkedInfo},
	},
	Following: {
		LeaderInfo:   {discovery, (*Peer).onLeaderInfo},
		Diff:         {syncing, (*Peer).onDiff},
		Trunc:        {syncing, (*Peer).onTrunc},
		Snap:         {syncing, (*Peer).onSnap},
		NewLeader:    {syncing, (*Peer).onNewLeader},
		UpToDate:     {syncing, (*Peer).onUpToDate},
		Proposal:     {syncing | broadcast, (*Peer).onProposal},
		Commit:       {syncing | broadcast, (*Peer).onCommit},
		Ping:         {syncing | broadcast, (*Peer).onPing},
		BarrierReply: {broadcast, (*Peer).onBarrierReply},
	},
	Observing: {
		LeaderInfo:   {discovery, (*Peer).onLeaderInfo},
		Diff:         {syncing, (*Peer).onDiff},
		Trunc:        {syncing, (*Peer).onTrunc},
		Snap:         {syncing, (*Peer).onSnap},
		NewLeader:    {syncing, (*Peer).onNewLeader},
		UpToDate:     {syncing, (*Peer).onUpToDate},
		Proposal:     {syncing | broadcast, (*Peer).onProposal},
		Inform:       {syncing | broadcast, (*Peer).onInform},
		Commit:       {syncing | broadcast, (*Peer).onCommit},
		Ping:         {syncing | broadcast, (*Peer).onPing},
		BarrierReply: {broadcast, (*Peer).onBarrierReply},
	},
	Leading: {
		FollowerInfo: {discovery | syncing | broadcast, (*Peer).onFollowerInfo},
		AckEpoch:     {discovery | syncing | broadcast, (*Peer).onAckEpoch},
		Ack:          {syncing | broadcast, (*Peer).onAck},
		PingReply:    {syncing | broadcast, (*Peer).onPingReply},
		Barrier:      {broadcast, (*Peer).onBarrier},
	},
}

// Receive applies one message of the protocol. It takes over m and the bytes in it. What a link
// delivers that was closed here is dropped (R6, nemesis N4).
func (p *Peer) Receive(link LinkID, m *Message, out *Actions) {
	if !p.knows(link) {
		return
	}
	p.refresh(link)
	switch {
	case !m.Kind.Valid():
		p.violation(link, m.Kind, "unknown kind", out)
	default:
		h := &handlers[p.role][m.Kind]
		switch {
		case h.do == nil:
			p.violation(link, m.Kind, fmt.Sprintf("not for a server that is %v", p.role), out)
		case h.in&(1<<p.phase) == 0:
			p.violation(link, m.Kind, fmt.Sprintf("not in %v", p.phase), out)
		default:
			h.do(p, link, m, out)
		}
	}
	p.check()
}

// Progress tells that bytes moved on a link, a snapshot's for instance: its deadline starts anew,
// so no time-out is shorter than what it times (ZOOKEEPER-1465).
func (p *Peer) Progress(link LinkID) {
	p.refresh(link)
	if p.asLeader == nil {
		return
	}
	if ln := p.asLeader.find(link); ln != nil {
		ln.advanced = p.now
		if ln.votes && p.phase == Synchronization {
			p.asLeader.progress = p.now
		}
	}
}

// refresh notes a sign of life on a link.
func (p *Peer) refresh(link LinkID) {
	switch {
	case p.asLearner != nil && link == p.asLearner.link:
		p.asLearner.heard = p.now
	case p.asLeader != nil:
		if ln := p.asLeader.find(link); ln != nil {
			ln.heard = p.now
		}
	}
}

// Tick tells that one tick has passed.
func (p *Peer) Tick(out *Actions) {
	p.now++
	switch {
	case p.asLeader != nil:
		p.leaderTick(out)
	case p.asLearner != nil:
		p.learnerTick(out)
	}
	p.check()
}

// Durable tells that all records up to number seq are on disk. The first record that Persist ever
// carried in this process has number 1.
func (p *Peer) Durable(seq uint64, out *Actions) {
	if seq > p.appended {
		panic(fmt.Sprintf("zab: record %d reported durable, only %d were handed out", seq, p.appended))
	}
	p.durable = max(p.durable, seq)
	for {
		m, ok := p.pending.pop(seq)
		if !ok {
			break
		}
		p.lastDurable = m.last
		switch m.kind {
		case RecordAcceptedEpoch:
			p.durableAccepted = m.epoch
		case RecordCurrentEpoch:
			p.durableCurrent = m.epoch
			if m.install != 0 {
				p.installed(m.install, out)
			}
		default: // a txn or a truncation: only the end of the history moves
		}
	}
	switch {
	case p.asLeader != nil:
		p.leaderDurable(out)
	case p.asLearner != nil:
		p.tryServe(out)
	}
	p.deliver(out)
	p.check()
}

// installed makes the received snapshot the tree: the record that makes its generation the history
// is durable (R10). Up to here a crash would have found the old one untouched.
func (p *Peer) installed(z Zxid, out *Actions) {
	out.install(z)
	p.delivered = max(p.delivered, z)
	p.committed = max(p.committed, z)
}

// persist hands a record to the log and returns its number.
func (p *Peer) persist(r Record, out *Actions) uint64 {
	out.Persist = append(out.Persist, r)
	p.appended++
	return p.appended
}

func (p *Peer) persistAcceptedEpoch(e Epoch, out *Actions) {
	p.acceptedEpoch = e
	n := p.persist(Record{Kind: RecordAcceptedEpoch, Epoch: e}, out)
	p.pending.push(mark{kind: RecordAcceptedEpoch, first: n, seq: n, last: p.history.Last(), epoch: e})
}

// persistCurrentEpoch attests that the history logged so far contains the initial history of e.
// A generation that was being installed becomes the history with the same record, so no crash can
// find one without the other (R2, R10).
func (p *Peer) persistCurrentEpoch(e Epoch, install Zxid, out *Actions) {
	p.currentEpoch = e
	n := p.persist(Record{Kind: RecordCurrentEpoch, Epoch: e}, out)
	p.pending.push(mark{
		kind: RecordCurrentEpoch, first: n, seq: n, last: p.history.Last(), epoch: e, install: install,
	})
	if install != 0 {
		p.branchedAt = n
	}
}

// accept appends t to the history and the log and reports whether it may follow there.
func (p *Peer) accept(t Txn, out *Actions) bool {
	if !p.history.Append(t.Zxid) {
		return false
	}
	p.window.append(t)
	n := p.persist(Record{Kind: RecordTxn, Zxid: t.Zxid, Data: t.Data}, out)
	p.pending.push(mark{kind: RecordTxn, first: n, seq: n, last: t.Zxid})
	return true
}

// commit moves what is known to be committed to z, a member of the history, and applies it.
func (p *Peer) commit(z Zxid, out *Actions) {
	if z <= p.committed {
		return
	}
	p.committed = z
	p.deliver(out)
}

// deliver hands out what is committed and durable here (R16): a commit that overtakes the local
// sync waits for it, else a crash would leave a tree that its own log does not explain
// (ZOOKEEPER-4882).
func (p *Peer) deliver(out *Actions) {
	if p.durable < p.branchedAt {
		return
	}
	to := min(p.committed, p.lastDurable)
	if to <= p.delivered {
		return
	}
	txns := p.window.between(p.delivered, to)
	out.Deliver = append(out.Deliver, txns...)
	if p.outstanding.n > 0 { // then all of txns were proposed here: the initial history was delivered before the first was
		p.outstanding.n -= len(txns)
		for i := range txns {
			p.outstanding.bytes -= txns[i].Size()
		}
	}
	p.delivered = to
	p.trim()
}

// trim gives back memory: of what is delivered and, on a leader, flushed to all learners.
func (p *Peer) trim() {
	keep := p.delivered
	if l := p.asLeader; l != nil && p.phase >= Synchronization {
		keep = min(keep, l.sent, l.informed)
	}
	p.window.trim(keep)
}

// Snapshotted tells that the snapshot file at newest is complete and the log is complete after
// horizon. The log notes it, so that a recovery knows which snapshot there should be. A snapshot of
// a generation that was replaced meanwhile is not in the history any more and is ignored.
func (p *Peer) Snapshotted(newest, horizon Zxid, out *Actions) {
	if newest > p.snapshot && newest <= p.delivered && p.history.Contains(newest) {
		p.snapshot = newest
		p.persist(Record{Kind: RecordSnapshot, Zxid: newest}, out)
	}
	if horizon > p.history.Base() && horizon <= p.snapshot {
		p.history.Rebase(horizon)
	}
	p.check()
}

// Abdicate leaves the role: the disk has trouble, or the server stops.
func (p *Peer) Abdicate(out *Actions) {
	if p.role != Looking {
		p.leave(Asked, out)
	}
	p.check()
}

// check panics when an invariant is broken. It runs after every input, in production too: a
// server that crashes loses nothing, one that goes on with a broken history may.
func (p *Peer) check() {
	switch {
	case p.delivered > p.committed:
		p.bug("delivered past what is committed")
	case p.delivered > p.lastDurable:
		p.bug("delivered past what is durable (R16)")
	case p.committed > p.history.Last():
		p.bug("committed past the end of the history")
	case p.durable >= p.branchedAt && p.lastDurable > p.history.Last():
		p.bug("durable past the end of the history")
	case p.committed < p.checked.committed || p.delivered < p.checked.delivered:
		p.bug("zxid regressed")
	case p.currentEpoch > p.acceptedEpoch || p.durableCurrent > p.durableAccepted:
		p.bug("current epoch above the accepted one")
	case p.outstanding.n < 0 || p.outstanding.bytes < 0:
		p.bug("delivered as its own proposals what it did not propose")
	case p.window.last() != p.history.Last():
		p.bug("window does not end where the history ends")
	case p.durable >= p.branchedAt && p.window.base > p.delivered:
		p.bug("window lost a txn that is not delivered")
	case p.snapshot < p.history.Base():
		p.bug("log purged above the newest snapshot")
	case (p.role == Looking) != (p.phase == Election),
		(p.role == Leading) != (p.asLeader != nil),
		(p.role == Following || p.role == Observing) != (p.asLearner != nil):
		p.bug("role and phase disagree")
	case p.asLeader != nil:
		p.checkLeader()
	case p.asLearner != nil && p.epoch != 0 && p.acceptedEpoch != p.epoch:
		p.bug("following a leader of another epoch than the one promised (R3)")
	}
	p.checked.committed, p.checked.delivered = p.committed, p.delivered
}

func (p *Peer) bug(what string) {
	panic(fmt.Sprintf("zab: server %d: %s\n"+
		"%v/%v epoch=%d accepted=%d current=%d durable=%d/%d history=(%v %v] window=(%v %v] "+
		"committed=%v delivered=%v snapshot=%v lastDurable=%v records=%d/%d",
		p.cfg.ID, what, p.role, p.phase, p.epoch, p.acceptedEpoch, p.currentEpoch,
		p.durableAccepted, p.durableCurrent, p.history.Base(), p.history.Last(), p.window.base,
		p.window.last(), p.committed, p.delivered, p.snapshot, p.lastDurable, p.durable, p.appended))
}
