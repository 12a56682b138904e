package mutants

// gapsInLog makes the log take a txn that leaves a gap within an epoch, and read it back.
var gapsInLog = []Edit{{
	File: "log/fold.go",
	Old:  `return f.aside == nil && f.branch.last().Precedes(r.zxid()) },`,
	New:  `return f.aside == nil && follows(f.branch.last(), r.zxid()) },`,
}, {
	File: "log/fold.go",
	Old:  `return f.aside != nil && f.aside.last().Precedes(r.zxid()) },`,
	New:  `return f.aside != nil && follows(f.aside.last(), r.zxid()) },`,
}, {
	File: "log/fold.go",
	Old:  `return !f.newest().last().Precedes(r.zxid()) },`,
	New:  `return !follows(f.newest().last(), r.zxid()) },`,
}, {
	File: "log/fold.go",
	Old:  `// refuse returns the action of a row that no server writes.`,
	New: `// follows reports whether next is any later zxid of the epoch, or the first of a later one.
func follows(last, next zab.Zxid) bool {
	return last.Precedes(next) || last.Epoch() == next.Epoch() && last < next
}

// refuse returns the action of a row that no server writes.`,
}, {
	File: "log/reader.go",
	Old:  `		if !r.last.Precedes(z) {`,
	New:  `		if !follows(r.last, z) {`,
}}

// storage are the mutants of the log, of snapshots and of recovery.
var storage = []Mutant{
	{
		ID:      "M5",
		Title:   "snapshots beyond the end of the history count",
		Rules:   "R9 R10",
		Adapted: "Snapshots hold committed states only, so no truncation leaves one behind. One that was received and never installed may lie beyond the history, and the same lookup keeps both out.",
		Expect:  []string{"I-RECOVER", "I-SNAP", "I-TREE", "panic"},
		Faults:  []string{"snapshot", "links", "crash-point", "restarts"},
		Edits: []Edit{{
			File: "log/log.go",
			Old:  `		return z < b.horizon || !b.contains(z)`,
			New:  `		return z < b.horizon`,
		}},
	},
	{
		ID:     "M20b",
		Title:  "an error of fsync is ignored",
		Rules:  "R20",
		Expect: []string{"I-RECOVER", "I-DUR", "I-LC", "R20"},
		Faults: []string{"fsync", "power"},
		Edits: []Edit{{
			File: "log/writer.go",
			Old: `		if err := p.segment.file.Sync(); err != nil {
			return l.fail("sync", l.segmentPath(p.segment), err)
		}
`,
			New: `		_ = p.segment.file.Sync()
`,
		}},
	},
	{
		ID:      "M21a",
		Title:   "what recovery found, and the cut of a torn tail, is not synced",
		Rules:   "R9 R19",
		Adapted: "A truncation is a record and durable like any. The file is cut only when recovery finds a torn tail.",
		Expect:  []string{"I-RECOVER", "I-DUR", "I-PROMISE", "I-ZXIDREAL"},
		Faults:  []string{"power", "kill", "crash-point"},
		Edits: []Edit{{
			File: "log/recovery.go",
			Old: `	if err := l.current.file.Sync(); err != nil {
		return l.fail("sync", l.segmentPath(l.current), err)
	}
`,
			New: ``,
		}},
	},
	{
		ID:     "M21b",
		Title:  "a snapshot is not synced",
		Rules:  "R10 R17",
		Expect: []string{"I-RECOVER", "I-DUR", "I-SNAP"},
		Faults: []string{"power", "snapshot"},
		Edits: []Edit{{
			File: "log/snapshot.go",
			Old: `	if f.err == nil && f.synced < f.size {
		f.err = f.file.Sync()
	}
	return f.err`,
			New: `	return f.err`,
		}},
	},
	{
		ID:      "M21c",
		Title:   "the directory is not synced after a snapshot gets its name",
		Rules:   "R9 R10",
		Adapted: "Epochs are records and need no file. What is renamed here is a snapshot.",
		Expect:  []string{"I-RECOVER", "I-DUR"},
		Faults:  []string{"power", "snapshot", "restarts"},
		Edits: []Edit{{
			File: "log/snapshots.go",
			Old: `	if err := l.fs.SyncDir(l.opts.SnapDir); err != nil {
		return l.fail("sync", l.opts.SnapDir, err)
	}
`,
			New: ``,
		}},
	},
	{
		ID:     "M21d",
		Title:  "the directory is not synced after a segment was made",
		Rules:  "R4 R19",
		Expect: []string{"I-RECOVER", "I-DUR"},
		Faults: []string{"power", "crash-point"},
		Edits: []Edit{{
			File: "log/segment.go",
			Old: `	if err = file.Sync(); err == nil {
		err = l.fs.SyncDir(l.opts.Dir)
	}
	if err != nil {`,
			New: `	if err = file.Sync(); err != nil {`,
		}},
	},
	{
		ID:      "M22a",
		Title:   "a torn end of a segment that is not the last is passed over",
		Rules:   "R19",
		Adapted: "Three more checks stand behind that one: the header of the next segment, the order of zxids in the fold, and in the reader. All of them let the hole pass, as ZooKeeper does.",
		Expect:  []string{"I-RECOVER", "I-CHAIN", "I-MATCH", "I-DUR", "panic"},
		Faults:  []string{"rot", "kill"},
		Edits: append([]Edit{{
			File: "log/verdict.go",
			Old:  `f.damaged && f.newest && !f.proof },`,
			New:  `f.damaged && !f.proof },`,
		}, {
			File: "log/verdict.go",
			Old:  `f.damaged && (!f.newest || f.proof) },`,
			New:  `f.damaged && f.proof },`,
		}, {
			File: "log/recovery.go",
			Old:  `	if f.header == headerGood && !r.continues(t.header) {`,
			New: `	if f.header == headerGood && len(r.log.segments) > 0 {
		r.chain = t.header.chain
	} else if f.header == headerGood && !r.continues(t.header) {`,
		}}, gapsInLog...),
	},
	{
		Tests:  "./log",
		ID:     "M22b",
		Title:  "a checksum that is wrong ends the log",
		Rules:  "R19",
		Expect: []string{"I-RECOVER", "I-DUR", "I-LC"},
		Faults: []string{"rot", "kill"},
		Edits: []Edit{{
			File: "log/verdict.go",
			Old:  `f.damaged && f.newest && !f.proof },`,
			New:  `f.damaged && f.newest },`,
		}, {
			File: "log/verdict.go",
			Old:  `f.damaged && (!f.newest || f.proof) },`,
			New:  `f.damaged && !f.newest },`,
		}},
	},
	{
		ID:     "M37",
		Title:  "a voter that lost its disk votes at once",
		Rules:  "R5",
		Expect: []string{"I-LC", "I-DUR", "I-LEAD2", "I-PROMISE", "I-ZXIDREAL", "I-RECOVER", "REFINE"},
		Faults: []string{"wipe", "power"},
		Edits: []Edit{{
			File: "log/recovery.go",
			Old:  `	r.fold = fold{silent: len(r.initialize) == 0 && (r.silent || !l.opts.Autocreate)}`,
			New:  `	r.fold = fold{}`,
		}},
	},
}
