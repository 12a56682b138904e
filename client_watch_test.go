package quoll_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/transport/wire"
	"quoll/zab"
)

func addWatch(path string, mode int32) func([]byte) []byte {
	r := wire.AddWatchRequest{Path: []byte(path), Mode: mode}
	return r.Append
}

func watcherType(path string, kind int32) func([]byte) []byte {
	r := wire.WatcherRequest{Path: []byte(path), Type: kind}
	return r.Append
}

func TestWatchesAreSetByWhatSucceeds(t *testing.T) {
	inEnsemble(t, 1, 0, nil, func(e *ensemble) {
		c, d := e.session(0), e.session(0)
		d.does(1, wire.OpAuth, auth("digest", "u:p"))
		d.does(2, wire.OpCreate, createACL("/shut", "", 0, []wire.ACL{{Perms: wire.PermAll, Scheme: "auth"}}))
		c.refuses(wire.NoNode, 1, wire.OpGetData, watched("/a"))
		c.refuses(wire.NoNode, 2, wire.OpGetChildren, watched("/a"))
		c.refuses(wire.NoAuth, 3, wire.OpExists, watched("/shut"))
		c.refuses(wire.NoWatcher, 4, wire.OpCheckWatches, watcherType("/a", wire.WatcherAny))
		c.refuses(wire.NoWatcher, 5, wire.OpCheckWatches, watcherType("/shut", wire.WatcherAny))
		c.refuses(wire.NoNode, 6, wire.OpExists, watched("/a"))
		c.does(7, wire.OpCheckWatches, watcherType("/a", wire.WatcherData))
		d.does(3, wire.OpCreate, create("/a", "", 0))
		c.fires(wire.EventNodeCreated, "/a")
		d.does(4, wire.OpSetData, setData("/a", "", -1))
		c.rests() // it was for once

		c.does(8, wire.OpGetData, watched("/a"))
		c.does(9, wire.OpExists, watched("/a"))
		c.does(10, wire.OpGetChildren, watched("/a"))
		d.does(5, wire.OpCreate, create("/a/b", "", 0))
		c.fires(wire.EventNodeChildrenChanged, "/a")
		c.does(11, wire.OpGetChildren2, watched("/a"))
		d.does(6, wire.OpDelete, deletion("/a/b", -1))
		c.fires(wire.EventNodeChildrenChanged, "/a")
		c.does(12, wire.OpGetChildren2, watched("/a"))
		d.does(7, wire.OpDelete, deletion("/a", -1))
		c.fires(wire.EventNodeDeleted, "/a")
		c.rests() // one event, although data and children were watched

		c.does(13, wire.OpGetChildren, watched("/"))
		c.does(14, wire.OpRemoveWatches, watcherType("/", wire.WatcherChildren))
		d.does(8, wire.OpCreate, create("/c", "", 0))
		c.rests()
	})
}

