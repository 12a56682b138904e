package model

import (
	"bytes"
	"fmt"
	"slices"

	"quoll/zab"
)

// Zab is the protocol at the level of its paper (Junqueira, Reed, Serafini: Zab, DSN 2011): a state,
// and atomic steps with guards. There are no messages, roles, links or time in it. A simulation
// feeds it what real servers do, and each of that must be a step whose guards hold:
//
//	promise   phase 1: a server promises an epoch           Durable, RecordAcceptedEpoch
//	lead      the promises are closed, I[e] is fixed         Leads
//	sync      phase 2: a history is brought towards I[e]     Durable, RecordTruncate, RecordTxn
//	install   the same, beginning with a snapshot, aside     Durable, RecordInstall, RecordTxn, RecordAbandon
//	adopt     the history is I[e], e the current epoch       Durable, RecordCurrentEpoch
//	propose   phase 3: the leader gives data its place       Proposes
//	accept    a proposal is in a log                         Durable, RecordTxn
//	commit    a quorum has adopted, or accepted              by itself, as part of the above; Commits asks
//	deliver   a tree goes on                                 Delivers, Installs
//
// The state is what is durable: a real server does many things at once, but what it has promised,
// adopted and accepted is what its log says up to the last sync, and the order of its records is the
// order of its steps. What it knows or plans beyond that binds nobody until it leaves the server,
// and then it is durable. So the steps of one server come in the order of its log, and
// those of several in the order of their syncs.
//
// Commitment is computed from the logs alone, as zab.md 3.1 has it: z is committed when a quorum of
// voters has each accepted z under epoch(z) as its current and last promised epoch, or when z is in
// I[e] and a quorum has adopted e. A copy that a synchronization brought counts for nothing until
// its epoch is adopted.
//
// A voter that lost its disk (Wiped) counts for nothing until it has adopted an epoch, as late as any
// that it had promised, and has back what was committed on its word.
//
// All methods cost O(voters), amortized, whatever the length of histories. After an error the model
// is of no more use.
type Zab struct {
	ensemble *zab.Ensemble
	servers  map[zab.ServerID]*server
	epochs   map[zab.Epoch]*epoch
	txns     map[zab.Zxid]*txn // all that was ever proposed, and the root as 0
	canon    *trunk
	highest  zab.Epoch // that anybody ever promised

	waived [numGuards]bool // by tests only
}

// server is what a server has on its disk, and of what it knows besides that which binds it.
type server struct {
	id    zab.ServerID
	voter bool

	accepted zab.Epoch // last one promised; the paper's f.p
	current  zab.Epoch // last one adopted; the paper's f.a
	history  branch    // the paper's h
	aside    *branch   // a snapshot and what followed it, until its epoch is adopted (R10)

	leads     zab.Epoch // of this life; 0: none
	delivered *txn      // last one that its tree shows

	forgetful bool      // its disk was lost
	owes      *txn      // what it must hold again before it counts,
	vowed     zab.Epoch // and the epoch that it must have adopted, or a later one
}

// epoch is what there is to know about one.
type epoch struct {
	promised map[zab.ServerID]summary
	led      int          // how often somebody began to lead it
	leader   zab.ServerID // 0: nobody yet
	initial  branch       // I[e], when it is led
	adopted  zab.Set
	// A quorum had adopted it at some time. That stays so when one of them loses its disk: a leader that
	// was replaced meanwhile need not know, and what it proposes needs a quorum of its own.
	established bool
	tip         *txn                 // last proposal; before the first the end of I[e]
	accepted    map[zab.ServerID]int // place up to which each voter has accepted its proposals
}

// summary is how recent a server was when it promised an epoch.
type summary struct {
	current zab.Epoch
	last    zab.Zxid
}

func (a summary) after(b summary) bool {
	return a.current > b.current || a.current == b.current && a.last > b.last
}

// NewZab returns the model of an ensemble that has never run.
func NewZab(e *zab.Ensemble) *Zab {
	root := &txn{}
	m := &Zab{
		ensemble: e,
		servers:  make(map[zab.ServerID]*server),
		epochs:   make(map[zab.Epoch]*epoch),
		txns:     map[zab.Zxid]*txn{0: root},
		canon:    newTrunk(root),
	}
	for _, member := range e.Members() {
		m.servers[member.ID] = m.blank(member.ID)
	}
	return m
}

func (m *Zab) blank(id zab.ServerID) *server {
	return &server{id: id, voter: m.ensemble.IsVoter(id), history: m.prefix(m.txns[0]), delivered: m.txns[0]}
}

