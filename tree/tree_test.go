package tree_test

import (
	"bytes"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/tree"
	"quoll/zab"
)

// world runs requests through everything at once: a leader that prepares ahead of what it has
// applied, one that applies each txn at once, and the model.
type world struct {
	t       *rapid.T
	options tree.Options
	model   *model

	leader  *tree.Tree
	pending *tree.Pending
	queue   []expected
	eager   *tree.Tree
	direct  *tree.Pending

	zxid     zab.Zxid
	now      int64
	n        uint64
	sessions []zab.SessionID
	history  []zab.Txn
	digests  []uint64 // after each txn of history
	result   tree.Result
}

type expected struct {
	txn  zab.Txn
	want outcome
}

func newWorld(t *rapid.T) *world {
	o := tree.Options{ExtendedTypes: rapid.Bool().Draw(t, "extended"), MaxTxnBytes: 400, HashSeed: rapid.Uint64().Draw(t, "seed")}
	w := &world{t: t, options: o, model: newModel(o.ExtendedTypes, o.MaxTxnBytes), leader: tree.New(o), eager: tree.New(o), zxid: zab.MakeZxid(1, 0)}
	w.pending, w.direct = tree.NewPending(w.leader), tree.NewPending(w.eager)
	return w
}

// submit prepares a request on both leaders; their txns must be the same bytes.
func (w *world) submit(req zab.Request, want outcome) {
	txn := w.pending.Prepare(&req, w.zxid, w.now, nil)
	require.Equal(w.t, txn, w.direct.Prepare(&req, w.zxid, w.now, nil), "the overlay decides differently")
	w.eager.Apply(zab.Txn{Zxid: w.zxid, Data: txn}, &w.result)
	w.direct.Committed(w.zxid)
	w.queue = append(w.queue, expected{zab.Txn{Zxid: w.zxid, Data: txn}, want})
	w.history = append(w.history, zab.Txn{Zxid: w.zxid, Data: txn})
	w.digests = append(w.digests, w.eager.Digest())
	if s, ok := w.model.sessions[req.Session]; ok && req.ID != (zab.RequestID{}) {
		s.last = req.ID
		w.model.sessions[req.Session] = s
	}
}

func (w *world) next() zab.RequestID {
	w.zxid++
	w.now += rapid.Int64Range(0, 2).Draw(w.t, "ms")
	w.n++
	return zab.RequestID{Boot: 7, N: w.n}
}

// applySome applies the oldest n txns on the leader and compares what comes of them.
func (w *world) applySome(n int) {
	for _, e := range w.queue[:n] {
		w.leader.Apply(e.txn, &w.result)
		require.Equal(w.t, e.want, outcomeOf(&w.result), "txn %v op %d", e.txn.Zxid, w.result.Op)
		require.Equal(w.t, e.txn.Zxid, w.result.Zxid)
		w.pending.Committed(e.txn.Zxid)
	}
	w.queue = slices.Delete(w.queue, 0, n)
	if len(w.queue) == 0 {
		require.Equal(w.t, w.model.walk(), walk(w.leader))
	}
	require.NoError(w.t, w.leader.Verify())
}

var (
	alice = zab.AuthID{Scheme: "digest", ID: "alice:h"}
	lists = [][]wire.ACL{
		wire.OpenACL, wire.OpenACL, wire.OpenACL, wire.OpenACL, wire.OpenACL, wire.OpenACL, nil,
		{},
		{{Perms: wire.PermAll, Scheme: "auth"}},
		{{Perms: wire.PermRead, Scheme: "world", ID: "anyone"}, {Perms: wire.PermAll, Scheme: "digest", ID: "alice:h"}},
		{{Perms: wire.PermRead | wire.PermCreate, Scheme: "world", ID: "anyone"}, {Perms: wire.PermRead | wire.PermCreate, Scheme: "world", ID: "anyone"}},
		{{Perms: wire.PermAll, Scheme: "nobody", ID: "x"}},
	}
	paths = []string{
		"/a", "/b", "/a/b", "/a/c", "/a/b/c", "/a/b/d", "/zookeeper/x", "/a", "/b", "/a/b", "/a/c", "/b/e", "/b/e/f",
		"/", "", "a", "/zookeeper", "/zookeeper/config", "/a/", "//", "/a//b", "/./a", "/a/.", "/a/../b", "/..a", "a/b", "/a\x00", "/a\x01",
	}
	writes = []wire.Op{
		wire.OpCreate, wire.OpCreate2, wire.OpCreate, wire.OpCreateContainer, wire.OpCreateTTL, wire.OpDelete, wire.OpDelete,
		wire.OpSetData, wire.OpSetACL, wire.OpCheck,
	}
)

