//go:build zookeeper

package compat

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"quoll/transport/wire"
)

// slots is the number of connections that a sequence has at most; one more is the auditor's.
const (
	slots   = 4
	auditor = slots
)

// greeting is a ConnectRequest and what is sent behind it in the same segment.
type greeting struct {
	session               int // number of an old session; -1: a new one
	since                 int // index of the zxid that was seen last; -1: lastSeen
	version               int32
	lastSeen              int64
	timeoutMs             int32
	password              []byte
	wrongPassword         bool
	strange               bool // a session that never was
	hasReadOnly, readOnly bool
	trailing              []byte
	raw                   []byte // instead of all else
	behind                []request
}

func (g *greeting) String() string {
	if g.raw != nil {
		return fmt.Sprintf("connect with %x", g.raw)
	}
	text := fmt.Sprintf("connect session=#%d seen=%d/%#x timeout=%d wrong=%t strange=%t readOnly=%t/%t trailing=%x",
		g.session, g.since, g.lastSeen, g.timeoutMs, g.wrongPassword, g.strange, g.hasReadOnly, g.readOnly, g.trailing)
	for i := range g.behind {
		text += "\n    " + g.behind[i].String()
	}
	return text
}

// sequence is one run of random steps against both servers. A step that they answer differently
// ends it.
type sequence struct {
	draw
	servers  [2]*server  // ZooKeeper, Quoll
	held     map[int]int // slot: session
	first    int         // number of its first session
	history  []string
	fault    string
	requests int
	shown    int
}

// run takes steps until the count is reached, then audits and clears both trees.
func (s *sequence) run(steps int) {
	s.open(auditor, &greeting{session: -1, since: -1, timeoutMs: math.MaxInt32})
	s.send(auditor, auth(superUser))
	for _, path := range firstPaths {
		s.send(auditor, requestOf(wire.OpCreate, func(r *record) { create(r, path, s.acl(), 0) }))
	}
	for i := 0; i < steps && s.fault == ""; i++ {
		s.step()
	}
	s.finish()
}

// step takes one step.
func (s *sequence) step() {
	slot := s.IntN(slots)
	_, open := s.held[slot]
	switch n := s.IntN(100); {
	case !open && s.once(3):
		s.oddConnect(slot)
	case !open:
		s.connect(slot)
	case n < 82:
		s.send(slot, s.burst(1+s.IntN(10))...)
	case n < 90:
		s.send(slot, s.auth())
	case n < 94:
		s.send(slot, s.last()...)
	case n < 97:
		s.drop(slot)
	default:
		s.takeOver(slot)
	}
}

// connect opens a new session, or goes on with one that has lost its connection.
func (s *sequence) connect(slot int) {
	g := s.greeting(-1)
	if lost := s.lost(); len(lost) > 0 && !s.once(3) {
		g.session = pick(&s.draw, lost...)
	}
	if s.once(2) {
		g.behind = s.burst(1 + s.IntN(3))
	}
	s.open(slot, g)
}

// lost returns the sessions of the sequence that have no connection, those that are over included.
func (s *sequence) lost() (all []int) {
	for n := s.first + 1; n < len(s.servers[0].sessions); n++ {
		held := false
		for _, m := range s.held {
			held = held || m == n
		}
		if !held {
			all = append(all, n)
		}
	}
	return all
}

func (s *sequence) greeting(session int) *greeting {
	g := &greeting{
		session: session, since: -1, version: pick[int32](&s.draw, 0, 0, 7, -1),
		timeoutMs:   pick[int32](&s.draw, 700_000, 0, -1, 1, math.MaxInt32, math.MinInt32),
		password:    pick(&s.draw, nil, []byte{}, []byte("short"), make([]byte, 16), []byte("0123456789abcdef")),
		hasReadOnly: !s.once(4), readOnly: s.once(4), lastSeen: pick[int64](&s.draw, 0, 0, -1, math.MinInt64),
	}
	g.readOnly = g.readOnly && g.hasReadOnly
	if n := len(s.zxids.pairs); n > 0 && s.once(2) {
		g.since = n - 1 - s.IntN(min(n, 20))
	}
	if g.hasReadOnly && s.once(10) {
		g.trailing = []byte("more")
	}
	return g
}

// oddConnect makes a connection that nothing comes of, or that was not meant to.
func (s *sequence) oddConnect(slot int) {
	g := s.greeting(-1)
	switch lost := s.lost(); {
	case s.once(3) && len(lost) > 0: // deviation "a wrong password"
		g.session, g.wrongPassword = pick(&s.draw, lost...), true
	case s.once(3):
		g.strange = true
	case s.once(3):
		g.since, g.lastSeen = -1, math.MaxInt64
	default:
		g.raw = pick(&s.draw, []byte{0, 0, 0, 0}, []byte{0xff, 0xff, 0xff, 0xff}, []byte{0x7f, 0xff, 0xff, 0xff}, []byte("abcd"),
			wire.EndFrame(append(wire.BeginFrame(nil), make([]byte, 1+s.IntN(27))...), 0))
	}
	s.open(slot, g)
}

// takeOver asks for the session of an open connection, which the newer connection wins.
func (s *sequence) takeOver(slot int) {
	for free := range slots {
		if _, open := s.held[free]; !open {
			s.open(free, s.greeting(s.held[slot]))
			return
		}
	}
}

func (s *sequence) open(slot int, g *greeting) {
	if s.fault != "" {
		return
	}
	s.requests += 1 + len(g.behind)
	sessions := len(s.servers[0].sessions)
	s.compare(slot, g.String(), func(v *server) []shown { return v.dial(slot, g) })
	if s.servers[0].conns[slot] == nil {
		return
	}
	s.held[slot] = g.session
	if g.session < 0 {
		s.held[slot] = sessions
	}
	s.fence(slot)
}