// prefix returns the history up to a committed txn.
func (m *Zab) prefix(t *txn) branch { return branch{canon: m.canon, shared: t.place + 1} }

func (m *Zab) epoch(e zab.Epoch) *epoch {
	ep := m.epochs[e]
	if ep == nil {
		ep = &epoch{promised: make(map[zab.ServerID]summary), accepted: make(map[zab.ServerID]int)}
		m.epochs[e] = ep
	}
	return ep
}

// counts reports whether promises, copies and adoptions of s make quorums: observers' never do.
func (s *server) counts() bool { return s.voter && !s.forgetful }

func (s *server) recency() summary { return summary{s.current, s.history.last().Zxid} }

// Durable tells that the next record of a log is durable: in the order of the log, each before
// anything that waited for it leaves, and records that a new process finds before Restarts.
func (m *Zab) Durable(id zab.ServerID, r zab.Record) error {
	s := m.servers[id]
	switch r.Kind {
	case zab.RecordAcceptedEpoch:
		return m.promise(s, r.Epoch)
	case zab.RecordCurrentEpoch:
		return m.adopt(s, r.Epoch)
	case zab.RecordTxn:
		t := m.txns[r.Zxid]
		if t == nil || t.before == nil || !bytes.Equal(t.Data, r.Data) {
			return m.refuse(s, logged, "log %v", r.Zxid)
		}
		if s.aside == nil && r.Zxid.Epoch() == s.accepted {
			return m.accept(s, t)
		}
		return m.sync(s, t)
	case zab.RecordTruncate:
		return m.truncate(s, r.Zxid)
	case zab.RecordInstall:
		return m.install(s, r.Zxid)
	case zab.RecordAbandon: // nothing to drop if a process has ended in between
		s.aside = nil
		return nil
	case zab.RecordSnapshot:
		if t := m.txns[r.Zxid]; t == nil || m.fails(snapshotCommitted, m.canon.has(t) && s.history.has(t)) {
			return m.refuse(s, snapshotCommitted, "snapshot(%v)", r.Zxid)
		}
		return nil
	default:
		return fmt.Errorf("model: a record of kind %v", r.Kind)
	}
}

// promise: phase 1 of a follower, and of a leader that wants to be one. What the server holds now is
// what it tells the leader.
func (m *Zab) promise(s *server, e zab.Epoch) error {
	switch {
	case m.fails(promiseHigher, e > s.accepted):
		return m.refuse(s, promiseHigher, "promise(%d)", e)
	case m.fails(promiseNext, e <= m.highest+1):
		return m.refuse(s, promiseNext, "promise(%d), the highest is %d", e, m.highest)
	case m.fails(promiseWhole, s.aside == nil):
		return m.refuse(s, promiseWhole, "promise(%d)", e)
	}
	s.accepted = e
	m.highest = max(m.highest, e)
	if s.counts() {
		m.epoch(e).promised[s.id] = s.recency()
	}
	return nil
}

// Leads tells that a server has closed the quorum of its promises: its history, which ends with last,
// is I[e] from now on. It comes before anything that the server does as the leader is durable, and also
// if the server has left the role in the same moment: its followers may not know that.
func (m *Zab) Leads(id zab.ServerID, e zab.Epoch, last zab.Zxid) error {
	s, ep := m.servers[id], m.epoch(e)
	var promised, older zab.Set
	for voter, then := range ep.promised {
		promised.Add(voter)
		if !then.after(s.recency()) {
			older.Add(voter)
		}
	}
	refuse := func(g guard) error { return m.refuse(s, g, "lead(%d) with I[%d] up to %v", e, e, last) }
	switch {
	case m.fails(leadVoter, m.ensemble.Electable(id) && s.counts()):
		return refuse(leadVoter)
	case m.fails(leadPromised, s.accepted == e):
		return refuse(leadPromised)
	case m.fails(leadNew, s.current < e):
		return refuse(leadNew)
	case m.fails(leadOnce, ep.led == 0):
		return refuse(leadOnce)
	case m.fails(leadQuorum, m.ensemble.Quorum(promised)):
		return refuse(leadQuorum)
	case m.fails(leadRecent, older == promised || m.ensemble.Quorum(older)):
		return refuse(leadRecent)
	case m.fails(leadHistory, s.history.last().Zxid == last):
		return refuse(leadHistory)
	}
	ep.led++
	ep.leader, ep.initial, ep.tip = id, s.history, s.history.last()
	ep.initial.tail = slices.Clone(ep.initial.tail)
	s.leads = e
	return nil
}

