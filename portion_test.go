package quoll

import (
	"context"
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

func awake(conns []*clientConn) (n int) {
	for _, c := range conns {
		n += len(c.wake)
	}
	return n
}

// Many who are told of the same are not all woken at once; who is answered is, told or not.
func TestCrowdIsWokenInParts(t *testing.T) {
	var table clientTable
	table.init()
	conns := make([]*clientConn, 10*wakeAtOnce)
	for i := range conns {
		conns[i] = &clientConn{wake: make(chan struct{}, 1)}
		table.tell(conns[i])
	}
	answered := conns[len(conns)-1]
	table.dirty(answered)
	table.tell(answered)
	table.wake()
	require.Equal(t, 1, awake(conns))
	require.Len(t, answered.wake, 1)
	require.Len(t, table.crowd.waiting, len(conns)-1)
	require.Len(t, table.crowd.next(), wakeAtOnce)

	// The others come in time.
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		table.crowd.run(ctx)
		close(ended)
	}()
	for _, c := range conns[wakeAtOnce:] {
		<-c.wake
	}
	cancel()
	<-ended

	// Few are woken by the loop itself, and nobody is listed twice.
	for range 2 {
		for _, c := range conns[:wakeAtOnce] {
			table.tell(c)
		}
		table.wake()
		require.Equal(t, wakeAtOnce, awake(conns))
	}
}
