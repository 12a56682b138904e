package zab

import (
	"fmt"
	"slices"
)

// parkedLink is a link that came while Looking. Servers learn the outcome of an election one
// after the other: a follower that knows it first is kept waiting instead of being refused.
type parkedLink struct {
	link   LinkID
	server ServerID
	info   *Message // its FOLLOWERINFO, when that has come
}

// Lead tells that the election has decided for this server. Nothing is trusted to that (R24):
// discovery finds out whether a quorum agrees.
func (p *Peer) Lead(out *Actions) {
	switch {
	case p.role != Looking:
		panic(fmt.Sprintf("zab: server %d: Lead while %v", p.cfg.ID, p.role))
	case p.silent || !p.cfg.Ensemble.Electable(p.cfg.ID):
		panic(fmt.Sprintf("zab: server %d: Lead, but it must not be elected", p.cfg.ID))
	}
	p.enter(Leading, p.cfg.ID)
	p.asLeader = newLeaderState(p)
	parked := p.parked
	p.parked = nil
	for _, pl := range parked {
		p.asLeader.add(p, pl.link, pl.server)
	}
	// All of them are heard before the epoch is chosen, so that it exceeds every one.
	for _, pl := range parked {
		if pl.info != nil {
			p.admit(p.asLeader.find(pl.link), pl.info, out)
		}
	}
	p.tryEpoch(out)
	p.check()
}

// Follow tells that the election has decided for another server. A voter follows, an observer and
// a silent voter observe.
func (p *Peer) Follow(leader ServerID, out *Actions) {
	if p.role != Looking || leader == p.cfg.ID || !p.cfg.Ensemble.IsVoter(leader) {
		panic(fmt.Sprintf("zab: server %d: Follow(%d) while %v", p.cfg.ID, leader, p.role))
	}
	role := Following
	if p.silent || !p.cfg.Ensemble.IsVoter(p.cfg.ID) {
		role = Observing
	}
	for _, pl := range p.parked {
		out.Close = append(out.Close, pl.link)
	}
	p.parked = nil
	p.enter(role, leader)
	p.asLearner = &learnerState{dialing: true, heard: p.now}
	out.Connect = leader
	p.check()
}

func (p *Peer) enter(r Role, leader ServerID) {
	p.incarnation++
	p.role, p.phase, p.leader, p.epoch = r, Discovery, leader, 0
}

// Cause says why a role was left, for operators and for the coverage of tests.
type Cause string

// The causes.
const (
	QuorumLost     Cause = "leader: no quorum was heard within the sync limit"
	NoQuorumInTime Cause = "leader: no quorum came to its epoch within the init limit"
	DiskHangs      Cause = "leader: its own disk hangs"
	CounterUsedUp  Cause = "leader: the counter of the epoch is used up"
	LockedOut      Cause = "leader: a server has promised a later epoch"
	LeaderGone     Cause = "learner: the link to the leader broke"
	LeaderSilent   Cause = "learner: the leader was silent for too long"
	LeaderRefused  Cause = "learner: the leader broke the protocol or could not be followed"
	Asked          Cause = "asked to"
)

// leave ends the role, whatever ends it, and drops everything of it (R6). What is committed stays
// committed, what is logged stays logged; a half-received generation is given back. The next
// initial history decides what becomes of the rest.
func (p *Peer) leave(why Cause, out *Actions) {
	p.left = why
	if l := p.asLeader; l != nil {
		for _, ln := range l.learners {
			out.Close = append(out.Close, ln.link)
		}
	}
	if ls := p.asLearner; ls != nil {
		if ls.dialing {
			out.Connect, out.Disconnect = 0, true
		}
		if ls.link != 0 {
			out.Close = append(out.Close, ls.link)
		}
		if ls.install != nil {
			p.persist(Record{Kind: RecordAbandon}, out)
		}
	}
	p.asLeader, p.asLearner = nil, nil
	p.outstanding.n, p.outstanding.bytes = 0, 0
	p.incarnation++
	p.role, p.phase, p.leader, p.epoch = Looking, Election, 0, 0
}

// LinkUp tells that a link to server stands, authenticated by its handshake; dialed: we opened it.
func (p *Peer) LinkUp(link LinkID, server ServerID, dialed bool, out *Actions) {
	switch {
	case dialed && p.asLearner != nil && p.asLearner.dialing && server == p.leader:
		p.linked(link, out)
	case dialed || p.asLearner != nil || server == p.cfg.ID || !p.cfg.Ensemble.IsMember(server):
		// Left behind by an earlier role, from a server that takes us for the leader we are not,
		// or from no server of ours.
		out.Close = append(out.Close, link)
	case p.asLeader != nil:
		p.replace(server, out)
		p.asLeader.add(p, link, server)
	default:
		p.replace(server, out)
		p.parked = append(p.parked, parkedLink{link: link, server: server})
	}
	p.check()
}

// replace closes what an earlier link of server left: it would not dial again if that one lived.
func (p *Peer) replace(server ServerID, out *Actions) {
	if p.asLeader != nil {
		for _, ln := range p.asLeader.learners {
			if ln.server == server {
				p.drop(ln, out)
				return
			}
		}
		return
	}
	p.parked = slices.DeleteFunc(p.parked, func(pl parkedLink) bool {
		if pl.server == server {
			out.Close = append(out.Close, pl.link)
		}
		return pl.server == server
	})
}

// LinkDown tells that a link broke. A learner that lost its leader is Looking at once: a broken
// connection is an event, a time-out only the fallback.
func (p *Peer) LinkDown(link LinkID, out *Actions) {
	switch {
	case p.asLearner != nil && link == p.asLearner.link:
		p.asLearner.link = 0
		p.leave(LeaderGone, out)
	case p.asLeader != nil:
		if ln := p.asLeader.find(link); ln != nil {
			p.asLeader.remove(ln)
		}
	default:
		p.unpark(link)
	}
	p.check()
}

func (p *Peer) unpark(link LinkID) {
	p.parked = slices.DeleteFunc(p.parked, func(pl parkedLink) bool { return pl.link == link })
}

// knows reports whether link belongs to this incarnation.
func (p *Peer) knows(link LinkID) bool {
	switch {
	case link == 0:
		return false
	case p.asLearner != nil:
		return p.asLearner.link == link
	case p.asLeader != nil:
		return p.asLeader.find(link) != nil
	}
	return slices.ContainsFunc(p.parked, func(pl parkedLink) bool { return pl.link == link })
}

// onParkedInfo keeps the FOLLOWERINFO of a server that decided before we did.
func (p *Peer) onParkedInfo(link LinkID, m *Message, out *Actions) {
	for i := range p.parked {
		if pl := &p.parked[i]; pl.link == link {
			if pl.info != nil {
				p.violation(link, m.Kind, "second one on this link", out)
				return
			}
			pl.info = m
		}
	}
}

// violation closes a link because of what came on it (R32). A learner leaves its role with it.
func (p *Peer) violation(link LinkID, k Kind, text string, out *Actions) {
	out.Violations = append(out.Violations, Violation{Link: link, Kind: k, Text: text})
	switch {
	case p.asLearner != nil:
		p.leave(LeaderRefused, out)
	case p.asLeader != nil:
		if ln := p.asLeader.find(link); ln != nil {
			p.drop(ln, out)
		}
	default:
		p.unpark(link)
		out.Close = append(out.Close, link)
	}
}
