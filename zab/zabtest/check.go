package zabtest

import (
	"fmt"
	"slices"

	"quoll/zab"
)

// Checker judges every step. What it knows comes from the disks and from watching what leaves a
// server, so a server that believes something wrong is caught when it acts on it or when its disk
// would, whichever is first. The names are those of zab.md 3.2.
type Checker struct {
	env *Env
	err error

	proposals map[zab.Zxid]proposal
	leaders   map[zab.Epoch]leadership
	initial   map[zab.Epoch]zab.Zxid // end of I[e]
	promised  map[zab.ServerID]zab.Epoch

	// Canon is the committed sequence. A txn enters it when a quorum of voters holds it durably,
	// each under the current epoch it was proposed in, or when it is in an initial history whose
	// epoch is the durable current one of a quorum. A copy that an unfinished synchronization
	// left behind does not count (example X1).
	canon    []zab.Zxid
	by       []zab.Epoch      // in which each of them was committed; its own or a later one
	place    map[zab.Zxid]int // index in canon
	holders  map[zab.Zxid]*zab.Set
	adopters map[zab.Epoch]*zab.Set

	applied map[zab.ServerID]int // length of canon that its tree shows
	highest zab.Zxid             // highest zxid delivered anywhere
	asks    map[ask]zab.Zxid     // highest when the barrier was asked
}

type proposal struct {
	before zab.Zxid
	data   string
}

type leadership struct {
	server      zab.ServerID
	life        int
	incarnation uint64
}

type ask struct {
	server zab.ServerID
	id     uint64
}

func newChecker(e *Env) *Checker {
	return &Checker{
		env:       e,
		proposals: make(map[zab.Zxid]proposal),
		leaders:   make(map[zab.Epoch]leadership),
		initial:   make(map[zab.Epoch]zab.Zxid),
		promised:  make(map[zab.ServerID]zab.Epoch),
		place:     make(map[zab.Zxid]int),
		holders:   make(map[zab.Zxid]*zab.Set),
		adopters:  make(map[zab.Epoch]*zab.Set),
		applied:   make(map[zab.ServerID]int),
		asks:      make(map[ask]zab.Zxid),
	}
}

// fail notes the first broken invariant; what follows it is noise.
func (c *Checker) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
		c.env.logf("BROKEN %v", c.err)
	}
}

// proposed: a leader gave data a zxid (I-UNIQ, I-PROPEST).
func (c *Checker) proposed(s *Server, z zab.Zxid, data string) {
	if l := c.leaders[z.Epoch()]; l != c.leadership(s) {
		c.fail("I-UNIQ: %s proposes %s, but the leader of that epoch is %s", Name(s.ID), Z(z), Name(l.server))
	}
	if old, ok := c.proposals[z]; ok {
		c.fail("I-UNIQ: %s proposes %q at %s, which is %q", Name(s.ID), data, Z(z), old.data)
	}
	c.proposals[z] = proposal{before: s.Disk.all.generation.lastOr(s.out.Persist), data: data}
}

// lastOr returns what z, the last txn of recs, follows: the txn before it in recs or on the disk.
func (g *generation) lastOr(recs []zab.Record) zab.Zxid {
	before := g.last()
	var last zab.Zxid
	for _, r := range recs {
		if r.Kind != zab.RecordTxn {
			continue
		}
		if last != 0 {
			before = last
		}
		last = r.Zxid
	}
	return before
}

func (c *Checker) leadership(s *Server) leadership {
	return leadership{server: s.ID, life: s.lives, incarnation: s.Peer.Incarnation()}
}

// appending: a record goes into a log (I-MATCH, I-INTEGRITY, I-TRUNC). Histories that share a zxid
// are equal up to it if and only if each zxid has one data and one predecessor everywhere.
func (c *Checker) appending(s *Server, r zab.Record) {
	switch r.Kind {
	case zab.RecordTxn:
		p, ok := c.proposals[r.Zxid]
		switch {
		case !ok:
			c.fail("I-INTEGRITY: %s logs %s, which nobody proposed", Name(s.ID), Z(r.Zxid))
		case p.data != string(r.Data):
			c.fail("I-MATCH: %s logs %q at %s, proposed was %q", Name(s.ID), r.Data, Z(r.Zxid), p.data)
		}
	case zab.RecordTruncate:
		if n := len(c.canon); n > 0 && s.Disk.all.generation.covers(c.canon[n-1]) && r.Zxid < c.canon[n-1] {
			c.fail("I-TRUNC: %s truncates to %s, committed is %s", Name(s.ID), Z(r.Zxid), Z(c.canon[n-1]))
		}
	default:
	}
}

