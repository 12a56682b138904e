package check

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"quoll/jepsen/history"
	"quoll/transport/wire"
	"quoll/zab"
)

// partial is what the clients know of the committed sequence where nobody has recorded it: the
// zxids of the writes that were acknowledged, and for each of the others the lowest that it can have.
type partial struct {
	s        *study
	took     map[int]version   // by op: writes without an outcome that took effect, and what shows it
	acked    map[int64]int     // zxid to op: the only thing that happened there
	asks     map[content][]int // writes of any outcome, by what they would leave where
	vague    map[int]bool      // by op: it is acknowledged, but not what it did
	effects  []effect          // of what is known to have taken effect
	floors   []int64           // by op: of a write without an outcome
	open     map[string][]open
	named    map[string][]open // sequential creates, by what their numbers are put behind
	below    map[string][]open // creates and deletes, by parent
	lost     map[string]lost   // by count
	living   map[zab.SessionID]int64
	mortal   func(parent string) bool
	reaped   sharedNames            // made as containers or with a time to live
	owned    sharedNames            // made as ephemerals
	secret   sharedNames            // not everybody may have been allowed to read them
	again    []Violation            // of requests that took effect twice
	judged   map[string]bool        // paths in again
	changes  map[string][]happening // by happened
	all      []happening            // by happened
	restless map[string]bool        // their children may go by themselves
}

// open is a write whose outcome nobody knows, or one part of it. It may have taken effect at any
// zxid above the floor, or never: what anybody had been shown before it was sent was committed.
type open struct {
	op    int
	part  int
	ask   *history.Op
	floor int64
}

// lost are the floors of the open writes of a path, by what they do, ascending as they were called. The
// numbered ones are sequential creates behind it.
type lost struct{ creates, numbered, deletes, sets []int64 }

// below returns how many of the floors are below a zxid.
func below(floors []int64, zxid int64) int {
	n, _ := slices.BinarySearch(floors, zxid)
	return n
}

func (p *partial) count() {
	for path, list := range p.open {
		l := p.lost[path]
		for _, w := range list {
			switch {
			case isCreate(w.ask.Kind):
				l.creates = append(l.creates, w.floor)
			case w.ask.Kind == wire.OpDelete:
				l.deletes = append(l.deletes, w.floor)
			case w.ask.Kind == wire.OpSetData:
				l.sets = append(l.sets, w.floor)
			}
		}
		p.lost[path] = l
	}
	for prefix, list := range p.named {
		l := p.lost[prefix]
		for _, w := range list {
			l.numbered = append(l.numbered, w.floor)
		}
		p.lost[prefix] = l
	}
}

// sharedNames are paths, and prefixes of sequential ones.
type sharedNames struct{ paths, prefixes map[string]bool }

func newNames() sharedNames { return sharedNames{map[string]bool{}, map[string]bool{}} }

func (n *sharedNames) has(path string) bool { return n.paths[path] || n.prefixes[prefixOf(path)] }

func (n *sharedNames) add(op *history.Op) {
	if op.Mode.Sequential() {
		n.prefixes[op.Path] = true
	}
	n.paths[op.Path] = true
}

// prefixOf returns what the number of a sequential znode stands behind, if path is one's.
func prefixOf(path string) string {
	const digits = 10
	at := len(path) - digits
	if at < 1 || strings.ContainsFunc(path[at:], func(r rune) bool { return r < '0' || r > '9' }) {
		return "-" // no path begins so
	}
	return path[:at]
}

func (s *study) partly() *partial {
	if s.part == nil {
		s.part = &partial{
			s: s, lost: map[string]lost{}, took: map[int]version{}, asks: map[content][]int{}, acked: map[int64]int{}, vague: map[int]bool{}, open: map[string][]open{}, named: map[string][]open{},
			below: map[string][]open{}, living: map[zab.SessionID]int64{}, mortal: s.mortal(), reaped: newNames(), owned: newNames(),
			secret: newNames(), judged: map[string]bool{}, restless: map[string]bool{},
		}
		s.part.collect()
	}
	return s.part
}