func TestPersistentWatches(t *testing.T) {
	inEnsemble(t, 3, 0, nil, func(e *ensemble) {
		c, d := e.session(e.follower()), e.session(e.leader())
		c.does(1, wire.OpAddWatch, addWatch("/p", wire.AddWatchPersistent))
		c.does(2, wire.OpAddWatch, addWatch("/r", wire.AddWatchPersistentRecursive))
		for _, p := range []string{"/p", "/r"} {
			d.does(1, wire.OpCreate, create(p, "", 0))
			d.does(2, wire.OpCreate, create(p+"/a", "", 0))
			d.does(3, wire.OpSetData, setData(p+"/a", "", -1))
			d.does(4, wire.OpSetData, setData(p, "", -1))
			d.does(5, wire.OpDelete, deletion(p+"/a", -1))
			d.does(6, wire.OpDelete, deletion(p, -1))
		}
		for range 2 { // they stay
			c.fires(wire.EventNodeCreated, "/p")
			c.fires(wire.EventNodeChildrenChanged, "/p")
			c.fires(wire.EventNodeDataChanged, "/p")
			c.fires(wire.EventNodeChildrenChanged, "/p")
			c.fires(wire.EventNodeDeleted, "/p")
			c.fires(wire.EventNodeCreated, "/r")
			c.fires(wire.EventNodeCreated, "/r/a")
			c.fires(wire.EventNodeDataChanged, "/r/a")
			c.fires(wire.EventNodeDataChanged, "/r")
			c.fires(wire.EventNodeDeleted, "/r/a")
			c.fires(wire.EventNodeDeleted, "/r")
			for _, p := range []string{"/p", "/r"} {
				d.does(1, wire.OpCreate, create(p, "", 0))
				d.does(2, wire.OpCreate, create(p+"/a", "", 0))
				d.does(3, wire.OpSetData, setData(p+"/a", "", -1))
				d.does(4, wire.OpSetData, setData(p, "", -1))
				d.does(5, wire.OpDelete, deletion(p+"/a", -1))
				d.does(6, wire.OpDelete, deletion(p, -1))
			}
		}
		e.converge()
		for range 11 {
			c.event()
		}
		c.does(3, wire.OpRemoveWatches, watcherType("/p", wire.WatcherPersistent))
		c.refuses(wire.NoWatcher, 4, wire.OpRemoveWatches, watcherType("/r", wire.WatcherPersistent))
		c.does(5, wire.OpRemoveWatches, watcherType("/r", wire.WatcherPersistentRecursive))
		d.does(7, wire.OpCreate, create("/p", "", 0))
		d.does(8, wire.OpCreate, create("/r", "", 0))
		e.converge()
		c.rests()
	})
}

// A client that comes back brings its watches along and hears at once of what it missed.
func TestWatchesMoveWithTheClient(t *testing.T) {
	inEnsemble(t, 3, 0, nil, func(e *ensemble) {
		at, there := e.follower(), e.leader()
		c, d := e.session(at), e.session(there)
		for _, p := range []string{"/data", "/gone", "/parent", "/same", "/calm"} {
			d.does(1, wire.OpCreate, create(p, "", 0))
		}
		e.converge()
		c.does(1, wire.OpExists, plain("/"))
		seen := c.call(2, wire.OpGetData, plain("/data")).Zxid
		c.nc.Close()
		d.does(2, wire.OpSetData, setData("/data", "1", -1))
		d.does(3, wire.OpDelete, deletion("/gone", -1))
		d.does(4, wire.OpCreate, create("/parent/child", "", 0))
		d.does(5, wire.OpCreate, create("/new", "", 0))
		d.does(6, wire.OpCreate, create("/calm/child", "", 0))

		watches := wire.SetWatchesRequest{
			RelativeZxid: seen, Data: []string{"/data", "/gone", "/same", "/calm"}, Exist: []string{"/new", "/never"},
			Child: []string{"/parent", "/same", "/gone"}, Persistent: []string{"/data"}, PersistentRecursive: []string{"/parent"},
		}
		c = e.resume(there, c)
		c.say(request(wire.XidSetWatches, wire.OpSetWatches2, watches.Append2))
		for _, want := range []string{
			"NodeDataChanged /data", "NodeDeleted /gone", "NodeCreated /new", "NodeChildrenChanged /parent", "NodeDeleted /gone",
		} {
			ev, zxid := c.event()
			require.Equal(t, want, ev.Type.String()+" "+string(ev.Path))
			require.EqualValues(t, -1, zxid, "nobody knows when")
		}
		require.Equal(t, wire.ReplyHeader{Xid: wire.XidSetWatches, Zxid: int64(e.status(there).Zxid)}, c.reply().ReplyHeader)

		d.say(request(7, wire.OpSetData, setData("/same", "", -1)), request(8, wire.OpCreate, create("/same/c", "", 0)),
			request(9, wire.OpCreate, create("/never", "", 0)), request(10, wire.OpSetData, setData("/data", "2", -1)),
			request(11, wire.OpCreate, create("/parent/other", "", 0)), request(12, wire.OpDelete, deletion("/parent/child", -1)))
		c.fires(wire.EventNodeDataChanged, "/same")
		c.fires(wire.EventNodeChildrenChanged, "/same")
		c.fires(wire.EventNodeCreated, "/never")
		c.fires(wire.EventNodeDataChanged, "/data")
		c.fires(wire.EventNodeCreated, "/parent/other")
		c.fires(wire.EventNodeDeleted, "/parent/child")
		c.rests()

		t.Log("who has seen nothing has missed everything, a zxid that is none included")
		for _, since := range []int64{0, -1, -1 << 63} {
			r := wire.SetWatchesRequest{RelativeZxid: since, Data: []string{"/calm"}, Exist: []string{}, Child: []string{"/calm"}}
			c.say(request(1, wire.OpSetWatches, r.Append))
			c.fires(wire.EventNodeDataChanged, "/calm")
			c.fires(wire.EventNodeChildrenChanged, "/calm")
			require.Equal(t, wire.OK, c.reply().Code)
		}
		for _, r := range []wire.SetWatchesRequest{{}, {Data: []string{"/"}, Child: []string{}}} {
			c.refuses(wire.MarshallingError, 2, wire.OpSetWatches, r.Append, "a null list")
		}
		e.converge()
	})
}

