package zab

// Role returns what this server is. A server that comes back to Looking wants an election.
func (p *Peer) Role() Role { return p.role }

// Phase returns how far the role has come.
func (p *Peer) Phase() Phase { return p.phase }

// Serving reports whether clients may be served: the epoch is established, and this server is
// part of it and has been told so.
func (p *Peer) Serving() bool { return p.phase == Broadcast }

// Silent reports whether this server must not vote: it lost its disk and no leader has synced it
// since. It may follow, and then its role is Observing.
func (p *Peer) Silent() bool { return p.silent }

// Epoch returns the epoch of the leadership that this server is part of, 0 when it is not known.
func (p *Peer) Epoch() Epoch { return p.epoch }

// CurrentEpoch returns the durable current epoch: the first part of an honest vote (R5).
func (p *Peer) CurrentEpoch() Epoch { return p.durableCurrent }

// AcceptedEpoch returns the durable accepted epoch.
func (p *Peer) AcceptedEpoch() Epoch { return p.durableAccepted }

// LastDurable returns the zxid of the last durable txn: the second part of an honest vote (R5).
func (p *Peer) LastDurable() Zxid { return p.lastDurable }

// LastLogged returns the zxid of the last txn handed to the log.
func (p *Peer) LastLogged() Zxid { return p.history.Last() }

// Committed returns the last zxid known to be committed.
func (p *Peer) Committed() Zxid { return p.committed }

// Delivered returns the last zxid handed out in Deliver or Install.
func (p *Peer) Delivered() Zxid { return p.delivered }

// Installing reports whether a snapshot that a leader sent may still become the tree: it was not given
// up, and the record that makes it the history may be on its way to the disk although its leader is gone.
func (p *Peer) Installing() bool {
	return p.asLearner != nil && p.asLearner.install != nil || p.pending.installs()
}

// Leader returns the server that leads or is to be followed, 0 while Looking.
func (p *Peer) Leader() ServerID { return p.leader }

// Left returns why the last role ended, "" before any has.
func (p *Peer) Left() Cause { return p.left }

// Incarnation counts the roles that this server has entered and left. Work that outlives an input
// carries it, and is dropped when it no longer fits (R6).
func (p *Peer) Incarnation() uint64 { return p.incarnation }

// NextZxid returns the zxid that the next Propose gives, 0 when there will be none in this role.
func (p *Peer) NextZxid() Zxid {
	if p.role != Leading || p.phase != Broadcast {
		return 0
	}
	counter := uint64(1)
	if last := p.history.Last(); last.Epoch() == p.epoch {
		counter = last.Counter() + 1
	}
	if counter > p.cfg.MaxCounter {
		return 0
	}
	return MakeZxid(p.epoch, counter)
}

// Outstanding returns the number of txns that this leader has proposed and not delivered, because a quorum has not
// acknowledged them or its own disk does not hold them yet, and the memory that they take, in bytes.
func (p *Peer) Outstanding() (n, bytes int) { return p.outstanding.n, p.outstanding.bytes }

// Learner returns the server behind a link whose learner has acked NEWLEADER in this incarnation:
// what it forwards may be handled. For other links it reports false.
func (p *Peer) Learner(link LinkID) (ServerID, bool) {
	if p.asLeader == nil {
		return 0, false
	}
	if ln := p.asLeader.find(link); ln != nil && ln.stage == synced {
		return ln.server, true
	}
	return 0, false
}

// Linked returns the servers that have a link to this leader, however far they have come on it.
func (p *Peer) Linked() (servers Set) {
	if p.asLeader != nil {
		for _, ln := range p.asLeader.learners {
			servers.Add(ln.server)
		}
	}
	return servers
}

// IsLeaderLink reports whether link is the live one to our leader and we serve.
func (p *Peer) IsLeaderLink(link LinkID) bool {
	return p.asLearner != nil && p.phase == Broadcast && p.asLearner.link == link
}

// SyncMode returns how this learner was synced in its present role, "" before that.
func (p *Peer) SyncMode() string {
	if p.asLearner == nil || p.asLearner.mode == 0 {
		return ""
	}
	return p.asLearner.mode.String()
}

// LearnerStatus describes a learner for the operator.
type LearnerStatus struct {
	Server     ServerID
	Link       LinkID
	Votes      bool
	Synced     bool   // acked NEWLEADER
	Sync       string // how its history was brought into line; "" before that
	Acked      Zxid   // highest zxid acked; of a voter
	SinceTicks int64  // since it was last heard
}

// Learners returns the learners of this leader, by link.
func (p *Peer) Learners() []LearnerStatus {
	if p.asLeader == nil {
		return nil
	}
	all := make([]LearnerStatus, 0, len(p.asLeader.learners))
	for _, ln := range p.asLeader.learners {
		all = append(all, LearnerStatus{
			Server: ln.server, Link: ln.link, Votes: ln.votes, Synced: ln.stage == synced,
			Sync: ln.sync, Acked: ln.acked, SinceTicks: p.now - ln.heard,
		})
	}
	return all
}
