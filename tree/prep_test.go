package tree_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/tree"
	"quoll/zab"
)

func TestFreshTree(t *testing.T) {
	tr := tree.New(tree.Options{})
	require.NoError(t, tr.Verify())
	require.Equal(t, 5, tr.NodeCount(), "ZooKeeper counts the root twice")
	require.Equal(t, int64(44), tr.DataSize())
	require.Equal(t, 3, tr.Descendants([]byte("/")))
	require.Equal(t, 2, tr.Descendants([]byte("/zookeeper")))
	require.Zero(t, tr.Descendants([]byte("/nowhere")))
	for path, want := range map[string]wire.Stat{
		"/":                 {NumChildren: 1, Cversion: -1},
		"/zookeeper":        {NumChildren: 2, Cversion: -2},
		"/zookeeper/quota":  {},
		"/zookeeper/config": {Aversion: -1},
	} {
		id, ok := tr.Lookup([]byte(path))
		require.True(t, ok, path)
		require.Equal(t, want, tr.Stat(id), path)
		require.NotNil(t, tr.Data(id), path)
		require.Empty(t, tr.Data(id), path)
	}
	id, _ := tr.Lookup([]byte("/zookeeper/config"))
	require.Equal(t, []wire.ACL{{Perms: wire.PermRead, Scheme: "world", ID: "anyone"}}, tr.ACL(id))
}

// The paths and codes that protocol.md 4.2 lists as seen on a real server.
func TestCreatePaths(t *testing.T) {
	s := newServer(tree.Options{})
	for range 4 {
		require.Equal(t, wire.OK, s.create("/a", nil))
		require.Equal(t, wire.OK, s.do(op{op: wire.OpDelete, path: "/a", version: -1}))
	}
	require.Equal(t, wire.OK, s.create("/a", nil))
	for _, c := range []struct {
		path string
		code wire.Code
	}{
		{"/x/", wire.NoNode},
		{"/x/../y", wire.NoNode},
		{"/", wire.NodeExists},
		{"", wire.BadArguments},
		{"a", wire.BadArguments},
		{"/.", wire.BadArguments},
		{"/..", wire.BadArguments},
		{"/a/.", wire.BadArguments},
		{"/a/", wire.BadArguments},
		{"/\x00", wire.BadArguments},
		{"/\x01", wire.BadArguments},
		{"/...", wire.OK},
		{"/.a", wire.OK},
		{"/zookeeper/foo", wire.OK},
		{"/zookeeper/foo", wire.NodeExists},
	} {
		require.Equal(t, c.code, s.create(c.path, nil), "%q", c.path)
	}
	sequential := func(path string) string {
		require.Equal(t, wire.OK, s.do(op{op: wire.OpCreate, path: path, flags: 2}))
		return string(s.result.Path)
	}
	for range 4 {
		require.Equal(t, wire.OK, s.create("/a/x", nil))
		require.Equal(t, wire.OK, s.do(op{op: wire.OpDelete, path: "/a/x", version: -1}))
	}
	require.Equal(t, "/a/0000000004", sequential("/a/"))
	require.Equal(t, "/a/y-0000000005", sequential("/a/y-"), "the counter is the parent's")
	require.Equal(t, wire.NodeExists, s.create("/a/y-0000000005", nil))
	require.Equal(t, "/a/z-0000000006", sequential("/a/z-"), "a create that failed does not count")
	require.Equal(t, wire.OK, s.create("/b", nil))
	require.Equal(t, "/b/n0000000000", sequential("/b/n"))
	require.Equal(t, int32(1), s.stat("/b").Cversion)
	require.Equal(t, wire.OK, s.do(op{op: wire.OpDelete, path: "/b/n0000000000", version: -1}))
	require.Equal(t, int32(2), s.stat("/b").Cversion)
	require.NoError(t, s.Verify())
}

