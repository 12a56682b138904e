package check_test

import (
	"quoll/jepsen/history"
	"quoll/transport/wire"
)

// orderStories are about answers and zxids, whatever the answers say.
var orderStories = []story{
	{"a plain session", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(c, create("/a", "0"))
		b.do(d, set("/a", "1", 0))
		b.do(c, get("/a"))
		b.do(d, remove("/a"))
		b.do(c, get("/a"))
	}, nil},
	{"a stale read is legal", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(c, create("/a", "0"))
		b.do(c, set("/a", "1", 0))
		b.answer(b.call(d, get("/a")), 3) // before the set, which was acknowledged
	}, nil},
	{"an unknown write that took effect", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(c, create("/a", "0"))
		b.take(b.call(c, set("/a", "1", 0)))
		b.do(d, get("/a"))
		b.do(b.reopen(c), get("/a"))
	}, nil},
	{"an unknown write that took effect late", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(c, create("/a", "0"))
		lost := b.call(c, set("/a", "1", anyVersion))
		c = b.reopen(c)
		b.do(c, get("/a"))
		b.do(d, set("/a", "2", 0))
		b.take(lost)
		b.do(d, get("/a"))
	}, nil},
	{"an unknown write that never took effect", func(b *build) {
		c := b.open(1)
		b.do(c, create("/a", "0"))
		b.call(c, set("/a", "1", 0))
		c = b.reopen(c)
		b.do(c, set("/a", "2", 0))
		b.do(c, get("/a"))
	}, nil},
	{"writes that overlap may take effect in any order", func(b *build) {
		c, d := b.open(1), b.open(2)
		x, y := b.call(c, create("/a", "0")), b.call(d, create("/b", "0"))
		second, first := b.take(y), b.take(x)
		b.answer(x, first)
		b.answer(y, second)
	}, nil},
	{"a write behind a returned one got the lower zxid", func(b *build) {
		b.alone()
		c, d := b.open(1), b.open(2)
		x := b.do(c, create("/a", "0"))
		y := b.do(d, create("/b", "0"))
		b.Ops[x].Zxid, b.Ops[y].Zxid = b.Ops[y].Zxid, b.Ops[x].Zxid
		b.alone()
	}, fails("C-ZXIDORD")},
	{"two writes have one zxid", func(b *build) {
		c, d := b.open(1), b.open(2)
		x := b.do(c, create("/a", "0"))
		b.Ops[b.do(d, create("/b", "0"))].Zxid = b.Ops[x].Zxid
		b.alone()
	}, fails("C-ZXIDORD")},
	{"an unknown write behind a returned one took effect before it", func(b *build) {
		c, d := b.open(1), b.open(2)
		y := b.call(d, create("/b", "0"))
		b.take(y)
		x := b.do(c, create("/a", "0"))
		b.Ops[y].Call, b.Ops[x].Call, b.Ops[x].Return = b.Ops[x].Return, b.Ops[y].Call, b.Ops[x].Call
		b.Ops[x], b.Ops[y] = b.Ops[y], b.Ops[x]
	}, fails("C-ZXIDORD")},
	{"answers out of order", func(b *build) {
		c := b.open(1)
		x, y := b.call(c, get("/")), b.call(c, exists("/"))
		b.answer(y, b.at())
		b.answer(x, b.at())
	}, fails("C-FIFO")},
	{"an answer is left out", func(b *build) {
		c := b.open(1)
		b.call(c, get("/"))
		b.do(c, exists("/"))
	}, fails("C-FIFO")},
	{"an auth overtakes", func(b *build) {
		c := b.open(1)
		x := b.call(c, get("/"))
		y := b.call(c, history.Op{Kind: wire.OpAuth})
		b.Return(y, 0, history.Result{})
		b.answer(x, b.at())
	}, nil},
	{"writes sent together took effect in the other order", func(b *build) {
		c := b.open(1)
		x, y := b.call(c, create("/a", "0")), b.call(c, create("/b", "0"))
		second, first := b.take(y), b.take(x)
		b.answer(x, first)
		b.answer(y, second)
	}, fails("C-FIFO")},
	{"writes sent together, lost, and done in the other order", func(b *build) {
		c := b.open(1)
		x, y := b.call(c, create("/a", "0")), b.call(c, create("/b", "0"))
		b.take(y)
		b.take(x)
	}, fails("C-FIFO")},
	{"a write failed behind one that is lost", func(b *build) {
		c := b.open(1)
		x, y := b.call(c, create("/a", "0")), b.call(c, create("/b", "0"))
		b.answer(x, b.take(x))
		b.take(y)
		b.call(c, create("/c", "0"))
	}, nil},
	{"a write is left out", func(b *build) {
		c := b.open(1)
		x, y := b.call(c, create("/a", "0")), b.call(c, create("/b", "0"))
		b.answer(y, b.take(y))
		b.Ops[x].Return, b.Ops[x].Zxid = history.Moment{}, 0
	}, fails("C-FIFO")},
	{"a write over the connection that a session has left takes effect", func(b *build) {
		c := b.open(1)
		b.do(c, create("/a", "0"))
		x := b.call(c, create("/a/late", "0"))
		d := b.reopen(c)
		b.do(d, create("/b", "0"))
		b.take(x)
	}, fails("C-FIFO")},
	{"it is refused there, or came first", func(b *build) {
		c := b.open(1)
		x, y := b.call(c, create("/a", "0")), b.call(c, create("/b", "0"))
		d := b.reopen(c)
		b.take(x)
		b.do(d, create("/b", "1"))
		b.take(y) // and fails: there is one
	}, nil},
	{"a server that cannot write says so", func(b *build) {
		c := b.open(1)
		b.Return(b.call(c, create("/a", "0")), int64(zxid(b.at())), history.Result{Code: wire.SystemError})
		b.do(c, create("/a", "0"))
	}, nil},
	{"a read does not see its own write", func(b *build) {
		c := b.open(1)
		b.do(c, create("/a", "0"))
		x := b.call(c, get("/a"))
		b.answer(x, 1)
	}, fails("C-RYW")},
	{"a read sent with a write does not see it", func(b *build) {
		c := b.open(1)
		x, y := b.call(c, create("/a", "0")), b.call(c, get("/a"))
		n := b.take(x)
		b.answer(x, n)
		b.answer(y, n-1)
	}, fails("C-RYW")},
	{"a read over a new connection does not see its own write", func(b *build) {
		c := b.open(1)
		b.do(c, create("/a", "0"))
		b.answer(b.call(b.reopen(c), get("/a")), 1)
	}, fails("C-RYW")},
	{"a read behind a write that failed may be older than it is", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(c, remove("/none"))
		b.answer(b.call(d, get("/")), 1)
	}, nil},
	{"a session goes back", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(d, create("/a", "0"))
		b.do(c, get("/a"))
		b.answer(b.call(c, get("/a")), 2)
	}, fails("C-MONO")},
	{"a session goes back on a new connection", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(d, create("/a", "0"))
		b.do(c, get("/a"))
		b.answer(b.call(b.reopen(c), get("/a")), 2)
	}, fails("C-MONO")},
	{"a ping goes back", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(d, create("/a", "0"))
		b.do(c, get("/a"))
		b.ping(c, 2)
	}, fails("C-MONO")},
	{"a read is behind what a ping showed over an earlier connection", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(d, create("/a", "0"))
		b.ping(c, 3)
		b.answer(b.call(b.reopen(c), get("/a")), 2)
	}, fails("C-MONO")},
	{"an old connection may show less than the new one", func(b *build) {
		c, d := b.open(1), b.open(2)
		slow := b.call(c, get("/a"))
		e := b.Dial(history.Conn{Client: 1, Server: 2, Asked: b.Conns[c].Session})
		b.Join(e, b.Conns[c].Session, timeoutMs)
		b.do(d, create("/a", "0"))
		b.do(e, get("/a"))
		b.answer(slow, 2)
	}, nil},
	{"a client with a new session goes back behind what it has seen", func(b *build) {
		d := b.open(2)
		b.do(d, create("/a", "0"))
		c := b.open(1)
		b.Conns[c].SeenZxid = int64(zxid(b.at()))
		b.answer(b.call(c, get("/a")), 2)
	}, fails("C-MONO")},
	{"events go back", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(c, watch(wire.OpExists, "/a"))
		b.do(c, watch(wire.OpExists, "/b"))
		b.do(d, create("/a", "0"))
		b.do(d, create("/b", "0"))
		b.tell(c, 4, wire.EventNodeCreated, "/b")
		b.tell(c, 3, wire.EventNodeCreated, "/a")
		b.alone()
	}, fails("C-MONO")},
	{"a sync that waits for nobody", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(d, create("/a", "0"))
		b.answer(b.call(c, sync("/a")), 2)
		b.answer(b.call(c, get("/a")), 2)
	}, fails("C-LINW", "C-SYNC")},
	{"a sync does not cover what somebody has read", func(b *build) {
		c, d, e := b.open(1), b.open(2), b.open(3)
		b.take(b.call(d, create("/a", "0")))
		b.do(e, get("/a"))
		b.answer(b.call(c, sync("/a")), 3)
	}, fails("C-SYNC")},
	{"a sync need not cover what was acknowledged while it was on its way", func(b *build) {
		c, d := b.open(1), b.open(2)
		x := b.call(c, sync("/a"))
		b.do(d, create("/a", "0"))
		b.answer(x, 2)
		b.answer(b.call(c, get("/a")), 2)
	}, nil},
}
