package quoll_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll"
	"quoll/session"
	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/zab"
)

// greetMany opens n sessions.
func (s *bareServer) greetMany(tb testing.TB, n int) []*quoll.Conn {
	tb.Helper()
	hello := wire.ConnectRequest{TimeoutMs: 1000, Password: make([]byte, wire.PasswordSize)}
	conns := make([]*quoll.Conn, n)
	for i := range conns {
		conns[i] = s.connect(session.ConnID(i + 1))
		s.frame(conns[i], hello.Append(nil))
	}
	s.turn()
	s.settle()
	for _, c := range conns {
		require.True(tb, c.Open())
		c.Out = nil
	}
	return conns
}

// body is a frame as Handle takes it.
func body(op wire.Op, encode func([]byte) []byte) []byte {
	return request(1, op, encode)[wire.LengthSize:]
}

// The sessions of a machine that died do not all end in one turn, and none is left.
func TestExpiryInParts(t *testing.T) {
	const sessions, most = 1000, 100
	s := serveAlone(t)
	s.greetMany(t, sessions)
	ended := 0
	for tick := 0; s.peer.Tree().SessionCount() > 0; tick++ {
		require.Less(t, tick, 1000)
		before := len(s.log)
		s.peer.Tick(&s.act)
		s.turn()
		proposed := len(s.log) - before
		require.LessOrEqual(t, proposed, most)
		ended += proposed
		s.settle()
	}
	require.Equal(t, sessions, ended)
}

// listing is a server with a family of n children below /f. Lists of five are long for it.
func listing(tb testing.TB, n int) (s *bareServer, c *quoll.Conn) {
	tb.Helper()
	s = serveAlone(tb)
	c = s.greetMany(tb, 1)[0]
	s.do(c, wire.OpCreate, create("/f", "", wire.Persistent))
	for i := range n {
		s.frame(c, body(wire.OpCreate, create(fmt.Sprintf("/f/n%08d", i), "", wire.Persistent)))
		if i%1000 == 0 {
			s.turn()
			s.settle()
		}
	}
	s.turn()
	s.settle()
	c.Out = c.Out[:0]
	return s, c
}

// do performs a write to its end.
func (s *bareServer) do(c *quoll.Conn, op wire.Op, encode func([]byte) []byte) {
	s.frame(c, body(op, encode))
	s.turn()
	s.settle()
}

// said takes what a client reads next and splits it into frames.
func (s *bareServer) said(tb testing.TB, c *quoll.Conn) (frames []wire.ReplyHeader, bodies []jute.Decoder) {
	tb.Helper()
	for all := s.reads(c); len(all) > 0; {
		n, ok := wire.FrameLength([wire.LengthSize]byte(all), 1<<30)
		require.True(tb, ok && len(all) >= wire.LengthSize+n)
		d := jute.NewDecoder(all[wire.LengthSize : wire.LengthSize+n])
		var h wire.ReplyHeader
		h.Decode(&d)
		frames, bodies = append(frames, h), append(bodies, d)
		all = all[wire.LengthSize+n:]
	}
	return frames, bodies
}

// A long list is that of the moment when it was asked for, whenever it is written; what the client is
// told meanwhile comes behind it, its watch included.
func TestLongListKeepsItsPlace(t *testing.T) {
	s, c := listing(t, 5)
	other := s.connect(2)
	hello := wire.ConnectRequest{TimeoutMs: 1000, Password: make([]byte, wire.PasswordSize)}
	s.frame(other, hello.Append(nil))
	s.turn()
	s.settle()
	list := wire.PathWatchRequest{Path: []byte("/f"), Watch: true}
	s.frame(c, body(wire.OpGetChildren2, list.Append))
	require.True(t, c.Waits())
	s.do(other, wire.OpDelete, deletion("/f/n00000002", wire.AnyVersion))
	s.do(other, wire.OpCreate, create("/f/new", "", wire.Persistent))
	s.frame(c, body(wire.OpSetData, setData("/f", "d", wire.AnyVersion)))
	s.frame(c, body(wire.OpGetChildren, list.Append)) // waits behind the write
	s.turn()
	s.settle()
	heads, bodies := s.said(t, c)
	require.Len(t, heads, 4)
	require.Equal(t, wire.XidNotification, heads[1].Xid)
	var first wire.Children2Response
	first.Decode(&bodies[0])
	require.NoError(t, bodies[0].Err())
	require.ElementsMatch(t, []string{"n00000000", "n00000001", "n00000002", "n00000003", "n00000004"}, first.Children)
	require.EqualValues(t, 5, first.Stat.NumChildren)
	var second wire.ChildrenResponse
	second.Decode(&bodies[3])
	require.NoError(t, bodies[3].Err())
	require.ElementsMatch(t, []string{"n00000000", "n00000001", "n00000003", "n00000004", "new"}, second.Children)
	require.False(t, c.Waits())
	require.Zero(t, s.views.Live())
}

// While the tree waits nothing is encoded that grows with the family.
func TestLongListHoldsNothing(t *testing.T) {
	s, c := listing(t, 2000)
	list := wire.PathWatchRequest{Path: []byte("/f")}
	frame := body(wire.OpGetChildren2, list.Append)
	s.frame(c, frame)
	require.Less(t, len(c.Out), 200)
	require.Greater(t, c.Unread(), 20_000)
	heads, bodies := s.said(t, c)
	require.Len(t, heads, 1)
	var r wire.Children2Response
	r.Decode(&bodies[0])
	require.NoError(t, bodies[0].Err())
	require.Len(t, r.Children, 2000)
}