// chain checks predecessors in the history that a fold ends with.
func (c *Checker) chain(s *Server) {
	for _, g := range []*generation{&s.Disk.all.generation, s.Disk.all.aside} {
		if g == nil {
			continue
		}
		before := g.base
		for _, t := range g.txns {
			if p := c.proposals[t.Zxid]; p.before != before {
				c.fail("I-MATCH: on %s %s follows %s, elsewhere %s", Name(s.ID), Z(t.Zxid), Z(before), Z(p.before))
			}
			before = t.Zxid
		}
	}
}

// refused: nobody here breaks the protocol, so whoever sees it broken is wrong (I-CONN). A server
// may be sent away as too recent, or leave a leader whose epoch is too old, or be too slow.
func (c *Checker) refused(s *Server, v zab.Violation) {
	switch v.Kind {
	case 0, zab.FollowerInfo, zab.LeaderInfo, zab.AckEpoch:
	default:
		if !c.env.forged {
			c.fail("I-CONN: %s refuses %v: %s", Name(s.ID), v.Kind, v.Text)
		}
	}
}

// attested: a message that waited for the disk leaves (I-PROMISE, I-ACK, I-ACKNL, I-ZXIDREAL).
func (c *Checker) attested(s *Server, m *zab.Message) {
	f := &s.Disk.durable
	switch m.Kind {
	case zab.FollowerInfo, zab.LeaderInfo:
		if f.accepted < m.Epoch {
			c.fail("I-PROMISE: %s sends %s, durable is %d", Name(s.ID), Describe(m), f.accepted)
		}
	case zab.AckEpoch:
		e := s.Peer.Epoch()
		if f.accepted < e {
			c.fail("I-PROMISE: %s promises %d, durable is %d", Name(s.ID), e, f.accepted)
		}
		if f.current != m.Epoch || f.generation.last() != m.Zxid {
			c.fail("I-ZXIDREAL: %s sends %s, durable is current=%d last=%s", Name(s.ID), Describe(m),
				f.current, Z(f.generation.last()))
		}
		c.promised[s.ID] = max(c.promised[s.ID], e)
	case zab.Ack:
		e, z := m.Zxid.Epoch(), m.Zxid
		if z.Counter() == 0 {
			z = c.initial[e]
			if f.current != e {
				c.fail("I-ACKNL: %s acks NEWLEADER(%d), durable current epoch is %d", Name(s.ID), e, f.current)
			}
		}
		if !f.generation.covers(z) {
			c.fail("I-ACK: %s acks %s, durable is %s", Name(s.ID), Z(m.Zxid), Z(f.generation.last()))
		}
	default:
	}
}

// sending: a message leaves at once, so it must not attest anything.
func (c *Checker) sending(s *Server, env zab.Envelope) {
	if l, i := c.env.find(env.Link); l != nil && l.ends[i].open {
		c.attested(s, env.Msg)
	}
}

// synced: one more record is durable. Copies are counted towards Canon.
func (c *Checker) synced(s *Server, r zab.Record) {
	f := &s.Disk.durable
	switch r.Kind {
	case zab.RecordTxn:
		g := &f.generation
		if n := len(g.txns); f.aside == nil && g.txns[n-1].own {
			c.hold(s, r.Zxid)
		}
	case zab.RecordCurrentEpoch:
		c.adopt(s, r.Epoch, &f.generation)
	default:
	}
}

func (c *Checker) hold(s *Server, z zab.Zxid) {
	set := c.holders[z]
	if set == nil {
		set = new(zab.Set)
		c.holders[z] = set
	}
	set.Add(s.ID)
	if c.env.ensemble.Quorum(*set) {
		c.extend(z, z.Epoch())
	}
}

