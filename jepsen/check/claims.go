package check

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"quoll/jepsen/history"
	"quoll/transport/wire"
	"quoll/zab"
)

// claim is what an answer says of a path at a zxid.
type claim struct {
	zxid   int64
	turn   int // among those of one zxid: the parts of a multi in their order, reads last
	op     int
	how    source
	exists bool

	// Where it exists, as far as it was told.
	czxid, mzxid int64         // 0: not told
	version      int32         // -1: not told
	owner        zab.SessionID // told with czxid
	data         []byte
	told         bool // the data are
}

// source says how a claim is known.
type source uint8

const (
	shown source = iota // a read says so
	met                 // a write could only end as it did where it was so
	left                // a write made it so
)

// kept are the paths that a server has from the start, or makes itself.
func kept(path string) bool {
	return path == "" || path == "/" || path == "/zookeeper" || strings.HasPrefix(path, "/zookeeper/")
}

// told takes what a stat says.
func (c *claim) stat(s *wire.Stat) {
	c.czxid, c.mzxid, c.version, c.owner = int64(s.Czxid), int64(s.Mzxid), s.Version, s.EphemeralOwner
}

// eachRead calls f with what a read says of single paths; what a list of children says is for
// lists.
func (p *partial) eachRead(op int, f func(c *claim, path string)) {
	o := &p.s.h.Ops[op]
	if !p.s.state(o) {
		return
	}
	if o.Op.Kind == wire.OpMultiRead && o.Result.Code == wire.OK && len(o.Op.Ops) == len(o.Result.Results) {
		for i := range o.Op.Ops {
			res := &o.Result.Results[i]
			p.readOf(op, &o.Op.Ops[i], res, res.Kind != wire.OpError, f)
		}
		return
	}
	p.readOf(op, &o.Op, &o.Result, o.Result.Code == wire.OK, f)
}

func (p *partial) readOf(op int, ask *history.Op, res *history.Result, ok bool, f func(c *claim, path string)) {
	c := claim{zxid: p.s.h.Ops[op].Zxid, turn: math.MaxInt, op: op, exists: ok, version: -1}
	if !ok && res.Code != wire.NoNode || kept(ask.Path) {
		return
	}
	switch ask.Kind {
	case wire.OpGetData:
		c.data, c.told = res.Data, ok
		c.stat(&res.Stat)
	case wire.OpExists, wire.OpGetACL, wire.OpGetChildren2:
		c.stat(&res.Stat)
	case wire.OpGetChildren:
	default:
		return
	}
	if !ok {
		c.czxid, c.mzxid, c.version = 0, 0, -1
	}
	if c.told && c.czxid == 0 {
		c.mzxid, c.version = p.writtenAt(ask.Path, &c), -1
	}
	f(&c, ask.Path)
}

// writtenAt returns the zxid of data that came without a stat, if one acknowledged write only can have
// left them; else 0.
func (p *partial) writtenAt(path string, c *claim) int64 {
	asks := p.asks[content{path, mark(c.data)}]
	if len(asks) != 1 || len(p.asks[content{prefixOf(path), mark(c.data)}]) > 0 || !determined(&p.s.h.Ops[asks[0]]) {
		return 0
	}
	return p.s.h.Ops[asks[0]].Zxid
}

// claims returns all that is known of each path, in the order of zxids.
func (p *partial) claims() map[string][]claim {
	all := map[string][]claim{}
	add := func(c *claim, path string) {
		if !kept(path) {
			all[path] = append(all[path], *c)
		}
	}
	turn, last := 0, int64(0)
	for _, e := range p.effects {
		if turn++; e.zxid != last {
			turn, last = 0, e.zxid
		}
		p.done(e, turn, add)
	}
	for i := range p.s.h.Ops {
		p.eachRead(i, add)
		if o := &p.s.h.Ops[i]; o.Op.IsWrite() && determined(o) && o.Result.Code != wire.OK {
			failedWrite(i, o, add)
		}
	}
	p.lists().add(all)
	for path := range all {
		slices.SortStableFunc(all[path], func(a, b claim) int {
			return cmp.Or(cmp.Compare(a.zxid, b.zxid), cmp.Compare(a.turn, b.turn), cmp.Compare(a.how, b.how), cmp.Compare(a.op, b.op))
		})
	}
	return all
}

// done makes the claims of a write that took effect: what it must have met, and what it left.
func (p *partial) done(e effect, turn int, add func(c *claim, path string)) {
	before := claim{zxid: e.zxid, turn: turn, op: e.op, how: met, version: -1}
	after := claim{zxid: e.zxid, turn: turn, op: e.op, how: left, exists: true, version: -1}
	path := e.ask.Path
	told := e.res.Stat.Czxid != 0
	switch kind := e.ask.Kind; {
	case isCreate(kind):
		path = e.res.Path
		if after.czxid, after.mzxid, after.version = e.zxid, e.zxid, 0; e.ask.Mode.Ephemeral() {
			after.owner = p.s.h.Ops[e.op].Session
		}
		after.data, after.told = e.ask.Data, true
	case kind == wire.OpDelete:
		before.exists, before.version, after.exists = true, e.ask.Version, false
	case kind == wire.OpSetData:
		before.exists, before.version = true, e.ask.Version
		if told {
			after.stat(&e.res.Stat)
			before.czxid, before.owner, before.version = after.czxid, after.owner, after.version-1
		}
		after.mzxid, after.data, after.told = e.zxid, e.ask.Data, true
	case kind == wire.OpSetACL:
		if before.exists = true; told {
			before.stat(&e.res.Stat)
		}
		add(&before, path)
		return
	case kind == wire.OpCheck:
		before.exists, before.version = true, e.ask.Version
		add(&before, path)
		return
	default:
		return
	}
	add(&before, path)
	add(&after, path)
}

