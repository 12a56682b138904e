package transport_test

import (
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"quoll/election"
	"quoll/transport"
	"quoll/zab"
)

// voter is a MeshHandler that writes everything down.
type voter struct {
	*transport.Mesh
	journal *journal

	mu    sync.Mutex
	heard map[zab.ServerID][]uint64 // rounds of notifications
	up    map[zab.ServerID]bool
	ups   map[zab.ServerID]int
	wrong []string
	gate  chan struct{} // when not nil, Notification waits for it to close
}

func (v *voter) Notification(from zab.ServerID, n election.Notification) {
	v.mu.Lock()
	gate := v.gate
	v.mu.Unlock()
	if gate != nil {
		<-gate
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if n != note(from, n.Round) {
		v.wrong = append(v.wrong, fmt.Sprintf("notification %+v from %d", n, from))
	}
	v.heard[from] = append(v.heard[from], n.Round)
}

func (v *voter) MeshUp(id zab.ServerID) { v.turn(id, true) }

func (v *voter) MeshDown(id zab.ServerID) { v.turn(id, false) }

func (v *voter) turn(id zab.ServerID, up bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.up[id] == up {
		v.wrong = append(v.wrong, fmt.Sprintf("server %d: up %v twice", id, up))
	}
	v.up[id] = up
	if up {
		v.ups[id]++
	}
}

func (v *voter) sees(id zab.ServerID) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.up[id]
}

func (v *voter) rounds(from zab.ServerID) []uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]uint64(nil), v.heard[from]...)
}

// note is what server from says in a round.
func note(from zab.ServerID, round uint64) election.Notification {
	return election.Notification{
		State: election.Looking,
		Vote:  election.Vote{Leader: from, Zxid: zab.MakeZxid(3, 1<<30), Epoch: 3},
		Round: round,
	}
}

func vote(t *testing.T, network transport.Network, id zab.ServerID, change func(*transport.MeshOptions)) *voter {
	t.Helper()
	v := &voter{heard: map[zab.ServerID][]uint64{}, up: map[zab.ServerID]bool{}, ups: map[zab.ServerID]int{}, journal: &journal{}}
	opts := transport.MeshOptions{
		Identity: identity(id), Addresses: addresses(3), Network: network, Handler: v,
		Logger: slog.New(slog.NewTextHandler(v.journal, nil)),
	}
	if change != nil {
		change(&opts)
	}
	mesh, err := transport.StartMesh(opts)
	require.NoError(t, err)
	v.Mesh = mesh
	t.Cleanup(mesh.Shutdown)
	return v
}

func (v *voter) stop(t *testing.T) {
	v.Shutdown()
	require.Empty(t, v.wrong)
	for id, up := range v.up {
		require.False(t, up, "server %d is still up after the shutdown", id)
	}
}

// trio runs f in a bubble with three servers that have found each other.
func trio(t *testing.T, f func(t *testing.T, m *transport.Memory, v [4]*voter)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := transport.NewMemory()
		var v [4]*voter
		for id := zab.ServerID(1); id <= 3; id++ {
			v[id] = vote(t, m.Host(host(id)), id, nil)
		}
		time.Sleep(100 * time.Millisecond)
		for a := zab.ServerID(1); a <= 3; a++ {
			for b := zab.ServerID(1); b <= 3; b++ {
				require.Equal(t, a != b, v[a].sees(b))
			}
		}
		f(t, m, v)
		for _, x := range v[1:] {
			x.stop(t)
		}
	})
}

func TestMeshDelivers(t *testing.T) {
	trio(t, func(t *testing.T, m *transport.Memory, v [4]*voter) {
		require.Equal(t, 2, m.Open("h1", "h2"), "one connection per direction")
		for round := range uint64(5) {
			v[1].Notify(2, note(1, round))
			v[1].Notify(3, note(1, 100+round))
			v[2].Notify(1, note(2, round))
			v[1].Notify(1, note(1, round)) // nobody talks to himself
			v[1].Notify(9, note(1, round)) // or to strangers
			synctest.Wait()
		}
		require.Equal(t, []uint64{0, 1, 2, 3, 4}, v[2].rounds(1))
		require.Equal(t, []uint64{100, 101, 102, 103, 104}, v[3].rounds(1))
		require.Equal(t, []uint64{0, 1, 2, 3, 4}, v[1].rounds(2))
		require.Empty(t, v[1].rounds(3))
		time.Sleep(time.Hour)
		require.Equal(t, map[zab.ServerID]int{2: 1, 3: 1}, v[1].ups, "idle connections stay")
		require.Len(t, v[2].rounds(1), 5, "and repeat nothing")
	})
}

