package quoll

import (
	"context"
	"net"
)

// write is one of the goroutines that write to clients what the loop answers. They are few and serve
// all connections, so they wait for none: a client that does not take everything at once gets a
// goroutine of its own until it has.
func (s *Server) write(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-s.answered:
			c.isDirty.Store(false) // first: what joins Out from here on brings it here again
			c.relay()
		}
	}
}

// wake hands the connections that the loop wrote into to the writers, once per batch.
func (s *Server) wake() {
	for _, c := range s.clients.dirtied {
		select {
		case s.answered <- c:
		case <-s.stopped:
		}
	}
	clear(s.clients.dirtied)
	s.clients.dirtied = s.clients.dirtied[:0]
}

// relay writes Out as far as that needs no waiting.
func (c *clientConn) relay() {
	if !c.claim() {
		return // whoever writes takes it along
	}
	out, err := c.take(nil)
	for err == nil && out != nil {
		var rest []byte
		if rest, err = c.sock.tryWrite(out); len(rest) > 0 && err == nil {
			c.s.wg.Go(func() { _ = c.deliver(rest) })
			return
		}
		if err == nil {
			out, err = c.take(out)
		}
	}
	_ = c.wrote(err)
}

// flush writes all of Out, and returns an error afterwards if the core wants the connection closed.
// It is the reader's: while others write it waits, so that nothing more is read from a client that
// does not take its answers.
func (c *clientConn) flush() error {
	for !c.claim() {
		select {
		case <-c.news:
		case <-c.dead:
			return net.ErrClosed
		}
	}
	return c.deliver(nil)
}

// deliver writes out, which may be nil, and then all of Out, in as much time as that takes.
func (c *clientConn) deliver(out []byte) error {
	err := c.sock.write(out)
	for err == nil {
		if out, err = c.take(out); out == nil {
			break
		}
		err = c.sock.write(out)
	}
	return c.wrote(err)
}

// wrote ends what claim began. An error closes the connection: its reader notices and removes it.
func (c *clientConn) wrote(err error) error {
	if err != nil {
		c.close()
	}
	signal(c.news)
	return err
}

// claim makes the caller the one who writes, unless there is one: who then writes what is in Out now.
func (c *clientConn) claim() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writing {
		return false
	}
	c.writing = true
	return true
}

// take returns all of Out to the one who writes; written is what that one took before. When there is
// no more it returns nil, which ends the writing, and an error if the connection is to be closed then.
func (c *clientConn) take(written []byte) (out []byte, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if written != nil && cap(written) <= keptBuffer {
		c.spare = written[:0]
	}
	c.sent()
	if len(c.Out) > 0 {
		out, c.Out, c.spare = c.Out, c.spare, nil
	} else {
		c.writing = false
	}
	c.outgoing = len(out)
	c.account()
	if out != nil {
		return out, nil
	}
	if c.Close {
		return nil, net.ErrClosed
	}
	return nil, nil
}
