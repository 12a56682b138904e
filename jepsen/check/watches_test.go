package check_test

import (
	"quoll/jepsen/history"
	"quoll/transport/wire"
)

const (
	created         = wire.EventNodeCreated
	deleted         = wire.EventNodeDeleted
	dataChanged     = wire.EventNodeDataChanged
	childrenChanged = wire.EventNodeChildrenChanged
)

// two opens a watching client and a changing one.
func two(b *build) (watcher, changer int) { return b.open(1), b.open(2) }

var watchStories = []story{
	{"one-shot watches", func(b *build) {
		c, d := two(b)
		b.do(c, watch(wire.OpExists, "/a"))
		b.do(c, watch(wire.OpGetData, "/a")) // NoNode: no watch
		b.do(c, watch(wire.OpGetChildren, "/"))
		b.do(d, create("/a", "0"))
		b.tell(c, 3, created, "/a")
		b.tell(c, 3, childrenChanged, "/")
		b.do(d, set("/a", "1", 0))
		b.do(c, watch(wire.OpGetData, "/a"))
		b.do(c, watch(wire.OpGetChildren2, "/a"))
		b.do(d, set("/a", "2", 1))
		b.tell(c, 5, dataChanged, "/a")
		b.do(d, create("/a/x", "0"))
		b.tell(c, 6, childrenChanged, "/a")
		b.do(d, remove("/a/x"))
		b.ping(c, b.at())
	}, nil},
	{"one event for two watches", func(b *build) {
		c, d := two(b)
		b.do(d, create("/a", "0"))
		b.do(c, watch(wire.OpGetData, "/a"))
		b.do(c, watch(wire.OpGetData, "/a"))
		b.do(c, watch(wire.OpGetChildren, "/a"))
		b.do(d, remove("/a"))
		b.tell(c, 4, deleted, "/a")
		b.ping(c, b.at())
	}, nil},
	{"a change that a stale read did not see", func(b *build) {
		c, d := two(b)
		b.do(d, create("/a", "0"))
		b.do(d, set("/a", "1", 0))
		b.answer(b.call(c, watch(wire.OpGetData, "/a")), 3)
		b.tell(c, 4, dataChanged, "/a")
		b.do(c, get("/a"))
	}, nil},
	{"a client hears of its own write before the answer", func(b *build) {
		c := b.open(1)
		b.do(c, watch(wire.OpExists, "/a"))
		x := b.call(c, create("/a", "0"))
		n := b.take(x)
		b.tell(c, n, created, "/a")
		b.answer(x, n)
	}, nil},
	{"persistent and recursive watches", func(b *build) {
		c, d := two(b)
		b.do(c, addWatch("/a", wire.AddWatchPersistent))
		b.do(c, addWatch("/", wire.AddWatchPersistentRecursive))
		b.do(d, create("/a", "0"))
		b.tell(c, 3, created, "/a")
		b.do(d, create("/a/x", "0"))
		b.tell(c, 4, created, "/a/x")
		b.tell(c, 4, childrenChanged, "/a")
		b.do(d, multi(set("/a", "1", 0), set("/a", "2", 1), remove("/a/x")))
		b.tell(c, 5, dataChanged, "/a")
		b.tell(c, 5, dataChanged, "/a")
		b.tell(c, 5, deleted, "/a/x")
		b.tell(c, 5, childrenChanged, "/a")
		b.do(d, createAs("/e", "0", wire.Ephemeral))
		b.tell(c, 6, created, "/e")
		b.do(d, closeSession)
		b.tell(c, 7, deleted, "/e")
		b.ping(c, b.at())
	}, nil},
	{"events may be on their way when a connection ends", func(b *build) {
		c, d := two(b)
		b.do(c, addWatch("/a", wire.AddWatchPersistent))
		b.do(d, create("/a", "0"))
		b.do(d, set("/a", "1", 0))
		b.tell(c, 3, created, "/a")
		b.Close(c)
	}, nil},
	{"a watch ends with its connection", func(b *build) {
		c, d := two(b)
		b.do(c, watch(wire.OpExists, "/a"))
		c = b.reopen(c)
		b.do(d, create("/a", "0"))
		b.do(c, get("/a"))
	}, nil},
	{"what setWatches makes up", func(b *build) {
		c, d := two(b)
		for _, path := range []string{"/gone", "/changed", "/same", "/parent"} {
			b.do(d, create(path, "0"))
		}
		since := b.at()
		b.ping(c, b.at())
		b.do(d, remove("/gone"))
		b.do(d, set("/changed", "1", 0))
		b.do(d, create("/made", "1"))
		b.do(d, create("/parent/x", "1"))
		c = b.reopen(c)
		x := b.call(c, rewatch(since, history.Rewatch{
			Data: []string{"/gone", "/changed", "/same"}, Exist: []string{"/made", "/not"}, Child: []string{"/gone", "/parent", "/same"},
			Persistent: []string{"/same"}, Recurs: []string{"/parent"},
		}))
		b.tell(c, 0, deleted, "/gone")
		b.tell(c, 0, dataChanged, "/changed")
		b.tell(c, 0, created, "/made")
		b.tell(c, 0, deleted, "/gone")
		b.tell(c, 0, childrenChanged, "/parent")
		b.answer(x, b.at())
		b.do(d, set("/same", "1", 0))
		b.tell(c, b.at(), dataChanged, "/same")
		b.do(d, create("/not", "1"))
		b.tell(c, b.at(), created, "/not")
		b.do(d, create("/parent/y", "1"))
		b.tell(c, b.at(), created, "/parent/y")
		b.ping(c, b.at())
	}, nil},
	{"a setWatches without an answer", func(b *build) {
		c, d := two(b)
		b.do(d, create("/a", "0"))
		c = b.reopen(c)
		b.call(c, rewatch(0, history.Rewatch{Data: []string{"/a", "/b"}}))
		b.tell(c, 0, dataChanged, "/a")
		b.Close(c)
	}, nil},
	{"nobody hears of what he may not read", func(b *build) {
		c, d := two(b)
		secret := create("/a", "0")
		secret.ACL = []wire.ACL{{Perms: wire.PermAll &^ wire.PermRead, Scheme: "world", ID: "anyone"}}
		b.do(c, watch(wire.OpExists, "/a"))
		b.do(d, secret)
		b.ping(c, b.at())
	}, nil},
	{"somebody hears of what he may not read", func(b *build) {
		c, d := two(b)
		secret := create("/a", "0")
		secret.ACL = []wire.ACL{{Perms: wire.PermAll &^ wire.PermRead, Scheme: "world", ID: "anyone"}}
		b.do(c, watch(wire.OpExists, "/a"))
		b.do(d, secret)
		b.tell(c, 3, created, "/a")
		b.ping(c, b.at())
	}, fails("C-WATCH2")},
	{"an event behind what it announces", func(b *build) {
		c, d := two(b)
		b.do(c, watch(wire.OpExists, "/a"))
		b.do(d, create("/a", "0"))
		b.do(c, get("/a"))
		b.tell(c, 3, created, "/a")
	}, fails("C-WATCH1")},
	{"an event behind its own write's answer, of which no commits are known", func(b *build) {
		c := b.open(1)
		b.do(c, watch(wire.OpExists, "/a"))
		b.do(c, create("/a", "0"))
		b.tell(c, 2, created, "/a")
		b.alone()
	}, fails("C-WATCH1")},
	{"an event before what it announces", func(b *build) {
		c, d := two(b)
		b.do(c, watch(wire.OpExists, "/a"))
		b.do(d, create("/a", "0"))
		b.tell(c, 3, created, "/a")
		b.answer(b.call(c, get("/a")), 2)
	}, fails("C-WATCH1")},
	{"an event before its cause", func(b *build) {
		c, d := two(b)
		b.do(c, watch(wire.OpExists, "/a"))
		b.tell(c, 3, created, "/a")
		b.do(d, create("/a", "0"))
	}, fails("C-WATCH1")},
	{"a one-shot watch fires twice", func(b *build) {
		c, d := two(b)
		b.do(c, watch(wire.OpExists, "/a"))
		b.do(d, create("/a", "0"))
		b.tell(c, 3, created, "/a")
		b.do(d, set("/a", "1", 0))
		b.tell(c, 4, dataChanged, "/a")
	}, fails("C-WATCH2")},
	{"an event comes twice", func(b *build) {
		c, d := two(b)
		b.do(c, addWatch("/a", wire.AddWatchPersistent))
		b.do(d, create("/a", "0"))
		b.tell(c, 3, created, "/a")
		b.tell(c, 3, created, "/a")
	}, fails("C-WATCH2")},
	{"an event of nothing", func(b *build) {
		c, d := two(b)
		b.do(c, watch(wire.OpExists, "/a"))
		b.do(d, create("/b", "0"))
		b.tell(c, 3, created, "/a")
	}, fails("C-WATCH2")},
	{"an event of a zxid that nothing has", func(b *build) {
		c, _ := two(b)
		b.do(c, watch(wire.OpExists, "/a"))
		b.tell(c, 9, created, "/a")
	}, fails("C-WATCH2")},
	{"a watch on missing data fires", func(b *build) {
		c, d := two(b)
		b.do(c, watch(wire.OpGetData, "/a"))
		b.do(d, create("/a", "0"))
		b.tell(c, 3, created, "/a")
	}, fails("C-WATCH2")},
	{"a recursive watch tells of children", func(b *build) {
		c, d := two(b)
		b.do(c, addWatch("/", wire.AddWatchPersistentRecursive))
		b.do(d, create("/a", "0"))
		b.tell(c, 3, created, "/a")
		b.tell(c, 3, childrenChanged, "/")
	}, fails("C-WATCH2")},
	{"a watch of the connection before fires", func(b *build) {
		c, d := two(b)
		b.do(c, watch(wire.OpExists, "/a"))
		c = b.reopen(c)
		b.do(d, create("/a", "0"))
		b.tell(c, 3, created, "/a")
	}, fails("C-WATCH2")},
	{"setWatches makes up what was not missed", func(b *build) {
		c, d := two(b)
		b.do(d, create("/a", "0"))
		c = b.reopen(c)
		x := b.call(c, rewatch(b.at(), history.Rewatch{Data: []string{"/a"}}))
		b.tell(c, 0, dataChanged, "/a")
		b.answer(x, b.at())
	}, fails("C-WATCH2")},
	{"setWatches makes an event up behind its answer", func(b *build) {
		c, d := two(b)
		b.do(d, create("/a", "0"))
		c = b.reopen(c)
		b.do(c, rewatch(0, history.Rewatch{Data: []string{"/a"}}))
		b.tell(c, 0, dataChanged, "/a")
	}, fails("C-WATCH2")},
	{"a change is not told", func(b *build) {
		c, d := two(b)
		b.do(c, watch(wire.OpExists, "/a"))
		b.do(d, create("/a", "0"))
		b.ping(c, b.at())
	}, fails("C-WATCH3")},
	{"a change is not told, but the next one", func(b *build) {
		c, d := two(b)
		b.do(c, addWatch("/a", wire.AddWatchPersistent))
		b.do(d, create("/a", "0"))
		b.do(d, set("/a", "1", 0))
		b.tell(c, 4, dataChanged, "/a")
	}, fails("C-WATCH3")},
	{"setWatches does not say what was missed", func(b *build) {
		c, d := two(b)
		b.do(d, create("/a", "0"))
		c = b.reopen(c)
		b.do(c, rewatch(0, history.Rewatch{Child: []string{"/a"}}))
	}, fails("C-WATCH3")},
	{"setWatches registers nothing", func(b *build) {
		c, d := two(b)
		c = b.reopen(c)
		b.do(c, rewatch(b.at(), history.Rewatch{Recurs: []string{"/"}}))
		b.do(d, create("/a", "0"))
		b.ping(c, b.at())
	}, fails("C-WATCH3")},
}
