package check

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"quoll/jepsen/history"
	"quoll/transport/wire"
)

// watched is a watch that a connection may have.
type watched struct {
	op    int
	path  string
	mode  watchMode
	since int64 // it is for what comes behind; unsaid: there is no answer that says so
	sure  bool  // it was registered
}

const unsaid = math.MinInt64

// happening is a change that is known to have happened, as watches see it.
type happening struct {
	zxid int64
	kind wire.EventType
	path string
	op   int
}

// ear judges the events of one connection by what clients know: each is one of a watch, and of a change that
// can have been; and a change that is known, behind the answer that left a watch, has been told when
// another answer shows it.
type ear struct {
	s                *study
	p                *partial
	conn             int
	watches          []watched
	events           map[string][]int // by path, in the order of zxids
	staying          []int            // in watches
	blind            bool             // events do not say which change they are of
	made             []made           // by setWatches
	answers          []seen           // and events
	highest          []int64          // of answers, the highest zxid from there on
	phantom, missing *report
}

// made is an event that a setWatches may make up.
type made struct {
	op    int
	path  string
	kinds []wire.EventType
	told  bool
}

// hear is matchEvents without the committed sequence.
func (s *study) hear(phantom, missing *report) {
	blind := s.blind()
	for conn := range s.conns {
		foreign := slices.ContainsFunc(s.conns[conn], func(i int) bool { return s.h.Ops[i].Op.Kind == wire.OpRemoveWatches })
		if foreign || len(s.events[conn]) == 0 && !s.leavesWatches(conn) {
			continue
		}
		e := ear{s: s, p: s.partly(), conn: conn, phantom: phantom, missing: missing, answers: s.stream(conn), blind: blind}
		e.highest = make([]int64, len(e.answers)+1)
		for i := len(e.answers) - 1; i >= 0; i-- {
			e.highest[i] = max(e.highest[i+1], shows(&e.answers[i]))
		}
		e.events = map[string][]int{}
		for _, i := range s.events[conn] {
			e.events[s.h.Events[i].Path] = append(e.events[s.h.Events[i].Path], i)
		}
		for _, list := range e.events {
			slices.SortStableFunc(list, func(a, b int) int { return cmp.Compare(s.h.Events[a].Zxid, s.h.Events[b].Zxid) })
		}
		for _, i := range s.conns[conn] {
			e.note(i)
		}
		if missing != nil {
			e.losses()
		}
		if phantom != nil {
			e.phantoms()
		}
	}
}

// blind reports whether the server leaves the zxid of events out, as ZooKeeper did before 3.9: an event
// has none that no setWatches can have made up. Then only their order is left to judge by.
func (s *study) blind() bool {
	if slices.ContainsFunc(s.h.Events, func(e history.Event) bool { return e.Zxid > 0 }) {
		return false
	}
	for conn, events := range s.events {
		sets := slices.ContainsFunc(s.conns[conn], func(i int) bool { return s.h.Ops[i].Op.Rewatch != nil })
		if len(events) > 0 && !sets {
			return true
		}
	}
	return false
}

// shows returns the zxid up to which all events have come, if none is lost, when this comes.
func shows(x *seen) int64 {
	if x.isEvent() {
		return x.zxid - 1
	}
	return x.zxid
}

// note takes the watches that an operation may have left.
func (e *ear) note(i int) {
	o := &e.s.h.Ops[i]
	ok := o.Known() && o.Result.Code == wire.OK
	add := func(mode watchMode, path string, failed bool) {
		if failed {
			return
		}
		w := watched{op: i, path: path, mode: mode, since: unsaid, sure: o.Known() && o.Zxid >= 0}
		if w.sure {
			w.since = o.Zxid
		}
		e.keep(w)
	}
	switch kind := o.Op.Kind; {
	case kind == wire.OpAddWatch && o.Op.WatchMode == wire.AddWatchPersistentRecursive:
		add(watchesBelow, o.Op.Path, o.Known() && !ok)
	case kind == wire.OpAddWatch:
		add(watchesAlways, o.Op.Path, o.Known() && !ok)
	case o.Op.Rewatch != nil:
		e.noteAgain(i, o)
	case !o.Op.Watch:
	case kind == wire.OpExists:
		add(watchesData, o.Op.Path, o.Known() && !ok && o.Result.Code != wire.NoNode)
	case kind == wire.OpGetData:
		add(watchesData, o.Op.Path, o.Known() && !ok)
	case kind == wire.OpGetChildren, kind == wire.OpGetChildren2:
		add(watchesChildren, o.Op.Path, o.Known() && !ok)
	}
}

