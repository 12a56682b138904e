package workload

import (
	"math/rand/v2"
	"slices"

	"quoll/jepsen/history"
	"quoll/transport/wire"
)

// watch has clients that leave watches, and look again when one fires as every recipe does, and
// clients that change what they look at.
type watch struct {
	*agent
	changes int      // share of changes, in percent
	again   []string // paths whose watches fired
}

var watchedPaths = []string{"/w", "/w/a", "/w/b", "/w/c", "/w/a/x", "/w/a/y", "/w/b/x"}

func newWatch(a *agent, _ *rand.Rand) generator {
	a.set("/w", nil)
	g := &watch{agent: a, changes: 15}
	if a.id%2 == 0 {
		g.changes = 80
	}
	return g
}

func (g *watch) next(r *rand.Rand) history.Op {
	path := pick(r, watchedPaths)
	if chance(r, g.changes) {
		return g.change(r, path)
	}
	if len(g.again) > 0 && chance(r, 80) {
		path, g.again = g.again[0], g.again[1:]
		return watching(wire.OpGetData, path)
	}
	switch n := r.IntN(100); {
	case n < 30:
		return watching(wire.OpExists, path)
	case n < 55:
		return watching(wire.OpGetData, path)
	case n < 70:
		return watching(wire.OpGetChildren, path)
	case n < 80:
		return watching(wire.OpGetChildren2, path)
	case n < 85:
		return history.Op{Kind: wire.OpAddWatch, Path: path, WatchMode: wire.AddWatchPersistent}
	case n < 90:
		return history.Op{Kind: wire.OpAddWatch, Path: path, WatchMode: wire.AddWatchPersistentRecursive}
	case n < 95:
		return read(wire.OpSync, path)
	default:
		return read(wire.OpExists, path)
	}
}

func (g *watch) change(r *rand.Rand, path string) history.Op {
	switch n := r.IntN(100); {
	case n < 45:
		return create(path, g.value(), wire.Persistent)
	case n < 70:
		return setData(path, g.value(), -1)
	case n < 90:
		return remove(path, -1)
	default:
		return history.Op{Kind: wire.OpMulti, Ops: []history.Op{
			setData("/w", g.value(), -1), create(path+"m", g.value(), wire.Persistent), remove(path+"m", -1),
		}}
	}
}

func (g *watch) done(op *history.Op, res *history.Result) {
	if res != nil && res.Code == wire.NoNode && op.Path == "/w" {
		g.reset()
	}
}

func (g *watch) event(e history.Event) {
	if !slices.Contains(g.again, e.Path) {
		g.again = append(g.again, e.Path)
	}
}

func (g *watch) lost() { g.again = nil }
