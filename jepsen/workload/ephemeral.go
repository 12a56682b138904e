package workload

import (
	"math/rand/v2"

	"quoll/jepsen/history"
	"quoll/transport/wire"
)

// ephemeral makes znodes that go with their session, fights for their names, and sometimes ends
// the session with creates still on their way.
type ephemeral struct {
	*agent
	closing bool // the last operations before a closeSession are on their way
}

// names are few, so that clients meet.
var ephemeralPaths = []string{"/eph/a", "/eph/b", "/eph/c", "/eph/d", "/eph/e", "/eph/f"}

func newEphemeral(a *agent, _ *rand.Rand) generator {
	a.set("/eph", nil)
	return &ephemeral{agent: a}
}

func (g *ephemeral) next(r *rand.Rand) history.Op {
	if g.closing {
		g.closing = false
		return history.Op{Kind: wire.OpCloseSession}
	}
	path := pick(r, ephemeralPaths)
	switch n := r.IntN(100); {
	case n < 40:
		g.closing = chance(r, 10)
		return create(path, g.value(), wire.Ephemeral)
	case n < 50:
		return remove(path, -1)
	case n < 55:
		return setData(path, g.value(), -1)
	case n < 60: // NoNode or NoChildrenForEphemerals
		return create(path+"/x", g.value(), wire.Persistent)
	case n < 75:
		return history.Op{Kind: wire.OpExists, Path: path, Watch: chance(r, 50)}
	case n < 85:
		return read(wire.OpGetChildren2, "/eph")
	case n < 92:
		return read(wire.OpGetEphemerals, pick(r, []string{"/", "/eph", "/eph/a"}))
	case n < 98:
		return read(wire.OpSync, "/eph")
	default:
		return history.Op{Kind: wire.OpCloseSession}
	}
}

func (g *ephemeral) done(op *history.Op, res *history.Result) {
	if res != nil && res.Code == wire.NoNode && op.Kind == wire.OpGetChildren2 {
		g.reset()
	}
}

func (g *ephemeral) event(history.Event) {}

func (g *ephemeral) lost() { g.closing = false }
