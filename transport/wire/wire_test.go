package wire_test

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/zab"
)

// A client of before ZooKeeper 3.4 ends the handshake without the readOnly byte, and must get an
// answer without it.
func TestConnectWithoutReadOnly(t *testing.T) {
	request := wire.ConnectRequest{TimeoutMs: 4000, Password: make([]byte, 16)}
	require.Len(t, request.Append(nil), 44)
	request.HasReadOnly = true
	require.Len(t, request.Append(nil), 45)

	response := wire.ConnectResponse{Password: make([]byte, 16)}
	require.Len(t, response.Append(nil), 36)
	response.HasReadOnly = true
	b := response.Append(nil)
	require.Len(t, b, 37)

	d := jute.NewDecoder(b[:36])
	response.Decode(&d)
	require.NoError(t, d.Err())
	require.False(t, response.HasReadOnly)
}

func TestNullIsNotEmpty(t *testing.T) {
	for _, data := range [][]byte{nil, {}, {7}} {
		r := wire.SetDataRequest{Path: []byte("/a"), Data: data, Version: 3}
		d := jute.NewDecoder(r.Append(nil))
		var got wire.SetDataRequest
		got.Decode(&d)
		require.NoError(t, d.Err())
		require.Equal(t, r, got)
	}
	d := jute.NewDecoder([]byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0})
	require.Nil(t, wire.DecodeACLs(&d))
	require.Equal(t, []wire.ACL{}, wire.DecodeACLs(&d))
}

// ZooKeeper answers a null list of paths with MarshallingError.
func TestSetWatchesRefusesNullLists(t *testing.T) {
	r := wire.SetWatchesRequest{Data: []string{"/a"}, Exist: []string{}, Child: []string{}}
	d := jute.NewDecoder(r.Append2(nil))
	var got wire.SetWatchesRequest
	got.Decode2(&d)
	require.ErrorIs(t, d.Err(), wire.ErrMalformed)

	r.Persistent, r.PersistentRecursive = []string{"/p"}, []string{}
	d = jute.NewDecoder(r.Append2(nil))
	got = wire.SetWatchesRequest{}
	got.Decode2(&d)
	require.NoError(t, d.Err())
	require.Equal(t, r, got)
}

func TestMultiRefusesWhatMayNotBeThere(t *testing.T) {
	write := wire.MultiOp{Op: wire.OpSetData, Path: []byte("/a")}
	read := wire.MultiOp{Op: wire.OpGetData, Path: []byte("/a")}
	for _, c := range []struct {
		kind wire.Op
		op   wire.MultiOp
		ok   bool
	}{
		{wire.OpMulti, write, true},
		{wire.OpMulti, read, false},
		{wire.OpMultiRead, read, true},
		{wire.OpMultiRead, write, false},
		{wire.OpMulti, wire.MultiOp{Op: wire.OpMulti}, false},
		{wire.OpMulti, wire.MultiOp{Op: wire.OpDeleteContainer, Path: []byte("/a")}, false},
	} {
		m := multiRequest{kind: c.kind, ops: []wire.MultiOp{c.op}}
		d := jute.NewDecoder(m.Append(nil))
		m.Decode(&d)
		if c.ok {
			require.NoError(t, d.Err(), c.op.Op)
			require.Equal(t, []wire.MultiOp{c.op}, m.ops)
		} else {
			require.ErrorIs(t, d.Err(), wire.ErrMalformed, c.op.Op)
		}
	}
	empty := multiRequest{kind: wire.OpMulti}
	d := jute.NewDecoder(empty.Append(nil))
	empty.Decode(&d)
	require.NoError(t, d.Err())
	require.Empty(t, empty.ops)
}

func TestFrames(t *testing.T) {
	before := []byte("what is already there")
	h := wire.ReplyHeader{Xid: 7, Zxid: 9, Code: wire.NoNode}
	reply := wire.AppendReply(before, h)[len(before):]
	require.Len(t, reply, 20)

	// A reply that fails half way is the same frame as one that failed at once.
	b := append([]byte(nil), before...)
	b = wire.BeginFrame(b)
	b = wire.ReplyHeader{Xid: 7, Zxid: 9}.Append(b)
	b = append(b, "half a body"...)
	b = wire.FailReply(b, len(before), wire.NoNode)
	require.Equal(t, reply, b[len(before):])

	e := wire.WatcherEvent{Type: wire.EventNodeDeleted, State: wire.StateSyncConnected, Path: []byte("/x")}
	event := wire.AppendEvent(nil, -1, &e)
	d := jute.NewDecoder(event[wire.LengthSize:])
	h.Decode(&d)
	require.Equal(t, wire.ReplyHeader{Xid: wire.XidNotification, Zxid: -1}, h)
	var got wire.WatcherEvent
	got.Decode(&d)
	require.Equal(t, e, got)
	require.Zero(t, d.Len())
}

