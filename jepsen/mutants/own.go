package mutants

// firstOwn is the number of the first mutant that is not of the table: a bug that this program has had
// and that the simulator found, put back. What has found it once must go on finding it.
const firstOwn = 101

// own are those bugs, and one that a check of its own is for, in the order in which they were found; docs/TESTING.md says what each was.
var own = []Mutant{
	{
		ID:     "M101",
		Title:  "the tree of a snapshot is forgotten with its leader, its installation is on its way to the disk",
		Rules:  "R6 R10",
		Expect: []string{"panic"},
		Edits: []Edit{{
			File: "zab/status.go",
			Old:  `	return p.asLearner != nil && p.asLearner.install != nil || p.pending.installs()`,
			New:  `	return p.asLearner != nil && p.asLearner.install != nil`,
		}},
	},
	{
		ID:     "M102",
		Title:  "a read that waited is answered after its session was closed in the same batch",
		Rules:  "R29",
		Expect: []string{"C-WATCH1", "C-WATCH2", "C-WATCH3"},
		Tests:  ".",
		Edits: []Edit{{
			File: "peer_conn.go",
			Old:  `	if c.Close { // its session is over`,
			New:  `	if c.Close && c.state == greeting { // its session is over`,
		}},
	},
	{
		ID:     "M103",
		Title:  "a write is no sign of life before the next report of its server",
		Rules:  "R25",
		Expect: []string{"C-EPHLIFE", "C-SESS", "L-SESS"},
		Tests:  ".",
		Edits: []Edit{{
			File: "peer_requests.go",
			Old:  `	case r.ID.Boot != 0: // a sign of life`,
			New:  `	case r.ID.Boot != 0 && r.Session == 0: // a sign of life`,
		}},
	},
	{
		ID:     "M104",
		Title:  "a vote stays what it was when the disk was still syncing",
		Rules:  "R5",
		Expect: []string{"L-LEADER", "I-ZXIDREAL", "panic"},
		Edits: []Edit{{
			File: "peer.go",
			Old:  `	if p.looking && p.ballot() != p.own {`,
			New:  `	if p.looking && p.ballot() != p.own && p.full {`,
		}},
	},
	{
		ID:     "M105",
		Title:  "a session is called expired whose end is only proposed",
		Rules:  "R25",
		Expect: []string{"C-SESS"},
		Tests:  ".",
		Edits: []Edit{{
			File: "peer_lead.go",
			Old:  `; there && !p.lead.pending.Alive(q.Session) {`,
			New:  `; there && !p.lead.pending.Alive(q.Session) && q.at == 0 {`,
		}},
	},
	{
		ID:      "M106",
		Title:   "what closing a session will take is not counted when it gets another ephemeral",
		Rules:   "R30",
		Adapted: "No bug that this program has had, but ZooKeeper's 4306: the mutant that I-BUDGET is there for.",
		Expect:  []string{"I-BUDGET"},
		Faults:  []string{"floods"},
		Edits: []Edit{{
			File: "tree/prep.go",
			Old:  `		if closeBytes+owner.bytes > p.tree.options.maxTxnBytes() {`,
			New:  `		if closeBytes+owner.bytes < 0 {`,
		}},
	},
}
