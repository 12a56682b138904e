package jute

import (
	"encoding/binary"
	"errors"
)

// ErrShort is the error of a Decoder whose bytes ran out or whose lengths cannot be true.
var ErrShort = errors.New("jute: record is truncated or a length is out of range")

// AppendBool appends one byte, 0 or 1.
func AppendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// AppendInt appends four bytes, big-endian.
func AppendInt(b []byte, v int32) []byte { return binary.BigEndian.AppendUint32(b, uint32(v)) }

// AppendLong appends eight bytes, big-endian.
func AppendLong(b []byte, v int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(v)) }

// AppendBuffer appends a length and the bytes; nil is a null buffer, length -1.
func AppendBuffer(b, v []byte) []byte {
	if v == nil {
		return AppendInt(b, -1)
	}
	return append(AppendInt(b, int32(len(v))), v...)
}

// AppendString appends a length and the bytes of s. An empty string is not null.
func AppendString(b []byte, s string) []byte {
	return append(AppendInt(b, int32(len(s))), s...)
}

// Decoder reads a record field by field. The first fault sticks: every later read returns a zero
// value, and Err tells at the end, so that a record's decoder is straight-line code. It never
// panics and never allocates more than the bytes it was given.
type Decoder struct {
	buf []byte
	err error
}

// NewDecoder reads from b, which it does not copy.
func NewDecoder(b []byte) Decoder { return Decoder{buf: b} }

// Err returns the first fault, or nil.
func (d *Decoder) Err() error { return d.err }

// Len returns the number of bytes not yet read.
func (d *Decoder) Len() int { return len(d.buf) }

// Rest returns the bytes not yet read, aliasing the input.
func (d *Decoder) Rest() []byte { return d.buf }

// Fail makes err the decoder's fault, unless it has one already.
func (d *Decoder) Fail(err error) {
	if d.err == nil {
		d.err = err
	}
	d.buf = nil
}

func (d *Decoder) take(n int) []byte {
	if n < 0 || n > len(d.buf) {
		d.Fail(ErrShort)
		return nil
	}
	b := d.buf[:n:n]
	d.buf = d.buf[n:]
	return b
}

// Skip passes over n bytes.
func (d *Decoder) Skip(n int) { d.take(n) }

// Byte reads one byte.
func (d *Decoder) Byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

// Bool reads one byte; any value but 0 is true.
func (d *Decoder) Bool() bool { return d.Byte() != 0 }

// Int reads four bytes.
func (d *Decoder) Int() int32 {
	if b := d.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

// Long reads eight bytes.
func (d *Decoder) Long() int64 {
	if b := d.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

// Buffer reads a buffer; a null one is nil, an empty one is not. The result aliases the input.
func (d *Decoder) Buffer() []byte {
	n := d.Int()
	if n == -1 || d.err != nil {
		return nil
	}
	if n < 0 {
		d.Fail(ErrShort)
		return nil
	}
	b := d.take(int(n))
	if b == nil && d.err == nil {
		return []byte{}
	}
	return b
}

// String reads a string; null reads as empty. It copies.
func (d *Decoder) String() string { return string(d.Buffer()) }

// Count reads the length of a vector whose elements take at least size bytes each; null reads as
// -1. A count that the remaining bytes cannot hold is a fault, so a caller may allocate it.
func (d *Decoder) Count(size int) int {
	n := int(d.Int())
	if n < -1 || n > 0 && n > len(d.buf)/size {
		d.Fail(ErrShort)
		return 0
	}
	return n
}
