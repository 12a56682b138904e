package transport

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// memoryBuffer is what one direction of a Memory connection holds before a Write blocks.
const memoryBuffer = 256 << 10

// Memory is a network inside a process, for tests and for ensembles in one process: buffered FIFO
// connections between named hosts, with deadlines, resets in the middle of a frame and partitions.
// It waits on condition variables and timers only, so it runs inside a testing/synctest bubble.
type Memory struct {
	mu        sync.Mutex
	listeners map[string]*memoryListener
	conns     map[*memoryConn]struct{}
	blocked   map[hostPair]bool // what the first host sends does not reach the second
	unblocked *sync.Cond        // dials that wait for the end of a partition
	dials     int               // gives every dialed connection a local port of its own
}

type hostPair struct{ from, to string }

// NewMemory returns a network without hosts.
func NewMemory() *Memory {
	m := &Memory{
		listeners: map[string]*memoryListener{},
		conns:     map[*memoryConn]struct{}{},
		blocked:   map[hostPair]bool{},
	}
	m.unblocked = sync.NewCond(&m.mu)
	return m
}

// Host returns the network as the named host sees it: addresses that it listens on are
// "name:port", and the controls name it by name.
func (m *Memory) Host(name string) Network { return &memoryHost{m: m, name: name} }

// Break resets every connection between hosts a and b. Bytes under way are lost.
func (m *Memory) Break(a, b string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for c := range m.conns {
		if c.pair() == (hostPair{a, b}) {
			c.out.reset(true)
			c.in.reset(true)
		}
	}
}

// BreakAfter lets n more bytes pass from one host to another on each connection that is open, then
// resets the connection. The bytes arrive first, so a frame can be cut at any byte (zab.md N5).
func (m *Memory) BreakAfter(from, to string, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for c := range m.conns {
		if c.pair() == (hostPair{from, to}) {
			c.out.cut, c.out.cutting = n, true
		}
	}
}

// Block holds back everything that host from sends to host to: bytes, ends of connections and
// dials. Nobody is told, as in a real partition (zab.md N6, N8). Unblock lets all of it arrive.
func (m *Memory) Block(from, to string) { m.setBlocked(true, hostPair{from, to}) }

// Unblock ends Block.
func (m *Memory) Unblock(from, to string) { m.setBlocked(false, hostPair{from, to}) }

// Partition blocks both directions between a and b.
func (m *Memory) Partition(a, b string) { m.setBlocked(true, hostPair{a, b}, hostPair{b, a}) }

// Heal ends Partition.
func (m *Memory) Heal(a, b string) { m.setBlocked(false, hostPair{a, b}, hostPair{b, a}) }

func (m *Memory) setBlocked(blocked bool, pairs ...hostPair) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range pairs {
		m.blocked[p] = blocked
	}
	m.unblocked.Broadcast()
	for c := range m.conns {
		c.in.changed.Broadcast()
		c.out.changed.Broadcast()
	}
}

// Open returns the number of connections between a and b that nobody has closed or reset.
func (m *Memory) Open(a, b string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for c := range m.conns {
		if c.pair() == (hostPair{a, b}) && !c.closed && !c.in.eof && !c.in.broken {
			n++
		}
	}
	return n
}

type memoryHost struct {
	m    *Memory
	name string
}

// Listen takes connections for addr, whose host must be this one.
func (h *memoryHost) Listen(addr string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("listen memory %s: %w", addr, err)
	}
	if host != h.name {
		return nil, fmt.Errorf("listen memory %s on host %s: %w", addr, h.name, syscall.EADDRNOTAVAIL)
	}
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if h.m.listeners[addr] != nil {
		return nil, fmt.Errorf("listen memory %s: %w", addr, syscall.EADDRINUSE)
	}
	l := &memoryListener{m: h.m, addr: addr, changed: sync.NewCond(&h.m.mu)}
	h.m.listeners[addr] = l
	return l, nil
}