// keep adds a watch. One that stays says all that a later one of its kind could.
func (e *ear) keep(w watched) {
	if w.mode&oneShot == 0 {
		at := slices.IndexFunc(e.staying, func(i int) bool {
			old := &e.watches[i]
			return old.path == w.path && old.mode == w.mode && old.sure == w.sure && old.since <= w.since
		})
		if at >= 0 {
			return
		}
		e.staying = append(e.staying, len(e.watches))
	}
	e.watches = append(e.watches, w)
}

// noteAgain takes what a setWatches may have registered, or made up instead.
func (e *ear) noteAgain(i int, o *history.Operation) {
	add := func(paths []string, mode watchMode, kinds ...wire.EventType) {
		for _, path := range paths {
			w := watched{op: i, path: path, mode: mode, since: unsaid}
			if o.Known() && o.Result.Code == wire.OK && o.Zxid >= 0 {
				w.since, w.sure = o.Zxid, !e.madeUp(path)
			}
			e.keep(w)
			if len(kinds) > 0 {
				e.made = append(e.made, made{op: i, path: path, kinds: kinds})
			}
		}
	}
	re := o.Op.Rewatch
	add(re.Data, watchesData, wire.EventNodeDataChanged, wire.EventNodeDeleted)
	add(re.Exist, watchesData, wire.EventNodeCreated)
	add(re.Child, watchesChildren, wire.EventNodeChildrenChanged, wire.EventNodeDeleted)
	add(re.Persistent, watchesAlways)
	add(re.Recurs, watchesBelow)
}

// madeUp reports whether a setWatches of the connection made up an event of a path.
func (e *ear) madeUp(path string) bool {
	list := e.events[path]
	return len(list) > 0 && e.s.h.Events[list[0]].Zxid <= 0
}

// happened returns the known changes by the paths whose watches they wake, in order, and all that is
// not of children.
func (p *partial) happened() (map[string][]happening, []happening) {
	if p.changes == nil {
		p.changes = map[string][]happening{}
		for _, e := range p.effects {
			kind, path := wire.EventType(0), e.ask.Path
			switch {
			case isCreate(e.ask.Kind):
				kind, path = wire.EventNodeCreated, e.res.Path
			case e.ask.Kind == wire.OpDelete:
				kind = wire.EventNodeDeleted
			case e.ask.Kind == wire.OpSetData:
				kind = wire.EventNodeDataChanged
			}
			if kind == 0 || path == "" {
				continue
			}
			h := happening{e.zxid, kind, path, e.op}
			p.changes[path] = append(p.changes[path], h)
			p.all = append(p.all, h)
			if kind != wire.EventNodeDataChanged {
				h.kind, h.path = wire.EventNodeChildrenChanged, parentOf(path)
				p.changes[h.path] = append(p.changes[h.path], h)
			}
		}
	}
	return p.changes, p.all
}

// after returns the known changes behind a zxid.
func after(list []happening, zxid int64) []happening {
	i, _ := slices.BinarySearchFunc(list, zxid+1, func(h happening, z int64) int { return cmp.Compare(h.zxid, z) })
	return list[i:]
}

