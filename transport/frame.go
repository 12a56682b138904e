package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
)

// A frame is a length and that many bytes, which are one msgpack array whose first element says
// what the rest is:
//
//	+--------------------+--------------------------------------+
//	| length: 4 bytes BE | msgpack array: kind, then its fields |
//	+--------------------+--------------------------------------+
//
// The kinds below 64 are those of zab.Message. These are the others.
const (
	kindChunk        = 64 // link: crc, bytes. A piece of a snapshot file
	kindEnd          = 65 // link: size, crc. The snapshot file is complete
	kindProgress     = 66 // link: nothing. The sender is busy installing a snapshot
	kindNotification = 80 // election: state, leader, zxid, epoch, round
	kindHeartbeat    = 81 // election: nothing
	kindHello        = 96 // both, first: cluster, membership, sender, target
	kindRefusal      = 97 // both, instead of a hello: cause, text
)

const (
	lengthBytes = 4
	// maxFrame bounds a frame on a link. A batch of proposals stays far below it.
	maxFrame = 128 << 20
	// maxHello bounds the frames of a handshake, read from whoever connects.
	maxHello = 1 << 10
	// maxElection bounds the frames of an election connection.
	maxElection = 128
	// readBuffer is what a reader starts with: one read takes what many small messages need.
	readBuffer = 64 << 10
	// keepBuffer is the largest buffer that a connection keeps once it is empty.
	keepBuffer = 1 << 20
)

// begin starts a frame of a kind with n fields and returns where it starts.
func (e *encoder) begin(kind uint8, n int) int {
	start := len(e.out.buf)
	e.out.buf = append(e.out.buf, 0, 0, 0, 0)
	e.array(1 + n)
	e.uint(uint64(kind))
	return start
}

// finish writes the length of the frame that starts at start.
func (e *encoder) finish(start int) {
	binary.BigEndian.PutUint32(e.out.buf[start:], uint32(len(e.out.buf)-start-lengthBytes))
}

// reset forgets what was encoded; a buffer that a rare big frame left is given back.
func (e *encoder) reset() {
	if cap(e.out.buf) > keepBuffer {
		e.out.buf = nil
	}
	e.out.buf = e.out.buf[:0]
}

// bare returns a frame of a kind without fields.
func bare(kind uint8) []byte {
	e := newEncoder()
	e.finish(e.begin(kind, 0))
	return e.out.buf
}

// open starts on a frame's payload and returns its kind and the number of its fields.
func (d *decoder) open(payload []byte) (kind uint8, fields int) {
	d.start(payload)
	n := d.array(1)
	if d.err == nil && n == 0 {
		d.fail("array without a kind")
	}
	return uint8(d.uint(255)), n - 1
}

// fields checks the number of fields that open found.
func (d *decoder) fields(kind uint8, got, want int) {
	if got != want {
		d.fail("%d fields in a frame of kind %d, want %d", got, kind, want)
	}
}

// frameReader cuts what arrives into frames. Its buffer grows only when it is full of bytes that
// came, so a length is never believed before its bytes are there.
type frameReader struct {
	conn  net.Conn
	limit int
	buf   []byte // buf[from:to] has arrived and was not handed out
	from  int
	to    int
}

func newFrameReader(conn net.Conn, limit int) *frameReader {
	return &frameReader{conn: conn, limit: limit, buf: make([]byte, min(readBuffer, lengthBytes+limit))}
}

// next returns the payload of the next frame that arrived whole, or nil. It aliases the buffer
// and dies at the next fill.
func (r *frameReader) next() ([]byte, error) {
	if r.to-r.from < lengthBytes {
		return nil, nil
	}
	n := int(binary.BigEndian.Uint32(r.buf[r.from:]))
	if n == 0 || n > r.limit {
		return nil, fmt.Errorf("%w: length %d, want 1 to %d", errMalformed, n, r.limit)
	}
	if r.to-r.from-lengthBytes < n {
		return nil, nil
	}
	payload := r.buf[r.from+lengthBytes : r.from+lengthBytes+n]
	r.from += lengthBytes + n
	return payload, nil
}

// fill reads once. It is called when next has nothing more.
func (r *frameReader) fill() error {
	switch {
	case r.from == r.to:
		r.from, r.to = 0, 0
		if len(r.buf) > keepBuffer {
			r.buf = make([]byte, readBuffer)
		}
	case r.from > 0:
		r.to = copy(r.buf, r.buf[r.from:r.to])
		r.from = 0
	}
	if r.to == len(r.buf) {
		bigger := make([]byte, min(2*len(r.buf), lengthBytes+r.limit))
		copy(bigger, r.buf)
		r.buf = bigger
	}
	n, err := r.conn.Read(r.buf[r.to:])
	r.to += n
	if n > 0 {
		return nil // an error comes again
	}
	if errors.Is(err, io.EOF) && r.partial() {
		return io.ErrUnexpectedEOF
	}
	return err
}

// partial reports whether a frame has begun to arrive.
func (r *frameReader) partial() bool { return r.to > r.from }

// wait returns the next frame, however many reads it takes.
func (r *frameReader) wait() ([]byte, error) {
	for {
		payload, err := r.next()
		if payload != nil || err != nil {
			return payload, err
		}
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
}
