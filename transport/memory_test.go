package transport_test

import (
	"context"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"quoll/transport"
)

// wire runs f in a bubble with both ends of a connection from host a to host b.
func wire(t *testing.T, f func(t *testing.T, m *transport.Memory, a, b net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := transport.NewMemory()
		l, err := m.Host("b").Listen("b:1")
		require.NoError(t, err)
		a, err := m.Host("a").Dial(t.Context(), "b:1")
		require.NoError(t, err)
		b, err := l.Accept()
		require.NoError(t, err)
		require.NoError(t, l.Close())
		require.Equal(t, a.LocalAddr(), b.RemoteAddr())
		require.Equal(t, "b:1", a.RemoteAddr().String())
		f(t, m, a, b)
		_, _ = a.Close(), b.Close()
	})
}

func TestMemoryCloseDeliversWhatWasWritten(t *testing.T) {
	wire(t, func(t *testing.T, _ *transport.Memory, a, b net.Conn) {
		_, err := a.Write([]byte("last words"))
		require.NoError(t, err)
		require.NoError(t, a.Close())
		require.ErrorIs(t, a.Close(), net.ErrClosed)
		got, err := io.ReadAll(b)
		require.NoError(t, err)
		require.Equal(t, "last words", string(got))
		_, err = b.Write([]byte("x"))
		require.ErrorIs(t, err, syscall.ECONNRESET)
		_, err = a.Read(make([]byte, 1))
		require.ErrorIs(t, err, net.ErrClosed)
		require.ErrorIs(t, a.SetDeadline(time.Now()), net.ErrClosed)
	})
}

func TestMemoryDeadlines(t *testing.T) {
	wire(t, func(t *testing.T, _ *transport.Memory, a, b net.Conn) {
		start := time.Now()
		require.NoError(t, a.SetDeadline(start.Add(time.Second)))
		_, err := a.Read(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Equal(t, time.Second, time.Since(start))
		n, err := a.Write(make([]byte, 1))
		require.Zero(t, n)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)

		require.NoError(t, a.SetDeadline(time.Time{}))
		require.NoError(t, a.SetWriteDeadline(start.Add(2*time.Second)))
		time.AfterFunc(500*time.Millisecond, func() { // a deadline moves under a waiting write
			_ = a.SetWriteDeadline(start.Add(5 * time.Second))
		})
		n, err = a.Write(make([]byte, 1<<20))
		require.Equal(t, 256<<10, n)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Equal(t, 5*time.Second, time.Since(start))
		got := make([]byte, 300<<10)
		n, err = b.Read(got)
		require.NoError(t, err)
		require.Equal(t, 256<<10, n)
	})
}

func TestMemoryPartition(t *testing.T) {
	wire(t, func(t *testing.T, m *transport.Memory, a, b net.Conn) {
		m.Block("a", "b")
		_, err := a.Write([]byte("late"))
		require.NoError(t, err)
		require.NoError(t, a.Close())
		got := make(chan string)
		go func() {
			all, _ := io.ReadAll(b)
			got <- string(all)
		}()
		time.Sleep(time.Hour)
		select {
		case s := <-got:
			t.Fatalf("%q passed a partition", s)
		default:
		}
		m.Unblock("a", "b")
		require.Equal(t, "late", <-got)
	})
}

func TestMemoryBreakAfter(t *testing.T) {
	wire(t, func(t *testing.T, m *transport.Memory, a, b net.Conn) {
		m.BreakAfter("a", "b", 5)
		n, err := a.Write([]byte("0123456789"))
		require.Equal(t, 5, n)
		require.ErrorIs(t, err, syscall.ECONNRESET)
		got, err := io.ReadAll(b)
		require.Equal(t, "01234", string(got))
		require.ErrorIs(t, err, syscall.ECONNRESET)
	})
}

func TestMemoryDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := transport.NewMemory()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := m.Host("a").Dial(ctx, "b:1")
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		m.Partition("a", "b")
		_, err = m.Host("a").Dial(ctx, "b:1")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		_, err = m.Host("a").Dial(ctx, "nonsense")
		require.Error(t, err)

		l, err := m.Host("a").Listen("a:1")
		require.NoError(t, err)
		_, err = m.Host("a").Listen("a:1")
		require.ErrorIs(t, err, syscall.EADDRINUSE)
		_, err = m.Host("a").Listen("b:1")
		require.ErrorIs(t, err, syscall.EADDRNOTAVAIL)
		conn, err := m.Host("a").Dial(t.Context(), "a:1")
		require.NoError(t, err)
		require.NoError(t, l.Close())
		_, err = conn.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF, "nobody accepted it")
		_, err = l.Accept()
		require.ErrorIs(t, err, net.ErrClosed)
	})
}
