package model_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quoll/jepsen/history"
	"quoll/jepsen/model"
	"quoll/transport/wire"
	"quoll/tree"
	"quoll/zab"
)

// twins are the tree of the server and the model of it. The leader prepares ahead of what it has
// applied, as it does in life; the model knows nothing of that.
type twins struct {
	t        require.TestingT
	choose   chooser
	real     *tree.Tree
	pending  *tree.Pending
	queue    []proposal
	model    *model.Tree
	zxid     zab.Zxid
	nowMs    int64
	sessions []zab.SessionID // all that there ever were, with some that never were
	result   tree.Result
}

type proposal struct {
	txn    zab.Txn
	commit history.Commit
}

// newTwins opens two sessions, the last of w.sessions.
func newTwins(t require.TestingT, c chooser) *twins {
	real := tree.New(tree.Options{ExtendedTypes: true})
	w := &twins{t: t, choose: c, real: real, pending: tree.NewPending(real), model: model.New(), zxid: zab.MakeZxid(1, 0), nowMs: 1000}
	w.sessions = []zab.SessionID{5<<56 | 1}
	for range 2 {
		w.propose(history.Commit{Session: 1 << 56, Op: history.Op{Kind: wire.OpCreateSession, Password: make([]byte, 16)}}, 0)
		w.apply()
	}
	return w
}

// propose makes the leader prepare a request, ms after the one before.
func (w *twins) propose(c history.Commit, ms int64) {
	w.zxid++
	w.nowMs += ms
	c.Zxid, c.TimeMs = w.zxid, w.nowMs
	req := zab.Request{Session: c.Session, Op: int32(c.Op.Kind), Body: history.AppendBody(nil, &c.Op), Auth: c.Auth}
	var data []byte
	if c.Code == wire.SessionMoved {
		data = w.pending.Refuse(&req, c.Zxid, c.TimeMs, c.Code, nil)
	} else {
		data = w.pending.Prepare(&req, c.Zxid, c.TimeMs, nil)
	}
	w.queue = append(w.queue, proposal{zab.Txn{Zxid: c.Zxid, Data: data}, c})
}

// apply applies the oldest txn on both sides and compares all that came of it.
func (w *twins) apply() {
	p := w.queue[0]
	w.queue = w.queue[1:]
	r := &w.result
	w.real.Apply(p.txn, r)
	w.pending.Committed(p.txn.Zxid)
	c := p.commit
	if c.Session = r.Header.Session; r.Opened != 0 {
		w.sessions = append(w.sessions, r.Opened)
	}
	before := w.model.Clone()
	got, changes := w.model.Apply(&c)
	require.Equal(w.t, resultOf(r), got, "%+v", c)
	require.Equal(w.t, changesOf(r), changes, "%+v", c)
	w.compare(before, &c)
}

// compare demands that both sides hold the same, and that the model does the same again.
func (w *twins) compare(before *model.Tree, c *history.Commit) {
	lines, sessions := everything(w.model)
	require.Equal(w.t, walk(w.real), lines, "%+v", c)
	ids := []zab.SessionID{}
	w.real.EachSession(func(s *tree.Session) bool {
		ids = append(ids, s.ID)
		ms, _ := w.model.SessionTimeoutMs(s.ID)
		require.Equal(w.t, s.TimeoutMs, ms)
		var paths []string
		w.real.EachEphemeral(s.ID, func(path []byte) bool {
			paths = append(paths, string(path))
			return true
		})
		slices.Sort(paths)
		res := w.model.Read(s.ID, nil, &history.Op{Kind: wire.OpGetEphemerals})
		require.ElementsMatch(w.t, paths, res.Children)
		return true
	})
	require.ElementsMatch(w.t, ids, sessions)
	require.Equal(w.t, w.real.Applied(), w.model.Applied())
	again := before.Clone()
	again.Apply(c)
	require.Equal(w.t, again.Hash(), w.model.Hash())
	require.Equal(w.t, before.Hash(), before.Clone().Hash())
}

// someone draws a session and who speaks in it.
func (w *twins) someone() (c history.Commit) {
	if c.Session = pick(w.choose, w.sessions[max(0, len(w.sessions)-3):]...); w.choose(6) == 0 {
		c.Session = pick(w.choose, w.sessions...)
	}
	c.Auth = pick(w.choose, nobody, nil, somebody, somebody, both, superuser, neighbour)
	if w.choose(40) == 0 {
		c.Code = wire.SessionMoved
	}
	return c
}

// request draws a request of any kind.
func (w *twins) request() history.Commit {
	c := w.someone()
	switch kind := w.choose(24); {
	case kind == 0 && w.choose(2) == 0:
		c.Session = pick[zab.SessionID](w.choose, 1<<56, 1<<56, 2<<56, 0, -1<<56, -1<<63)
		c.Op = history.Op{Kind: wire.OpCreateSession, TimeoutMs: int32(1000 * w.choose(9)), Password: make([]byte, 16)}
	case kind <= 1:
		c.Op.Kind, c.Code = wire.OpCloseSession, wire.OK
	case kind < 5:
		if w.choose(10) > 0 {
			c.Session = 0
		}
		c.Op = history.Op{Kind: wire.OpDeleteContainer, Path: drawPath(w.choose, w.model)}
		c.Code = wire.OK
	case kind == 5 && w.choose(4) == 0:
		c.Op.Kind = wire.OpReconfig
	case kind < 10:
		c.Op = drawMulti(w.choose, w.model, c.Session)
	default:
		c.Op = drawWrite(w.choose, w.model, false)
	}
	return c
}

