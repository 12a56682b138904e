package sim

import (
	"quoll/election"
	"quoll/zab"
)

// oracle is an adversary in place of the election: no notification of a server reaches another, and
// those who look are told, in the others' names, to follow whom the seed likes, or to lead. Safety must
// not rest on who was elected (R24).
type oracle struct {
	w     *World
	epoch zab.Epoch // of the last forged vote: each is better than all before
}

func (o *oracle) start(w *World) {
	if o.w = w; w.plan.OracleUs > 0 {
		w.after(w.plan.OracleUs, o.speak)
	}
}

// silences reports whether the real word of a server is lost.
func (o *oracle) silences(_, _ zab.ServerID) bool {
	return o.w != nil && o.w.plan.OracleUs > 0 && !o.w.calm
}

// speak decides for everybody who looks. Often it names the leader that there is, else nothing would
// ever be established; sometimes it divides the servers.
func (o *oracle) speak() {
	w := o.w
	if w.calm {
		return
	}
	voters := w.ensemble.Voters()
	var choice [2]zab.ServerID
	for i := range choice {
		choice[i] = voters[w.rnd.IntN(len(voters))]
	}
	if l := w.leader(); l != nil && w.chance(600) {
		choice[0] = l.id
	}
	split := w.chance(300)
	o.epoch++
	for _, s := range w.servers {
		if !s.up || !s.peer.Looking() {
			continue
		}
		leader := choice[0]
		if split && w.chance(500) {
			leader = choice[1]
		}
		o.persuade(s, leader)
	}
	w.after(w.between(w.plan.OracleUs/2, w.plan.OracleUs), o.speak)
}

// persuade forges the votes that make a server decide.
func (o *oracle) persuade(s *server, leader zab.ServerID) {
	o.w.cover.Add("oracle decides")
	vote := election.Vote{Leader: leader, Zxid: zab.MakeZxid(1<<20, 1), Epoch: 1<<20 + o.epoch}
	if s.id == leader { // it stands by no vote for itself but its own
		z := s.peer.Zab()
		vote.Zxid, vote.Epoch = z.LastDurable(), z.CurrentEpoch()
	}
	for _, id := range o.w.ensemble.Voters() {
		if id != s.id && o.w.net.way(id, s.id).meshUp {
			n := election.Notification{State: election.Looking, Vote: vote, Round: s.round}
			s.post(input{kind: inNotification, server: id, vote: n})
		}
	}
}