// target returns the epoch that s is synchronized into, which must be led and not adopted. While a
// snapshot is aside it may be one that was adopted before: a server that comes back within it.
func (m *Zab) target(s *server, step string, z zab.Zxid) (*epoch, error) {
	ep := m.epoch(s.accepted)
	switch {
	case ep.led == 0:
		return nil, m.refuse(s, syncLed, "%s(%v)", step, z)
	case m.fails(syncOpen, s.current < s.accepted || s.aside != nil):
		return nil, m.refuse(s, syncOpen, "%s(%v)", step, z)
	}
	return ep, nil
}

// sync adds a txn of I[e], under the current epoch that there was. A crash may leave it at that: a
// longer history under an old epoch is as good as a shorter one (R21).
func (m *Zab) sync(s *server, t *txn) error {
	ep, err := m.target(s, "sync", t.Zxid)
	if err != nil {
		return err
	}
	h := &s.history
	if s.aside != nil {
		h = s.aside
	}
	switch {
	case m.fails(syncTxn, ep.initial.has(t)):
		return m.refuse(s, syncTxn, "sync(%v), epoch %d", t.Zxid, s.accepted)
	case t.before != h.last():
		return m.refuse(s, chained, "sync(%v)", t.Zxid)
	}
	h.append(t)
	if m.waived[commitOwn] && s.aside == nil {
		return m.tally(s, t)
	}
	return nil
}

// truncate removes a dead branch: down to where it left I[e], and not further.
func (m *Zab) truncate(s *server, z zab.Zxid) error {
	ep, err := m.target(s, "truncate", z)
	if err != nil {
		return err
	}
	t := m.txns[z]
	if t == nil || s.aside != nil || !s.history.has(t) {
		return m.refuse(s, chained, "truncate(%v)", z)
	}
	next := s.history.at(t.place + 1)
	switch {
	case m.fails(truncateToInitial, ep.initial.has(t)):
		return m.refuse(s, truncateToInitial, "truncate(%v), epoch %d", z, s.accepted)
	case m.fails(truncateLeast, next == nil || !ep.initial.has(next)):
		return m.refuse(s, truncateLeast, "truncate(%v), epoch %d", z, s.accepted)
	}
	s.history.cut(t)
	return nil
}

// install begins a history aside. It may end below what the server has accepted, so until the rest
// of I[e] is there, too, the old one is what the server has (R10).
func (m *Zab) install(s *server, z zab.Zxid) error {
	t := m.txns[z]
	switch {
	case t == nil || !m.canon.has(t): // what Canon does not hold cannot be shared with it
		return m.refuse(s, installCommitted, "install(%v)", z)
	case m.epoch(s.accepted).led == 0:
		return m.refuse(s, syncLed, "install(%v)", z)
	case s.aside != nil:
		return m.refuse(s, installOnce, "install(%v)", z)
	}
	h := m.prefix(t)
	s.aside = &h
	if m.waived[installAside] {
		s.history, s.aside = h, nil
	}
	return nil
}

// adopt ends phase 2: the paper's follower takes the leader's history and its epoch in one step.
// Here it is the step that makes the epoch the current one.
func (m *Zab) adopt(s *server, e zab.Epoch) error {
	ep, h := m.epoch(e), &s.history
	if s.aside != nil {
		h = s.aside
	}
	refuse := func(g guard) error { return m.refuse(s, g, "adopt(%d)", e) }
	if ep.led == 0 {
		return refuse(syncLed)
	}
	end := ep.initial.last()
	switch {
	case m.fails(adoptPromised, s.accepted == e):
		return refuse(adoptPromised)
	case m.fails(adoptNew, s.current < e || s.current == e && s.aside != nil):
		return refuse(adoptNew)
	case m.fails(adoptComplete, h.has(end)):
		return m.refuse(s, adoptComplete, "adopt(%d) with I[%d] up to %v", e, e, end.Zxid)
	case m.fails(adoptExact, ep.initial.has(h.last()) || s.aside != nil):
		return m.refuse(s, adoptExact, "adopt(%d) with I[%d] up to %v", e, e, end.Zxid)
	case m.fails(adoptKeeps, s.current < e || h.has(s.history.last())):
		return refuse(adoptKeeps)
	}
	if s.aside != nil {
		s.history, s.aside = *s.aside, nil
	}
	s.current = e
	return m.counted(s)
}

