package transport

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"time"
)

// Network is where connections come from: TCP in production, a host of a Memory in tests.
type Network interface {
	// Listen binds addr ("host:port") at once, or says why it cannot.
	Listen(addr string) (net.Listener, error)
	// Dial connects to addr, resolving its name anew each time, until ctx ends.
	Dial(ctx context.Context, addr string) (net.Conn, error)
}

// keepAlive finds a peer that went away without a word on a link that is idle, which only a link
// kept while an election runs can be: within half a minute the kernel reports it.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 4}

// TCP is the real network. Its connections have TCP_NODELAY (Go's default, on which the latency of
// a lone proposal depends) and keep-alive.
type TCP struct{}

// Listen binds a TCP port.
func (TCP) Listen(addr string) (net.Listener, error) {
	lc := net.ListenConfig{KeepAliveConfig: keepAlive}
	return lc.Listen(context.Background(), "tcp", addr)
}

// Dial opens a TCP connection.
func (TCP) Dial(ctx context.Context, addr string) (net.Conn, error) {
	d := net.Dialer{KeepAliveConfig: keepAlive}
	return d.DialContext(ctx, "tcp", addr)
}

// ListenAdvice tells what to do about an error of Listen.
func ListenAdvice(err error) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "another process has this port: stop it, or change the address of this server in every configuration"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "this machine does not have that address: correct the address of this server, or listen on all addresses"
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return "the system does not allow this port: use one above 1023, or run with the right to bind it"
	default:
		return "check the address of this server in the configuration"
	}
}

// dialCause sorts the errors of a dial, so that each sort is logged once per address and minute.
func dialCause(err error) string {
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.As(err, &dns):
		return "name"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	default:
		return "dial"
	}
}

// now is the package's only look at the clock: socket deadlines are absolute.
func now() time.Time {
	return time.Now()
}

// backoff counts the pauses between attempts: min, doubled up to max, with jitter so that servers
// that failed together do not retry together.
type backoff struct {
	min, max time.Duration
	next     time.Duration
}

func (b *backoff) pause() time.Duration {
	d := max(b.next, b.min)
	b.next = min(2*d, b.max)
	return d/2 + rand.N(d/2+1)
}

func (b *backoff) reset() { b.next = 0 }

// sleep waits for d. It reports false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// signal wakes whoever waits on c, a channel of capacity one. A wake-up that is already waiting is
// enough: the woken goroutine looks at everything that happened before it.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// connSet is the connections that a shutdown has to close.
type connSet struct {
	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]struct{}
}

// add takes conn in; after closeAll it closes it instead and reports false.
func (s *connSet) add(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = conn.Close()
		return false
	}
	if s.conns == nil {
		s.conns = map[net.Conn]struct{}{}
	}
	s.conns[conn] = struct{}{}
	return true
}

// drop closes conn and forgets it.
func (s *connSet) drop(conn net.Conn) {
	_ = conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
}

// closeAll closes every connection, and those that are still to come.
func (s *connSet) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for conn := range s.conns {
		_ = conn.Close()
	}
}
