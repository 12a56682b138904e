package model_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/jepsen/history"
	"quoll/jepsen/model"
	"quoll/transport/wire"
	"quoll/zab"
)

// client writes and reads in one session of a model. Zxids are 1, 2, 3 and so on, times ten times that.
type client struct {
	*model.Tree
	t       *testing.T
	session zab.SessionID
	auth    []zab.AuthID
	changes []model.Change
}

// newClient opens session 7, at zxid 1.
func newClient(t *testing.T) *client {
	c := &client{Tree: model.New(), t: t, session: 7}
	require.Equal(t, wire.OK, c.do(history.Op{Kind: wire.OpCreateSession, TimeoutMs: 4000}).Code)
	return c
}

func (c *client) do(o history.Op) history.Result {
	z := c.Applied() + 1
	res, changes := c.Apply(&history.Commit{Zxid: z, TimeMs: int64(z) * 10, Session: c.session, Auth: c.auth, Op: o})
	c.changes = changes
	return res
}

// must does what cannot fail.
func (c *client) must(o history.Op) history.Result {
	c.t.Helper()
	res := c.do(o)
	require.Equal(c.t, wire.OK, res.Code, "%+v", o)
	return res
}

func (c *client) read(kind wire.Op, path string) history.Result {
	return c.Read(c.session, c.auth, &history.Op{Kind: kind, Path: path})
}

func (c *client) stat(path string) wire.Stat {
	c.t.Helper()
	res := c.read(wire.OpExists, path)
	require.Equal(c.t, wire.OK, res.Code, path)
	return res.Stat
}

func create(path string) history.Op {
	return history.Op{Kind: wire.OpCreate, Path: path, ACL: wire.OpenACL}
}

func createMode(path string, mode wire.CreateMode) history.Op {
	o := create(path)
	o.Mode = mode
	return o
}

func createACL(path string, acl ...wire.ACL) history.Op {
	o := create(path)
	o.ACL = acl
	return o
}

func remove(path string) history.Op {
	return history.Op{Kind: wire.OpDelete, Path: path, Version: -1}
}

func set(path, data string) history.Op {
	return history.Op{Kind: wire.OpSetData, Path: path, Data: []byte(data), Version: -1}
}

func multi(ops ...history.Op) history.Op { return history.Op{Kind: wire.OpMulti, Ops: ops} }

// Protocol 5.1.
func TestFreshTree(t *testing.T) {
	readOnly := []wire.ACL{{Perms: wire.PermRead, Scheme: "world", ID: "anyone"}}
	type shown struct {
		path string
		data []byte
		stat wire.Stat
		acl  []wire.ACL
		ttl  int64
	}
	var got []shown
	m := model.New()
	m.Each(func(path string, data []byte, stat wire.Stat, acl []wire.ACL, ttl int64) {
		got = append(got, shown{path, data, stat, acl, ttl})
	})
	require.Equal(t, []shown{
		{"/", []byte{}, wire.Stat{NumChildren: 1, Cversion: -1}, wire.OpenACL, 0},
		{"/zookeeper", []byte{}, wire.Stat{NumChildren: 2, Cversion: -2}, wire.OpenACL, 0},
		{"/zookeeper/config", []byte{}, wire.Stat{Aversion: -1}, readOnly, 0},
		{"/zookeeper/quota", []byte{}, wire.Stat{}, wire.OpenACL, 0},
	}, got)
	require.Empty(t, m.Sessions())
	require.Zero(t, m.Applied())
}

