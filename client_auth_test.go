package quoll_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll"
	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/tree"
	"quoll/zab"
)

func TestAuthPackets(t *testing.T) {
	inEnsemble(t, 1, 0, fromLoopback, func(e *ensemble) {
		c := e.session(0)
		for _, xid := range []zab.Xid{wire.XidAuth, 17, 0} {
			require.Equal(t, wire.ReplyHeader{Xid: xid}, c.call(xid, wire.OpAuth, auth("digest", "u:p")).ReplyHeader)
		}
		c.does(1, wire.OpAuth, auth("digest", "nobody"))
		c.does(2, wire.OpAuth, auth("ip", "whatever"))
		var who wire.WhoAmIResponse
		d := jute.NewDecoder(c.does(3, wire.OpWhoAmI, nil))
		who.Decode(&d)
		require.NoError(t, d.Err())
		require.Equal(t, []wire.ClientInfo{{Scheme: "ip", User: "127.0.0.1"}, {Scheme: "digest", User: "u"}, {Scheme: "digest", User: "nobody"}},
			who.Identities)

		for _, scheme := range []string{"world", "auth", "sasl", "x509", "super", "foo", ""} {
			bad := e.session(0)
			bad.say(request(wire.XidAuth, wire.OpAuth, auth(scheme, "u:p")), request(1, wire.OpCreate, create("/behind", "", 0)))
			require.Equal(t, wire.ReplyHeader{Xid: wire.XidAuth, Code: wire.AuthFailed}, bad.reply().ReplyHeader, scheme)
			bad.ends("scheme %q", scheme)
		}
		cut := e.session(0)
		cut.refuses(wire.AuthFailed, 5, wire.OpAuth, func(b []byte) []byte { return append(b, 0, 0, 0, 0, 0, 0, 0, 9) })
		cut.ends()
		c.refuses(wire.NoNode, 4, wire.OpGetData, plain("/behind"))
	})
}

// Identities travel with every write, so there is an end to them.
func TestIdentitiesAreBounded(t *testing.T) {
	inEnsemble(t, 1, 0, nil, func(e *ensemble) {
		c := e.session(0)
		accepted := 0
		for ; ; accepted++ {
			require.Less(t, accepted, 100)
			name := fmt.Sprintf("%03d%s", accepted, strings.Repeat("x", 1000))
			c.does(1, wire.OpAuth, auth("digest", "again:and again"))
			c.say(request(1, wire.OpAuth, auth("digest", name+":p")))
			if c.reply().Code != wire.OK {
				break
			}
		}
		require.Greater(t, accepted, 50)
		c.ends()
	})
}

// A request is judged by the identities that the connection had when it came (protocol.md 17, 65).
func TestIdentitiesHoldForLaterRequests(t *testing.T) {
	super := func(c *quoll.Config) { c.SuperDigest = tree.GenerateDigest("", "super:test") }
	inEnsemble(t, 3, 0, super, func(e *ensemble) {
		for i := range e.servers {
			p := fmt.Sprintf("/secret%d", i)
			owner, other := e.session(i), e.session(i)
			owner.does(1, wire.OpAuth, auth("digest", "u:p"))
			owner.does(2, wire.OpCreate, createACL(p, "s", 0, []wire.ACL{{Perms: wire.PermRead | wire.PermWrite, Scheme: "auth"}}))
			other.say(request(1, wire.OpSetData, setData(p, "x", -1)), request(2, wire.OpGetData, plain(p)),
				request(3, wire.OpAuth, auth("digest", "u:p")), request(4, wire.OpSetData, setData(p, "y", -1)), request(5, wire.OpGetData, plain(p)))
			codes := map[zab.Xid]wire.Code{}
			for range 5 {
				a := other.reply() // the answer to auth may overtake the others
				codes[a.Xid] = a.Code
			}
			// The first read waits behind the write in front of it, and is judged when it is answered.
			delete(codes, 2)
			require.Equal(t, map[zab.Xid]wire.Code{1: wire.NoAuth, 3: wire.OK, 4: wire.OK, 5: wire.OK}, codes)

			operator := e.session(i)
			operator.refuses(wire.NoAuth, 1, wire.OpGetData, plain(p))
			operator.refuses(wire.NoAuth, 2, wire.OpGetACL, onPath(p))
			operator.does(3, wire.OpAuth, auth("digest", "super:wrong"))
			operator.refuses(wire.NoAuth, 4, wire.OpGetData, plain(p))
			operator.does(5, wire.OpAuth, auth("digest", "super:test"))
			operator.does(6, wire.OpSetData, setData(p, "z", -1))
		}
	})
}