// Nobody learns of a znode that he may not read, and the watch is spent all the same (CVE-2024-23944).
func TestEventsObeyACLs(t *testing.T) {
	inEnsemble(t, 1, 0, nil, func(e *ensemble) {
		c, d := e.session(0), e.session(0)
		d.does(1, wire.OpAuth, auth("digest", "u:p"))
		shut := []wire.ACL{{Perms: wire.PermAll, Scheme: "auth"}}
		c.refuses(wire.NoNode, 1, wire.OpExists, watched("/shut"))
		c.does(2, wire.OpAddWatch, addWatch("/", wire.AddWatchPersistentRecursive))
		d.does(2, wire.OpCreate, createACL("/shut", "", 0, shut))
		d.does(3, wire.OpSetData, setData("/shut", "", -1))
		d.does(4, wire.OpCreate, create("/shut/open", "", 0))
		d.does(5, wire.OpDelete, deletion("/shut/open", -1))
		d.does(6, wire.OpDelete, deletion("/shut", -1))
		c.fires(wire.EventNodeCreated, "/shut/open")
		c.fires(wire.EventNodeDeleted, "/shut/open")
		c.rests()
		c.refuses(wire.NoWatcher, 3, wire.OpCheckWatches, watcherType("/shut", wire.WatcherData))

		d.does(7, wire.OpCreate, createACL("/shut", "", 0, shut))
		r := wire.SetWatchesRequest{Data: []string{"/shut"}, Exist: []string{"/shut"}, Child: []string{"/shut"}}
		c.does(4, wire.OpSetWatches, r.Append) // nothing in front of the reply
		c.does(5, wire.OpAuth, auth("digest", "u:p"))
		d.does(8, wire.OpSetData, setData("/shut", "", -1))
		c.fires(wire.EventNodeDataChanged, "/shut")
	})
}

// The events of a multi carry its zxid and come in the order of its ops, before its reply.
func TestEventsOfAMulti(t *testing.T) {
	inEnsemble(t, 1, 0, nil, func(e *ensemble) {
		c := e.session(0)
		c.does(1, wire.OpAddWatch, addWatch("/", wire.AddWatchPersistentRecursive))
		c.does(2, wire.OpGetChildren, watched("/"))
		op := func(op wire.Op, path string) wire.MultiOp {
			return wire.MultiOp{Op: op, Path: []byte(path), ACL: wire.OpenACL, Version: -1}
		}
		c.say(request(3, wire.OpMulti, multi(op(wire.OpCreate, "/a"), op(wire.OpSetData, "/a"), op(wire.OpCheck, "/a"),
			op(wire.OpCreate, "/a/b"), op(wire.OpDelete, "/a/b"))))
		var zxids []int64
		for _, want := range []string{
			"NodeCreated /a", "NodeChildrenChanged /", "NodeDataChanged /a", "NodeCreated /a/b", "NodeDeleted /a/b",
		} {
			ev, zxid := c.event()
			require.Equal(t, want, ev.Type.String()+" "+string(ev.Path))
			zxids = append(zxids, zxid)
		}
		a := c.reply()
		require.EqualValues(t, 3, a.Xid)
		for _, z := range zxids {
			require.Equal(t, a.Zxid, z)
		}
		require.Equal(t, zab.Epoch(1), zab.Zxid(a.Zxid).Epoch())
	})
}
