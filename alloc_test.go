package quoll_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quoll"
	"quoll/election"
	"quoll/session"
	"quoll/transport/wire"
	"quoll/zab"
)

// allocWorld is an ensemble of Peers on links and disks that themselves allocate nothing once they are
// warm, so that what a test counts is what the Peers allocate. One turn of the world moves every batch
// one stage on: there is no loss and no choice.
type allocWorld struct {
	t       testing.TB
	servers []*bareServer
	mail    [][]allocMail // by receiver
	dials   []zab.ServerID
	hung    *bareServer // whose disk does not sync
}

// allocMail is a message on its way, or a notification.
type allocMail struct {
	from int
	msg  *zab.Message
	vote election.Notification
}

func newAllocWorld(t testing.TB, n int, adjust ...func(*quoll.PeerConfig)) *allocWorld {
	w := &allocWorld{t: t, mail: make([][]allocMail, n), dials: make([]zab.ServerID, n)}
	var voters []zab.ServerID
	for i := range n {
		voters = append(voters, zab.ServerID(i+1))
	}
	ensemble, err := zab.NewEnsemble(zab.EnsembleConfig{Voters: voters})
	require.NoError(t, err)
	for i := range n {
		s := &bareServer{close: func(zab.LinkID) { t.Fatal("a link was closed") }}
		s.send = func(env zab.Envelope) {
			to := int(env.Link) - 1 // links are named after who is at the other end
			w.mail[to] = append(w.mail[to], allocMail{from: i, msg: env.Msg})
		}
		s.vote = func(v election.Send) { w.mail[v.To-1] = append(w.mail[v.To-1], allocMail{from: i, vote: v.N}) }
		s.dial = func(leader zab.ServerID) { w.dials[i] = leader }
		w.servers = append(w.servers, s)
		cfg := barePeerConfig(zab.ServerID(i+1), ensemble, uint64(i+1))
		for _, f := range adjust {
			f(&cfg)
		}
		s.start(cfg)
	}
	for i, s := range w.servers {
		for j := range w.servers {
			if j != i {
				s.peer.MeshUp(zab.ServerID(j+1), &s.act)
			}
		}
		s.turn()
	}
	for range 100 {
		w.turn()
		for _, s := range w.servers {
			s.peer.Tick(&s.act)
			s.turn()
		}
	}
	for i, s := range w.servers {
		require.True(t, s.peer.Serving(), "server %d", i+1)
	}
	return w
}

// turn hands over what is on its way, syncs every disk once, and forgets what is on it.
func (w *allocWorld) turn() {
	for i, s := range w.servers {
		if leader := int(w.dials[i]); leader != 0 {
			w.dials[i] = 0
			l := w.servers[leader-1]
			l.peer.LinkUp(zab.LinkID(i+1), zab.ServerID(i+1), false, &l.act)
			l.turn()
			s.peer.LinkUp(zab.LinkID(leader), zab.ServerID(leader), true, &s.act)
			s.turn()
		}
		inbox := w.mail[i]
		w.mail[i] = nil
		for _, m := range inbox {
			if m.msg != nil {
				s.peer.Receive(zab.LinkID(m.from+1), m.msg, &s.act)
			} else {
				s.peer.Notification(zab.ServerID(m.from+1), m.vote, &s.act)
			}
		}
		clear(inbox)
		w.mail[i] = append(inbox[:0], w.mail[i]...)
		s.turn()
		if s == w.hung {
			continue
		}
		s.sync()
		s.turn()
		left := copy(s.log, s.log[s.synced:])
		clear(s.log[left:])
		for i := range s.waiting {
			s.waiting[i].n -= s.synced
		}
		s.log, s.recycled, s.synced = s.log[:left], s.recycled-s.synced, 0
	}
}

// leader returns the server that leads, and one that follows.
func (w *allocWorld) leader() (leads, follows *bareServer) {
	for _, s := range w.servers {
		if s.peer.Zab().Role() == zab.Leading {
			leads = s
		} else {
			follows = s
		}
	}
	return leads, follows
}

// client opens a session on s.
func (w *allocWorld) client(s *bareServer, id session.ConnID) *quoll.Conn {
	c := s.connect(id)
	r := wire.ConnectRequest{TimeoutMs: 60_000}
	s.frame(c, r.Append(nil))
	s.turn()
	for range 20 {
		w.turn()
	}
	require.True(w.t, c.Open())
	c.Out = c.Out[:0]
	return c
}

// allocBatch is the batch of the budgets: as many frames as a connection handles under one hold of the locks.
const allocBatch = 64

// writes returns the frames of a batch of setData of 100 bytes.
func writes(path string) [][]byte {
	frames := make([][]byte, allocBatch)
	for i := range frames {
		frames[i] = request(zab.Xid(i+1), wire.OpSetData, setData(path, string(bytes.Repeat([]byte("x"), 100)), wire.AnyVersion))[wire.LengthSize:]
	}
	return frames
}

// batch sends the frames and runs the world until all are answered.
func (w *allocWorld) batch(s *bareServer, c *quoll.Conn, frames [][]byte) {
	for _, f := range frames {
		s.frame(c, f)
	}
	s.turn()
	for n := 0; !c.Idle(); n++ {
		if n > 20 {
			w.t.Fatal("no answer")
		}
		w.turn()
	}
	c.Out, c.Frames = c.Out[:0], 0
}