// Proposes tells that a leader gives a txn its place, behind the one at before. It comes before any
// log has the txn; t.Data is kept.
func (m *Zab) Proposes(id zab.ServerID, t zab.Txn, before zab.Zxid) error {
	s, e := m.servers[id], t.Zxid.Epoch()
	ep := m.epoch(e)
	refuse := func(g guard) error { return m.refuse(s, g, "propose(%v) behind %v", t.Zxid, before) }
	switch {
	case ep.led == 0, m.fails(proposeLeader, ep.leader == id && s.leads == e && s.accepted == e):
		return refuse(proposeLeader)
	case m.fails(proposeEstablished, ep.established && ep.adopted.Has(id)):
		return refuse(proposeEstablished)
	case !ep.tip.Zxid.Precedes(t.Zxid), before != ep.tip.Zxid, m.txns[t.Zxid] != nil:
		return m.refuse(s, proposeNext, "propose(%v) behind %v, the last one is %v", t.Zxid, before, ep.tip.Zxid)
	}
	ep.tip = &txn{Txn: t, before: ep.tip, place: ep.tip.place + 1}
	m.txns[t.Zxid] = ep.tip
	return nil
}

// accept adds a proposal of the epoch that s has promised last, and adopted.
func (m *Zab) accept(s *server, t *txn) error {
	switch {
	case m.fails(acceptAdopted, s.current == t.Zxid.Epoch()):
		return m.refuse(s, acceptAdopted, "accept(%v)", t.Zxid)
	case t.before != s.history.last():
		return m.refuse(s, chained, "accept(%v)", t.Zxid)
	}
	s.history.append(t)
	if m.waived[acceptAdopted] && s.counts() {
		return m.tally(s, t)
	}
	return m.counted(s)
}

// counted counts what s holds under its current epoch: the adoption of that, and its proposals.
func (m *Zab) counted(s *server) error {
	if s.forgetful && s.current >= s.vowed && s.history.has(s.owes) {
		s.forgetful, s.owes, s.vowed = false, nil, 0
	}
	if !s.counts() {
		return nil
	}
	ep := m.epoch(s.current)
	if !ep.adopted.Has(s.id) {
		ep.adopted.Add(s.id)
		ep.established = ep.established || m.ensemble.Quorum(ep.adopted)
		if !m.fails(commitInitialQuorum, m.ensemble.Quorum(ep.adopted)) {
			if err := m.commit(ep.initial.last(), s.current); err != nil {
				return err
			}
		}
	}
	if last := s.history.last(); last.Zxid.Epoch() == s.current {
		return m.tally(s, last)
	}
	return nil
}

// tally counts a copy of t, and of all proposals of its epoch before it. It grows by one proposal a
// time, or by what a snapshot covers, so whenever more is committed it is just up to t.
func (m *Zab) tally(s *server, t *txn) error {
	e := t.Zxid.Epoch()
	ep := m.epoch(e)
	ep.accepted[s.id] = t.place
	var holders zab.Set
	for _, id := range m.ensemble.Voters() {
		if ep.accepted[id] >= t.place {
			holders.Add(id)
		}
	}
	if m.fails(commitQuorum, m.ensemble.Quorum(holders)) {
		return nil
	}
	return m.commit(t, e)
}

// commit adds everything up to t to Canon, which may only grow at its end. A quorum of an earlier
// epoch may be complete only after a later one has committed the same, by the last copy of a server
// that the later one went on without: what both have committed, the earlier one has.
func (m *Zab) commit(t *txn, by zab.Epoch) error {
	if m.canon.has(t) {
		for place := t.place; m.canon.by[place] > by; place-- {
			m.canon.by[place] = by
		}
		return nil
	}
	var added []*txn
	for ; !m.canon.has(t); t = t.before {
		added = append(added, t)
	}
	if len(added) > 0 && t != m.canon.last() {
		return &Broken{"agreement", fmt.Sprintf(
			"%v and %v are both committed, and neither history continues the other",
			added[0].Zxid, m.canon.last().Zxid)}
	}
	for _, a := range slices.Backward(added) {
		m.canon.txns, m.canon.by = append(m.canon.txns, a), append(m.canon.by, by)
	}
	return nil
}

// committedBy returns the first epoch whose quorum committed t, 0 if none has.
func (m *Zab) committedBy(t *txn) zab.Epoch {
	if !m.canon.has(t) {
		return 0
	}
	return m.canon.by[t.place]
}

// Commits tells that a server takes everything up to z for committed: a leader because of acks, a
// learner because it was told.
func (m *Zab) Commits(id zab.ServerID, z zab.Zxid) error {
	if t := m.txns[z]; t == nil || m.fails(commitCanon, m.canon.has(t)) {
		return m.refuse(m.servers[id], commitCanon, "commit(%v)", z)
	}
	return nil
}