// The stat of a znode and of its parent through a life (protocol 5.1).
func TestStats(t *testing.T) {
	c := newClient(t) // zxid 1
	o := create("/a")
	o.Kind, o.Data = wire.OpCreate2, []byte("four")
	born := wire.Stat{Czxid: 2, Mzxid: 2, Pzxid: 2, Ctime: 20, Mtime: 20, DataLength: 4}
	require.Equal(t, history.Result{Path: "/a", Stat: born}, c.must(o))

	child := createMode("/a/e", wire.Ephemeral)
	child.Kind = wire.OpCreate2
	require.Equal(t, wire.Stat{Czxid: 3, Mzxid: 3, Pzxid: 3, Ctime: 30, Mtime: 30, EphemeralOwner: 7}, c.must(child).Stat)
	with := born
	with.Cversion, with.NumChildren, with.Pzxid = 1, 1, 3
	require.Equal(t, with, c.stat("/a"))

	written := with
	written.Version, written.Mzxid, written.Mtime, written.DataLength = 1, 4, 40, 1
	require.Equal(t, history.Result{Stat: written}, c.must(set("/a", "x")))

	listed := written
	listed.Aversion = 1
	res := c.must(history.Op{Kind: wire.OpSetACL, Path: "/a", ACL: wire.OpenACL}) // zxid 5
	require.Equal(t, history.Result{Stat: listed}, res)

	require.Equal(t, history.Result{}, c.must(remove("/a/e")))
	without := listed
	without.Cversion, without.NumChildren, without.Pzxid = 2, 0, 6
	require.Equal(t, without, c.stat("/a"))

	require.Equal(t, wire.NoNode, c.do(set("/b", "")).Code)
	require.Equal(t, without, c.stat("/a"), "a request that fails changes nothing")
	require.Equal(t, zab.Zxid(7), c.Applied(), "and takes its zxid")
	require.Equal(t, wire.Stat{NumChildren: 2, Cversion: 0, Pzxid: 2}, c.stat("/"))
}

// The first check that fails decides (protocol 4.2).
func TestOrderOfChecks(t *testing.T) {
	locked := entry(wire.PermRead, "digest", alice.ID)
	ttl := func(path string, mode wire.CreateMode, ms int64) history.Op {
		return history.Op{Kind: wire.OpCreateTTL, Path: path, Mode: mode, TTLMs: ms, ACL: wire.OpenACL}
	}
	acl := func(path string, version int32, acl ...wire.ACL) history.Op {
		return history.Op{Kind: wire.OpSetACL, Path: path, Version: version, ACL: acl}
	}
	version := func(o history.Op, v int32) history.Op {
		o.Version = v
		return o
	}
	for _, c := range []struct {
		op   history.Op
		dead bool // the session is
		want wire.Code
	}{
		{createMode("", 7), true, wire.BadArguments},
		{ttl("", 5, 0), true, wire.BadArguments},
		{ttl("", 5, 1<<40), true, wire.BadArguments},
		{ttl("", 0, 1), true, wire.BadArguments},
		{createMode("", 5), true, wire.BadArguments},
		{createMode("", 0), true, wire.SessionExpired},
		{ttl("", 6, 1), true, wire.SessionExpired},
		{createACL("a"), false, wire.BadArguments},
		{createACL("/x\x00"), false, wire.BadArguments},
		{createACL("/x/y"), false, wire.InvalidACL},
		{create("/x/"), false, wire.NoNode},
		{create("/x/../y"), false, wire.NoNode},
		{create("/locked/.."), false, wire.NoAuth},
		{create("/locked/e"), false, wire.NoAuth},
		{create("/a/"), false, wire.BadArguments},
		{create("/a/."), false, wire.BadArguments},
		{create("/\x01"), false, wire.BadArguments},
		{create("/"), false, wire.NodeExists},
		{create("/a/e"), false, wire.NodeExists},
		{create("/a/e/x"), false, wire.NoChildrenForEphemerals},
		{create("/..."), false, wire.OK},
		{create("/\u2028"), false, wire.OK},
		{create("/zookeeper/x"), false, wire.OK},

		{remove("/"), true, wire.SessionExpired},
		{remove("a"), false, wire.BadArguments},
		{remove("/zookeeper/config"), false, wire.BadArguments},
		{remove("/x/y"), false, wire.NoNode},
		{remove("/locked/x"), false, wire.NoAuth},
		{remove("/x"), false, wire.NoNode},
		{remove("/a/"), false, wire.NoNode},
		{version(remove("/a"), 1), false, wire.BadVersion},
		{version(remove("/a"), 0), false, wire.NotEmpty},
		{remove("/locked"), false, wire.OK},

		{set("", ""), true, wire.SessionExpired},
		{set("", ""), false, wire.BadArguments},
		{set("/a/", ""), false, wire.BadArguments},
		{set("/x", ""), false, wire.NoNode},
		{version(set("/locked", ""), 5), false, wire.NoAuth},
		{version(set("/a", ""), 5), false, wire.BadVersion},
		{set("/", ""), false, wire.OK},
		{set("/zookeeper/config", ""), false, wire.NoAuth},

		{acl("", 0), true, wire.SessionExpired},
		{acl("", 0), false, wire.BadArguments},
		{acl("/x", 0), false, wire.InvalidACL},
		{acl("/x", 0, locked), false, wire.NoNode},
		{acl("/locked", 5, locked), false, wire.NoAuth},
		{acl("/a", 5, locked), false, wire.BadVersion},
		{acl("/a", 0, locked), false, wire.OK},

		{history.Op{Kind: wire.OpCheck, Path: "/a"}, false, wire.Unimplemented},
		{history.Op{Kind: wire.OpReconfig}, false, wire.ReconfigDisabled},
		{history.Op{Kind: wire.OpDeleteContainer, Path: "/a"}, false, wire.Unimplemented},
	} {
		s := newClient(t)
		s.must(create("/a"))
		s.must(createMode("/a/e", wire.Ephemeral))
		s.must(createACL("/locked", locked))
		if c.dead {
			s.session = 8
		}
		before := s.Clone()
		require.Equal(t, c.want, s.do(c.op).Code, "%+v", c.op)
		if c.want != wire.OK {
			require.Empty(t, s.changes)
			before.Apply(&history.Commit{Zxid: s.Applied(), Op: history.Op{Kind: wire.OpReconfig}})
			require.Equal(t, before.Hash(), s.Hash(), "%+v changed something", c.op)
		}
	}
}

