package check_test

import (
	"quoll/jepsen/history"
	"quoll/transport/wire"
)

var recipeStories = []story{
	{"sequential names", func(b *build) {
		c := b.open(1)
		b.do(c, create("/s", "0"))
		b.do(c, createAs("/s/a-", "0", wire.PersistentSequential))
		b.do(c, create("/s/plain", "0"))
		b.do(c, createAs("/s/b-", "0", wire.EphemeralSequential))
		b.do(c, remove("/s/a-0000000000"))
		b.do(c, multi(createAs("/s/a-", "0", wire.PersistentSequential), createAs("/s/", "0", wire.PersistentSequential)))
	}, nil},
	{"a new parent starts over", func(b *build) {
		c := b.open(1)
		for range 2 {
			b.do(c, create("/s", "0"))
			b.do(c, createAs("/s/a-", "0", wire.PersistentSequential))
			b.do(c, remove("/s/a-0000000000"))
			b.do(c, remove("/s"))
		}
	}, nil},
	{"a new parent starts over, and nobody saw the commits", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(c, create("/s", "0"))
		b.do(c, createAs("/s/a-", "0", wire.PersistentSequential))
		b.do(c, remove("/s/a-0000000000"))
		b.take(b.call(c, remove("/s")))
		b.do(d, create("/s", "0"))
		b.do(d, createAs("/s/a-", "0", wire.PersistentSequential))
		b.alone()
	}, nil},
	{"a name is given twice", func(b *build) {
		c := b.open(1)
		b.do(c, createAs("/a-", "0", wire.PersistentSequential))
		b.do(c, remove("/a-0000000000"))
		b.Ops[b.do(c, createAs("/a-", "0", wire.PersistentSequential))].Result.Path = "/a-0000000000"
		b.alone()
	}, fails("C-SEQ")},
	{"a number is given twice", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(c, createAs("/a-", "0", wire.PersistentSequential))
		b.Ops[b.do(d, createAs("/b-", "0", wire.PersistentSequential))].Result.Path = "/b-0000000000"
		b.alone()
	}, fails("C-SEQ")},
	{"numbers go back", func(b *build) {
		c := b.open(1)
		b.do(c, createAs("/a-", "0", wire.PersistentSequential))
		b.do(c, createAs("/a-", "0", wire.PersistentSequential))
		b.Ops[1].Result.Path = "/a-0000000000"
		b.Ops[0].Result.Path = "/a-0000000007"
	}, fails("C-DUR", "C-SEQ")},
	{"holders of a lock", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(c, create("/fence", "0"))
		b.do(c, set("/fence", "3 x", 0))
		b.do(c, multi(checks("/", anyVersion), set("/fence", "3 y", 1)))
		b.do(d, set("/fence", "4 z", 1)) // fails
		b.do(d, set("/fence", "4 z", 2))
		b.do(c, set("/fence", "3 v", 2)) // fails
	}, nil},
	{"two writes on one condition", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(c, createAs("/l", "0", wire.Ephemeral))
		x := b.do(c, set("/l", "a", 0))
		y := b.do(d, set("/l", "b", 0))
		b.Ops[y].Result = b.Ops[x].Result
		b.alone()
	}, fails("C-DUR", "C-LOCK")},
	{"one condition in two lives of a znode", func(b *build) {
		c := b.open(1)
		for range 2 {
			b.do(c, create("/l", "0"))
			b.do(c, set("/l", "a", 0))
			b.do(c, remove("/l"))
		}
		b.alone()
	}, nil},
	{"one who lost the lock passes the fence", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(c, create("/fence", "0"))
		b.do(d, set("/fence", "4 z", 0))
		b.do(c, set("/fence", "3 x", 1))
	}, fails("C-LOCK")},
	{"one who lost the lock passes the fence in a multi", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(c, create("/fence", "0"))
		b.do(d, set("/fence", "4 z", 0))
		b.do(c, multi(history.Op{Kind: wire.OpCheck, Path: "/fence", Version: 1}, set("/fence", "3 x", 1)))
	}, fails("C-LOCK")},
}