// A queue of one: who was not told an old vote is told the newest only.
func TestMeshNewestWins(t *testing.T) {
	trio(t, func(t *testing.T, _ *transport.Memory, v [4]*voter) {
		v[2].mu.Lock()
		v[2].gate = make(chan struct{})
		v[2].mu.Unlock()
		for round := range uint64(200_000) {
			v[1].Notify(2, note(1, round)) // never blocks, whatever 2 does
			if round%20_000 == 0 {
				synctest.Wait()
			}
		}
		close(v[2].gate)
		synctest.Wait()
		got := v[2].rounds(1)
		require.Equal(t, uint64(199_999), got[len(got)-1])
		require.IsIncreasing(t, got)
		require.Less(t, len(got), 20_000, "what the socket holds, not what was said")
	})
}

// On a new connection the last vote is said again, because nobody knows what the old one delivered.
func TestMeshRepeatsTheLastVote(t *testing.T) {
	trio(t, func(t *testing.T, m *transport.Memory, v [4]*voter) {
		v[1].Notify(2, note(1, 7))
		synctest.Wait()
		m.Break("h1", "h2")
		synctest.Wait()
		require.False(t, v[1].sees(2), "a reset is known at once")
		require.False(t, v[2].sees(1))
		require.True(t, v[1].sees(3))
		time.Sleep(50 * time.Millisecond)
		require.True(t, v[1].sees(2))
		require.Equal(t, []uint64{7, 7}, v[2].rounds(1))
		v[1].Notify(2, note(1, 8))
		synctest.Wait()
		require.Equal(t, []uint64{7, 7, 8}, v[2].rounds(1))
	})
}

// What was said before there was a connection arrives with it.
func TestMeshLateServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := transport.NewMemory()
		one := vote(t, m.Host("h1"), 1, nil)
		one.Notify(2, note(1, 1))
		one.Notify(2, note(1, 2))
		time.Sleep(time.Minute)
		two := vote(t, m.Host("h2"), 2, nil)
		// Two dials at once, and its connection ends the pause of one's dialer: no second is lost.
		time.Sleep(20 * time.Millisecond)
		require.True(t, one.sees(2))
		require.True(t, two.sees(1))
		require.Equal(t, []uint64{2}, two.rounds(1))
		require.Equal(t, 1, one.journal.count("server=2 address"), "the same trouble is told once a minute")
		two.stop(t)
		synctest.Wait()
		require.False(t, one.sees(2))
		two = vote(t, m.Host("h2"), 2, nil)
		time.Sleep(20 * time.Millisecond)
		require.True(t, one.sees(2))
		require.Equal(t, []uint64{2}, two.rounds(1))
		two.stop(t)
		one.stop(t)
	})
}

// A partition breaks no connection; heartbeats find it on both sides (zab.md N6, ZOOKEEPER-2930),
// and whoever is on the same side is not affected.
func TestMeshHalfOpen(t *testing.T) {
	for name, block := range map[string]func(m *transport.Memory){
		"both directions": func(m *transport.Memory) { m.Partition("h1", "h2") },
		"one direction":   func(m *transport.Memory) { m.Block("h1", "h2") },
	} {
		t.Run(name, func(t *testing.T) {
			trio(t, func(t *testing.T, m *transport.Memory, v [4]*voter) {
				block(m)
				time.Sleep(4 * time.Second)
				require.False(t, v[1].sees(2))
				require.False(t, v[2].sees(1))
				require.True(t, v[1].sees(3))
				require.True(t, v[2].sees(3))
				v[1].Notify(2, note(1, 5))
				v[1].Notify(3, note(1, 5))
				synctest.Wait()
				require.Equal(t, []uint64{5}, v[3].rounds(1))
				time.Sleep(time.Minute)
				require.Empty(t, v[2].rounds(1))
				m.Heal("h1", "h2")
				time.Sleep(2 * time.Second)
				require.True(t, v[1].sees(2))
				require.True(t, v[2].sees(1))
				require.Equal(t, uint64(5), v[2].rounds(1)[0])
			})
		})
	}
}

