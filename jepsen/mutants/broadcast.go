package mutants

// broadcast are the mutants of acks, commits and what leaves a leader.
var broadcast = []Mutant{
	{
		ID:      "M1",
		Title:   "a follower acks a proposal before its fsync",
		Rules:   "R1 R4",
		Adapted: "The ack goes into Send instead of AfterSync, once NEWLEADER's ack is out, so that the order on the link stays right.",
		Expect:  []string{"I-ACK", "I-DUR", "C-DUR"},
		Edits: []Edit{{
			File: "zab/learner.go",
			Old: `	if ls.delimited && p.role == Following {
		out.ack(link, p.history.Last())
	}`,
			New: `	if ls.delimited && p.role == Following {
		if p.durable >= ls.attested {
			out.send(link, &Message{Kind: Ack, Zxid: p.history.Last()})
		} else {
			out.ack(link, p.history.Last())
		}
	}`,
		}},
	},
	{
		ID:     "M2",
		Title:  "the leader counts itself before its own fsync",
		Rules:  "R4 R14",
		Expect: []string{"I-COMMITQ", "I-ACK", "I-DUR", "I-APPLY", "REFINE"},
		Edits: []Edit{{
			File: "zab/leader_broadcast.go",
			Old: `	p.outstanding.n++
`,
			New: `	p.asLeader.acks.raise(p.cfg.ID, uint64(z))
	p.outstanding.n++
`,
		}},
	},
	{
		ID:      "M3a",
		Title:   "half of the voters commit",
		Rules:   "R14",
		Adapted: "Only where acks are tallied. Ensemble.Quorum stays, because the checks count with it too.",
		Expect:  []string{"I-COMMITQ", "I-LC", "I-DUR", "REFINE"},
		Edits: []Edit{{
			File: "zab/tally.go",
			Old:  `		if t.ensemble.Quorum(s) {`,
			New:  `		if t.ensemble.Quorum(s) || 2*s.Len() >= len(t.reached) {`,
		}},
	},
	{
		ID:     "M3b",
		Title:  "observers count when an epoch is established",
		Rules:  "R14",
		Expect: []string{"I-COMMITQ", "I-PROPEST", "I-LC", "REFINE"},
		Faults: []string{"partition"},
		Edits: []Edit{{
			File: "zab/leader_sync.go",
			Old: `	if ln.votes {
		l.newAcks.Add(ln.server)
		l.acks.raise`,
			New: `	l.newAcks.Add(ln.server)
	if ln.votes {
		l.acks.raise`,
		}, {
			File: "zab/leader_sync.go",
			Old:  `	if !p.cfg.Ensemble.Quorum(l.newAcks) {`,
			New:  `	if !p.cfg.Ensemble.Quorum(l.newAcks) && 2*l.newAcks.Len() <= len(p.cfg.Ensemble.Voters()) {`,
		}},
	},
	{
		ID:     "M3c",
		Title:  "a learner counts as synced when its stream was sent",
		Rules:  "R14",
		Expect: []string{"I-COMMITQ", "I-PROPEST", "I-LC", "REFINE"},
		Edits: []Edit{{
			File: "zab/leader_sync.go",
			Old: `	ln.stage, ln.sync = subscribed, plan.label
`,
			New: `	ln.stage, ln.sync = subscribed, plan.label
	if ln.votes {
		l.newAcks.Add(ln.server)
		l.acks.raise(ln.server, uint64(ln.delimiter))
	}
`,
		}},
	},
	{
		ID:      "M19",
		Title:   "a gap between proposals is accepted",
		Rules:   "R8 R32",
		Adapted: "No link here loses a message from its middle, so the leader makes the gap as well: where its stream goes over from the log to memory (ZOOKEEPER-2418). The history, the log and its reader then take what comes.",
		Expect:  []string{"I-CHAIN", "I-MATCH", "I-CONN", "REFINE", "panic"},
		Faults:  []string{"restarts", "power"},
		Edits: append([]Edit{{
			File: "zab/leader_sync.go",
			Old: `		from = base
	}`,
			New: `		if from = base; base+1 < to {
			from = base + 1
		}
	}`,
		}, {
			File: "zab/history.go",
			Old:  `	if !last.Precedes(z) {`,
			New:  `	if !last.Precedes(z) && (z.Epoch() != last.Epoch() || z <= last) {`,
		}}, gapsInLog...),
	},
	{
		ID:      "M20a",
		Title:   "a commit is applied before its own fsync",
		Rules:   "R16",
		Adapted: "The server's own check of R16 goes, too, so that the simulator must see it.",
		Expect:  []string{"I-APPLY", "C-DUR", "REFINE"},
		Edits: []Edit{{
			File: "zab/peer.go",
			Old:  `	to := min(p.committed, p.lastDurable)`,
			New:  `	to := p.committed`,
		}, {
			File: "zab/peer.go",
			Old: `	case p.delivered > p.lastDurable:
		p.bug("delivered past what is durable (R16)")
`,
			New: ``,
		}},
	},
	{
		ID:      "M29",
		Title:   "a counter that overflows carries into the epoch",
		Rules:   "R22",
		Adapted: "Counters are 40 bits wide and are limited by configuration, so the carry is made at that limit. The leader's own check, and the checks of epochs on both sides of a link, let it pass, as comparisons of whole zxids would.",
		Expect:  []string{"I-UNIQ", "I-PROPEST", "REFINE"},
		Faults:  []string{"counter"},
		Edits: []Edit{{
			File: "zab/status.go",
			Old: `	counter := uint64(1)
	if last := p.history.Last(); last.Epoch() == p.epoch {
		counter = last.Counter() + 1
	}
	if counter > p.cfg.MaxCounter {
		return 0
	}
	return MakeZxid(p.epoch, counter)`,
			New: `	next := MakeZxid(p.epoch, 1)
	if last := p.history.Last(); last.Epoch() >= p.epoch {
		if next = last + 1; last.Counter() >= p.cfg.MaxCounter {
			next = MakeZxid(last.Epoch()+1, 1)
		}
	}
	return next`,
		}, {
			File: "zab/leader.go",
			Old: `	case p.history.Last() > l.initial && p.phase == Broadcast && p.history.Last().Epoch() != p.epoch:
		p.bug("proposed in another epoch than its own")
`,
			New: ``,
		}, {
			File: "zab/leader_sync.go",
			Old:  `	case m.Zxid.Epoch() != p.epoch || m.Zxid > l.sent:`,
			New:  `	case m.Zxid.Epoch() < p.epoch || m.Zxid > l.sent:`,
		}, {
			File: "zab/learner.go",
			Old:  `	case ls.delimited && e != p.epoch:`,
			New:  `	case ls.delimited && e < p.epoch:`,
		}},
	},
}
