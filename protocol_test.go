package quoll_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"quoll"
	"quoll/log/vfs"
	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/zab"
)

func TestFrameLengths(t *testing.T) {
	inEnsemble(t, 1, 0, nil, func(e *ensemble) {
		for _, length := range []int32{0, -1, -1 << 31, wire.MaxFrame + 1, 1<<31 - 1} {
			b := binary.BigEndian.AppendUint32(nil, uint32(length))
			fresh, open := e.raw(0), e.session(0)
			fresh.say(b)
			fresh.ends("length %d before the handshake", length)
			open.say(request(1, wire.OpGetData, plain("/")), b)
			require.EqualValues(t, 1, open.reply().Xid, "what came before is answered")
			open.ends("length %d in a session", length)
		}
		word := e.session(0)
		word.say([]byte("ruok"))
		word.ends("a four-letter word in a session is a length")

		t.Log("a frame that comes byte by byte is a frame")
		slow := e.session(0)
		for _, b := range request(1, wire.OpCreate, create("/slow", "x", wire.Persistent)) {
			slow.say([]byte{b})
		}
		require.Equal(t, "/slow", pathOf(t, slow.reply().body))
		headless := e.session(0)
		headless.say(frame([]byte{0, 0, 0, 1, 0, 0, 0}))
		headless.ends("a frame without a whole header")
	})
}

// allBodies has a request of each operation that has a body.
func allBodies() map[wire.Op]func([]byte) []byte {
	acl := wire.SetACLRequest{Path: []byte("/"), ACL: wire.OpenACL, Version: -1}
	watch := wire.AddWatchRequest{Path: []byte("/")}
	watcher := wire.WatcherRequest{Path: []byte("/"), Type: wire.WatcherAny}
	watches := wire.SetWatchesRequest{Data: []string{}, Exist: []string{}, Child: []string{}, Persistent: []string{}, PersistentRecursive: []string{}}
	return map[wire.Op]func([]byte) []byte{
		wire.OpCreate: create("/x", "d", 0), wire.OpCreate2: create("/x", "d", 0), wire.OpCreateContainer: create("/x", "d", 4),
		wire.OpCreateTTL: createTTL("/x", 5, 1000), wire.OpDelete: deletion("/x", 7), wire.OpSetData: setData("/x", "d", 7),
		wire.OpSetACL: acl.Append, wire.OpExists: plain("/"), wire.OpGetData: plain("/"), wire.OpGetChildren: plain("/"),
		wire.OpGetChildren2: plain("/"), wire.OpGetACL: onPath("/"), wire.OpSync: onPath("/"), wire.OpGetEphemerals: onPath("/"),
		wire.OpGetAllChildrenNumber: onPath("/"), wire.OpAddWatch: watch.Append, wire.OpCheckWatches: watcher.Append,
		wire.OpRemoveWatches: watcher.Append, wire.OpSetWatches: watches.Append, wire.OpSetWatches2: watches.Append2,
		wire.OpMulti:     multi(wire.MultiOp{Op: wire.OpCreate, Path: []byte("/x"), ACL: wire.OpenACL}, wire.MultiOp{Op: wire.OpCheck, Path: []byte("/")}),
		wire.OpMultiRead: multi(wire.MultiOp{Op: wire.OpGetData, Path: []byte("/")}),
	}
}

// Bytes that are missing are a MarshallingError, whatever is missing; bytes too many are ignored.
func TestTruncatedRecords(t *testing.T) {
	inEnsemble(t, 1, 0, nil, func(e *ensemble) {
		c := e.session(0)
		xid := zab.Xid(0)
		for op, body := range allBodies() {
			whole := body(nil)
			for n := range whole {
				xid++
				c.refuses(wire.MarshallingError, xid, op, func(b []byte) []byte { return append(b, whole[:n]...) },
					"%v cut off at byte %d of %d", op, n, len(whole))
			}
		}
		require.Equal(t, 5, e.status(0).NodeCount)
		xid++
		c.does(xid, wire.OpCreate, func(b []byte) []byte { return append(create("/more", "", 0)(b), "and more"...) })
		c.does(xid, wire.OpGetData, func(b []byte) []byte { return append(plain("/more")(b), "and more"...) })
	})
}