// A client that is gone, or is given up, leaves no view behind.
func TestLongListOfClientThatIsGone(t *testing.T) {
	s, c := listing(t, 5)
	list := wire.PathWatchRequest{Path: []byte("/f")}
	for range 2 {
		s.frame(c, body(wire.OpGetChildren, list.Append))
	}
	require.Equal(t, 1, s.views.Live())
	out := s.peer.Take(c, nil)
	require.NotEmpty(t, out.Next())
	require.Equal(t, 1, s.views.Live())
	out.Drop()
	require.Zero(t, s.views.Live())

	s.frame(c, body(wire.OpGetChildren, list.Append))
	c.Out = nil // as who reads nothing is given up
	heads, _ := s.said(t, c)
	require.Empty(t, heads)
	require.Zero(t, s.views.Live())

	s.frame(c, body(wire.OpGetChildren, list.Append))
	s.peer.Drop(c)
	require.Zero(t, s.views.Live())
}

// Over sockets, with writers and other readers beside it: the names of a list are those that its stat counts.
func TestLongListsBesideWrites(t *testing.T) {
	inEnsemble(t, 1, 0, nil, func(e *ensemble) {
		c, writer := e.session(0), e.session(0)
		writer.does(1, wire.OpCreate, create("/f", "", 0))
		xid := zab.Xid(2)
		change := func(op wire.Op, first, last int) {
			var ops []wire.MultiOp
			for i := first; i < last; i++ {
				ops = append(ops, wire.MultiOp{Op: op, Path: fmt.Appendf(nil, "/f/n%d", i), ACL: wire.OpenACL, Version: wire.AnyVersion})
			}
			writer.does(xid, wire.OpMulti, multi(ops...))
			xid++
		}
		for i := range quoll.DefaultListMost / 1000 {
			change(wire.OpCreate, 1000*i, 1000*i+1000)
		}
		for i := range zab.Xid(10) {
			c.say(request(i+1, wire.OpGetChildren2, plain("/f")))
			change(wire.OpCreate, 100_000+100*int(i), 100_100+100*int(i))
			if i%2 == 1 {
				change(wire.OpDelete, 100*int(i), 100*int(i)+100)
			}
			a := c.reply()
			require.Equal(t, i+1, a.Xid)
			d := jute.NewDecoder(a.body)
			var r wire.Children2Response
			r.Decode(&d)
			require.NoError(t, d.Err())
			require.Len(t, r.Children, int(r.Stat.NumChildren))
			require.GreaterOrEqual(t, len(r.Children), quoll.DefaultListMost)
			require.Zero(t, len(r.Children)%100, "of every multi all or nothing")
		}
	})
}

// Telling somebody of a change costs no memory but that of the buffer it goes into.
func TestEventAllocatesNothing(t *testing.T) {
	s := serveAlone(t)
	c := s.greetMany(t, 1)[0]
	path := []byte("/some/path/that/is/watched")
	require.Zero(t, testing.AllocsPerRun(100, func() {
		c.Out = c.Out[:0]
		s.peer.Event(c, wire.EventNodeDataChanged, path, 1, wire.OpenACL)
	}))
	require.NotEmpty(t, c.Out)
}

// The end of a session costs few pieces of memory, however many ephemerals go with it, as long as nobody
// watches them.
func TestCloseSessionAllocatesLittle(t *testing.T) {
	s := serveAlone(t)
	c := s.greetMany(t, 1)[0]
	for i := range 1000 {
		s.do(c, wire.OpCreate, create(fmt.Sprintf("/e%d", i), "", wire.Ephemeral))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	s.do(c, wire.OpCloseSession, nil)
	runtime.ReadMemStats(&after)
	require.True(t, c.Close)
	require.Less(t, after.Mallocs-before.Mallocs, uint64(200))
}

// BenchmarkFire is one change of a znode that so many connections watch, without their sockets.
func BenchmarkFire(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := serveAlone(b)
			conns := s.greetMany(b, n)
			get := wire.PathWatchRequest{Path: []byte("/"), Watch: true}
			watch := body(wire.OpGetData, get.Append)
			set := body(wire.OpSetData, setData("/", "d", wire.AnyVersion))
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				b.StopTimer()
				for _, c := range conns {
					s.peer.Handle(c, watch)
					c.Out = nil
				}
				s.frame(conns[0], set)
				b.StartTimer()
				s.turn()
				s.settle()
			}
		})
	}
}

// BenchmarkCloseSession ends a session of so many ephemerals, from its frame to its reply.
func BenchmarkCloseSession(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := serveAlone(b)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				b.StopTimer()
				c := s.greetMany(b, 1)[0]
				for i := range n {
					s.frame(c, body(wire.OpCreate, create(fmt.Sprintf("/e%08d", i), "", wire.Ephemeral)))
					if i%1000 == 0 {
						s.turn()
						s.settle()
					}
				}
				s.turn()
				s.settle()
				c.Out = nil
				end := body(wire.OpCloseSession, nil)
				b.StartTimer()
				s.frame(c, end)
				s.turn()
				s.settle()
				require.True(b, c.Close)
			}
		})
	}
}

// BenchmarkList lists so many children: the part that the tree waits for, and all of it.
func BenchmarkList(b *testing.B) {
	for _, n := range []int{1000, 1_000_000} {
		s, c := listing(b, n)
		list := wire.PathWatchRequest{Path: []byte("/f")}
		frame := body(wire.OpGetChildren, list.Append)
		b.Run(fmt.Sprintf("%d/held", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.peer.Handle(c, frame)
				out := s.peer.Take(c, nil)
				out.Drop()
			}
		})
		b.Run(fmt.Sprintf("%d/all", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.peer.Handle(c, frame)
				out := s.peer.Take(c, nil)
				for len(out.Next()) > 0 {
				}
			}
		})
	}
}
