package transport

import (
	"fmt"
	"net"
	"sync"
	"time"

	"quoll/zab"
)

const (
	// writePiece is the most that one write deadline covers, so that a slow network has time for a
	// long queue and a stuck one does not.
	writePiece = 1 << 20
	// directBytes is the longest frame that is written by who hands it over: more takes the time of
	// copying it into the socket from the loop, and has company that makes the wake-up worth its price.
	directBytes = 4 << 10
	// streamCost is what a stream waiting in the queue counts against its bound.
	streamCost = 128
	// progressInterval spaces the calls of LinkProgress and the frames that cause them.
	progressInterval = 100 * time.Millisecond
)

// link is one connection between a learner and its leader. Its goroutines are the one that runs
// run, which reads, and the writer.
type link struct {
	links  *Links
	id     zab.LinkID
	server zab.ServerID
	dialed bool
	conn   net.Conn
	in     *frameReader // reader only
	dec    *decoder     // reader only
	heard  pacer        // reader only
	spoke  pacer        // writer only

	mu      sync.Mutex
	direct  *direct       // used while queued is 0: the writer has nothing then
	pending batch         // what the writer has not taken yet
	queued  int           // bytes of pending, and of what the writer took and has not written
	err     error         // why the link ended; the first reason stays
	wake    chan struct{} // the writer's: pending is not empty
	done    chan struct{} // closed when err is set
}

// batch is a run of frames with streams in between.
type batch struct {
	frames  []byte
	streams []stream
}

// stream is read from storage when its turn comes: the snapshot of to, or the history (from, to].
type stream struct {
	at       int // place in batch.frames
	snapshot bool
	from, to zab.Zxid
}

func newLink(s *Links, id zab.LinkID, conn net.Conn, server zab.ServerID, dialed bool) *link {
	return &link{
		links: s, id: id, server: server, dialed: dialed, conn: conn, direct: newDirect(conn),
		in: newFrameReader(conn, maxFrame), dec: newDecoder(),
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
}

// run is the life of the link: it reads until the end, joins the writer and says goodbye.
func (l *link) run() {
	var writer sync.WaitGroup
	writer.Go(l.write)
	l.links.log.Info("link up", "link", l.id, "server", l.server, "dialed", l.dialed)
	l.links.handler.LinkUp(l.id, l.server, l.dialed)
	l.fail(fmt.Errorf("transport: link %d to server %d: read: %w", l.id, l.server, l.read()))
	writer.Wait()
	l.links.forget(l.id)
	l.links.handler.LinkDown(l.id, l.err)
}

// fail ends the link, once.
func (l *link) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return
	}
	l.err = err
	l.pending = batch{}
	close(l.done)
	_ = l.conn.Close()
}

// enqueue writes a small frame if nothing is on its way, and else adds it, which it copies, to what the
// writer writes, with the streams behind it. A frame may be larger than the
// whole queue when the queue is empty: it was allowed to exist, so it must be able to leave.
func (l *link) enqueue(frame []byte, streams []stream) {
	size := len(frame) + len(streams)*streamCost
	l.mu.Lock()
	full := l.queued > 0 && l.queued+size > l.links.queueBytes
	tooLong := len(frame) > lengthBytes+maxFrame
	if l.err == nil && !full && !tooLong {
		if l.queued == 0 && len(streams) == 0 && len(frame) <= directBytes {
			n := l.direct.write(frame)
			frame, size = frame[n:], size-n
		}
		l.add(frame, streams, size)
	}
	queued := l.queued
	l.mu.Unlock()
	switch {
	case tooLong:
		l.fail(fmt.Errorf("transport: link %d to server %d: message of %d bytes, frames have at most %d", l.id, l.server, len(frame), maxFrame))
	case full:
		l.fail(fmt.Errorf("%w: link %d to server %d: %d bytes wait, %d more exceed the bound of %d: the server or the network to it is too slow",
			ErrQueueFull, l.id, l.server, queued, size, l.links.queueBytes))
	}
}

