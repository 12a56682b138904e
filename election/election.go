package election

import (
	"fmt"

	"quoll/zab"
)

// Config is what an Election is made of. All waits are counted in calls of Tick.
type Config struct {
	ID       zab.ServerID
	Ensemble *zab.Ensemble

	// FinalizeTicks is how long a quorum waits for a better vote of a connected voter that has
	// not agreed to it; 0: 2.
	FinalizeTicks int
	// ResendTicks is the first interval between re-sends while nothing new is heard; 0: 20. Each
	// doubles it, up to MaxResendTicks; 0: 10 times ResendTicks.
	ResendTicks, MaxResendTicks int
}

// Send is a notification for another server. A newer one for the same server may replace one that
// has not left yet.
type Send struct {
	To zab.ServerID
	N  Notification
}

// Out is what an input asks for. Inputs append to it; the caller resets it.
type Out struct {
	Send []Send

	// Decided is the server to follow, or to lead when it is this one; 0: no decision. A decision
	// is provisional: when it comes to nothing, Start looks again, in a new round.
	Decided zab.ServerID

	// Deserted tells that the last decision, which was not settled yet, cannot come true any
	// more: the leader itself votes for somebody better, or so many voters do, or are gone, that no
	// quorum is left. Leaving the role at once and calling Start saves the wait for it (ZOOKEEPER-3109).
	Deserted bool
}

// Reset empties o and keeps its memory.
func (o *Out) Reset() { *o = Out{Send: o.Send[:0]} }

// Election is one server's part in all elections of its process. One goroutine owns it.
type Election struct {
	cfg Config

	state State // Looking from Start to a decision; zero before the first Start
	own   Vote  // what this server has to offer; zero: it does not vote
	vote  Vote  // best of this round, while looking; afterwards that of the leadership
	round uint64
	clock uint64 // highest round this server took part in; round falls behind it by joining only

	backers zab.Set // that vote like this server in this round; once it leads, that follow or will
	settled bool    // the decision came true, and nobody can desert any more

	connected zab.Set
	// heard is the newest word of each server: forgotten when its link changes and at Start.
	// Of a server that is not connected there is none.
	heard [256]Notification

	finalizing bool // a quorum votes the same; final more ticks may bring a better vote
	final      int

	failed zab.ServerID // leader of the last decision, if that came to nothing; not joined again
	hold   int          // for so many ticks

	idle   int // ticks since everybody was told
	resend int // ticks until everybody is told again: doubled each time, reset by any news
}

// maxRound is far beyond what adding one at a time can reach. A higher one is a fault of the sender.
const maxRound = 1 << 62

// New returns an Election that is not looking yet.
func New(cfg Config) *Election {
	if !cfg.Ensemble.IsMember(cfg.ID) {
		panic(fmt.Sprintf("election: server %d is not in the ensemble", cfg.ID))
	}
	if cfg.FinalizeTicks == 0 {
		cfg.FinalizeTicks = 2
	}
	if cfg.ResendTicks == 0 {
		cfg.ResendTicks = 20
	}
	if cfg.MaxResendTicks == 0 {
		cfg.MaxResendTicks = 10 * cfg.ResendTicks
	}
	return &Election{cfg: cfg}
}

// Start looks for a leader in a new round, whatever came before. own names this server, its last
// durable zxid and its current epoch; Vote{} is that of a server that does not know what it lost.
func (e *Election) Start(own Vote, out *Out) {
	if own != (Vote{}) && own.Leader != e.cfg.ID {
		panic(fmt.Sprintf("election: server %d starts with a vote for %d", e.cfg.ID, own.Leader))
	}
	if !e.cfg.Ensemble.Electable(e.cfg.ID) {
		own = Vote{}
	}
	if e.state > Looking && !e.settled {
		// Whatever went wrong may go wrong again at once, and two servers that agree on who leads
		// but not on whether would spin.
		e.failed, e.hold = e.vote.Leader, e.cfg.FinalizeTicks
	}
	e.state, e.own, e.settled = Looking, own, false
	// What was heard before belongs to the last election. A claim to lead must be made in this one.
	clear(e.heard[:])
	e.resend = e.cfg.ResendTicks
	e.open(e.clock+1, own, out)
	e.evaluate(out)
	e.check()
}

