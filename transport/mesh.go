package transport

import (
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"quoll/election"
	"quoll/zab"
)

const (
	defaultHeartbeat = time.Second
	// missedHeartbeats is how many of them may stay away before a connection counts as dead.
	missedHeartbeats = 3
	meshPauseMin     = 10 * time.Millisecond
	meshPauseMax     = time.Second
)

// MeshHandler is told of notifications and of who can be reached. Calls about one server come one
// after the other, calls about different servers at the same time. Until Shutdown returns, calls
// must go on returning.
type MeshHandler interface {
	// Notification hands over what server from says. It may come before MeshUp of that server: it
	// reached us before we reached it.
	Notification(from zab.ServerID, n election.Notification)
	// MeshUp tells that both directions are open: what either side says arrives.
	MeshUp(id zab.ServerID)
	// MeshDown tells that one of them ended.
	MeshDown(id zab.ServerID)
}

// MeshOptions says what a Mesh needs. The zero value of an option that has a default takes it.
type MeshOptions struct {
	Identity  Identity
	Addresses []Address // of every member, this server included
	Network   Network
	Handler   MeshHandler

	// ListenAddr is what to bind; empty is this server's own Address.Election.
	ListenAddr string
	// Heartbeat is how often a connection is probed; three lost ones end it. 0 is 1 s.
	Heartbeat time.Duration
	Logger    *slog.Logger // nil is silent
}

// Mesh connects every member with every other for leader election, and for nothing else.
//
// Each server dials all others and says what it has to say on the connection that it dialed, so
// there are two connections per pair, each with one talker, and no tie to break between dials that
// cross. A peer counts as connected when both are open, ours from its first answer on. Dials to different servers do not wait for
// each other (ZOOKEEPER-2930).
//
// Notifications are newest-wins: a peer's queue holds one, the last, and it is sent again on every
// new connection. So they may be lost, repeated and late, and election copes with that (zab.md 1.8).
//
// The dialer sends a heartbeat at once and per interval, and the other side echoes it. Either side that hears
// nothing for three of them closes, so a half-open connection lasts no longer than that.
type Mesh struct {
	endpoint
	handler   MeshHandler
	heartbeat time.Duration
	beat      []byte // the frame of kindHeartbeat; never changed
	peers     map[zab.ServerID]*meshPeer
}

// StartMesh binds the election port and starts to dial every other member.
func StartMesh(opts MeshOptions) (*Mesh, error) {
	m := &Mesh{
		endpoint: endpoint{
			identity: opts.Identity, channel: channelElection, network: opts.Network, log: newQuietLog(opts.Logger),
			addresses: map[zab.ServerID]string{}, dialTimeout: defaultDialTimeout, handshakeTimeout: defaultHandshakeTimeout,
		},
		handler: opts.Handler, heartbeat: opts.Heartbeat, beat: bare(kindHeartbeat), peers: map[zab.ServerID]*meshPeer{},
	}
	if m.heartbeat == 0 {
		m.heartbeat = defaultHeartbeat
	}
	for _, a := range opts.Addresses {
		m.addresses[a.ID] = a.Election
	}
	if err := m.listen(opts.ListenAddr); err != nil {
		return nil, err
	}
	for id := range m.addresses {
		if id != opts.Identity.Self {
			m.peers[id] = newMeshPeer(m, id)
		}
	}
	for _, p := range m.peers {
		m.wg.Go(p.dial)
	}
	m.wg.Go(func() {
		m.accept(func(conn net.Conn, from zab.ServerID) { m.peers[from].listen(conn) })
	})
	return m, nil
}

// Addr returns the address that is bound.
func (m *Mesh) Addr() net.Addr { return m.listener.Addr() }

// Notify makes n what server to is told, in place of what it was not told yet. It never blocks.
func (m *Mesh) Notify(to zab.ServerID, n election.Notification) {
	if p := m.peers[to]; p != nil {
		p.notify(n)
	}
}

// Shutdown closes the port and every connection and waits until all that the Mesh started has
// ended. MeshDown of every connected server comes before it returns.
func (m *Mesh) Shutdown() { m.shutdown() }

// silence is how long a connection may bring nothing.
func (m *Mesh) silence() time.Duration { return missedHeartbeats * m.heartbeat }

// meshPeer is what the mesh knows of one other server. One goroutine dials it and talks to it, one
// hears the echoes of that connection, one hears the connection that the server dialed.
type meshPeer struct {
	mesh *Mesh
	id   zab.ServerID
	wake chan struct{} // the talker's: unsent became true
	kick chan struct{} // the dialer's: the server is there, dial now

	mu     sync.Mutex
	last   election.Notification
	known  bool // last was set
	unsent bool // last is not on the current connection yet

	listening chan struct{} // a token: held by the one connection that may deliver
	inMu      sync.Mutex
	inbound   *inbound // the newest connection that the server dialed

	reporting chan struct{} // a token: held for a call of the handler, so that up and down alternate
	out, in   bool          // guarded by reporting
	connected bool          // guarded by reporting: what the handler was told
}

// inbound is a connection that the server dialed. One that was replaced is closed.
type inbound struct {
	net.Conn
	replaced chan struct{}
}

func newMeshPeer(m *Mesh, id zab.ServerID) *meshPeer {
	return &meshPeer{
		mesh: m, id: id, wake: make(chan struct{}, 1), kick: make(chan struct{}, 1),
		listening: make(chan struct{}, 1), reporting: make(chan struct{}, 1),
	}
}