func TestCreateFlags(t *testing.T) {
	const maxTTL = 1<<40 - 1
	plain, ttl, cont := wire.OpCreate2, wire.OpCreateTTL, wire.OpCreateContainer
	for i, c := range []struct {
		op             wire.Op
		flags          int32
		ttl            int64
		extended, code wire.Code // with extended types and without
	}{
		{plain, 4, 0, wire.OK, wire.OK},
		{plain, 5, 0, wire.BadArguments, wire.Unimplemented},
		{plain, 6, 0, wire.BadArguments, wire.Unimplemented},
		{plain, 7, 0, wire.BadArguments, wire.BadArguments},
		{plain, -1, 0, wire.BadArguments, wire.BadArguments},
		{cont, 0, 0, wire.OK, wire.OK},
		{cont, 4, 0, wire.OK, wire.OK},
		{cont, 5, 0, wire.BadArguments, wire.Unimplemented},
		{ttl, 5, 1, wire.OK, wire.Unimplemented},
		{ttl, 6, maxTTL, wire.OK, wire.Unimplemented},
		{ttl, 5, 0, wire.BadArguments, wire.Unimplemented},
		{ttl, 5, -1, wire.BadArguments, wire.Unimplemented},
		{ttl, 5, maxTTL + 1, wire.BadArguments, wire.Unimplemented},
		{ttl, 0, 1000, wire.BadArguments, wire.BadArguments},
		{ttl, 4, 1000, wire.BadArguments, wire.BadArguments},
		{ttl, 1, -1, wire.BadArguments, wire.BadArguments},
		{ttl, 9, 1, wire.BadArguments, wire.BadArguments},
	} {
		for _, extended := range []bool{true, false} {
			s := newServer(tree.Options{ExtendedTypes: extended})
			want := c.code
			if extended {
				want = c.extended
			}
			got := s.do(op{op: c.op, path: "/n", flags: c.flags, ttl: c.ttl})
			require.Equal(t, want, got, "case %d, extended %v", i, extended)
			if got == wire.OK {
				require.Zero(t, s.result.Stat.EphemeralOwner, "only ephemerals show an owner")
			}
			require.NoError(t, s.Verify())
		}
	}
}

func TestNullDataIsNotEmpty(t *testing.T) {
	s := newServer(tree.Options{})
	data := func(path string) []byte {
		id, ok := s.Lookup([]byte(path))
		require.True(t, ok)
		require.Zero(t, s.Stat(id).DataLength)
		return s.Data(id)
	}
	s.create("/null", nil)
	s.create("/empty", []byte{})
	require.Nil(t, data("/null"))
	require.NotNil(t, data("/empty"))
	null := s.Digest()
	s.do(op{op: wire.OpSetData, path: "/null", data: []byte{}, version: 0})
	s.do(op{op: wire.OpSetData, path: "/empty", data: nil, version: 0})
	require.NotNil(t, data("/null"))
	require.Nil(t, data("/empty"))
	require.NotEqual(t, null, s.Digest())
	require.NoError(t, s.Verify())
}

func TestOpsThatAreNoWrites(t *testing.T) {
	s := newServer(tree.Options{})
	for op, code := range map[wire.Op]wire.Code{
		wire.OpCheck: wire.Unimplemented, wire.OpReconfig: wire.ReconfigDisabled, wire.OpGetData: wire.Unimplemented,
		wire.OpError: wire.Unimplemented, 77: wire.Unimplemented, wire.OpDeleteContainer: wire.Unimplemented,
	} {
		body := jute.AppendInt(jute.AppendString(nil, "/zookeeper/config"), -1)
		require.Equal(t, code, s.submit(zab.Request{Session: s.session, Op: int32(op), Body: body}), "op %d", op)
		require.Equal(t, op, s.result.Op)
	}
	require.Equal(t, wire.MarshallingError, s.submit(zab.Request{Session: s.session, Op: int32(wire.OpCreate), Body: []byte{0}}))
	require.Equal(t, s.zxid, s.Applied(), "a failed write takes a zxid")
}