// adopt: an epoch became a durable current one. Its initial history must be durable by now: the
// order of these two is what ZOOKEEPER-4643 is about (I-CEHIST).
func (c *Checker) adopt(s *Server, e zab.Epoch, g *generation) {
	end, ok := c.initial[e]
	if !ok || !g.covers(end) {
		c.fail("I-CEHIST: %s has current epoch %d, but %s and not its initial history up to %s",
			Name(s.ID), e, Z(g.last()), Z(end))
	}
	set := c.adopters[e]
	if set == nil {
		set = new(zab.Set)
		c.adopters[e] = set
	}
	set.Add(s.ID)
	if c.env.ensemble.Quorum(*set) {
		c.extend(end, e)
	}
}

// extend: epoch e has committed everything up to z (T1: Canon only grows at its end).
func (c *Checker) extend(z zab.Zxid, e zab.Epoch) {
	if _, ok := c.place[z]; ok || z == 0 {
		return
	}
	var tail []zab.Zxid
	for ; z != 0; z = c.proposals[z].before {
		if i, ok := c.place[z]; ok {
			if i != len(c.canon)-1 {
				c.fail("T1: %s and %s are both committed and on different branches",
					Z(tail[0]), Z(c.canon[len(c.canon)-1]))
				return
			}
			break
		}
		tail = append(tail, z)
	}
	if z == 0 && len(c.canon) > 0 {
		c.fail("T1: %s is committed and does not follow %s", Z(tail[0]), Z(c.canon[len(c.canon)-1]))
		return
	}
	slices.Reverse(tail)
	for _, z := range tail {
		c.place[z] = len(c.canon)
		c.canon = append(c.canon, z)
		c.by = append(c.by, e)
	}
}

func (c *Checker) last() zab.Zxid {
	if len(c.canon) == 0 {
		return 0
	}
	return c.canon[len(c.canon)-1]
}

// started: the tree of a new process is that of its snapshot.
func (c *Checker) started(s *Server) {
	c.applied[s.ID] = 0
	if z := s.Peer.Delivered(); z != 0 {
		c.installed(s, z)
	}
}

// installed: a snapshot became the tree (I-SNAP).
func (c *Checker) installed(s *Server, z zab.Zxid) {
	i, ok := c.place[z]
	if !ok || len(s.tree) != i+1 {
		c.fail("I-SNAP: the snapshot of %s at %s holds %d txns", Name(s.ID), Z(z), len(s.tree))
		return
	}
	for k, t := range s.tree {
		if t.Zxid != c.canon[k] || string(t.Data) != c.proposals[t.Zxid].data {
			c.fail("I-SNAP: the snapshot of %s at %s holds %s at place %d", Name(s.ID), Z(z), Z(t.Zxid), k)
			return
		}
	}
	c.applied[s.ID] = i + 1
}

// delivered: a txn is applied; trees are prefixes of Canon (I-PREFIX).
func (c *Checker) delivered(s *Server, t zab.Txn) {
	n := c.applied[s.ID]
	if n >= len(c.canon) || c.canon[n] != t.Zxid {
		c.fail("I-PREFIX: %s delivers %s at place %d, committed is %s", Name(s.ID), Z(t.Zxid), n, Z(c.last()))
	}
	if !s.Disk.durable.generation.covers(t.Zxid) {
		c.fail("I-APPLY: %s delivers %s before it is durable there", Name(s.ID), Z(t.Zxid))
	}
	c.applied[s.ID] = n + 1
	c.highest = max(c.highest, t.Zxid)
}

func (c *Checker) asked(s *Server, id uint64) { c.asks[ask{s.ID, id}] = c.highest }

// answered: a barrier covers all that anybody could have seen when it was asked (R28).
func (c *Checker) answered(s *Server, b zab.BarrierDone) {
	if seen, ok := c.asks[ask{s.ID, b.ID}]; !ok || b.Zxid < seen {
		c.fail("C-SYNC: %s answers %d at %s, %s was visible when it was asked", Name(s.ID), b.ID, Z(b.Zxid), Z(seen))
	}
}