// The tree of the server and the model agree on every answer, on every change that watches are
// told of, and on what is there after each txn.
func TestTreeIsTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newTwins(t, func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "choice") })
		lag := pick(w.choose, 0, 3, 12) // of the leader's tree behind what it has prepared
		narrow := w.choose(2) == 0      // all are after the same few znodes
		for range rapid.IntRange(1, 60).Draw(t, "requests") {
			c := w.request()
			if narrow && c.Op.Path != "" {
				c.Op.Path = pick(w.choose, "/a", "/a", "/a", "/a/b")
			}
			w.propose(c, pick[int64](w.choose, 0, 1, 1, 1, 3, 10, -2))
			for len(w.queue) > lag {
				w.apply()
			}
		}
		for len(w.queue) > 0 {
			w.apply()
		}
	})
}

// What is prepared and not yet applied counts as if it were there: each of these begins with what
// is, goes on with what is on its way, and ends with a request that depends on that.
func TestPreparedAhead(t *testing.T) {
	w := newTwins(t, nil)
	a, b := w.sessions[1], w.sessions[2]
	by := func(s zab.SessionID, o history.Op) history.Commit { return history.Commit{Session: s, Op: o} }
	reap := func(path string) history.Commit { return by(0, history.Op{Kind: wire.OpDeleteContainer, Path: path}) }
	closing := history.Op{Kind: wire.OpCloseSession}
	container, ttl := create("/c"), createMode("/t", wire.PersistentTTL)
	container.Kind, ttl.Kind, ttl.TTLMs = wire.OpCreateContainer, wire.OpCreateTTL, 5
	numbered := createMode("/s-", wire.PersistentSequential)
	locking := history.Op{Kind: wire.OpSetACL, Path: "/l", Version: 0, ACL: []wire.ACL{entry(wire.PermRead, "world", "anyone")}}
	type requests []history.Commit
	for name, c := range map[string]struct{ there, ahead requests }{
		"a written znode is young": {requests{by(b, ttl)}, requests{by(b, set("/t", "")), reap("/t")}},
		"an old znode is not":      {requests{by(b, ttl)}, requests{by(b, set("/", "")), reap("/t")}},
		"a container gets a child": {requests{by(b, container)}, requests{by(b, create("/c/x")), reap("/c")}},
		"a container loses its child": {
			requests{by(b, container), by(b, create("/c/x"))},
			requests{by(b, remove("/c/x")), reap("/c")},
		},
		"the numbers of a multi undone": {
			requests{by(b, numbered)},
			requests{by(b, multi(numbered, remove("/none"))), by(b, numbered)},
		},
		"an ephemeral becomes another's": {
			requests{by(a, createMode("/e", wire.Ephemeral))},
			requests{by(b, remove("/e")), by(b, create("/e")), by(a, closing)},
		},
		"a closing session writes": {
			requests{},
			requests{by(b, createMode("/f", wire.Ephemeral)), by(b, closing), by(b, create("/g")), by(b, closing)},
		},
		"a list forbids what was allowed": {
			requests{by(a, create("/l"))},
			requests{by(a, locking), by(a, create("/l/x")), by(a, locking), by(a, set("/l", ""))},
		},
	} {
		w = newTwins(t, nil) // with the same sessions
		require.Equal(t, []zab.SessionID{a, b}, w.sessions[1:], name)
		for _, request := range c.there {
			w.propose(request, 3)
			w.apply()
		}
		for _, request := range c.ahead {
			w.propose(request, 3)
		}
		for len(w.queue) > 0 {
			w.apply()
		}
	}
}

// resultOf is the answer that a client of the server gets.
func resultOf(r *tree.Result) history.Result {
	res := history.Result{Code: r.Code}
	switch {
	case r.Code != wire.OK:
	case r.Op == wire.OpMulti:
		res.Results = []history.Result{}
		for _, o := range r.Ops {
			one := answerOf(o.Op, o.Path, o.Stat)
			one.Kind, one.Code = o.Op, o.Code
			res.Results = append(res.Results, one)
		}
	default:
		res = answerOf(r.Op, r.Path, r.Stat)
	}
	return res
}

func answerOf(op wire.Op, path []byte, stat wire.Stat) (res history.Result) {
	switch op {
	case wire.OpCreate:
		res.Path = string(path)
	case wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL:
		res.Path, res.Stat = string(path), stat
	case wire.OpSetData, wire.OpSetACL:
		res.Stat = stat
	default:
	}
	return res
}

func changesOf(r *tree.Result) (changes []model.Change) {
	for _, c := range r.Changes {
		changes = append(changes, model.Change{
			Type: wire.EventType(c.Type), Path: string(c.Path), ACL: c.ACL, ParentACL: c.ParentACL,
		})
	}
	return changes
}

func line(data []byte, stat wire.Stat, acl []wire.ACL) string {
	return fmt.Sprintf("%q null=%v %+v %v", data, data == nil, stat, acl)
}

// walk is all that the server's tree holds.
func walk(t *tree.Tree) map[string]string {
	lines := map[string]string{}
	var visit func(path string)
	visit = func(path string) {
		id, _ := t.Lookup([]byte(path))
		lines[path] = line(t.Data(id), t.Stat(id), t.ACL(id))
		t.EachChild(id, func(name []byte) bool {
			visit(strings.TrimSuffix(path, "/") + "/" + string(name))
			return true
		})
	}
	visit("/")
	return lines
}