func TestAccessControl(t *testing.T) {
	s := newServer(tree.Options{})
	owner := []wire.ACL{{Perms: wire.PermAll, Scheme: "auth"}}
	alice, bob := []zab.AuthID{{Scheme: "digest", ID: "alice:h"}}, []zab.AuthID{{Scheme: "digest", ID: "bob:h"}}
	super := []zab.AuthID{{Scheme: "super"}}
	as := func(ids []zab.AuthID, o op) wire.Code { s.auth = ids; return s.do(o) }

	require.Equal(t, wire.InvalidACL, as(nil, op{op: wire.OpCreate, path: "/p", acl: owner}), "nobody authenticated")
	require.Equal(t, wire.OK, as(alice, op{op: wire.OpCreate, path: "/p", acl: owner}))
	id, _ := s.Lookup([]byte("/p"))
	require.Equal(t, []wire.ACL{{Perms: wire.PermAll, Scheme: "digest", ID: "alice:h"}}, s.ACL(id))
	require.Equal(t, wire.NoAuth, as(bob, op{op: wire.OpCreate, path: "/p/c"}))
	require.Equal(t, wire.OK, as(alice, op{op: wire.OpCreate, path: "/p/c", acl: owner}))
	require.Equal(t, wire.NoAuth, as(bob, op{op: wire.OpSetData, path: "/p/c", version: 9}), "before the version")
	require.Equal(t, wire.NoAuth, as(bob, op{op: wire.OpSetACL, path: "/p/c", version: -1}))
	require.Equal(t, wire.NoAuth, as(bob, op{op: wire.OpDelete, path: "/p/missing"}), "before the znode")
	require.Equal(t, wire.BadVersion, as(alice, op{op: wire.OpSetACL, path: "/p/c", version: 4}))
	require.Equal(t, wire.OK, as(alice, op{op: wire.OpSetACL, path: "/p/c", version: 0, acl: wire.OpenACL}))
	require.Equal(t, int32(1), s.result.Stat.Aversion)
	require.Zero(t, s.result.Stat.Version)
	require.Empty(t, s.result.Changes, "no watch hears of a setACL")
	require.Equal(t, wire.NoAuth, as(bob, op{op: wire.OpDelete, path: "/p/c", version: -1}), "DELETE is the parent's")
	require.Equal(t, wire.OK, as(super, op{op: wire.OpDelete, path: "/p/c", version: -1}))
	require.Equal(t, []tree.Change{{
		Type: tree.Deleted, Path: []byte("/p/c"), ACL: wire.OpenACL, ParentACL: []wire.ACL{{Perms: wire.PermAll, Scheme: "digest", ID: "alice:h"}},
	}}, s.result.Changes)

	require.False(t, s.HasHostACL())
	require.Equal(t, wire.OK, s.do(op{op: wire.OpCreate, path: "/h", acl: []wire.ACL{{Perms: 1, Scheme: "host", ID: "corp.com"}}}))
	require.True(t, s.HasHostACL())
	require.Equal(t, wire.OK, s.do(op{op: wire.OpDelete, path: "/h", version: -1}))
	require.False(t, s.HasHostACL())
	require.NoError(t, s.Verify())
}