// Protocol 5.3.
func TestSequentialNames(t *testing.T) {
	c := newClient(t)
	next := func(path string, want string) {
		t.Helper()
		require.Equal(t, want, c.must(createMode(path, wire.PersistentSequential)).Path)
	}
	c.must(create("/a"))
	next("/a/x-", "/a/x-0000000000")
	next("/a/y-", "/a/y-0000000001")
	c.must(remove("/a/x-0000000000"))
	c.must(create("/a/plain"))
	require.Equal(t, wire.NodeExists, c.do(create("/a/plain")).Code)
	next("/a/", "/a/0000000003")
	require.Equal(t, wire.NoNode, c.do(createMode("/a//", wire.PersistentSequential)).Code)
	next("/", "/0000000001")
	for _, name := range c.read(wire.OpGetChildren, "/a").Children {
		c.must(remove("/a/" + name))
	}
	c.must(remove("/a"))
	c.must(create("/a"))
	next("/a/x-", "/a/x-0000000000")
	o := createMode("/a/t-", wire.PersistentSequentialTTL)
	o.Kind, o.TTLMs = wire.OpCreateTTL, 1
	require.Equal(t, "/a/t-0000000001", c.must(o).Path)
	failed := multi(createMode("/a/m-", wire.PersistentSequential), createMode("/a/m-", wire.EphemeralSequential), remove("/none"))
	require.Equal(t, wire.NoNode, c.must(failed).Results[2].Code)
	res := c.must(multi(failed.Ops[:2]...))
	require.Equal(t, []string{"/a/m-0000000002", "/a/m-0000000003"}, []string{res.Results[0].Path, res.Results[1].Path})
}

