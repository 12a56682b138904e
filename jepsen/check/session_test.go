package check_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quoll/jepsen/check"
	"quoll/jepsen/history"
	"quoll/transport/wire"
)

// refuse dials for the session of a connection, and is told that it is over.
func (b *build) refuse(old int) {
	b.Close(old)
	c := b.Conns[old]
	b.Join(b.Dial(history.Conn{Client: c.Client, Asked: c.Session}), 0, 0)
}

func (b *build) expire(conn int) int { return b.commit(b.Conns[conn].Session, 0, closeSession) }

var sessionStories = []story{
	{"a session expires", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(c, createAs("/e", "0", wire.Ephemeral))
		b.now += timeoutMs * 1000
		b.expire(c)
		b.do(d, exists("/e"))
		b.refuse(c)
		b.open(1)
	}, nil},
	{"a session expires while its client asks for its end", func(b *build) {
		c := b.open(1)
		b.now += timeoutMs * 1000
		x := b.call(c, closeSession)
		b.expire(c)
		b.answer(x, b.take(x))
	}, nil},
	{"requests fail behind the end", func(b *build) {
		c, d := b.open(1), b.open(2)
		x := b.call(c, create("/a", "0"))
		b.now += timeoutMs * 1000
		b.expire(c)
		b.take(x)
		b.do(d, exists("/a"))
	}, nil},
	{"told to be over, but is not", func(b *build) {
		b.refuse(b.open(1))
	}, fails("C-SESS")},
	{"goes on behind its end", func(b *build) {
		c := b.open(1)
		b.now += timeoutMs * 1000
		b.expire(c)
		b.refuse(c)
		b.reopen(c)
	}, fails("C-SESS")},
	{"took effect behind its end", func(b *build) {
		c := b.open(1)
		x := b.call(c, create("/a", "0"))
		b.now += timeoutMs * 1000
		b.expire(c)
		b.Commits[b.take(x)-1].Code = wire.OK
	}, fails("C-SESS")},
	{"another session than asked for", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.Conns[b.reopen(c)].Session = b.Conns[d].Session
	}, fails("C-SESS")},
	{"an id is given twice", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.Conns[d].Session = b.Conns[c].Session
		b.alone()
	}, fails("C-SESS")},
	{"an id is opened again", func(b *build) {
		c := b.open(1)
		b.do(c, closeSession)
		b.Dial(history.Conn{Client: 2})
		b.commit(b.Conns[c].Session, 0, history.Op{Kind: wire.OpCreateSession, TimeoutMs: timeoutMs})
	}, fails("C-SESS")},
	{"a session that nothing opened", func(b *build) {
		b.Join(b.Dial(history.Conn{Client: 1}), 0x777, timeoutMs)
	}, fails("C-SESS")},
	{"an ephemeral survives its session", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(c, createAs("/e", "0", wire.Ephemeral))
		b.do(c, closeSession)
		x := b.call(d, exists("/e"))
		b.answer(x, 3)
		b.Ops[x].Zxid = int64(zxid(4))
	}, fails("C-EPHLIFE")},
	{"an ephemeral survives its session, by the word of its client only", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(c, createAs("/e", "0", wire.Ephemeral))
		b.do(c, closeSession)
		x := b.call(d, history.Op{Kind: wire.OpMultiRead, Ops: []history.Op{get("/e")}})
		b.answer(x, 3)
		b.Ops[x].Zxid = int64(zxid(4))
		b.alone()
	}, fails("C-EPHLIFE")},
	{"an ephemeral is gone too early", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(c, createAs("/e", "0", wire.Ephemeral))
		b.Ops[b.do(d, exists("/e"))].Result = history.Result{Code: wire.NoNode}
	}, fails("C-READ")},
	{"a session expires too early", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(c, createAs("/e", "0", wire.Ephemeral))
		b.now += timeoutMs * 800
		b.expire(c)
		b.do(d, exists("/e"))
	}, fails("C-EPHLIFE")},
	{"a session expires, and a long time later it is seen", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.do(c, createAs("/e", "0", wire.Ephemeral))
		b.now += timeoutMs * 800 // too early, but nobody can prove it
		b.expire(c)
		b.now += timeoutMs * 800
		b.do(d, exists("/e"))
	}, nil},
	{"a session expires although a server that was cut off answered its client", func(b *build) {
		c, d := b.open(1), b.open(2)
		b.now += timeoutMs * 800
		b.do(c, exists("/e"))
		b.now += timeoutMs * 400
		b.expire(c)
		b.do(d, exists("/e"))
	}, nil},
}

// What a server may have kept from the leader counts as well, if it is said for how long it may;
// and clocks may be wrong by as much as is said.
func TestLimits(t *testing.T) {
	early := func(after int64) *history.History {
		b := newBuild()
		c, d := b.open(1), b.open(2)
		b.now += timeoutMs * 800
		b.do(c, exists("/e"))
		b.now += after
		b.expire(c)
		b.do(d, exists("/e"))
		return b.done()
	}
	caught := func(h *history.History, l check.Limits) bool {
		l.Search = time.Second
		return len(check.AllWithin(h, l)) > 0
	}
	require.True(t, caught(early(3_900_000), check.Limits{}))
	require.False(t, caught(early(4_000_000), check.Limits{}))
	require.False(t, caught(early(3_900_000), check.Limits{Rate: 50_000}))
	require.True(t, caught(early(3_700_000), check.Limits{Rate: 50_000}))
	require.False(t, caught(early(3_700_000), check.Limits{TouchUs: 500_000}))
	require.True(t, caught(early(3_400_000), check.Limits{TouchUs: 500_000}))
}
