package workload

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"

	"quoll/jepsen/history"
	"quoll/transport/wire"
)

// The workloads of this file go on for as long as one likes. Each znode is used for a while and then left
// for the next one, by each client for itself.

// stint is how many operations of a client one znode gets.
const stint = 25

// cell is a znode that is read, and written on the condition that nobody else has written meanwhile.
type cell struct {
	*agent
	prefix string
	after  func(old []byte) []byte // what is to stand there next

	n       int // of the znode
	used    int
	synced  bool // a sync was asked for: now comes the read
	known   bool // data and version are those of the last read
	data    []byte
	version int32
}

func (g *cell) path() string { return g.prefix + strconv.Itoa(g.n) }

func (g *cell) next(r *rand.Rand) history.Op {
	if g.used++; g.used > stint {
		g.n, g.used, g.known, g.synced = g.n+1, 1, false, false
	}
	switch {
	case g.used == 1:
		return create(g.path(), nil, wire.Persistent)
	case g.synced:
		g.synced = false
		return read(wire.OpGetData, g.path())
	case g.known && chance(r, 70):
		g.known = false
		return setData(g.path(), g.after(g.data), g.version)
	default:
		g.synced = true
		return read(wire.OpSync, g.path())
	}
}

func (g *cell) done(op *history.Op, res *history.Result) {
	if succeeded(res) && op.Kind == wire.OpGetData && op.Path == g.path() {
		g.known, g.data, g.version = true, res.Data, res.Stat.Version
	}
}

func (g *cell) event(history.Event) {}

func (g *cell) lost() { g.synced, g.known = false, false }

// newAppender appends to a list in a znode: every element is there once, in the same order for everybody.
func newAppender(a *agent, _ *rand.Rand) generator {
	g := &cell{agent: a, prefix: "/list"}
	g.after = func(old []byte) []byte { return append(bytes.Clone(old), append(a.value(), ' ')...) }
	return g
}

// newCounter counts up: no count is given twice.
func newCounter(a *agent, _ *rand.Rand) generator {
	return &cell{agent: a, prefix: "/counter", after: func(old []byte) []byte {
		n, _ := strconv.Atoi(string(old)) // nothing is 0
		return strconv.AppendInt(nil, int64(n)+1, 10)
	}}
}

// registers is register on one znode after the other.
type registers struct {
	*register
	used int
	n    int
}

func newRegisters(a *agent, _ *rand.Rand) generator {
	g := &registers{register: &register{agent: a, version: []int32{0}}}
	g.move()
	return g
}

func (g *registers) move() {
	g.paths, g.version[0], g.synced = []string{fmt.Sprintf("/r%d", g.n)}, 0, ""
	g.n++
}

func (g *registers) next(r *rand.Rand) history.Op {
	if g.used++; g.used > stint && g.synced == "" {
		g.used = 0
		g.move()
		return create(g.paths[0], g.value(), wire.Persistent)
	}
	return g.register.next(r)
}

// set adds elements to a set, each a znode, and looks at all of them: what was added is there for good.
type set struct {
	*agent
	parent int
	used   int
	mine   []string
}

func newSet(a *agent, _ *rand.Rand) generator { return &set{agent: a} }

func (g *set) next(r *rand.Rand) history.Op {
	if g.used++; g.used > stint || g.parent == 0 {
		g.parent, g.used, g.mine = g.parent+1, 0, nil
		return create(g.path(), nil, wire.Persistent)
	}
	switch n := r.IntN(10); {
	case n < 6:
		return create(fmt.Sprintf("%s/%s", g.path(), g.value()), nil, wire.Persistent)
	case n < 7:
		return read(wire.OpSync, g.path())
	case n < 9 && len(g.mine) > 0:
		return read(wire.OpGetData, pick(r, g.mine))
	default:
		return read(wire.OpGetChildren2, g.path())
	}
}

func (g *set) path() string { return "/set" + strconv.Itoa(g.parent) }

func (g *set) done(op *history.Op, res *history.Result) {
	if succeeded(res) && op.Kind == wire.OpCreate && op.Path != g.path() {
		g.mine = append(g.mine, op.Path)
	}
}

func (g *set) event(history.Event) {}

func (g *set) lost() {}
