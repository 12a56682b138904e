package zabtest

import (
	"slices"

	"quoll/zab"
)

// Checker judges what the servers of an ensemble do: the state invariants of zab.md 3.2 and the step
// invariants of 3.3, as far as they concern Zab. What it knows comes from the disks and from watching
// what leaves a server, so a server that believes something wrong is caught when it acts on it or
// when its disk would, whichever is first. The first broken invariant is kept, see Err.
//
// Whoever performs the Actions of a server tells it, in this order: Turn before anything is
// performed; Appended, Synced, Leaves, Delivered, Installed, Answered as these things happen; Step
// when the turn is over. Appended may come later than the turn whose records it brings, as it does
// when a disk has a queue; what belongs to Send, Deliver and Install happens before Step. Heard comes before
// the Peer is given a message, Responds when a client is answered, in a turn or between two. A process
// begins with Recovered, before its Peer is asked anything, and ends with Stopped.
//
// # What it costs
//
// Nothing here walks over a history or over Canon. Each record costs a lookup, each message a
// comparison with its link, and Step some comparisons of numbers that only ever grow. The tree of txns
// (see txn) makes a history a pointer, and how far a disk covers Canon is one number of the server.
//
// # Budget
//
// A wiped server has forgotten its promises, and no protocol survives any number of these. See
// Expendable for what it may have attested when it is wiped.
type Checker struct {
	// OnDurable, when it is set, is given each record that becomes durable, in the order of its log.
	OnDurable func(*Subject, zab.Record)
	// Forged: somebody puts messages on links that no server sent. Nobody is blamed then for
	// what a receiver refuses (I-CONN).
	Forged bool
	// Heeds says which invariants are looked at, by name; nil: all. What happens behind the first one
	// that is broken and not heeded may be judged wrongly.
	Heeds func(name string) bool

	// TxnBytes is how large the data of a txn may be; 0: as large as it likes (I-BUDGET).
	TxnBytes int

	ensemble *zab.Ensemble
	err      *Broken
	servers  []*server
	byID     [256]*server

	txns  map[zab.Zxid]*txn // Prop
	store []txn             // from which they are taken

	epochs   []*epoch // ascending
	byNumber map[zab.Epoch]*epoch

	// Canon is the committed sequence. A txn enters it when a quorum of voters holds it durably,
	// each having appended it when both its epochs were that of the txn, or when it is in an
	// initial history whose epoch was the durable current one of a quorum. A copy that an
	// unfinished synchronization left behind does not count (example X1): it may find the current
	// epoch that it names, but never the accepted one.
	canon []zab.Zxid
	end   *txn        // last of Canon
	by    []zab.Epoch // in which each was committed, its own or a later one; ascending

	recount bool     // who covers Canon has changed: I-DUR is to be looked at
	reached int      // txns of Canon that some tree has shown
	highest zab.Zxid // highest zxid delivered anywhere
	last    *epoch   // highest epoch in which something was proposed

	seen [numSituations]int
}

// Subject is a server as the Checker sees it. Its owner keeps it up to date.
type Subject struct {
	ID   zab.ServerID
	Peer *zab.Peer // nil: down
	Disk *Disk
	Life int // numbers the processes that ran on the disk
}

// server is what the Checker knows about a Subject.
type server struct {
	*Subject
	voter bool

	// On the disk.
	cover  int       // txns of Canon that its durable history holds: a prefix
	owes   int       // txns of Canon that its durable current epoch obliges it to hold
	silent bool      // it says that it has lost its disk and must not vote
	wiped  bool      // it was wiped and no leader has synced it since
	vowed  zab.Epoch // highest epoch that it promised to anybody
	acked  zab.Zxid  // highest zxid that it acked in the durable current epoch

	// Of the present process.
	view    view     // as the last Step found it
	handed  uint64   // records that its Peer handed out
	taken   uint64   // records that were appended
	mute    uint64   // of those handed out, the last one of which a copy does not count
	leads   *epoch   // in which it leads and is past discovery
	checked int      // length of Canon when its history was last compared with it (I-LC)
	linear  zab.Zxid // end of its history when that was last compared with its leader's (I-PS)
	applied int      // txns of Canon that its tree shows
	ends    beliefs
	asks    map[uint64]zab.Zxid // highest zxid delivered anywhere when a barrier was asked
	told    uint64              // incarnation in which a leader told it that it is up to date
	knows   zab.Zxid            // highest zxid that it took for committed in broadcast
	links   []*link
	dying   bool // some of them are closed
	closed  map[zab.LinkID]bool
}

