package transport_test

import (
	"bytes"
	"context"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quoll/transport"
	"quoll/zab"
)

// bound is TCP whose one port is open already, so that a test knows the addresses of all servers
// before it starts them and no other process can take one in between.
type bound struct {
	transport.TCP
	l net.Listener
}

func (b bound) Listen(string) (net.Listener, error) { return b.l, nil }

func loopback(t *testing.T) (net.Listener, string) {
	t.Helper()
	l, err := transport.TCP{}.Listen("127.0.0.1:0")
	require.NoError(t, err)
	return l, l.Addr().String()
}

// tcpHandler passes on what a test waits for.
type tcpHandler struct {
	recorder *recorder
	ups      chan up
	downs    chan error
	msgs     chan []*zab.Message
}

func newTCPHandler() *tcpHandler {
	return &tcpHandler{recorder: newRecorder(), ups: make(chan up, 10), downs: make(chan error, 10), msgs: make(chan []*zab.Message)}
}

func (h *tcpHandler) LinkUp(link zab.LinkID, server zab.ServerID, dialed bool) {
	h.recorder.LinkUp(link, server, dialed)
	h.ups <- up{link, server, dialed}
}

func (h *tcpHandler) LinkDown(link zab.LinkID, err error) {
	h.recorder.LinkDown(link, err)
	h.downs <- err
}

func (h *tcpHandler) LinkMessages(_ zab.LinkID, msgs []*zab.Message) { h.msgs <- msgs }
func (h *tcpHandler) LinkProgress(link zab.LinkID)                   { h.recorder.LinkProgress(link) }

// The same over real sockets: a snapshot, a history and many proposals, then an end that both see.
func TestLinksOverTCP(t *testing.T) {
	before := runtime.NumGoroutine()
	var nets [3]bound
	addrs := []transport.Address{{ID: 1}, {ID: 2}}
	for i := range addrs {
		nets[i].l, addrs[i].Link = loopback(t)
	}
	var handlers [2]*tcpHandler
	var links [2]*transport.Links
	stores := [2]*storage{}
	for i := range links {
		handlers[i] = newTCPHandler()
		stores[i] = &storage{snapshots: map[zab.Zxid][]byte{}, received: map[zab.Zxid][]byte{}}
		var err error
		links[i], err = transport.StartLinks(transport.LinksOptions{
			Identity: identity(addrs[i].ID), Addresses: addrs, Network: nets[i], Handler: handlers[i], Storage: stores[i],
		})
		require.NoError(t, err)
	}
	require.Equal(t, addrs[0].Link, links[0].Addr().String())
	leader, learner := handlers[0], handlers[1]
	links[1].Connect(1)
	require.Equal(t, up{1, 1, true}, <-learner.ups)
	require.Equal(t, up{1, 2, false}, <-leader.ups)

	z := zab.MakeZxid(1, 4)
	stores[0].snapshots[z] = snapshotFile(5*chunk + 1)
	stores[0].log = txns(1, 1, 100, 1000)
	links[0].Send(zab.Envelope{Link: 1, Msg: snap(z), History: zab.Range{From: z, To: zab.MakeZxid(1, 100)}})
	for i := range 500 {
		links[0].Send(zab.Envelope{Link: 1, Msg: &zab.Message{Kind: zab.Proposal, Txns: txns(1, 101+i, 1, 1000)}})
	}
	var got []zab.Txn
	first := <-learner.msgs
	require.Equal(t, snap(z), first[0])
	for _, m := range first[1:] {
		got = append(got, m.Txns...)
	}
	for len(got) < 96+500 {
		for _, m := range <-learner.msgs {
			got = append(got, m.Txns...)
		}
	}
	require.Equal(t, txns(1, 5, 596, 1000), got)
	require.True(t, bytes.Equal(stores[0].snapshots[z], stores[1].received[z]))

	links[1].Shutdown()
	require.ErrorIs(t, <-learner.downs, transport.ErrShutdown)
	require.Error(t, <-leader.downs)
	links[0].Shutdown()
	require.NoError(t, nets[2].close())
	noLeak(t, before)
}

// Small frames are written by who sends them, others by the link's writer, and what a full socket did not
// take of a small one is left to the writer: none of that shows to the other side.
func TestFramesKeepTheirOrderWhoeverWritesThem(t *testing.T) {
	addrs := []transport.Address{{ID: 1}, {ID: 2}}
	var handlers [2]*tcpHandler
	var links [2]*transport.Links
	var nets [2]bound
	for i := range addrs {
		nets[i].l, addrs[i].Link = loopback(t)
	}
	for i := range links {
		handlers[i] = newTCPHandler()
		var err error
		links[i], err = transport.StartLinks(transport.LinksOptions{
			Identity: identity(addrs[i].ID), Addresses: addrs, Network: nets[i], Handler: handlers[i], Storage: &storage{},
		})
		require.NoError(t, err)
		defer links[i].Shutdown()
	}
	links[1].Connect(1)
	<-handlers[1].ups
	<-handlers[0].ups
	sizes := []int{100, 3000, 100, 5000, 1, 1, 20_000}
	const frames = 6000 // far more than a socket holds: the learner reads nothing at first
	for i := range frames {
		links[0].Send(zab.Envelope{Link: 1, Msg: &zab.Message{Kind: zab.Proposal, Txns: txns(1, 1+i, 1, sizes[i%len(sizes)])}})
	}
	for i := 0; i < frames; {
		for _, m := range <-handlers[1].msgs {
			require.Equal(t, txns(1, 1+i, 1, sizes[i%len(sizes)]), m.Txns)
			i++
		}
	}
}

func (b bound) close() error {
	if b.l == nil {
		return nil
	}
	return b.l.Close()
}

// noLeak waits until no more goroutines run than before: those that were joined have said so, but
// may still be on their last instruction.
func noLeak(t *testing.T, before int) {
	t.Helper()
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+1 }, 5*time.Second, time.Millisecond)
}

func TestMeshOverTCP(t *testing.T) {
	before := runtime.NumGoroutine()
	var nets [3]bound
	addrs := []transport.Address{{ID: 1}, {ID: 2}, {ID: 3}}
	for i := range addrs {
		nets[i].l, addrs[i].Election = loopback(t)
	}
	var voters [3]*voter
	for i := range voters {
		voters[i] = vote(t, nets[i], addrs[i].ID, func(o *transport.MeshOptions) { o.Addresses = addrs })
	}
	require.Eventually(t, func() bool {
		return voters[0].sees(2) && voters[0].sees(3) && voters[1].sees(3) && voters[2].sees(1)
	}, 10*time.Second, time.Millisecond)
	voters[0].Notify(2, note(1, 4))
	voters[1].Notify(1, note(2, 5))
	require.Eventually(t, func() bool {
		return len(voters[1].rounds(1)) == 1 && len(voters[0].rounds(2)) == 1
	}, 10*time.Second, time.Millisecond)
	voters[1].stop(t)
	require.Eventually(t, func() bool { return !voters[0].sees(2) && !voters[2].sees(2) }, 10*time.Second, time.Millisecond,
		"a closed socket is an event, not a time-out")
	voters[0].stop(t)
	voters[2].stop(t)
	noLeak(t, before)
}

// Names are resolved at every dial, and a dial ends with its context.
func TestTCPDial(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := transport.TCP{}.Dial(ctx, "localhost:1")
	require.Error(t, err)
	l, addr := loopback(t)
	conn, err := transport.TCP{}.Dial(t.Context(), addr)
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	require.NoError(t, l.Close())
}