// Dial connects to a listener. It waits while either direction is blocked.
func (h *memoryHost) Dial(ctx context.Context, addr string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("dial memory %s: %w", addr, err)
	}
	m := h.m
	stop := context.AfterFunc(ctx, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.unblocked.Broadcast()
	})
	defer stop()
	m.mu.Lock()
	defer m.mu.Unlock()
	for ctx.Err() == nil && (m.blocked[hostPair{h.name, host}] || m.blocked[hostPair{host, h.name}]) {
		m.unblocked.Wait()
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("dial memory %s: %w", addr, ctx.Err())
	}
	l := m.listeners[addr]
	if l == nil {
		return nil, fmt.Errorf("dial memory %s: %w", addr, syscall.ECONNREFUSED)
	}
	m.dials++
	there, back := newMemoryHalf(m), newMemoryHalf(m)
	local := memoryAddr(fmt.Sprintf("%s:d%d", h.name, m.dials))
	dialed := &memoryConn{m: m, host: h.name, peer: host, local: local, remote: memoryAddr(addr), in: back, out: there}
	accepted := &memoryConn{m: m, host: host, peer: h.name, local: memoryAddr(addr), remote: local, in: there, out: back}
	m.conns[dialed], m.conns[accepted] = struct{}{}, struct{}{}
	l.backlog = append(l.backlog, accepted)
	l.changed.Signal()
	return dialed, nil
}

type memoryAddr string

// Network names the kind of address.
func (memoryAddr) Network() string { return "memory" }

// String returns host:port.
func (a memoryAddr) String() string { return string(a) }

type memoryListener struct {
	m       *Memory
	addr    string
	backlog []*memoryConn
	closed  bool
	changed *sync.Cond
}

// Accept waits for a connection.
func (l *memoryListener) Accept() (net.Conn, error) {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	for !l.closed && len(l.backlog) == 0 {
		l.changed.Wait()
	}
	if l.closed {
		return nil, fmt.Errorf("accept memory %s: %w", l.addr, net.ErrClosed)
	}
	c := l.backlog[0]
	l.backlog = l.backlog[1:]
	return c, nil
}

// Close frees the address and resets what nobody has accepted.
func (l *memoryListener) Close() error {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	if l.closed {
		return fmt.Errorf("close memory %s: %w", l.addr, net.ErrClosed)
	}
	l.closed = true
	delete(l.m.listeners, l.addr)
	for _, c := range l.backlog {
		c.close()
	}
	l.changed.Broadcast()
	return nil
}

// Addr returns the address given to Listen.
func (l *memoryListener) Addr() net.Addr { return memoryAddr(l.addr) }

// memoryHalf is one direction of a connection. Memory.mu guards it.
type memoryHalf struct {
	buf     []byte
	eof     bool // the writer closed its end
	gone    bool // the reader closed its end
	broken  bool // reset: what is in buf may still be read, then both ends fail
	cutting bool // reset once cut more bytes were written
	cut     int
	changed *sync.Cond
}

func newMemoryHalf(m *Memory) *memoryHalf { return &memoryHalf{changed: sync.NewCond(&m.mu)} }

func (h *memoryHalf) reset(lose bool) {
	h.broken = true
	if lose {
		h.buf = nil
	}
	h.changed.Broadcast()
}

// memoryConn is one end of a connection. Memory.mu guards what changes in it.
type memoryConn struct {
	m             *Memory
	host, peer    string
	local, remote memoryAddr
	in, out       *memoryHalf
	closed        bool
	read, write   memoryDeadline
}

type memoryDeadline struct {
	at    time.Time
	timer *time.Timer
}

func (d *memoryDeadline) passed() bool { return !d.at.IsZero() && !now().Before(d.at) }

func (c *memoryConn) pair() hostPair { return hostPair{c.host, c.peer} }