func (p *meshPeer) notify(n election.Notification) {
	p.mu.Lock()
	p.last, p.known, p.unsent = n, true, true
	p.mu.Unlock()
	signal(p.wake)
}

// report notes a change of one direction and tells the handler when the server became connected or
// ceased to be.
func (p *meshPeer) report(direction *bool, open bool) {
	p.reporting <- struct{}{}
	defer func() { <-p.reporting }()
	*direction = open
	if both := p.out && p.in; both != p.connected {
		p.connected = both
		if both {
			p.mesh.handler.MeshUp(p.id)
		} else {
			p.mesh.handler.MeshDown(p.id)
		}
	}
}

// dial keeps a connection to the server open.
func (p *meshPeer) dial() {
	m := p.mesh
	pauses := backoff{min: meshPauseMin, max: meshPauseMax}
	for {
		conn, err := m.connect(m.ctx, p.id)
		if err == nil {
			pauses.reset()
			err = p.talk(conn)
			m.conns.drop(conn)
			p.report(&p.out, false)
			m.log.Info("election connection down", "server", p.id, "err", err)
		} else {
			m.logDial(p.id, err)
		}
		if !p.rest(&pauses) {
			return
		}
	}
}

// rest pauses between dials. When the server connects to us it is there, and only the shortest
// pause remains. It reports false at shutdown.
func (p *meshPeer) rest(pauses *backoff) bool {
	ctx := p.mesh.ctx
	t := time.NewTimer(pauses.pause())
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	case <-p.kick:
		pauses.reset()
		return sleep(ctx, pauses.pause())
	}
}

// talk sends notifications and heartbeats until the connection ends.
func (p *meshPeer) talk(conn net.Conn) error {
	m := p.mesh
	ended := make(chan error, 1)
	m.wg.Go(func() { ended <- p.hearEchoes(conn) })
	e := newEncoder()
	frame := m.beat // its echo shows that the server listens
	p.renew()
	beats := time.NewTicker(m.heartbeat)
	defer beats.Stop()
	for {
		if err := writeWithin(conn, frame, m.silence()); err != nil {
			_ = conn.Close()
			return errors.Join(err, <-ended)
		}
		select {
		case err := <-ended:
			return err
		case <-beats.C:
			frame = m.beat
		case <-p.wake:
			e.reset()
			if n, ok := p.take(); ok {
				e.notification(n)
			}
			frame = e.out.buf // empty when the wake-up was for what went out already
		}
	}
}

// renew has the last notification sent again: the connection is new, and what the old one carried
// may be lost.
func (p *meshPeer) renew() {
	p.mu.Lock()
	p.unsent = p.known
	p.mu.Unlock()
	signal(p.wake)
}

func (p *meshPeer) take() (n election.Notification, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	ok, p.unsent = p.unsent, false
	return p.last, ok
}

// hearEchoes reads the connection that we talk on, on which only echoes come. A reset is noticed at
// once and silence in time. The direction is open from the first echo on: a handshake alone does
// not show that the server's handler takes anything.
func (p *meshPeer) hearEchoes(conn net.Conn) error {
	open := false
	return p.mesh.hear(conn, func(kind uint8, n int, d *decoder) error {
		if kind != kindHeartbeat {
			d.fail("kind %d where heartbeats are echoed", kind)
		}
		d.fields(kind, n, 0)
		if err := d.end(); err != nil || open {
			return err
		}
		open = true
		p.mesh.log.Info("election connection up", "server", p.id)
		p.report(&p.out, true)
		return nil
	})
}

// listen takes what the server says on a connection that it dialed. A new one replaces the one
// before and waits for its end, so nothing old is delivered after something new.
func (p *meshPeer) listen(conn net.Conn) {
	c := p.replace(conn)
	select {
	case p.listening <- struct{}{}:
		defer func() { <-p.listening }()
	case <-c.replaced:
		return
	}
	p.report(&p.in, true)
	signal(p.kick)
	err := p.mesh.hear(conn, func(kind uint8, n int, d *decoder) error {
		if kind == kindHeartbeat {
			return p.echo(conn, n, d)
		}
		got, err := d.notification(kind, n)
		if err == nil {
			p.mesh.handler.Notification(p.id, got)
		}
		return err
	})
	p.report(&p.in, false)
	p.mesh.log.Info("election connection of a server ended", "server", p.id, "err", err)
}

// replace makes conn the newest connection and ends the one before.
func (p *meshPeer) replace(conn net.Conn) *inbound {
	c := &inbound{Conn: conn, replaced: make(chan struct{})}
	p.inMu.Lock()
	defer p.inMu.Unlock()
	if old := p.inbound; old != nil {
		close(old.replaced)
		_ = old.Close()
	}
	p.inbound = c
	return c
}

func (p *meshPeer) echo(conn net.Conn, n int, d *decoder) error {
	d.fields(kindHeartbeat, n, 0)
	if err := d.end(); err != nil {
		return err
	}
	return writeWithin(conn, p.mesh.beat, p.mesh.silence())
}

// hear reads frames until the connection ends, falls silent, or brings one that take refuses.
func (m *Mesh) hear(conn net.Conn, take func(kind uint8, n int, d *decoder) error) error {
	in, d := newFrameReader(conn, maxElection), newDecoder()
	for {
		if err := conn.SetReadDeadline(now().Add(m.silence())); err != nil {
			return err
		}
		payload, err := in.wait()
		if err != nil {
			return err
		}
		kind, n := d.open(payload)
		if err := take(kind, n, d); err != nil {
			return err
		}
	}
}