func TestFrameLength(t *testing.T) {
	for _, c := range []struct {
		length int32
		ok     bool
	}{{0, false}, {-1, false}, {math.MinInt32, false}, {1, true}, {100, true}, {101, false}, {math.MaxInt32, false}} {
		n, ok := wire.FrameLength([4]byte(jute.AppendInt(nil, c.length)), 100)
		require.Equal(t, c.ok, ok, c.length)
		require.Equal(t, int(c.length), n)
	}
}

func TestOps(t *testing.T) {
	names := map[string]wire.Op{}
	for op := wire.Op(-20); op <= 120; op++ {
		require.False(t, op.IsRead() && op.IsWrite(), op)
		if !op.Known() {
			continue
		}
		require.NotContains(t, op.String(), " ", "op %d has no name", int(op))
		require.NotContains(t, names, op.String())
		names[op.String()] = op
	}
	require.Len(t, names, 28)
	for _, op := range []wire.Op{0, 10, 23, 99, 108, wire.OpCheck, wire.OpDeleteContainer, wire.OpCreateSession, wire.OpError} {
		require.False(t, op.Known(), op)
	}
	require.Equal(t, "op 23", wire.Op(23).String())
}

func TestCodes(t *testing.T) {
	require.Equal(t, "NoNode", wire.NoNode.Name())
	require.Equal(t, "Code-99", wire.Code(-99).Name())
	require.EqualError(t, wire.NoNode, "no node")
	require.EqualError(t, wire.Code(-99), "zookeeper error -99")
	for c := wire.Code(-130); c <= 0; c++ {
		named := !strings.HasPrefix(c.Name(), "Code")
		told := !strings.HasPrefix(c.Error(), "zookeeper error")
		require.Equal(t, named, told, "code %d", int32(c))
	}
}

func TestPerms(t *testing.T) {
	require.Equal(t, "cdrwa", wire.PermAll.String())
	for p := range wire.PermAll + 1 {
		got, ok := wire.ParsePerm(p.String())
		require.True(t, ok)
		require.Equal(t, p, got)
	}
	_, ok := wire.ParsePerm("rx")
	require.False(t, ok)
}

func TestCreateModes(t *testing.T) {
	for m, want := range map[wire.CreateMode][3]bool{ // ephemeral, sequential, TTL
		wire.Persistent: {}, wire.Ephemeral: {true}, wire.PersistentSequential: {false, true},
		wire.EphemeralSequential: {true, true}, wire.Container: {}, wire.PersistentTTL: {false, false, true},
		wire.PersistentSequentialTTL: {false, true, true},
	} {
		require.True(t, m.Valid())
		require.Equal(t, want, [3]bool{m.Ephemeral(), m.Sequential(), m.TTL()}, m)
	}
	require.False(t, wire.CreateMode(7).Valid())
	require.False(t, wire.CreateMode(-1).Valid())
}

// What a server does for every request allocates nothing.
func TestAllocations(t *testing.T) {
	create := wire.CreateRequest{Path: []byte("/a"), Data: []byte("x"), ACL: wire.OpenACL}
	set := wire.SetDataRequest{Path: []byte("/a"), Data: []byte("x")}
	get := wire.PathWatchRequest{Path: []byte("/a"), Watch: true}
	multi := multiRequest{ops: []wire.MultiOp{
		{Op: wire.OpCreate, Path: []byte("/a"), ACL: wire.OpenACL},
		{Op: wire.OpSetData, Path: []byte("/a"), Data: []byte("x")},
		{Op: wire.OpCheck, Path: []byte("/a")},
		{Op: wire.OpDelete, Path: []byte("/a")},
	}}
	createFrame, setFrame, getFrame := create.Append(nil), set.Append(nil), get.Append(nil)
	multiFrame := multi.Append(nil)
	data := wire.DataResponse{Data: []byte("x")}
	event := wire.WatcherEvent{Type: wire.EventNodeCreated, Path: []byte("/a")}
	out := make([]byte, 0, 4096)
	for name, f := range map[string]func(){
		"decode create": func() { d := jute.NewDecoder(createFrame); create.Decode(&d); check(d.Err()) },
		"decode set":    func() { d := jute.NewDecoder(setFrame); set.Decode(&d); check(d.Err()) },
		"decode get":    func() { d := jute.NewDecoder(getFrame); get.Decode(&d); check(d.Err()) },
		"decode multi": func() {
			d := jute.NewDecoder(multiFrame)
			r := wire.NewMultiReader(&d, wire.OpMulti)
			var o wire.MultiOp
			for r.Next(&o) {
				out = o.Append(out[:0])
			}
			check(d.Err())
		},
		"reply": func() {
			out = wire.ReplyHeader{Xid: 1, Zxid: 2}.Append(wire.BeginFrame(out[:0]))
			out = wire.EndFrame(data.Append(out), 0)
			out = wire.AppendEvent(out, int64(zab.Zxid(1)), &event)
			out = wire.AppendReply(out, wire.ReplyHeader{Code: wire.NoNode})
		},
	} {
		require.Zero(t, testing.AllocsPerRun(100, f), name)
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