// Delivers tells that a server applies a txn.
func (m *Zab) Delivers(id zab.ServerID, d zab.Txn) error {
	s, t := m.servers[id], m.txns[d.Zxid]
	refuse := func(g guard) error { return m.refuse(s, g, "deliver(%v)", d.Zxid) }
	switch {
	case t == nil, t.before == nil, !bytes.Equal(t.Data, d.Data):
		return refuse(logged)
	case m.fails(deliverCommitted, m.canon.has(t)):
		return refuse(deliverCommitted)
	case m.fails(deliverAdopted, m.committedBy(t) <= s.current):
		return refuse(deliverAdopted)
	case m.fails(deliverNext, t.before == s.delivered):
		return refuse(deliverNext)
	case m.fails(deliverDurable, s.history.has(t)):
		return refuse(deliverDurable)
	}
	s.delivered = t
	return nil
}

// Installs tells that the tree of a server is now that of the snapshot at z: one that a leader sent,
// or, after Restarts, its own.
func (m *Zab) Installs(id zab.ServerID, z zab.Zxid) error {
	s, t := m.servers[id], m.txns[z]
	refuse := func(g guard) error { return m.refuse(s, g, "install the tree of %v", z) }
	switch {
	case t == nil, m.fails(deliverCommitted, m.canon.has(t)):
		return refuse(deliverCommitted)
	case m.fails(deliverAdopted, m.committedBy(t) <= s.current):
		return refuse(deliverAdopted)
	case m.fails(deliverDurable, s.history.has(t)):
		return refuse(deliverDurable)
	case m.fails(installLater, t.place >= s.delivered.place):
		return refuse(installLater)
	}
	s.delivered = t
	return nil
}

// Restarts tells that a process has ended and a new one has begun: what was not durable is gone, and
// so are a leadership and a history aside. The tree is empty until Installs says otherwise.
func (m *Zab) Restarts(id zab.ServerID) {
	s := m.servers[id]
	s.leads, s.aside, s.delivered = 0, nil, m.txns[0]
}

// Wiped tells that a server has lost its disk. Paper and protocol do not allow for that: it counts as
// if the server had never said anything. So whoever acts on an earlier word of it that was
// still under way is refused here; and rightly, since what rests on it may be lost. Only a promise
// that every other voter has given as well, or a later one, may still be counted by whom it was given:
// nobody is left whom the forgotten one could help in an earlier epoch. The server counts
// again once it has adopted an epoch that is not below those that its promises have made somebody lead, lest it
// helps commit what that leader never hears of, and holds what is committed, if that needed its copy. A promise that
// nobody has used, and now nobody may, binds it no more.
func (m *Zab) Wiped(id zab.ServerID) {
	vowed := max(m.forget(id), m.servers[id].vowed)
	m.servers[id] = m.blank(id)
	s := m.servers[id]
	s.forgetful, s.owes, s.vowed = true, m.txns[0], vowed
	var others zab.Set
	for _, voter := range m.ensemble.Voters() {
		if o := m.servers[voter]; o.counts() && o.history.has(m.canon.last()) {
			others.Add(voter)
		}
	}
	if !m.ensemble.Quorum(others) {
		s.owes = m.canon.last()
	}
}

// Restored tells that an older copy of a server's disk came back, or that damage took the end of its log: it
// has promised and adopted these epochs and holds the history up to last, which is committed. As it
// does not know that it has forgotten anything, it goes on counting, so this may only be done to a
// server of which the others need nothing: a quorum of them holds what is committed, and all of them have
// promised what it had.
func (m *Zab) Restored(id zab.ServerID, accepted, current zab.Epoch, last zab.Zxid) {
	m.forget(id)
	m.servers[id] = m.blank(id)
	s := m.servers[id]
	s.accepted, s.current, s.history = accepted, current, m.prefix(m.txns[last])
}

// forget takes back what a server has said, whose words count no more. It returns the latest epoch that it has
// promised to somebody who leads it, or whom its promise still helps to.
func (m *Zab) forget(id zab.ServerID) (vowed zab.Epoch) {
	least := ^zab.Epoch(0) // that all other voters have promised
	for _, voter := range m.ensemble.Voters() {
		if voter != id {
			least = min(least, m.servers[voter].accepted)
		}
	}
	for e, ep := range m.epochs {
		if _, promised := ep.promised[id]; promised && (ep.leader != 0 || e <= least) {
			vowed = max(vowed, e)
		}
		if e > least {
			delete(ep.promised, id)
		}
		delete(ep.accepted, id)
		ep.adopted.Remove(id)
	}
	return vowed
}
