package check_test

import (
	"quoll/jepsen/history"
	"quoll/jepsen/model"
	"quoll/transport/wire"
	"quoll/zab"
)

// build writes histories by hand: it answers as a faultless server would that stands at whatever
// point of the committed sequence the story wants. Bad histories are made by changing good ones.
type build struct {
	history.Recorder
	now   int64
	trees []*model.Tree // after each commit; the first is empty
	xid   zab.Xid
	auth  []zab.AuthID
}

func newBuild() *build {
	b := &build{trees: []*model.Tree{model.New()}}
	b.Now = func() int64 { b.now += 1000; return b.now }
	b.Commits = []history.Commit{}
	return b
}

func (b *build) latest() *model.Tree { return b.trees[len(b.trees)-1] }

// zxid returns that of the n-th commit from 1; 0 is before the first.
func zxid(n int) zab.Zxid {
	if n == 0 {
		return 0
	}
	return zab.MakeZxid(1, uint64(n))
}

const timeoutMs = 4000

// open dials a connection for a new session and returns its index.
func (b *build) open(client int) int {
	id := zab.SessionID(0x100 + len(b.Conns))
	conn := b.Dial(history.Conn{Client: client, Server: 1})
	b.commit(id, 0, history.Op{Kind: wire.OpCreateSession, TimeoutMs: timeoutMs})
	b.Join(conn, id, timeoutMs)
	return conn
}

// reopen goes on with the session of a connection over another one.
func (b *build) reopen(old int) int {
	c := &b.Conns[old]
	b.Close(old)
	conn := b.Dial(history.Conn{Client: c.Client, Server: 2, Asked: c.Session})
	b.Join(conn, b.Conns[old].Session, timeoutMs)
	return conn
}

// commit puts an entry into the committed sequence and returns its number, from 1.
func (b *build) commit(id zab.SessionID, xid zab.Xid, op history.Op) int {
	c := history.Commit{Zxid: zxid(len(b.trees)), Session: id, Xid: xid, TimeMs: 1000 + int64(len(b.trees)), Op: op, Auth: b.auth}
	t := b.latest().Clone()
	res, _ := t.Apply(&c)
	c.Code = res.Code
	b.trees, b.Commits = append(b.trees, t), append(b.Commits, c)
	return len(b.trees) - 1
}

// call sends a request.
func (b *build) call(conn int, op history.Op) int {
	b.xid++
	c := &b.Conns[conn]
	return b.Call(history.Operation{
		Client: c.Client, Conn: conn, Session: c.Session, Server: c.Server, Xid: b.xid, Auth: b.auth, Op: op,
	})
}

// take commits a request that was sent.
func (b *build) take(op int) int {
	o := &b.Ops[op]
	return b.commit(o.Session, o.Xid, o.Op)
}

// answer returns the outcome of a request at the n-th commit: of a write its own.
func (b *build) answer(op, n int) {
	o := &b.Ops[op]
	switch {
	case o.Op.IsWrite():
		c := b.Commits[n-1]
		res, _ := b.trees[n-1].Clone().Apply(&c)
		b.Return(op, int64(zxid(n)), res)
	case o.Op.Kind == wire.OpAddWatch || o.Op.Rewatch != nil:
		b.Return(op, int64(zxid(n)), history.Result{})
	default:
		b.Return(op, int64(zxid(n)), b.trees[n].Read(o.Session, o.Auth, &o.Op))
	}
}

// do sends a request and answers it from the latest state.
func (b *build) do(conn int, op history.Op) int {
	i := b.call(conn, op)
	if op.IsWrite() {
		b.answer(i, b.take(i))
	} else {
		b.answer(i, b.at())
	}
	return i
}

// ping has a ping answered at the n-th commit.
func (b *build) ping(conn, n int) { b.Heard(conn, int64(zxid(n))) }

// at returns the number of the last commit.
func (b *build) at() int { return len(b.Commits) }

// tell delivers an event of the n-th commit.
func (b *build) tell(conn, n int, kind wire.EventType, path string) {
	c := &b.Conns[conn]
	z := int64(-1)
	if n > 0 {
		z = int64(zxid(n))
	}
	b.Event(history.Event{Client: c.Client, Conn: conn, Session: c.Session, Type: kind, Path: path, Zxid: z})
}

func (b *build) done() *history.History {
	b.End = b.Moment()
	return &b.History
}

// alone forgets the committed sequence, as if real processes had been watched.
func (b *build) alone() { b.Commits = nil }

const anyVersion = wire.AnyVersion

func create(path, data string) history.Op { return createAs(path, data, wire.Persistent) }

func createAs(path, data string, mode wire.CreateMode) history.Op {
	return history.Op{Kind: wire.OpCreate, Path: path, Data: []byte(data), Mode: mode, ACL: wire.OpenACL}
}

func set(path, data string, version int32) history.Op {
	return history.Op{Kind: wire.OpSetData, Path: path, Data: []byte(data), Version: version}
}

func remove(path string) history.Op {
	return history.Op{Kind: wire.OpDelete, Path: path, Version: anyVersion}
}

func get(path string) history.Op { return history.Op{Kind: wire.OpGetData, Path: path} }

func exists(path string) history.Op { return history.Op{Kind: wire.OpExists, Path: path} }

func watch(kind wire.Op, path string) history.Op {
	return history.Op{Kind: kind, Path: path, Watch: true}
}

func children(path string) history.Op { return history.Op{Kind: wire.OpGetChildren2, Path: path} }

func sync(path string) history.Op { return history.Op{Kind: wire.OpSync, Path: path} }

func multi(ops ...history.Op) history.Op { return history.Op{Kind: wire.OpMulti, Ops: ops} }

func checks(path string, version int32) history.Op {
	return history.Op{Kind: wire.OpCheck, Path: path, Version: version}
}

func addWatch(path string, mode int32) history.Op {
	return history.Op{Kind: wire.OpAddWatch, Path: path, WatchMode: mode}
}

func rewatch(since int, r history.Rewatch) history.Op {
	r.SinceZxid = int64(zxid(since))
	return history.Op{Kind: wire.OpSetWatches2, Rewatch: &r}
}

var closeSession = history.Op{Kind: wire.OpCloseSession}
