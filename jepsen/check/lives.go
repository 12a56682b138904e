package check

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"quoll/jepsen/history"
	"quoll/transport/wire"
)

// life follows one path through what is known of it. Whatever changes between two claims needs a
// cause: an acknowledged write is a claim itself, so it is a write without an outcome, or the end
// of a session, or a reaper.
type life struct {
	p      *partial
	path   string
	claims []claim

	exists bool
	zxid   int64  // of the last claim
	by     *claim // the last one that told of existence or absence
	detail *claim // the last one that told the stat, while it exists
	source *claim // the last one that told the data of detail's mzxid
	gone   int64  // the last zxid at which it did not exist
	died   bool   // it has existed and gone
	made   *claim // the acknowledged write whose work is seen

	creates, deletes, sets int // without an outcome that must have taken effect
}

// fault is what no order of writes explains.
type fault struct {
	check string
	text  string
	ops   []int
}

// alone judges a history without the committed sequence: C-DUR, C-ONCE, C-READ, C-MULTI and what lists
// say of C-EPHLIFE, by what the clients alone can prove. Behind the first fault of a path there is nothing to learn about it.
func (s *study) alone(check string) []Violation {
	if s.proven == nil {
		p := s.partly()
		s.proven = slices.Clone(p.again)
		claims := p.claims()
		for _, path := range slices.Sorted(maps.Keys(claims)) {
			if v := p.judge(path, claims[path]); v != nil && !p.judged[path] {
				s.proven = append(s.proven, *v)
			}
		}
		if s.proven == nil {
			s.proven = []Violation{}
		}
	}
	r := &report{check: check}
	for _, v := range s.proven {
		if v.Check == check {
			r.add(v.At, v.Ops, v.Text)
		}
	}
	return r.list
}

func (p *partial) judge(path string, claims []claim) *Violation {
	l := life{p: p, path: path, claims: claims, by: &claim{op: -1}}
	for i := range claims {
		c := &claims[i]
		f := l.follow(c)
		if f == nil {
			continue
		}
		if f.check == "" {
			f.check = l.blame(i, f)
		}
		o := &p.s.h.Ops[c.op]
		if f.ops == nil {
			f.ops = slices.DeleteFunc([]int{l.by.op, c.op}, func(op int) bool { return op < 0 })
		}
		at := o.Return
		if !o.Known() {
			at = p.s.h.End
		}
		return &Violation{Check: f.check, At: at, Ops: slices.Compact(f.ops), Text: f.text}
	}
	return nil
}

// follow takes the next claim.
func (l *life) follow(c *claim) *fault {
	var f *fault
	switch {
	case c.how == left:
		f = l.p.ownZxid(c)
	case c.exists && c.mzxid != 0 && (c.mzxid > c.zxid || c.czxid > c.mzxid):
		f = l.fault(c, "a change of "+hex(max(c.mzxid, c.czxid))+", later than what it reflects", nil)
	case c.told && c.how == shown && !l.p.anybody(l.path, c):
		f = l.fault(c, data(c.data)+", which nobody has written", nil)
		f.check = "C-READ"
	case !c.exists && l.exists && !l.mayGo(l.zxid, c.zxid):
		f = l.fault(c, "nothing there", l.by)
	case c.exists && !l.exists:
		f = l.appear(c, l.gone, l.creates)
	case c.exists && l.exists:
		f = l.compare(c)
	}
	if f == nil {
		l.need(c)
		l.take(c)
	}
	return f
}

// need counts what must have happened unknown to all: each write that explains something does so once.
func (l *life) need(c *claim) {
	another := l.exists && c.exists && l.detail != nil && l.detail.czxid != 0 && c.czxid != 0 && l.detail.czxid != c.czxid
	if c.how == left {
		return
	}
	if (l.exists && !c.exists || another) && !l.goes(c.zxid) {
		l.deletes++
	}
	if !l.exists && c.exists || another {
		l.creates++
	}
}

// ownZxid: the stat in the answer to a write is that of its own change.
func (p *partial) ownZxid(c *claim) *fault {
	o := &p.s.h.Ops[c.op]
	if o.Op.Kind != wire.OpSetData || !o.Known() || o.Result.Stat.Mzxid == 0 || int64(o.Result.Stat.Mzxid) == c.zxid {
		return nil
	}
	return &fault{check: "C-DUR", text: fmt.Sprintf("%s was acknowledged with zxid %s, but says that it was made by %v",
		p.s.op(c.op), hex(c.zxid), o.Result.Stat.Mzxid)}
}

// take notes a claim that holds.
func (l *life) take(c *claim) {
	l.zxid, l.by = c.zxid, c
	if c.how == left {
		l.made = c
	}
	if !c.exists {
		l.died = l.died || l.exists
		l.exists, l.gone, l.detail, l.source = false, c.zxid, nil, nil
		return
	}
	if l.exists = true; c.mzxid == 0 {
		return
	}
	if l.source != nil && l.source.mzxid != c.mzxid {
		l.source = nil
	}
	if c.told {
		l.source = c
	}
	l.detail = c
}