// Protocol 3.5.
func TestMulti(t *testing.T) {
	c := newClient(t)
	create2, container := create("/a/b"), create("/c")
	create2.Kind, container.Kind = wire.OpCreate2, wire.OpCreateContainer
	check := history.Op{Kind: wire.OpCheck, Path: "/a", Version: 1}
	stat := wire.Stat{Czxid: 2, Mzxid: 2, Pzxid: 2, Ctime: 20, Mtime: 20}
	written := stat
	written.Version, written.Cversion, written.NumChildren, written.DataLength = 1, 1, 1, 1
	require.Equal(t, history.Result{Results: []history.Result{
		{Kind: wire.OpCreate, Path: "/a"},
		{Kind: wire.OpCreate2, Path: "/a/b", Stat: stat},
		{Kind: wire.OpSetData, Stat: written},
		{Kind: wire.OpCheck},
		{Kind: wire.OpDelete},
		{Kind: wire.OpCreate2, Path: "/c", Stat: stat},
	}}, c.must(multi(create("/a"), create2, set("/a", "x"), check, remove("/a/b"), container)))
	require.Equal(t, []model.Change{
		{Type: wire.EventNodeCreated, Path: "/a", ACL: wire.OpenACL, ParentACL: wire.OpenACL},
		{Type: wire.EventNodeCreated, Path: "/a/b", ACL: wire.OpenACL, ParentACL: wire.OpenACL},
		{Type: wire.EventNodeDataChanged, Path: "/a", ACL: wire.OpenACL},
		{Type: wire.EventNodeDeleted, Path: "/a/b", ACL: wire.OpenACL, ParentACL: wire.OpenACL},
		{Type: wire.EventNodeCreated, Path: "/c", ACL: wire.OpenACL, ParentACL: wire.OpenACL},
	}, c.changes)

	require.Equal(t, history.Result{Results: []history.Result{
		{Kind: wire.OpError},
		{Kind: wire.OpError, Code: wire.BadVersion},
		{Kind: wire.OpError, Code: wire.RuntimeInconsistency},
	}}, c.must(multi(set("/a", "y"), check, create("/d"))), "version 1 was before the set")
	require.Equal(t, "x", string(c.read(wire.OpGetData, "/a").Data))
	require.Empty(t, c.changes)
	require.Equal(t, history.Result{Results: []history.Result{}}, c.must(multi()))

	list := history.Op{Kind: wire.OpSetACL, Path: "/a", ACL: wire.OpenACL, Version: -1}
	for _, illegal := range []history.Op{
		list,
		{Kind: wire.OpGetData, Path: "/a"},
		{Kind: wire.OpDeleteContainer, Path: "/c"},
		createMode("/e", 7),
		createMode("/e", wire.PersistentTTL),
	} {
		require.Equal(t, history.Result{Code: wire.MarshallingError}, c.do(multi(remove("/none"), illegal)), "%v", illegal.Kind)
	}
	c.session = 8
	require.Equal(t, wire.SessionExpired, c.must(multi(create("/e"))).Results[0].Code)
	require.Equal(t, history.Result{Code: wire.SessionMoved}, c.moved(create("/e")))
}

// moved commits what the leader refused because the session is another server's by now.
func (c *client) moved(o history.Op) history.Result {
	res, changes := c.Apply(&history.Commit{Zxid: c.Applied() + 1, Session: c.session, Op: o, Code: wire.SessionMoved})
	require.Empty(c.t, changes)
	require.Equal(c.t, wire.NoNode, c.read(wire.OpExists, o.Path).Code)
	return res
}

// Protocol 9.3: one commit, in the order of paths; closing twice does nothing.
func TestSessions(t *testing.T) {
	c := newClient(t)
	require.Equal(t, []zab.SessionID{7}, c.Sessions())
	ms, ok := c.SessionTimeoutMs(7)
	require.True(t, ok)
	require.Equal(t, int32(4000), ms)
	for _, taken := range []zab.SessionID{7, 0, -1 << 63, -1, -1 << 56} {
		c.session = taken
		require.Equal(t, wire.SystemError, c.do(history.Op{Kind: wire.OpCreateSession}).Code, "%#x", taken)
	}
	c.session = 8
	c.must(history.Op{Kind: wire.OpCreateSession})
	c.must(createMode("/other", wire.Ephemeral))
	c.session = 7
	c.must(create("/p"))
	c.must(createMode("/z", wire.Ephemeral))
	c.must(createMode("/p/e", wire.Ephemeral))
	require.Equal(t, []string{"/p/e", "/z"}, c.read(wire.OpGetEphemerals, "/").Children)
	require.Equal(t, []string{"/p/e"}, c.read(wire.OpGetEphemerals, "/p/").Children)
	require.Equal(t, []string{"/p/e"}, c.read(wire.OpGetEphemerals, "/p").Children)

	closed := c.must(history.Op{Kind: wire.OpCloseSession})
	require.Equal(t, history.Result{}, closed)
	require.Equal(t, []model.Change{
		{Type: wire.EventNodeDeleted, Path: "/p/e", ACL: wire.OpenACL, ParentACL: wire.OpenACL},
		{Type: wire.EventNodeDeleted, Path: "/z", ACL: wire.OpenACL, ParentACL: wire.OpenACL},
	}, c.changes)
	require.Equal(t, c.Applied(), c.stat("/p").Pzxid)
	require.Equal(t, []zab.SessionID{8}, c.Sessions())
	require.Equal(t, []string{"other", "p", "zookeeper"}, c.read(wire.OpGetChildren, "/").Children)
	c.must(history.Op{Kind: wire.OpCloseSession})
	require.Empty(t, c.changes)
	require.Equal(t, wire.SessionExpired, c.do(create("/late")).Code)
}

