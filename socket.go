package quoll

import (
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

const (
	readBuffer   = 16 << 10         // what is read at once
	keptBuffer   = 64 << 10         // larger buffers are given back when empty
	writeTimeout = 30 * time.Second // a client that takes nothing for so long is gone
	writePiece   = 1 << 20          // of which it must take so much in that time
)

// socket is a client's connection, made for tens of thousands that say nothing: one that waits for its
// client holds no buffer, and what the system takes at once is written without waiting. One goroutine
// receives, and one writes at a time.
type socket struct {
	net.Conn
	raw syscall.RawConn // nil: the system cannot do that, or Conn is not the system's

	in       *[]byte // received and not handled yet; nil: nothing
	readErr  error
	out      []byte // what tryWrite has still to write
	writeErr error

	// The methods readable and writable: a method value allocates, so they are made once.
	onReadable, onWritable func(fd uintptr) bool
}

// readBuffers are for the connections from which something has come.
var readBuffers = sync.Pool{New: func() any {
	b := make([]byte, 0, readBuffer)
	return &b
}}

// receive waits for the client and returns all that it has sent and keep has kept. The bytes are the
// socket's again with the next keep, which comes before the next receive.
func (k *socket) receive() ([]byte, error) {
	if k.raw == nil {
		k.readErr = k.fill(k.Read)
	} else if err := k.raw.Read(k.onReadable); err != nil {
		return nil, err
	}
	if k.readErr != nil {
		return nil, k.readErr
	}
	return *k.in, nil
}

// fill calls read, once, with the room that there is in the buffer.
func (k *socket) fill(read func([]byte) (int, error)) error {
	if k.in == nil {
		k.in = readBuffers.Get().(*[]byte)
	}
	b := *k.in
	if len(b) == cap(b) {
		b = append(make([]byte, 0, 2*cap(b)), b...) // grows with the bytes that came, never ahead
	}
	n, err := read(b[len(b):cap(b)])
	if n <= 0 {
		k.keep(b)
		if err == nil {
			err = io.EOF
		}
		return err
	}
	*k.in = b[:len(b)+n]
	return nil // an error comes again
}

// keep says what of the received bytes is not handled: the last ones, or none.
func (k *socket) keep(rest []byte) {
	b := (*k.in)[:cap(*k.in)]
	*k.in = b[:copy(b, rest)]
	if len(rest) > 0 {
		return
	}
	if cap(b) <= keptBuffer {
		readBuffers.Put(k.in)
	}
	k.in = nil
}

// tryWrite writes what the system takes at once, and returns what is left of b.
func (k *socket) tryWrite(b []byte) (rest []byte, err error) {
	if k.raw == nil || len(b) == 0 {
		return b, nil
	}
	k.out, k.writeErr = b, nil
	if err = k.raw.Write(k.onWritable); err == nil {
		err = k.writeErr
	}
	rest, k.out = k.out, nil
	return rest, err
}

// write writes all of b, in as much time as it takes a client that goes on reading.
func (k *socket) write(b []byte) error {
	b, err := k.tryWrite(b)
	if err != nil || len(b) == 0 {
		return err
	}
	for len(b) > 0 {
		n := min(len(b), writePiece)
		k.SetWriteDeadline(time.Now().Add(writeTimeout))
		if _, err := k.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return k.SetWriteDeadline(time.Time{}) // it would end every later tryWrite
}