// send sends requests over one connection and compares what comes of them on all.
func (s *sequence) send(slot int, requests ...request) {
	if s.fault != "" {
		return
	}
	s.requests += len(requests)
	var texts []string
	for i := range requests {
		texts = append(texts, requests[i].String())
	}
	s.compare(slot, strings.Join(texts, "\n    "), func(v *server) []shown { return v.send(slot, requests) })
	s.fence(slot)
}

func (s *sequence) drop(slot int) {
	s.history = append(s.history, fmt.Sprintf("%d: drop", slot))
	for _, v := range s.servers {
		v.drop(slot)
	}
	delete(s.held, slot)
	s.fence(slot)
}

// fence compares what the other connections have been told.
func (s *sequence) fence(but int) {
	if s.fault != "" {
		return
	}
	var others []int
	for slot := range slots + 1 {
		if _, open := s.held[slot]; open && slot != but {
			others = append(others, slot)
		}
	}
	var got [2][][]shown
	s.both(func(i int, v *server) { got[i] = v.settle(others...) })
	for i, slot := range others {
		s.judge(slot, got[0][i], got[1][i])
	}
}

// compare lets both servers do the same, and notes what differs.
func (s *sequence) compare(slot int, what string, do func(v *server) []shown) {
	if s.fault != "" {
		return
	}
	s.history = append(s.history, fmt.Sprintf("%d: %s", slot, what))
	var got [2][]shown
	s.both(func(i int, v *server) { got[i] = do(v) })
	s.judge(slot, got[0], got[1])
}

func (s *sequence) both(do func(i int, v *server)) {
	var wg sync.WaitGroup
	for i, v := range s.servers {
		wg.Go(func() { do(i, v) })
	}
	wg.Wait()
}

// judge compares what the servers have told one connection.
func (s *sequence) judge(slot int, a, b []shown) {
	if s.servers[0].conns[slot] == nil {
		delete(s.held, slot)
	}
	a = s.servers[0].withoutHidden(slot, a)
	sortEvents(a)
	sortEvents(b)
	s.shown += len(a)
	i, differ := s.zxids.differ(a, b)
	if !differ || s.fault != "" {
		return
	}
	var text strings.Builder
	fmt.Fprintf(&text, "connection %d is told differently after\n", slot)
	for _, h := range s.history[max(0, len(s.history)-12):] {
		text.WriteString("  " + h + "\n")
	}
	for k, all := range [][]shown{a, b} {
		fmt.Fprintf(&text, "%s:\n", s.servers[k].name)
		for j := max(0, i-3); j < min(len(all), i+3); j++ {
			mark := "  "
			if j == i {
				mark = "=>"
			}
			fmt.Fprintf(&text, "%s  %s\n", mark, &all[j])
		}
	}
	s.fault = text.String()
}

// keptPaths cannot be deleted.
var keptPaths = []string{"/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"}

// finish ends all sessions, compares the trees znode by znode, and leaves them as they were.
func (s *sequence) finish() {
	closing := request{xid: 1, op: wire.OpCloseSession, since: -1, ends: true}
	for slot := range slots {
		if _, open := s.held[slot]; open {
			s.send(slot, closing)
		}
	}
	for _, n := range s.lost() {
		s.open(0, &greeting{session: n, since: -1, timeoutMs: 1, behind: []request{closing}})
	}
	s.audit([]byte("/"))
	for _, path := range keptPaths {
		s.send(auditor, requestOf(wire.OpSetACL, func(r *record) { r.buffer("path", []byte(path)); r.acl(openList); r.int("version", -1) }))
	}
	s.send(auditor, closing)
	for slot := range slots + 1 {
		for _, v := range s.servers {
			v.drop(slot)
		}
	}
}

// audit compares a znode and all below it, and deletes what may be deleted.
func (s *sequence) audit(path []byte) {
	one := func(op wire.Op, fill func(r *record)) { s.send(auditor, requestOf(op, fill)) }
	one(wire.OpGetData, func(r *record) { r.buffer("path", path); r.bool("watch", false) })
	one(wire.OpGetACL, func(r *record) { r.buffer("path", path) })
	one(wire.OpGetAllChildrenNumber, func(r *record) { r.buffer("path", path) })
	one(wire.OpGetChildren2, func(r *record) { r.buffer("path", path); r.bool("watch", false) })
	if s.fault != "" {
		return
	}
	for _, name := range s.servers[0].children(path) {
		s.audit(append(slices.Clip([]byte(strings.TrimSuffix(string(path), "/"))), "/"+name...))
	}
	if !slices.Contains(keptPaths, string(path)) {
		one(wire.OpDelete, func(r *record) { r.buffer("path", path); r.int("version", -1) })
	}
}

// children asks the auditor's connection for the children of a znode, in order.
func (s *server) children(path []byte) []string {
	body, _, _ := s.ask(auditor, requestOf(wire.OpGetChildren, func(r *record) { r.buffer("path", path); r.bool("watch", false) }))
	names := wire.DecodeStrings(&body)
	slices.Sort(names)
	return names
}

func requestOf(op wire.Op, fill func(r *record)) request {
	r := newRecord()
	fill(r)
	return r.request(1, op)
}

func auth(who string) request {
	return requestOf(wire.OpAuth, func(r *record) {
		r.int("type", 0)
		r.buffer("scheme", []byte("digest"))
		r.buffer("auth", []byte(who))
	})
}
