package check

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"time"

	"github.com/anishathalye/porcupine"

	"quoll/jepsen/history"
	"quoll/transport/wire"
)

// linearizable judges each znode for itself, since linearizability is local. It takes the znodes
// that only operations on one path can change: none that a multi, a session's end or a reaper may
// touch. It believes no zxid: the order of zxids is tried first, but it is judged like any other.
func (s *study) linearizable() []Violation {
	r := &report{check: "C-LINW"}
	parts := s.parts()
	var hard []*part
	for i := range parts {
		if !parts[i].witnessed(s.partly().took) {
			hard = append(hard, &parts[i])
		}
	}
	illegal, undecided := decide(hard, s.limits.Search)
	for _, p := range illegal {
		last := p.culprit(time.Now().Add(s.limits.Search))
		o := &s.h.Ops[p.indices[last]]
		v := Violation{Check: r.check, At: o.Return, Ops: p.indices}
		v.Text = fmt.Sprintf("no order of the operations on %q up to %s, which returned %s at %s, explains their answers",
			p.path, s.op(p.indices[last]), outcome(o), seconds(o.Return))
		if w := p.missed(last); w >= 0 {
			v.Ops = []int{p.indices[w], p.indices[last]}
			v.Text = s.missedText(v.Ops[0], v.Ops[1])
		}
		r.list = append(r.list, v)
	}
	if len(undecided) > 0 {
		p := undecided[0]
		r.list = append(r.list, Violation{
			Check: r.check, At: s.h.End, Ops: p.indices, Undecided: true,
			Text: fmt.Sprintf("undecided after %v: %d operations on %q; %d of %d znodes were decided",
				s.limits.Search, len(p.ops), p.path, len(parts)-len(undecided), len(parts)),
		})
	}
	return r.list
}

// decide searches each part with a fair share of half the time, and those that are hard once more with a
// share of what is left then.
func decide(parts []*part, limit time.Duration) (illegal, undecided []*part) {
	const rounds = 2
	deadline := time.Now().Add(limit)
	undecided = parts
	for round := range rounds {
		end := time.Now().Add(time.Until(deadline) / time.Duration(rounds-round))
		searched := undecided
		undecided = nil
		for i, p := range searched {
			share := time.Until(end) / time.Duration(len(searched)-i)
			switch p.search(math.MaxInt64, time.Now().Add(share)) {
			case porcupine.Illegal:
				illegal = append(illegal, p)
			case porcupine.Ok:
			case porcupine.Unknown:
				undecided = append(undecided, p)
			}
		}
	}
	return illegal, undecided
}

// part is the operations on one znode. Writes are in the order of their calls.
type part struct {
	path    string
	indices []int
	ops     []porcupine.Operation // inputs are of type access
}

// search looks for an order of what was called before a moment, knowing only the answers that had
// come by then. Behind all answers stands the end, at which what is open may fall by the wayside.
func (p *part) search(before int64, deadline time.Time) porcupine.CheckResult {
	ops := []porcupine.Operation{{Input: access{end: true}, Call: math.MaxInt64 - 2, Return: math.MaxInt64 - 1}}
	var nth [numAlike]int
	for _, o := range p.ops {
		in := o.Input.(access)
		if o.Call >= before || !in.Op.IsWrite() && o.Return >= before {
			continue
		}
		if o.Return >= before {
			o.Return, in.open = math.MaxInt64, true
			if kind := in.alike(); kind < numAlike {
				in.nth = nth[kind]
				nth[kind]++
			}
			o.Input = in
		}
		ops = append(ops, o)
	}
	left := max(time.Until(deadline), time.Millisecond) // 0 would be no limit
	return porcupine.CheckOperationsTimeout(znodeModel, ops, left)
}

// unseen replaces the data that no read has shown. Writes that differ in nothing else then are the
// same to the search.
func (p *part) unseen() {
	shown := map[string]bool{}
	for i := range p.ops {
		if o := p.ops[i].Input.(access); !o.Op.IsWrite() && o.Op.Kind == wire.OpGetData {
			shown[mark(o.Result.Data)] = true
		}
	}
	for i := range p.ops {
		o := p.ops[i].Input.(access)
		if o.data = mark(o.Op.Data); !shown[o.data] {
			o.data = ""
		}
		p.ops[i].Input = o
	}
}

// culprit returns the operation with whose answer a part ceased to be linearizable: what holds for
// a history holds for its prefixes.
func (p *part) culprit(deadline time.Time) int {
	byReturn := make([]int, len(p.ops))
	for i := range byReturn {
		byReturn[i] = i
	}
	slices.SortFunc(byReturn, func(a, b int) int { return cmp.Compare(p.ops[a].Return, p.ops[b].Return) })
	first := sort.Search(len(byReturn)-1, func(i int) bool {
		end := p.ops[byReturn[i]].Return
		return end >= math.MaxInt64-1 || p.search(end+1, deadline) == porcupine.Illegal
	})
	return byReturn[first]
}

