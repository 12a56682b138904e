package check_test

import (
	"quoll/jepsen/history"
	"quoll/transport/wire"
)

// without tells a story of which nobody has seen the committed sequence.
func without(name string, tell func(b *build), want []string) story {
	return story{name + ", by the word of clients only", func(b *build) {
		tell(b)
		b.alone()
	}, want}
}

func readAll(paths ...string) history.Op {
	op := history.Op{Kind: wire.OpMultiRead}
	for _, path := range paths {
		op.Ops = append(op.Ops, get(path))
	}
	return op
}

// outlived lets a session end that has the ephemeral /e, and its client hear of that, and returns another one, which
// has synced since.
func outlived(b *build) int {
	c, d := b.open(1), b.open(2)
	b.do(c, createAs("/e", "0", wire.Ephemeral))
	b.now += timeoutMs * 1000
	b.do(d, create("/b", "0"))
	b.refuse(c)
	b.do(d, sync("/"))
	return d
}

// queued puts items into a queue and returns the connections of who did and of another client.
func queued(b *build, items ...string) (c, d int) {
	c, d = b.open(1), b.open(2)
	b.do(c, create("/queue", ""))
	for _, item := range items {
		b.do(c, createAs("/queue/q-", item, wire.PersistentSequential))
	}
	return c, d
}

var noNode = history.Result{Code: wire.NoNode}

