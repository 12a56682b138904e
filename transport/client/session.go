package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"quoll/transport/jute"
	"quoll/transport/wire"
)

// after returns the deadline that is d away.
func after(d time.Duration) time.Time {
	return time.Now().Add(d)
}

// run is the session's goroutine. It starts with a connection.
func (c *Client) run() {
	defer close(c.done)
	for {
		c.tell(wire.StateSyncConnected)
		c.serve()
		c.tell(wire.StateDisconnected)
		if !c.redial() {
			break
		}
	}
	c.cancel()
	if err := c.Err(); errors.Is(err, ErrSessionExpired) {
		c.tell(wire.StateExpired)
	}
	c.failQueued(c.Err())
}

func (c *Client) tell(state int32) {
	if c.opts.OnEvent != nil {
		c.opts.OnEvent(Event{Type: wire.EventNone, State: state, Zxid: -1})
	}
}

// serve uses the connection until it breaks, and ends what was in flight on it.
func (c *Client) serve() {
	c.mu.Lock()
	conn := c.conn
	c.mu.Unlock()
	stop, written := make(chan struct{}), make(chan struct{})
	go func() { // the connection's writer, joined below
		defer close(written)
		c.write(conn, stop)
	}()
	err := c.read(conn)
	conn.Close()
	close(stop)
	<-written

	c.mu.Lock()
	c.conn = nil
	c.out = c.out[:0]
	lost, auths := c.queued, c.auths
	c.queued, c.auths = nil, nil
	if c.leaving && c.over == nil {
		c.over = ErrClosed
	}
	c.mu.Unlock()
	// What is asked from here on, by these callbacks too, waits for the next connection.
	reply := Reply{Err: ErrConnectionLoss}
	if errors.Is(err, ErrProtocol) {
		reply.Err = fmt.Errorf("%w: %w", ErrConnectionLoss, err)
	}
	for _, requests := range [][]pending{c.inflight[c.head:], lost, auths} {
		for i := range requests {
			requests[i].end(reply)
		}
	}
	c.inflight, c.head = nil, 0
}

// redial finds the next server for the session; false when the session is over.
func (c *Client) redial() bool {
	giveUp := after(c.Timeout())
	for attempt := 1; c.ctx.Err() == nil && c.Err() == nil; attempt++ {
		err := c.connect(c.ctx)
		if err == nil {
			return true
		}
		if errors.Is(err, ErrSessionExpired) {
			c.end(err)
			return false
		}
		if time.Until(giveUp) <= 0 {
			c.failQueued(fmt.Errorf("%w: %w", ErrNotSent, err))
			giveUp = after(c.Timeout())
		}
		if attempt%len(c.opts.Servers) == 0 {
			pause := time.NewTimer(c.opts.RetryPause)
			select {
			case <-pause.C:
			case <-c.ctx.Done():
				pause.Stop()
			}
		}
	}
	return false
}

// failQueued ends the requests that wait for a connection. None of them was ever written.
func (c *Client) failQueued(err error) {
	c.mu.Lock()
	requests := append(c.queued, c.auths...)
	c.queued, c.auths = nil, nil
	c.out = c.out[:0]
	c.mu.Unlock()
	for i := range requests {
		requests[i].end(Reply{Err: err})
	}
}

// connect tries the next server: one connection, one handshake.
func (c *Client) connect(ctx context.Context) error {
	addr := c.opts.Servers[c.next]
	c.next = (c.next + 1) % len(c.opts.Servers)
	ctx, cancel := context.WithTimeout(ctx, c.opts.ConnectTimeout)
	defer cancel()
	conn, err := c.opts.Dial(ctx, addr)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", addr, err)
	}
	release := context.AfterFunc(ctx, func() { conn.Close() })
	err = c.handshake(conn)
	if !release() { // the time was up; conn is closed
		err = context.Cause(ctx)
	}
	if err == nil {
		err = c.adopt(conn, addr)
	}
	if err != nil {
		conn.Close()
		return fmt.Errorf("handshake with %s: %w", addr, err)
	}
	return nil
}

// handshake asks for the session, or for a new one when there is none yet.
func (c *Client) handshake(conn net.Conn) error {
	request := wire.ConnectRequest{
		LastZxidSeen: c.seen.Load(),
		TimeoutMs:    int32(c.opts.SessionTimeout / time.Millisecond),
		SessionID:    c.SessionID(),
		Password:     c.password[:],
		ReadOnly:     c.opts.ReadOnly,
		HasReadOnly:  true,
	}
	if _, err := conn.Write(wire.EndFrame(request.Append(wire.BeginFrame(nil)), 0)); err != nil {
		return err
	}
	// The response has a fixed size but for its last byte, which old servers leave out.
	const maxResponse = 37
	var b [wire.LengthSize + maxResponse]byte
	if _, err := io.ReadFull(conn, b[:wire.LengthSize]); err != nil {
		if errors.Is(err, io.EOF) {
			return errors.New("closed without an answer: the server is not serving, or behind what this session has seen")
		}
		return err
	}
	n, ok := wire.FrameLength([wire.LengthSize]byte(b[:]), maxResponse)
	if !ok {
		return fmt.Errorf("%w: response of %d bytes", ErrProtocol, n)
	}
	if _, err := io.ReadFull(conn, b[wire.LengthSize:wire.LengthSize+n]); err != nil {
		return err
	}
	d := jute.NewDecoder(b[wire.LengthSize : wire.LengthSize+n])
	var response wire.ConnectResponse
	response.Decode(&d)
	switch {
	case d.Err() != nil || len(response.Password) != wire.PasswordSize:
		return fmt.Errorf("%w: response %x", ErrProtocol, b[:wire.LengthSize+n])
	case response.TimeoutMs <= 0 && request.SessionID != 0:
		return ErrSessionExpired
	case response.TimeoutMs <= 0:
		return errors.New("the server refused a new session")
	}
	c.session.Store(int64(response.SessionID))
	c.timeout.Store(int64(time.Duration(response.TimeoutMs) * time.Millisecond))
	copy(c.password[:], response.Password)
	return nil
}

// adopt makes conn the session's connection. The identities go first: the requests that wait were
// made by somebody who had them.
func (c *Client) adopt(conn net.Conn, addr string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over != nil {
		return c.over
	}
	var out []byte
	var auths []pending
	for _, id := range c.known {
		out = appendAuth(out, id)
		auths = append(auths, pending{xid: wire.XidAuth})
	}
	c.out = append(out, c.out...)
	c.auths = append(auths, c.auths...)
	c.conn = conn
	c.server.Store(addr)
	return nil
}

func appendAuth(b []byte, id identity) []byte {
	r := wire.AuthRequest{Scheme: id.scheme, Auth: id.auth}
	return wire.AppendRequest(b, wire.XidAuth, wire.OpAuth, r.Append)
}
