package session_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quoll/session"
)

// watchModel is protocol 7.2 and 7.3 word for word: two tables of path, connection and mode, and
// every event a walk over all of it.
type watchModel struct{ data, child map[watchKey]bool }

type watchKey struct {
	path string
	conn session.ConnID
	mode session.Mode // Data stands for STANDARD in the data table, Child in the child table
}

func newWatchModel() *watchModel {
	return &watchModel{data: map[watchKey]bool{}, child: map[watchKey]bool{}}
}

func (m *watchModel) add(c session.ConnID, path string, mode session.Mode) {
	if mode != session.Child {
		m.data[watchKey{path, c, mode}] = true
	}
	if mode == session.Child || mode == session.Persistent {
		m.child[watchKey{path, c, mode}] = true
	}
}

func (m *watchModel) selects(k watchKey, c session.ConnID, path string, t session.WatcherType) bool {
	want := map[session.WatcherType]session.Mode{
		session.WatcherChildren: session.Child, session.WatcherData: session.Data,
		session.WatcherPersistent: session.Persistent, session.WatcherPersistentRecursive: session.PersistentRecursive,
	}
	return k.path == path && k.conn == c && (t == session.WatcherAny || k.mode == want[t])
}

func (m *watchModel) has(c session.ConnID, path string, t session.WatcherType) bool {
	for _, table := range []map[watchKey]bool{m.data, m.child} {
		for k := range table {
			if m.selects(k, c, path, t) {
				return true
			}
		}
	}
	return false
}

func (m *watchModel) remove(c session.ConnID, path string, t session.WatcherType) bool {
	had := m.has(c, path, t)
	drop := func(k watchKey, _ bool) bool { return m.selects(k, c, path, t) }
	maps.DeleteFunc(m.data, drop)
	maps.DeleteFunc(m.child, drop)
	return had
}

func (m *watchModel) removeConn(c session.ConnID) {
	drop := func(k watchKey, _ bool) bool { return k.conn == c }
	maps.DeleteFunc(m.data, drop)
	maps.DeleteFunc(m.child, drop)
}

// above reports whether watched is an ancestor of the znode path.
func above(watched, path string) bool {
	return watched == "/" || watched != "" && strings.HasPrefix(path, watched+"/")
}

func (m *watchModel) trigger(e session.EventType, path string) []session.ConnID {
	told := map[session.ConnID]bool{}
	fire := func(table map[watchKey]bool) {
		for k := range table {
			if k.path == path || k.mode == session.PersistentRecursive && above(k.path, path) {
				told[k.conn] = true
				if k.path == path && (k.mode == session.Data || k.mode == session.Child) {
					delete(table, k)
				}
			}
		}
	}
	switch e {
	case session.NodeChildrenChanged:
		fire(m.child)
	case session.NodeDeleted:
		fire(m.data)
		fire(m.child) // who was told by the data table is not told again
	default:
		fire(m.data)
	}
	return slices.Sorted(maps.Keys(told))
}

func (m *watchModel) totals() (conns, paths, watches int) {
	c, p, w := map[session.ConnID]bool{}, map[string]bool{}, map[watchKey]bool{}
	for k := range m.data {
		c[k.conn], p[k.path], w[watchKey{path: k.path, conn: k.conn}] = true, true, true
	}
	return len(c), len(p), len(w)
}

func (m *watchModel) pairs() []watchKey {
	set := map[watchKey]bool{}
	for k := range m.data {
		set[watchKey{path: k.path, conn: k.conn}] = true
	}
	return slices.SortedFunc(maps.Keys(set), compareKeys)
}

func compareKeys(a, b watchKey) int {
	if c := strings.Compare(a.path, b.path); c != 0 {
		return c
	}
	return int(a.conn) - int(b.conn)
}

var (
	modes   = []session.Mode{session.Data, session.Child, session.Persistent, session.PersistentRecursive}
	events  = []session.EventType{session.NodeCreated, session.NodeDeleted, session.NodeDataChanged, session.NodeChildrenChanged}
	znodes  = []string{"/", "/a", "/a/b", "/a/bc", "/a/b/c", "/a/b/c/d", "/ab", "/b"}
	watched = append([]string{"", "a", "/a/", "//", "b/c"}, znodes...) // a client may send anything
)

func collect(w *session.Watches, e session.EventType, path string) []session.ConnID {
	var told []session.ConnID
	w.Trigger(e, []byte(path), func(c session.ConnID) { told = append(told, c) })
	slices.Sort(told)
	return told
}

func TestWatchesModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, m := session.NewWatches(0), newWatchModel()
		conn := rapid.Map(rapid.IntRange(1, 5), func(n int) session.ConnID { return session.ConnID(n * n) })
		path, mode := rapid.SampledFrom(watched), rapid.SampledFrom(modes)
		kind := rapid.Map(rapid.Int32Range(1, 5), func(n int32) session.WatcherType { return session.WatcherType(n) })
		add := func(t *rapid.T) {
			c, p, md := conn.Draw(t, "conn"), path.Draw(t, "path"), mode.Draw(t, "mode")
			w.Add(c, p, md)
			m.add(c, p, md)
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": add, "addMore": add, "addYetMore": add,
			"trigger": func(t *rapid.T) {
				e, p := rapid.SampledFrom(events).Draw(t, "event"), rapid.SampledFrom(znodes).Draw(t, "znode")
				require.Equal(t, m.trigger(e, p), collect(w, e, p), "%v %q", e, p)
			},
			"remove": func(t *rapid.T) {
				c, p, k := conn.Draw(t, "conn"), path.Draw(t, "path"), kind.Draw(t, "type")
				require.Equal(t, m.has(c, p, k), w.Has(c, p, k))
				require.Equal(t, m.remove(c, p, k), w.Remove(c, p, k))
			},
			"removeConn": func(t *rapid.T) {
				c := conn.Draw(t, "conn")
				w.RemoveConn(c)
				m.removeConn(c)
			},
			"": func(t *rapid.T) { requireSameData(t, m, w) },
		})
	})
}

// requireSameData compares what wchs, wchp and wchc show.
func requireSameData(t require.TestingT, m *watchModel, w *session.Watches) {
	conns, paths, watches := m.totals()
	gotConns, gotPaths, gotWatches := w.Totals()
	require.Equal(t, [3]int{conns, paths, watches}, [3]int{gotConns, gotPaths, gotWatches})
	byPath, byConn := []watchKey(nil), []watchKey(nil)
	for path, c := range w.ByPath() {
		byPath = append(byPath, watchKey{path: path, conn: c})
	}
	last := session.ConnID(0)
	for c, path := range w.ByConn() {
		require.GreaterOrEqual(t, c, last)
		last = c
		byConn = append(byConn, watchKey{path: path, conn: c})
	}
	slices.SortFunc(byPath, compareKeys)
	slices.SortFunc(byConn, compareKeys)
	require.Equal(t, m.pairs(), byPath)
	require.Equal(t, m.pairs(), byConn)
}

// isZnode reports whether path may be that of an event: only a znode has any.
func isZnode(path string) bool {
	return path == "/" || strings.HasPrefix(path, "/") && !strings.HasSuffix(path, "/") && !strings.Contains(path, "//")
}

// FuzzWatches drives table and model by bytes, with paths that no sane client would send.
func FuzzWatches(f *testing.F) {
	f.Add([]byte("\x00\x01\x03/a/b\x00\x10\x00\x01/a/b\x00"))
	f.Add([]byte("\x00\x02\x01//\x00\x11\x00\x02//\x00\x30\x02\x00\x00"))
	f.Add([]byte("\x00\x01\x02\xff\x00\x00\x02\x02\xff\x00\x20\x01\x04\xff\x00\x10\x00\x04\xff\x00"))
	f.Fuzz(func(t *testing.T, script []byte) {
		w, m := session.NewWatches(0), newWatchModel()
		for len(script) > 3 {
			op, c, arg := script[0], session.ConnID(script[1]%4), script[2]
			path, rest, _ := bytes.Cut(script[3:], []byte{0})
			script = rest
			switch op >> 4 % 4 {
			case 0:
				w.Add(c, string(path), modes[arg%4])
				m.add(c, string(path), modes[arg%4])
			case 1:
				if !isZnode(string(path)) {
					continue
				}
				e := events[arg%4]
				require.Equal(t, m.trigger(e, string(path)), collect(w, e, string(path)), "%v %q", e, path)
			case 2:
				kind := session.WatcherType(arg % 7)
				if kind.Valid() {
					require.Equal(t, m.remove(c, string(path), kind), w.Remove(c, string(path), kind))
				} else {
					require.False(t, w.Has(c, string(path), kind))
				}
			default:
				w.RemoveConn(c)
				m.removeConn(c)
			}
		}
		requireSameData(t, m, w)
	})
}

// Data and child watch of one connection on one znode: a single NodeDeleted, both consumed.
func TestDeletedIsToldOnce(t *testing.T) {
	w := session.NewWatches(0)
	w.Add(1, "/a", session.Data)
	w.Add(1, "/a", session.Child)
	require.Equal(t, []session.ConnID{1}, collect(w, session.NodeDeleted, "/a"))
	require.False(t, w.Has(1, "/a", session.WatcherAny))
}

