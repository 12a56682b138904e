package workload

import (
	"fmt"
	"math/rand/v2"

	"quoll/jepsen/history"
	"quoll/transport/wire"
)

// register is what linearizability is judged by: a few znodes that are created, set on condition
// and without, deleted, and read plainly and behind a sync.
type register struct {
	*agent
	paths   []string
	version []int32 // last seen, by path
	synced  string  // the path to read behind a sync
}

func newRegister(a *agent, shape *rand.Rand) generator {
	g := &register{agent: a}
	for i := range 1 + shape.IntN(3) {
		path := fmt.Sprintf("/r%d", i)
		g.paths = append(g.paths, path)
		g.version = append(g.version, 0)
		a.set(path, nil)
	}
	return g
}

func (g *register) next(r *rand.Rand) history.Op {
	if path := g.synced; path != "" {
		g.synced = ""
		if chance(r, 20) {
			return read(wire.OpExists, path)
		}
		return read(wire.OpGetData, path)
	}
	i := r.IntN(len(g.paths))
	path := g.paths[i]
	switch n := r.IntN(100); {
	case n < 25:
		return setData(path, g.value(), g.version[i])
	case n < 40:
		return setData(path, g.value(), -1)
	case n < 50:
		return create(path, g.value(), wire.Persistent)
	case n < 53:
		return remove(path, -1)
	case n < 55:
		return remove(path, g.version[i])
	case n < 70:
		return read(wire.OpGetData, path)
	default:
		g.synced = path
		return read(wire.OpSync, path)
	}
}

func (g *register) done(op *history.Op, res *history.Result) {
	if !succeeded(res) {
		return
	}
	for i, path := range g.paths {
		switch {
		case path != op.Path:
		case op.Kind == wire.OpCreate:
			g.version[i] = 0
		case op.Kind == wire.OpSetData || op.Kind == wire.OpGetData:
			g.version[i] = res.Stat.Version
		}
	}
}

func (g *register) event(history.Event) {}

// lost lets a sync that got no answer be forgotten: on a new session it would be about nothing.
func (g *register) lost() { g.synced = "" }