// Nobody may be left waiting, and no operation of the inside be had from outside.
func TestUnknownOperations(t *testing.T) {
	inEnsemble(t, 1, 0, nil, func(e *ensemble) {
		ops := []wire.Op{
			wire.OpNotification, 10, wire.OpCheck, wire.OpDeleteContainer, 23, 99, 108, 1 << 30, wire.OpError,
			wire.OpCreateSession, -12,
		}
		for _, op := range ops {
			c := e.session(0)
			c.say(request(1, wire.OpCreate, create(fmt.Sprintf("/before%d", op), "", 0)), request(7, op, onPath("/victim")))
			require.Equal(t, wire.OK, c.reply().Code)
			a := c.reply()
			require.Equal(t, wire.ReplyHeader{Xid: 7, Zxid: -1, Code: wire.Unimplemented}, a.ReplyHeader, "%v", op)
			c.ends("%v", op)
		}
		sasl := e.session(0)
		token := wire.TokenRecord{Token: []byte("n,,n=user")}
		sasl.say(request(7, wire.OpSASL, token.Append))
		require.Equal(t, wire.ReplyHeader{Xid: 7, Code: wire.AuthFailed}, sasl.reply().ReplyHeader, "there is no mechanism here")
		sasl.ends()
	})
}

func TestRefusedWrites(t *testing.T) {
	inEnsemble(t, 1, 0, nil, func(e *ensemble) {
		c := e.session(0)
		c.does(1, wire.OpCreate, create("/eph", "", wire.Ephemeral))
		c.does(2, wire.OpCreate, create("/full", "", wire.Persistent))
		c.does(3, wire.OpCreate, create("/full/child", "", wire.Persistent))
		const most = 1<<40 - 1
		refusals := []struct {
			op   wire.Op
			body func([]byte) []byte
			code wire.Code
		}{
			{wire.OpCreate, create("/a", "", 7), wire.BadArguments},
			{wire.OpCreate, create("/a", "", -1), wire.BadArguments},
			{wire.OpCreate, create("/a", "", wire.PersistentTTL), wire.BadArguments},
			{wire.OpCreate2, create("/a", "", wire.PersistentSequentialTTL), wire.BadArguments},
			{wire.OpCreateTTL, createTTL("/a", wire.Persistent, 10), wire.BadArguments},
			{wire.OpCreateTTL, createTTL("/a", wire.Container, 10), wire.BadArguments},
			{wire.OpCreateTTL, createTTL("/a", wire.PersistentTTL, 0), wire.BadArguments},
			{wire.OpCreateTTL, createTTL("/a", wire.PersistentTTL, -1), wire.BadArguments},
			{wire.OpCreateTTL, createTTL("/a", wire.PersistentTTL, most+1), wire.BadArguments},
			{wire.OpCreate, create("", "", 0), wire.BadArguments},
			{wire.OpCreate, create("a", "", 0), wire.BadArguments},
			{wire.OpCreate, create("/.", "", 0), wire.BadArguments},
			{wire.OpCreate, create("/..", "", 0), wire.BadArguments},
			{wire.OpCreate, create("/\x00", "", 0), wire.BadArguments},
			{wire.OpCreate, create("/\x01", "", 0), wire.BadArguments},
			{wire.OpCreate, create("/a\U0001F600", "", 0), wire.BadArguments},
			{wire.OpCreate, create("/full/", "", 0), wire.BadArguments},
			{wire.OpCreate, create("/x/", "", 0), wire.NoNode},
			{wire.OpCreate, create("/x/../y", "", 0), wire.NoNode},
			{wire.OpCreate, create("/", "", 0), wire.NodeExists},
			{wire.OpCreate, create("/full", "", 0), wire.NodeExists},
			{wire.OpCreate, create("/eph/x", "", 0), wire.NoChildrenForEphemerals},
			{wire.OpDelete, deletion("/", -1), wire.BadArguments},
			{wire.OpDelete, deletion("/zookeeper", -1), wire.BadArguments},
			{wire.OpDelete, deletion("/zookeeper/quota", -1), wire.BadArguments},
			{wire.OpDelete, deletion("/zookeeper/config", -1), wire.BadArguments},
			{wire.OpDelete, deletion("/nope", -1), wire.NoNode},
			{wire.OpDelete, deletion("/full", 1), wire.BadVersion},
			{wire.OpDelete, deletion("/full", -1), wire.NotEmpty},
			{wire.OpSetData, setData("nope", "", -1), wire.BadArguments},
			{wire.OpSetData, setData("/nope", "", -1), wire.NoNode},
			{wire.OpSetData, setData("/full", "", 1), wire.BadVersion},
			{wire.OpSetData, setData("/zookeeper/config", "", -1), wire.NoAuth},
			{wire.OpReconfig, (&wire.ReconfigRequest{ConfigID: -1}).Append, wire.ReconfigDisabled},
			{wire.OpExists, plain("/a\x00"), wire.BadArguments},
			{wire.OpExists, plain("not a path"), wire.NoNode},
			{wire.OpGetData, plain("none"), wire.NoNode},
			{wire.OpGetChildren, plain("/full/child/none"), wire.NoNode},
			{wire.OpGetACL, onPath("/none"), wire.NoNode},
			{wire.OpGetAllChildrenNumber, onPath("/none"), wire.NoNode},
			{wire.OpAddWatch, (&wire.AddWatchRequest{Path: []byte("/"), Mode: 2}).Append, wire.MarshallingError},
			{wire.OpCheckWatches, (&wire.WatcherRequest{Path: []byte("/"), Type: 0}).Append, wire.MarshallingError},
			{wire.OpRemoveWatches, (&wire.WatcherRequest{Path: []byte("/"), Type: 6}).Append, wire.MarshallingError},
			{wire.OpRemoveWatches, (&wire.WatcherRequest{Path: []byte("/"), Type: 3}).Append, wire.NoWatcher},
		}
		for i, r := range refusals {
			c.refuses(r.code, zab.Xid(i), r.op, r.body, "%d: %v", i, r.op)
		}
		for _, p := range []string{"/...", "/.a", "/a\u2028", "/zookeeper/foo", "/ε"} {
			require.Equal(t, p, pathOf(t, c.does(100, wire.OpCreate, create(p, "", 0))))
		}
		require.Equal(t, "/full/0000000001", pathOf(t, c.does(101, wire.OpCreate, create("/full/", "", wire.PersistentSequential))))
		c.does(102, wire.OpCreateTTL, createTTL("/ttl", wire.PersistentTTL, most))
		c.rests()
	})
}

