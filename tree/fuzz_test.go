package tree_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/tree"
	"quoll/zab"
)

// FuzzPrepare: whatever a client sends becomes a txn that every server can apply, and two servers
// that apply it are equal.
func FuzzPrepare(f *testing.F) {
	for _, o := range []op{
		{op: wire.OpCreate, path: "/a", data: []byte("x"), acl: wire.OpenACL, flags: 3},
		{op: wire.OpCreateTTL, path: "/a", acl: wire.OpenACL, flags: 6, ttl: 5},
		{op: wire.OpCreateContainer, path: "/zookeeper/quota/a", acl: []wire.ACL{{Perms: 31, Scheme: "auth"}}},
		{op: wire.OpDelete, path: "/base", version: -1},
		{op: wire.OpSetData, path: "/", version: 0},
		{op: wire.OpSetACL, path: "/base", acl: wire.OpenACL, version: -1},
		{op: wire.OpDeleteContainer, path: "/container"},
	} {
		f.Add(int32(o.op), int64(-1), o.body(), o.body())
		f.Add(int32(wire.OpMulti), int64(0), multiBody([]op{o, {op: wire.OpCheck, path: "/", version: -1}}), multiBody([]op{o, o}))
	}
	session := jute.AppendBuffer(jute.AppendInt(nil, 1), make([]byte, 16))
	f.Add(int32(wire.OpCreateSession), int64(3<<56), session, session)
	f.Add(int32(wire.OpCloseSession), int64(-1), []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, op int32, session int64, first, second []byte) {
		const limit = 2000
		s := newServer(tree.Options{ExtendedTypes: true, MaxTxnBytes: limit})
		s.auth = []zab.AuthID{{Scheme: "digest", ID: "a:b"}, {Scheme: "ip", ID: "10.0.0.1"}}
		s.create("/base", nil)
		s.do(opOf(wire.OpCreate, "/base/e", 1))
		s.do(opOf(wire.OpCreateContainer, "/container", 4))
		other := newServer(tree.Options{ExtendedTypes: true, MaxTxnBytes: limit})
		other.create("/base", nil)
		other.do(opOf(wire.OpCreate, "/base/e", 1))
		other.do(opOf(wire.OpCreateContainer, "/container", 4))
		require.Equal(t, s.Digest(), other.Digest())
		id := zab.SessionID(session)
		if session == -1 {
			id = s.session
		}
		// Two bodies outstanding at once, then the close of the session.
		var txns []zab.Txn
		for _, req := range []zab.Request{
			{Session: id, Op: op, Body: first, Auth: s.auth},
			{Session: id, Op: op, Body: second, Auth: s.auth},
			{Session: s.session, Op: int32(wire.OpCloseSession)},
		} {
			s.zxid++
			data := s.pending.Prepare(&req, s.zxid, s.now+1_000_000, nil)
			require.LessOrEqual(t, len(data), limit)
			txns = append(txns, zab.Txn{Zxid: s.zxid, Data: data})
		}
		for _, txn := range txns {
			s.Apply(txn, &s.result)
			other.Apply(txn, &other.result)
			require.Equal(t, s.result, other.result)
			require.Equal(t, s.Digest(), other.Digest())
		}
		s.pending.Committed(s.zxid)
		require.NoError(t, s.Verify())
		require.Zero(t, s.EphemeralCount())
	})
}

func opOf(o wire.Op, path string, flags int32) op {
	return op{op: o, path: path, flags: flags}
}