// unlooked is no zxid of a txn.
const unlooked = ^zab.Zxid(0)

// view is what a Peer shows.
type view struct {
	role                 zab.Role
	phase                zab.Phase
	incarnation          uint64
	epoch                zab.Epoch
	committed, delivered zab.Zxid
}

func look(p *zab.Peer) view {
	return view{
		role: p.Role(), phase: p.Phase(), incarnation: p.Incarnation(), epoch: p.Epoch(),
		committed: p.Committed(), delivered: p.Delivered(),
	}
}

// NewChecker returns the Checker of an ensemble whose servers are all down, with empty disks.
func NewChecker(e *zab.Ensemble, subjects []*Subject) *Checker {
	c := &Checker{
		ensemble: e,
		txns:     map[zab.Zxid]*txn{0: genesis},
		byNumber: make(map[zab.Epoch]*epoch),
		end:      genesis,
	}
	for _, s := range subjects {
		sv := &server{Subject: s, voter: e.IsVoter(s.ID)}
		c.servers = append(c.servers, sv)
		c.byID[s.ID] = sv
	}
	return c
}

// Err returns the first broken invariant, nil while there is none.
func (c *Checker) Err() *Broken { return c.err }

// Canon returns the committed sequence. It only grows, and must not be changed.
func (c *Checker) Canon() []zab.Zxid { return c.canon }

// Committed reports whether z is in Canon.
func (c *Checker) Committed(z zab.Zxid) bool {
	_, ok := c.InCanon(z)
	return ok
}

// InCanon returns the place of z in Canon.
func (c *Checker) InCanon(z zab.Zxid) (place int, ok bool) {
	t := c.txns[z]
	if t == nil || !t.committed || t == genesis {
		return 0, false
	}
	return t.depth - 1, true
}

// Data returns what was proposed at z, nil if nothing was. It must not be changed.
func (c *Checker) Data(z zab.Zxid) []byte {
	if t := c.txns[z]; t != nil {
		return t.Data
	}
	return nil
}

// Applied returns how many txns of Canon the tree of s shows.
func (c *Checker) Applied(s *Subject) int { return c.byID[s.ID].applied }

// Covers returns how many txns of Canon the durable history of s holds, always from the first on.
func (c *Checker) Covers(s *Subject) int { return c.byID[s.ID].cover }

// before returns how many txns of Canon were committed by epochs before e.
func (c *Checker) before(e zab.Epoch) int {
	n := len(c.by)
	if n > 0 && c.by[n-1] < e {
		return n
	}
	n, _ = slices.BinarySearch(c.by, e)
	return n
}

// Step checks the state of s, and what s can have changed for the ensemble.
func (c *Checker) Step(s *Subject) {
	if c.err != nil {
		return
	}
	sv := c.byID[s.ID]
	c.disk(sv)
	if c.recount {
		c.recount = false
		c.durability()
	}
	if s.Peer != nil {
		c.peer(sv)
	}
}

// disk checks what must hold of a disk, whether its server runs or not.
func (c *Checker) disk(s *server) {
	f := &s.Disk.durable
	if f.accepted < s.vowed {
		c.failf(s, "I-PROMISE", "promised %d, durable is %d", s.vowed, f.accepted)
	}
	if s.acked.Epoch() == f.current && s.acked > f.history.last.Zxid {
		c.failf(s, "I-ACK", "acked %s, durable is %s", Z(s.acked), Z(f.history.last.Zxid))
	}
	c.obliged(s)
}