func TestTTLDisabled(t *testing.T) {
	inEnsemble(t, 1, 0, func(c *quoll.Config) { c.ExtendedTypes = false }, func(e *ensemble) {
		c := e.session(0)
		c.refuses(wire.Unimplemented, 1, wire.OpCreateTTL, createTTL("/a", wire.PersistentTTL, 10))
		c.refuses(wire.Unimplemented, 2, wire.OpCreate, create("/a", "", wire.PersistentTTL))
		c.rests() // unlike an unknown operation this does not end the connection
	})
}

func TestMultiShapes(t *testing.T) {
	inEnsemble(t, 1, 0, nil, func(e *ensemble) {
		c := e.session(0)
		p := []byte("/m")
		end := wire.MultiEnd.Append(nil)
		require.Equal(t, end, c.does(1, wire.OpMulti, multi()), "an empty multi is legal")
		require.Equal(t, end, c.does(2, wire.OpMultiRead, multi()))

		t.Log("what may not be in a multi spoils it as a whole")
		for i, spoiled := range []wire.MultiOp{
			{Op: wire.OpGetData, Path: p},
			{Op: wire.OpGetChildren, Path: p},
			{Op: wire.OpCreate, Path: p, ACL: wire.OpenACL, Flags: 9},
		} {
			c.refuses(wire.MarshallingError, 3, wire.OpMulti, multi(wire.MultiOp{Op: wire.OpCreate, Path: p, ACL: wire.OpenACL}, spoiled), "%d", i)
		}
		c.refuses(wire.MarshallingError, 3, wire.OpMulti, func(b []byte) []byte {
			return wire.MultiEnd.Append(wire.MultiHeader{Op: wire.OpMulti, Code: -1}.Append(b))
		})
		c.refuses(wire.MarshallingError, 4, wire.OpMultiRead, multi(wire.MultiOp{Op: wire.OpDelete, Path: p}))
		c.refuses(wire.NoNode, 5, wire.OpGetData, plain("/m"))

		t.Log("flags of a TTL are a result of their own; the ops behind a failed one are not looked at")
		b := c.does(6, wire.OpMulti, multi(
			wire.MultiOp{Op: wire.OpCreate, Path: p, ACL: wire.OpenACL},
			wire.MultiOp{Op: wire.OpCreateTTL, Path: []byte("/ttl"), ACL: wire.OpenACL, Flags: wire.PersistentTTL},
			wire.MultiOp{Op: wire.OpDelete, Path: []byte("/nope"), Version: -1}))
		want := wire.AppendMultiError(nil, wire.OK)
		want = wire.AppendMultiError(want, wire.BadArguments)
		want = wire.AppendMultiError(want, wire.RuntimeInconsistency)
		require.Equal(t, append(want, end...), b)

		t.Log("each op sees what those before it did, all of it under one zxid")
		a := c.call(7, wire.OpMulti, multi(
			wire.MultiOp{Op: wire.OpCreate2, Path: p, Data: []byte("1"), ACL: wire.OpenACL},
			wire.MultiOp{Op: wire.OpSetData, Path: p, Data: []byte("2"), Version: 0},
			wire.MultiOp{Op: wire.OpCheck, Path: p, Version: 1},
			wire.MultiOp{Op: wire.OpCreate, Path: []byte("/m/s-"), ACL: wire.OpenACL, Flags: wire.PersistentSequential},
			wire.MultiOp{Op: wire.OpCreateContainer, Path: []byte("/m/c"), ACL: wire.OpenACL},
			wire.MultiOp{Op: wire.OpDelete, Path: []byte("/m/c"), Version: -1}))
		d := jute.NewDecoder(a.body)
		var results []wire.MultiResult
		for r := (wire.MultiResult{}); r.Decode(&d); {
			results = append(results, r)
		}
		require.NoError(t, d.Err())
		require.Len(t, results, 6)
		require.Equal(t, []wire.Op{15, 5, 13, 1, 15, 2}, []wire.Op{
			results[0].Op, results[1].Op, results[2].Op, results[3].Op, results[4].Op, results[5].Op,
		})
		require.Equal(t, a.Zxid, int64(results[1].Stat.Mzxid))
		require.EqualValues(t, 1, results[1].Stat.Version)
		require.Equal(t, "/m/s-0000000000", string(results[3].Path))
		data, stat := dataOf(t, c.does(8, wire.OpGetData, plain("/m")))
		require.Equal(t, "2", data)
		require.EqualValues(t, 3, stat.Cversion, "two creates and a delete")
	})
}