// open enters a round with a vote and tells everybody.
func (e *Election) open(round uint64, vote Vote, out *Out) {
	e.clock, e.round = round, round
	e.adopt(vote, out)
}

func (e *Election) adopt(vote Vote, out *Out) {
	e.vote = vote
	e.finalizing = false
	e.broadcast(out)
}

// Connected tells that notifications reach id and come from it, over a new connection. It may
// replace an old one without a Disconnected in between.
func (e *Election) Connected(id zab.ServerID, out *Out) {
	if !e.cfg.Ensemble.IsMember(id) || id == e.cfg.ID {
		return
	}
	e.connected.Add(id)
	e.heard[id] = Notification{}
	if e.state != 0 {
		out.Send = append(out.Send, Send{id, e.notification()})
	}
	e.check()
}

// Disconnected tells that the connection is gone, after the last that it delivered. What follows
// from that is left to the next Tick.
func (e *Election) Disconnected(id zab.ServerID) {
	e.connected.Remove(id)
	e.heard[id] = Notification{}
	if e.state == Looking && e.vote.Leader == id {
		e.idle = e.resend // the next Tick gives the vote up
	}
}

// Receive applies a notification. One that comes from outside of a connection is dropped: it is
// what an old connection left behind.
func (e *Election) Receive(from zab.ServerID, n Notification, out *Out) {
	ens := e.cfg.Ensemble
	if e.state == 0 || !e.connected.Has(from) {
		return
	}
	if n.State == 0 || n.State >= numStates || n.Round > maxRound {
		return
	}
	if n.Vote != (Vote{}) && !ens.Electable(n.Vote.Leader) {
		return // nobody of this ensemble votes like that
	}
	if n.State == Looking && !ens.Electable(from) {
		n.Vote = Vote{}
	}
	if n != e.heard[from] {
		e.resend = e.cfg.ResendTicks
	}
	e.heard[from] = n
	switch {
	case e.state != Looking:
		e.answer(from, n, out)
	case n.State == Looking:
		e.compare(from, n, out)
	}
	if e.state == Looking {
		e.evaluate(out)
	}
	e.check()
}

// answer tells a server that looks for a leader about ours, and learns what became of the decision.
func (e *Election) answer(from zab.ServerID, n Notification, out *Out) {
	if n.State == Looking {
		out.Send = append(out.Send, Send{from, e.notification()})
	}
	if n.State == Leading && from == e.vote.Leader && from == n.Vote.Leader && n.Vote.Epoch > e.vote.Epoch {
		// Our leader serves, though we may be copying its snapshot for long. Until then, too, our
		// vote must equal its own, or nobody could join by the two. A lower epoch is what it said
		// before it served: the link that let us settle has overtaken the mesh.
		e.name(n.Vote.Epoch, e.state, out)
	}
	if e.deserted(from, n) {
		out.Deserted = true
	}
}

// compare brings two servers that both look for a leader to the same round and the same vote.
func (e *Election) compare(from zab.ServerID, n Notification, out *Out) {
	if n.Vote == (Vote{}) && from == e.vote.Leader {
		e.idle = e.resend // the next Tick gives the vote up
	}
	if !e.votes() || n.Vote == (Vote{}) {
		return // who does not vote joins later, and does not move the round of those who do
	}
	switch {
	case n.Vote.Leader == e.cfg.ID && n.Vote != e.own && n.Round >= e.round:
		// They vote for what we had before we restarted. Only a new round rids them of it.
		e.open(n.Round+1, e.own, out)
	case n.Round > e.round:
		// Only our own vote comes along: others must repeat theirs in the new round, or a server
		// that died in the old one could win.
		e.open(n.Round, best(n.Vote, e.own), out)
	case n.Round == e.round && Better(n.Vote, e.vote):
		e.adopt(n.Vote, out)
	case n.Round < e.round || Better(e.vote, n.Vote):
		// It cannot have heard us, or it would vote like us: it was not looking when we told.
		out.Send = append(out.Send, Send{from, e.notification()})
	}
}

// Tick tells that a tick has passed. It matters only while looking.
func (e *Election) Tick(out *Out) {
	if e.state != Looking {
		return
	}
	e.final--
	e.hold--
	if e.idle++; e.idle >= e.resend {
		e.repeat(out)
	}
	e.evaluate(out)
	e.check()
}