// durability demands that Canon is on a quorum of disks, now and for ever (I-DUR). Canon is one
// history, so its end says it for all of it. A silent voter does not count, whatever it holds.
func (c *Checker) durability() {
	var holders zab.Set
	for _, s := range c.servers {
		if s.voter && !s.silent && s.cover == len(c.canon) {
			holders.Add(s.ID)
		}
	}
	if len(c.canon) > 0 && !c.ensemble.Quorum(holders) {
		c.failf(nil, "I-DUR", "%s is committed and not on a quorum of disks: %s have it",
			Z(c.end.Zxid), names(holders))
	}
}

// obliged: who has a durable current epoch holds all that earlier epochs committed (I-CEHIST). What
// is older but was committed by a later epoch does not count: this one may have lost against it
// (example X1).
func (c *Checker) obliged(s *server) {
	if s.cover < s.owes {
		c.failf(s, "I-CEHIST", "has current epoch %d without %s, which epoch %d committed",
			s.Disk.durable.current, Z(c.canon[s.cover]), c.by[s.cover])
	}
}

// peer checks a running server.
func (c *Checker) peer(s *server) {
	p, was, now := s.Peer, s.view, look(s.Peer)
	if now.incarnation != was.incarnation {
		s.checked, s.linear = -1, unlooked
	}
	c.edge(s, was, now)
	c.leading(s, now)
	if now.committed != was.committed {
		c.commits(s, now.committed)
	}
	if now.delivered != was.delivered {
		if t := c.txns[now.delivered]; t == nil || !t.committed || t.depth > s.cover {
			c.failf(s, "I-APPLY", "applied %s, durable is %s", Z(now.delivered), Z(s.Disk.durable.history.last.Zxid))
		}
	}
	if now.delivered > now.committed || s.applied > s.cover {
		c.failf(s, "I-APPLY", "applied %s, committed is %s, durable %s", Z(now.delivered), Z(now.committed),
			Z(s.Disk.durable.history.last.Zxid))
	}
	if last := s.Disk.all.history.last.Zxid; s.handed == s.taken && p.LastLogged() != last {
		c.failf(s, "I-ZXIDREAL", "says it logged %s, its log ends at %s", Z(p.LastLogged()), Z(last))
	}
	if !s.ends.reach(belief{p.CurrentEpoch(), p.LastDurable()}) {
		c.failf(s, "I-ZXIDREAL", "takes (%d %s) for durable, that is %s", p.CurrentEpoch(), Z(p.LastDurable()),
			s.ends.newest())
	}
	if p.AcceptedEpoch() > s.Disk.durable.accepted {
		c.failf(s, "I-PROMISE", "takes its promise of %d for durable, that is %d", p.AcceptedEpoch(),
			s.Disk.durable.accepted)
	}
	if was.role != zab.Looking && now.role != zab.Looking {
		s.ends.forget()
	}
	if c.broadcasts(s, was, now) || c.broadcasts(s, now, now) {
		s.knows = max(s.knows, now.committed)
	}
	c.consistent(s, now)
	c.wakes(s)
	s.view = now
	s.bury()
}

// wakes: a server that has lost its disk may vote again when a leader has synced it, and not before.
func (c *Checker) wakes(s *server) {
	if !s.silent || s.Peer.Silent() {
		return
	}
	if s.Disk.durable.current == 0 {
		c.failf(s, "I-PROMISE", "takes itself for a voter, and has forgotten what it promised")
	}
	s.silent, c.recount = false, true
	c.seen[silentSynced]++
}

// commits: s takes everything up to z for committed (I-COMMITQ). That it is in Canon is not enough of a
// leader's own proposal: a later epoch may have put it there, which this leader cannot know.
func (c *Checker) commits(s *server, z zab.Zxid) {
	switch t := c.txns[z]; {
	case t == nil || !t.committed:
		c.failf(s, "I-COMMITQ", "takes %s for committed, that is %s", Z(z), Z(c.end.Zxid))
	case s.leads != nil && z.Epoch() == s.leads.number && !c.ensemble.Quorum(t.holders):
		c.failf(s, "I-COMMITQ", "takes %s for committed, and only %s have it from this epoch", Z(z), names(t.holders))
	}
}
