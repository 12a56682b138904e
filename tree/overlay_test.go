package tree_test

import (
	"fmt"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/transport/wire"
	"quoll/tree"
	"quoll/zab"
)

// drawRequest makes a request of which most succeed, on few znodes, so that what is outstanding
// matters to what comes next.
func drawRequest(r *rand.Rand, sessions []zab.SessionID) zab.Request {
	draw := func() op {
		path := fmt.Sprintf("/%d", r.Intn(3))
		for r.Intn(2) == 0 {
			path = fmt.Sprintf("%s/%d", path, r.Intn(2))
		}
		o := op{path: path, acl: wire.OpenACL, version: -1}
		if r.Intn(6) == 0 {
			o.acl = []wire.ACL{{Perms: wire.Perm(r.Intn(32)), Scheme: "world", ID: "anyone"}}
		}
		if r.Intn(4) == 0 {
			o.version = int32(r.Intn(3))
		}
		o.op = []wire.Op{
			wire.OpCreate, wire.OpCreate, wire.OpCreate2, wire.OpCreateTTL, wire.OpCreateContainer, wire.OpDelete, wire.OpDelete, wire.OpDelete,
			wire.OpSetData, wire.OpSetData, wire.OpCheck,
		}[r.Intn(11)]
		switch o.op {
		case wire.OpCreate, wire.OpCreate2:
			o.flags = int32(r.Intn(4))
		case wire.OpCreateTTL:
			o.flags, o.ttl = 5, int64(1+r.Intn(5))
		default: // no flags
		}
		return o
	}
	req := zab.Request{Session: sessions[r.Intn(len(sessions))]}
	o := draw()
	switch n := r.Intn(40); {
	case n == 0:
		req.Op = int32(wire.OpCloseSession)
	case n < 4:
		req.Session, req.Op, req.Body = 1<<56, int32(wire.OpCreateSession), append([]byte{0, 0, 1, 0, 0, 0, 0, 16}, make([]byte, 16)...)
	case n < 6:
		o.op = wire.OpSetACL
		req.Op, req.Body = int32(o.op), o.body()
	case n < 8:
		req.Session, req.Op = 0, int32(wire.OpDeleteContainer)
		o.op = wire.OpDeleteContainer
		req.Body = o.body()
	case n < 20:
		ops := []op{o}
		for r.Intn(2) == 0 {
			ops = append(ops, draw())
		}
		req.Op, req.Body = int32(wire.OpMulti), multiBody(ops)
	default:
		req.Op, req.Body = int32(o.op), o.body()
	}
	return req
}

// TestOutstandingIsAsIfApplied: with any number of txns outstanding a leader decides as one that
// has applied them all.
func TestOutstandingIsAsIfApplied(t *testing.T) {
	outcomes := map[wire.Code]int{}
	for seed := range int64(20) {
		r := rand.New(rand.NewSource(seed))
		options := tree.Options{ExtendedTypes: true, MaxTxnBytes: 160}
		ahead, eager := newServer(options), newServer(options)
		sessions := []zab.SessionID{ahead.session}
		var queue []zab.Txn
		for range 1500 {
			req := drawRequest(r, sessions[max(0, len(sessions)-3):])
			eager.submit(req)
			outcomes[eager.result.Code]++
			for _, o := range eager.result.Ops {
				outcomes[o.Code]++
			}
			ahead.zxid++
			txn := ahead.pending.Prepare(&req, ahead.zxid, eager.now, nil)
			require.Equal(t, eager.buf, txn, "seed %d, request %+v", seed, req)
			if queue = append(queue, zab.Txn{Zxid: ahead.zxid, Data: txn}); eager.result.Opened != 0 {
				sessions = append(sessions, eager.result.Opened)
			}
			for len(queue) > 0 && r.Intn(len(queue)+10) > 10 {
				ahead.Apply(queue[0], &ahead.result)
				ahead.pending.Committed(queue[0].Zxid)
				queue = queue[1:]
			}
		}
		for _, txn := range queue {
			ahead.Apply(txn, &ahead.result)
		}
		require.Equal(t, eager.Digest(), ahead.Digest())
		require.NoError(t, ahead.Verify())
	}
	for _, code := range []wire.Code{
		wire.OK, wire.NoNode, wire.NodeExists, wire.NotEmpty, wire.BadVersion, wire.NoAuth, wire.SystemError,
		wire.NoChildrenForEphemerals, wire.RuntimeInconsistency, wire.SessionExpired,
	} {
		require.NotZero(t, outcomes[code], "never saw %v", code)
	}
}

// What bounds a session's ephemerals counts those that are outstanding, and not those that are
// being deleted or that a failed multi took back (R30).
func TestOutstandingEphemeralBytes(t *testing.T) {
	const limit = 200
	const bound = (limit - 48) / (4 + len("/e00"))
	s := newServer(tree.Options{MaxTxnBytes: limit})
	create := func(i int) op {
		return op{op: wire.OpCreate, path: fmt.Sprintf("/e%02d", i), flags: 1, acl: wire.OpenACL}
	}
	var reqs []zab.Request
	var want []wire.Code
	add := func(code wire.Code, o op) {
		reqs = append(reqs, zab.Request{Session: s.session, Op: int32(o.op), Body: o.body()})
		want = append(want, code)
	}
	failing := func(i int) {
		body := multiBody([]op{create(i), {op: wire.OpDelete, path: "/none"}})
		reqs = append(reqs, zab.Request{Session: s.session, Op: int32(wire.OpMulti), Body: body})
		want = append(want, wire.OK)
	}
	failing(90)
	for i := range bound {
		add(wire.OK, create(i))
		failing(50 + i)
	}
	add(wire.SystemError, create(60))
	add(wire.OK, op{op: wire.OpDelete, path: "/e03", version: -1})
	add(wire.OK, create(61))
	add(wire.SystemError, create(62))
	reqs = append(reqs, zab.Request{Session: s.session, Op: int32(wire.OpCloseSession)})
	want = append(want, wire.OK)
	require.Equal(t, want, s.outstanding(reqs...))
	require.Len(t, s.result.Changes, bound)
	require.Zero(t, s.EphemeralCount())
	require.NoError(t, s.Verify())
}
