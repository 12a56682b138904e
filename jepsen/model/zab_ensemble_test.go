package model_test

import (
	"fmt"
	"slices"

	"quoll/jepsen/model"
	"quoll/zab"
)

// ensemble runs zab.Peers on disks and links that do what a scheduler likes, and tells the model of
// everything that the model has a step for.
type ensemble struct {
	pick  func(n int) int
	rules *zab.Ensemble
	paper *model.Zab
	err   error // the first refusal
	all   []*machine
	links []*link
	last  zab.LinkID
	n     int // data so far
	odds  []int
	took  map[string]int
	flaw  string // what is wrong with the shell around the peers
}

// machine is a server: a disk, and the process on it.
type machine struct {
	*ensemble
	id      zab.ServerID
	disk    []zab.Record
	durable int      // records
	own     zab.Zxid // newest of its own
	horizon zab.Zxid // its log begins after it

	peer      *zab.Peer // nil: down
	began     int       // records that the process found
	told      int       // records that the peer knows to be durable
	held      []held
	dialing   zab.ServerID
	led       zab.Epoch // that it leads, as the model knows
	initial   zab.Zxid
	committed zab.Zxid
	out       zab.Actions
}

type held struct {
	records int
	env     zab.Envelope
}

type link struct{ ends [2]end }

type end struct {
	*machine
	id    zab.LinkID
	inbox []*zab.Message
	open  bool
	eof   bool
}

func newEnsemble(pick func(int) int, flaw string) *ensemble {
	cfg := zab.EnsembleConfig{}
	voters := []int{1, 2, 3, 3, 3, 3, 4, 5}[pick(8)]
	for i := range voters + pick(3) {
		if id := zab.ServerID(i + 1); i < voters {
			cfg.Voters = append(cfg.Voters, id)
		} else {
			cfg.Observers = append(cfg.Observers, id)
		}
	}
	rules, err := zab.NewEnsemble(cfg)
	if err != nil {
		panic(err)
	}
	e := &ensemble{pick: pick, rules: rules, paper: model.NewZab(rules), took: make(map[string]int), flaw: flaw}
	for _, m := range rules.Members() {
		s := &machine{ensemble: e, id: m.ID}
		e.all = append(e.all, s)
		s.start()
	}
	for _, ev := range events {
		e.odds = append(e.odds, ev.weight*[]int{1, 1, 3}[pick(3)])
	}
	return e
}

// says keeps the first refusal.
func (e *ensemble) says(step string, err error) {
	e.took[step]++
	if e.err == nil {
		e.err = err
	}
}

func (s *machine) start() {
	st := s.recover()
	s.sync(len(s.disk))
	s.began, s.told = len(s.disk), len(s.disk)
	s.held, s.dialing, s.led = nil, 0, 0
	s.committed = st.Snapshot
	s.paper.Restarts(s.id)
	if st.Snapshot != 0 {
		s.says("restarted", s.paper.Installs(s.id, st.Snapshot))
	}
	s.peer = zab.New(zab.Config{
		ID: s.id, Ensemble: s.rules, InitTicks: 20, SyncTicks: 8, PingTicks: 2, WindowBytes: 20, MaxCounter: 6,
	}, st)
}

// contents is what the records of a log mean.
type contents struct {
	accepted, current zab.Epoch
	base              zab.Zxid
	txns              []zab.Txn
	aside             *contents
}

func (s *machine) read() *contents {
	c := new(contents)
	for _, r := range s.disk {
		h := c
		if c.aside != nil {
			h = c.aside
		}
		switch r.Kind {
		case zab.RecordAcceptedEpoch:
			c.accepted = r.Epoch
		case zab.RecordCurrentEpoch:
			if c.current = r.Epoch; c.aside != nil {
				c.base, c.txns, c.aside = c.aside.base, c.aside.txns, nil
			}
		case zab.RecordTxn:
			h.txns = append(h.txns, zab.Txn{Zxid: r.Zxid, Data: r.Data})
		case zab.RecordTruncate:
			c.txns = slices.DeleteFunc(c.txns, func(t zab.Txn) bool { return t.Zxid > r.Zxid })
		case zab.RecordInstall:
			c.aside = &contents{base: r.Zxid}
		case zab.RecordAbandon:
			c.aside = nil
		default:
		}
	}
	return c
}

func (c *contents) has(z zab.Zxid) bool {
	return z == c.base || slices.ContainsFunc(c.txns, func(t zab.Txn) bool { return t.Zxid == z })
}

// recover is what a log does when a process starts.
func (s *machine) recover() zab.State {
	c := s.read()
	if c.aside != nil {
		if s.flaw == "a half installed snapshot is recovered" {
			c.base, c.txns = c.aside.base, c.aside.txns
		}
		s.disk = append(s.disk, zab.Record{Kind: zab.RecordAbandon})
	}
	if s.flaw == "promises are forgotten" {
		c.accepted = c.current
	}
	st := zab.State{AcceptedEpoch: c.accepted, CurrentEpoch: c.current, Snapshot: c.base, Horizon: c.base}
	if c.has(s.own) {
		st.Snapshot = max(st.Snapshot, s.own)
	}
	if c.has(s.horizon) {
		st.Horizon = max(st.Horizon, s.horizon)
	}
	st.History = zab.NewHistory(st.Horizon)
	for _, t := range c.txns {
		if t.Zxid > st.Horizon && !st.History.Append(t.Zxid) {
			panic(fmt.Sprintf("%v cannot follow %v", t.Zxid, st.History.Last()))
		}
		if t.Zxid > st.Snapshot {
			st.Tail = append(st.Tail, t)
		}
	}
	return st
}

