package workload

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"

	"quoll/jepsen/history"
	"quoll/transport/wire"
)

// bank moves money between accounts by multis that hold only while nobody else has touched them.
// The data of an account are its balance and then, after a space, who wrote it.
type bank struct {
	*agent
	accounts []account
	log      bool
}

// account is an account as it was seen last; known is false when it must be read again.
type account struct {
	path    string
	balance int
	version int32
	known   bool
}

// opening is the balance that accounts start with.
const opening = 100

func newBank(a *agent, shape *rand.Rand) generator {
	g := &bank{agent: a, log: shape.IntN(2) == 0}
	a.set("/bank", nil)
	for i := range 2 + shape.IntN(3) {
		path := fmt.Sprintf("/bank/a%d", i)
		g.accounts = append(g.accounts, account{path: path})
		a.set(path, []byte(strconv.Itoa(opening)))
	}
	return g
}

func (g *bank) next(r *rand.Rand) history.Op {
	if chance(r, 15) {
		return g.readAll()
	}
	i := r.IntN(len(g.accounts))
	j := (i + 1 + r.IntN(len(g.accounts)-1)) % len(g.accounts)
	from, to := &g.accounts[i], &g.accounts[j]
	switch {
	case !from.known:
		return read(wire.OpGetData, from.path)
	case !to.known:
		return read(wire.OpGetData, to.path)
	case from.balance == 0:
		from.known = false
		return read(wire.OpSync, from.path)
	}
	sum := 1 + r.IntN(from.balance)
	op := history.Op{Kind: wire.OpMulti, Ops: []history.Op{
		{Kind: wire.OpCheck, Path: "/bank", Version: -1},
		setData(from.path, g.balance(from.balance-sum), from.version),
		setData(to.path, g.balance(to.balance+sum), to.version),
	}}
	if k := r.IntN(len(g.accounts)); k != i && k != j && g.accounts[k].known {
		op.Ops[0] = history.Op{Kind: wire.OpCheck, Path: g.accounts[k].path, Version: g.accounts[k].version}
	}
	if g.log && chance(r, 30) {
		op.Ops = append(op.Ops, create("/bank/log-", g.value(), wire.PersistentSequential))
	}
	return op
}

func (g *bank) balance(sum int) []byte { return fmt.Appendf(nil, "%d %s", sum, g.value()) }

func (g *bank) readAll() history.Op {
	op := history.Op{Kind: wire.OpMultiRead}
	for i := range g.accounts {
		op.Ops = append(op.Ops, read(wire.OpGetData, g.accounts[i].path))
	}
	return op
}

func (g *bank) done(op *history.Op, res *history.Result) {
	switch {
	case op.Kind == wire.OpGetData && res != nil:
		g.saw(op.Path, res)
	case op.Kind == wire.OpMultiRead && succeeded(res):
		for i := range min(len(op.Ops), len(res.Results)) {
			if r := &res.Results[i]; r.Kind == wire.OpGetData {
				g.saw(op.Ops[i].Path, r)
			}
		}
	case op.Kind == wire.OpMulti: // whatever it did, what was seen of its accounts is old
		for i := range op.Ops {
			g.forget(op.Ops[i].Path)
		}
	}
}

func (g *bank) saw(path string, res *history.Result) {
	if res.Code == wire.NoNode {
		g.reset()
		return
	}
	digits, _, _ := bytes.Cut(res.Data, []byte(" "))
	sum, err := strconv.Atoi(string(digits))
	if res.Code != wire.OK || err != nil {
		return
	}
	for i := range g.accounts {
		if a := &g.accounts[i]; a.path == path {
			a.balance, a.version, a.known = sum, res.Stat.Version, true
		}
	}
}

func (g *bank) forget(path string) {
	for i := range g.accounts {
		if g.accounts[i].path == path {
			g.accounts[i].known = false
		}
	}
}

func (g *bank) event(history.Event) {}

func (g *bank) lost() {}