// drawOp draws an op, on a znode that there is or on any path.
func (w *world) drawOp(t *rapid.T) op {
	o := op{
		op:      rapid.SampledFrom(writes).Draw(t, "op"),
		path:    w.drawPath(t),
		version: rapid.SampledFrom([]int32{-1, -1, -1, -1, 0, 1, 2}).Draw(t, "version"),
	}
	switch o.op {
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL:
		o.version = 0
		o.flags = rapid.SampledFrom([]int32{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 3, 4, 5, 6, 7, -1}).Draw(t, "flags")
		if o.op == wire.OpCreateTTL {
			o.flags = rapid.SampledFrom([]int32{5, 5, 6, 0, 9}).Draw(t, "flags")
			o.ttl = rapid.SampledFrom([]int64{1, 3, 1 << 39, 0, -1, 1 << 40}).Draw(t, "ttl")
		}
	default: // no flags
	}
	if o.op != wire.OpDelete && o.op != wire.OpCheck {
		o.acl = rapid.SampledFrom(lists).Draw(t, "acl")
		o.data = rapid.SampledFrom([][]byte{nil, {}, []byte("x"), bytes.Repeat([]byte("long"), 30)}).Draw(t, "data")
	}
	return o
}

func (w *world) drawPath(t *rapid.T) string {
	if rapid.Bool().Draw(t, "existing") {
		return rapid.SampledFrom(slices.Sorted(maps.Keys(w.model.nodes))).Draw(t, "path")
	}
	return rapid.SampledFrom(paths).Draw(t, "path")
}

func (w *world) session() zab.SessionID {
	if len(w.sessions) == 0 {
		return 99
	}
	live := slices.Sorted(maps.Keys(w.model.sessions))
	if len(live) > 0 && rapid.IntRange(0, 9).Draw(w.t, "live") > 0 {
		return rapid.SampledFrom(live).Draw(w.t, "session")
	}
	return rapid.SampledFrom(w.sessions).Draw(w.t, "session") // closed ones too
}

func (w *world) identities() []zab.AuthID {
	return rapid.SampledFrom([][]zab.AuthID{nil, {alice}, {alice, {Scheme: "super"}}}).Draw(w.t, "auth")
}

func (w *world) write(*rapid.T) {
	o, session, auth, id := w.drawOp(w.t), w.session(), w.identities(), w.next()
	w.model.auth = auth
	var want outcome
	if o.op == wire.OpCheck {
		want = outcome{code: wire.Unimplemented}
	} else {
		want = w.model.apply(o, session, w.zxid, w.now)
	}
	w.submit(zab.Request{ID: id, Session: session, Op: int32(o.op), Body: o.body(), Auth: auth}, want)
}

func (w *world) multi(*rapid.T) {
	ops := rapid.SliceOfN(rapid.Custom(w.drawOp), 0, 5).Draw(w.t, "ops")
	session, auth, id := w.session(), w.identities(), w.next()
	w.model.auth = auth
	before := w.model.nodes
	want := w.model.multi(ops, session, w.zxid, w.now)
	req := zab.Request{ID: id, Session: session, Op: int32(wire.OpMulti), Body: multiBody(ops), Auth: auth}
	// What is too large is known from the bytes alone; the model has none.
	large := tree.Options{ExtendedTypes: w.options.ExtendedTypes}
	if want.code == wire.OK && want.changes != nil && multiBytes(large, w, &req) > w.options.MaxTxnBytes {
		want = outcome{code: wire.SystemError}
		w.model.nodes = before
	}
	w.submit(req, want)
}