func TestRecursiveNeverHearsOfChildren(t *testing.T) {
	w := session.NewWatches(0)
	w.Add(1, "/a", session.PersistentRecursive)
	w.Add(2, "/a", session.Persistent)
	require.Equal(t, []session.ConnID{2}, collect(w, session.NodeChildrenChanged, "/a"))
	require.Equal(t, []session.ConnID{1}, collect(w, session.NodeCreated, "/a/b"))
	require.Equal(t, []session.ConnID{1, 2}, collect(w, session.NodeDataChanged, "/a"))
	require.Empty(t, collect(w, session.NodeCreated, "/ab"))
	w.Add(1, "/a/b", session.PersistentRecursive)
	w.Add(1, "/", session.PersistentRecursive)
	require.Equal(t, []session.ConnID{1}, collect(w, session.NodeDeleted, "/a/b/c"), "one event for three watches")
	w.RemoveConn(1)
	require.Empty(t, collect(w, session.NodeCreated, "/a/b"))
}

func TestEachMayStopEarly(t *testing.T) {
	w := session.NewWatches(0)
	for c := range session.ConnID(3) {
		w.Add(c, "/a", session.Data)
	}
	steps := 0
	for range w.ByPath() {
		steps++
		break
	}
	for c := range w.ByConn() {
		require.Zero(t, c, "not the lowest")
		steps++
		break
	}
	require.Equal(t, 2, steps)
}

func TestWatcherTypeValid(t *testing.T) {
	for n := session.WatcherType(-1); n < 8; n++ {
		require.Equal(t, n >= 1 && n <= 5, n.Valid())
	}
}

func TestCatchUp(t *testing.T) {
	const no = session.EventType(0)
	for _, c := range []struct {
		kind                session.CatchUpKind
		exists              bool
		mzxid, pzxid, since uint64
		want                session.EventType // no: registered
		mode                session.Mode
	}{
		{session.CatchUpData, false, 0, 0, 9, session.NodeDeleted, session.Data},
		{session.CatchUpData, true, 10, 3, 9, session.NodeDataChanged, session.Data},
		{session.CatchUpData, true, 9, 10, 9, no, session.Data},
		{session.CatchUpExist, false, 0, 0, 9, no, session.Data},
		{session.CatchUpExist, true, 1, 1, 9, session.NodeCreated, session.Data},
		{session.CatchUpChild, false, 0, 0, 9, session.NodeDeleted, session.Child},
		{session.CatchUpChild, true, 3, 10, 9, session.NodeChildrenChanged, session.Child},
		{session.CatchUpChild, true, 10, 9, 9, no, session.Child},
	} {
		e, fire := session.CatchUp(c.kind, c.exists, zxid(c.mzxid), zxid(c.pzxid), zxid(c.since))
		require.Equal(t, c.want != no, fire, "%+v", c)
		if fire {
			require.Equal(t, c.want, e, "%+v", c)
		}
		require.Equal(t, c.mode, c.kind.Mode())
	}
}

// A connection that watches and is told again and again must not grow.
func TestRewatchingKeepsItsSize(t *testing.T) {
	w := session.NewWatches(0)
	paths := make([]string, 100)
	for i := range paths {
		paths[i] = fmt.Sprintf("/queue/item-%d", i)
	}
	path := []byte("/queue/item-7")
	round := func() {
		for i := range paths {
			w.Add(7, paths[i], session.Data)
		}
		w.Trigger(session.NodeDataChanged, path, func(session.ConnID) {})
	}
	for range 1000 {
		round()
	}
	require.Zero(t, testing.AllocsPerRun(1000, round))
	_, n, _ := w.Totals()
	require.Equal(t, 99, n)
}

func TestTriggerWithoutWatchAllocatesNothing(t *testing.T) {
	told := 0
	emit := func(session.ConnID) { told++ }
	path := []byte("/services/kafka/brokers/ids/0")
	trigger := func(w *session.Watches) func() {
		return func() {
			w.Trigger(session.NodeDataChanged, path, emit)
			w.Trigger(session.NodeChildrenChanged, path, emit)
		}
	}
	w := session.NewWatches(0)
	require.Zero(t, testing.AllocsPerRun(1000, trigger(w)))
	w.Add(1, "/other", session.PersistentRecursive)
	require.Zero(t, testing.AllocsPerRun(1000, trigger(w)))
	require.Zero(t, told)
	w.Add(1, "/services", session.PersistentRecursive)
	w.Add(2, string(path), session.Persistent)
	require.Zero(t, testing.AllocsPerRun(1000, trigger(w)))
	require.NotZero(t, told)
}