func TestLargestRequest(t *testing.T) {
	inEnsemble(t, 1, 0, nil, func(e *ensemble) {
		c := e.session(0)
		overhead := len(request(1, wire.OpCreate, create("/big", "", 0))) - wire.LengthSize
		big := strings.Repeat("x", wire.MaxFrame-overhead)
		for i, p := range []string{"/big", "/bag", "/bog"} {
			c.say(request(zab.Xid(i), wire.OpCreate, create(p, big, 0)))
		}
		for range 3 {
			require.Equal(t, wire.OK, c.reply().Code)
		}
		c.refuses(wire.NodeExists, 2, wire.OpCreate, create("/big", big, 0))
		data, _ := dataOf(t, c.does(3, wire.OpGetData, plain("/bog")))
		require.True(t, big == data)
		c.say(request(4, wire.OpCreate, create("/big", big+"x", 0))[:1000])
		c.ends("one byte more is refused before it is there")
	})
}

// pipelined is a conversation in one segment: replies come in the order of the requests, and each
// shows the state at its own place in that order.
func TestRepliesKeepTheOrderOfRequests(t *testing.T) {
	inEnsemble(t, 3, 0, nil, func(e *ensemble) {
		for i := range e.servers {
			c := e.session(i)
			p := fmt.Sprintf("/order%d", i)
			var segment [][]byte
			xid := zab.Xid(0)
			say := func(op wire.Op, body func([]byte) []byte) { xid++; segment = append(segment, request(xid, op, body)) }
			say(wire.OpExists, plain(p))
			say(wire.OpCreate, create(p, "0", 0))
			const rounds = 50
			for n := range rounds {
				say(wire.OpGetData, plain(p))
				say(wire.OpPing, nil)
				if n%3 == 0 {
					say(wire.OpSync, onPath("not/a path"))
				}
				say(wire.OpSetData, setData(p, fmt.Sprint(n+1), int32(n)))
			}
			say(wire.OpGetData, plain(p))
			c.say(segment...)

			var last int64
			expect := func(n zab.Xid, code wire.Code) answer {
				a := c.reply()
				require.Equal(t, n, a.Xid)
				require.Equal(t, code, a.Code)
				require.GreaterOrEqual(t, a.Zxid, last, "zxids of replies never go back")
				last = a.Zxid
				return a
			}
			expect(1, wire.NoNode)
			expect(2, wire.OK)
			n := zab.Xid(2)
			for round := range rounds {
				n++
				data, stat := dataOf(t, expect(n, wire.OK).body)
				require.Equal(t, fmt.Sprint(round), data)
				require.EqualValues(t, round, stat.Version)
				n++
				require.Empty(t, expect(wire.XidPing, wire.OK).body)
				if round%3 == 0 {
					n++
					require.Equal(t, "not/a path", pathOf(t, expect(n, wire.OK).body))
				}
				n++
				expect(n, wire.OK)
			}
			data, _ := dataOf(t, expect(n+1, wire.OK).body)
			require.Equal(t, fmt.Sprint(rounds), data)
		}
	})
}

