package workload

import (
	"math/rand/v2"

	"quoll/jepsen/history"
	"quoll/transport/wire"
)

// sequence makes and deletes sequential znodes under one parent: no name may come twice, whatever
// was deleted in between.
type sequence struct {
	*agent
	mine []string
}

func newSequence(a *agent, _ *rand.Rand) generator {
	a.set("/seq", nil)
	return &sequence{agent: a}
}

func (g *sequence) next(r *rand.Rand) history.Op {
	switch n := r.IntN(100); {
	case n < 55:
		op := create(pick(r, []string{"/seq/a-", "/seq/b-", "/seq/"}), g.value(), wire.PersistentSequential)
		if chance(r, 20) {
			op.Mode = wire.EphemeralSequential
		}
		if chance(r, 30) {
			op.Kind = wire.OpCreate2
		}
		if chance(r, 10) {
			second := op
			second.Data = g.value()
			return history.Op{Kind: wire.OpMulti, Ops: []history.Op{op, second}}
		}
		return op
	case n < 85 && len(g.mine) > 0:
		i := r.IntN(len(g.mine))
		path := g.mine[i]
		g.mine = append(g.mine[:i:i], g.mine[i+1:]...)
		return remove(path, -1)
	default:
		return read(wire.OpGetChildren2, "/seq")
	}
}

func (g *sequence) done(op *history.Op, res *history.Result) {
	switch {
	case res == nil:
	case res.Code == wire.NoNode && op.Kind != wire.OpDelete:
		g.reset()
	case res.Code != wire.OK:
	case op.Kind == wire.OpCreate || op.Kind == wire.OpCreate2:
		g.mine = append(g.mine, res.Path)
	case op.Kind == wire.OpMulti:
		for i := range res.Results {
			if res.Results[i].Path != "" {
				g.mine = append(g.mine, res.Results[i].Path)
			}
		}
	}
}

func (g *sequence) event(history.Event) {}

func (g *sequence) lost() {}
