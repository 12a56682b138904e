package quoll

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/zab"
)

// However much is committed at once, readers are kept out for a bounded part of it, and never in the
// middle of a txn.
func TestPortion(t *testing.T) {
	small := make([]zab.Txn, 10_000)
	for i := range small {
		small[i].Data = make([]byte, 200)
	}
	require.Equal(t, applyBytes/200, portion(small))
	require.Equal(t, 3, portion(small[:3]))
	large := []zab.Txn{{Data: make([]byte, 1<<20)}, {Data: make([]byte, 10)}}
	require.Equal(t, 1, portion(large))
	require.Equal(t, 1, portion(large[1:]))
	require.Equal(t, 2, portion([]zab.Txn{large[1], large[1], large[0]}))
}

// Many who are told of the same make nobody wait who is answered, and are not left for ever: of each list one comes
// in its turn. Nobody is in a list twice.
func TestCrowdComesBehindAnswers(t *testing.T) {
	s := &Server{}
	s.clients.init()
	s.outbox.init(2)
	conns := make([]*clientConn, 10_000)
	for i := range conns {
		conns[i] = &clientConn{}
	}
	for range 2 {
		for _, c := range conns {
			s.clients.tell(c)
		}
		s.wake()
	}
	answered := conns[len(conns)-10:]
	for _, c := range answered {
		s.clients.dirty(c)
		s.clients.tell(c)
		s.clients.dirty(c)
	}
	s.wake()
	require.Len(t, s.outbox.wake, 2, "all writers are awake, and no token is left over")
	var order []*clientConn
	for c := s.outbox.next(); c != nil; c = s.outbox.next() {
		order = append(order, c)
	}
	require.Len(t, order, len(conns)+len(answered), "who was told and answered is in both lists")
	for i, c := range answered {
		require.Same(t, c, order[i+i/answersPerEvent])
	}
	require.Same(t, conns[0], order[answersPerEvent])
	for _, c := range conns {
		require.Zero(t, c.listed.Load())
	}
	s.clients.tell(conns[0]) // once written to, it can be listed again
	s.wake()
	require.Same(t, conns[0], s.outbox.next())
	require.Nil(t, s.outbox.next())
}
