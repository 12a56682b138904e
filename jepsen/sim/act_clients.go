package sim

import (
	"bytes"
	"strings"

	"quoll/jepsen/history"
	"quoll/transport/wire"
)

// Acts of clients that ask for more than they may (N30).

// floods are what a client may ask for all at once, beside what its workload asks.
var floods = []func(w *World) []history.Op{
	many,  // more than its connection holds
	owned, // ephemerals whose names no closeSession could hold
	large, // what fits into a frame and into no txn, and what fits into neither
}

// clientFlood has a client ask for too much, by the variant that Other names.
func clientFlood(n *nemesis, a *Act, _ *server) {
	c := n.w.clients[int(a.N)%len(n.w.clients)]
	for _, op := range floods[a.Other%len(floods)](n.w) {
		if !c.joined {
			return
		}
		c.besides(op)
	}
}

// besides asks for what the workload did not ask for and is not told of.
func (c *client) besides(op history.Op) {
	n := c.ask(op)
	if c.extra == nil {
		c.extra = map[int]bool{}
	}
	c.extra[n] = true
}

func many(w *World) (ops []history.Op) {
	for i := range w.between(100, 400) {
		op := history.Op{Kind: wire.OpExists, Path: "/flood" + strings.Repeat("-", 50)}
		if i%20 == 0 { // reads wait behind it
			op = history.Op{Kind: wire.OpSetData, Path: "/flood", Data: []byte("x"), Version: -1}
		}
		ops = append(ops, op)
	}
	return ops
}

func owned(w *World) (ops []history.Op) {
	name := "/own" + strings.Repeat("e", 1500)
	for range w.between(5, 30) {
		ops = append(ops, history.Op{Kind: wire.OpCreate, Path: name, Mode: wire.EphemeralSequential, ACL: wire.OpenACL})
	}
	return ops
}

func large(w *World) []history.Op {
	op := history.Op{Kind: wire.OpCreate, Path: "/large", ACL: wire.OpenACL}
	op.Data = bytes.Repeat([]byte("x"), w.budget.txn+int(w.between(0, 100)))
	if w.chance(300) {
		op.Data = bytes.Repeat([]byte("x"), w.budget.frame+1)
	}
	return []history.Op{op}
}
