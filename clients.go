package quoll

import (
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"quoll/session"
	"quoll/zab"
)

// clientTable knows the client connections of this server.
type clientTable struct {
	mu       sync.RWMutex
	conns    map[session.ConnID]*clientConn
	sessions map[zab.SessionID]*clientConn
	perIP    map[netip.Addr]int
	next     session.ConnID

	// The rest belongs to the loop.
	dirtied []*clientConn // something was answered
	told    []*clientConn // of an event only
	ids     []zab.SessionID
	until   int
}

func (t *clientTable) init() {
	t.conns = make(map[session.ConnID]*clientConn)
	t.sessions = make(map[zab.SessionID]*clientConn)
	t.perIP = make(map[netip.Addr]int)
}

// add admits a connection, unless there are too many already (maxClientCnxns, maxCnxns).
func (t *clientTable) add(c *clientConn, cfg *Config) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	ip := c.remote.Addr()
	if cfg.MaxClientCnxns > 0 && t.perIP[ip] >= cfg.MaxClientCnxns || cfg.MaxCnxns > 0 && len(t.conns) >= cfg.MaxCnxns {
		return false
	}
	t.next++
	c.ID = t.next
	t.conns[c.ID] = c
	t.perIP[ip]++
	return true
}

func (t *clientTable) remove(c *clientConn) {
	c.mu.Lock()
	id := c.Session
	c.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.conns[c.ID]; !ok {
		return
	}
	delete(t.conns, c.ID)
	if t.sessions[id] == c {
		delete(t.sessions, id)
	}
	ip := c.remote.Addr()
	if t.perIP[ip]--; t.perIP[ip] == 0 {
		delete(t.perIP, ip)
	}
}

func (t *clientTable) count() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.conns)
}

func (t *clientTable) byID(id session.ConnID) *clientConn {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.conns[id]
}

func (t *clientTable) bySession(id zab.SessionID) *clientConn {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.sessions[id]
}

// join enters a connection whose handshake is decided. An older connection of the same session
// is closed: the newest wins (2.4).
func (t *clientTable) join(c *clientConn) {
	c.mu.Lock()
	id, opened := c.Session, c.Open()
	c.mu.Unlock()
	if opened {
		t.mu.Lock()
		old := t.sessions[id]
		if _, here := t.conns[c.ID]; here {
			t.sessions[id] = c
		}
		t.mu.Unlock()
		if old != nil && old != c {
			old.mu.Lock()
			old.finish() // what it has read already must not be handled behind what c sends
			old.mu.Unlock()
			old.close()
		}
	}
	c.joined.Store(true)
	signal(c.news)
}

// all returns the connections in the order in which they came.
func (t *clientTable) all() []*clientConn {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return slices.SortedFunc(maps.Values(t.conns), func(a, b *clientConn) int { return int(a.ID) - int(b.ID) })
}

func (t *clientTable) closeAll() {
	for _, c := range t.all() {
		c.close()
	}
}

// dirty notes that the loop answered something on c, and tell that it told of an event. Server.wake hands both to
// the writers, once per batch.
func (t *clientTable) dirty(c *clientConn) {
	if c.listed.Or(listedAnswered)&listedAnswered == 0 {
		t.dirtied = append(t.dirtied, c)
	}
}

func (t *clientTable) tell(c *clientConn) {
	if c.listed.Load() == 0 {
		c.listed.Or(listedTold)
		t.told = append(t.told, c)
	}
}

// due reports, called once a tick, whether it is time to report who was heard of.
func (t *clientTable) due(every int) bool {
	if t.until--; t.until > 0 {
		return false
	}
	t.until = every
	return true
}

// heard returns the sessions heard from since the last call, and closes connections that were
// silent for longer than their session lives. The slice is reused by the next call.
func (t *clientTable) heard(now time.Time) []zab.SessionID {
	t.ids = t.ids[:0]
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, c := range t.conns {
		if c.heard.Swap(false) || c.held.Load() {
			c.lastTick = now
			c.mu.Lock()
			if c.Open() {
				t.ids = append(t.ids, c.Session)
			}
			c.mu.Unlock()
			continue
		}
		c.mu.Lock()
		timeout := time.Duration(c.TimeoutMs) * time.Millisecond
		silent := c.Open() && c.Idle() && now.Sub(c.lastTick) > timeout
		c.mu.Unlock()
		if silent {
			c.close()
		}
	}
	slices.Sort(t.ids)
	return t.ids
}