func TestMultiResults(t *testing.T) {
	s := newServer(tree.Options{ExtendedTypes: true})
	multi := func(ops ...op) wire.Code {
		for i := range ops {
			if ops[i].acl == nil {
				ops[i].acl = wire.OpenACL
			}
		}
		return s.submit(zab.Request{Session: s.session, Op: int32(wire.OpMulti), Body: multiBody(ops)})
	}
	require.Equal(t, wire.OK, multi())
	require.Empty(t, s.result.Ops)

	require.Equal(t, wire.OK, multi(
		op{op: wire.OpCreate, path: "/m"}, op{op: wire.OpCreate2, path: "/m/s", flags: 2}, op{op: wire.OpCreate2, path: "/m/s", flags: 2},
		op{op: wire.OpCreateContainer, path: "/m/c"}, op{op: wire.OpCreateTTL, path: "/m/t", flags: 5, ttl: 9},
		op{op: wire.OpSetData, path: "/m", data: []byte("x")}, op{op: wire.OpCheck, path: "/m", version: 1},
		op{op: wire.OpDelete, path: "/m/s0000000000"}, op{op: wire.OpCreate, path: "/m/s0000000000"},
	))
	var got []string
	for _, r := range s.result.Ops {
		require.Equal(t, wire.OK, r.Code)
		got = append(got, fmt.Sprint(r.Op, " ", string(r.Path)))
	}
	require.Equal(t, []string{
		"create /m", "create2 /m/s0000000000", "create2 /m/s0000000001", "create2 /m/c", "create2 /m/t",
		"setData /m", "check /m", "delete /m/s0000000000", "create /m/s0000000000",
	}, got)
	require.Equal(t, s.zxid, s.stat("/m/c").Czxid)
	require.Equal(t, s.stat("/m/c").Ctime, s.stat("/m").Mtime, "one zxid, one time")

	before := s.Digest()
	require.Equal(t, wire.OK, multi(
		op{op: wire.OpCreate, path: "/n"}, op{op: wire.OpCheck, path: "/m", version: 7}, op{op: wire.OpCreate, path: "/o"},
	), "the header's code")
	require.Equal(t, []tree.OpResult{
		{Op: wire.OpError}, {Op: wire.OpError, Code: wire.BadVersion}, {Op: wire.OpError, Code: wire.RuntimeInconsistency},
	}, s.result.Ops)
	require.Empty(t, s.result.Changes)
	require.Zero(t, s.stat("/n"))
	require.NotEqual(t, before, s.Digest(), "the zxid counts")

	for _, illegal := range [][]op{
		{{op: wire.OpCreate, path: "/n"}, {op: wire.OpSetACL, path: "/m"}},
		{{op: wire.OpCreate, path: "/n", flags: 7}},
		{{op: wire.OpCreate, path: "/n", flags: 5}},
		{{op: wire.OpMulti, path: "/n"}},
		{{op: wire.OpGetData, path: "/n"}},
	} {
		require.Equal(t, wire.MarshallingError, multi(illegal...))
		require.Empty(t, s.result.Ops)
	}
	require.Equal(t, wire.OK, multi(op{op: wire.OpCreateTTL, path: "/n", flags: 1}))
	require.Equal(t, []tree.OpResult{{Op: wire.OpError, Code: wire.BadArguments}}, s.result.Ops)
	require.NoError(t, s.Verify())
}

// R26: the close sees what is outstanding, and what comes after it fails.
func TestCloseSession(t *testing.T) {
	s := newServer(tree.Options{})
	require.Equal(t, wire.OK, s.do(op{op: wire.OpCreate, path: "/applied", flags: 1}))
	require.Equal(t, wire.OK, s.do(op{op: wire.OpCreate, path: "/dying", flags: 1}))
	var txns []zab.Txn
	prepare := func(o op, session zab.SessionID) {
		s.zxid++
		o.acl = wire.OpenACL
		req := zab.Request{Session: session, Op: int32(o.op)}
		if o.op != wire.OpCloseSession {
			req.Body = o.body()
		}
		txns = append(txns, zab.Txn{Zxid: s.zxid, Data: s.pending.Prepare(&req, s.zxid, s.now, nil)})
	}
	prepare(op{op: wire.OpDelete, path: "/dying", version: -1}, s.session)
	prepare(op{op: wire.OpCreate, path: "/outstanding", flags: 1}, s.session)
	prepare(op{op: wire.OpCloseSession}, s.session)
	prepare(op{op: wire.OpCreate, path: "/late", flags: 1}, s.session)
	prepare(op{op: wire.OpCloseSession}, s.session)
	want := []wire.Code{wire.OK, wire.OK, wire.OK, wire.SessionExpired, wire.OK}
	for i, txn := range txns {
		s.Apply(txn, &s.result)
		require.Equal(t, want[i], s.result.Code)
		if i == 2 {
			require.Equal(t, s.session, s.result.Closed)
			require.Len(t, s.result.Changes, 2)
			require.Equal(t, "/applied", string(s.result.Changes[0].Path))
			require.Equal(t, "/outstanding", string(s.result.Changes[1].Path))
			require.Equal(t, txn.Zxid, s.stat("/").Pzxid)
			_, ok := s.Session(s.session)
			require.False(t, ok)
		}
	}
	s.pending.Committed(s.zxid)
	require.Equal(t, wire.SessionExpired, s.create("/after", nil))
	require.Equal(t, wire.OK, s.submit(zab.Request{Session: s.session, Op: int32(wire.OpCloseSession)}))
	require.Zero(t, s.EphemeralCount())
	require.NoError(t, s.Verify())
}

