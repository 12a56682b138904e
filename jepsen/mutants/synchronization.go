package mutants

// synchronization are the mutants of discovery and of bringing a learner into line.
var synchronization = []Mutant{
	{
		ID:      "M4",
		Title:   "no TRUNC for a last zxid that lies in the leader's range and is no member",
		Rules:   "R8",
		Adapted: "Membership becomes a range test (ZOOKEEPER-1154).",
		Expect:  []string{"I-MATCH", "I-PS", "I-CHAIN", "REFINE"},
		Faults:  []string{"dead-branch", "partition", "power"},
		Edits: []Edit{{
			File: "zab/sync.go",
			Old:  `	facts := syncFacts{member: h.Contains(last)}`,
			New:  `	facts := syncFacts{member: last >= h.Base() && last <= h.Last()}`,
		}},
	},
	{
		ID:     "M6a",
		Title:  "a follower promises an epoch before that is durable",
		Rules:  "R3",
		Expect: []string{"I-PROMISE", "I-ZXIDREAL", "I-LEAD2", "REFINE"},
		Edits: []Edit{{
			File: "zab/learner.go",
			Old: `	out.afterSync(link, &Message{
		Kind: AckEpoch,`,
			New: `	out.send(link, &Message{
		Kind: AckEpoch,`,
		}},
	},
	{
		ID:     "M6b",
		Title:  "a leader tells its epoch before its own promise is durable",
		Rules:  "R3",
		Expect: []string{"I-PROMISE", "I-LEAD2"},
		Edits: []Edit{{
			File: "zab/leader.go",
			Old:  `	out.afterSync(ln.link, &Message{Kind: LeaderInfo, Epoch: p.epoch})`,
			New:  `	out.send(ln.link, &Message{Kind: LeaderInfo, Epoch: p.epoch})`,
		}},
	},
	{
		ID:      "M7",
		Title:   "NEWLEADER is acked before the current epoch is durable",
		Rules:   "R2",
		Adapted: "The epoch is recorded at UPTODATE (ZOOKEEPER-1282). With a snapshot it stays where it is, since the same record switches the generation.",
		Expect:  []string{"I-ACKNL", "I-COMMITQ", "I-LC", "REFINE"},
		Faults:  []string{"power", "restarts"},
		Edits: []Edit{{
			File: "zab/learner.go",
			Old: `	} else if p.currentEpoch != p.epoch {
		p.persistCurrentEpoch(p.epoch, 0, out)
	}
`,
			New: `	}
`,
		}, {
			File: "zab/learner.go",
			Old: `	p.asLearner.upToDate = true
`,
			New: `	p.asLearner.upToDate = true
	if p.currentEpoch != p.epoch {
		p.persistCurrentEpoch(p.epoch, 0, out)
	}
`,
		}},
	},
	{
		ID:      "M8",
		Title:   "the current epoch is durable before its initial history",
		Rules:   "R2 R21",
		Adapted: "Recorded at DIFF, before the txns that come with it (ZOOKEEPER-4643).",
		Expect:  []string{"I-CEHIST", "I-LC", "REFINE"},
		Faults:  []string{"crash-point", "restarts"},
		Edits: []Edit{{
			File: "zab/learner.go",
			Old: `	p.asLearner.end = m.Zxid
`,
			New: `	p.asLearner.end = m.Zxid
	if p.currentEpoch != p.epoch {
		p.persistCurrentEpoch(p.epoch, 0, out)
	}
`,
		}},
	},
	{
		ID:     "M15b",
		Title:  "ACKEPOCH names what is applied, not what is accepted",
		Rules:  "R5",
		Expect: []string{"I-ZXIDREAL", "I-CONN", "I-LC", "REFINE"},
		Edits: []Edit{{
			File: "zab/learner.go",
			Old:  `		Kind: AckEpoch, Epoch: p.currentEpoch, Zxid: p.history.Last(), NoCount: noCount,`,
			New:  `		Kind: AckEpoch, Epoch: p.currentEpoch, Zxid: p.delivered, NoCount: noCount,`,
		}},
	},
	{
		ID:      "M26",
		Title:   "a leader takes promises of servers that are more recent",
		Rules:   "R24",
		Expect:  []string{"I-LC", "I-TRUNC", "I-DUR", "REFINE", "panic"},
		Faults:  []string{"oracle"},
		Adapted: "Only a wrong election shows it, so it takes the adversary's oracle.",
		Edits: []Edit{{
			File: "zab/leader.go",
			Old: `	if ln.votes && (m.Epoch > p.currentEpoch ||
		m.Epoch == p.currentEpoch && m.Zxid > p.history.Last()) {
		p.refuse(ln, m.Kind, fmt.Sprintf("server %d is more recent: (%d %v), this one is at (%d %v)",
			ln.server, m.Epoch, m.Zxid, p.currentEpoch, p.history.Last()), out)
		return
	}
`,
			New: ``,
		}},
	},
	{
		ID:      "M27a",
		Title:   "an epoch that a follower has accepted is proposed again",
		Rules:   "R3",
		Adapted: "The do-not-count of ACKEPOCH makes that harmless, so it goes as well.",
		Expect:  []string{"I-LEAD2", "I-LEAD1", "I-UNIQ", "REFINE"},
		Faults:  []string{"oracle", "leader"},
		Edits: []Edit{{
			File: "zab/leader.go",
			Old:  `	p.epoch = l.highest + 1`,
			New:  `	p.epoch = max(p.acceptedEpoch+1, l.highest)`,
		}, {
			File: "zab/learner.go",
			Old:  `Zxid: p.history.Last(), NoCount: noCount,`,
			New:  `Zxid: p.history.Last(),`,
		}},
	},
	{
		Tests:   "./zab",
		ID:      "M27b",
		Title:   "a promise that was spent elsewhere is counted",
		Rules:   "R3",
		Adapted: "The other half alone: two leaders that choose the same epoch need one voter to go from one to the other.",
		Expect:  []string{"I-LEAD2", "I-LEAD1", "I-UNIQ", "REFINE"},
		Faults:  []string{"oracle", "links"},
		Edits: []Edit{{
			File: "zab/leader.go",
			Old:  `	if ln.votes && !m.NoCount {`,
			New:  `	if ln.votes {`,
		}},
	},
	{
		ID:      "M28",
		Title:   "txns of the new epoch are appended before NEWLEADER",
		Rules:   "R13",
		Adapted: "The leader puts NEWLEADER behind everything up to the cut, as ZooKeeper does, and the learner takes it.",
		Expect:  []string{"REFINE", "I-EPOCH", "I-CEHIST", "I-COMMITQ", "I-CONN"},
		Faults:  []string{"power", "restarts"},
		Edits: []Edit{{
			File: "zab/leader_sync.go",
			Old:  `	ln.delimiter = max(plan.start, l.initial)`,
			New:  `	ln.delimiter = cut`,
		}, {
			File: "zab/learner.go",
			Old:  `	case !ls.delimited && e >= p.epoch:`,
			New:  `	case !ls.delimited && e > p.epoch:`,
		}},
	},
	{
		ID:      "M35",
		Title:   "the initial history is committed with DIFF, and applied before the epoch is established",
		Rules:   "R13 R16",
		Adapted: "The leader's stream carries commits, as ZooKeeper's does, and the learner obeys them before NEWLEADER. That the tree keeps them on failure is the design: it is committed only.",
		Expect:  []string{"I-CONN", "I-APPLY", "I-COMMITQ", "I-PREFIX", "REFINE"},
		Faults:  []string{"leader", "dead-branch"},
		Edits: []Edit{{
			File: "zab/leader_sync.go",
			Old:  `		out.send(ln.link, &Message{Kind: Proposal, Txns: txns})`,
			New:  `		out.send(ln.link, &Message{Kind: Proposal, Txns: txns, Commit: min(txns[len(txns)-1].Zxid, p.asLeader.initial)})`,
		}, {
			File: "zab/learner.go",
			Old: `	case !p.asLearner.delimited:
		p.violation(link, k, fmt.Sprintf("commits %v before NEWLEADER", z), out)
	case z`,
			New: `	case p.asLearner.install != nil:
		p.asLearner.hint = max(p.asLearner.hint, z)
	case z`,
		}, {
			File: "zab/learner.go",
			Old: `	case p.phase == Broadcast:
		p.commit(z, out)
	default:`,
			New: `	case p.phase >= Synchronization:
		p.commit(z, out)
	default:`,
		}},
	},
	{
		ID:      "M39",
		Title:   "a received snapshot becomes the history at the end of its stream",
		Rules:   "R10",
		Adapted: "The generation is switched under the old current epoch, by the same record that NEWLEADER would write.",
		Expect:  []string{"I-DUR", "I-ACK", "I-CEHIST", "I-TRUNC", "T3", "REFINE", "panic"},
		Faults:  []string{"snapshot", "restarts", "leader"},
		Edits: []Edit{{
			File: "zab/learner.go",
			Old: `	p.asLearner.install = &generation{
		snapshot: m.Zxid,
		history:  NewHistory(m.Zxid),
		window:   newWindow(m.Zxid, p.cfg.WindowBytes),
	}
`,
			New: `	p.history, p.window = NewHistory(m.Zxid), newWindow(m.Zxid, p.cfg.WindowBytes)
	p.snapshot = m.Zxid
	p.persistCurrentEpoch(p.currentEpoch, m.Zxid, out)
`,
		}},
	},
	{
		ID:      "M40",
		Title:   "the leader goes on comparing histories after its epoch is established",
		Rules:   "R24",
		Adapted: "It compares with what it was when discovery ended; servers of the running epoch may come back.",
		Expect:  []string{"L-JOIN", "L-CONV", "L-OPS", "L-LEADER"},
		Faults:  []string{"leader", "dead-branch"},
		Edits: []Edit{{
			File: "zab/leader.go",
			Old: `type leaderState struct {
`,
			New: `type leaderState struct {
	was Epoch // current epoch of this server in discovery
`,
		}, {
			File: "zab/leader.go",
			Old: `	l.initial = p.history.Last()
`,
			New: `	l.was, l.initial = p.currentEpoch, p.history.Last()
`,
		}, {
			File: "zab/leader.go",
			Old: `	if p.phase != Discovery {
		p.startSync(ln, out)`,
			New: `	if p.phase != Discovery {
		l := p.asLeader
		if ln.votes && m.Epoch < p.epoch && (m.Epoch > l.was || m.Epoch == l.was && m.Zxid > l.initial) {
			p.refuse(ln, m.Kind, "more recent than the initial history", out)
			return
		}
		p.startSync(ln, out)`,
		}},
	},
}
