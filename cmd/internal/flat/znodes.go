package main

import (
	"fmt"
	"runtime"

	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/tree"
	"quoll/zab"
)

// server is the state of a leader with one session.
type server struct {
	*tree.Tree
	shape
	pending *tree.Pending
	session zab.SessionID
	zxid    zab.Zxid
	result  tree.Result
	txns    [batch][]byte

	slowest worst // single apply of the fill
}

// batch is how many txns are under way: prepared one after the other, then applied.
const batch = 1000

var openACL = wire.AppendACLs(nil, wire.OpenACL)

func newServer(s shape) *server {
	t := tree.New(tree.Options{})
	x := &server{Tree: t, shape: s, pending: tree.NewPending(t), zxid: zab.MakeZxid(1, 0)}
	x.txns[0] = x.prepare(0, wire.OpCreateSession, jute.AppendBuffer(jute.AppendInt(nil, 4000), make([]byte, 16)))
	x.apply(0)
	x.session = x.result.Opened
	x.pending.Committed(x.zxid)
	return x
}

func (x *server) prepare(slot int, op wire.Op, body []byte) []byte {
	req := zab.Request{Session: x.session, Op: int32(op), Body: body}
	if op == wire.OpCreateSession {
		req.Session = 1 << 56
	}
	return x.pending.Prepare(&req, x.zxid+zab.Zxid(slot)+1, 1000, x.txns[slot][:0])
}

func (x *server) apply(slot int) {
	x.zxid++
	x.Apply(zab.Txn{Zxid: x.zxid, Data: x.txns[slot]}, &x.result)
	if x.result.Code != wire.OK {
		panic(fmt.Sprintf("op %d on %q: %v", x.result.Op, x.result.Path, x.result.Code))
	}
}

// run prepares and applies a request for each body and returns the ns that one took in each.
func (x *server) run(op wire.Op, bodies [][]byte) (prepare, apply float64) {
	for at := 0; at < len(bodies); at += batch {
		some := bodies[at:min(at+batch, len(bodies))]
		prepare += each(1, func(int) {
			for i, body := range some {
				x.txns[i] = x.prepare(i, op, body)
			}
		})
		apply += each(1, func(int) {
			for i := range some {
				x.apply(i)
			}
		})
		x.pending.Committed(x.zxid)
	}
	return prepare / float64(len(bodies)), apply / float64(len(bodies))
}

func createBody(path, data []byte) []byte {
	b := append(jute.AppendBuffer(jute.AppendBuffer(nil, path), data), openACL...)
	return jute.AppendInt(b, 0)
}

func deleteBody(path []byte) []byte { return jute.AppendInt(jute.AppendBuffer(nil, path), -1) }

func setBody(path, data []byte) []byte {
	return jute.AppendInt(jute.AppendBuffer(jute.AppendBuffer(nil, path), data), -1)
}

// fill makes about n znodes, directories among them, and notes the slowest create.
func (x *server) fill(n int) (leaves int) {
	create := func(path, data []byte) {
		body := createBody(path, data)
		x.txns[0] = x.prepare(0, wire.OpCreate, body)
		x.slowest.time(func() { x.apply(0) })
		x.pending.Committed(x.zxid)
	}
	for ; x.NodeCount() < n || leaves < 10; leaves++ {
		x.missing(leaves, func(path []byte) { create(path, nil) })
		create(x.path(leaves), x.data(leaves))
	}
	return leaves
}

var znodeColumns = []string{
	"znodes", "B each", "exists", "getData", "getChildren", "setData", "setData, view", "create, delete", "in a crowd",
	"prepare", "a miss", "slowest ms", "freeze ms", "collect ms", "mark cpu ms",
}

// znodes fills a tree and returns its row.
func znodes(s shape, n int) []float64 {
	empty := liveHeap()
	x := newServer(s)
	leaves := x.fill(n)
	size := liveHeap() - empty
	wall, cpu := collection()

	const ops = 200_000
	r := random(n)
	paths := make([][]byte, ops)
	for i := range paths {
		paths[i] = s.path(r.IntN(leaves))
	}
	exists, get, children := x.reads(paths)
	set, viewed, prepare := x.sets(paths)
	freeze := each(1, func(int) { x.Freeze().Release() }) / 1e6
	figures := []float64{
		perEach(size, x.NodeCount()), exists, get, children, set, viewed,
		x.creates(ops, func(i int) []byte { return append(parent(paths[i]), fmt.Sprintf("/new%d", i)...) }),
		x.creates(ops, func(i int) []byte { return fmt.Appendf(nil, "%s/new%d", parent(s.path(0)), i) }),
		prepare,
	}
	runtime.KeepAlive(x.Tree)
	figures = append(figures, 0, x.slowest.ms(), freeze, wall, cpu)
	x, paths = nil, nil
	runtime.GC()
	figures[9] = oneMiss(size)
	return figures
}

// reads looks up, reads, and lists the small family of each path.
func (x *server) reads(paths [][]byte) (exists, get, children float64) {
	sum := 0
	exists = each(len(paths), func(i int) {
		id, _ := x.Lookup(paths[i])
		sum += int(x.Stat(id).Version)
	})
	buf := make([]byte, 0, 1024)
	get = each(len(paths), func(i int) {
		id, _ := x.Lookup(paths[i])
		sum += int(x.Stat(id).Version)
		buf = append(buf[:0], x.Data(id)...)
	})
	var families [][]byte
	for _, path := range paths {
		if family := parent(path); x.small(family) {
			families = append(families, family)
		}
	}
	if len(families) == 0 {
		families = append(families, []byte("/"))
	}
	children = each(len(paths), func(i int) {
		id, _ := x.Lookup(families[i%len(families)])
		x.EachChild(id, func(name []byte) bool { buf = append(buf[:0], name...); return true })
	})
	runtime.KeepAlive(sum)
	return exists, get, children
}

func (x *server) small(family []byte) bool {
	id, _ := x.Lookup(family)
	return x.NumChildren(id) <= 8
}

// sets changes data at random, and then with a View, while every write still finds chunks to copy.
func (x *server) sets(paths [][]byte) (apply, viewed, prepare float64) {
	bodies := make([][]byte, len(paths))
	for i, path := range paths {
		id, _ := x.Lookup(path)
		bodies[i] = setBody(path, filler[:len(x.Data(id))])
	}
	prepare, apply = x.run(wire.OpSetData, bodies)
	v := x.Freeze()
	_, viewed = x.run(wire.OpSetData, bodies[:batch])
	v.Release()
	return apply, viewed, prepare
}

// creates makes and deletes znodes and returns the ns of one apply.
func (x *server) creates(n int, path func(i int) []byte) float64 {
	var makes, deletes [][]byte
	sum := 0.0
	for from := 0; from < n; from += batch {
		makes, deletes = makes[:0], deletes[:0]
		for i := from; i < min(from+batch, n); i++ {
			p := path(i)
			makes, deletes = append(makes, createBody(p, filler[:100])), append(deletes, deleteBody(p))
		}
		_, a := x.run(wire.OpCreate, makes)
		_, b := x.run(wire.OpDelete, deletes)
		sum += (a + b) / 2 * float64(len(makes))
	}
	return sum / float64(n)
}