// aloneStories are judged by what clients can prove.
var aloneStories = []story{
	without("an item is acknowledged and then missing", func(b *build) {
		_, d := queued(b, "1", "2")
		b.do(d, sync("/queue"))
		b.Ops[b.do(d, get("/queue/q-0000000001"))].Result = noNode
	}, fails("C-DUR")),
	without("an item is acknowledged and then not listed", func(b *build) {
		_, d := queued(b, "1", "2")
		b.do(d, children("/queue"))
		x := b.do(d, history.Op{Kind: wire.OpGetChildren, Path: "/queue"})
		b.Ops[x].Result.Children = []string{"q-0000000000"}
	}, fails("C-DUR")),
	without("an acknowledged set is lost", func(b *build) {
		c, d := queued(b)
		n := b.at()
		b.do(c, set("/queue", "1", 0))
		x := b.call(d, get("/queue"))
		b.answer(x, n)
		b.Ops[x].Zxid = int64(zxid(b.at()))
	}, fails("C-DUR")),
	without("an item is missing for one reader", func(b *build) {
		c, d := queued(b, "1", "2")
		b.Ops[b.do(d, get("/queue/q-0000000001"))].Result = noNode
		b.do(c, get("/queue/q-0000000001"))
	}, fails("C-READ")),
	without("an item is deleted by two", func(b *build) {
		c, d := queued(b, "1")
		b.call(c, createAs("/queue/q-", "2", wire.PersistentSequential)) // cannot have been this one again
		b.do(d, remove("/queue/q-0000000000"))
		b.Ops[b.do(c, remove("/queue/q-0000000000"))].Result.Code = wire.OK
	}, fails("C-DUR", "C-FIFO")),
	without("an item that nobody made", func(b *build) {
		_, d := queued(b, "1")
		b.Ops[b.do(d, get("/queue/q-0000000000"))].Result.Data = []byte("9")
	}, fails("C-READ")),
	without("an item is there once more", func(b *build) {
		c, d := queued(b, "1")
		b.commit(b.Conns[c].Session, 99, createAs("/queue/q-", "1", wire.PersistentSequential))
		b.call(d, createAs("/queue/q-", "2", wire.PersistentSequential))
		b.do(b.open(3), get("/queue/q-0000000001"))
	}, fails("C-ONCE")),
	without("a lost request made two items", func(b *build) {
		c, _ := queued(b)
		x := b.call(c, createAs("/queue/q-", "1", wire.PersistentSequential))
		b.take(x)
		b.take(x)
		b.do(b.open(3), readAll("/queue/q-0000000000", "/queue/q-0000000001"))
	}, fails("C-ONCE")),
	without("half of a transfer is seen", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(c, create("/x", "100"))
		b.do(c, create("/y", "100"))
		n := b.at()
		b.do(c, multi(set("/x", "60", 0), set("/y", "140", 0)))
		b.do(d, sync("/x"))
		x := b.do(d, readAll("/x", "/y"))
		b.Ops[x].Result.Results[1] = b.trees[n].Read(0, nil, &b.Ops[x].Op).Results[1]
	}, fails("C-MULTI")),
	without("half of a transfer without an answer is seen", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(c, create("/x", "100"))
		b.do(c, create("/y", "100"))
		n := b.at()
		b.take(b.call(c, multi(set("/x", "60", 0), set("/y", "140", 0))))
		x := b.do(d, readAll("/x", "/y"))
		b.Ops[x].Result.Results[1] = b.trees[n].Read(0, nil, &b.Ops[x].Op).Results[1]
	}, fails("C-MULTI")),
	without("a read misses its own write, and shows what nobody wrote", func(b *build) {
		c := b.open(1)
		b.do(c, create("/a", "0"))
		n := b.at()
		b.do(c, set("/a", "1", 0))
		x := b.call(c, get("/a"))
		b.answer(x, n)
		b.Ops[x].Zxid = int64(zxid(b.at()))
		b.Ops[b.do(c, get("/a"))].Result.Data = []byte("9")
	}, fails("C-READ")),
	without("a version has two values", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(c, create("/a", "0"))
		b.take(b.call(c, set("/a", "1", 0)))
		b.call(d, set("/a", "2", 0))
		b.do(d, get("/a"))
		b.Ops[b.do(b.open(3), get("/a"))].Result.Data = []byte("2")
	}, fails("C-FIFO", "C-READ")),
	without("a read shows what is not yet", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(c, create("/a", "0"))
		x := b.call(d, get("/a"))
		b.do(c, set("/a", "1", 0))
		b.answer(x, b.at())
		b.Ops[x].Zxid--
	}, fails("C-READ")),
	without("an unknown set is seen before it was asked for", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(c, create("/a", "0"))
		b.commit(b.Conns[c].Session, 99, set("/a", "1", 0))
		b.do(d, get("/a"))
		b.call(c, set("/a", "1", 0))
	}, fails("C-READ")),
	without("an ephemeral goes although its session writes", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(c, createAs("/e", "0", wire.Ephemeral))
		b.Ops[b.do(d, exists("/e"))].Result = noNode
		b.do(c, create("/a", "0"))
	}, fails("C-DUR")),
	without("a write says that another made it", func(b *build) {
		c := b.open(1)
		b.do(c, create("/a", "0"))
		b.Ops[b.do(c, set("/a", "1", 0))].Result.Stat.Mzxid--
	}, fails("C-DUR")),

	without("an ephemeral is shown long after its client was told of the end", func(b *build) {
		b.do(outlived(b), exists("/e"))
	}, fails("C-EPHLIFE")),
	without("a session that is over writes", func(b *build) {
		c, d := b.open(1), b.open(2)
		x := b.call(c, create("/a", "0"))
		b.now += timeoutMs * 1000
		b.refuse(c)
		b.do(d, create("/b", "0"))
		b.take(x)
		b.do(d, get("/a"))
	}, fails("C-SESS")),
	without("a session is called over a moment after its write", func(b *build) {
		c, _ := b.open(1), b.open(2)
		b.now += timeoutMs * 1000
		b.do(c, create("/a", "0"))
		b.now += 3000
		b.refuse(c)
	}, fails("C-EPHLIFE")),
	without("a session expires in time", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(c, createAs("/e", "0", wire.Ephemeral))
		x := b.call(d, exists("/e")) // from before the end
		n := b.at()
		b.now += timeoutMs * 1000
		b.expire(c)
		b.answer(x, n)
		b.refuse(c)
		late := b.call(b.open(3), exists("/e"))
		b.answer(late, n) // a server that is behind
		b.do(d, sync("/"))
		b.do(d, exists("/e"))
	}, nil),
	without("a session is called over soon after a read by a server that was cut off", func(b *build) {
		c, _ := b.open(1), b.open(2)
		b.now += timeoutMs * 1000
		b.do(c, exists("/e"))
		b.expire(c)
		b.refuse(c)
	}, nil),
	without("a session is called over as its client had asked", func(b *build) {
		c, _ := b.open(1), b.open(2)
		b.do(c, create("/a", "0"))
		b.take(b.call(c, closeSession))
		b.refuse(c)
	}, nil),
	without("data that nobody wrote come without a stat", func(b *build) {
		_, d := queued(b, "1")
		b.Ops[b.do(d, get("/queue/q-0000000000"))].Result = history.Result{Data: []byte("9")}
	}, fails("C-READ")),
	without("half of a transfer is seen without its stats", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(c, create("/x", "100 x"))
		b.do(c, create("/y", "100 y"))
		b.do(c, multi(set("/x", "60", 0), set("/y", "140", 0)))
		x := b.do(d, readAll("/x", "/y"))
		b.Ops[x].Result.Results = []history.Result{{Kind: wire.OpGetData, Data: []byte("60")}, {Kind: wire.OpGetData, Data: []byte("100 y")}}
	}, fails("C-DUR")), // which part of the multi is missing only the stats say
	without("an ephemeral is listed long after its client was told of the end", func(b *build) {
		b.do(outlived(b), children("/"))
	}, fails("C-EPHLIFE")),
	without("events without zxids", func(b *build) {
		c, d := two(b)
		for range 2 {
			b.do(c, watch(wire.OpExists, "/a"))
			b.do(d, create("/a", "0"))
			b.tell(c, 0, created, "/a")
			b.do(c, addWatch("/b", wire.AddWatchPersistent))
			b.do(d, create("/b", "0"))
			b.tell(c, 0, created, "/b")
			b.do(c, get("/a"))
			b.do(d, remove("/a"))
			b.do(d, remove("/b"))
			b.tell(c, 0, deleted, "/b")
		}
	}, nil),
	without("an event without a zxid comes twice", func(b *build) {
		c, d := two(b)
		b.do(c, watch(wire.OpExists, "/a"))
		b.do(d, create("/a", "0"))
		b.tell(c, 0, created, "/a")
		b.tell(c, 0, created, "/a")
	}, fails("C-WATCH2")),
	without("an event without a zxid is lost", func(b *build) {
		c, d := two(b)
		b.do(c, watch(wire.OpExists, "/a"))
		b.do(c, watch(wire.OpExists, "/b"))
		b.do(d, create("/a", "0"))
		b.do(d, create("/b", "0"))
		b.tell(c, 0, created, "/a")
		b.do(c, get("/b"))
	}, fails("C-WATCH3")),
	without("one lost create explains two births", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.call(c, create("/a", "0"))
		for range 3 {
			b.Ops[b.do(d, remove("/a"))].Result.Code = wire.OK
		}
	}, fails("C-DUR", "C-LINW")),
	without("three lost creates explain three births", func(b *build) {
		d := b.open(2)
		for i := range 3 {
			b.take(b.call(b.open(3+i), create("/a", "0")))
			b.do(d, remove("/a"))
		}
	}, nil),
	without("one lost set explains two versions", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(c, create("/a", "0"))
		b.call(c, set("/a", "1", anyVersion))
		b.Ops[b.do(d, set("/a", "2", anyVersion))].Result.Stat.Version = 3
	}, fails("C-DUR", "C-LINW")),
	without("what may have happened", func(b *build) {
		c, d, e := b.open(1), b.open(2), b.open(3)
		b.do(c, create("/a", "0"))
		b.do(c, create("/q", "0"))
		b.do(c, createAs("/q/n-", "0", wire.PersistentSequential))
		lost := b.call(c, remove("/a"))
		b.do(d, set("/a", "1", anyVersion))
		b.take(lost)
		b.do(d, exists("/a"))
		late := b.call(b.open(4), create("/a", "2"))
		b.do(e, exists("/a"))
		b.take(late)
		b.take(b.call(e, multi(set("/a", "3", 0), createAs("/q/n-", "1", wire.PersistentSequential))))
		e = b.open(5)
		b.do(e, get("/a"))
		b.do(e, children("/q"))
		b.do(e, get("/q/n-0000000001"))
		b.do(e, remove("/q/n-0000000001"))
		b.do(e, children("/q"))
	}, nil),
	without("a znode lives twice", func(b *build) {
		c, d := b.open(1), b.open(2)
		for range 2 {
			b.do(c, create("/a", "0"))
			b.do(c, create("/a/x", "0"))
			b.do(d, children("/a"))
			b.do(c, multi(remove("/a/x"), create("/a/x", "1"), set("/a/x", "2", 0)))
			n := b.at()
			b.do(d, get("/a/x"))
			b.do(c, multi(remove("/a/x"), remove("/a")))
			b.answer(b.call(b.open(3), get("/a/x")), n)
			b.do(d, exists("/a"))
		}
	}, nil),
	without("what goes by itself", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(c, createAs("/e", "0", wire.Ephemeral))
		b.do(c, createAs("/s-", "0", wire.EphemeralSequential))
		b.do(d, history.Op{Kind: wire.OpCreateContainer, Path: "/c", Mode: wire.Container, ACL: wire.OpenACL})
		b.do(d, create("/c/x", "0"))
		b.do(d, remove("/c/x"))
		b.commit(0, 0, history.Op{Kind: wire.OpDeleteContainer, Path: "/c"})
		b.commit(b.Conns[c].Session, 0, closeSession)
		b.do(d, children("/"))
		b.do(d, exists("/c"))
		b.do(d, exists("/s-0000000000"))
		b.do(d, createAs("/e", "1", wire.Ephemeral))
		b.do(d, get("/e"))
	}, nil),
	without("stale lists and reads", func(b *build) {
		c, d := queued(b, "1", "2", "3")
		n := b.at()
		b.do(c, remove("/queue/q-0000000001"))
		b.answer(b.call(d, children("/queue")), n)
		b.answer(b.call(d, get("/queue/q-0000000001")), n)
		b.answer(b.call(d, history.Op{Kind: wire.OpGetChildren, Path: "/queue"}), n-1)
		b.do(d, children("/queue"))
	}, fails("C-MONO")), // the one before goes back
	without("a refused write may have taken effect after all", func(b *build) {
		c, d := b.open(1), b.open(2)
		x := b.call(c, create("/a", "0"))
		b.take(x)
		b.Return(x, int64(zxid(1)), history.Result{Code: wire.SystemError})
		b.do(d, get("/a"))
	}, nil),
	without("nobody saw some of the sets", func(b *build) {
		c := b.open(1)
		b.do(c, create("/a", "0"))
		for range 3 {
			b.take(b.call(b.open(2), set("/a", "1", anyVersion)))
		}
		b.do(c, exists("/a"))
		b.do(c, set("/a", "2", anyVersion))
		b.do(c, history.Op{Kind: wire.OpSetACL, Path: "/a", ACL: wire.OpenACL, Version: anyVersion})
	}, nil),
}

// watchAlone are the stories about watches once more, of which nobody has seen the committed sequence. What
// nobody can prove without it is left out.
func watchAlone() []story {
	var all []story
	for _, s := range watchStories {
		if s.name != "somebody hears of what he may not read" {
			all = append(all, without(s.name, s.tell, s.want))
		}
	}
	return all
}
