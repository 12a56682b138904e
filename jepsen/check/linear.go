package check

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/anishathalye/porcupine"

	"quoll/jepsen/history"
	"quoll/transport/wire"
)

// linearizable judges each znode for itself, since linearizability is local. It takes the znodes
// that only operations on one path can change: none that a multi, a session's end or a reaper may
// touch. It believes no zxid.
func (s *study) linearizable() []Violation {
	r := &report{check: "C-LINW"}
	deadline := time.Now().Add(s.limits.Search)
	for _, p := range s.parts() {
		verdict := p.search(math.MaxInt64, deadline)
		if verdict == porcupine.Ok {
			continue
		}
		v := Violation{Check: r.check, At: s.h.End, Ops: p.indices, Undecided: verdict == porcupine.Unknown}
		v.Text = fmt.Sprintf("undecided after %v: %d operations on %q", s.limits.Search, len(p.ops), p.path)
		if !v.Undecided {
			last := p.culprit(deadline)
			o := &s.h.Ops[last]
			v.At = o.Return
			v.Text = fmt.Sprintf("no order of the operations on %q up to %s, which returned %s at %s, explains their answers",
				p.path, s.op(last), outcome(o), seconds(o.Return))
		}
		r.list = append(r.list, v)
	}
	return r.list
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
	return p.indices[byReturn[first]]
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