func (c *memoryConn) fault(op string, err error) error {
	return &net.OpError{Op: op, Net: "memory", Source: c.local, Addr: c.remote, Err: err}
}

// Read takes what has arrived, at least one byte.
func (c *memoryConn) Read(p []byte) (int, error) {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	for {
		arrives := !c.m.blocked[hostPair{c.peer, c.host}]
		switch {
		case c.closed:
			return 0, c.fault("read", net.ErrClosed)
		case c.read.passed():
			return 0, c.fault("read", os.ErrDeadlineExceeded)
		case len(p) == 0:
			return 0, nil
		case arrives && len(c.in.buf) > 0:
			n := copy(p, c.in.buf)
			c.in.buf = c.in.buf[n:]
			c.in.changed.Broadcast()
			return n, nil
		case c.in.broken:
			return 0, c.fault("read", syscall.ECONNRESET)
		case arrives && c.in.eof:
			return 0, io.EOF
		}
		c.in.changed.Wait()
	}
}

// Write queues all of p, waiting while the other end has not made room.
func (c *memoryConn) Write(p []byte) (int, error) {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	written := 0
	for {
		room := memoryBuffer - len(c.out.buf)
		switch {
		case c.closed:
			return written, c.fault("write", net.ErrClosed)
		case c.write.passed():
			return written, c.fault("write", os.ErrDeadlineExceeded)
		case c.out.broken, c.out.gone && !c.m.blocked[hostPair{c.peer, c.host}]:
			return written, c.fault("write", syscall.ECONNRESET)
		case written == len(p):
			return written, nil
		case room > 0:
			written += c.push(p[written:min(len(p), written+room)])
			continue
		}
		c.out.changed.Wait()
	}
}

// push moves bytes into the outgoing half, up to the place where the connection is to be cut.
func (c *memoryConn) push(p []byte) int {
	if c.out.cutting {
		p = p[:min(len(p), c.out.cut)]
		c.out.cut -= len(p)
	}
	c.out.buf = append(c.out.buf, p...)
	if c.out.cutting && c.out.cut == 0 {
		c.out.reset(false)
		c.in.reset(true)
	}
	c.out.changed.Broadcast()
	return len(p)
}

// Close ends both directions. What was written still arrives.
func (c *memoryConn) Close() error {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	if c.closed {
		return c.fault("close", net.ErrClosed)
	}
	c.close()
	return nil
}

func (c *memoryConn) close() {
	c.closed = true
	c.out.eof, c.in.gone = true, true
	c.read.stop()
	c.write.stop()
	c.in.changed.Broadcast()
	c.out.changed.Broadcast()
	delete(c.m.conns, c)
}

// LocalAddr returns the address of this end.
func (c *memoryConn) LocalAddr() net.Addr { return c.local }

// RemoteAddr returns the address of the other end.
func (c *memoryConn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline sets both deadlines.
func (c *memoryConn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// SetReadDeadline also moves the deadline of a Read that is waiting.
func (c *memoryConn) SetReadDeadline(t time.Time) error { return c.setDeadline(&c.read, c.in, t) }

// SetWriteDeadline also moves the deadline of a Write that is waiting.
func (c *memoryConn) SetWriteDeadline(t time.Time) error { return c.setDeadline(&c.write, c.out, t) }

// setDeadline arms a timer that only wakes the waiters: they compare the clock themselves, so a
// timer that is late for a deadline that moved does no harm.
func (c *memoryConn) setDeadline(d *memoryDeadline, h *memoryHalf, t time.Time) error {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	if c.closed {
		return c.fault("set", net.ErrClosed)
	}
	d.stop()
	d.at = t
	if !t.IsZero() {
		d.timer = time.AfterFunc(t.Sub(now()), func() {
			c.m.mu.Lock()
			defer c.m.mu.Unlock()
			h.changed.Broadcast()
		})
	}
	h.changed.Broadcast()
	return nil
}

func (d *memoryDeadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
	}
}
