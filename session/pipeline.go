package session

import (
	"encoding/binary"
	"fmt"

	"quoll/transport/wire"
	"quoll/zab"
)

// Pipeline is the FIFO of one client connection: its writes and barriers that have no answer yet,
// and the frames of reads and pings that came behind them and must be answered behind them (R29,
// ZOOKEEPER-1863). A connection whose Pipeline is idle answers reads at once and needs none of it.
// The zero value is an empty pipeline and holds no memory.
//
// Why answers cannot come out of order: the caller numbers the connection's writes upwards and
// hands them to its server in that order. The server forwards them in order over one link, sends
// what a leader left unanswered again in order before anything newer, and the leader gives zxids
// in order of arrival; every write gets a txn, failed ones too; txns are applied in zxid order,
// and the answer is built when its txn is applied. So the first txn to be applied belongs to the
// first open write, and Complete panics if it does not: a client takes an answer in the wrong
// place for the answer to something else. A write that was refused before it became a txn has an
// answer earlier than its turn, which the caller keeps until the write is at the head.
//
// Barriers (sync) are the exception: a round of pings confirms them, not a txn, so a later write
// may be first. Then the barrier need not be waited for. The txn of that write was proposed after
// the barrier was asked for, and a quorum has acknowledged it since: that is all a confirmation
// is (zab.md 7.2). SkipBarrier answers it.
type Pipeline struct {
	open   queue[openRequest]
	frames queue[byte] // length and bytes of each frame, in order
	reads  int         // number of frames
	ready  int         // of these, the ones with no open request before them
	last   uint64      // number of the last request that was pushed
	done   uint64      // number of the last one that was answered
}

// openRequest is a write or a barrier without an answer.
type openRequest struct {
	n      uint64
	xid    zab.Xid
	op     wire.Op
	behind int32 // frames between this request and the next
}

// frameLen is the size of a frame's length.
const frameLen = 4

// Idle reports whether nothing waits: a read may be answered at once.
func (p *Pipeline) Idle() bool { return p.open.len() == 0 && p.ready == 0 }

// Len returns the number of requests that wait, reads included.
func (p *Pipeline) Len() int { return p.open.len() + p.reads }

// Bytes returns the size of the frames that wait, their lengths included. The caller stops reading from the connection
// when it is too much.
func (p *Pipeline) Bytes() int { return p.frames.len() }

// PushWrite appends a write, or a barrier if op is sync. Numbers rise, from 1 at least.
func (p *Pipeline) PushWrite(n uint64, xid zab.Xid, op wire.Op) {
	if n <= p.last {
		panic(fmt.Sprintf("session: request %d (xid %d, %v) is numbered like one before: the last was %d", n, xid, op, p.last))
	}
	p.last = n
	p.open.push(openRequest{n: n, xid: xid, op: op})
}

// PushRead appends the frame of a request that is answered without a txn. The bytes are copied.
func (p *Pipeline) PushRead(frame []byte) {
	if open := p.open.items(); len(open) > 0 {
		open[len(open)-1].behind++
	} else {
		p.ready++
	}
	p.reads++
	var size [frameLen]byte
	binary.BigEndian.PutUint32(size[:], uint32(len(frame)))
	p.frames.push(size[:]...)
	p.frames.push(frame...)
}

// Head returns the number of the open request whose answer is next. False means that there is
// none, or that NextRead has frames to be answered before it.
func (p *Pipeline) Head() (n uint64, ok bool) {
	if p.ready > 0 || p.open.len() == 0 {
		return 0, false
	}
	return p.open.items()[0].n, true
}

// Complete takes the head, whose answer is at hand, and reports true. It reports false for a
// request that was answered before. It panics for one that is not at the head: the answers of the
// connection would leave in the wrong order.
func (p *Pipeline) Complete(n uint64) bool {
	if n <= p.done {
		return false
	}
	head, ok := p.Head()
	if !ok || head != n {
		panic(p.disorder(n))
	}
	p.take()
	return true
}

// SkipBarrier takes the head if it is a barrier that was asked for before request n, and reports
// whether it did: the txn of write n, which is at hand, confirms it. The caller answers the
// barrier, then the reads behind it, and tries again, until Complete can take n. The answer to the
// barrier that comes later finds it Answered.
func (p *Pipeline) SkipBarrier(n uint64) bool {
	head, ok := p.Head()
	if !ok || head >= n || p.open.items()[0].op != wire.OpSync {
		return false
	}
	p.take()
	return true
}

// Answered reports whether request n was answered.
func (p *Pipeline) Answered(n uint64) bool { return n <= p.done }

func (p *Pipeline) take() {
	head := p.open.items()[0]
	p.done = head.n
	p.ready = int(head.behind)
	p.open.drop(1, keepOpen)
}

func (p *Pipeline) disorder(n uint64) string {
	open := p.open.items()
	if len(open) == 0 {
		return fmt.Sprintf("session: answer to request %d, which was never sent: the last was %d", n, p.last)
	}
	return fmt.Sprintf("session: answer to request %d, but next are %d reads, then request %d (xid %d, %v)",
		n, p.ready, open[0].n, open[0].xid, open[0].op)
}

// NextRead takes the next frame that may be answered now: one with no open request before it. The
// bytes are valid until the next PushRead.
func (p *Pipeline) NextRead() (frame []byte, ok bool) {
	if p.ready == 0 {
		return nil, false
	}
	p.ready--
	p.reads--
	b := p.frames.items()
	end := frameLen + int(binary.BigEndian.Uint32(b))
	frame = b[frameLen:end:end]
	p.frames.drop(end, keepBytes)
	return frame, true
}

// The capacity that an empty queue keeps. A connection that was busy once must not hold on to
// what it needed then: idle sessions come by the ten thousand.
const (
	keepOpen  = 64
	keepBytes = 4 << 10
)

// queue is a FIFO in one array. It starts over at the beginning when it runs empty, and when that
// makes more room than copying what is left costs.
type queue[T any] struct {
	buf  []T
	head int
}

func (q *queue[T]) len() int { return len(q.buf) - q.head }

// items returns what is queued, valid until the next push.
func (q *queue[T]) items() []T { return q.buf[q.head:] }

func (q *queue[T]) push(items ...T) {
	if len(q.buf)+len(items) > cap(q.buf) {
		if q.head >= q.len() {
			q.buf = q.buf[:copy(q.buf, q.items())]
		} else {
			q.buf = q.items() // append takes a larger array: do not bring along what was dropped
		}
		q.head = 0
	}
	q.buf = append(q.buf, items...)
}

// drop forgets the first n items; their memory stays as it is until the next push.
func (q *queue[T]) drop(n, keep int) {
	q.head += n
	if q.head < len(q.buf) {
		return
	}
	q.buf, q.head = q.buf[:0], 0
	if cap(q.buf) > keep {
		q.buf = nil
	}
}
