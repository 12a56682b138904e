package quoll

import (
	"context"
	"net"
	"sync"
)

// outbox is the connections that the loop has written into and no writer has come to since. Each is in
// a list once, so there is no more of it than there are connections, and the loop never waits here.
type outbox struct {
	mu       sync.Mutex
	answered fifo
	told     fifo // of an event, and nothing else: a hundred thousand may watch one znode, and nobody waits for that
	turns    int  // from answered since the last from told
	wake     chan struct{}
}

// The lists that a connection is in (clientConn.listed).
const (
	listedAnswered = 1 << iota
	listedTold
)

// answersPerEvent is how many connections with answers come before one that was told of an event, while there
// are both: a crowd makes nobody wait, and is not left for ever.
const answersPerEvent = 4

func (o *outbox) init(writers int) { o.wake = make(chan struct{}, writers) }

// add takes connections in and wakes as many writers as that is work for.
func (o *outbox) add(answered, told []*clientConn) {
	o.mu.Lock()
	o.answered.add(answered)
	o.told.add(told)
	o.mu.Unlock()
	for range min(len(answered)+len(told), cap(o.wake)) {
		signal(o.wake)
	}
}

// next returns the connection to write to next; nil: there is none.
func (o *outbox) next() *clientConn {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.told.len() > 0 && (o.answered.len() == 0 || o.turns >= answersPerEvent) {
		o.turns = 0
		c := o.told.next()
		c.listed.And(^uint32(listedTold)) // before Out is taken: what joins it from here on brings c here again
		return c
	}
	if o.answered.len() == 0 {
		return nil
	}
	o.turns++
	c := o.answered.next()
	c.listed.And(^uint32(listedAnswered))
	return c
}

// fifo is a queue of connections.
type fifo struct {
	conns []*clientConn
	from  int
}

func (f *fifo) len() int { return len(f.conns) - f.from }

func (f *fifo) add(conns []*clientConn) { f.conns = append(f.conns, conns...) }

// keptConns is how many connections an empty queue has room for.
const keptConns = 4096

func (f *fifo) next() *clientConn {
	c := f.conns[f.from]
	f.conns[f.from] = nil
	f.from++
	switch {
	case f.from < len(f.conns):
	case cap(f.conns) > keptConns:
		*f = fifo{}
	default:
		f.conns, f.from = f.conns[:0], 0
	}
	return c
}

// write is one of the goroutines that write to clients what the loop answers. They are few and serve
// all connections, so they wait for none: a client that does not take everything at once gets a
// goroutine of its own until it has.
func (s *Server) write(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.outbox.wake:
		}
		for c := s.outbox.next(); c != nil; c = s.outbox.next() {
			c.relay()
		}
	}
}

// wake hands the connections that the loop wrote into to the writers, once per batch.
func (s *Server) wake() {
	t := &s.clients
	if len(t.dirtied)+len(t.told) == 0 {
		return
	}
	s.outbox.add(t.dirtied, t.told)
	clear(t.dirtied)
	clear(t.told)
	t.dirtied, t.told = t.dirtied[:0], t.told[:0]
}

// relay writes Out as far as that needs no waiting, and no long list.
func (c *clientConn) relay() {
	if !c.claim() {
		return // whoever writes takes it along
	}
	var out Outgoing
	more, err := c.take(&out)
	for more && err == nil {
		var rest []byte
		if !out.Long() {
			rest, err = c.sock.tryWrite(out.Next())
		}
		if err == nil && (len(rest) > 0 || out.Long()) {
			left := out
			c.s.wg.Go(func() { _ = c.deliver(rest, &left) })
			return
		}
		if err == nil {
			more, err = c.take(&out)
		}
	}
	_ = c.wrote(&out, err)
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
	return c.deliver(nil, new(Outgoing))
}

// deliver writes first, which may be nil, then what is left of out, and then all of Out, in as much time as that
// takes.
func (c *clientConn) deliver(first []byte, out *Outgoing) error {
	err := c.sock.write(first)
	for more := true; more && err == nil; {
		for part := out.Next(); len(part) > 0 && err == nil; part = out.Next() {
			err = c.sock.write(part)
		}
		if err == nil {
			more, err = c.take(out)
		}
	}
	return c.wrote(out, err)
}

// wrote ends what claim began. An error closes the connection: its reader notices and removes it.
func (c *clientConn) wrote(out *Outgoing, err error) error {
	if err != nil {
		out.Drop()
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

// take gives all of Out to the one who writes, and takes back the memory of what that one has written. When there
// is no more it reports false, which ends the writing, and an error if the connection is to be closed then.
func (c *clientConn) take(out *Outgoing) (more bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if spare := out.Spare(); spare != nil && cap(spare) <= keptBuffer {
		c.spare = spare
	}
	c.sent()
	c.outgoing = c.Unread()
	*out = c.s.peer.Take(&c.Conn, c.spare)
	if !out.Empty() {
		c.spare = nil
		c.account()
		return true, nil
	}
	c.writing = false
	c.account()
	if c.Close {
		return false, net.ErrClosed
	}
	return false, nil
}
