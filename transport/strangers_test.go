package transport_test

import (
	"context"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"quoll/transport"
	"quoll/zab"
)

// holdDial is a network whose dials succeed but are handed over late.
type holdDial struct {
	transport.Network
	until chan struct{}
}

func (h *holdDial) Dial(ctx context.Context, addr string) (net.Conn, error) {
	conn, err := h.Network.Dial(ctx, addr)
	<-h.until
	return conn, err
}

// knock connects to the peer port of server 1, says sent, and returns what comes back until the end.
func knock(t *testing.T, m *transport.Memory, sent string) string {
	t.Helper()
	conn, err := m.Host("elsewhere").Dial(t.Context(), "h1:2888")
	require.NoError(t, err)
	_, err = conn.Write([]byte(sent))
	require.NoError(t, err)
	got, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	return string(got)
}

// Whoever does not speak our protocol gets no answer, is named once in the log, and disturbs nobody.
func TestStrangersOnThePort(t *testing.T) {
	pair(t, nil, func(t *testing.T, m *transport.Memory, leader, learner *node) {
		for sent, name := range map[string]string{
			"GET / HTTP/1.1\r\nHost: h1\r\n\r\n":                                                      "HTTP client",
			"\xff\xff\xff\xff\xff\xff\x00\x01\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x07h2:3888": "ZooKeeper server's election",
			"\x00\x00\x00\x0b\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x14":                        "ZooKeeper server's quorum",
			"\x8e\x00\x01\x02\x03\x04\x05\x06\x07\x08":                                                "bytes of no protocol",
			"ruok": "four-letter",
		} {
			leader.journal.b.Reset()
			for range 5 {
				require.Empty(t, knock(t, m, sent))
			}
			require.Equal(t, 1, leader.journal.count("refused a connection"), name)
			require.Equal(t, 1, leader.journal.count(name), name)
			time.Sleep(2 * time.Minute)
			knock(t, m, sent)
			require.Equal(t, 1, leader.journal.count("skipped=4"), name)
			time.Sleep(2 * time.Minute)
		}
		leader.Send(zab.Envelope{Link: 1, Msg: commit(1)})
		synctest.Wait()
		require.Equal(t, commits(1, 2), learner.received(1))
		require.Len(t, leader.links(), 1)
	})
}

// Both sides say why, once.
func TestRefusals(t *testing.T) {
	other := func(change func(*transport.Identity)) transport.Identity {
		id := identity(2)
		change(&id)
		return id
	}
	for name, c := range map[string]struct {
		id   transport.Identity
		want string
	}{
		"cluster":    {other(func(id *transport.Identity) { id.Cluster = "red" }), "wrong cluster"},
		"membership": {other(func(id *transport.Identity) { id.Membership++ }), "other membership"},
		"own id":     {other(func(id *transport.Identity) { id.Self = 1 }), "own id"},
		"unknown id": {other(func(id *transport.Identity) { id.Self = 4 }), "unknown id"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := transport.NewMemory()
				leader := start(t, m, 1, nil)
				learner := start(t, m, 2, func(o *transport.LinksOptions) {
					o.Identity, o.ListenAddr = c.id, "h2:2888"
					o.Addresses = addresses(4)
					if c.id.Self == 1 { // it dials the real server 1 as server 3
						o.Addresses[2].Link, o.Addresses[0].Link = "h1:2888", "h2:2888"
					}
				})
				to := zab.ServerID(1)
				if c.id.Self == 1 {
					to = 3
					c.want = "not me"
				}
				learner.Connect(to)
				time.Sleep(30 * time.Second)
				learner.Disconnect()
				require.Equal(t, 1, leader.journal.count("refused a connection"))
				require.Equal(t, 1, leader.journal.count(c.want))
				require.Equal(t, 1, learner.journal.count("cannot connect to a server"))
				require.Equal(t, 1, learner.journal.count(c.want))
				require.Empty(t, leader.links())
				require.Empty(t, learner.links())
				learner.stop(t)
				leader.stop(t)
			})
		})
	}
}

// Two servers with one myid: the second hears that it is not alone.
func TestOwnID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := transport.NewMemory()
		leader := start(t, m, 1, nil)
		got := knock(t, m, string(transport.Opening(identity(1), 1)))
		require.Contains(t, got, "both servers say that they are server 1")
		leader.stop(t)
	})
}

// A dialer that reaches something else says so: a client port, a ZooKeeper, a server that is not
// the one it wanted.
func TestDialingTheWrongPort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := transport.NewMemory()
		l, err := m.Host("h1").Listen("h1:2888")
		require.NoError(t, err)
		answers := make(chan string, 2)
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = conn.Read(make([]byte, 1)) // else the end may come before the dialer has spoken
				_, _ = conn.Write([]byte(<-answers))
				_ = conn.Close()
			}
		}()
		learner := start(t, m, 2, nil)
		answers <- ""
		answers <- "HTTP/1.1 400 Bad Request\r\n"
		learner.Connect(1)
		time.Sleep(time.Second)
		require.Equal(t, 1, learner.journal.count("is it a Quoll server"))
		require.Equal(t, 1, learner.journal.count("no protocol known here"))
		require.NoError(t, l.Close())
		close(answers) // of every connection that was on its way
		learner.stop(t)
	})
}

// Connections that say nothing do not keep servers out for longer than the handshake may take.
func TestSilentConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := transport.NewMemory()
		leader, learner := start(t, m, 1, nil), start(t, m, 2, nil)
		for range 200 {
			_, err := m.Host("elsewhere").Dial(t.Context(), "h1:2888")
			require.NoError(t, err)
		}
		synctest.Wait()
		require.Equal(t, 1, leader.journal.count("busy"))
		learner.Connect(1)
		time.Sleep(6 * time.Second)
		require.Len(t, leader.links(), 1)
		require.Len(t, learner.links(), 1)
		learner.stop(t)
		leader.stop(t)
	})
}

// After the hello the other side is a server, but what it sends is still checked.
func TestNonsenseOnALink(t *testing.T) {
	for name, sent := range map[string]string{
		"a length beyond the limit": "\xff\xff\xff\xff",
		"an empty frame":            "\x00\x00\x00\x00",
		"an unknown kind":           "\x00\x00\x00\x02\x91\x3f",
		"a chunk without a head":    string(transport.ChunkFrame(0, []byte("x"))),
		"not msgpack":               "\x00\x00\x00\x01\xc1",
	} {
		synctest.Test(t, func(t *testing.T) {
			m := transport.NewMemory()
			leader := start(t, m, 1, nil)
			conn, err := m.Host("h2").Dial(t.Context(), "h1:2888")
			require.NoError(t, err)
			_, err = conn.Write(append(transport.Opening(identity(2), 1), transport.Frame(commit(1))...))
			require.NoError(t, err)
			_, err = conn.Write([]byte(sent))
			require.NoError(t, err)
			synctest.Wait()
			require.ErrorContains(t, leader.down(1), "malformed", name)
			require.Equal(t, commits(1, 2), leader.received(1), name)
			require.NoError(t, conn.Close())
			leader.stop(t)
		})
	}
}
