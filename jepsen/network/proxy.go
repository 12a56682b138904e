package network

import (
	"errors"
	"net"
	"sync"
	"time"
)

// Proxies is a Network of TCP proxies on the loopback interface, one for each way to each address. What
// is cut is read and held back, as on a wire that has gone dead; it goes on when the way is healed.
type Proxies struct {
	*ways
	mu        sync.Mutex
	listeners []net.Listener
	conns     map[net.Conn]bool
	closed    bool
	running   sync.WaitGroup
}

// NewProxies returns the network of some servers.
func NewProxies(servers int) *Proxies {
	return &Proxies{ways: newWays(servers), conns: map[net.Conn]bool{}}
}

const loopback = "127.0.0.1"

// Kind implements Network.
func (p *Proxies) Kind() string { return "TCP proxies" }

// Host implements Network.
func (p *Proxies) Host(int) string { return loopback }

// Within implements Network.
func (p *Proxies) Within(_ int, command []string) []string { return command }

// Via implements Network.
func (p *Proxies) Via(from, to int, address string) (string, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	p.listeners = append(p.listeners, l)
	p.mu.Unlock()
	p.running.Go(func() {
		for {
			a, err := l.Accept()
			if err != nil {
				return // it is closed
			}
			p.running.Go(func() { p.serve(a, from, to, address) })
		}
	})
	return l.Addr().String(), nil
}

// keep notes a connection, to be closed with the network, and reports whether that is still open.
func (p *Proxies) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = c.Close()
		return false
	}
	p.conns[c] = true
	return true
}

func (p *Proxies) drop(c net.Conn) {
	_ = c.Close() // what is lost by it is lost
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

// hold is how often a way that is cut is looked at.
const hold = 5 * time.Millisecond

// wait returns when something may go from one endpoint to another; false: the network is closed.
func (p *Proxies) wait(from, to int) bool {
	for {
		lost, late := p.fate(from, to)
		if !lost {
			time.Sleep(late)
			return true
		}
		p.mu.Lock()
		closed := p.closed
		p.mu.Unlock()
		if closed {
			return false
		}
		time.Sleep(hold)
	}
}

// serve joins a connection with one to the server. While the way is cut the other end is not dialed:
// it must not hear of it.
func (p *Proxies) serve(a net.Conn, from, to int, address string) {
	if !p.keep(a) {
		return
	}
	defer p.drop(a)
	if !p.wait(from, to) {
		return
	}
	b, err := net.Dial("tcp", address)
	if err != nil || !p.keep(b) {
		return
	}
	defer p.drop(b)
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.pump(b, a, to, from)
	}()
	p.pump(a, b, from, to)
	<-done
}

// pump carries bytes one way until that ends; then both ways end.
func (p *Proxies) pump(src, dst net.Conn, from, to int) {
	defer func() { _, _ = src.Close(), dst.Close() }()
	b := make([]byte, 64<<10)
	for {
		n, err := src.Read(b)
		if n > 0 {
			if !p.wait(from, to) {
				return
			}
			if _, werr := dst.Write(b[:n]); werr != nil {
				return
			}
		}
		if err != nil {
			_ = p.wait(from, to) // the end comes no sooner than what was before it
			return
		}
	}
}

// Close implements Network.
func (p *Proxies) Close() error {
	p.mu.Lock()
	p.closed = true
	var all []error
	for _, l := range p.listeners {
		all = append(all, l.Close())
	}
	for c := range p.conns {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.running.Wait()
	return errors.Join(all...)
}
