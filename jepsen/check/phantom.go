package check

import (
	"fmt"
	"math"
	"slices"

	"quoll/jepsen/history"
	"quoll/transport/wire"
)

// phantoms finds the events that no watch and no change can have made.
func (e *ear) phantoms() {
	told := map[happening]int{}
	left := map[string][]watched{}
	for _, w := range e.watches {
		left[w.path] = append(left[w.path], w)
	}
	for _, i := range e.s.events[e.conn] {
		x := &e.s.h.Events[i]
		if wakes(x.Type) == 0 || kept(x.Path) && x.Path != "/" {
			continue
		}
		why := ""
		if e.blind {
			why = e.watchedFor(x, left)
		} else if x.Zxid <= 0 {
			why = e.madeUpRightly(x)
		} else if why = e.watchedFor(x, left); why == "" {
			h := happening{zxid: x.Zxid, kind: x.Type, path: x.Path}
			told[h]++
			why = e.p.caused(x, told[h])
		}
		if why != "" {
			e.phantom.add(x.At, nil, fmt.Sprintf("%s of change %s: %s", e.s.event(i), hex(x.Zxid), why))
		}
	}
}

// watchedFor says why no watch of the connection can have told an event, and takes away the watches that
// it uses up.
func (e *ear) watchedFor(x *history.Event, watches map[string][]watched) string {
	found, left := false, false
	for path := x.Path; ; path = parentOf(path) {
		watches[path] = slices.DeleteFunc(watches[path], func(w watched) bool {
			if !w.wakes(x.Type, x.Path) || !e.s.h.Ops[w.op].Call.Before(x.At) {
				return false
			}
			left = true
			if !e.blind && w.since >= x.Zxid {
				return false
			}
			found = true
			usedUp := w.since != unsaid && (!e.blind || e.s.h.Ops[w.op].Return.Before(x.At))
			return w.mode&oneShot != 0 && usedUp
		})
		if path == "/" {
			break
		}
	}
	switch {
	case found:
		return ""
	case left:
		return "its watch is for what comes later"
	default:
		return "no watch for it was left on this connection, or it was told already"
	}
}

// caused says why nothing can have been what an event tells of, for the nth time.
func (p *partial) caused(x *history.Event, nth int) string {
	changes, _ := p.happened()
	times := 0
	for _, h := range after(changes[x.Path], x.Zxid-1) {
		if h.zxid > x.Zxid {
			break
		}
		if h.kind == x.Type {
			times++
		}
	}
	switch {
	case times >= nth:
		return ""
	case times > 0 && !p.unnumbered(p.acked[x.Zxid]):
		return "it was told already"
	}
	if op, known := p.made(x.Zxid); known {
		goes := x.Type == wire.EventNodeDeleted || x.Type == wire.EventNodeChildrenChanged
		if goes && p.s.h.Ops[op].Op.Kind == wire.OpCloseSession {
			return ""
		}
		return fmt.Sprintf("nothing of the kind has happened: it is %s that took that zxid", p.s.op(op))
	}
	if !p.mayHaveBeen(x.Type, x.Path, x.Zxid) {
		return "nobody can have made such a change"
	}
	return ""
}

// mayHaveBeen reports whether a write without an outcome, the end of a session or a reaper may have made a
// change by zxid.
func (p *partial) mayHaveBeen(kind wire.EventType, path string, zxid int64) bool {
	some := func(list []open, is func(kind wire.Op) bool) bool {
		return slices.ContainsFunc(list, func(w open) bool { return w.floor < zxid && is(w.ask.Kind) })
	}
	switch kind {
	case wire.EventNodeCreated:
		return some(p.open[path], isCreate) || some(p.named[prefixOf(path)], isCreate)
	case wire.EventNodeDeleted:
		return some(p.open[path], func(k wire.Op) bool { return k == wire.OpDelete }) || p.reaped.has(path) || p.owned.has(path)
	case wire.EventNodeDataChanged:
		return some(p.open[path], func(k wire.Op) bool { return k == wire.OpSetData })
	case wire.EventNodeChildrenChanged:
		return some(p.below[path], func(wire.Op) bool { return true }) || p.restless[path]
	default:
		return true
	}
}

// madeUpRightly says why no setWatches can have made up an event.
func (e *ear) madeUpRightly(x *history.Event) string {
	outside := false
	for i := range e.made {
		m := &e.made[i]
		o := &e.s.h.Ops[m.op]
		if m.told || m.path != x.Path || !slices.Contains(m.kinds, x.Type) {
			continue
		}
		if x.At.Before(o.Call) || o.Known() && o.Return.Before(x.At) {
			outside = true
			continue
		}
		m.told = true
		if !e.p.missedAny(x, o) {
			return fmt.Sprintf("%s has missed no such change", e.s.op(m.op))
		}
		return ""
	}
	if outside {
		return "it was made up, but outside of a setWatches"
	}
	return "no setWatches had to make it up"
}

// missedAny reports whether a client that sets its watches again may have missed a change that did not
// make the znode go or come.
func (p *partial) missedAny(x *history.Event, o *history.Operation) bool {
	end := int64(math.MaxInt64)
	if o.Known() && o.Zxid >= 0 {
		end = o.Zxid
	}
	creates := x.Type == wire.EventNodeDataChanged || x.Type == wire.EventNodeChildrenChanged
	if !creates || x.Path == "/" {
		return true
	}
	changes, _ := p.happened()
	for _, h := range after(changes[x.Path], max(o.Op.Rewatch.SinceZxid, 0)) {
		if h.zxid <= end && (h.kind == x.Type || h.kind == wire.EventNodeCreated) {
			return true
		}
	}
	return p.mayHaveBeen(x.Type, x.Path, end) || p.mayHaveBeen(wire.EventNodeCreated, x.Path, end)
}
