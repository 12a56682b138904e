package model_test

import (
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"quoll"
	"quoll/jepsen/history"
	"quoll/jepsen/model"
	"quoll/log/vfs"
	"quoll/transport"
	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/zab"
)

// person is a connection of its own to a real server.
type person struct {
	t       *testing.T
	nc      net.Conn
	session zab.SessionID
	auth    []zab.AuthID
}

// call sends a request and returns its reply. Time is the bubble's, so it can wait for a minute.
func (p *person) call(op wire.Op, body []byte) (wire.ReplyHeader, *jute.Decoder) {
	_, err := p.nc.Write(wire.AppendRequest(nil, 1, op, func(b []byte) []byte { return append(b, body...) }))
	require.NoError(p.t, err)
	d := p.frame()
	var h wire.ReplyHeader
	h.Decode(d)
	require.NoError(p.t, d.Err())
	require.Equal(p.t, zab.Xid(1), h.Xid)
	return h, d
}

func (p *person) frame() *jute.Decoder {
	require.NoError(p.t, p.nc.SetReadDeadline(time.Now().Add(time.Minute)))
	var length [wire.LengthSize]byte
	_, err := io.ReadFull(p.nc, length[:])
	require.NoError(p.t, err)
	b := make([]byte, binary.BigEndian.Uint32(length[:]))
	_, err = io.ReadFull(p.nc, b)
	require.NoError(p.t, err)
	d := jute.NewDecoder(b)
	return &d
}

// ask sends an op and returns the result that it had, and the zxid of the reply.
func (p *person) ask(o *history.Op) (history.Result, zab.Zxid) {
	h, d := p.call(o.Kind, history.AppendBody(nil, o))
	if h.Code != wire.OK {
		return history.Result{Code: h.Code}, zab.Zxid(h.Zxid)
	}
	res := decodeResult(d, o.Kind)
	require.NoError(p.t, d.Err())
	require.Zero(p.t, d.Len(), "%v: bytes behind the reply", o.Kind)
	return res, zab.Zxid(h.Zxid)
}

// enter opens a session at the server and in the model, and adds identities to it.
func enter(t *testing.T, network transport.Network, m *model.Tree, passwords ...string) *person {
	nc, err := network.Dial(t.Context(), "server:2181")
	require.NoError(t, err)
	t.Cleanup(func() { nc.Close() })
	p := &person{t: t, nc: nc}
	r := wire.ConnectRequest{TimeoutMs: 60_000}
	_, err = nc.Write(wire.EndFrame(r.Append(wire.BeginFrame(nil)), 0))
	require.NoError(t, err)
	var resp wire.ConnectResponse
	resp.Decode(p.frame())
	require.NotZero(t, resp.SessionID)
	p.session = resp.SessionID
	for _, password := range passwords {
		h, _ := p.call(wire.OpAuth, jute.AppendBuffer(jute.AppendString(jute.AppendInt(nil, 0), "digest"), []byte(password)))
		require.Equal(t, wire.OK, h.Code)
		p.auth = append(p.auth, digest(password))
		if password == super {
			p.auth = append(p.auth, zab.AuthID{Scheme: "super"})
		}
	}
	h, _ := p.call(wire.OpSync, jute.AppendString(nil, "/"))
	m.Apply(&history.Commit{Zxid: zab.Zxid(h.Zxid), Session: p.session, Op: history.Op{Kind: wire.OpCreateSession, TimeoutMs: resp.TimeoutMs}})
	return p
}

const super = "super:secret"

// inServer runs f beside a server of its own, in a bubble where nobody waits for real.
func inServer(t *testing.T, f func(t *testing.T, network transport.Network)) {
	synctest.Test(t, func(t *testing.T) {
		network := transport.NewMemory()
		s, err := quoll.Start(t.Context(), quoll.Config{
			DataDir: "/data", ClientAddress: "server:2181", MyID: 1, ExtendedTypes: true, PreAllocSize: 1 << 20,
			SuperDigest: digest(super).ID, FS: vfs.NewMem(), Network: network.Host("server"), Logger: slog.New(slog.DiscardHandler),
			ContainerCheckInterval: time.Hour,
		})
		require.NoError(t, err)
		defer func() { require.NoError(t, s.Shutdown(context.Background())) }()
		require.NoError(t, s.AwaitServing(t.Context()))
		f(t, network.Host("client"))
	})
}

// A server answers every write and every read as the model does, to the byte; only the time of
// the leader's clock is its own.
func TestServerIsTheModel(t *testing.T) {
	for seed := range uint64(20) {
		inServer(t, func(t *testing.T, network transport.Network) {
			r := rand.New(rand.NewPCG(seed, 0))
			m := model.New()
			people := []*person{
				enter(t, network, m), enter(t, network, m, "alice:secret"), enter(t, network, m, "bob:secret", "alice:secret"),
				enter(t, network, m, super),
			}
			for range 300 {
				converse(t, r.IntN, m, &people)
			}
		})
	}
}

// converse makes one of the people do something, and compares what comes of it.
func converse(t *testing.T, c chooser, m *model.Tree, people *[]*person) {
	i := c(len(*people))
	p := (*people)[i]
	var o history.Op
	switch kind := c(20); {
	case kind < 9:
		o = drawRead(c, m, false)
	case kind < 12:
		o = drawMulti(c, m, p.session)
	case kind == 12 && len(*people) > 2 && c(20) == 0:
		o.Kind = wire.OpCloseSession
		*people = append((*people)[:i], (*people)[i+1:]...)
	default:
		o = drawWrite(c, m, false)
	}
	if o.Kind == wire.OpCheck || namesHost(&o) {
		return // the one ends the connection, the other asks a resolver outside of the bubble
	}
	got, zxid := p.ask(&o)
	var want history.Result
	if o.IsWrite() {
		want, _ = m.Apply(&history.Commit{Zxid: zxid, Session: p.session, Op: o, Auth: p.auth})
	} else {
		require.Equal(t, m.Applied(), zxid)
		want = m.Read(p.session, p.auth, &o)
	}
	require.Equal(t, maskTimes(want), maskTimes(got), "%+v", o)
}

func namesHost(o *history.Op) bool {
	isHost := func(e wire.ACL) bool { return e.Scheme == "host" }
	return slices.ContainsFunc(o.ACL, isHost) || slices.ContainsFunc(o.Ops, func(part history.Op) bool { return namesHost(&part) })
}