// sync makes the first n records durable.
func (s *machine) sync(n int) {
	for ; s.durable < n; s.durable++ {
		r := s.disk[s.durable]
		s.says(r.Kind.String(), s.paper.Durable(s.id, r))
	}
	if s.peer == nil {
		return
	}
	if s.pick(2) == 0 {
		s.report()
	}
	s.release()
}

func (s *machine) report() {
	if s.peer != nil && s.told < s.durable {
		s.told = s.durable
		s.turn(func(p *zab.Peer, out *zab.Actions) { p.Durable(uint64(s.told-s.began), out) })
	}
}

func (s *machine) release() {
	hasty := s.flaw == "messages do not wait for the disk"
	for s.peer != nil && len(s.held) > 0 && (hasty || s.held[0].records <= s.durable) {
		env := s.held[0].env
		s.held = s.held[1:]
		s.post(env)
	}
}

// turn has the peer take something in, and performs what it asks for.
func (s *machine) turn(input func(*zab.Peer, *zab.Actions)) {
	out := &s.out
	input(s.peer, out)
	s.peer.Flush(out)
	if e := s.peer.Epoch(); s.peer.Role() == zab.Leading && s.peer.Phase() >= zab.Synchronization && s.led != e {
		s.led, s.initial = e, s.peer.LastLogged()
		s.says("lead", s.paper.Leads(s.id, e, s.initial))
	}
	for _, r := range out.Persist {
		if r.Kind == zab.RecordTxn && r.Zxid.Epoch() == s.led { // also if it has left the role since
			before := s.initial
			if r.Zxid.Counter() > 1 {
				before = r.Zxid - 1
			}
			s.says("propose", s.paper.Proposes(s.id, zab.Txn{Zxid: r.Zxid, Data: r.Data}, before))
		}
		s.write(r)
	}
	if s.peer.Role() != zab.Leading {
		s.led = 0
	}
	for _, env := range out.AfterSync {
		s.held = append(s.held, held{len(s.disk), env})
	}
	s.release()
	for _, env := range out.Send {
		s.post(env)
	}
	s.apply()
	for _, id := range out.Close {
		s.shut(id)
	}
	if out.Disconnect {
		s.dialing = 0
	}
	if out.Connect != 0 {
		s.dialing = out.Connect
	}
	out.Reset()
	if s.flaw == "the disk lies" && s.told < len(s.disk) {
		s.told = len(s.disk)
		s.turn(func(p *zab.Peer, out *zab.Actions) { p.Durable(uint64(s.told-s.began), out) })
	}
}

func (s *machine) write(r zab.Record) {
	if r.Kind == zab.RecordTruncate && s.flaw == "truncations come too low" && r.Zxid.Counter() > 1 {
		r.Zxid--
	}
	at := len(s.disk)
	for r.Kind == zab.RecordCurrentEpoch && s.flaw == "epochs overtake txns" && at > s.durable &&
		s.disk[at-1].Kind == zab.RecordTxn {
		at--
	}
	s.disk = slices.Insert(s.disk, at, r)
}

func (s *machine) apply() {
	if z := s.out.Install; z != 0 {
		s.says("install", s.paper.Installs(s.id, z))
	}
	for _, t := range s.out.Deliver {
		s.says("deliver", s.paper.Delivers(s.id, t))
	}
	if z := s.peer.Committed(); z != s.committed {
		s.committed = z
		s.says("commit", s.paper.Commits(s.id, z))
	}
}

// post puts a message on its link, and behind it what is to come from the log.
func (s *machine) post(env zab.Envelope) {
	l, i := s.find(env.Link)
	if l == nil || !l.ends[i].open || !l.ends[1-i].open {
		return
	}
	to := &l.ends[1-i]
	m := *env.Msg
	to.inbox = append(to.inbox, &m)
	if env.History.To == 0 {
		return
	}
	for _, t := range s.read().txns {
		if t.Zxid > env.History.From && t.Zxid <= env.History.To {
			to.inbox = append(to.inbox, &zab.Message{Kind: zab.Proposal, Txns: []zab.Txn{t}})
		}
	}
}

func (e *ensemble) find(id zab.LinkID) (*link, int) {
	for _, l := range e.links {
		for i := range l.ends {
			if l.ends[i].id == id {
				return l, i
			}
		}
	}
	return nil, 0
}

// shut closes an end; what is on its way to the other arrives before that hears of it.
func (e *ensemble) shut(id zab.LinkID) {
	l, i := e.find(id)
	if l == nil {
		return
	}
	l.ends[i].open, l.ends[i].inbox, l.ends[1-i].eof = false, nil, true
	e.links = slices.DeleteFunc(e.links, func(l *link) bool { return !l.ends[0].open && !l.ends[1].open })
}