// Many clients send everything that they have to say with the handshake (protocol.md 17, 55).
func TestEverythingInOneSegment(t *testing.T) {
	inEnsemble(t, 3, 0, fromLoopback, func(e *ensemble) {
		at := e.follower()
		c := e.session(at)
		c.does(1, wire.OpAuth, auth("digest", "u:p"))
		c.does(2, wire.OpCreate, createACL("/mine", "secret", wire.Ephemeral, []wire.ACL{{Perms: wire.PermAll, Scheme: "auth"}}))
		seen := c.call(3, wire.OpGetData, watched("/mine")).Zxid
		c.say(request(4, wire.OpSetData, setData("/mine", "changed", -1)))
		c.fires(wire.EventNodeDataChanged, "/mine")
		require.Equal(t, wire.OK, c.reply().Code)

		e.converge() // a server behind what the client has seen would send it away (R27)
		d := e.raw(e.leader())
		greeting := wire.ConnectRequest{LastZxidSeen: seen, TimeoutMs: 10_000, SessionID: c.session, Password: c.password, HasReadOnly: true}
		watches := wire.SetWatchesRequest{RelativeZxid: seen, Data: []string{"/mine"}, Exist: []string{"/later"}, Child: []string{}}
		d.say(frame(greeting.Append(nil)), request(wire.XidAuth, wire.OpAuth, auth("digest", "u:p")),
			request(wire.XidSetWatches, wire.OpSetWatches, watches.Append), request(5, wire.OpGetData, plain("/mine")),
			request(6, wire.OpCreate, create("/later", "", 0)), request(7, wire.OpExists, plain("/later")),
			request(8, wire.OpCloseSession, nil))
		require.Equal(t, c.session, d.greeted().SessionID)
		require.Equal(t, wire.ReplyHeader{Xid: wire.XidAuth}, d.reply().ReplyHeader)
		d.fires(wire.EventNodeDataChanged, "/mine")
		require.Equal(t, wire.XidSetWatches, d.reply().Xid)
		data, _ := dataOf(t, d.reply().body)
		require.Equal(t, "changed", data)
		d.fires(wire.EventNodeCreated, "/later")
		for _, xid := range []zab.Xid{6, 7, 8} {
			a := d.reply()
			require.Equal(t, xid, a.Xid)
			require.Equal(t, wire.OK, a.Code)
		}
		d.ends()
		c.ends("the session is over")
		e.converge()
		require.Zero(t, e.status(at).Ephemerals)
	})
}

