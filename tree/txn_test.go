package tree

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/zab"
)

var changeOps = []wire.Op{
	wire.OpError, wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL,
	wire.OpDelete, wire.OpDeleteContainer, wire.OpCheck, wire.OpSetData, wire.OpSetACL,
}

func TestChangesSurviveTheCodec(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := Header{
			Session: zab.SessionID(rapid.Int64().Draw(t, "session")), Xid: zab.Xid(rapid.Int32().Draw(t, "xid")),
			ID: zab.RequestID{Boot: rapid.Uint64().Draw(t, "boot"), N: rapid.Uint64().Draw(t, "n")},
			Op: wire.Op(rapid.Int32().Draw(t, "op")), TimeMs: rapid.Int64().Draw(t, "time"),
		}
		// What a record does not hold is dropped: only the fields of the op come back.
		var got, again change
		full := change{
			op: rapid.SampledFrom(changeOps).Draw(t, "change"), path: rapid.SliceOf(rapid.Byte()).Draw(t, "path"),
			data:  rapid.SampledFrom([][]byte{nil, {}, []byte("x")}).Draw(t, "data"),
			acl:   wire.AppendACLs(nil, wire.OpenACL),
			owner: zab.SessionID(rapid.Int64().Draw(t, "owner")), count: rapid.Int32().Draw(t, "count"),
			code: wire.Code(rapid.Int32().Draw(t, "code")),
		}
		b := full.append(h.append(nil))
		gotHeader, err := DecodeHeader(b)
		require.NoError(t, err)
		require.Equal(t, h, gotHeader)
		d := jute.NewDecoder(b[headerBytes:])
		got.decode(full.op, &d)
		require.NoError(t, d.Err())
		require.Zero(t, d.Len())
		require.Equal(t, b[headerBytes:], got.append(nil))
		d = jute.NewDecoder(got.append(nil))
		again.decode(full.op, &d)
		require.Equal(t, got, again)
		if full.op == wire.OpCreate {
			full.code = 0
			require.Equal(t, full, got)
		}
	})
}

func FuzzDecodeHeader(f *testing.F) {
	h := Header{Op: wire.OpCreate}
	f.Add(h.append(nil))
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := DecodeHeader(data)
		require.Equal(t, len(data) < headerBytes, err != nil)
		if err == nil {
			require.True(t, bytes.HasPrefix(data, h.append(nil)))
		}
	})
}

// Bytes that decode are exactly those that encode.
func FuzzDecodeChange(f *testing.F) {
	for _, op := range changeOps {
		c := change{op: op, path: []byte("/a"), data: []byte("x"), acl: wire.AppendACLs(nil, wire.OpenACL)}
		f.Add(int32(op), c.append(nil))
	}
	f.Fuzz(func(t *testing.T, op int32, data []byte) {
		var c change
		d := jute.NewDecoder(data)
		if c.decode(wire.Op(op), &d); d.Err() == nil && c.path != nil {
			require.Equal(t, data[:len(data)-d.Len()], c.append(nil))
		}
	})
}

// Apply of bytes that no leader made stops with a message that names the txn; it never runs off.
func FuzzApply(f *testing.F) {
	txn := func(op wire.Op, record []byte) []byte {
		h := Header{Session: 1 << 56, Op: op}
		return append(jute.AppendInt(h.append(nil), 0), record...)
	}
	for _, op := range changeOps {
		c := change{op: op, path: []byte("/zookeeper/x"), acl: wire.AppendACLs(nil, wire.OpenACL)}
		f.Add(txn(op, c.append(nil)))
		f.Add(txn(wire.OpMulti, append(jute.AppendInt(jute.AppendInt(nil, 1), int32(op)), c.append(nil)...)))
	}
	f.Add(txn(wire.OpCreateSession, jute.AppendBuffer(jute.AppendInt(nil, 1), make([]byte, 16))))
	f.Add(txn(wire.OpCloseSession, jute.AppendString(jute.AppendInt(nil, 1), "/zookeeper/quota")))
	f.Fuzz(func(t *testing.T, data []byte) {
		tr := New(Options{})
		defer func() {
			if p := recover(); p != nil {
				text, ok := p.(string)
				require.True(t, ok && strings.HasPrefix(text, "tree: "), "%v", p)
			}
		}()
		var r Result
		tr.Apply(zab.Txn{Zxid: 1, Data: data}, &r)
		require.NoError(t, tr.Verify())
	})
}