// A server that stopped reading is found out by the writes that no longer fit (ZOOKEEPER-4074).
func TestMeshHandlerThatHangs(t *testing.T) {
	trio(t, func(t *testing.T, _ *transport.Memory, v [4]*voter) {
		gate := make(chan struct{})
		release := sync.OnceFunc(func() { close(gate) })
		defer release()
		v[2].mu.Lock()
		v[2].gate = gate
		v[2].mu.Unlock()
		v[1].Notify(2, note(1, 1))
		time.Sleep(5 * time.Second)
		require.False(t, v[1].sees(2), "no echo came")
		require.True(t, v[1].sees(3))
		v[2].mu.Lock()
		v[2].gate = nil
		v[2].mu.Unlock()
		release()
		time.Sleep(2 * time.Second)
		require.True(t, v[1].sees(2))
	})
}

func TestMeshRefusesOthers(t *testing.T) {
	trio(t, func(t *testing.T, m *transport.Memory, v [4]*voter) {
		// A link that comes to the election port: the two ports of an address were exchanged.
		links := start(t, m, 2, func(o *transport.LinksOptions) { o.Addresses[0].Link = "h1:3888" })
		links.Connect(1)
		time.Sleep(time.Second)
		links.stop(t)
		require.Equal(t, 1, v[1].journal.count("check the two ports"))
		require.Equal(t, 1, links.journal.count("check the two ports"))

		conn, err := m.Host("elsewhere").Dial(t.Context(), "h1:3888")
		require.NoError(t, err)
		_, err = conn.Write([]byte("\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02"))
		require.NoError(t, err)
		got, err := io.ReadAll(conn)
		require.NoError(t, err)
		require.Empty(t, got)
		require.NoError(t, conn.Close())
		require.Equal(t, 1, v[1].journal.count("a ZooKeeper server's election connection"))
		require.True(t, v[1].sees(2))
	})
}

// A server whose configuration differs is not talked to, and both sides say so.
func TestMeshOtherMembership(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := transport.NewMemory()
		one := vote(t, m.Host("h1"), 1, nil)
		two := vote(t, m.Host("h2"), 2, func(o *transport.MeshOptions) { o.Identity.Membership++ })
		one.Notify(2, note(1, 1))
		time.Sleep(20 * time.Second)
		require.False(t, one.sees(2))
		require.Empty(t, two.rounds(1))
		require.Equal(t, 1, one.journal.count("refused a connection"))
		require.Equal(t, 1, two.journal.count("refused a connection"))
		one.stop(t)
		two.stop(t)
	})
}

// Connections come and go at random; at the end everybody is connected and knows the last votes.
func TestMeshSettles(t *testing.T) {
	trio(t, func(t *testing.T, m *transport.Memory, v [4]*voter) {
		for round := range uint64(300) {
			a, b := zab.ServerID(1+round%3), zab.ServerID(1+(round/3)%3)
			switch round % 4 {
			case 0:
				m.Break(host(a), host(b))
			case 1:
				m.BreakAfter(host(a), host(b), int(round%50))
			case 2:
				m.Block(host(a), host(b))
			default:
				m.Heal(host(a), host(b))
			}
			for to := zab.ServerID(1); to <= 3; to++ {
				v[a].Notify(to, note(a, round))
			}
			time.Sleep(time.Duration(round%7) * 100 * time.Millisecond)
		}
		for a := range zab.ServerID(4) {
			for b := range zab.ServerID(4) {
				m.Heal(host(a), host(b))
			}
		}
		time.Sleep(10 * time.Second)
		for a := zab.ServerID(1); a <= 3; a++ {
			for b := zab.ServerID(1); b <= 3; b++ {
				if a != b {
					require.True(t, v[a].sees(b))
					got := v[b].rounds(a)
					require.Equal(t, 297+uint64(a)-1, got[len(got)-1])
				}
			}
		}
	})
}
