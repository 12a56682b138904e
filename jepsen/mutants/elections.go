package mutants

// elections are the mutants of the election. Nothing that it does can break more than liveness
// (R24), and that hardly: a wrong decision costs a window of discovery. Its own tests ask for more.
var elections = []Mutant{
	{
		ID:      "M15a",
		Title:   "a vote names what is applied, not what is accepted",
		Rules:   "R5",
		Adapted: "ZOOKEEPER-2845.",
		Expect:  []string{"I-ZXIDREAL", "L-LEADER", "panic"},
		Faults:  []string{"dead-branch", "leader"},
		Edits: []Edit{{
			File: "peer.go",
			Old:  `Zxid: p.zab.LastDurable(), Epoch: p.zab.CurrentEpoch()}`,
			New:  `Zxid: p.zab.Delivered(), Epoch: p.zab.CurrentEpoch()}`,
		}},
	},
	{
		ID:      "M24",
		Title:   "a late joiner believes followers alone",
		Rules:   "R24",
		Adapted: "A quorum of servers that follow makes a leader, though it does not say itself that it leads (ZOOKEEPER-569).",
		Expect:  []string{"L-LEADER", "L-NOLIVELOCK", "L-JOIN", "L-OPS"},
		Faults:  []string{"votes", "restarts", "leader"},
		Tests:   "./election",
		Edits: []Edit{{
			File: "election/count.go",
			Old: `		claim := &e.heard[leader]
		if claim.State != Leading || claim.Vote.Leader != leader {`,
			New: `		claim := e.word(leader)
		if leader == e.cfg.ID || claim.Vote.Leader != leader {`,
		}, {
			File: "election/count.go",
			Old:  `// deserted takes in what others say`,
			New: `// word is what is said of a leader: by itself, else by whoever follows it.
func (e *Election) word(leader zab.ServerID) *Notification {
	if n := &e.heard[leader]; n.State == Leading && n.Vote.Leader == leader {
		return n
	}
	for _, id := range e.cfg.Ensemble.Voters() {
		if n := &e.heard[id]; n.State == Following && n.Vote.Leader == leader {
			return n
		}
	}
	return &Notification{}
}

// deserted takes in what others say`,
		}, {
			File: "election/election.go",
			Old:  `		claim := &e.heard[leader]`,
			New:  `		claim := e.word(leader)`,
		}},
	},
	{
		ID:     "M25",
		Title:  "votes of earlier rounds count",
		Rules:  "R24",
		Expect: []string{"L-LEADER", "L-NOLIVELOCK", "L-OPS"},
		Faults: []string{"votes", "restarts", "leader"},
		Tests:  "./election",
		Edits: []Edit{{
			File: "election/count.go",
			Old: `	if n.Round != e.round {
		return false
	}`,
			New: `	if n.Round > e.round {
		return false
	}`,
		}},
	},
}