// multiBytes returns the size of the txn on a server without the bound.
func multiBytes(o tree.Options, w *world, req *zab.Request) int {
	t := tree.New(o)
	for _, txn := range w.history {
		t.Apply(txn, &w.result)
	}
	return len(tree.NewPending(t).Prepare(req, w.zxid, w.now, nil))
}

func (w *world) reap(*rapid.T) {
	o := op{op: wire.OpDeleteContainer, path: w.drawPath(w.t)}
	if rapid.Bool().Draw(w.t, "seen") {
		w.leader.EachReapable(w.now, 1, func(path []byte) bool {
			o.path = string(path)
			return rapid.Bool().Draw(w.t, "next")
		})
	}
	w.next()
	if o.path == "/a\x00" {
		return
	}
	want := w.model.apply(o, 0, w.zxid, w.now)
	w.submit(zab.Request{Op: int32(o.op), Body: o.body()}, want)
}

func (w *world) openSession(*rapid.T) {
	id := w.next()
	password := [16]byte{1, byte(w.n)}
	body := jute.AppendBuffer(jute.AppendInt(nil, 4000), password[:])
	origin := zab.SessionID(rapid.SampledFrom([]uint8{1, 2, 128, 254}).Draw(w.t, "origin")) << 56
	session := origin | zab.SessionID(w.zxid)
	w.model.sessions[session] = modelSession{timeoutMs: 4000, password: password, last: id}
	w.sessions = append(w.sessions, session)
	w.submit(zab.Request{ID: id, Session: origin, Op: int32(wire.OpCreateSession), Body: body}, outcome{})
}

func (w *world) closeSession(*rapid.T) {
	session, id := w.session(), w.next()
	want := w.model.closeSession(session, w.zxid)
	w.submit(zab.Request{ID: id, Session: session, Op: int32(wire.OpCloseSession)}, want)
}

func (w *world) apply(t *rapid.T) { w.applySome(rapid.IntRange(0, len(w.queue)).Draw(t, "txns")) }

// snapshot freezes the leader, lets it go on, writes, restores and catches up.
func (w *world) snapshot(t *rapid.T) {
	before, at := walk(w.leader), w.leader.Applied()
	view := w.leader.Freeze()
	digest := w.leader.Digest()
	w.apply(t)
	var file bytes.Buffer
	require.NoError(t, view.Write(&file))
	require.Equal(t, at, view.Zxid())
	view.Release()
	again, err := tree.Restore(w.options, &file)
	require.NoError(t, err)
	require.Equal(t, before, walk(again))
	require.Equal(t, digest, again.Digest())
	require.NoError(t, again.Verify())
	for i, txn := range w.history {
		if again.Apply(txn, &w.result); txn.Zxid > at {
			require.Equal(t, w.digests[i], again.Digest(), "after %v", txn.Zxid)
		}
	}
	require.Equal(t, walk(w.eager), walk(again))
	require.NoError(t, again.Verify())
}

func TestTreeAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		w.openSession(t)
		actions := []func(*rapid.T){
			w.write, w.write, w.write, w.write, w.write, w.write, w.write, w.multi, w.multi, w.multi,
			w.openSession, w.closeSession, w.reap, w.apply, w.snapshot,
		}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			rapid.SampledFrom(actions).Draw(t, "action")(t)
		}
		w.applySome(len(w.queue))
		require.Equal(t, w.eager.Digest(), w.leader.Digest())
		require.Equal(t, walk(w.eager), walk(w.leader))
	})
}