func (p *partial) collect() {
	p.floors = p.s.floorsOfWrites()
	for i := range p.s.h.Ops {
		o := &p.s.h.Ops[i]
		if !o.Op.IsWrite() {
			continue
		}
		eachPart(&o.Op, func(_ int, ask *history.Op) {
			p.noteName(ask)
			if isCreate(ask.Kind) || ask.Kind == wire.OpSetData {
				at := content{ask.Path, mark(ask.Data)}
				p.asks[at] = append(p.asks[at], i)
			}
		})
		if determined(o) {
			if _, twice := p.acked[o.Zxid]; !twice { // two of one zxid are C-ZXIDORD's
				p.acked[o.Zxid] = i
			}
			continue
		}
		p.vague[i] = true
		eachPart(&o.Op, func(part int, ask *history.Op) { p.noteOpen(open{i, part, ask, p.floors[i]}) })
	}
	for _, e := range p.s.effects() {
		if !p.vague[e.op] {
			p.effects = append(p.effects, e)
		}
	}
	p.infer()
	p.count()
	slices.SortStableFunc(p.effects, func(a, b effect) int { return cmp.Compare(a.zxid, b.zxid) })
	for _, e := range p.effects {
		if o := &p.s.h.Ops[e.op]; o.Op.Kind != wire.OpCloseSession {
			p.living[o.Session] = max(p.living[o.Session], e.zxid)
		}
	}
}

// determined reports whether an answer says all that a write did, and at which zxid.
func determined(o *history.Operation) bool {
	if !acknowledged(o) {
		return false
	}
	switch o.Result.Code {
	case wire.OK:
		return o.Op.Kind != wire.OpMulti || len(o.Op.Ops) == len(o.Result.Results)
	case wire.BadArguments, wire.NoNode, wire.NoAuth, wire.BadVersion, wire.NoChildrenForEphemerals, wire.NodeExists, wire.NotEmpty,
		wire.SessionExpired, wire.InvalidACL, wire.SessionMoved:
		return true
	default: // whatever it means
		return false
	}
}

// eachPart calls f with what an op is made of, numbered.
func eachPart(op *history.Op, f func(part int, ask *history.Op)) {
	if op.Kind != wire.OpMulti {
		f(0, op)
		return
	}
	for i := range op.Ops {
		f(i, &op.Ops[i])
	}
}

func isCreate(kind wire.Op) bool {
	switch kind {
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL:
		return true
	default:
		return false
	}
}

func (p *partial) noteName(op *history.Op) {
	if (isCreate(op.Kind) || op.Kind == wire.OpSetACL) && !slices.Equal(op.ACL, wire.OpenACL) {
		p.secret.add(op)
	}
	if !isCreate(op.Kind) || op.Path == "" {
		return
	}
	switch {
	case op.Mode.Ephemeral():
		p.owned.add(op)
	case op.Kind == wire.OpCreateContainer, op.Kind == wire.OpCreateTTL, op.Mode >= wire.Container:
		p.reaped.add(op)
	default:
		return
	}
	p.restless[parentOf(op.Path)] = true
}

func (p *partial) noteOpen(w open) {
	kind := w.ask.Kind
	switch {
	case isCreate(kind) && w.ask.Mode.Sequential():
		p.named[w.ask.Path] = append(p.named[w.ask.Path], w)
	default:
		p.open[w.ask.Path] = append(p.open[w.ask.Path], w)
	}
	if w.ask.Path != "" && (isCreate(kind) || kind == wire.OpDelete) {
		parent := parentOf(w.ask.Path)
		p.below[parent] = append(p.below[parent], w)
	}
}

// floorsOfWrites returns, by op, the highest zxid that anybody had been shown when a write was
// called. What is proposed later gets a higher one.
func (s *study) floorsOfWrites() []int64 {
	floors, highest := make([]int64, len(s.h.Ops)), int64(0)
	answers := s.allAnswers()
	for i := range s.h.Ops {
		for ; len(answers) > 0 && answers[0].at.Before(s.h.Ops[i].Call); answers = answers[1:] {
			highest = max(highest, answers[0].zxid)
		}
		floors[i] = highest
	}
	return floors
}

