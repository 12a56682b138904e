package mutants

// roles are the mutants of entering and leaving a role, and of what outlives it.
var roles = []Mutant{
	{
		ID:      "M9",
		Title:   "a learner serves before UPTODATE",
		Rules:   "R13",
		Adapted: "The tree holds nothing but committed txns, so its reads are stale at worst. What breaks is that requests go to a leader that does not serve yet, and that those which are in the initial history are sent again.",
		Expect:  []string{"panic", "I-CONN", "L-OPS", "C-FIFO", "C-READ", "C-MONO", "C-ONCE", "T7"},
		Faults:  []string{"leader", "links"},
		Edits: []Edit{{
			File: "zab/learner.go",
			Old:  `	if p.phase != Synchronization || !ls.upToDate || p.durable < ls.attested {`,
			New:  `	if p.phase != Synchronization || !ls.delimited || p.durable < ls.attested {`,
		}, {
			File: "zab/peer.go",
			Old: `	Following: {
		LeaderInfo:   {discovery, (*Peer).onLeaderInfo},
		Diff:         {syncing, (*Peer).onDiff},
		Trunc:        {syncing, (*Peer).onTrunc},
		Snap:         {syncing, (*Peer).onSnap},
		NewLeader:    {syncing, (*Peer).onNewLeader},
		UpToDate:     {syncing, (*Peer).onUpToDate},`,
			New: `	Following: {
		LeaderInfo:   {discovery, (*Peer).onLeaderInfo},
		Diff:         {syncing, (*Peer).onDiff},
		Trunc:        {syncing, (*Peer).onTrunc},
		Snap:         {syncing, (*Peer).onSnap},
		NewLeader:    {syncing, (*Peer).onNewLeader},
		UpToDate:     {syncing | broadcast, (*Peer).onUpToDate},`,
		}, {
			File: "zab/peer.go",
			Old: `	Observing: {
		LeaderInfo:   {discovery, (*Peer).onLeaderInfo},
		Diff:         {syncing, (*Peer).onDiff},
		Trunc:        {syncing, (*Peer).onTrunc},
		Snap:         {syncing, (*Peer).onSnap},
		NewLeader:    {syncing, (*Peer).onNewLeader},
		UpToDate:     {syncing, (*Peer).onUpToDate},`,
			New: `	Observing: {
		LeaderInfo:   {discovery, (*Peer).onLeaderInfo},
		Diff:         {syncing, (*Peer).onDiff},
		Trunc:        {syncing, (*Peer).onTrunc},
		Snap:         {syncing, (*Peer).onSnap},
		NewLeader:    {syncing, (*Peer).onNewLeader},
		UpToDate:     {syncing | broadcast, (*Peer).onUpToDate},`,
		}},
	},
	{
		ID:      "M16",
		Title:   "NEWLEADER's ack races with those of proposals",
		Rules:   "R7",
		Adapted: "There is one goroutine and one ordered queue. Here NEWLEADER's ack leaves when the loop hears that its records are durable, and those of proposals when the disk says so.",
		Expect:  []string{"I-CONN"},
		Faults:  []string{"starve", "links"},
		Edits: []Edit{{
			File: "zab/learner.go",
			Old: `type learnerState struct {
`,
			New: `type learnerState struct {
	acked bool // NEWLEADER's ack has left
`,
		}, {
			File: "zab/learner.go",
			Old: `	out.afterSync(link, &Message{Kind: Ack, Zxid: MakeZxid(p.epoch, 0)})
}
`,
			New: `	p.ackNewLeader(out)
}

func (p *Peer) ackNewLeader(out *Actions) {
	ls := p.asLearner
	if ls.delimited && !ls.acked && p.durable >= ls.attested {
		ls.acked = true
		out.send(ls.link, &Message{Kind: Ack, Zxid: MakeZxid(p.epoch, 0)})
	}
}
`,
		}, {
			File: "zab/peer.go",
			Old: `	case p.asLearner != nil:
		p.tryServe(out)`,
			New: `	case p.asLearner != nil:
		p.ackNewLeader(out)
		p.tryServe(out)`,
		}},
	},
	{
		ID:     "M17a",
		Title:  "a half-installed snapshot outlives the role",
		Rules:  "R6 R10",
		Expect: []string{"panic", "T3", "I-RECOVER", "I-ZXIDREAL", "I-CHAIN", "I-MATCH"},
		Faults: []string{"snapshot", "links", "restarts"},
		Edits: []Edit{{
			File: "zab/role.go",
			Old: `		if ls.install != nil {
			p.persist(Record{Kind: RecordAbandon}, out)
		}
`,
			New: ``,
		}},
	},
	{
		ID:      "M17b",
		Title:   "the leader's overlay outlives the role",
		Rules:   "R6",
		Adapted: "A server that leads again prepares on what its last leadership had outstanding.",
		Expect:  []string{"panic", "C-LINW", "C-READ", "C-MULTI", "C-DUR", "I-TREE"},
		Faults:  []string{"leader", "partition"},
		Edits: []Edit{{
			File: "peer_lead.go",
			Old: `type leading struct {
`,
			New: `type leading struct {
	kept *tree.Pending
`,
		}, {
			File: "peer_lead.go",
			Old: `	l.pending = tree.NewPending(p.tree)
`,
			New: `	if l.pending = l.kept; l.pending == nil {
		l.pending = tree.NewPending(p.tree)
	}
`,
		}, {
			File: "peer.go",
			Old: `	p.lead = leading{}
`,
			New: `	kept := p.lead.kept
	if p.lead.pending != nil {
		kept = p.lead.pending
	}
	p.lead = leading{kept: kept}
`,
		}},
	},
	{
		ID:      "M18",
		Title:   "the log writer is not joined when a role ends",
		Rules:   "R6",
		Adapted: "The core has no writer of its own, so it gets one: a queue of proposals that goes to the log every eighth tick, is acked then, and is not dropped with the role (ZOOKEEPER-4712).",
		Expect:  []string{"I-PS", "I-INC", "I-MATCH", "I-CHAIN", "I-CONN", "T3", "REFINE", "panic"},
		Faults:  []string{"links", "partition", "leader"},
		Edits: []Edit{{
			File: "zab/peer.go",
			Old: `type Peer struct {
`,
			New: `type Peer struct {
	late []Txn // accepted, and with the log writer
`,
		}, {
			File: "zab/peer.go",
			Old: `	p.now++
	switch {`,
			New: `	if p.now++; p.now%8 == 0 {
		p.writeLate(out)
	}
	switch {`,
		}, {
			File: "zab/learner.go",
			Old: `	for _, t := range m.Txns {
		if text := p.take(t, out); text != "" {`,
			New: `	if p.phase == Broadcast && p.role == Following {
		p.queueLate(link, m, out)
		return
	}
	for _, t := range m.Txns {
		if text := p.take(t, out); text != "" {`,
		}, {
			File: "zab/learner.go",
			Old:  `// take appends one txn to the history, or`,
			New: `// queueLate leaves txns to the log writer.
func (p *Peer) queueLate(link LinkID, m *Message, out *Actions) {
	for _, t := range m.Txns {
		last := p.history.Last()
		if n := len(p.late); n > 0 && p.late[n-1].Zxid.Epoch() == p.epoch {
			last = p.late[n-1].Zxid
		}
		if t.Zxid.Epoch() != p.epoch || !last.Precedes(t.Zxid) {
			p.violation(link, m.Kind, fmt.Sprintf("%v cannot follow %v", t.Zxid, last), out)
			return
		}
		p.late = append(p.late, t)
	}
	if m.Commit != 0 {
		p.heardCommit(link, m.Kind, m.Commit, out)
	}
}

// writeLate is the log writer at work.
func (p *Peer) writeLate(out *Actions) {
	late := p.late
	p.late = nil
	for _, t := range late {
		p.accept(t, out)
	}
	if len(late) > 0 && p.role == Following && p.phase == Broadcast && p.history.Last().Epoch() == p.epoch {
		out.ack(p.asLearner.link, p.history.Last())
		p.commit(min(p.asLearner.hint, p.history.Last()), out)
	}
}

// take appends one txn to the history, or`,
		}, {
			File: "zab/learner.go",
			Old:  `	case z > p.history.Last() || z > p.committed && !p.history.Contains(z):`,
			New: `	case len(p.late) > 0 && z > p.history.Last() && z <= p.late[len(p.late)-1].Zxid:
		p.asLearner.hint = max(p.asLearner.hint, z)
	case z > p.history.Last() || z > p.committed && !p.history.Contains(z):`,
		}},
	},
	{
		ID:     "M23",
		Title:  "a leader goes on without a quorum that answers",
		Rules:  "R23",
		Expect: []string{"L-LEADER", "L-JOIN", "L-OPS", "L-CONV"},
		Faults: []string{"partition"},
		Edits: []Edit{{
			File: "zab/leader.go",
			Old: `	case p.phase == Broadcast && !p.cfg.Ensemble.Quorum(live): // R23
		p.leave(QuorumLost, out)
		return
`,
			New: ``,
		}},
	},
	{
		ID:     "M38",
		Title:  "a server that promised a later epoch stays locked out",
		Rules:  "R3",
		Expect: []string{"L-JOIN", "L-CONV", "L-OPS", "L-LEADER"},
		Faults: []string{"leader", "oracle"},
		Tests:  "./zab",
		Edits: []Edit{{
			File: "zab/leader.go",
			Old: `	p.leave(LockedOut, out)
`,
			New: ``,
		}},
	},
}