// closeSession is answered behind everything before it, and nothing after it is looked at.
func TestCloseSession(t *testing.T) {
	inEnsemble(t, 1, 0, nil, func(e *ensemble) {
		watcher, c := e.session(0), e.session(0)
		c.say(request(1, wire.OpCreate, create("/e1", "", wire.Ephemeral)), request(2, wire.OpCreate, create("/e2", "", wire.Ephemeral)))
		c.reply()
		c.reply()
		watcher.does(1, wire.OpGetData, watched("/e1"))
		c.say(request(3, wire.OpCreate, create("/stays", "", 0)), request(4, wire.OpGetEphemerals, onPath("/")),
			request(5, wire.OpCloseSession, nil), request(6, wire.OpGetData, plain("/")), request(7, wire.OpCreate, create("/never", "", 0)),
			request(wire.XidPing, wire.OpPing, nil))
		require.EqualValues(t, 3, c.reply().Xid)
		require.ElementsMatch(t, []string{"/e1", "/e2"}, stringsOf(t, c.reply().body))
		closed := c.reply()
		require.Equal(t, wire.OK, closed.Code)
		require.EqualValues(t, 5, closed.Xid)
		require.Empty(t, closed.body)
		c.ends()
		ev, zxid := watcher.event()
		require.Equal(t, wire.EventNodeDeleted, ev.Type)
		require.Equal(t, closed.Zxid, zxid, "all in one txn")
		require.Equal(t, []string{"stays", "zookeeper"}, stringsOf(t, watcher.does(2, wire.OpGetChildren, plain("/"))))
		refused(e.raw(0), wire.ConnectRequest{SessionID: c.session, Password: c.password})
	})
}

func TestEphemeralsAreTheSessionsOwn(t *testing.T) {
	inEnsemble(t, 1, 0, nil, func(e *ensemble) {
		c, d := e.session(0), e.session(0)
		c.does(1, wire.OpCreate, create("/a", "", 0))
		for _, p := range []string{"/a/b", "/a/bc", "/abc"} {
			c.does(2, wire.OpCreate, create(p, "", wire.Ephemeral))
		}
		d.does(3, wire.OpCreate, create("/a/other", "", wire.Ephemeral))
		for prefix, want := range map[string][]string{
			"": {"/a/b", "/a/bc", "/abc"}, "/": {"/a/b", "/a/bc", "/abc"}, "/a/b": {"/a/b", "/a/bc"}, "/ab": {"/abc"}, "/x": {},
		} {
			require.ElementsMatch(t, want, stringsOf(t, c.does(4, wire.OpGetEphemerals, onPath(prefix))), prefix)
		}
		null := func(b []byte) []byte { return jute.AppendInt(b, -1) }
		require.Len(t, stringsOf(t, c.does(5, wire.OpGetEphemerals, null)), 3, "null is all")
		require.Equal(t, []string{"/a/other"}, stringsOf(t, d.does(6, wire.OpGetEphemerals, onPath("/"))))
		count := jute.NewDecoder(c.does(7, wire.OpGetAllChildrenNumber, onPath("/a")))
		require.EqualValues(t, 3, count.Int())
	})
}