// R30: no accepted create makes the closeSession of its session larger than a txn may be.
func TestEphemeralBytesAreBounded(t *testing.T) {
	const limit = 10_000
	s := newServer(tree.Options{MaxTxnBytes: limit})
	name := strings.Repeat("n", 90)
	created := 0
	for i := range 1000 {
		code := s.do(op{op: wire.OpCreate, path: fmt.Sprintf("/%s%03d", name, i), flags: 1})
		if code == wire.OK {
			created++
		} else {
			require.Equal(t, wire.SystemError, code)
		}
	}
	require.Equal(t, (limit-48)/98, created)
	record, _ := s.Session(s.session)
	require.Equal(t, created*98, record.EphemeralBytes)
	require.Equal(t, wire.OK, s.create("/plain", nil), "only ephemerals count")
	require.Equal(t, wire.OK, s.submit(zab.Request{Session: s.session, Op: int32(wire.OpCloseSession)}))
	require.LessOrEqual(t, len(s.buf), limit)
	require.Len(t, s.result.Changes, created)
}

func TestTooLargeTxnsAreRefused(t *testing.T) {
	s := newServer(tree.Options{MaxTxnBytes: 1000})
	require.Equal(t, wire.SystemError, s.create("/big", make([]byte, 1000)))
	ops := []op{
		{op: wire.OpCreate, path: "/a", acl: wire.OpenACL, data: make([]byte, 500)},
		{op: wire.OpCreate, path: "/b", acl: wire.OpenACL, data: make([]byte, 500)},
	}
	req := zab.Request{Session: s.session, Op: int32(wire.OpMulti), Body: multiBody(ops)}
	require.Equal(t, wire.SystemError, s.submit(req))
	require.Empty(t, s.result.Ops)
	// Nothing stays in the overlay, also while the refused one is outstanding.
	codes := s.outstanding(req, zab.Request{Session: s.session, Op: int32(wire.OpCreate), Body: op{op: wire.OpCreate, path: "/a", acl: wire.OpenACL}.body()})
	require.Equal(t, []wire.Code{wire.SystemError, wire.OK}, codes)
}

// outstanding prepares all requests before it applies the first.
func (s *server) outstanding(reqs ...zab.Request) []wire.Code {
	var txns []zab.Txn
	for i := range reqs {
		s.zxid++
		txns = append(txns, zab.Txn{Zxid: s.zxid, Data: s.pending.Prepare(&reqs[i], s.zxid, s.now, nil)})
	}
	var codes []wire.Code
	for _, txn := range txns {
		s.Apply(txn, &s.result)
		codes = append(codes, s.result.Code)
		s.pending.Committed(txn.Zxid)
	}
	return codes
}

func TestSessionRecord(t *testing.T) {
	s := newServer(tree.Options{})
	password := [16]byte{1, 2, 3}
	body := jute.AppendBuffer(jute.AppendInt(nil, 12_345), password[:])
	req := zab.Request{ID: zab.RequestID{Boot: 9, N: 1}, Session: 0x07 << 56, Op: int32(wire.OpCreateSession), Body: body}
	require.Equal(t, wire.OK, s.submit(req))
	id := zab.SessionID(0x07<<56 | uint64(s.zxid))
	want := tree.Session{ID: id, TimeoutMs: 12_345, Password: password, Last: req.ID}
	require.Equal(t, id, s.result.Opened)
	require.Equal(t, want, s.result.Session)
	got, ok := s.Session(id)
	require.True(t, ok)
	require.Equal(t, want, got)

	// Every txn of the session moves Last, failed and refused ones too.
	missing := op{op: wire.OpDelete, path: "/missing", version: -1}
	require.Equal(t, wire.NoNode, s.submit(zab.Request{ID: zab.RequestID{Boot: 9, N: 2}, Session: id, Op: int32(missing.op), Body: missing.body()}))
	got, _ = s.Session(id)
	require.Equal(t, uint64(2), got.Last.N)
	s.zxid++
	refused := zab.Request{ID: zab.RequestID{Boot: 9, N: 3}, Session: id, Xid: 5, Op: int32(missing.op), Body: missing.body()}
	s.Apply(zab.Txn{Zxid: s.zxid, Data: s.pending.Refuse(&refused, s.zxid, s.now, wire.SessionMoved, nil)}, &s.result)
	require.Equal(t, wire.SessionMoved, s.result.Code)
	require.Equal(t, tree.Header{Session: id, ID: refused.ID, Xid: 5, Op: wire.OpDelete, TimeMs: s.now}, s.result.Header)
	got, _ = s.Session(id)
	require.Equal(t, uint64(3), got.Last.N)

	require.Equal(t, wire.SystemError, s.submit(zab.Request{Session: -1 << 56, Op: int32(wire.OpCreateSession), Body: body}), "server 255")
	require.Equal(t, wire.MarshallingError, s.submit(zab.Request{Session: 1 << 56, Op: int32(wire.OpCreateSession), Body: body[:20]}))
	var ids []zab.SessionID
	s.open(200)
	s.EachSession(func(r *tree.Session) bool { ids = append(ids, r.ID); return true })
	require.Len(t, ids, s.SessionCount())
	require.IsIncreasing(t, ids)
	require.NoError(t, s.Verify())
}

