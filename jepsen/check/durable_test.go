package check_test

import (
	"quoll/jepsen/history"
	"quoll/transport/wire"
)

// commitStories compare what clients saw with the committed sequence.
var commitStories = []story{
	{"every kind of answer", func(b *build) {
		c := b.open(1)
		b.do(c, create("/a", "0"))
		b.do(c, history.Op{Kind: wire.OpCreate2, Path: "/a/s-", Mode: wire.PersistentSequential, ACL: wire.OpenACL})
		b.do(c, history.Op{Kind: wire.OpSetACL, Path: "/a", ACL: wire.OpenACL, Version: anyVersion})
		b.do(c, multi(checks("/a", 0), set("/a", "1", 0), create("/a/b", "0")))
		b.do(c, multi(checks("/a", 0), set("/a", "2", 0)))
		b.do(c, history.Op{Kind: wire.OpMultiRead, Ops: []history.Op{get("/a"), get("/none"), {Kind: wire.OpGetChildren, Path: "/a"}}})
		b.do(c, history.Op{Kind: wire.OpGetACL, Path: "/a"})
		b.do(c, history.Op{Kind: wire.OpGetAllChildrenNumber, Path: "/"})
		b.do(c, history.Op{Kind: wire.OpGetEphemerals, Path: "/"})
		b.do(c, children("/a"))
		b.do(c, exists("/none"))
		b.do(c, sync("/"))
		b.ping(c, b.at())
		b.do(c, closeSession)
	}, nil},
	{"children come in any order", func(b *build) {
		c := b.open(1)
		b.do(c, create("/a", "0"))
		b.do(c, create("/a/x", "0"))
		b.do(c, create("/a/y", "0"))
		b.Ops[b.do(c, children("/a"))].Result.Children = []string{"y", "x"}
	}, nil},
	{"an acknowledged write is lost", func(b *build) {
		c := b.open(1)
		b.do(c, create("/a", "0"))
		b.Commits = b.Commits[:1]
	}, fails("C-DUR")},
	{"an acknowledged write is lost and another has its zxid", func(b *build) {
		c, d := b.open(1), b.open(2)
		x, y := b.call(c, create("/a", "0")), b.call(d, create("/a", "0"))
		n := b.take(x)
		b.answer(x, n)
		b.Commits[n-1].Session, b.Commits[n-1].Xid = b.Ops[y].Session, b.Ops[y].Xid
	}, fails("C-DUR")},
	{"a write was told the wrong version", func(b *build) {
		c := b.open(1)
		b.do(c, create("/a", "0"))
		b.Ops[b.do(c, history.Op{Kind: wire.OpSetACL, Path: "/a", ACL: wire.OpenACL, Version: 0})].Result.Stat.Aversion = 7
	}, fails("C-DUR")},
	{"a write that failed was told that it had not", func(b *build) {
		c := b.open(1)
		x := b.do(c, history.Op{Kind: wire.OpSetACL, Path: "/none", ACL: wire.OpenACL, Version: anyVersion})
		b.Ops[x].Result.Code = wire.OK
	}, fails("C-DUR")},
	{"a refused write took effect", func(b *build) {
		c := b.open(1)
		x := b.call(c, createAs("/e", "0", wire.Ephemeral))
		b.take(x)
		b.Return(x, int64(zxid(1)), history.Result{Code: wire.SystemError})
	}, fails("C-DUR")},
	{"the servers have another outcome than the model", func(b *build) {
		c := b.open(1)
		b.take(b.call(c, create("/a", "0")))
		b.Commits[b.at()-1].Code = wire.NodeExists
	}, fails("C-DUR")},
	{"a write of a moved session is refused without a word", func(b *build) {
		c := b.open(1)
		x := b.call(c, create("/a", "0"))
		o := &b.Ops[x]
		cmt := history.Commit{Zxid: zxid(2), Session: o.Session, Xid: o.Xid, Op: o.Op, Code: wire.SessionMoved}
		t := b.latest().Clone()
		t.Apply(&cmt)
		b.trees, b.Commits = append(b.trees, t), append(b.Commits, cmt)
		b.do(b.reopen(c), exists("/a"))
	}, nil},
	{"a request took effect twice", func(b *build) {
		c := b.open(1)
		x := b.call(c, create("/a", "0"))
		b.answer(x, b.take(x))
		b.take(x)
	}, fails("C-ONCE")},
	{"a lost request took effect twice", func(b *build) {
		c := b.open(1)
		x := b.call(c, createAs("/s-", "0", wire.PersistentSequential))
		b.take(x)
		b.take(x)
	}, fails("C-ONCE")},
	{"a request that nobody sent", func(b *build) {
		c := b.open(1)
		b.commit(b.Conns[c].Session, 77, create("/a", "0"))
	}, fails("C-ONCE")},
	{"a request that is not what was asked", func(b *build) {
		c := b.open(1)
		x := b.call(c, create("/a", "0"))
		b.commit(b.Ops[x].Session, b.Ops[x].Xid, create("/a", "1"))
	}, fails("C-ONCE")},
	{"a write of nobody", func(b *build) {
		c := b.open(1)
		b.commit(b.Conns[c].Session, 0, create("/a", "0"))
	}, fails("C-ONCE")},
	{"a session that nobody asked for", func(b *build) {
		b.open(1)
		b.commit(0x777, 0, history.Op{Kind: wire.OpCreateSession, TimeoutMs: timeoutMs})
	}, fails("C-ONCE")},
	{"a session whose client gave up, a container that went", func(b *build) {
		c := b.open(1)
		b.Dial(history.Conn{Client: 2})
		b.commit(0x777, 0, history.Op{Kind: wire.OpCreateSession, TimeoutMs: timeoutMs})
		b.do(c, history.Op{Kind: wire.OpCreateContainer, Path: "/c", Mode: wire.Container, ACL: wire.OpenACL})
		b.do(c, create("/c/x", "0"))
		b.do(c, remove("/c/x"))
		b.commit(0, 0, history.Op{Kind: wire.OpDeleteContainer, Path: "/c"})
		b.do(c, exists("/c"))
	}, nil},
	{"the reaper took an ordinary znode", func(b *build) {
		c := b.open(1)
		b.do(c, create("/a", "0"))
		b.commit(0, 0, history.Op{Kind: wire.OpDeleteContainer, Path: "/a"})
		b.Commits[b.at()-1].Code = wire.OK
	}, fails("C-DUR")},
	{"two commits have one zxid", func(b *build) {
		b.open(1)
		b.open(2)
		b.Commits[1].Zxid = b.Commits[0].Zxid
	}, fails("C-ONCE")},
	{"a read returned something else", func(b *build) {
		c := b.open(1)
		b.do(c, create("/a", "0"))
		b.Ops[b.do(c, get("/a"))].Result.Data = []byte("1")
	}, fails("C-READ")},
	{"a read returned null for nothing", func(b *build) {
		c := b.open(1)
		b.do(c, create("/a", ""))
		b.Ops[b.do(c, get("/a"))].Result.Data = nil
	}, fails("C-READ")},
	{"a read returned an old stat", func(b *build) {
		c := b.open(1)
		b.do(c, create("/a", "0"))
		b.do(c, create("/a/x", "0"))
		b.Ops[b.do(c, exists("/a"))].Result.Stat.Pzxid = zxid(2)
	}, fails("C-READ")},
	{"a read is older than its header", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(c, create("/a", "0"))
		b.do(c, set("/a", "1", 0))
		x := b.call(d, get("/a"))
		b.answer(x, 3)
		b.Ops[x].Zxid = int64(zxid(4))
	}, fails("C-READ")},
	{"a read reflects a zxid that nothing has", func(b *build) {
		c := b.open(1)
		b.Ops[b.do(c, get("/"))].Zxid++
	}, fails("C-READ")},
	{"half of a multi is seen", func(b *build) {
		c := b.open(1)
		b.do(c, create("/a", "0"))
		b.do(c, multi(set("/a", "1", 0), create("/b", "1")))
		x := b.do(c, history.Op{Kind: wire.OpMultiRead, Ops: []history.Op{get("/a"), get("/b")}})
		b.Ops[x].Result.Results[1] = history.Result{Kind: wire.OpError, Code: wire.NoNode}
	}, fails("C-READ")},
	{"a znode may not be read by everybody", func(b *build) {
		c, d := b.open(1), b.open(2)
		secret := create("/a", "0")
		secret.ACL = []wire.ACL{{Perms: wire.PermWrite, Scheme: "world", ID: "anyone"}}
		b.do(c, secret)
		b.do(d, get("/a"))
		b.do(d, set("/a", "1", 0))
	}, nil},
	{"half of a multi was done", func(b *build) {
		c := b.open(1)
		b.do(c, create("/a", "0"))
		x := b.do(c, multi(set("/a", "1", 0), checks("/a", 0)))
		b.Ops[x].Result.Results[0] = history.Result{Kind: wire.OpSetData}
		b.alone()
	}, fails("C-MULTI")},
	{"parts of a multi have their own zxids", func(b *build) {
		c := b.open(1)
		b.do(c, create("/a", "0"))
		x := b.do(c, multi(set("/a", "1", 0), set("/a", "2", 1)))
		b.Ops[x].Result.Results[0].Stat.Mzxid = zxid(2)
		b.alone()
	}, fails("C-MULTI")},
	{"a multi has too few results", func(b *build) {
		c := b.open(1)
		x := b.do(c, multi(create("/a", "1"), create("/b", "1")))
		b.Ops[x].Result.Results = b.Ops[x].Result.Results[:1]
		b.alone()
	}, fails("C-MULTI")},
	{"a multi failed without a failure", func(b *build) {
		c := b.open(1)
		x := b.do(c, multi(create("/a", "1"), create("/b", "1")))
		b.Ops[x].Result.Results[1] = history.Result{Kind: wire.OpError}
		b.alone()
	}, fails("C-MULTI")},
	{"a multi went on behind its failure", func(b *build) {
		c := b.open(1)
		x := b.do(c, multi(checks("/a", 0), create("/b", "1")))
		b.Ops[x].Result.Results[1].Code = wire.NoNode
		b.alone()
	}, fails("C-MULTI")},
	{"a multi went wrong in another way than the model's", func(b *build) {
		c := b.open(1)
		x := b.do(c, multi(checks("/a", 0), create("/b", "1")))
		b.Ops[x].Result.Results[0].Code = wire.BadVersion
	}, fails("C-DUR")},
}