// A session dies of silence and of nothing else: any request keeps it alive.
func TestSilentSessionExpires(t *testing.T) {
	inEnsemble(t, 3, 0, nil, func(e *ensemble) {
		quiet, busy, watcher := e.raw(e.follower()), e.raw(e.leader()), e.session(e.follower())
		for _, c := range []*rawConn{quiet, busy} {
			c.greet(wire.ConnectRequest{TimeoutMs: 2000})
			c.does(1, wire.OpCreate, create("/e-", "", wire.EphemeralSequential))
		}
		start := time.Now()
		quietly := make(chan time.Duration, 1)
		go func() {
			_, _ = quiet.nc.Read(make([]byte, 1)) // its end
			quietly <- time.Since(start)
		}()
		for time.Since(start) < 10*time.Second {
			<-time.After(1500 * time.Millisecond)
			busy.does(2, wire.OpGetEphemerals, onPath("/"))
			watcher.rests()
		}
		died := <-quietly
		require.GreaterOrEqual(t, died, 2*time.Second, "not before the timeout")
		require.LessOrEqual(t, died, 3*time.Second)
		require.Equal(t, []string{"e-0000000001", "zookeeper"}, stringsOf(t, watcher.does(3, wire.OpGetChildren, plain("/"))))
		refused(e.raw(0), wire.ConnectRequest{SessionID: quiet.session, Password: quiet.password, HasReadOnly: true})
	})
}

// What a client does not read holds the server's memory; there is an end to that.
func TestClientThatDoesNotReadIsDropped(t *testing.T) {
	inEnsemble(t, 1, 0, nil, func(e *ensemble) {
		deaf, c := e.session(0), e.session(0)
		watch := wire.AddWatchRequest{Path: []byte("/"), Mode: wire.AddWatchPersistentRecursive}
		deaf.does(1, wire.OpAddWatch, watch.Append)
		c.does(1, wire.OpCreate, create("/big", strings.Repeat("x", 1_000_000), 0))
		deaf.fires(wire.EventNodeCreated, "/big")
		ask := func() { // for 60 MB that are answered at once, behind a barrier
			segment := [][]byte{request(2, wire.OpSync, onPath("/"))}
			for range 60 {
				segment = append(segment, request(3, wire.OpGetData, plain("/big")))
			}
			deaf.say(segment...)
		}
		ask()
		_, err := deaf.nc.Read(make([]byte, 1)) // the server's writer has taken them, and is stuck with them
		require.NoError(t, err)
		ask()
		// Nothing here may need time: the bubble has none while a reader waits for such a writer.
		for range 10 {
			c.rests()
		}
		require.Equal(t, 2, e.status(0).Connections, "this much is granted")
		// If the reader of the first segment came to write its answers too, nobody has read the
		// second one. Then it takes more events, but there is an end all the same.
		long := "/" + strings.Repeat("x", 900<<10)
		for i := 0; e.status(0).Connections == 2; i++ {
			require.Less(t, i, 100, "there is no end to it")
			c.does(zab.Xid(2*i), wire.OpCreate, create(long, "", 0))
			c.does(zab.Xid(2*i+1), wire.OpDelete, deletion(long, -1))
		}
	})
}