// apply carries out one change at the next zxid.
func (t *Tree) apply(c change) *Result {
	h := Header{Op: c.op, TimeMs: 5}
	var r Result
	t.Apply(zab.Txn{Zxid: t.applied + 1, Data: c.append(jute.AppendInt(h.append(nil), 0))}, &r)
	return &r
}

func TestContradictionsStopTheServer(t *testing.T) {
	open := wire.AppendACLs(nil, wire.OpenACL)
	for _, c := range []change{
		{op: wire.OpCreate, path: []byte("/a/b"), acl: open},
		{op: wire.OpCreate, path: []byte("/zookeeper"), acl: open},
		{op: wire.OpCreate, path: []byte("/"), acl: open},
		{op: wire.OpCreate, path: []byte("/e"), acl: open, owner: 7},
		{op: wire.OpDelete, path: []byte("/a")},
		{op: wire.OpDelete, path: []byte("/zookeeper")},
		{op: wire.OpDelete, path: []byte("/")},
		{op: wire.OpSetData, path: []byte("/a")},
		{op: wire.OpSetACL, path: []byte("/a"), acl: open},
	} {
		require.PanicsWithValue(t, panicNaming(c.path), func() {
			defer func() {
				if p := recover(); p != nil {
					text, _ := p.(string)
					require.Contains(t, text, "txn 0x1 of op")
					panic(panicNaming(c.path))
				}
			}()
			New(Options{}).apply(c)
		})
	}
	require.Panics(t, func() { New(Options{}).Apply(zab.Txn{Zxid: 1, Data: []byte("short")}, &Result{}) })
}

func panicNaming(path []byte) string { return "stopped on " + string(path) }

// A txn at or before the tree's zxid changes nothing.
func TestReplayIsIdempotent(t *testing.T) {
	tr := New(Options{})
	open := wire.AppendACLs(nil, wire.OpenACL)
	r := tr.apply(change{op: wire.OpCreate, path: []byte("/a"), acl: open, count: 1})
	require.Len(t, r.Changes, 1)
	tr.apply(change{op: wire.OpSetData, path: []byte("/a"), count: 1})
	digest := tr.Digest()
	for z := zab.Zxid(1); z <= 2; z++ {
		h := Header{Op: wire.OpCreate}
		c := change{op: wire.OpCreate, path: []byte("/a"), acl: open}
		tr.Apply(zab.Txn{Zxid: z, Data: c.append(jute.AppendInt(h.append(nil), 0))}, r)
		require.Empty(t, r.Changes)
		require.Equal(t, digest, tr.Digest())
	}
	require.NoError(t, tr.Verify())
}

// At its end the counter of creates stays where it is, and the next number is taken.
func TestSequenceCounterSaturates(t *testing.T) {
	tr := New(Options{})
	open := wire.AppendACLs(nil, wire.OpenACL)
	tr.apply(change{op: wire.OpCreate, path: []byte("/a"), acl: open, count: math.MaxInt32 - 1})
	require.Equal(t, int32(2*(math.MaxInt32-1)&math.MaxUint32-1<<32)-2, tr.Stat(rootID).Cversion, "wraps as a Java int")
	p := NewPending(tr)
	tr.apply(change{op: wire.OpCreate, path: []byte("/s"), acl: open})
	p.setSession(9, pendingSession{exists: true})
	create := func(path string) (string, wire.Code) {
		b := jute.AppendBuffer(jute.AppendString(nil, path), nil)
		b = jute.AppendInt(append(b, open...), int32(wire.PersistentSequential))
		req := zab.Request{Session: 9, Op: int32(wire.OpCreate), Body: b}
		var r Result
		z := tr.applied + 1
		tr.Apply(zab.Txn{Zxid: z, Data: p.Prepare(&req, z, 1, nil)}, &r)
		return string(r.Path), r.Code
	}
	path, code := create("/n")
	require.Equal(t, "/n2147483646", path)
	require.Equal(t, wire.OK, code)
	path, _ = create("/n")
	require.Equal(t, "/n2147483647", path)
	_, code = create("/n")
	require.Equal(t, wire.NodeExists, code)
	path, code = create("/m")
	require.Equal(t, "/m2147483647", path)
	require.Equal(t, wire.OK, code)
	require.NoError(t, tr.Verify())
}