// content is data at a path, or behind the prefix of a sequential one.
type content struct{ path, data string }

// version is a state of a znode's data, by the zxid that made it.
type version struct {
	path string
	zxid int64
	data string
}

// infer finds writes without an outcome that took effect for certain: nothing else can have made
// what a read shows. Those of a multi took effect together.
func (p *partial) infer() {
	took := p.took
	seen := map[version]bool{}
	for i := range p.s.h.Ops {
		p.eachRead(i, func(c *claim, path string) {
			v := version{path, c.mzxid, mark(c.data)}
			if !c.told || c.mzxid == 0 || seen[v] {
				return
			}
			seen[v] = true
			if _, known := p.acked[v.zxid]; known {
				return
			}
			op, only := p.author(v)
			if !only {
				return
			}
			old, twice := took[op]
			switch {
			case !twice:
				took[op] = v
			case old.zxid != v.zxid:
				p.again = append(p.again, p.twice(op, i, old, v))
				p.judged[v.path] = true
			}
		})
	}
	for _, op := range slices.Sorted(maps.Keys(took)) {
		ask := &p.s.h.Ops[op].Op
		p.acked[took[op].zxid] = op
		eachPart(ask, func(_ int, part *history.Op) {
			res := &history.Result{Path: part.Path}
			if part.Mode.Sequential() {
				res.Path = ""
				if ask.Kind != wire.OpMulti {
					res.Path = took[op].path
				}
			}
			p.effects = append(p.effects, effect{op, took[op].zxid, part, res})
		})
	}
	p.forget(took)
}

// twice says that a request shows at two zxids.
func (p *partial) twice(op, read int, first, second version) Violation {
	o := &p.s.h.Ops[read]
	return Violation{Check: "C-ONCE", At: o.Return, Ops: []int{op, read}, Text: fmt.Sprintf(
		"%s shows at %s that %s took effect with zxid %s at %q, but it also did with %s at %q",
		p.s.op(read), seconds(o.Return), p.s.op(op), hex(second.zxid), second.path, hex(first.zxid), first.path)}
}

// forget drops writes from the open ones. Where a multi has put what it made under a number nobody
// has said.
func (p *partial) forget(took map[int]version) {
	gone := func(w open) bool {
		_, ok := took[w.op]
		return ok && (!w.ask.Mode.Sequential() || !p.unnumbered(w.op))
	}
	for _, lists := range []map[string][]open{p.open, p.named, p.below} {
		for path := range lists {
			lists[path] = slices.DeleteFunc(lists[path], gone)
		}
	}
}

// unnumbered reports whether a write may have made znodes whose paths are not known.
func (p *partial) unnumbered(op int) bool {
	o := &p.s.h.Ops[op]
	return o.Op.Kind == wire.OpMulti && !determined(o) && slices.ContainsFunc(o.Op.Ops, func(part history.Op) bool { return part.Mode.Sequential() })
}

// made returns the write that took effect with a zxid, if all that it did is known.
func (p *partial) made(zxid int64) (op int, known bool) {
	op, known = p.acked[zxid]
	return op, known && !p.unnumbered(op)
}

// author returns the only write that can have made a version, if there is only one.
func (p *partial) author(v version) (op int, only bool) {
	op = -1
	for _, w := range p.writers(v.path) {
		switch {
		case w.floor >= v.zxid || mark(w.ask.Data) != v.data:
		case op >= 0 && op != w.op:
			return 0, false
		default:
			op = w.op
		}
	}
	return op, op >= 0
}

// writers returns the open creates and sets of a path.
func (p *partial) writers(path string) []open {
	var all []open
	for _, w := range p.open[path] {
		if isCreate(w.ask.Kind) || w.ask.Kind == wire.OpSetData {
			all = append(all, w)
		}
	}
	return append(all, p.named[prefixOf(path)]...)
}