// repeat tells everybody again, since notifications may be lost. A vote for a server that is gone,
// or came back with nothing to vote for, is not repeated but given up, which takes a new round: in
// this one it stays the best. If that server lives after all, others bring it up again.
func (e *Election) repeat(out *Out) {
	e.resend = min(2*e.resend, e.cfg.MaxResendTicks)
	leader := e.vote.Leader
	gone := !e.connected.Has(leader) || e.heard[leader].silent()
	if e.vote != e.own && gone {
		e.open(e.clock+1, e.own, out)
		return
	}
	e.broadcast(out)
}

// evaluate decides when it is time to. It looks at everything heard, not at what was heard last,
// so the order of notifications does not matter and nothing heard while waiting is lost.
func (e *Election) evaluate(out *Out) {
	if leader := e.established(); leader != 0 {
		claim := &e.heard[leader]
		e.decide(claim.Vote, claim.Round, out)
		return
	}
	if !e.elected() {
		e.finalizing = false
		return
	}
	if !e.finalizing {
		e.finalizing, e.final = true, e.cfg.FinalizeTicks
	}
	if e.final <= 0 || e.unanimous() {
		e.decide(e.vote, e.round, out)
	}
}

func (e *Election) decide(vote Vote, round uint64, out *Out) {
	e.vote, e.round = vote, round
	e.clock = max(e.clock, round)
	switch {
	case vote.Leader == e.cfg.ID:
		e.state = Leading
	case e.votes():
		e.state = Following
	default:
		e.state = Observing // a silent server too, until Settle: it has nothing to speak with yet
	}
	out.Decided = vote.Leader
	e.broadcast(out)
}

// Settle tells that the decision came true: this server serves in state, in the established epoch.
// From here on its vote names that epoch, in which all votes of the leadership are equal, whatever
// each server knew when it decided (ZOOKEEPER-1732). Everybody is told, since one that looked in
// vain at the unequal votes would only ask again at its next re-send.
func (e *Election) Settle(state State, epoch zab.Epoch, out *Out) {
	if e.state == Looking || state == Looking {
		panic(fmt.Sprintf("election: server %d settles while looking", e.cfg.ID))
	}
	e.settled = true
	e.name(epoch, state, out)
	e.check()
}

// name tells everybody the state and the epoch of the leadership, when they are news.
func (e *Election) name(epoch zab.Epoch, state State, out *Out) {
	before := e.notification()
	e.vote.Epoch, e.state = epoch, state
	if e.notification() != before {
		e.broadcast(out)
	}
}

// Vote returns the vote that this server tells others: zero while it looks and does not vote.
func (e *Election) Vote() Vote { return e.notification().Vote }

// Round returns the round of that vote.
func (e *Election) Round() uint64 { return e.round }

// State returns what this server is doing.
func (e *Election) State() State { return e.state }

func (e *Election) notification() Notification {
	return Notification{State: e.state, Vote: e.vote, Round: e.round}
}

func (e *Election) broadcast(out *Out) {
	e.idle = 0
	for _, m := range e.cfg.Ensemble.Members() {
		if e.connected.Has(m.ID) {
			out.Send = append(out.Send, Send{m.ID, e.notification()})
		}
	}
}

// votes reports whether this server takes part or only watches.
func (e *Election) votes() bool { return e.own != (Vote{}) }

// check panics on what no input may bring about.
func (e *Election) check() {
	ens := e.cfg.Ensemble
	switch {
	case e.round > e.clock:
		panic(fmt.Sprintf("election: round %d is past %d", e.round, e.clock))
	case e.state == Looking && Better(e.own, e.vote):
		panic(fmt.Sprintf("election: %v was given up for %v", e.own, e.vote))
	case e.vote != (Vote{}) && !ens.Electable(e.vote.Leader):
		panic(fmt.Sprintf("election: the vote is for %v, which cannot lead", e.vote))
	case e.state == Leading && e.vote.Leader != e.cfg.ID:
		panic(fmt.Sprintf("election: server %d leads by a vote for %v", e.cfg.ID, e.vote))
	}
}
