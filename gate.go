package quoll

import (
	"sync"
	"sync/atomic"
	"time"
)

// gate holds back the requests of clients while there is no leader. Clients stay connected and their
// requests stay in the socket: nothing is queued twice.
type gate struct {
	isOpen atomic.Bool // fast path
	mu     sync.Mutex
	opened chan struct{} // closed when the gate opens
	shut   bool          // for ever
}

func (g *gate) init() { g.opened = make(chan struct{}) }

// set opens or closes the gate; only the loop calls it.
func (g *gate) set(open bool) {
	if g.isOpen.Load() == open {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		return
	}
	g.isOpen.Store(open)
	if open {
		close(g.opened)
	} else {
		g.opened = make(chan struct{})
	}
}

// close shuts the gate for ever and lets everybody who waits go on to find it shut.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.isOpen.Load() && !g.shut {
		close(g.opened)
	}
	g.shut = true
	g.isOpen.Store(false)
}

// pass waits until the gate is open. It reports false when it did not open in time or never will.
func (g *gate) pass(patience time.Duration, gone <-chan struct{}) bool {
	if g.isOpen.Load() {
		return true
	}
	g.mu.Lock()
	opened := g.opened
	g.mu.Unlock()
	t := time.NewTimer(patience)
	defer t.Stop()
	for {
		select {
		case <-opened:
		case <-gone:
			return false
		case <-t.C:
			return false
		}
		g.mu.Lock()
		again, shut := g.opened, g.shut
		g.mu.Unlock()
		if shut {
			return false
		}
		if g.isOpen.Load() {
			return true
		}
		opened = again
	}
}