// mayGo reports whether the znode may have gone, unknown to all, between two zxids.
func (l *life) mayGo(after, zxid int64) bool {
	if after >= zxid {
		return false
	}
	return below(l.p.lost[l.path].deletes, zxid) > l.deletes || l.goes(zxid)
}

// goes reports whether it may have gone by itself.
func (l *life) goes(zxid int64) bool {
	if l.p.reaped.has(l.path) {
		return true
	}
	if l.detail == nil || l.detail.czxid == 0 {
		return l.p.owned.has(l.path)
	}
	owner := l.detail.owner
	return owner != 0 && l.p.living[owner] < zxid // a session that writes is not over
}

// mayCome reports whether the znode may have been created, unknown to all, between two zxids, by another
// write than those that have been needed already.
func (l *life) mayCome(after, zxid int64, needed int) bool {
	if after >= zxid {
		return false
	}
	creates := below(l.p.lost[l.path].creates, zxid)
	if !l.died || l.p.mortal(strings.TrimSuffix(parentOf(l.path), "/")) { // else its number is not given again
		creates += below(l.p.lost[prefixOf(l.path)].numbered, zxid)
	}
	return creates > needed
}

// appear: it exists, and did not up to a zxid.
func (l *life) appear(c *claim, after int64, needed int) *fault {
	born := c.zxid
	if c.czxid != 0 {
		if born = c.czxid; born <= after {
			return l.fault(c, "the znode of "+hex(born), l.by)
		}
		if other, known := l.p.made(born); known {
			return l.fault(c, "a znode of "+hex(born)+", when "+l.p.s.op(other)+" took effect", l.by)
		}
	}
	if !l.mayCome(after, born, needed) {
		return l.fault(c, "a znode", l.by)
	}
	return l.asked(c)
}

// asked: what a claim shows of data that no acknowledged write has left is what somebody has asked
// for.
func (l *life) asked(c *claim) *fault {
	if c.mzxid == 0 {
		return nil
	}
	if other, known := l.p.made(c.mzxid); known {
		return l.fault(c, "a change of "+hex(c.mzxid)+", when "+l.p.s.op(other)+" took effect", nil)
	}
	for _, w := range l.p.writers(l.path) {
		if w.floor < c.mzxid && (!c.told || mark(w.ask.Data) == mark(c.data)) {
			return nil
		}
	}
	if !c.told {
		return l.fault(c, "a change of "+hex(c.mzxid)+", which nobody can have made", nil)
	}
	for _, e := range l.p.effects {
		path := e.ask.Path
		if isCreate(e.ask.Kind) {
			path = e.res.Path
		}
		if (path == l.path || e.ask.Path == prefixOf(l.path)) && e.zxid != c.mzxid && len(c.data) > 0 && mark(e.ask.Data) == mark(c.data) {
			f := l.fault(c, fmt.Sprintf("%s of %s, so that %s, which took effect with %s, did once more",
				data(c.data), hex(c.mzxid), l.p.s.op(e.op), hex(e.zxid)), nil)
			f.check, f.ops = "C-ONCE", []int{e.op, c.op}
			return f
		}
	}
	f := l.fault(c, data(c.data)+" of "+hex(c.mzxid)+", which nobody has written", nil)
	f.check = "C-READ"
	return f
}

// anybody reports whether somebody has asked for what a read shows before it had its answer, with
// whatever outcome.
func (p *partial) anybody(path string, c *claim) bool {
	first := func(path string) bool {
		asks := p.asks[content{path, mark(c.data)}]
		return len(asks) > 0 && p.s.h.Ops[asks[0]].Call.Before(p.s.h.Ops[c.op].Return)
	}
	return first(path) || first(prefixOf(path))
}

// compare: it exists, and did at the claim before.
func (l *life) compare(c *claim) *fault {
	d := l.detail
	switch {
	case d == nil && c.mzxid != 0: // its creation is counted since it was seen first
		return l.appear(c, l.gone, max(0, l.creates-1))
	case d == nil:
		return nil
	case c.czxid != 0 && d.czxid != 0 && c.czxid != d.czxid:
		if c.czxid <= d.zxid || !l.mayGo(d.zxid, c.czxid) {
			return l.fault(c, "the znode of "+hex(c.czxid)+" in place of that of "+hex(d.czxid), d)
		}
		l.died = true
		return l.appear(c, d.zxid, l.creates)
	case c.mzxid == 0 && l.outlives(c, d):
		f := l.fault(c, "an ephemeral of "+session(d.owner)+": "+l.p.s.whyOver(d.owner), d)
		f.check = "C-EPHLIFE"
		return f
	case c.mzxid == 0 || d.mzxid == c.mzxid:
		return l.same(c, d)
	case c.mzxid <= d.zxid:
		return l.fault(c, "what it was at "+hex(c.mzxid), d)
	}
	if f := l.asked(c); f != nil {
		return f
	}
	return l.counts(c, d)
}

