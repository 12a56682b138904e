package quoll_test

import (
	"context"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quoll"
	"quoll/log/vfs"
	"quoll/transport/wire"
	"quoll/zab"
)

// onSockets starts a server that stands alone, for clients that come over the system's sockets, and
// returns what connects a client with a session.
func onSockets(t *testing.T) (session func() *rawConn) {
	t.Helper()
	s, err := quoll.Start(t.Context(), quoll.Config{
		DataDir: "/data", ClientAddress: "127.0.0.1:0", FS: vfs.NewMem(), PreAllocSize: 1 << 20, MaxClientCnxns: -1,
		MaxSessionTimeout: 10 * time.Minute,
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Shutdown(context.Background())) })
	require.NoError(t, s.AwaitServing(t.Context()))
	return func() *rawConn {
		nc, err := net.Dial("tcp", s.ClientAddr())
		require.NoError(t, err)
		t.Cleanup(func() { nc.Close() })
		c := &rawConn{t: t, nc: nc}
		c.greet(wire.ConnectRequest{TimeoutMs: 600_000, HasReadOnly: true})
		require.NotZero(t, c.session)
		return c
	}
}

// A session that is idle is one goroutine with the least stack there is, and no buffer: about 5 KB with
// both ends of its connection, which are in this process. The race detector makes stacks larger by 2 KB.
func TestIdleSessionIsSmall(t *testing.T) {
	const warmup, sessions, budget = 500, 1000, 9 << 10
	session := onSockets(t)
	conns := make([]*rawConn, warmup, warmup+sessions)
	for i := range conns {
		conns[i] = session()
	}
	goroutines, before := runtime.NumGoroutine(), memoryInUse()
	for range sessions {
		conns = append(conns, session())
	}
	for runtime.NumGoroutine() > goroutines+sessions {
		runtime.Gosched() // a reader that has left its connection to the next is there for a moment
	}
	require.Equal(t, goroutines+sessions, runtime.NumGoroutine())
	each := (memoryInUse() - before) / sessions
	t.Logf("%d bytes for each session, with the client's end", each)
	require.Less(t, each, budget)
	runtime.KeepAlive(conns)
}

// memoryInUse is what is reachable and the stacks. The second collection is for what the first one
// only took out of pools.
func memoryInUse() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}

// Clients that do not take their answers hold up nobody else, however few goroutines write, and get
// all of them in order when they do.
func TestSlowClientsHoldUpNobody(t *testing.T) {
	const reads, size = 200, 1 << 16
	session := onSockets(t)
	other := session()
	data := strings.Repeat("x", size)
	other.does(1, wire.OpCreate, create("/large", data, 0))
	other.does(2, wire.OpCreate, create("/small", "", 0))
	slow := make([]*rawConn, runtime.GOMAXPROCS(0)+2)
	for i := range slow {
		slow[i] = session()
		// The loop answers the write, and the reads that wait behind it.
		batch := [][]byte{request(1, wire.OpSetData, setData("/large", data, -1))}
		for n := range reads {
			batch = append(batch, request(zab.Xid(n+2), wire.OpGetData, plain("/large")))
		}
		slow[i].say(batch...)
	}
	for n := range 100 {
		other.does(zab.Xid(1000+n), wire.OpSetData, setData("/small", "", -1))
	}
	for _, c := range slow {
		require.Equal(t, zab.Xid(1), c.reply().Xid)
		for n := range reads {
			a := c.reply()
			require.Equal(t, zab.Xid(n+2), a.Xid)
			got, _ := dataOf(t, a.body)
			require.Len(t, got, size)
		}
		c.does(1000, wire.OpExists, plain("/large"))
	}
}