// A small request can ask for much. What the answers may take has a limit: a multiRead is refused,
// and a client is dropped whose reads, all answered at once behind a write, come to more.
func TestAnswersAreBounded(t *testing.T) {
	var full atomic.Bool
	wrap := func(c *quoll.Config) { c.FS = vfs.NewFault(c.FS, vfs.FullWhile(full.Load)) }
	inEnsemble(t, 1, 0, wrap, func(e *ensemble) {
		c, other := e.session(0), e.session(0)
		big := strings.Repeat("x", 1_000_000)
		c.does(1, wire.OpCreate, create("/big", big, 0))
		read := wire.MultiOp{Op: wire.OpGetData, Path: []byte("/big")}
		require.Greater(t, len(c.does(2, wire.OpMultiRead, multi(slices.Repeat([]wire.MultiOp{read}, 50)...))), 50*len(big))
		c.refuses(wire.SystemError, 3, wire.OpMultiRead, multi(slices.Repeat([]wire.MultiOp{read}, 1000)...))
		full.Store(true)
		c.say(request(4, wire.OpCreate, create("/waits", "", 0)))
		for range 1000 {
			c.say(request(5, wire.OpGetData, plain("/big")))
		}
		synctest.Wait()
		full.Store(false)
		c.ends()
		other.does(1, wire.OpGetData, plain("/waits"))
	})
}

// Reads that wait behind a write of their connection are held by the server, up to a limit:
// from there on they wait in the socket.
func TestPipelineIsBounded(t *testing.T) {
	inEnsemble(t, 3, 0, nil, func(e *ensemble) {
		leader := e.leader()
		c := e.session(leader)
		for i := range e.servers {
			if i != leader {
				e.net.Partition(host(leader), host(i))
			}
		}
		c.say(request(1, wire.OpCreate, create("/waits", "", 0)))
		big := request(2, wire.OpGetData, plain("/"+strings.Repeat("x", 900<<10)))
		took := 0
		for deadline := time.Now().Add(200 * time.Millisecond); ; took++ {
			require.NoError(t, c.nc.SetWriteDeadline(deadline))
			if _, err := c.nc.Write(big); err != nil {
				break
			}
			require.Less(t, took, 20, "the server takes everything")
		}
		require.GreaterOrEqual(t, took, 4)
		for i := range e.servers {
			if i != leader {
				e.net.Heal(host(leader), host(i))
			}
		}
		require.Equal(t, "/waits", pathOf(t, c.reply().body))
		for range took {
			require.Equal(t, wire.NoNode, c.reply().Code)
		}
	})
}

func TestPacketsAreCounted(t *testing.T) {
	inEnsemble(t, 1, 0, nil, func(e *ensemble) {
		c := e.session(0)
		c.does(1, wire.OpCreate, create("/a", "", 0))
		c.does(2, wire.OpGetData, watched("/a"))
		c.does(3, wire.OpAuth, auth("digest", "u:p"))
		c.say(request(4, wire.OpSetData, setData("/a", "", -1)))
		c.fires(wire.EventNodeDataChanged, "/a")
		c.reply()
		c.rests()
		c.refuses(wire.NoNode, 5, wire.OpGetData, plain("/b"))
		st := e.status(0)
		require.EqualValues(t, 7, st.Received, "the handshake and six requests")
		require.EqualValues(t, 8, st.Sent, "a reply to each, and an event")
		bad := e.session(0)
		bad.refuses(wire.AuthFailed, 1, wire.OpAuth, auth("foo", ""))
		bad.ends()
		require.EqualValues(t, 1, e.status(0).AuthFailed)
	})
}

// Null and empty data are two things (protocol.md 5).
func TestNullData(t *testing.T) {
	inEnsemble(t, 1, 0, nil, func(e *ensemble) {
		c := e.session(0)
		null := wire.CreateRequest{Path: []byte("/null"), ACL: wire.OpenACL}
		c.does(1, wire.OpCreate, null.Append)
		require.True(t, bytes.HasPrefix(c.does(2, wire.OpGetData, plain("/null")), []byte{255, 255, 255, 255}))
		c.does(3, wire.OpSetData, setData("/null", "", -1))
		require.True(t, bytes.HasPrefix(c.does(4, wire.OpGetData, plain("/null")), []byte{0, 0, 0, 0}))
	})
}
