package check_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quoll/jepsen/check"
	"quoll/jepsen/history"
	"quoll/transport/wire"
)

// linearStories have no committed sequence: there is only what the clients saw.
var linearStories = []story{
	{"a register", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(c, create("/r", "0"))
		b.do(c, create("/r", "0"))
		b.do(d, set("/r", "1", 0))
		b.do(d, set("/r", "1", 0))
		b.do(c, sync("/r"))
		b.do(c, get("/r"))
		b.do(c, exists("/r"))
		b.do(c, remove("/r"))
		b.do(d, set("/r", "2", anyVersion))
		b.alone()
	}, nil},
	{"a plain read may be old", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(c, create("/r", "0"))
		b.do(c, set("/r", "1", 0))
		b.answer(b.call(d, get("/r")), 3)
		b.alone()
	}, nil},
	{"an unknown write is seen, and then another", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(c, create("/r", "0"))
		lost := b.call(c, set("/r", "1", anyVersion))
		b.do(d, set("/r", "2", anyVersion))
		b.do(d, sync("/r"))
		b.do(d, get("/r"))
		b.take(lost)
		b.do(d, sync("/r"))
		b.do(d, get("/r"))
		b.alone()
	}, nil},
	{"an unknown delete explains a create", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(c, create("/r", "0"))
		b.take(b.call(c, remove("/r")))
		b.do(d, create("/r", "1"))
		b.alone()
	}, nil},
	{"an unknown create of a sequential znode explains a delete", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.take(b.call(c, createAs("/q-", "0", wire.PersistentSequential)))
		b.do(d, remove("/q-0000000000"))
		b.alone()
	}, nil},
	{"a session's end explains a create", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(c, createAs("/r", "0", wire.Ephemeral))
		b.commit(b.Conns[c].Session, 0, closeSession)
		b.do(d, create("/r", "1"))
		b.alone()
	}, nil},
	{"a multi explains what is seen", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(c, create("/r", "0"))
		b.do(c, multi(set("/r", "1", 0)))
		b.do(d, sync("/r"))
		b.do(d, get("/r"))
		b.alone()
	}, nil},
	{"a write took effect before it was called", func(b *build) {
		c, d, e := b.open(1), b.open(2), b.open(3)
		b.do(c, create("/r", "0"))
		x := b.call(c, set("/r", "1", anyVersion))
		const later = 99
		n := b.commit(b.Conns[d].Session, later, set("/r", "2", anyVersion))
		b.take(x)
		b.do(e, sync("/r"))
		b.do(e, get("/r"))
		y := b.call(d, set("/r", "2", anyVersion))
		b.Ops[y].Xid = later
		b.answer(y, n)
		b.alone()
	}, fails("C-LINW")},
	{"two creates succeed", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(c, create("/r", "0"))
		b.Ops[b.do(d, create("/r", "1"))].Result = history.Result{Path: "/r"}
		b.alone()
	}, fails("C-DUR", "C-LINW")},
	{"a write is lost", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(c, create("/r", "0"))
		b.do(c, set("/r", "1", anyVersion))
		x := b.do(d, set("/r", "2", anyVersion))
		b.Ops[x].Result.Stat.Version = 1
		b.alone()
	}, fails("C-DUR", "C-LINW")},
	{"a read behind a sync is old", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(c, create("/r", "0"))
		b.do(c, set("/r", "1", anyVersion))
		b.do(d, sync("/r"))
		x := b.do(d, get("/r"))
		b.Ops[x].Result.Data, b.Ops[x].Result.Stat.Version = []byte("0"), 0
		b.alone()
	}, fails("C-LINW", "C-READ")},
	{"a value comes back", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(c, create("/r", "0"))
		b.call(c, set("/r", "1", anyVersion))
		b.do(d, sync("/r"))
		b.do(d, exists("/r"))
		x := b.do(d, get("/r"))
		b.Ops[x].Result.Data, b.Ops[x].Result.Stat.Version = []byte("1"), 1
		b.do(d, sync("/r"))
		b.do(d, get("/r"))
		b.alone()
	}, fails("C-LINW", "C-READ")},
	{"a delete of a znode that is gone succeeds", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(c, create("/r", "0"))
		b.do(c, remove("/r"))
		b.Ops[b.do(d, remove("/r"))].Result.Code = wire.OK
		b.alone()
	}, fails("C-DUR", "C-LINW")},
}

