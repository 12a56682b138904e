package mutants

// trees are the mutants of the state machine: what a txn says and what applying it does.
var trees = []Mutant{
	{
		ID:      "M10",
		Title:   "closeSession forgets ephemerals that are being created",
		Rules:   "R26",
		Adapted: "It lists those in the tree and not those in the overlay (ZOOKEEPER-1208). The tree's own check goes, too, so that the simulator must see it.",
		Expect:  []string{"I-EPH", "C-EPHLIFE", "C-READ", "I-TREE", "panic", "I-SNAP"},
		Faults:  []string{"clients"},
		Edits: []Edit{{
			File: "tree/prep.go",
			Old: `	for _, i := range s.created {
		if p.owns(id, i) {
			add(p.nodes[i].path)
		}
	}
`,
			New: ``,
		}, {
			File: "tree/apply.go",
			Old: `	if s.ephemerals != 0 {
		r.contradicts(nil, "session has ephemerals that the txn does not list")
	}
`,
			New: ``,
		}},
	},
	{
		ID:      "M14",
		Title:   "the number of a sequential znode is counted from the children after a restart",
		Rules:   "R17 R18",
		Adapted: "When a snapshot is read. The digest covers the counter and would notice at once, so it is made not to.",
		Expect:  []string{"I-SEQ", "I-STAT", "C-READ", "C-SEQ", "C-LINW", "panic", "I-TREE"},
		Faults:  []string{"snapshot", "kill"},
		Edits: []Edit{{
			File: "tree/snapshot.go",
			Old: `	if x.err == nil && !x.atEnd() {
		x.fail("bytes after its end")
	}
`,
			New: `	if x.err == nil && !x.atEnd() {
		x.fail("bytes after its end")
	}
	t := x.tree
	for id := uint32(1); id < t.kins.Len(); id++ {
		t.kins.Edit(id).creates = 0
	}
	for id := uint32(1); id < t.nodes.Len(); id++ {
		if n := t.nodes.At(id); n.czxid != 0 {
			t.editKin(n.parent).creates++
		}
	}
`,
		}, {
			File: "tree/digest.go",
			Old:  `	return slab.Fold(slab.Fold(path^seedFamily, uint64(k.pzxid)), uint64(uint32(k.creates)))`,
			New:  `	return slab.Fold(path^seedFamily, uint64(k.pzxid))`,
		}},
	},
	{
		ID:      "M30",
		Title:   "a multi that fails keeps what came before the failure",
		Rules:   "R18",
		Adapted: "A zxid that is raised within a multi does not exist here: a txn is applied in one step of one goroutine.",
		Expect:  []string{"C-MULTI", "C-DUR", "C-READ", "C-LINW", "I-TREE"},
		Edits: []Edit{{
			File: "tree/prep_multi.go",
			Old: `			p.rollback()
			return appendFailedMulti(b[:start], len(p.ops), i, code), wire.OK
`,
			New: `			for b = b[:len(b)-4]; i < len(p.ops); i++ {
				b = jute.AppendInt(b, int32(wire.OpError))
				b = jute.AppendInt(b, int32(code))
				code = wire.RuntimeInconsistency
			}
			return b, wire.OK
`,
		}, {
			File: "tree/prep_multi.go",
			Old: `	start := len(b)
	b = jute.AppendInt(b, int32(len(p.ops)))
`,
			New: `	b = jute.AppendInt(b, int32(len(p.ops)))
`,
		}, {
			File: "tree/prep_multi.go",
			Old: `func appendFailedMulti(b []byte, ops, failed int, code wire.Code) []byte {
	b = jute.AppendInt(b, int32(ops))
	for i := range ops {
		result := wire.OK
		if i == failed {
			result = code
		} else if i > failed {
			result = wire.RuntimeInconsistency
		}
		b = jute.AppendInt(b, int32(wire.OpError))
		b = jute.AppendInt(b, int32(result))
	}
	return b
}
`,
			New: ``,
		}},
	},
	{
		ID:      "M31",
		Title:   "what closeSession deletes does not change pzxid",
		Rules:   "R17 R18",
		Adapted: "Snapshots are exact and nothing is replayed on top of its own result, so a replay without the list of paths is no different. The stat that ZOOKEEPER-3249 was about is left behind on every server alike.",
		Expect:  []string{"I-STAT", "C-READ", "C-WATCH2", "C-WATCH3", "I-TREE"},
		Edits: []Edit{{
			File: "tree/apply.go",
			Old: `	t := f.tree
	t.editKin(f.parent).pzxid = r.Zxid
`,
			New: `	t := f.tree
	if r.Op != wire.OpCloseSession {
		t.editKin(f.parent).pzxid = r.Zxid
	}
`,
		}},
	},
}
