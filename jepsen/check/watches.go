package check

import (
	"fmt"
	"slices"
	"strings"

	"quoll/jepsen/history"
	"quoll/jepsen/model"
	"quoll/transport/wire"
	"quoll/zab"
)

// watchMode is a set of watches of one connection on one path (protocol 7.2).
type watchMode uint8

const (
	watchesData watchMode = 1 << iota
	watchesChildren
	watchesAlways
	watchesBelow

	oneShot = watchesData | watchesChildren
)

// wakes returns the modes on the path itself that an event is for (protocol 7.3).
func wakes(e wire.EventType) watchMode {
	switch e {
	case wire.EventNodeCreated, wire.EventNodeDataChanged:
		return watchesData | watchesAlways | watchesBelow
	case wire.EventNodeDeleted:
		return watchesData | watchesChildren | watchesAlways | watchesBelow
	case wire.EventNodeChildrenChanged:
		return watchesChildren | watchesAlways
	default:
		return 0
	}
}

// due is an event that a connection must be told of.
type due struct {
	zxid int64 // -1: made up by the setWatches op
	kind wire.EventType
	path string
	op   int  // of a setWatches; else -1
	may  bool // whether the connection may hear of it is not known
}

func (d *due) is(e *history.Event) bool {
	return d.kind == e.Type && d.path == e.Path && d.zxid == e.Zxid
}

// watcher plays the watches of one connection along the committed sequence.
type watcher struct {
	s       *study
	watches map[string]watchMode
	below   int // watches with watchesBelow
	auth    []zab.AuthID
	vague   bool // the identities changed while it was open
	next    int  // the first commit that is not played
	due     []due
}

// play returns what a connection must be told, in order, up to the last zxid that it was shown. How
// it comes to lie between the answers needs no thought: each answer says what it reflects, so the
// changes up to there come before it, and a watch is for the changes behind its own answer.
func (s *study) play(conn int) *watcher {
	w := &watcher{s: s, watches: map[string]watchMode{}}
	for n, i := range s.conns[conn] {
		auth := s.h.Ops[i].Auth
		w.vague = w.vague || n > 0 && !slices.Equal(auth, w.auth)
		w.auth = auth
	}
	for _, i := range s.conns[conn] {
		o := &s.h.Ops[i]
		if !o.Known() || o.Zxid < 0 || o.Op.Kind == wire.OpAuth {
			continue
		}
		w.upTo(o.Zxid)
		w.answer(i, o)
	}
	for _, i := range s.events[conn] {
		w.upTo(s.h.Events[i].Zxid)
	}
	for _, i := range s.pings[conn] {
		w.upTo(s.h.Heards[i].Zxid)
	}
	return w
}

// upTo plays the changes up to zxid.
func (w *watcher) upTo(zxid int64) {
	end, _ := w.s.pos(zxid)
	for ; w.next <= end; w.next++ {
		if len(w.watches) == 0 {
			w.next = end + 1
			return
		}
		for i := range w.s.changes[w.next] {
			w.change(&w.s.changes[w.next][i], int64(w.s.h.Commits[w.next].Zxid))
		}
	}
}

func (w *watcher) change(c *model.Change, zxid int64) {
	w.trigger(c.Type, c.Path, zxid, c.ACL)
	if c.Type != wire.EventNodeDataChanged {
		w.trigger(wire.EventNodeChildrenChanged, parentOf(c.Path), zxid, c.ParentACL)
	}
}

func parentOf(path string) string { return path[:max(1, strings.LastIndexByte(path, '/'))] }

// trigger makes at most one event, and uses the one-shot watches up even if the connection may not
// hear of it (CVE-2024-23944).
func (w *watcher) trigger(kind wire.EventType, path string, zxid int64, acl []wire.ACL) {
	hit := w.watches[path] & wakes(kind)
	told := hit != 0 || kind != wire.EventNodeChildrenChanged && w.fromAbove(path)
	if hit&oneShot != 0 {
		w.set(path, w.watches[path]&^(hit&oneShot))
	}
	allowed := model.Allows(acl, wire.PermRead, w.auth)
	secret := !model.Allows(acl, wire.PermRead, nil)
	if told && (allowed || w.vague && secret) {
		w.due = append(w.due, due{zxid: zxid, kind: kind, path: path, op: -1, may: w.vague && secret})
	}
}

func (w *watcher) fromAbove(path string) bool {
	for w.below > 0 && path != "/" {
		if path = parentOf(path); w.watches[path]&watchesBelow != 0 {
			return true
		}
	}
	return false
}