// failedWrite makes the claims of a write that failed: it changed nothing.
func failedWrite(op int, o *history.Operation, add func(c *claim, path string)) {
	c := claim{zxid: o.Zxid, turn: math.MaxInt, op: op, how: met, version: -1}
	path := o.Op.Path
	switch kind, code := o.Op.Kind, o.Result.Code; {
	case kind == wire.OpMulti || path == "":
		return
	case isCreate(kind) && code == wire.NodeExists && !o.Op.Mode.Sequential():
		c.exists = true
	case isCreate(kind) && code == wire.NoNode:
		path = parentOf(path)
	case isCreate(kind):
		return
	case code == wire.NoNode:
	case code == wire.BadVersion || code == wire.NotEmpty:
		c.exists = true
	default:
		return
	}
	add(&c, path)
}

// listed are the lists of the children of one znode that were read, by zxid.
type listed struct {
	at    []list
	turns map[string][]int // by name: where in at it appears, and where it is gone again
}

type list struct {
	zxid  int64
	op    int
	names []string
}

type allLists map[string]*listed

func (p *partial) lists() allLists {
	all := allLists{}
	note := func(op int, ask *history.Op, names []string) {
		l := all[ask.Path]
		if l == nil {
			l = &listed{turns: map[string][]int{}}
			all[ask.Path] = l
		}
		l.at = append(l.at, list{p.s.h.Ops[op].Zxid, op, names})
	}
	isList := func(kind wire.Op) bool { return kind == wire.OpGetChildren || kind == wire.OpGetChildren2 }
	for i := range p.s.h.Ops {
		o := &p.s.h.Ops[i]
		switch {
		case !p.s.state(o) || o.Result.Code != wire.OK:
		case isList(o.Op.Kind):
			note(i, &o.Op, o.Result.Children)
		case o.Op.Kind == wire.OpMultiRead && len(o.Op.Ops) == len(o.Result.Results):
			for j := range o.Op.Ops {
				if res := &o.Result.Results[j]; isList(o.Op.Ops[j].Kind) && res.Kind == o.Op.Ops[j].Kind {
					note(i, &o.Op.Ops[j], res.Children)
				}
			}
		}
	}
	for _, l := range all {
		l.compare()
	}
	return all
}

// compare finds where names come and go from list to list.
func (l *listed) compare() {
	slices.SortStableFunc(l.at, func(a, b list) int { return cmp.Compare(a.zxid, b.zxid) })
	last := map[string]int{} // the list that showed a name last
	for i := range l.at {
		for _, name := range l.at[i].names {
			at, some := last[name]
			switch {
			case !some:
				l.turns[name] = append(l.turns[name], i)
			case at < i-1:
				l.turns[name] = append(l.turns[name], at+1, i)
			}
			last[name] = i
		}
	}
	for name, at := range last {
		if at+1 < len(l.at) {
			l.turns[name] = append(l.turns[name], at+1)
		}
	}
}

// add makes claims of lists: where a name comes and goes, and on both sides of everything else that
// is known of its path. The lists between say nothing more.
func (a allLists) add(all map[string][]claim) {
	for path := range all {
		if l := a[parentOf(path)]; l != nil {
			l.around(path[strings.LastIndexByte(path, '/')+1:], path, all)
		}
	}
	for parent, l := range a {
		for name := range l.turns {
			path := strings.TrimSuffix(parent, "/") + "/" + name
			if _, done := all[path]; !done && !kept(path) {
				l.around(name, path, all)
			}
		}
	}
}

func (l *listed) around(name, path string, all map[string][]claim) {
	turns, wanted := l.turns[name], map[int]bool{}
	for _, i := range turns {
		wanted[i-1], wanted[i] = true, true
	}
	for i := range all[path] {
		z := all[path][i].zxid
		up, _ := slices.BinarySearchFunc(l.at, z, func(x list, z int64) int { return cmp.Compare(x.zxid, z) })
		wanted[up-1], wanted[up] = true, true
	}
	for i := range wanted {
		if i < 0 || i >= len(l.at) {
			continue
		}
		n, found := slices.BinarySearch(turns, i) // an even number of turns: it is away
		if found {
			n++
		}
		all[path] = append(all[path], claim{
			zxid: l.at[i].zxid, turn: math.MaxInt, op: l.at[i].op, exists: n%2 == 1, version: -1,
		})
	}
}
