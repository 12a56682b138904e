package sim

import (
	"slices"

	"quoll/zab"
)

// Act is one thing that a nemesis does.
type Act struct {
	AtUs  int64  `json:"at_us"`
	Do    string `json:"do"`
	Who   int    `json:"who,omitempty"`    // a server; 0: the leader of that time, or any
	Other int    `json:"other,omitempty"`  // another one, or a variant: see the kind
	ForUs int64  `json:"for_us,omitempty"` // how long
	N     int64  `json:"n,omitempty"`
	On    string `json:"on,omitempty"` // strike when a leader comes to this moment, at AtUs or later
}

// nemesis plays the acts of a plan.
type nemesis struct {
	w       *World
	waiting []Act // for their moment
}

func (n *nemesis) start(w *World) {
	n.w = w
	for _, a := range w.plan.Acts {
		w.after(a.AtUs, func() {
			switch {
			case w.calm:
			case a.On != "":
				n.waiting = append(n.waiting, a)
			default:
				n.strike(a)
			}
		})
	}
	w.oracle.start(w)
}

// strike does it.
func (n *nemesis) strike(a Act) {
	w := n.w
	s := n.who(a.Who)
	w.cover.Add("fault: " + a.Do)
	w.note(uint64(a.AtUs), uint64(a.Who))
	w.trace(s.id, "act", 0, 0, func() string { return a.Do })
	act, ok := acts[a.Do]
	if !ok { // ReadPlan refuses such a plan
		panic("there is no act " + a.Do)
	}
	act(n, &a, s)
}

// who resolves a target: a server by id, or the leader of the moment, or some server.
func (n *nemesis) who(id int) *server {
	w := n.w
	if id > 0 {
		return w.servers[(id-1)%len(w.servers)]
	}
	if l := w.leader(); l != nil {
		return l
	}
	return w.servers[w.rnd.IntN(len(w.servers))]
}

// leader returns the server that serves as leader, of the latest epoch if there are several.
func (w *World) leader() (found *server) {
	for _, s := range w.servers {
		if s.up && s.peer.Zab().Role() == zab.Leading && s.peer.Zab().Phase() == zab.Broadcast &&
			(found == nil || s.peer.Zab().Epoch() > found.peer.Zab().Epoch()) {
			found = s
		}
	}
	return found
}

// transfers are moments at which a learner gets a snapshot, or has just got one.
var transfers = []string{"snapshot under way", "snapshot received"}

// moments are points of the protocol at which a leader is hit best (zab.md N25).
var moments = []string{"epoch chosen", "history decided", "own epoch durable", "established", "follower adopted", "snapshot received"}

func at(moment string, s *server) bool {
	z := s.peer.Zab()
	leads := z.Role() == zab.Leading
	switch moment {
	case "epoch chosen":
		return leads && z.Phase() == zab.Discovery && z.Epoch() != 0
	case "history decided":
		return leads && z.Phase() == zab.Synchronization
	case "own epoch durable":
		return leads && z.Phase() == zab.Synchronization && z.CurrentEpoch() == z.Epoch()
	case "established":
		return leads && z.Phase() == zab.Broadcast
	case "snapshot under way":
		return slices.ContainsFunc(s.w.net.links, func(l *link) bool {
			return l.ends[0].busy && l.ends[1].s == s || l.ends[1].busy && l.ends[0].s == s
		})
	case "snapshot received":
		return len(s.staged) > 0 && z.Phase() == zab.Synchronization
	case "follower adopted":
		return z.Role() == zab.Following && z.Phase() == zab.Synchronization && z.CurrentEpoch() == z.Epoch()
	}
	return false
}

// watch looks, after each turn, whether a moment has come.
func (n *nemesis) watch(s *server) {
	for i := 0; i < len(n.waiting) && s.up && !n.w.calm; i++ {
		a := n.waiting[i]
		if !at(a.On, s) {
			continue
		}
		n.waiting = slices.Delete(n.waiting, i, i+1)
		n.w.cover.Add("moment: " + a.On)
		a.Who = int(s.id)
		n.w.after(0, func() {
			if !n.w.calm {
				n.strike(a)
			}
		})
		return
	}
}

// later does something in a while, unless the faults are over by then: healing has undone everything.
func (n *nemesis) later(us int64, do func()) {
	n.w.after(us, func() {
		if !n.w.calm {
			do()
		}
	})
}

// acts are all kinds. Each undoes itself after ForUs.
var acts map[string]func(n *nemesis, a *Act, s *server)

func init() { // a map literal would refer to itself through strike
	acts = map[string]func(*nemesis, *Act, *server){
		"power loss": func(_ *nemesis, _ *Act, s *server) { s.crash(true) },
		"kill":       func(_ *nemesis, _ *Act, s *server) { s.crash(false) },
		"crash in":   crashIn, "down": down, "all down": allDown, "rolling restart": rollingRestart,
		"partition": partition, "one-way partition": partition, "isolate": isolate, "ring": ring, "bridge": bridge,
		"swizzle": swizzle, "deaf": deaf, "links blocked": linksBlocked, "slow link": slowLink, "break links": breakLinks,
		"slow disk": slowDisk, "hung disk": hungDisk, "full disk": fullDisk, "fsync fails": failSync,
		"bit rot": rot, "wipe": wipe, "pause": pause, "clock jump": clockJump, "starve": starve, "stranger": stranger,
		"snapshot": takeSnapshot, "dead branch": deadBranch, "client cut": clientCut, "client twin": clientTwin, "client silent": clientSilent,
		"client flood": clientFlood, "old disk": oldDisk, "damage": damage,
	}
}