// losses finds what was not told. A one-shot watch tells of the first change; if that is not the one
// that is known then one before it is told.
func (e *ear) losses() {
	changes, all := e.p.happened()
	lost := map[happening]bool{} // reported already
	for i := range e.watches {
		w := &e.watches[i]
		if !w.sure {
			continue
		}
		list := changes[w.path]
		if w.mode == watchesBelow {
			list = all
		}
		for _, h := range after(list, w.since) {
			if h.zxid > e.shownSince(w.op) {
				break
			}
			if !w.wakes(h.kind, h.path) {
				continue
			}
			from := h.zxid - 1
			if w.mode&oneShot != 0 {
				from = w.since
			}
			if !lost[h] && !e.p.secret.has(h.path) && !e.told(w, &h, from) {
				lost[h] = true
				e.loss(w.op, &h)
			}
			if w.mode&oneShot != 0 {
				break
			}
		}
		e.notCaughtUp(w, changes[w.path])
	}
}

// shownSince returns the highest zxid that the connection was shown behind an answer.
func (e *ear) shownSince(op int) int64 {
	at := e.s.h.Ops[op].Return
	i, _ := slices.BinarySearchFunc(e.answers, at.Seq, func(x seen, seq int64) int { return cmp.Compare(x.at.Seq, seq) })
	return e.highest[min(i+1, len(e.answers))]
}

// wakes reports whether a change of a path is one for a watch.
func (w *watched) wakes(kind wire.EventType, path string) bool {
	if w.path == path {
		return w.mode&wakes(kind) != 0
	}
	return w.mode == watchesBelow && kind != wire.EventNodeChildrenChanged && strings.HasPrefix(path, strings.TrimSuffix(w.path, "/")+"/")
}

// told reports whether an event of a known change came, or for a one-shot watch one between.
func (e *ear) told(w *watched, h *happening, from int64) bool {
	list := e.events[h.path]
	if e.blind {
		return slices.ContainsFunc(list, func(i int) bool {
			x := &e.s.h.Events[i]
			return w.wakes(x.Type, x.Path) && e.s.h.Ops[w.op].Call.Before(x.At)
		})
	}
	first, _ := slices.BinarySearchFunc(list, from+1, func(i int, z int64) int { return cmp.Compare(e.s.h.Events[i].Zxid, z) })
	for _, i := range list[first:] {
		x := &e.s.h.Events[i]
		if x.Zxid > h.zxid {
			return false
		}
		if w.wakes(x.Type, x.Path) && (w.mode&oneShot != 0 || x.Type == h.kind) {
			return true
		}
	}
	return false
}

func (e *ear) loss(watch int, h *happening) {
	h0 := e.s.h
	i := slices.IndexFunc(e.answers, func(x seen) bool { return h0.Ops[watch].Return.Before(x.at) && shows(&x) >= h.zxid })
	x := &e.answers[i]
	ops := append([]int{watch, h.op}, x.ops()...)
	e.missing.add(x.at, ops, fmt.Sprintf("%s of %q of change %s, %s, was never told over a connection on which %s had left a watch and %s shows %s",
		h.kind, h.path, hex(h.zxid), e.s.op(h.op), e.s.op(watch), e.s.item(x), hex(x.zxid)))
}

// notCaughtUp: setWatches makes up what changed behind the last that its client has seen.
func (e *ear) notCaughtUp(w *watched, list []happening) {
	o := &e.s.h.Ops[w.op]
	if e.blind || o.Op.Rewatch == nil || w.mode&oneShot == 0 || e.p.secret.has(w.path) || slices.Contains(o.Op.Rewatch.Exist, w.path) {
		return
	}
	for _, h := range after(list, max(o.Op.Rewatch.SinceZxid, 0)) {
		if h.zxid > w.since {
			return
		}
		if w.wakes(h.kind, h.path) || h.kind == wire.EventNodeCreated {
			e.missing.add(o.Return, []int{h.op, w.op}, fmt.Sprintf("%s was answered at %s with zxid %s without any event of %q, although %s changed it with %s",
				e.s.op(w.op), seconds(o.Return), hex(o.Zxid), w.path, e.s.op(h.op), hex(h.zxid)))
			return
		}
	}
}
