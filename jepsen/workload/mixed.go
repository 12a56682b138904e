package workload

import (
	"math/rand/v2"
	"slices"

	"quoll/jepsen/history"
	"quoll/transport/wire"
)

// mixed asks for everything that there is, on a few paths, with right versions and wrong ones.
type mixed struct {
	*agent
	paths   []string
	version []int32  // last seen, by path
	extra   []string // sequential znodes made, the last few
	then    []history.Op
}

func newMixed(a *agent, shape *rand.Rand) generator {
	g := &mixed{agent: a}
	for _, name := range []string{"/a", "/b", "/c"}[:1+shape.IntN(3)] {
		g.paths = append(g.paths, name)
		for _, child := range []string{"/x", "/y", "/z"}[:1+shape.IntN(3)] {
			g.paths = append(g.paths, name+child)
		}
	}
	g.version = make([]int32, len(g.paths))
	return g
}

func (g *mixed) next(r *rand.Rand) history.Op {
	if len(g.then) > 0 {
		op := g.then[0]
		g.then = g.then[1:]
		return op
	}
	switch n := r.IntN(100); {
	case n < 45:
		return g.write(r)
	case n < 53:
		op := history.Op{Kind: wire.OpMulti}
		for range 1 + r.IntN(4) {
			op.Ops = append(op.Ops, g.part(r))
		}
		return op
	case n < 61:
		g.then = append(g.then, g.read(r))
		return read(wire.OpSync, pick(r, g.paths))
	case n < 64:
		return history.Op{Kind: wire.OpAddWatch, Path: pick(r, g.paths), WatchMode: int32(r.IntN(2))}
	case n == 64:
		return history.Op{Kind: wire.OpCloseSession}
	default:
		return g.read(r)
	}
}

// write returns a write that is not a multi.
func (g *mixed) write(r *rand.Rand) history.Op {
	if chance(r, 6) {
		return history.Op{Kind: wire.OpSetACL, Path: pick(r, g.paths), ACL: g.acl(r), Version: int32(r.IntN(4)) - 1}
	}
	for {
		if op := g.part(r); op.Kind != wire.OpCheck {
			return op
		}
	}
}

// part returns an operation that a multi may hold.
func (g *mixed) part(r *rand.Rand) history.Op {
	i := r.IntN(len(g.paths))
	switch n := r.IntN(100); {
	case n < 40:
		return g.create(r, g.paths[i])
	case n < 75:
		return setData(g.paths[i], g.data(r), g.guess(r, i))
	case n < 82 && len(g.extra) > 0:
		return remove(pick(r, g.extra), -1)
	case n < 92:
		return remove(g.paths[i], g.guess(r, i))
	default:
		return history.Op{Kind: wire.OpCheck, Path: g.paths[i], Version: g.guess(r, i)}
	}
}

func (g *mixed) create(r *rand.Rand, path string) history.Op {
	op := create(path, g.data(r), wire.Persistent)
	if chance(r, 30) {
		op.Kind = wire.OpCreate2
	}
	switch n := r.IntN(100); {
	case n < 15:
		op.Mode = wire.Ephemeral
	case n < 25:
		op.Mode, op.Path = wire.PersistentSequential, path+"-"
	case n < 30:
		op.Mode, op.Path = wire.EphemeralSequential, path+"/s-"
	case n < 36:
		op.Kind, op.Mode = wire.OpCreateContainer, wire.Container
	case n < 40:
		op.Kind, op.Mode, op.TTLMs = wire.OpCreateTTL, wire.PersistentTTL, 1+r.Int64N(10_000)
	case n < 42:
		op.Kind, op.Mode, op.TTLMs = wire.OpCreateTTL, wire.PersistentSequentialTTL, 1+r.Int64N(10_000)
		op.Path += "-"
	}
	if chance(r, 4) {
		op.ACL = g.acl(r)
	}
	return op
}

// acl returns a list that forbids something. ADMIN stays, so that another setACL can undo it.
func (g *mixed) acl(r *rand.Rand) []wire.ACL {
	switch r.IntN(5) {
	case 0:
		return []wire.ACL{{Perms: wire.PermAll &^ wire.PermWrite, Scheme: "world", ID: "anyone"}}
	case 1:
		return []wire.ACL{{Perms: wire.PermAll &^ wire.PermRead, Scheme: "world", ID: "anyone"}}
	case 2:
		return []wire.ACL{
			{Perms: wire.PermAdmin | wire.PermRead, Scheme: "world", ID: "anyone"},
			{Perms: wire.PermAll, Scheme: "digest", ID: "user:3HvbXeXiX4ntoNlqyi8Cc8Hjqsw="},
		}
	default:
		return wire.OpenACL
	}
}

func (g *mixed) data(r *rand.Rand) []byte {
	if chance(r, 3) {
		return nil
	}
	return g.value()
}

// guess returns a version: any, the one seen last, or a wrong one.
func (g *mixed) guess(r *rand.Rand, i int) int32 {
	switch n := r.IntN(100); {
	case n < 40:
		return -1
	case n < 85:
		return g.version[i]
	default:
		return g.version[i] + 1 + int32(r.IntN(3))
	}
}

func (g *mixed) read(r *rand.Rand) history.Op {
	path := pick(r, g.paths)
	op := history.Op{Path: path, Watch: chance(r, 25)}
	switch n := r.IntN(100); {
	case n < 35:
		op.Kind = wire.OpGetData
	case n < 50:
		op.Kind = wire.OpExists
	case n < 60:
		op.Kind = wire.OpGetChildren
	case n < 75:
		op.Kind = wire.OpGetChildren2
	case n < 80:
		return read(wire.OpGetACL, path)
	case n < 85:
		return read(wire.OpGetAllChildrenNumber, pick(r, []string{"/", path}))
	case n < 92:
		return read(wire.OpGetEphemerals, pick(r, []string{"/", path}))
	default:
		op = history.Op{Kind: wire.OpMultiRead}
		for range 1 + r.IntN(4) {
			kind := pick(r, []wire.Op{wire.OpGetData, wire.OpGetChildren})
			op.Ops = append(op.Ops, read(kind, pick(r, g.paths)))
		}
	}
	return op
}

func (g *mixed) done(op *history.Op, res *history.Result) {
	if !succeeded(res) {
		return
	}
	for i := range min(len(op.Ops), len(res.Results)) {
		if part := &res.Results[i]; part.Kind != wire.OpError {
			g.saw(&op.Ops[i], part)
		}
	}
	g.saw(op, res)
}

func (g *mixed) saw(op *history.Op, res *history.Result) {
	if op.Mode.Sequential() && res.Path != "" {
		g.extra = append(g.extra, res.Path)
		g.extra = g.extra[max(0, len(g.extra)-8):]
		return
	}
	i := slices.Index(g.paths, op.Path)
	if i < 0 {
		return
	}
	switch op.Kind {
	case wire.OpCreate:
		g.version[i] = 0
	case wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL, wire.OpSetData, wire.OpGetData, wire.OpExists:
		g.version[i] = res.Stat.Version
	default:
	}
}

func (g *mixed) event(history.Event) {}

func (g *mixed) lost() { g.then = nil }
