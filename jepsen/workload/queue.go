package workload

import (
	"math/rand/v2"
	"slices"

	"quoll/jepsen/history"
	"quoll/transport/wire"
)

// queue is ZooKeeper's recipe of a queue: producers create sequential znodes, consumers list them
// and have the first one that they manage to delete.
type queue struct {
	*agent
	items []string // as listed, in order
	item  string   // whose data was asked for: to be deleted next
}

func newQueue(a *agent, _ *rand.Rand) generator {
	a.set("/queue", nil)
	return &queue{agent: a}
}

func (g *queue) next(r *rand.Rand) history.Op {
	switch {
	case chance(r, 35):
		return create("/queue/q-", g.value(), wire.PersistentSequential)
	case g.item != "":
		path := g.item
		g.item = ""
		return remove(path, -1)
	case len(g.items) > 0:
		g.item, g.items = g.items[0], g.items[1:]
		return read(wire.OpGetData, g.item)
	default:
		return history.Op{Kind: wire.OpGetChildren, Path: "/queue", Watch: chance(r, 50)}
	}
}

func (g *queue) done(op *history.Op, res *history.Result) {
	switch {
	case res == nil:
	case op.Kind == wire.OpGetData && res.Code != wire.OK && g.item == op.Path:
		g.item = "" // somebody else was faster
	case op.Kind == wire.OpGetChildren && res.Code == wire.OK:
		g.items = nil
		for _, name := range res.Children {
			g.items = append(g.items, "/queue/"+name)
		}
		slices.Sort(g.items)
	case op.Kind == wire.OpDelete || op.Kind == wire.OpGetData:
	case res.Code == wire.NoNode:
		g.reset()
	}
}

func (g *queue) event(history.Event) {}

func (g *queue) lost() {}
