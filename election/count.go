package election

import "quoll/zab"

// elected reports whether a quorum, this server among it, votes like this server in this round,
// and the server voted for is one of them or leads already.
func (e *Election) elected() bool {
	if !e.votes() {
		return false
	}
	e.backers = zab.Set{}
	e.backers.Add(e.cfg.ID)
	for _, id := range e.cfg.Ensemble.Voters() {
		if e.agrees(id) {
			e.backers.Add(id)
		}
	}
	return e.backers.Has(e.vote.Leader) && e.cfg.Ensemble.Quorum(e.backers)
}

// agrees reports whether id was heard to vote like this server in this round. It may have decided
// already, and then its vote may have come from others, so that only the leadership compares.
func (e *Election) agrees(id zab.ServerID) bool {
	n := &e.heard[id]
	if n.Round != e.round {
		return false
	}
	switch n.State {
	case Looking:
		return n.Vote == e.vote
	case Following:
		// The leader itself, if it follows, follows somebody else.
		return sameLeadership(n.Vote, e.vote) && n.Vote.Leader != id
	case Leading:
		return sameLeadership(n.Vote, e.vote) && n.Vote.Leader == id
	default:
		return false
	}
}

// unanimous reports whether waiting can bring nothing: the winner leads already, or everybody who
// is connected and has a vote agrees.
func (e *Election) unanimous() bool {
	if e.heard[e.vote.Leader].State == Leading {
		return true
	}
	for _, id := range e.cfg.Ensemble.Voters() {
		if !e.connected.Has(id) || !e.cfg.Ensemble.Electable(id) {
			continue
		}
		if !e.heard[id].silent() && !e.agrees(id) {
			return false
		}
	}
	return true
}

// established returns the leader that a quorum already has, or 0. The leader must claim it itself,
// and the claim must have come after Start: a quorum of followers alone may be mourning. Neither
// round nor zxid is compared, since who joined late has others (ZOOKEEPER-1732). Two quorums have a
// server in common and a server has one leader, so there is at most one answer. It is never this
// server: who talks of that talks of a leadership that it has left.
func (e *Election) established() zab.ServerID {
	for _, leader := range e.cfg.Ensemble.Voters() {
		claim := &e.heard[leader]
		if claim.State != Leading || claim.Vote.Leader != leader {
			continue
		}
		if leader == e.failed && e.hold > 0 {
			continue
		}
		var have zab.Set
		for _, id := range e.cfg.Ensemble.Voters() {
			n := &e.heard[id]
			if (n.State == Following || n.State == Leading) && sameLeadership(n.Vote, claim.Vote) {
				have.Add(id)
			}
		}
		if e.cfg.Ensemble.Quorum(have) {
			return leader
		}
	}
	return 0
}

// deserted takes in what others say after a decision that has not come true yet, and reports
// whether it cannot any more: the leader votes for somebody else, or so many of those that backed
// this server do that no quorum is left. They come back only to a quorum of others, so there is
// nothing to wait for. A server whose connection went down has not changed its mind by that; see
// Linked.
func (e *Election) deserted(from zab.ServerID, n Notification) bool {
	switch {
	case e.settled:
		return false
	case e.state != Leading:
		return from == e.vote.Leader && e.defects(n)
	case e.defects(n):
		e.backers.Remove(from)
	case n.State == Following:
		e.backers.Add(from)
	}
	return !e.cfg.Ensemble.Quorum(e.backers)
}

// defects reports whether the sender of n votes past our decision: for somebody better in its
// round, or in a later one, or has decided for somebody else. A worse vote is merely late.
func (e *Election) defects(n Notification) bool {
	switch n.State {
	case Looking:
		return n.Round > e.round || n.Round == e.round && Better(n.Vote, e.vote)
	case Following, Leading:
		return n.Vote.Leader != e.vote.Leader
	default:
		return false
	}
}

// Linked tells a server that is to lead which servers have a link to it. One that has none, and is
// not connected either, has died or sees nothing of us: it was counted on, and does not come. When
// no quorum is left of those that were, the decision cannot come true. Without the links, the end
// of a connection alone would say nothing: a follower may be busy with a long synchronization.
func (e *Election) Linked(links zab.Set, out *Out) {
	if e.state != Leading || e.settled {
		return
	}
	for _, id := range e.cfg.Ensemble.Voters() {
		if id != e.cfg.ID && !e.connected.Has(id) && !links.Has(id) {
			e.backers.Remove(id)
		}
	}
	if !e.cfg.Ensemble.Quorum(e.backers) {
		out.Deserted = true
	}
}