// Protocol 10: what the leader's search found is judged again when its turn comes.
func TestContainersAndTTLs(t *testing.T) {
	c := newClient(t)
	reap := func(path string, atMs int64) wire.Code {
		res, _ := c.Apply(&history.Commit{Zxid: c.Applied() + 1, TimeMs: atMs, Op: history.Op{Kind: wire.OpDeleteContainer, Path: path}})
		return res.Code
	}
	container, ttl := createMode("/c", wire.Container), createMode("/t", wire.PersistentTTL)
	container.Kind, ttl.Kind, ttl.TTLMs = wire.OpCreateContainer, wire.OpCreateTTL, 100
	require.Zero(t, c.must(container).Stat.EphemeralOwner) // at 20 ms
	require.Zero(t, c.must(ttl).Stat.EphemeralOwner)       // at 30 ms
	c.must(createMode("/plain", wire.Container))
	c.must(createMode("/e", wire.Ephemeral))

	require.Equal(t, wire.BadVersion, reap("/c", 21), "brand-new")
	require.Equal(t, wire.BadVersion, reap("/t", 130))
	require.Equal(t, wire.BadVersion, reap("/plain", 1<<40), "a create with the flags of a container makes none")
	require.Equal(t, wire.BadVersion, reap("/e", 1<<40))
	require.Equal(t, wire.NoNode, reap("/none", 1<<40))
	require.Equal(t, wire.BadArguments, reap("/zookeeper", 1<<40))
	c.must(create("/c/x"))
	c.must(create("/t/x"))
	require.Equal(t, wire.NotEmpty, reap("/c", 1<<40))
	require.Equal(t, wire.NotEmpty, reap("/t", 1<<40))
	c.must(remove("/c/x"))
	c.must(remove("/t/x"))
	written := c.must(set("/t", "")).Stat.Mtime
	require.Equal(t, wire.BadVersion, reap("/t", written+100))
	require.Equal(t, wire.OK, reap("/c", 0))
	require.Equal(t, wire.OK, reap("/t", written+101))
	require.Equal(t, []string{"e", "plain", "zookeeper"}, c.read(wire.OpGetChildren, "/").Children)
}

