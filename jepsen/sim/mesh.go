package sim

import (
	"quoll/election"
	"quoll/zab"
)

// The mesh of the election: newest wins, anything may be lost, late or repeated.

// meshBeatUs is how often connections are looked at: the heartbeat, in small.
const meshBeatUs = 40_000

// start looks at all pairs from time to time, as heartbeats do.
func (n *network) start() {
	n.w.after(meshBeatUs, func() {
		for _, a := range n.w.servers {
			for _, b := range n.w.servers {
				if a != b {
					n.mesh(a.id, b.id, n.w.between(0, meshBeatUs))
				}
			}
		}
		n.start()
	})
}

// arrived: a process has started, and dials everybody.
func (n *network) arrived(s *server) {
	for _, o := range n.w.servers {
		if o != s {
			n.mesh(s.id, o.id, n.latency(s.id, o.id))
			n.mesh(o.id, s.id, n.latency(s.id, o.id))
		}
	}
}

// mesh brings what server a knows of its connection to b up to date, in a while. The connection
// counts as up when both directions work.
func (n *network) mesh(a, b zab.ServerID, in int64) {
	w := n.way(b, a)
	if w.meshDue {
		return
	}
	w.meshDue = true
	n.w.after(in, func() {
		w.meshDue = false
		s, o := n.w.server(a), n.w.server(b)
		if w.stale = w.stale && s.up && w.meshUp; w.stale { // the process at the other end is another one
			w.stale, w.meshUp = false, false
			s.post(input{kind: inMeshDown, server: b})
		}
		up := n.reach(meshLane, s, o) && w.deaf == 0 && n.way(a, b).deaf == 0
		if up == w.meshUp || !s.up {
			w.meshUp = w.meshUp && s.up
			return
		}
		w.meshUp = up
		if !up {
			s.post(input{kind: inMeshDown, server: b})
			return
		}
		s.post(input{kind: inMeshUp, server: b})
		if back := n.way(a, b); back.last != nil { // it is said again on a new connection
			back.next = back.last
			n.transmit(a, b)
		}
	})
}

// notify sends a notification; one that has not left yet is replaced.
func (n *network) notify(s *server, v election.Send) {
	if v.To == s.id {
		return
	}
	p := n.way(s.id, v.To)
	vote := v.N
	p.last = &vote
	waiting := p.next != nil
	p.next = &vote
	n.w.note(uint64(s.id)<<56|uint64(v.To)<<48|uint64(vote.State)<<40|uint64(vote.Vote.Leader), vote.Round)
	if !waiting {
		n.transmit(s.id, v.To)
	}
}

// transmit takes the newest notification when it leaves.
func (n *network) transmit(from, to zab.ServerID) {
	s := n.w.server(from)
	n.w.after(s.busy(linkTask), s.alive(func() {
		p := n.way(from, to)
		vote := p.next
		if p.next = nil; vote == nil || n.w.oracle.silences(from, to) {
			return
		}
		if p.deaf > 0 || n.w.chance(n.w.plan.VoteLoss) {
			n.w.cover.Add("notification lost")
			return
		}
		n.w.messages++
		number := n.w.messages
		n.w.trace(from, "tell", to, number, vote.String)
		p.lastVote = max(n.w.now+n.latency(from, to), p.lastVote)
		n.hear(from, to, p.lastVote, *vote, number)
		if n.w.chance(n.w.plan.VoteTwice) {
			n.w.cover.Add("notification repeated")
			p.lastVote += n.w.between(0, 10*n.w.plan.LatencyUs[1])
			n.hear(from, to, p.lastVote, *vote, number)
		}
	}))
}

func (n *network) hear(from, to zab.ServerID, at int64, vote election.Notification, number int64) {
	o := n.w.server(to)
	life := o.life
	n.arrive(meshLane, from, to, at, func() {
		if o.up && o.life == life && n.way(from, to).deaf == 0 {
			o.post(input{kind: inNotification, server: from, vote: vote, number: number})
		}
	})
}