// TestWritePathAllocations is the budget of the whole path through the core: client frames on one server, to the
// leader, two followers, and answers. Nothing is allocated for a request, and for a batch only messages and
// blocks: on a follower REQUESTS and its array; on the leader one PROPOSAL and one COMMIT, and now and then a
// block for txns (64 KB) or a larger window; two acks. What the shell adds is in TestServerAllocations.
func TestWritePathAllocations(t *testing.T) {
	w := newAllocWorld(t, 3)
	leader, follower := w.leader()
	for _, test := range []struct {
		what   string
		server *bareServer
		budget float64
	}{{"leader", leader, 6}, {"follower", follower, 8}} {
		c, frames := w.writer(test.server)
		for range 300 {
			w.batch(test.server, c, frames)
		}
		allocs := testing.AllocsPerRun(300, func() { w.batch(test.server, c, frames) })
		require.LessOrEqual(t, allocs, test.budget, "allocations for %d writes of clients of the %s", allocBatch, test.what)

		watcher := w.client(test.server, session.ConnID(len(test.server.conns)+1))
		test.server.frame(watcher, request(1, wire.OpAddWatch, persistentWatch(znodeOf(c)))[wire.LengthSize:])
		round := func() {
			w.batch(test.server, c, frames)
			if watcher.Frames != allocBatch {
				t.Fatal("events are missing")
			}
			watcher.Out, watcher.Frames = watcher.Out[:0], 0
		}
		watcher.Out, watcher.Frames = watcher.Out[:0], 0
		round()
		require.LessOrEqual(t, testing.AllocsPerRun(100, round), test.budget, "with a watcher that is told of each")
	}
}

func persistentWatch(path string) func([]byte) []byte {
	r := wire.AddWatchRequest{Path: []byte(path)}
	return r.Append
}

func znodeOf(c *quoll.Conn) string { return fmt.Sprintf("/of-%d", c.Session) }

// writer opens a session on s that has a znode to write, and returns a batch for it.
func (w *allocWorld) writer(s *bareServer) (*quoll.Conn, [][]byte) {
	c := w.client(s, session.ConnID(len(s.conns)+1))
	w.batch(s, c, [][]byte{request(1, wire.OpCreate, create(znodeOf(c), "", wire.Persistent))[wire.LengthSize:]})
	return c, writes(znodeOf(c))
}

func BenchmarkWritePath(b *testing.B) {
	w := newAllocWorld(b, 3)
	_, s := w.leader()
	c, frames := w.writer(s)
	b.ReportAllocs()
	for b.Loop() {
		w.batch(s, c, frames)
	}
}

// serverWriter is a client that sends one batch after the other and allocates nothing for it.
type serverWriter struct {
	*rawConn
	batch []byte
	heads [wire.LengthSize]byte
	body  []byte
}

func (e *ensemble) writer(i int) *serverWriter {
	c := e.session(i)
	path := fmt.Sprintf("/of-%d", c.session)
	c.does(1, wire.OpCreate, create(path, "", wire.Persistent))
	w := &serverWriter{rawConn: c, body: make([]byte, 1<<10)}
	require.NoError(e.t, c.nc.SetReadDeadline(time.Time{}))
	for _, f := range writes(path) {
		w.batch = append(w.batch, frame(f)...)
	}
	return w
}

// round sends a batch and takes its answers.
func (w *serverWriter) round() error {
	if _, err := w.nc.Write(w.batch); err != nil {
		return err
	}
	for range allocBatch {
		if _, err := io.ReadFull(w.nc, w.heads[:]); err != nil {
			return err
		}
		if _, err := io.ReadFull(w.nc, w.body[:binary.BigEndian.Uint32(w.heads[:])]); err != nil {
			return err
		}
	}
	return nil
}

// TestServerAllocations counts what three whole servers in this process allocate for the writes of a client of
// each: connections, loops, logs, links and all. It is less than one on each server: what is allocated is allocated
// for a batch. How many make a batch is the scheduler's choice, so the budget has room.
func TestServerAllocations(t *testing.T) {
	inEnsemble(t, 3, 0, nil, func(e *ensemble) {
		writers := []*serverWriter{e.writer(0), e.writer(1), e.writer(2)}
		rounds := func(n int) {
			for range n {
				for _, w := range writers {
					require.NoError(t, w.round())
				}
			}
		}
		rounds(100)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		const n = 200
		rounds(n)
		runtime.ReadMemStats(&after)
		writes := float64(n * allocBatch * len(writers))
		allocs := float64(after.Mallocs-before.Mallocs) / writes
		t.Logf("%.2f allocations and %.0f bytes for a write", allocs, float64(after.TotalAlloc-before.TotalAlloc)/writes)
		require.Less(t, allocs, 2.0, "on three servers together, a third of them those of disks and networks in memory")
	})
}

// TestReadsAllocateNothing: what is read goes from the tree into the connection's buffer.
func TestReadsAllocateNothing(t *testing.T) {
	w := newAllocWorld(t, 1)
	s := w.servers[0]
	c, _ := w.writer(s)
	path := znodeOf(c)
	for _, op := range []wire.Op{wire.OpGetData, wire.OpExists, wire.OpGetACL, wire.OpGetChildren, wire.OpGetChildren2} {
		body := plain(path)
		if op == wire.OpGetACL {
			r := wire.PathRequest{Path: []byte(path)}
			body = r.Append
		}
		frame := request(7, op, body)[wire.LengthSize:]
		read := func() {
			c.Out = c.Out[:0]
			s.frame(c, frame)
		}
		read()
		require.NotEmpty(t, c.Out)
		require.Zero(t, testing.AllocsPerRun(100, read), op)
	}
	ping := request(wire.XidPing, wire.OpPing, nil)[wire.LengthSize:]
	require.Zero(t, testing.AllocsPerRun(100, func() {
		c.Out = c.Out[:0]
		s.frame(c, ping)
	}))
}
