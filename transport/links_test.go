package transport_test

import (
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"quoll/transport"
	"quoll/zab"
)

func TestMessagesArriveInOrder(t *testing.T) {
	pair(t, nil, func(t *testing.T, _ *transport.Memory, leader, learner *node) {
		const n = 2000
		shared := &zab.Message{Kind: zab.Proposal, Txns: txns(1, 1, 3, 100), Commit: 7}
		for i := range n {
			leader.Send(zab.Envelope{Link: 1, Msg: commit(i)})
			learner.Send(zab.Envelope{Link: 1, Msg: &zab.Message{Kind: zab.Ack, Zxid: zab.Zxid(i)}})
			if i%2 == 0 {
				synctest.Wait()
			}
		}
		leader.Send(zab.Envelope{Link: 1, Msg: shared})
		synctest.Wait()
		require.Equal(t, append(commits(0, n), shared), learner.received(1))
		acks := leader.received(1)
		require.Len(t, acks, n)
		for i, m := range acks {
			require.Equal(t, &zab.Message{Kind: zab.Ack, Zxid: zab.Zxid(i)}, m)
		}
	})
}

// What piled up arrives in one call: one wake-up of the other server's loop.
func TestMessagesThatCameTogetherAreHandedOverTogether(t *testing.T) {
	pair(t, nil, func(t *testing.T, m *transport.Memory, leader, learner *node) {
		m.Block("h1", "h2")
		for i := range 100 {
			leader.Send(zab.Envelope{Link: 1, Msg: commit(i)})
		}
		synctest.Wait()
		m.Unblock("h1", "h2")
		synctest.Wait()
		require.Equal(t, commits(0, 100), learner.received(1))
		require.LessOrEqual(t, learner.calls, 2)
	})
}

func TestOneMessageForManyLearners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := transport.NewMemory()
		leader, a, b := start(t, m, 1, nil), start(t, m, 2, nil), start(t, m, 3, nil)
		a.Connect(1)
		synctest.Wait()
		b.Connect(1)
		synctest.Wait()
		var want []*zab.Message
		for i := range 50 {
			p := &zab.Message{Kind: zab.Proposal, Txns: txns(1, 1+i, 1, 1000)}
			want = append(want, p)
			leader.Send(zab.Envelope{Link: 1, Msg: p})
			leader.Send(zab.Envelope{Link: 2, Msg: p})
			leader.Send(zab.Envelope{Link: 99, Msg: p})
		}
		synctest.Wait()
		require.Equal(t, want, a.received(1))
		require.Equal(t, want, b.received(1))
		a.stop(t)
		b.stop(t)
		leader.stop(t)
	})
}

// A learner that does not take its messages does not stop the leader: its queue fills up to the
// bound, then its link goes, and what it got is a prefix.
func TestFullQueueClosesTheLink(t *testing.T) {
	small := func(o *transport.LinksOptions) { o.QueueBytes = 100_000 }
	pair(t, small, func(t *testing.T, _ *transport.Memory, leader, learner *node) {
		learner.gate = make(chan struct{})
		p := &zab.Message{Kind: zab.Proposal, Txns: txns(1, 1, 1, 10_000)}
		sent := 0
		for ; leader.down(1) == nil && sent < 1000; sent++ {
			leader.Send(zab.Envelope{Link: 1, Msg: p})
			synctest.Wait()
		}
		require.ErrorIs(t, leader.down(1), transport.ErrQueueFull)
		require.ErrorContains(t, leader.down(1), "server 2")
		require.Less(t, sent*10_000, 100_000+2*256<<10, "queue, socket and read buffer")
		leader.Send(zab.Envelope{Link: 1, Msg: p}) // nobody is there; it does not block either
		close(learner.gate)
		synctest.Wait()
		require.Error(t, learner.down(1))
		require.Less(t, len(learner.received(1)), sent)
	})
}

// The bound is for what piles up: one message may be larger, or it could never leave.
func TestMessageLargerThanTheQueue(t *testing.T) {
	small := func(o *transport.LinksOptions) { o.QueueBytes = 1000 }
	pair(t, small, func(t *testing.T, _ *transport.Memory, leader, learner *node) {
		p := &zab.Message{Kind: zab.Proposal, Txns: txns(1, 1, 3, 1<<20)}
		leader.Send(zab.Envelope{Link: 1, Msg: p})
		synctest.Wait()
		require.Equal(t, []*zab.Message{p}, learner.received(1))
	})
}

