package quoll_test

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll"
	"quoll/session"
	"quoll/transport/jute"
	"quoll/transport/wire"
)

// hello opens a session, or goes on with the one of another connection.
func (s *bareServer) hello(id session.ConnID, of *quoll.Conn) *quoll.Conn {
	c := s.connect(id)
	req := wire.ConnectRequest{TimeoutMs: 400}
	if of != nil {
		req.SessionID, req.Password = of.Session, of.Password[:]
	}
	s.frame(c, req.Append(nil))
	return c
}

// A write is a sign of life where the leader sees it, whether or not its server has reported yet (R25):
// a session whose writes are acknowledged must not expire between two reports.
func TestWriteIsASignOfLife(t *testing.T) {
	s := serveAlone(t)
	c := s.hello(1, nil)
	s.settle()
	require.True(t, c.Open())
	for n := range 10 {
		for range 30 { // of the 40 ticks that the session lives
			s.peer.Tick(&s.act)
			s.turn()
			s.settle()
		}
		require.False(t, c.Close, "expired after write %d", n)
		s.frame(c, request(1, wire.OpSetData, setData("/", "alive", -1))[wire.LengthSize:])
		s.settle()
	}
	for range 100 {
		s.peer.Tick(&s.act)
		s.turn()
		s.settle()
	}
	require.True(t, c.Close, "who says nothing at all expires")
}

// A closeSession that is only proposed may be lost with its leader, so "expired" would be a word too
// early (R25): whoever comes back with the session waits until its end is applied.
func TestSessionIsNotOverBeforeItsEndIsCommitted(t *testing.T) {
	s := serveAlone(t)
	c := s.hello(1, nil)
	s.settle()
	s.frame(c, request(1, wire.OpCloseSession, nil)[wire.LengthSize:])
	s.turn() // proposed, and not on the disk yet

	back := s.hello(2, c)
	s.turn()
	require.True(t, back.Joining())
	require.Empty(t, back.Out)

	s.settle()
	require.True(t, back.Close)
	var resp wire.ConnectResponse
	d := firstFrame(t, back.Out)
	resp.Decode(&d)
	require.NoError(t, d.Err())
	require.Zero(t, resp.SessionID)
}

// A connection whose session is over hears of no change any more, so it must not see one either (R29):
// the reads that waited for this server to serve again stay without an answer.
func TestNoReadAfterTheEndOfTheSession(t *testing.T) {
	s := serveAlone(t)
	c := s.hello(1, nil)
	s.settle()
	for range 100 {
		s.peer.Tick(&s.act)
		s.turn()
		s.settle()
	}
	require.True(t, c.Close)
	c.Out = nil
	s.frame(c, request(1, wire.OpGetData, plain("/"))[wire.LengthSize:])
	require.Empty(t, c.Out)
}

// firstFrame returns what the first frame of out holds.
func firstFrame(t *testing.T, out []byte) jute.Decoder {
	t.Helper()
	require.Greater(t, len(out), wire.LengthSize)
	n := int(binary.BigEndian.Uint32(out))
	require.GreaterOrEqual(t, len(out)-wire.LengthSize, n)
	return jute.NewDecoder(out[wire.LengthSize : wire.LengthSize+n])
}
