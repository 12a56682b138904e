package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"quoll/zab"
)

const (
	defaultDialTimeout      = 2 * time.Second // two SYNs: one may be lost
	defaultHandshakeTimeout = 5 * time.Second
	// maxHandshakes bounds the connections that have not introduced themselves yet.
	maxHandshakes = 64
)

// ErrShutdown is the error of a connection that ended because this server is going down.
var ErrShutdown = errors.New("transport: shut down")

// endpoint is one of a server's two ports and everything that connects through it: it listens,
// dials, shakes hands and, at the end, closes and joins. Links and Mesh are each built on one.
type endpoint struct {
	identity  Identity
	channel   channel
	addresses map[zab.ServerID]string
	network   Network
	log       *quietLog

	dialTimeout      time.Duration
	handshakeTimeout time.Duration

	ctx        context.Context // ends at shutdown
	cancel     context.CancelFunc
	listener   net.Listener
	conns      connSet
	handshakes chan struct{}  // a token per connection in its handshake
	wg         sync.WaitGroup // every goroutine
}

// listen binds the port. listenAddr overrides the address that others dial; empty takes that one.
func (e *endpoint) listen(listenAddr string) error {
	if listenAddr == "" {
		listenAddr = e.addresses[e.identity.Self]
	}
	if len(e.identity.Cluster) > maxCluster {
		return fmt.Errorf("transport: cluster name of %d bytes: at most %d are allowed", len(e.identity.Cluster), maxCluster)
	}
	if e.addresses[e.identity.Self] == "" {
		return fmt.Errorf("transport: server %d has no address for its %s: add it to the configuration", e.identity.Self, e.channel)
	}
	l, err := e.network.Listen(listenAddr)
	if err != nil {
		return fmt.Errorf("transport: %s of server %d at %s: %w; %s", e.channel, e.identity.Self, listenAddr, err, ListenAdvice(err))
	}
	e.listener = l
	e.handshakes = make(chan struct{}, maxHandshakes)
	e.ctx, e.cancel = context.WithCancel(context.Background())
	return nil
}

func (e *endpoint) member(id zab.ServerID) bool { return e.addresses[id] != "" }

// accept takes connections in and runs serve, in a goroutine of its own, for each that turns out to
// be another server. It returns at shutdown.
func (e *endpoint) accept(serve func(net.Conn, zab.ServerID)) {
	pauses := backoff{min: 5 * time.Millisecond, max: time.Second}
	for {
		conn, err := e.listener.Accept()
		if err != nil {
			if e.ctx.Err() != nil {
				return
			}
			// Out of file descriptors, most likely: what is open works on, new ones wait.
			if skipped, ok := e.log.due("accept", ""); ok {
				e.log.Error("cannot accept connections", "port", e.channel.String(), "err", err, "skipped", skipped)
			}
			if !sleep(e.ctx, pauses.pause()) {
				return
			}
			continue
		}
		pauses.reset()
		if !e.conns.add(conn) {
			return
		}
		select {
		case e.handshakes <- struct{}{}:
			e.wg.Go(func() {
				defer e.conns.drop(conn)
				e.receive(conn, serve)
			})
		default:
			e.logRefusal(conn, refuse(causeBusy, "%d connections have not said hello yet", maxHandshakes))
			e.conns.drop(conn)
		}
	}
}

func (e *endpoint) receive(conn net.Conn, serve func(net.Conn, zab.ServerID)) {
	server, err := e.welcome(conn)
	<-e.handshakes
	if err != nil {
		e.logRefusal(conn, err)
		return
	}
	serve(conn, server)
}

// welcome is the accepting side of the handshake.
func (e *endpoint) welcome(conn net.Conn) (zab.ServerID, error) {
	if err := conn.SetDeadline(now().Add(e.handshakeTimeout)); err != nil {
		return 0, err
	}
	h, err := readHello(conn, e.channel)
	if err == nil {
		err = e.identity.verify(h, 0, e.member)
	}
	if r, ok := errors.AsType[*refusal](err); ok && r.answers() {
		// It helps the operator of the other server; if it does not arrive, our log has it. The
		// other server closes first: closing on bytes that nobody read would reset the
		// connection and could take the refusal with it.
		_, _ = conn.Write(encodeRefusal(e.channel, r))
		_, _ = io.CopyN(io.Discard, conn, maxHello)
	}
	if err != nil {
		return 0, err
	}
	if _, err := conn.Write(encodeHello(e.channel, e.identity.hello(h.sender))); err != nil {
		return 0, fmt.Errorf("write hello: %w", err)
	}
	return h.sender, conn.SetDeadline(time.Time{})
}

// connect dials server and shakes hands. The caller drops the connection when it is done.
func (e *endpoint) connect(ctx context.Context, server zab.ServerID) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, e.dialTimeout)
	defer cancel()
	conn, err := e.network.Dial(ctx, e.addresses[server])
	if err != nil {
		return nil, err
	}
	if !e.conns.add(conn) {
		return nil, ErrShutdown
	}
	if err := e.greet(conn, server); err != nil {
		e.conns.drop(conn)
		return nil, err
	}
	return conn, nil
}

// greet is the dialing side of the handshake.
func (e *endpoint) greet(conn net.Conn, server zab.ServerID) error {
	if err := conn.SetDeadline(now().Add(e.handshakeTimeout)); err != nil {
		return err
	}
	if _, err := conn.Write(encodeHello(e.channel, e.identity.hello(server))); err != nil {
		return fmt.Errorf("write hello: %w", err)
	}
	h, err := readHello(conn, e.channel)
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("closed without an answer: is it a Quoll server, and this its %s? %w", e.channel, err)
	}
	if err != nil {
		return err
	}
	if err := e.identity.verify(h, server, e.member); err != nil {
		return err
	}
	return conn.SetDeadline(time.Time{})
}

// logRefusal tells of an accepted connection that came to nothing.
func (e *endpoint) logRefusal(conn net.Conn, err error) {
	host, why := hostOf(conn.RemoteAddr()), "broken"
	if r, ok := errors.AsType[*refusal](err); ok {
		why = r.cause.String()
	}
	if e.ctx.Err() != nil {
		return
	}
	if skipped, ok := e.log.due(why, host); ok {
		e.log.Warn("refused a connection", "port", e.channel.String(), "address", host, "err", err, "skipped", skipped)
	}
}

// logDial tells of a dial that failed.
func (e *endpoint) logDial(server zab.ServerID, err error) {
	why := dialCause(err)
	if r, ok := errors.AsType[*refusal](err); ok {
		why = r.cause.String()
	}
	address := e.addresses[server]
	if e.ctx.Err() != nil {
		return
	}
	if skipped, ok := e.log.due(why, address); ok {
		e.log.Warn("cannot connect to a server", "port", e.channel.String(), "server", server, "address", address,
			"err", err, "skipped", skipped)
	}
}

// shutdown closes everything and waits for every goroutine.
func (e *endpoint) shutdown() {
	e.cancel()
	_ = e.listener.Close()
	e.conns.closeAll()
	e.wg.Wait()
}