// A write that makes no progress ends the link long before TCP would (ZOOKEEPER-4074).
func TestStuckWriteClosesTheLink(t *testing.T) {
	pair(t, nil, func(t *testing.T, m *transport.Memory, leader, learner *node) {
		m.Partition("h1", "h2")
		leader.Send(zab.Envelope{Link: 1, Msg: &zab.Message{Kind: zab.Proposal, Txns: txns(1, 1, 3, 200_000)}})
		time.Sleep(9 * time.Second)
		require.NoError(t, leader.down(1))
		time.Sleep(2 * time.Second)
		require.ErrorIs(t, leader.down(1), os.ErrDeadlineExceeded)
		require.NoError(t, learner.down(1), "the learner has not heard of it")
		m.Heal("h1", "h2")
		synctest.Wait()
		require.Error(t, learner.down(1))
		require.Empty(t, learner.received(1), "half a frame is no message")
	})
}

// Wherever a connection is cut, whole frames arrive and nothing else (zab.md N5).
func TestCutAtEveryByte(t *testing.T) {
	sent := []*zab.Message{
		commit(1), {Kind: zab.Proposal, Commit: 1, Txns: txns(1, 2, 2, 20)}, commit(1 << 40),
	}
	total := 0
	for _, m := range sent {
		total += len(transport.Frame(m))
	}
	for k := 1; k < total; k++ {
		pair(t, nil, func(t *testing.T, m *transport.Memory, leader, learner *node) {
			m.BreakAfter("h1", "h2", k)
			left, whole := k, 0
			for _, msg := range sent {
				if left -= len(transport.Frame(msg)); left >= 0 {
					whole++
				}
				leader.Send(zab.Envelope{Link: 1, Msg: msg})
			}
			synctest.Wait()
			require.Len(t, learner.received(1), whole)
			for i, msg := range learner.received(1) {
				require.Equal(t, sent[i], msg)
			}
			require.ErrorIs(t, learner.down(1), syscall.ECONNRESET)
			require.ErrorIs(t, leader.down(1), syscall.ECONNRESET)
		})
	}
}

func TestReset(t *testing.T) {
	pair(t, nil, func(t *testing.T, m *transport.Memory, leader, learner *node) {
		m.Break("h1", "h2")
		synctest.Wait()
		require.ErrorIs(t, leader.down(1), syscall.ECONNRESET)
		require.ErrorIs(t, learner.down(1), syscall.ECONNRESET)
		require.Zero(t, m.Open("h1", "h2"))
	})
}

// A new connection is a new number; the old number reaches nobody (zab.md N4).
func TestStaleLinkNumber(t *testing.T) {
	pair(t, nil, func(t *testing.T, _ *transport.Memory, leader, learner *node) {
		learner.Close(1)
		synctest.Wait()
		require.ErrorIs(t, learner.down(1), transport.ErrClosed)
		require.Error(t, leader.down(1))
		learner.Connect(1)
		synctest.Wait()
		require.Equal(t, up{2, 1, true}, learner.links()[1])
		require.Equal(t, up{2, 2, false}, leader.links()[1])
		leader.Send(zab.Envelope{Link: 1, Msg: commit(1)})
		leader.Send(zab.Envelope{Link: 2, Msg: commit(2)})
		leader.Close(1)
		synctest.Wait()
		require.Empty(t, learner.received(1))
		require.Equal(t, commits(2, 3), learner.received(2))
		require.NoError(t, leader.down(2))
	})
}

// The core decides what a second link of a server means; here it is just another link.
func TestTwoLinksOfOneServer(t *testing.T) {
	pair(t, nil, func(t *testing.T, m *transport.Memory, leader, learner *node) {
		learner.Connect(1)
		synctest.Wait()
		require.Equal(t, 2, m.Open("h2", "h1"))
		require.Len(t, leader.links(), 2)
		learner.Send(zab.Envelope{Link: 2, Msg: commit(5)})
		synctest.Wait()
		require.Empty(t, leader.received(1))
		require.Equal(t, commits(5, 6), leader.received(2))
	})
}

func TestConnectWaitsForTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := transport.NewMemory()
		learner := start(t, m, 2, nil)
		learner.Connect(1)
		time.Sleep(10 * time.Second) // nobody listens
		require.Empty(t, learner.links())
		require.Equal(t, 1, learner.journal.count("cannot connect"), "the same trouble is told once")
		leader := start(t, m, 1, nil)
		time.Sleep(50 * time.Millisecond)
		synctest.Wait()
		require.Len(t, learner.links(), 1)
		time.Sleep(time.Minute)
		require.Len(t, leader.links(), 1, "once there is a link, nobody dials any more")
		learner.stop(t)
		leader.stop(t)
	})
}

func TestConnectThroughAPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := transport.NewMemory()
		leader, learner := start(t, m, 1, nil), start(t, m, 2, nil)
		m.Block("h1", "h2") // the answer of the handshake is lost: one direction is enough
		learner.Connect(1)
		time.Sleep(time.Minute)
		require.Empty(t, learner.links())
		m.Unblock("h1", "h2")
		time.Sleep(time.Second)
		require.Len(t, learner.links(), 1)
		learner.stop(t)
		leader.stop(t)
	})
}

func TestConnectIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := transport.NewMemory()
		learner := start(t, m, 2, nil)
		learner.Connect(1)
		time.Sleep(time.Second)
		learner.Connect(3)
		learner.Connect(3)
		first, third := start(t, m, 1, nil), start(t, m, 3, nil)
		time.Sleep(time.Second)
		require.Equal(t, []up{{1, 3, true}}, learner.links())
		require.Empty(t, first.links())
		require.Len(t, third.links(), 1)
		for _, n := range []*node{learner, first, third} {
			n.stop(t)
		}
	})
}

func TestDisconnectEndsTheDialing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := transport.NewMemory()
		learner := start(t, m, 2, nil)
		learner.Connect(1)
		time.Sleep(time.Second)
		learner.Disconnect()
		leader := start(t, m, 1, nil)
		time.Sleep(time.Minute)
		require.Empty(t, learner.links())
		require.Empty(t, leader.links())
		learner.Connect(1)
		time.Sleep(time.Second)
		learner.Disconnect() // the link stays
		time.Sleep(time.Second)
		require.Len(t, learner.links(), 1)
		require.NoError(t, learner.down(1))
		learner.Connect(2) // oneself, and a stranger: refused, and nothing else happens
		learner.Connect(9)
		require.Equal(t, 2, learner.journal.count("asked to connect"))
		learner.stop(t)
		leader.stop(t)
	})
}

// A dial that was replaced while its handshake was under way makes no link.
func TestDisconnectDuringTheHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := transport.NewMemory()
		leader, learner := start(t, m, 1, nil), start(t, m, 2, nil)
		block := make(chan struct{})
		learner.Shutdown()
		learner = start(t, m, 2, func(o *transport.LinksOptions) { o.Network = &holdDial{Network: o.Network, until: block} })
		learner.Connect(1)
		synctest.Wait()
		learner.Disconnect()
		close(block)
		time.Sleep(10 * time.Second)
		require.Empty(t, learner.links())
		require.Zero(t, m.Open("h1", "h2"))
		learner.stop(t)
		leader.stop(t)
	})
}

func TestShutdownEndsLinks(t *testing.T) {
	pair(t, nil, func(t *testing.T, m *transport.Memory, leader, learner *node) {
		leader.Shutdown()
		require.ErrorIs(t, leader.down(1), transport.ErrShutdown)
		synctest.Wait()
		require.Error(t, learner.down(1))
		leader.Send(zab.Envelope{Link: 1, Msg: commit(1)})
		leader.Close(1)
		leader.Connect(2)
		leader.Shutdown()
		_, err := m.Host("h2").Dial(t.Context(), "h1:2888")
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
	})
}

func TestShutdownWhileDialing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := transport.NewMemory()
		learner := start(t, m, 2, nil)
		m.Partition("h1", "h2")
		learner.Connect(1)
		synctest.Wait()
		learner.stop(t)
	})
}

func TestPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, taken.Close()) }()
	addr := taken.Addr().String()
	_, err = transport.StartLinks(transport.LinksOptions{
		Identity: identity(1), Network: transport.TCP{}, Addresses: []transport.Address{{ID: 1, Link: addr, Election: addr}},
	})
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	require.ErrorContains(t, err, addr)
	require.ErrorContains(t, err, "another process has this port")
	_, err = transport.StartMesh(transport.MeshOptions{
		Identity: identity(1), Network: transport.TCP{}, Addresses: []transport.Address{{ID: 1, Link: addr, Election: addr}},
	})
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	require.ErrorContains(t, err, "election port")
}

func TestBadOptions(t *testing.T) {
	m := transport.NewMemory()
	_, err := transport.StartLinks(transport.LinksOptions{Identity: identity(7), Network: m.Host("h7"), Addresses: addresses(3)})
	require.ErrorContains(t, err, "server 7 has no address")
	long := identity(1)
	long.Cluster = strings.Repeat("x", 256)
	_, err = transport.StartLinks(transport.LinksOptions{Identity: long, Network: m.Host("h1"), Addresses: addresses(3)})
	require.ErrorContains(t, err, "cluster name")
}
