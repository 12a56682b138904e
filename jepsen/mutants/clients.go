package mutants

// clients are the mutants of sessions, watches and the order of answers.
var clients = []Mutant{
	{
		ID:      "M11",
		Title:   "a follower expires sessions by its own clock",
		Rules:   "R12 R25",
		Adapted: "Only the leader has deadlines, so the server that took a session in gets one of its own: it forgets a session that has not been heard of here for its time-out, one that has moved away for instance.",
		Expect:  []string{"I-SESS", "I-TREE", "I-EPH", "C-READ", "panic"},
		Faults:  []string{"clients"},
		Edits: []Edit{{
			File: "peer.go",
			Old: `type Peer struct {
`,
			New: `type Peer struct {
	heard map[zab.SessionID]int64
`,
		}, {
			File: "peer.go",
			Old: `	p.now++
	p.zab.Tick(&out.Actions)
`,
			New: `	p.now++
	p.zab.Tick(&out.Actions)
	if p.serving && !p.leads() {
		p.expireHere()
	}
`,
		}, {
			File: "peer_lead.go",
			Old: `	if p.leads() {
		p.touch(ids)
		return
	}
`,
			New: `	if p.heard == nil {
		p.heard = make(map[zab.SessionID]int64)
	}
	for _, id := range ids {
		p.heard[id] = p.now
	}
	if p.leads() {
		p.touch(ids)
		return
	}
`,
		}, {
			File: "peer_lead.go",
			Old:  `// expire ends the sessions that nobody heard from`,
			New: `// expireHere forgets the sessions that this server took in and has not heard of.
func (p *Peer) expireHere() {
	var over []zab.SessionID
	p.tree.EachSession(func(s *tree.Session) bool {
		at, ok := p.heard[s.ID]
		if ok && zab.ServerID(uint64(s.ID)>>56) == p.cfg.ID && p.now-at > ticksOf(s.TimeoutMs, p.cfg.TickMs) {
			over = append(over, s.ID)
		}
		return true
	})
	for _, id := range over {
		delete(p.heard, id)
		p.tree.Expire(id)
	}
}

// expire ends the sessions that nobody heard from`,
		}, {
			File: "tree/sessions.go",
			Old:  `// SessionCount returns the number of sessions.`,
			New: `// Expire forgets a session and what it owns.
func (t *Tree) Expire(id zab.SessionID) {
	i, ok := t.sessions.byID[id]
	if !ok {
		return
	}
	var paths [][]byte
	t.EachEphemeral(id, func(path []byte) bool {
		paths = append(paths, slices.Clone(path))
		return true
	})
	r := &Result{Zxid: t.applied}
	for _, path := range paths {
		t.remove(path, r)
	}
	t.sum -= sessionTerm(t.sessions.slots.At(i))
	t.sessions.remove(i)
}

// SessionCount returns the number of sessions.`,
		}},
	},
	{
		ID:     "M12a",
		Title:  "a watch fires after the answer that shows its change",
		Rules:  "R29",
		Expect: []string{"C-WATCH1"},
		Edits: []Edit{{
			File: "peer_apply.go",
			Old: `	for i := range r.Changes {
		p.fire(&r.Changes[i], r.Zxid, sink)
	}
	if own {
		sink.Reply(req.Ticket, r)
	}
`,
			New: `	if own {
		sink.Reply(req.Ticket, r)
	}
	for i := range r.Changes {
		p.fire(&r.Changes[i], r.Zxid, sink)
	}
`,
		}},
	},
	{
		ID:      "M12b",
		Title:   "a watch fires when the next txn is applied",
		Rules:   "R29",
		Adapted: "Nothing can be read before a change is visible: the change and its events are one step. This is the other side, events that come late for everybody.",
		Expect:  []string{"C-WATCH1", "C-WATCH3"},
		Edits: []Edit{{
			File: "peer.go",
			Old: `type Peer struct {
`,
			New: `type Peer struct {
	late []func() // watches that are still to fire
`,
		}, {
			File: "peer_apply.go",
			Old: `	for i := range r.Changes {
		p.fire(&r.Changes[i], r.Zxid, sink)
	}
`,
			New: `	late := p.late
	p.late = nil
	for _, fire := range late {
		fire()
	}
	for _, c := range r.Changes {
		c.Path = append([]byte(nil), c.Path...)
		z := r.Zxid
		p.late = append(p.late, func() { p.fire(&c, z, sink) })
	}
`,
		}},
	},
	{
		ID:     "M13a",
		Title:  "sync is answered at once by the server that is asked",
		Rules:  "R28",
		Expect: []string{"C-SYNC", "C-LINW"},
		Faults: []string{"partition"},
		Edits: []Edit{{
			File: "peer_asks.go",
			Old:  `		p.zab.Barrier(a.id, &out.Actions)`,
			New:  `		a.confirmed, a.at = true, p.tree.Applied()`,
		}},
	},
	{
		ID:      "M13b",
		Title:   "the leader answers sync without asking a quorum",
		Rules:   "R28",
		Adapted: "ZOOKEEPER-1675: what was proposed before must be committed, and that is all.",
		Expect:  []string{"C-SYNC", "C-LINW"},
		Faults:  []string{"links", "pause", "starve"},
		Edits: []Edit{{
			File: "zab/barrier.go",
			Old:  `	for ; n < len(c.waiting) && c.waiting[n].round <= c.confirmed && c.waiting[n].zxid <= p.committed; n++ {`,
			New:  `	for ; n < len(c.waiting) && c.waiting[n].zxid <= p.committed; n++ {`,
		}},
	},
	{
		ID:     "M32a",
		Title:  "a session that moves keeps its owner",
		Rules:  "R27",
		Expect: []string{"L-OPS", "L-SESS", "C-SESS", "C-FIFO"},
		Faults: []string{"clients"},
		Edits: []Edit{{
			File: "peer_lead.go",
			Old: `	p.lead.owners.Move(r.Session, r.ID.Boot)
`,
			New: ``,
		}},
	},
	{
		ID:     "M32b",
		Title:  "a server that a session has left still writes for it",
		Rules:  "R27",
		Expect: []string{"C-FIFO", "C-SESS", "C-LINW", "C-ONCE"},
		Faults: []string{"clients", "partition"},
		Edits: []Edit{{
			File: "peer_lead.go",
			Old:  `	return !p.lead.owners.Admit(r.Session, r.ID.Boot)`,
			New: `	p.lead.owners.Admit(r.Session, r.ID.Boot)
	return false`,
		}},
	},
	{
		ID:      "M33",
		Title:   "a client is taken in that has seen more than the server",
		Rules:   "R27",
		Adapted: "Two things keep such a client waiting: the zxid that it brings along, and the leader's answer about its session, which counts only when the server has applied what the leader had committed. Either alone is enough, so both go.",
		Expect:  []string{"C-MONO", "C-RYW"},
		Faults:  []string{"clients", "partition"},
		Edits: []Edit{{
			File: "peer_conn.go",
			Old:  `	if d.Err() != nil || zab.Zxid(max(req.LastZxidSeen, 0)) > p.tree.Applied() {`,
			New:  `	if d.Err() != nil {`,
		}, {
			File: "peer_lead.go",
			Old:  `Revalidation: q.Revalidation, Zxid: q.at}`,
			New:  `Revalidation: q.Revalidation}`,
		}},
	},
	{
		ID:      "M34",
		Title:   "the leader answers a write when it has proposed it",
		Rules:   "R16",
		Adapted: "A create or a delete of its own client, when no earlier request of that is open: their answers need nothing of the tree. The request stays in the queue, and its second answer is left out.",
		Expect:  []string{"C-MONO", "C-RYW", "C-DUR", "C-READ", "C-WATCH1", "C-LINW"},
		Faults:  []string{"leader", "power"},
		Edits: []Edit{{
			File: "peer.go",
			Old: `type Peer struct {
`,
			New: `type Peer struct {
	recent zab.Txn // the last that was proposed
`,
		}, {
			File: "peer_requests.go",
			Old: `			p.propose(&r.Request, p.cfg.ID, out)
`,
			New: `			t := r.Ticket
			p.propose(&r.Request, p.cfg.ID, out)
			p.answerEarly(t, out)
`,
		}, {
			File: "peer_requests.go",
			Old: `	p.zab.Propose(slices.Clip(data), &out.Actions)
`,
			New: `	p.recent = zab.Txn{Zxid: p.zab.Propose(slices.Clip(data), &out.Actions), Data: data}
`,
		}, {
			File: "peer_asks.go",
			Old: `	"quoll/transport/wire"
`,
			New: `	"quoll/transport/wire"
	"quoll/tree"
`,
		}, {
			File: "peer_asks.go",
			Old: `type Answer struct {
`,
			New: `type Answer struct {
	early *tree.Result
`,
		}, {
			File: "peer_lead.go",
			Old:  `// expire ends the sessions that nobody heard from`,
			New: `// answerEarly answers what was just proposed, if the tree is not needed for that.
func (p *Peer) answerEarly(t Ticket, out *Actions) {
	txn := p.recent
	p.recent = zab.Txn{}
	h, err := tree.DecodeHeader(txn.Data)
	if txn.Zxid == 0 || err != nil || h.Op != wire.OpCreate && h.Op != wire.OpDelete {
		return
	}
	d := jute.NewDecoder(txn.Data[40:])
	if d.Int() != int32(wire.OK) {
		return
	}
	r := &tree.Result{Header: h, Zxid: txn.Zxid, Path: d.Buffer()}
	out.Answers = append(out.Answers, Answer{Ticket: t, early: r})
}

// expire ends the sessions that nobody heard from`,
		}, {
			File: "peer_conn.go",
			Old: `	case c.Close:
	case a.Revalidation != nil && c.state != joining:`,
			New: `	case c.Close:
	case a.early != nil:
		if n, ok := c.pipe.Head(); ok && n == a.Seq {
			p.Reply(c, a.Ticket, a.early)
		}
	case a.Revalidation != nil && c.state != joining:`,
		}, {
			File: "peer_conn.go",
			Old:  `	if p.Before(c, t); c.Close {`,
			New: `	if c.pipe.Answered(t.Seq) {
		return
	}
	if p.Before(c, t); c.Close {`,
		}},
	},
	{
		ID:     "M36",
		Title:  "sessions expire by the clock on the wall",
		Rules:  "R31",
		Expect: []string{"L-SESS", "C-EPHLIFE", "C-SESS"},
		Faults: []string{"clock"},
		Edits: []Edit{{
			File: "peer_lead.go",
			Old:  `ticksOf(s.TimeoutMs, p.cfg.TickMs), p.now)`,
			New:  `ticksOf(s.TimeoutMs, p.cfg.TickMs), p.wallMs/p.cfg.TickMs)`,
		}, {
			File: "peer_lead.go",
			Old:  `p.lead.expiry.Touch(id, p.now)`,
			New:  `p.lead.expiry.Touch(id, p.wallMs/p.cfg.TickMs)`,
		}, {
			File: "peer_lead.go",
			Old:  `p.lead.expiry.Advance(p.now, `,
			New:  `p.lead.expiry.Advance(p.wallMs/p.cfg.TickMs, `,
		}, {
			File: "peer_lead.go",
			Old:  `ticksOf(r.TimeoutMs, p.cfg.TickMs), p.now)`,
			New:  `ticksOf(r.TimeoutMs, p.cfg.TickMs), p.wallMs/p.cfg.TickMs)`,
		}, {
			File: "peer_apply.go",
			Old:  `p.lead.opened(r, p.now, p.cfg.TickMs)`,
			New:  `p.lead.opened(r, p.wallMs/p.cfg.TickMs, p.cfg.TickMs)`,
		}},
	},
}