// lossy has many clients whose writes are lost, and then one that reads what it should not.
func lossy(shown bool) *history.History {
	b := newBuild()
	var conns []int
	for i := range 40 {
		conns = append(conns, b.open(i))
	}
	b.do(conns[0], create("/r", "0"))
	for i, c := range conns[1:] {
		b.call(c, set("/r", fmt.Sprint(i), anyVersion))
	}
	for i := range 39 {
		b.do(conns[0], sync("/r"))
		x := b.do(conns[0], get("/r"))
		b.Ops[x].Result.Data, b.Ops[x].Result.Stat.Version = []byte("nobody's"), 39
		if shown {
			b.Ops[x].Result.Data = fmt.Append(nil, i)
			b.Ops[x].Result.Stat.Version = 50
		}
	}
	b.alone()
	return b.done()
}

// linearWithin returns what C-LINW finds.
func linearWithin(h *history.History, limit time.Duration) []check.Violation {
	return slices.DeleteFunc(check.AllWithin(h, check.Limits{Search: limit}), func(v check.Violation) bool { return v.Check != "C-LINW" })
}

// A search that takes too long says so.
func TestUndecided(t *testing.T) {
	found := linearWithin(lossy(true), 20*time.Millisecond)
	require.Len(t, found, 1)
	require.True(t, found[0].Undecided)
	require.Contains(t, found[0].Text, "undecided after 20ms: 79 operations")
}

// Lost writes whose values nobody was shown do not make a search long.
func TestLostWritesAreAlike(t *testing.T) {
	found := linearWithin(lossy(false), time.Minute)
	require.Len(t, found, 1)
	require.False(t, found[0].Undecided)
	require.Contains(t, found[0].Text, `returned "nobody's" in version 39`)
}

// The text names the operation with which the history went wrong, not the ones behind it.
func TestCulprit(t *testing.T) {
	b := newBuild()
	c, d := b.open(1), b.open(2)
	b.do(c, create("/r", "0"))
	b.do(c, set("/r", "1", anyVersion))
	b.do(d, sync("/r"))
	x := b.do(d, get("/r"))
	b.Ops[x].Result.Data, b.Ops[x].Result.Stat.Version = []byte("0"), 0
	for range 5 {
		b.do(d, set("/r", "2", anyVersion))
	}
	b.alone()
	found := check.Linearizable(b.done())
	require.Len(t, found, 1)
	require.Equal(t, b.Ops[x].Return, found[0].At)
	require.Equal(t, []int{1, x}, found[0].Ops)
	require.Equal(t, `getData "/r" at 0.011000 s by session 0x101 returned version 0 although version 1 was acknowledged at 0.008000 s, to setData "/r" at 0.007000 s by session 0x100`, found[0].Text)
}

// A znode that is too hard does not keep the others from being judged.
func TestHardZnodesDoNotStarveOthers(t *testing.T) {
	b := newBuild()
	b.History = *lossy(true)
	b.now, b.Commits = b.End.At, []history.Commit{}
	for range b.End.Seq {
		b.Moment()
	}
	c, d := b.open(51), b.open(52)
	b.do(c, create("/s", "0"))
	b.do(c, set("/s", "1", anyVersion))
	b.do(d, sync("/s"))
	x := b.do(d, get("/s"))
	b.Ops[x].Result.Data, b.Ops[x].Result.Stat.Version = []byte("0"), 0
	b.alone()
	found := linearWithin(b.done(), 20*time.Millisecond)
	require.Len(t, found, 2)
	require.False(t, found[0].Undecided)
	require.Contains(t, found[0].Text, `getData "/s"`)
	require.True(t, found[1].Undecided)
	require.Contains(t, found[1].Text, "1 of 2 znodes were decided")
}

// The order of the zxids decides without a search what would take one very long: many writes at once,
// some of which have no answer though they are seen, or show only in the versions of others.
func TestWitness(t *testing.T) {
	b := newBuild()
	var conns, open []int
	for i := range 60 {
		conns = append(conns, b.open(i))
	}
	b.do(conns[0], create("/r", "0"))
	for i, c := range conns {
		open = append(open, b.call(c, set("/r", fmt.Sprint(i), anyVersion)))
	}
	reader := b.open(100)
	took := make([]int, len(open))
	for i := len(open) - 1; i >= 0; i-- {
		if took[i] = b.take(open[i]); i%6 == 0 {
			b.do(reader, sync("/r"))
			b.do(reader, get("/r"))
		}
	}
	for i, op := range open {
		if i%3 != 0 {
			b.answer(op, took[i])
		}
	}
	b.do(reader, set("/r", "end", anyVersion))
	b.alone()
	require.Empty(t, linearWithin(b.done(), time.Nanosecond))
}