func (w *watcher) set(path string, m watchMode) {
	if w.watches[path]&watchesBelow != 0 {
		w.below--
	}
	if m&watchesBelow != 0 {
		w.below++
	}
	if w.watches[path] = m; m == 0 {
		delete(w.watches, path)
	}
}

// answer registers what an answered operation leaves.
func (w *watcher) answer(i int, o *history.Operation) {
	ok := o.Result.Code == wire.OK
	add := func(m watchMode) { w.set(o.Op.Path, w.watches[o.Op.Path]|m) }
	switch kind := o.Op.Kind; {
	case kind == wire.OpAddWatch && ok && o.Op.WatchMode == wire.AddWatchPersistentRecursive:
		add(watchesBelow)
	case kind == wire.OpAddWatch && ok:
		add(watchesAlways)
	case kind == wire.OpExists && o.Op.Watch && (ok || o.Result.Code == wire.NoNode), kind == wire.OpGetData && o.Op.Watch && ok:
		add(watchesData)
	case (kind == wire.OpGetChildren || kind == wire.OpGetChildren2) && o.Op.Watch && ok:
		add(watchesChildren)
	}
	for _, c := range w.s.rewatch[i] {
		switch {
		case c.fires == 0:
			w.set(c.path, w.watches[c.path]|c.mode)
		case !c.hides:
			w.due = append(w.due, due{zxid: -1, kind: c.fires, path: c.path, op: i, may: w.vague})
		case w.vague:
			w.due = append(w.due, due{zxid: -1, kind: c.fires, path: c.path, op: i, may: true})
		}
	}
}

// catchUp works out what setWatches does at a state of the tree (protocol 7.5).
func catchUp(t *model.Tree, o *history.Operation) []caughtUp {
	re := o.Op.Rewatch
	since := zab.Zxid(max(re.SinceZxid, 0))
	var all []caughtUp
	add := func(paths []string, mode watchMode, fires func(exists bool, stat *wire.Stat) wire.EventType) {
		for _, path := range paths {
			ask := history.Op{Kind: wire.OpExists, Path: path}
			res := t.Read(o.Session, everybody, &ask)
			c := caughtUp{path: path, mode: mode, fires: fires(res.Code == wire.OK, &res.Stat)}
			c.hides = t.Read(o.Session, o.Auth, &ask).Code == wire.NoAuth
			all = append(all, c)
		}
	}
	add(re.Data, watchesData, func(exists bool, stat *wire.Stat) wire.EventType {
		return missedChange(exists, stat.Mzxid > since, wire.EventNodeDataChanged)
	})
	add(re.Exist, watchesData, func(exists bool, _ *wire.Stat) wire.EventType {
		if exists {
			return wire.EventNodeCreated
		}
		return 0
	})
	add(re.Child, watchesChildren, func(exists bool, stat *wire.Stat) wire.EventType {
		return missedChange(exists, stat.Pzxid > since, wire.EventNodeChildrenChanged)
	})
	never := func(bool, *wire.Stat) wire.EventType { return 0 }
	add(re.Persistent, watchesAlways, never)
	add(re.Recurs, watchesBelow, never)
	return all
}

// everybody may read everything: who asks what a znode is like must not be kept from it.
var everybody = []zab.AuthID{{Scheme: "super"}}

func missedChange(exists, changed bool, e wire.EventType) wire.EventType {
	switch {
	case !exists:
		return wire.EventNodeDeleted
	case changed:
		return e
	default:
		return 0
	}
}

func (s *study) watchTruth() []Violation {
	r := &report{check: "C-WATCH2"}
	s.matchEvents(r, nil)
	return r.list
}

func (s *study) watchDelivery() []Violation {
	r := &report{check: "C-WATCH3"}
	s.matchEvents(nil, r)
	return r.list
}

// matchEvents compares the events of every connection with those that were due. What came and was
// not due goes to phantom, what was due and did not come to missing. Events behind the last answer
// need not have come: nobody knows when the connection ended for its server.
func (s *study) matchEvents(phantom, missing *report) {
	if !s.complete {
		s.hear(phantom, missing)
		return
	}
	for conn := range s.conns {
		if len(s.events[conn]) == 0 && !s.leavesWatches(conn) {
			continue
		}
		w := s.play(conn)
		m := matcher{s: s, due: w.due, at: map[string][]int{}, spare: s.unansweredRewatch(conn), phantom: phantom, missing: missing}
		for i := range w.due {
			d := &w.due[i]
			m.at[dueKey(d.zxid, d.kind, d.path)] = append(m.at[dueKey(d.zxid, d.kind, d.path)], i)
		}
		for _, i := range s.events[conn] {
			m.event(i)
		}
		m.rest(conn)
	}
}