// step checks the state of everything.
func (c *Checker) step() {
	if c.err != nil {
		return
	}
	var durable zab.Set
	for _, s := range c.env.servers {
		f := &s.Disk.durable
		if f.generation.covers(c.last()) {
			durable.Add(s.ID)
		}
		if f.accepted < c.promised[s.ID] {
			c.fail("I-PROMISE: %s promised %d, durable is %d", Name(s.ID), c.promised[s.ID], f.accepted)
		}
		c.epochHistory(s)
		if s.Peer != nil {
			c.server(s)
		}
	}
	if len(c.canon) > 0 && !c.env.ensemble.Quorum(durable) {
		c.fail("I-DUR: %s is committed and no longer on a quorum of disks", Z(c.last()))
	}
}

// epochHistory: who has a durable current epoch holds all that earlier epochs committed (I-CEHIST).
// What is older but was committed by a later epoch does not count: this one may have lost against
// it (example X1).
func (c *Checker) epochHistory(s *Server) {
	f := &s.Disk.durable
	if z := c.before(f.current); !f.generation.covers(z) {
		c.fail("I-CEHIST: %s has current epoch %d without %s, which was committed before",
			Name(s.ID), f.current, Z(z))
	}
}

// before returns the last zxid that was committed by an epoch before e.
func (c *Checker) before(e zab.Epoch) zab.Zxid {
	n, _ := slices.BinarySearch(c.by, e)
	if n == 0 {
		return 0
	}
	return c.canon[n-1]
}

// server checks one running peer.
func (c *Checker) server(s *Server) {
	p := s.Peer
	if p.Role() == zab.Leading && p.Phase() >= zab.Synchronization {
		e, l := p.Epoch(), c.leadership(s)
		if old, ok := c.leaders[e]; ok && old != l {
			c.fail("I-LEAD2: epoch %d has two leaders, %s and %s", e, Name(old.server), Name(s.ID))
		}
		c.leaders[e] = l
		if _, ok := c.initial[e]; !ok {
			c.initial[e] = p.LastLogged()
		}
		if z := c.before(e); !s.Disk.all.generation.covers(z) {
			c.fail("I-LC: %s leads epoch %d without %s, which is committed", Name(s.ID), e, Z(z))
		}
	}
	if z := p.Committed(); z != 0 {
		if _, ok := c.place[z]; !ok {
			c.fail("I-COMMITQ: %s takes %s for committed, it is %s", Name(s.ID), Z(z), Z(c.last()))
		}
	}
	if z := p.Delivered(); z > p.Committed() || !s.Disk.durable.generation.covers(z) {
		c.fail("I-APPLY: %s applied %s, committed %s, durable %s", Name(s.ID), Z(z), Z(p.Committed()),
			Z(s.Disk.durable.generation.last()))
	}
	if len(s.tree) > 0 && s.tree[len(s.tree)-1].Zxid != p.Delivered() {
		c.fail("I-TREE: tree of %s at %s, delivered is %s", Name(s.ID), Z(s.tree[len(s.tree)-1].Zxid), Z(p.Delivered()))
	}
	if p.LastLogged() != s.Disk.all.generation.last() {
		c.fail("I-ZXIDREAL: %s says it logged %s, its log ends at %s", Name(s.ID), Z(p.LastLogged()),
			Z(s.Disk.all.generation.last()))
	}
	c.chain(s)
	c.consistent(s)
}

// consistent: a learner in broadcast holds nothing that its leader does not hold (I-PS).
func (c *Checker) consistent(s *Server) {
	p := s.Peer
	if p.Phase() != zab.Broadcast || p.Role() == zab.Leading {
		return
	}
	l := c.env.servers[p.Leader()-1]
	if l.Peer == nil || l.Peer.Role() != zab.Leading || l.Peer.Epoch() != p.Epoch() {
		return
	}
	if !l.Disk.all.generation.covers(p.LastLogged()) {
		c.fail("I-PS: %s has %s, its leader %s has not", Name(s.ID), Z(p.LastLogged()), Name(l.ID))
	}
}

// finish checks what holds after convergence: the same log and the same tree everywhere.
func (c *Checker) finish() error {
	for _, s := range c.env.servers {
		if c.err == nil && c.applied[s.ID] != len(c.canon) {
			c.fail("L-CONV: %s applied %d txns of %d", Name(s.ID), c.applied[s.ID], len(c.canon))
		}
	}
	return c.err
}