func TestReaper(t *testing.T) {
	s := newServer(tree.Options{ExtendedTypes: true})
	s.do(op{op: wire.OpCreateContainer, path: "/new"})
	s.do(op{op: wire.OpCreateContainer, path: "/used"})
	s.create("/used/c", nil)
	s.do(op{op: wire.OpCreateTTL, path: "/ttl", flags: 5, ttl: 100})
	s.create("/plain", nil)
	reapable := func(neverUsedMs int64) string {
		var paths []string
		s.EachReapable(s.now, neverUsedMs, func(path []byte) bool { paths = append(paths, string(path)); return true })
		return strings.Join(paths, " ")
	}
	reap := func(path string) wire.Code {
		return s.submit(zab.Request{Op: int32(wire.OpDeleteContainer), Body: jute.AppendString(nil, path)})
	}
	require.Empty(t, reapable(1000))
	require.Equal(t, wire.NotEmpty, reap("/used"))
	require.Equal(t, wire.BadVersion, reap("/ttl"), "not yet")
	require.Equal(t, wire.BadVersion, reap("/plain"))
	require.Equal(t, wire.BadArguments, reap("/zookeeper/quota"))
	s.do(op{op: wire.OpDelete, path: "/used/c"})
	require.Equal(t, "/used", reapable(0))
	s.now += 200
	require.Equal(t, "/new /used /ttl", reapable(100))
	require.Equal(t, wire.OK, s.do(op{op: wire.OpSetData, path: "/ttl", version: -1}), "a write starts the time anew")
	require.Equal(t, wire.BadVersion, reap("/ttl"))
	require.Equal(t, wire.OK, reap("/used"))
	require.Equal(t, "/used", string(s.result.Changes[0].Path))
	require.Equal(t, wire.NoNode, reap("/used"))
	s.now += 200
	require.Equal(t, wire.OK, reap("/ttl"))
	require.Equal(t, wire.OK, reap("/new"))
	require.Empty(t, reapable(1))
	require.NoError(t, s.Verify())
}

func TestReadsOfImpossiblePaths(t *testing.T) {
	s := newServer(tree.Options{})
	s.create("/a", nil)
	s.create("/a/b", nil)
	for _, path := range []string{"a", "/a/", "//", "//a", "/a//b", "/b", "/a/b/c", "a/b", "/a/b/"} {
		_, ok := s.Lookup([]byte(path))
		require.False(t, ok, path)
	}
	for _, path := range []string{"", "/"} {
		id, ok := s.Lookup([]byte(path))
		require.True(t, ok)
		require.Equal(t, "/", string(s.AppendPath(id, nil)))
	}
	id, ok := s.Lookup([]byte("/a/b"))
	require.True(t, ok)
	require.True(t, bytes.Equal([]byte("x/a/b"), s.AppendPath(id, []byte("x"))))
	require.Equal(t, 1, s.Descendants([]byte("/a")))
	id, _ = s.Lookup([]byte("/a"))
	require.Equal(t, 1, s.NumChildren(id))
}