func TestACLs(t *testing.T) {
	inEnsemble(t, 1, 0, fromLoopback, func(e *ensemble) {
		c := e.session(0)
		bad := [][]wire.ACL{
			nil,
			{},
			{{Perms: 31, Scheme: "world", ID: "everyone"}},
			{{Perms: 31, Scheme: "auth"}}, // nobody has authenticated
			{{Perms: 31, Scheme: "foo", ID: "x"}},
			{{Perms: 31, Scheme: "super"}},
			{{Perms: 31, Scheme: "digest", ID: "no colon"}},
			{{Perms: 31, Scheme: "ip", ID: "1.2.3"}},
			{{Perms: 31, Scheme: "ip", ID: "1.2.3.4/33"}},
			{{Perms: 31, Scheme: "world", ID: "anyone"}, {Perms: 31}},
		}
		for i, acl := range bad {
			c.refuses(wire.InvalidACL, 1, wire.OpCreate, createACL("/a", "", 0, acl), "%d", i)
			r := wire.SetACLRequest{Path: []byte("/"), ACL: acl, Version: -1}
			c.refuses(wire.InvalidACL, 2, wire.OpSetACL, r.Append, "%d", i)
		}
		c.does(3, wire.OpAuth, auth("digest", "u:p"))
		c.does(3, wire.OpAuth, auth("digest", "v:q"))
		entry := wire.ACL{Perms: wire.PermRead, Scheme: "auth", ID: "ignored"}
		c.does(4, wire.OpCreate, createACL("/mine", "", 0, []wire.ACL{entry, entry, {Perms: wire.PermAdmin, Scheme: "digest", ID: tree.GenerateDigest("", "u:p")}}))
		acls := func(c *rawConn) []wire.ACL {
			var r wire.ACLResponse
			d := jute.NewDecoder(c.does(5, wire.OpGetACL, onPath("/mine")))
			r.Decode(&d)
			require.NoError(t, d.Err())
			return r.ACL
		}
		u, v := tree.GenerateDigest("", "u:p"), tree.GenerateDigest("", "v:q")
		require.Equal(t, []wire.ACL{
			{Perms: wire.PermRead, Scheme: "digest", ID: u},
			{Perms: wire.PermRead, Scheme: "digest", ID: v},
			{Perms: wire.PermAdmin, Scheme: "digest", ID: u},
		}, acls(c), "auth stands for every identity; what is there twice is there once")
		reader := e.session(0)
		reader.does(6, wire.OpAuth, auth("digest", "v:q"))
		require.Equal(t, "u:x", acls(reader)[0].ID, "without ADMIN nobody sees a hash")

		t.Log("setACL compares the aversion, touches nothing else and fires nothing")
		c.does(7, wire.OpGetData, watched("/mine"))
		before := e.status(0).Zxid
		r := wire.SetACLRequest{Path: []byte("/mine"), ACL: wire.OpenACL, Version: 1}
		c.refuses(wire.BadVersion, 8, wire.OpSetACL, r.Append)
		reader.refuses(wire.NoAuth, 8, wire.OpSetACL, r.Append)
		r.Version = 0
		d := jute.NewDecoder(c.does(9, wire.OpSetACL, r.Append))
		var stat wire.Stat
		stat.Decode(&d)
		require.NoError(t, d.Err())
		require.EqualValues(t, 1, stat.Aversion)
		require.Zero(t, stat.Version)
		require.LessOrEqual(t, uint64(stat.Mzxid), before)
		c.rests()

		t.Log("an address is an identity that nobody asked for")
		c.does(10, wire.OpCreate, createACL("/local", "", 0, []wire.ACL{{Perms: wire.PermRead, Scheme: "ip", ID: "127.0.0.0/8"}}))
		e.session(0).does(11, wire.OpGetData, plain("/local"))
		c.does(12, wire.OpCreate, createACL("/far", "", 0, []wire.ACL{{Perms: wire.PermRead, Scheme: "ip", ID: "10.0.0.0/8"}}))
		c.refuses(wire.NoAuth, 13, wire.OpGetData, plain("/far"))
		c.does(14, wire.OpDelete, deletion("/far", -1)) // its parent's list decides
	})
}