func (s *study) leavesWatches(conn int) bool {
	return slices.ContainsFunc(s.conns[conn], func(i int) bool {
		op := &s.h.Ops[i].Op
		return op.Watch || op.Kind == wire.OpAddWatch || op.Rewatch != nil
	})
}

// unansweredRewatch returns the events that a setWatches without an answer may have made: they come
// before its answer, so they may have come though it did not.
func (s *study) unansweredRewatch(conn int) []due {
	var all []due
	for _, i := range s.conns[conn] {
		o := &s.h.Ops[i]
		if o.Op.Rewatch == nil || o.Known() {
			continue
		}
		add := func(paths []string, kinds ...wire.EventType) {
			for _, path := range paths {
				for _, kind := range kinds {
					all = append(all, due{zxid: -1, kind: kind, path: path, op: i})
				}
			}
		}
		add(o.Op.Rewatch.Data, wire.EventNodeDeleted, wire.EventNodeDataChanged)
		add(o.Op.Rewatch.Exist, wire.EventNodeCreated)
		add(o.Op.Rewatch.Child, wire.EventNodeDeleted, wire.EventNodeChildrenChanged)
	}
	return all
}

// matcher walks over the events of a connection and those that were due to it.
type matcher struct {
	s                *study
	due              []due
	at               map[string][]int // indices in due
	next             int              // the first that is not matched
	spare            []due
	phantom, missing *report
}

func dueKey(zxid int64, kind wire.EventType, path string) string {
	return fmt.Sprintf("%d %d %s", zxid, kind, path)
}

func (m *matcher) event(i int) {
	e := &m.s.h.Events[i]
	key := dueKey(e.Zxid, e.Type, e.Path)
	for _, d := range m.at[key] {
		if d < m.next {
			continue
		}
		m.skip(d)
		m.next = d + 1
		m.inPlace(i, &m.due[d])
		return
	}
	if n := slices.IndexFunc(m.spare, func(d due) bool { return d.is(e) }); n >= 0 {
		m.spare = slices.Delete(m.spare, n, n+1)
		return
	}
	if m.phantom == nil {
		return
	}
	why := "no watch for it was left on this connection"
	switch {
	case len(m.at[key]) > 0:
		why = "it was told already, or out of its turn"
	case e.Zxid > 0 && !m.s.happened(e):
		why = "nothing of the kind has happened"
	case e.Zxid <= 0:
		why = "no setWatches had to make it up"
	}
	m.phantom.add(e.At, nil, fmt.Sprintf("%s of change %s: %s", m.s.event(i), hex(e.Zxid), why))
}

// inPlace: what setWatches makes up comes before its answer (protocol 7.5).
func (m *matcher) inPlace(i int, d *due) {
	if d.op < 0 || m.phantom == nil {
		return
	}
	e, o := &m.s.h.Events[i], &m.s.h.Ops[d.op]
	if e.At.Before(o.Call) || o.Return.Before(e.At) {
		m.phantom.add(e.At, []int{d.op}, fmt.Sprintf("%s was made up by %s, but came outside of it", m.s.event(i), m.s.op(d.op)))
	}
}

// skip reports what was due before the d-th.
func (m *matcher) skip(d int) {
	for i := m.next; i < d && m.missing != nil; i++ {
		if one := &m.due[i]; !one.may {
			m.missing.add(m.s.h.End, nil, fmt.Sprintf("%s of %q of change %s was never told, though one that came later was",
				one.kind, one.path, hex(one.zxid)))
		}
	}
}

// rest reports what was due by the last answer and did not come.
func (m *matcher) rest(conn int) {
	if m.missing == nil {
		return
	}
	var last seen
	for _, x := range m.s.stream(conn) {
		if !x.isEvent() && x.zxid >= last.zxid {
			last = x
		}
	}
	for i := m.next; i < len(m.due) && !last.at.IsZero(); i++ {
		if one := &m.due[i]; !one.may && one.zxid <= last.zxid {
			m.missing.add(last.at, last.ops(), fmt.Sprintf("%s of %q of change %s was never told over a connection on which %s shows %s",
				one.kind, one.path, hex(one.zxid), m.s.item(&last), hex(last.zxid)))
		}
	}
}

// happened reports whether an event tells of a true change.
func (s *study) happened(e *history.Event) bool {
	at, ok := s.pos(e.Zxid)
	if !ok || at < 0 {
		return false
	}
	return slices.ContainsFunc(s.changes[at], func(c model.Change) bool {
		return c.Type == e.Type && c.Path == e.Path ||
			c.Type != wire.EventNodeDataChanged && e.Type == wire.EventNodeChildrenChanged && parentOf(c.Path) == e.Path
	})
}
