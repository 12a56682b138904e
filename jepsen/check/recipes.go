package check

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"quoll/jepsen/history"
	"quoll/transport/wire"
	"quoll/zab"
)

// effect is an operation that succeeded, alone or in a multi.
type effect struct {
	op   int // index in History.Ops
	zxid int64
	ask  *history.Op
	res  *history.Result
}

// effects returns what acknowledged writes did, in the order of their zxids.
func (s *study) effects() []effect {
	var all []effect
	for i := range s.h.Ops {
		o := &s.h.Ops[i]
		switch {
		case !acknowledged(o) || o.Result.Code != wire.OK:
		case o.Op.Kind != wire.OpMulti:
			all = append(all, effect{i, o.Zxid, &o.Op, &o.Result})
		case !slices.ContainsFunc(o.Result.Results, func(r history.Result) bool { return r.Kind == wire.OpError }):
			for j := range min(len(o.Op.Ops), len(o.Result.Results)) {
				all = append(all, effect{i, o.Zxid, &o.Op.Ops[j], &o.Result.Results[j]})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b effect) int { return cmp.Compare(a.zxid, b.zxid) })
	return all
}

// sequences follows the numbers that each parent gave out. They only go up, whatever the name is
// that they are put behind, as long as the parent lives.
func (s *study) sequences() []Violation {
	r := &report{check: "C-SEQ"}
	type counter struct {
		parent string
		life   int
	}
	last := map[counter]effect{}
	mortal := s.mortal()
	for _, e := range s.effects() {
		parent, number, ok := issued(e)
		if !ok || mortal(parent) {
			continue
		}
		k := counter{parent: parent}
		if s.complete {
			at, _ := s.pos(e.zxid)
			k.life = s.incarnation(parent, at)
		}
		if before, some := last[k]; some {
			if _, n, _ := issued(before); n >= number {
				r.add(s.h.Ops[e.op].Return, []int{before.op, e.op}, fmt.Sprintf("%s was given %q with zxid %s, after %s was given %q with %s",
					s.op(e.op), e.res.Path, hex(e.zxid), s.op(before.op), before.res.Path, hex(before.zxid)))
			}
		}
		last[k] = e
	}
	return r.list
}

// issued returns the parent and the number of a sequential name.
func issued(e effect) (parent string, number int, ok bool) {
	switch e.ask.Kind {
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateTTL:
	default:
		return "", 0, false
	}
	if !e.ask.Mode.Sequential() {
		return "", 0, false
	}
	digits, ok := strings.CutPrefix(e.res.Path, e.ask.Path)
	number, err := strconv.Atoi(digits)
	return e.ask.Path[:strings.LastIndexByte(e.ask.Path, '/')], number, ok && err == nil
}

// mortal returns a function that reports whether a znode may have been deleted and made again, so
// that its counter started over, at a time that nobody knows: without the committed sequence
// that is any which somebody tried to delete or which a reaper may, with it one that a multi
// deletes.
func (s *study) mortal() func(path string) bool {
	paths := map[string]bool{}
	note := func(op *history.Op, res *history.Result) {
		reaped := !s.complete && (op.Kind == wire.OpCreateContainer || op.Kind == wire.OpCreateTTL)
		if reaped || op.Kind == wire.OpDelete {
			paths[op.Path], paths[res.Path] = true, true
		}
	}
	for i := range s.h.Ops {
		o := &s.h.Ops[i]
		if !s.complete {
			note(&o.Op, &o.Result)
		}
		for j := range o.Op.Ops {
			part := history.Result{}
			if j < len(o.Result.Results) {
				part = o.Result.Results[j]
			}
			note(&o.Op.Ops[j], &part)
		}
	}
	delete(paths, "") // of what has no path in its result; the root does not die
	return func(path string) bool { return paths[path] }
}

// fenceName is the last component of the znode that the holders of a lock write to.
const fenceName = "/fence"

// locks: of writes that hold only at one version of a znode, one passes; and the numbers that
// holders of a lock leave at its fence do not go down, so nobody passes who lost the lock.
func (s *study) locks() []Violation {
	r := &report{check: "C-LOCK"}
	type condition struct {
		path    string
		life    zab.Zxid
		version int32
	}
	passed := map[condition]int{}
	type fence struct {
		effect
		number int
	}
	fences := map[condition]fence{}
	for _, e := range s.effects() {
		if e.ask.Kind != wire.OpSetData {
			continue
		}
		c := condition{e.ask.Path, e.res.Stat.Czxid, e.ask.Version}
		if other, again := passed[c]; again && e.ask.Version != wire.AnyVersion {
			r.add(s.h.Ops[e.op].Return, []int{other, e.op}, fmt.Sprintf("%s passed at %s, and so had %s at %s",
				s.op(e.op), seconds(s.h.Ops[e.op].Return), s.op(other), seconds(s.h.Ops[other].Return)))
		}
		passed[c] = e.op
		digits, _, _ := bytes.Cut(e.ask.Data, []byte(" "))
		number, err := strconv.Atoi(string(digits))
		if !strings.HasSuffix(e.ask.Path, fenceName) || err != nil {
			continue
		}
		c.version = 0
		if before, some := fences[c]; some && before.number > number {
			r.add(s.h.Ops[e.op].Return, []int{before.op, e.op}, fmt.Sprintf("%s passed the fence for holder %d, after %s for holder %d",
				s.op(e.op), number, s.op(before.op), before.number))
		}
		fences[c] = fence{e, number}
	}
	return r.list
}
