package client_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/transport/client"
	"quoll/transport/wire"
)

// echoServer is a TCP server that answers as fast as it can and allocates nothing: every reply is
// an empty OK, and all that a Read brought is answered by one Write.
func echoServer(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go echo(conn)
		}
	}()
	return l.Addr().String()
}

func echo(conn net.Conn) {
	defer conn.Close()
	hello := make([]byte, 49)
	if _, err := io.ReadFull(conn, hello); err != nil {
		return
	}
	welcome := wire.ConnectResponse{TimeoutMs: 10000, SessionID: 1, Password: fakePassword}
	conn.Write(wire.EndFrame(welcome.Append(wire.BeginFrame(nil)), 0))
	in, out := make([]byte, 64<<10), make([]byte, 0, 128<<10)
	fill := 0
	for {
		n, err := conn.Read(in[fill:])
		if err != nil {
			return
		}
		fill += n
		used := 0
		out = out[:0]
		for fill-used >= 12 {
			size := 4 + int(binary.BigEndian.Uint32(in[used:]))
			if fill-used < size {
				break
			}
			out = binary.BigEndian.AppendUint32(out, 16)
			out = append(out, in[used+4:used+8]...)
			out = append(out, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0)
			used += size
		}
		fill = copy(in, in[used:fill])
		if _, err := conn.Write(out); err != nil {
			return
		}
	}
}

// load keeps a fixed number of requests in flight until total were answered, like a closed loop.
type load struct {
	c      *client.Client
	left   int // to send
	due    int // to be answered
	data   []byte
	ended  chan struct{}
	encode func([]byte) []byte
	done   func(client.Reply)
	err    error
}

func newLoad(c *client.Client) *load {
	l := &load{c: c, data: bytes.Repeat([]byte("x"), 100), ended: make(chan struct{}, 1)}
	path := []byte("/load")
	l.encode = func(b []byte) []byte {
		r := wire.SetDataRequest{Path: path, Data: l.data, Version: wire.AnyVersion}
		return r.Append(b)
	}
	l.done = func(r client.Reply) {
		if err := r.Failure(); err != nil {
			l.err = err
		}
		if l.left > 0 {
			l.left--
			l.c.Do(wire.OpSetData, l.encode, l.done)
		}
		if l.due--; l.due == 0 { // the last one: nothing touches l any more
			l.ended <- struct{}{}
		}
	}
	return l
}

// run sends total requests, width at a time.
func (l *load) run(total, width int) {
	l.due, l.left = total+1, max(0, total-width)
	for range min(width, total) {
		l.c.Do(wire.OpSetData, l.encode, l.done)
	}
	l.c.Do(wire.OpPing, nil, l.done) // so that due cannot reach 0 before all were sent
	<-l.ended
}

func dialTCP(t testing.TB, addr string) *client.Client {
	c, err := client.Dial(t.Context(), client.Options{Servers: []string{addr}})
	require.NoError(t, err)
	t.Cleanup(c.Abandon)
	return c
}

// The load generator must not be what is measured: sending, matching and calling back allocate
// nothing per request.
func TestLoadAllocatesNothing(t *testing.T) {
	l := newLoad(dialTCP(t, echoServer(t)))
	l.run(10000, 64) // buffers grow
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const total = 20000
	l.run(total, 64)
	runtime.ReadMemStats(&after)
	require.NoError(t, l.err)
	require.Less(t, after.Mallocs-before.Mallocs, uint64(total/100))
}

func BenchmarkPipeline(b *testing.B) {
	for _, width := range []int{1, 64} {
		b.Run(map[int]string{1: "1", 64: "64"}[width], func(b *testing.B) {
			l := newLoad(dialTCP(b, echoServer(b)))
			l.run(1000, width)
			b.ReportAllocs()
			b.ResetTimer()
			l.run(b.N, width)
			require.NoError(b, l.err)
		})
	}
}