// add queues what the writer is to write. The caller holds mu.
func (l *link) add(frame []byte, streams []stream, size int) {
	if size == 0 {
		return
	}
	l.queued += size
	l.pending.frames = append(l.pending.frames, frame...)
	for _, s := range streams {
		s.at = len(l.pending.frames)
		l.pending.streams = append(l.pending.streams, s)
	}
	signal(l.wake)
}

// write is the writer: it takes all that was queued and writes it in one go, until the link ends.
func (l *link) write() {
	var spent batch
	for {
		select {
		case <-l.done:
			return
		case <-l.wake:
		}
		b := l.take(spent)
		if err := l.writeBatch(b); err != nil {
			l.fail(fmt.Errorf("transport: link %d to server %d: write: %w", l.id, l.server, err))
			return
		}
		spent = b
	}
}

// take swaps what is pending for the arrays of a batch that is done with.
func (l *link) take(spent batch) batch {
	if cap(spent.frames) > keepBuffer {
		spent.frames = nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.pending
	l.pending = batch{frames: spent.frames[:0], streams: spent.streams[:0]}
	return b
}

func (l *link) writeBatch(b batch) error {
	at := 0
	for _, s := range b.streams {
		if err := l.writeQueued(b.frames[at:s.at]); err != nil {
			return err
		}
		at = s.at
		if err := l.writeStream(s); err != nil {
			return err
		}
		l.written(streamCost)
	}
	return l.writeQueued(b.frames[at:])
}

func (l *link) writeQueued(p []byte) error {
	for len(p) > 0 {
		n := min(len(p), writePiece)
		if err := l.writeBytes(p[:n]); err != nil {
			return err
		}
		l.written(n)
		p = p[n:]
	}
	return nil
}

func (l *link) written(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queued -= n
}

func (l *link) writeBytes(p []byte) error { return writeWithin(l.conn, p, l.links.writeTimeout) }

// read hands over what arrives until the link ends, and returns why it did. What came whole before
// a frame that is malformed is delivered.
func (l *link) read() error {
	for {
		msgs, err := l.buffered()
		l.deliver(msgs)
		if err != nil {
			return err
		}
		if l.in.partial() {
			l.progressed(&l.heard) // a long frame comes in pieces
		}
		if err := l.in.fill(); err != nil {
			return err
		}
	}
}

// buffered decodes the frames that one read brought.
func (l *link) buffered() (msgs []*zab.Message, err error) {
	for {
		payload, err := l.in.next()
		if payload == nil || err != nil {
			return msgs, err
		}
		var m *zab.Message
		switch kind, n := l.dec.open(payload); kind {
		case kindProgress:
			l.dec.fields(kind, n, 0)
			err = l.busyPeer(l.dec.end())
		case uint8(zab.Snap):
			l.deliver(msgs) // they are older, and installing takes long
			msgs = nil
			m, err = l.receiveSnapshot(payload)
		default:
			m, err = l.dec.message(payload)
		}
		if err != nil {
			return msgs, err
		}
		if m != nil {
			msgs = append(msgs, m)
		}
	}
}

func (l *link) deliver(msgs []*zab.Message) {
	if len(msgs) > 0 {
		l.links.handler.LinkMessages(l.id, msgs)
	}
}

// busyPeer is told by the other server that it is installing a snapshot and does not read: the
// write that waits for it may wait longer.
func (l *link) busyPeer(err error) error {
	if err != nil {
		return err
	}
	l.progressed(&l.heard)
	return l.conn.SetWriteDeadline(now().Add(l.links.writeTimeout))
}

// pacer lets one event pass per progressInterval.
type pacer struct{ last time.Time }

func (p *pacer) due() bool {
	t := now()
	if t.Sub(p.last) < progressInterval {
		return false
	}
	p.last = t
	return true
}

func (l *link) progressed(p *pacer) {
	if p.due() {
		l.links.handler.LinkProgress(l.id)
	}
}
