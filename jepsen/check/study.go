package check

import (
	"cmp"
	"fmt"
	"slices"

	"quoll/jepsen/history"
	"quoll/jepsen/model"
	"quoll/transport/wire"
	"quoll/zab"
)

// study is a history with what every check would otherwise work out for itself.
type study struct {
	h      *history.History
	limits Limits

	conns   [][]int // ops by connection, in the order of asking
	events  [][]int // by connection
	pings   [][]int // answers to pings, by connection
	asked   map[request][]int
	commits map[request][]int
	closed  map[zab.SessionID]int // the first commit that closes a session

	part      *partial                 // by partly
	proven    []Violation              // by alone
	ended     map[zab.SessionID]ending // by endings
	bySession map[zab.SessionID][]int  // by connsOf

	complete bool        // there is a committed sequence, and it is one
	faults   []Violation // C-ONCE's, if it is none
	told     []history.Result
	changes  [][]model.Change        // by commit
	expected map[int]history.Result  // of reads, by op
	rewatch  map[int][]caughtUp      // of setWatches, by op
	paths    map[string][]pathChange // creates and deletes of a path
}

// request names what a client asked for. Clients number their requests over all connections of a
// session.
type request struct {
	session zab.SessionID
	xid     zab.Xid
}

// pathChange is the birth or the death of a znode.
type pathChange struct {
	commit  int
	created bool
}

// caughtUp is what setWatches must do with one of its paths (protocol 7.5).
type caughtUp struct {
	path  string
	mode  watchMode
	fires wire.EventType // 0: the watch is registered
	hides bool           // the event is not for this connection to hear
}

func newStudy(h *history.History, l Limits) *study {
	s := &study{
		h: h, limits: l, asked: map[request][]int{}, commits: map[request][]int{}, closed: map[zab.SessionID]int{},
		expected: map[int]history.Result{}, rewatch: map[int][]caughtUp{}, paths: map[string][]pathChange{},
	}
	n := len(h.Conns)
	for i := range h.Ops {
		n = max(n, h.Ops[i].Conn+1)
	}
	for i := range h.Events {
		n = max(n, h.Events[i].Conn+1)
	}
	for i := range h.Heards {
		n = max(n, h.Heards[i].Conn+1)
	}
	s.conns, s.events, s.pings = make([][]int, n), make([][]int, n), make([][]int, n)
	for i := range h.Ops {
		o := &h.Ops[i]
		s.conns[o.Conn] = append(s.conns[o.Conn], i)
		if o.Op.IsWrite() {
			s.asked[request{o.Session, o.Xid}] = append(s.asked[request{o.Session, o.Xid}], i)
		}
	}
	for i := range h.Events {
		s.events[h.Events[i].Conn] = append(s.events[h.Events[i].Conn], i)
	}
	for i := range h.Heards {
		s.pings[h.Heards[i].Conn] = append(s.pings[h.Heards[i].Conn], i)
	}
	if s.complete = h.Commits != nil && s.ascending(); s.complete {
		s.walk()
	}
	return s
}

// ascending reports whether the committed sequence is one.
func (s *study) ascending() bool {
	for i := 1; i < len(s.h.Commits); i++ {
		if a, b := s.h.Commits[i-1].Zxid, s.h.Commits[i].Zxid; b <= a {
			text := fmt.Sprintf("%v is committed after %v", b, a)
			s.faults = append(s.faults, Violation{Check: "C-ONCE", At: s.h.End, Text: text})
			return false
		}
	}
	return true
}

// walk plays the committed sequence once. Where it stands at the zxid of a read's reply, it asks
// the model what the read should have said.
func (s *study) walk() {
	var reads []int
	for i := range s.h.Ops {
		if o := &s.h.Ops[i]; o.Known() && !o.Op.IsWrite() && o.Zxid >= 0 {
			reads = append(reads, i)
		}
	}
	slices.SortStableFunc(reads, func(a, b int) int { return cmp.Compare(s.h.Ops[a].Zxid, s.h.Ops[b].Zxid) })
	t := model.New()
	answer := func(before int64) {
		for len(reads) > 0 && s.h.Ops[reads[0]].Zxid < before {
			s.expect(t, reads[0])
			reads = reads[1:]
		}
	}
	for i := range s.h.Commits {
		c := &s.h.Commits[i]
		answer(int64(c.Zxid))
		res, changes := t.Apply(c)
		s.told, s.changes = append(s.told, res), append(s.changes, changes)
		for _, one := range changes {
			if one.Type != wire.EventNodeDataChanged {
				s.paths[one.Path] = append(s.paths[one.Path], pathChange{i, one.Type == wire.EventNodeCreated})
			}
		}
		s.commits[request{c.Session, c.Xid}] = append(s.commits[request{c.Session, c.Xid}], i)
		if _, again := s.closed[c.Session]; c.Op.Kind == wire.OpCloseSession && res.Code == wire.OK && !again {
			s.closed[c.Session] = i
		}
	}
	answer(1<<63 - 1)
}

// expect notes the right answer to a read.
func (s *study) expect(t *model.Tree, op int) {
	o := &s.h.Ops[op]
	switch o.Op.Kind {
	case wire.OpSync, wire.OpExists, wire.OpGetData, wire.OpGetACL, wire.OpGetChildren, wire.OpGetChildren2,
		wire.OpGetEphemerals, wire.OpGetAllChildrenNumber, wire.OpMultiRead:
		s.expected[op] = t.Read(o.Session, o.Auth, &o.Op)
	case wire.OpSetWatches, wire.OpSetWatches2:
		if o.Op.Rewatch != nil && o.Result.Code == wire.OK {
			s.rewatch[op] = catchUp(t, o)
		}
	default:
	}
}

// pos returns the index of the last commit up to zxid, -1 when there is none, and whether zxid
// names it.
func (s *study) pos(zxid int64) (int, bool) {
	i, found := slices.BinarySearchFunc(s.h.Commits, zxid, func(c history.Commit, z int64) int {
		return cmp.Compare(int64(c.Zxid), z)
	})
	if found {
		return i, true
	}
	return i - 1, zxid == 0
}

// acknowledged reports whether o is a write that was answered with the outcome of its txn. A
// server that cannot even propose a write says SystemError, or that it cannot read it.
func acknowledged(o *history.Operation) bool {
	return o.Known() && o.Op.IsWrite() && o.Zxid > 0 && o.Result.Code != wire.SystemError
}

// zxid returns the zxid of a write, known from its answer or from the committed sequence; 0 when
// it is neither.
func (s *study) zxid(op int) int64 {
	o := &s.h.Ops[op]
	if acknowledged(o) {
		return o.Zxid
	}
	if at := s.commits[request{o.Session, o.Xid}]; o.Op.IsWrite() && len(at) == 1 {
		return int64(s.h.Commits[at[0]].Zxid)
	}
	return 0
}

// byReturn returns the ops that returned, in the order in which they did.
func (s *study) byReturn() []int {
	var ops []int
	for i := range s.h.Ops {
		if s.h.Ops[i].Known() {
			ops = append(ops, i)
		}
	}
	slices.SortFunc(ops, func(a, b int) int { return cmp.Compare(s.h.Ops[a].Return.Seq, s.h.Ops[b].Return.Seq) })
	return ops
}

// incarnation counts how often the znode at path was created up to a commit.
func (s *study) incarnation(path string, commit int) int {
	n := 0
	for _, c := range s.paths[path] {
		if c.created && c.commit <= commit {
			n++
		}
	}
	return n
}