// Protocol 3.3, and 8.1 for who may read.
func TestReads(t *testing.T) {
	c := newClient(t)
	c.must(create("/a"))
	c.must(set("/a", "x"))
	c.must(create("/a/b"))
	c.must(create("/ab"))
	null := set("/a/b", "")
	null.Data = nil
	c.must(null)
	c.must(createACL("/secret", entry(wire.PermWrite, "world", "anyone")))

	a := c.stat("/a")
	require.Equal(t, history.Result{Data: []byte("x"), Stat: a}, c.read(wire.OpGetData, "/a"))
	require.Nil(t, c.read(wire.OpGetData, "/a/b").Data)
	require.NotNil(t, c.read(wire.OpGetData, "/zookeeper").Data)
	require.Equal(t, history.Result{Children: []string{"b"}, Stat: a}, c.read(wire.OpGetChildren2, "/a"))
	require.Equal(t, history.Result{Children: []string{}}, c.read(wire.OpGetChildren, "/ab"))
	require.Equal(t, history.Result{ACL: wire.OpenACL, Stat: a}, c.read(wire.OpGetACL, "/a"))
	require.Equal(t, history.Result{Count: 1}, c.read(wire.OpGetAllChildrenNumber, "/a"))
	require.Equal(t, history.Result{Count: 7}, c.read(wire.OpGetAllChildrenNumber, "/"))
	require.Equal(t, history.Result{Count: 7}, c.read(wire.OpGetAllChildrenNumber, ""), "another name of the root")
	require.Equal(t, history.Result{Path: "no path"}, c.read(wire.OpSync, "no path"))
	for _, kind := range []wire.Op{wire.OpExists, wire.OpGetData, wire.OpGetChildren, wire.OpGetChildren2, wire.OpGetAllChildrenNumber, wire.OpGetACL} {
		require.Equal(t, history.Result{Code: wire.NoNode}, c.read(kind, "/none"), "%v", kind)
		require.Equal(t, history.Result{Code: wire.NoAuth}, c.read(kind, "/secret"), "%v", kind)
	}
	require.Equal(t, wire.BadArguments, c.read(wire.OpExists, "/\x00").Code)
	require.Equal(t, wire.NoNode, c.read(wire.OpGetData, "/\x00").Code)

	ops := []history.Op{{Kind: wire.OpGetData, Path: "/a"}, {Kind: wire.OpGetChildren, Path: "/none"}, {Kind: wire.OpGetChildren, Path: "/a"}}
	require.Equal(t, history.Result{Results: []history.Result{
		{Kind: wire.OpGetData, Data: []byte("x"), Stat: a},
		{Kind: wire.OpError, Code: wire.NoNode},
		{Kind: wire.OpGetChildren, Children: []string{"b"}},
	}}, c.Read(7, nil, &history.Op{Kind: wire.OpMultiRead, Ops: ops}))
	ops = append(ops, history.Op{Kind: wire.OpExists, Path: "/a"})
	require.Equal(t, wire.MarshallingError, c.Read(7, nil, &history.Op{Kind: wire.OpMultiRead, Ops: ops}).Code)
	require.Panics(t, func() { c.read(wire.OpAddWatch, "/a") })
}

// Protocol 8.3: what is stored of a list, and what of that is shown to whom.
func TestLists(t *testing.T) {
	c := newClient(t)
	c.auth = both
	const all = wire.PermAll
	admin := entry(wire.PermAdmin, "world", "anyone")
	for _, l := range []struct{ given, stored []wire.ACL }{
		{nil, nil},
		{[]wire.ACL{admin, admin, entry(wire.PermRead, "world", "anyone")}, []wire.ACL{admin, entry(wire.PermRead, "world", "anyone")}},
		{[]wire.ACL{admin, entry(all, "auth", "x")}, []wire.ACL{admin, entry(all, "digest", bob.ID), entry(all, "digest", alice.ID)}},
		{[]wire.ACL{admin, entry(all, "digest", "u:")}, nil},
		{[]wire.ACL{admin, entry(255, "digest", "u:x:")}, []wire.ACL{admin, entry(255, "digest", "u:x:")}},
		{[]wire.ACL{admin, entry(all, "digest", "a:b:c")}, nil},
		{[]wire.ACL{admin, entry(all, "world", "")}, nil},
		{[]wire.ACL{admin, entry(all, "ip", "::1/128")}, []wire.ACL{admin, entry(all, "ip", "::1/128")}},
		{[]wire.ACL{admin, entry(all, "ip", "256.1.1.1")}, nil},
		{[]wire.ACL{admin, entry(all, "super", "")}, nil},
		{[]wire.ACL{admin, entry(all, "x509", "CN=a")}, nil},
	} {
		if l.stored == nil {
			require.Equal(t, wire.InvalidACL, c.do(createACL("/n", l.given...)).Code, "%v", l.given)
			continue
		}
		c.must(createACL("/n", l.given...))
		require.Equal(t, l.stored, c.read(wire.OpGetACL, "/n").ACL)
		c.must(remove("/n"))
	}

	c.must(createACL("/n", entry(wire.PermRead, "world", "anyone"), entry(all, "auth", "")))
	require.Equal(t, bob.ID, c.read(wire.OpGetACL, "/n").ACL[1].ID)
	c.auth = nobody
	require.Equal(t, []string{"anyone", "bob:x", "alice:x"}, ids(c.read(wire.OpGetACL, "/n").ACL))
	require.Equal(t, wire.InvalidACL, c.do(createACL("/m", entry(all, "auth", ""))).Code)
	require.Equal(t, wire.NoAuth, c.do(set("/n", "")).Code)
	require.Equal(t, wire.NoAuth, c.do(create("/n/x")).Code)
	c.auth = superuser
	c.must(set("/n", ""))
	require.Equal(t, alice.ID, c.read(wire.OpGetACL, "/n").ACL[2].ID)
}

