// Package network is what lies between the servers of an ensemble under test, and between them and
// their clients, and breaks it: one way or both ways, for a time, slowly or with losses.
//
// There are two kinds. A Switch gives each server a network namespace of its own, and carries packets
// between them itself, so whatever a wire can do to packets, it does, and no server can go around
// it; it needs Linux and root, and nothing of the kernel but namespaces and TUN: no packet
// filter and no netem, which many kernels lack. Proxies need nothing: each server is told addresses of
// the others at which a TCP proxy listens, which holds bytes back. A server that tells others
// its true address, as ZooKeeper's election does, goes around them in part.
//
// What must hold: what is cut stays silent, as a dead wire does: no connection is reset by it; Heal
// undoes everything.
package network

import (
	"math/rand/v2"
	"sync"
	"time"
)

// Clients is the endpoint of everybody who is no server.
const Clients = -1

// Network breaks and heals the ways between endpoints: servers, by index, and Clients.
type Network interface {
	// Kind says what it is, for the report.
	Kind() string
	// Host returns the address at which a server listens.
	Host(server int) string
	// Within returns the command that runs command as the given server.
	Within(server int, command []string) []string
	// Via returns the address at which from reaches what server to has at address.
	Via(from, to int, address string) (string, error)
	// Cut stops everything from one endpoint to another, silently.
	Cut(from, to int)
	// Shape delays everything from one endpoint to another by delay and up to jitter more, and loses
	// a share of the packets, where there are packets.
	Shape(from, to int, delay, jitter time.Duration, loss float64)
	// Heal undoes every Cut and Shape.
	Heal()
	// Close takes everything away that the network has set up.
	Close() error
}

// way is what befalls what goes from one endpoint to another.
type way struct {
	cut           bool
	delay, jitter time.Duration
	loss          float64
}

// ways are those between all endpoints. The zero value is of no use: newWays.
type ways struct {
	mu  sync.Mutex
	n   int // endpoints; servers come first, Clients last
	all []way
	rnd *rand.Rand
}

func newWays(servers int) *ways {
	n := servers + 1
	return &ways{n: n, all: make([]way, n*n), rnd: rand.New(rand.NewPCG(1, uint64(servers)))}
}

func (w *ways) at(from, to int) *way {
	return &w.all[(from+w.n)%w.n*w.n+(to+w.n)%w.n]
}

// Cut implements Network.
func (w *ways) Cut(from, to int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at(from, to).cut = true
}

// Shape implements Network.
func (w *ways) Shape(from, to int, delay, jitter time.Duration, loss float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	x := w.at(from, to)
	x.delay, x.jitter, x.loss = delay, jitter, loss
}

// Heal implements Network.
func (w *ways) Heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.all)
}

// fate decides about a packet: lost, or how late it comes.
func (w *ways) fate(from, to int) (lost bool, late time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	x := w.at(from, to)
	if x.cut || x.loss > 0 && w.rnd.Float64() < x.loss {
		return true, 0
	}
	late = x.delay
	if x.jitter > 0 {
		late += time.Duration(w.rnd.Int64N(int64(x.jitter)))
	}
	return false, late
}