// outlives reports whether it is an ephemeral whose session is over, and nobody can have made another one.
func (l *life) outlives(c, d *claim) bool {
	end, over := l.p.s.endings()[d.owner]
	if d.owner == 0 || !over || end.zxid > c.zxid || c.how != shown {
		return false
	}
	died := l.died
	l.died = true
	again := l.mayCome(d.zxid, c.zxid, l.creates)
	l.died = died
	return !again
}

// same compares what two claims say of one version.
func (l *life) same(c, d *claim) *fault {
	if c.mzxid == 0 {
		return l.counts(c, d)
	}
	var differs string
	switch {
	case d.version >= 0 && c.version >= 0 && c.version != d.version:
		differs = "version " + strconv.Itoa(int(c.version)) + " instead of " + strconv.Itoa(int(d.version))
	case c.czxid != 0 && d.czxid != 0 && c.owner != d.owner:
		differs = "one of " + session(c.owner) + " instead of " + session(d.owner)
	case l.source != nil && c.told && mark(c.data) != mark(l.source.data):
		differs, d = data(c.data)+" instead of "+data(l.source.data), l.source
	default:
		return nil
	}
	f := l.fault(c, differs+" for "+hex(c.mzxid), d)
	f.check, f.ops = "C-READ", []int{d.op, c.op}
	return f
}

// counts: each version of a znode is a write's.
func (l *life) counts(c, d *claim) *fault {
	another := c.czxid == 0 && l.mayGo(d.zxid, c.zxid) // it may be another znode of the path
	if c.version < 0 || d.version < 0 || d.czxid == 0 || another {
		return nil
	}
	sets, end := 0, c.mzxid
	if end == 0 {
		end = c.zxid
	}
	if d.zxid < end {
		sets = below(l.p.lost[l.path].sets, end)
	}
	sets = max(0, sets-l.sets)
	if c.version >= d.version && int(c.version-d.version) <= sets {
		if c.czxid != 0 { // what is compared with next
			l.sets += int(c.version - d.version)
		}
		return nil
	}
	return l.fault(c, fmt.Sprintf("version %d, though it was %d at %s and at most %d other writes can have come between",
		c.version, d.version, hex(d.zxid), sets), d)
}

// fault says what is wrong with a claim, and with which one it does not agree.
func (l *life) fault(c *claim, what string, with *claim) *fault {
	s, h := l.p.s, l.p.s.h
	verb := "shows"
	if c.how != shown {
		verb = "met"
	}
	f := &fault{text: fmt.Sprintf("%s, answered at %s with zxid %s, %s at %q %s", s.op(c.op), seconds(h.Ops[c.op].Return), hex(c.zxid), verb, l.path, what)}
	switch {
	case with == nil:
	case with.op < 0:
		f.text += ": nobody has made it"
	case with.how == left:
		f.text += fmt.Sprintf(", although %s took effect with %s%s", s.op(with.op), hex(with.zxid), acknowledgedAt(&h.Ops[with.op]))
	default:
		f.text += fmt.Sprintf(", although %s found otherwise at %s", s.op(with.op), hex(with.zxid))
	}
	if with != nil && with.op >= 0 {
		f.ops = []int{with.op, c.op}
	}
	return f
}

func acknowledgedAt(o *history.Operation) string {
	if !o.Known() {
		return ""
	}
	return " and was acknowledged at " + seconds(o.Return)
}

// blame names the promise that is broken. A write whose work nobody sees any more is lost; one that
// is seen again was not seen by one reader. Parts of a read that show a multi beside parts that do
// not show half of it.
func (l *life) blame(at int, f *fault) string {
	c := &l.claims[at]
	if c.how != shown {
		return "C-DUR"
	}
	if l.made == nil || l.by != l.made && l.detail != nil && l.detail.mzxid != l.made.zxid {
		return "C-READ"
	}
	o, work := &l.p.s.h.Ops[l.made.op], l.made.zxid
	if o.Op.Kind == wire.OpMulti && slices.ContainsFunc(l.p.s.h.Ops[c.op].Result.Results, func(r history.Result) bool { return int64(r.Stat.Mzxid) == work }) {
		f.text += ", and it shows another part of it"
		return "C-MULTI"
	}
	if !l.made.exists { // what was deleted is there
		return "C-READ"
	}
	for i := range l.claims[at:] {
		if later := &l.claims[at+i]; later.exists && (later.mzxid >= work || later.mzxid == 0) {
			return "C-READ"
		}
	}
	return "C-DUR"
}