func ids(acl []wire.ACL) (all []string) {
	for _, e := range acl {
		all = append(all, e.ID)
	}
	return all
}

// Protocol 8.2: who is meant by an entry.
func TestMatches(t *testing.T) {
	for _, c := range []struct {
		scheme, id string
		who        zab.AuthID
		want       bool
	}{
		{"world", "anyone", zab.AuthID{}, true},
		{"digest", alice.ID, alice, true},
		{"digest", alice.ID, bob, false},
		{"digest", alice.ID, zab.AuthID{Scheme: "ip", ID: alice.ID}, false},
		{"ip", "10.1.0.0/16", zab.AuthID{Scheme: "ip", ID: "10.1.2.3"}, true},
		{"ip", "10.1.0.0/16", zab.AuthID{Scheme: "ip", ID: "10.2.2.3"}, false},
		{"ip", "10.1.2.3", zab.AuthID{Scheme: "ip", ID: "10.1.2.4"}, false},
		{"ip", "0.0.0.0/0", zab.AuthID{Scheme: "ip", ID: "::1"}, false},
		{"host", "example.org", zab.AuthID{Scheme: "host", ID: "www.example.org"}, true},
		{"host", "example.org", zab.AuthID{Scheme: "host", ID: "example.org"}, true},
		{"host", "example.org", zab.AuthID{Scheme: "host", ID: "anexample.org"}, false},
		{"sasl", "x", zab.AuthID{Scheme: "sasl", ID: "x"}, false},
		{"sasl", "x", zab.AuthID{Scheme: "super"}, true},
	} {
		acl := []wire.ACL{entry(wire.PermRead|wire.PermWrite, c.scheme, c.id)}
		require.Equal(t, c.want, model.Allows(acl, wire.PermRead|wire.PermAdmin, []zab.AuthID{c.who}), "%+v", c)
		require.Equal(t, c.who.Scheme == "super", model.Allows(acl, wire.PermAdmin, []zab.AuthID{c.who}), "%+v", c)
	}
}

// A clone goes its own way, and only equal states have equal hashes.
func TestCloneAndHash(t *testing.T) {
	c := newClient(t)
	c.must(create("/a"))
	hash := c.Hash()
	seen := map[uint64]string{hash: "original"}
	null := set("/a", "")
	null.Data = nil
	for name, o := range map[string]history.Op{
		"create": create("/b"), "set": set("/a", ""), "null": null, "delete": remove("/a"), "close": {Kind: wire.OpCloseSession},
		"ephemeral": createMode("/b", wire.Ephemeral), "fails": remove("/none"),
		"acl": {Kind: wire.OpSetACL, Path: "/a", Version: -1, ACL: []wire.ACL{entry(wire.PermRead, "world", "anyone")}},
	} {
		d := &client{Tree: c.Clone(), t: t, session: c.session}
		require.Equal(t, hash, d.Hash())
		d.do(o)
		require.Empty(t, seen[d.Hash()], name)
		seen[d.Hash()] = name
		require.Equal(t, hash, c.Hash(), name)
	}
	require.Panics(t, func() { c.Apply(&history.Commit{Zxid: c.Applied(), Op: create("/c")}) }, "zxids must ascend")
}