// missed returns the write that a read should have shown: the last one that was acknowledged before the
// read, or its sync, was called, if what the read returned is older; else -1.
func (p *part) missed(read int) int {
	r, w := p.ops[read].Input.(access), -1
	for i := range p.ops {
		o := p.ops[i].Input.(access)
		if o.Op.IsWrite() && acknowledged(o.Operation) && o.Result.Code == wire.OK && p.ops[i].Return < p.ops[read].Call &&
			(w < 0 || o.Zxid > p.ops[w].Input.(access).Zxid) {
			w = i
		}
	}
	if r.Op.IsWrite() || w < 0 {
		return -1
	}
	o := p.ops[w].Input.(access)
	born, version := o.Zxid, int32(0)
	if o.Op.Kind == wire.OpSetData {
		born, version = int64(o.Result.Stat.Czxid), o.Result.Stat.Version
	}
	shown, isDelete := int64(r.Result.Stat.Czxid), o.Op.Kind == wire.OpDelete
	switch {
	case r.Result.Code == wire.NoNode && !isDelete,
		r.Result.Code == wire.OK && shown < born,
		r.Result.Code == wire.OK && !isDelete && shown == born && r.Result.Stat.Version < version:
		return w
	default:
		return -1
	}
}

func (s *study) missedText(write, read int) string {
	w, r := &s.h.Ops[write], &s.h.Ops[read]
	newer := "version " + strconv.Itoa(int(w.Result.Stat.Version)) // of a create it is 0
	if w.Op.Kind == wire.OpDelete {
		newer = "its end"
	}
	older := outcome(r)
	if r.Result.Code == wire.OK {
		older = "version " + strconv.Itoa(int(r.Result.Stat.Version))
	}
	return fmt.Sprintf("%s returned %s although %s was acknowledged at %s, to %s",
		s.op(read), older, newer, seconds(w.Return), s.op(write))
}

// outcome says what an answer was, as far as the specification looks at it.
func outcome(o *history.Operation) string {
	switch {
	case o.Result.Code != wire.OK:
		return o.Result.Code.Name()
	case o.Op.Kind == wire.OpGetData:
		return fmt.Sprintf("%s in version %d", data(o.Result.Data), o.Result.Stat.Version)
	case o.Op.Kind == wire.OpExists || o.Op.Kind == wire.OpSetData:
		return fmt.Sprintf("version %d", o.Result.Stat.Version)
	default:
		return o.Result.Code.Name()
	}
}

// parts sorts what can be judged by path. Reads count only behind a sync; they are then current at
// some time since the sync was called, so that is where they begin.
func (s *study) parts() []part {
	shared := s.shared()
	index := map[string]int{}
	var parts []part
	add := func(i int, call, end int64) {
		o := &s.h.Ops[i]
		if shared.has(o.Op.Path) {
			return
		}
		at, ok := index[o.Op.Path]
		if !ok {
			at = len(parts)
			index[o.Op.Path] = at
			parts = append(parts, part{path: o.Op.Path})
		}
		p := &parts[at]
		p.indices = append(p.indices, i)
		p.ops = append(p.ops, porcupine.Operation{ClientId: o.Client, Input: access{Operation: o}, Call: call, Return: end})
	}
	synced := s.synced()
	for i := range s.h.Ops {
		o := &s.h.Ops[i]
		switch {
		case judged(o) && o.Known():
			add(i, o.Call.Seq, o.Return.Seq)
		case judged(o):
			add(i, o.Call.Seq, math.MaxInt64)
		case synced[i] != 0:
			add(i, synced[i], o.Return.Seq)
		case s.limits.Strict && o.Known() && (o.Op.Kind == wire.OpGetData || o.Op.Kind == wire.OpExists):
			add(i, o.Call.Seq, o.Return.Seq)
		}
	}
	for i := range parts {
		parts[i].unseen()
	}
	return parts
}

// judged reports whether o is a write of one znode that nothing else takes away.
func judged(o *history.Operation) bool {
	switch o.Op.Kind {
	case wire.OpCreate, wire.OpCreate2:
		return !o.Op.Mode.Sequential()
	case wire.OpSetData, wire.OpDelete:
		return true
	default:
		return false
	}
}

// sharedPaths are those that something else than their own writes may change.
type sharedPaths struct {
	paths    map[string]bool
	prefixes map[string]bool // of sequential names: which ones were given out need not be known
}

func (p *sharedPaths) has(path string) bool {
	const digits = 10
	return p.paths[path] || len(path) > digits && p.prefixes[path[:len(path)-digits]]
}

func (p *sharedPaths) note(op *history.Op, inMulti bool) {
	if op.Mode.Sequential() {
		p.prefixes[op.Path] = true
	}
	if inMulti || op.Kind == wire.OpCreateContainer || op.Kind == wire.OpCreateTTL || op.Mode.Ephemeral() {
		p.paths[op.Path] = true
	}
}

func (s *study) shared() *sharedPaths {
	p := &sharedPaths{map[string]bool{"/": true, configPath: true}, map[string]bool{}}
	for i := range s.h.Ops {
		op := &s.h.Ops[i].Op
		p.note(op, false)
		for j := range op.Ops {
			p.note(&op.Ops[j], op.Kind == wire.OpMulti)
		}
	}
	return p
}

// synced returns the reads that follow a sync on their connection, nothing but such reads in
// between, with the moment at which that sync was called.
func (s *study) synced() []int64 {
	since := make([]int64, len(s.h.Ops))
	for _, ops := range s.conns {
		call := int64(0)
		for _, i := range ops {
			o := &s.h.Ops[i]
			switch {
			case o.Op.Kind == wire.OpSync && o.Known() && o.Result.Code == wire.OK:
				call = o.Call.Seq
			case o.Op.Kind != wire.OpGetData && o.Op.Kind != wire.OpExists:
				call = 0
			case o.Known():
				since[i] = call
			}
		}
	}
	return since
}
