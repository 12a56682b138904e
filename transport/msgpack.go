package transport

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"

	"quoll/zab"
)

// errMalformed is the error of a frame that does not say what its kind must say.
var errMalformed = errors.New("malformed frame")

// sink collects what a msgpack.Encoder writes. It cannot fail.
type sink struct{ buf []byte }

// Write appends p.
func (s *sink) Write(p []byte) (int, error) {
	s.buf = append(s.buf, p...)
	return len(p), nil
}

// WriteByte appends c.
func (s *sink) WriteByte(c byte) error {
	s.buf = append(s.buf, c)
	return nil
}

// encoder writes msgpack values, each in its shortest form, into a buffer that is kept.
type encoder struct {
	out sink
	enc *msgpack.Encoder
}

func newEncoder() *encoder {
	e := &encoder{}
	e.enc = msgpack.NewEncoder(&e.out)
	return e
}

// must takes the error of a write into memory, which there is none of.
func must(err error) {
	if err != nil {
		panic(fmt.Sprintf("transport: encoding into memory failed: %v", err))
	}
}

func (e *encoder) uint(v uint64)   { must(e.enc.EncodeUint(v)) }
func (e *encoder) int(v int64)     { must(e.enc.EncodeInt(v)) }
func (e *encoder) bool(v bool)     { must(e.enc.EncodeBool(v)) }
func (e *encoder) string(v string) { must(e.enc.EncodeString(v)) }
func (e *encoder) array(n int)     { must(e.enc.EncodeArrayLen(n)) }

// bin writes bytes; nil is written as no bytes and reads as nil.
func (e *encoder) bin(v []byte) {
	must(e.enc.EncodeBytesLen(len(v)))
	e.out.buf = append(e.out.buf, v...)
}

// cursor is the input of a msgpack.Decoder: bytes in memory, and how many of them were read.
type cursor struct {
	buf []byte
	pos int
}

// Read copies from the bytes left.
func (c *cursor) Read(p []byte) (int, error) {
	if c.pos == len(c.buf) {
		return 0, io.EOF
	}
	n := copy(p, c.buf[c.pos:])
	c.pos += n
	return n, nil
}

// ReadByte takes one byte.
func (c *cursor) ReadByte() (byte, error) {
	if c.pos == len(c.buf) {
		return 0, io.EOF
	}
	c.pos++
	return c.buf[c.pos-1], nil
}

// UnreadByte puts one byte back.
func (c *cursor) UnreadByte() error {
	if c.pos == 0 {
		return errMalformed
	}
	c.pos--
	return nil
}

// decoder reads msgpack values, field by field. The first fault sticks: later reads return zero
// values and end tells, so that the decoder of a frame is straight-line code. It is stricter than
// the library, which takes nil for 0 and any width of number: only the type asked for, in its
// shortest form, is read, so that a message has exactly one encoding.
type decoder struct {
	in  cursor
	dec *msgpack.Decoder
	err error

	auths map[string][]zab.AuthID // by their encoding
}

func newDecoder() *decoder {
	d := &decoder{}
	d.dec = msgpack.NewDecoder(&d.in)
	return d
}

// start reads from b, which results may alias.
func (d *decoder) start(b []byte) { d.in, d.err = cursor{buf: b}, nil }

// end reports the first fault; bytes that nobody read are one.
func (d *decoder) end() error {
	if left := len(d.in.buf) - d.in.pos; left > 0 {
		d.fail("%d bytes too many", left)
	}
	return d.err
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: byte %d: %s", errMalformed, d.in.pos, fmt.Sprintf(format, args...))
	}
}

func (d *decoder) left() int { return len(d.in.buf) - d.in.pos }

// peek returns the code of the next value; ok is false after a fault and at the end.
func (d *decoder) peek() (code byte, ok bool) {
	if d.err != nil {
		return 0, false
	}
	if d.left() == 0 {
		d.fail("ends too early")
		return 0, false
	}
	return d.in.buf[d.in.pos], true
}

func isUint(c byte) bool {
	return c <= msgpcode.PosFixedNumHigh || c >= msgpcode.Uint8 && c <= msgpcode.Uint64
}

func isInt(c byte) bool {
	return c >= msgpcode.NegFixedNumLow || c >= msgpcode.Int8 && c <= msgpcode.Int64
}

func isBin(c byte) bool { return c >= msgpcode.Bin8 && c <= msgpcode.Bin32 }

func isString(c byte) bool {
	return msgpcode.IsFixedString(c) || c >= msgpcode.Str8 && c <= msgpcode.Str32
}

func isArray(c byte) bool {
	return msgpcode.IsFixedArray(c) || c == msgpcode.Array16 || c == msgpcode.Array32
}

// uint reads a number from 0 to limit.
func (d *decoder) uint(limit uint64) uint64 {
	c, ok := d.peek()
	if !ok {
		return 0
	}
	if !isUint(c) {
		d.fail("code 0x%x, want a number from 0", c)
		return 0
	}
	before := d.in.pos
	n, err := d.dec.DecodeUint64()
	if !d.took(err, before, uintSize(n)) {
		return 0
	}
	if n > limit {
		d.fail("number %d, want at most %d", n, limit)
		return 0
	}
	return n
}

// int reads a number from low to high.
func (d *decoder) int(low, high int64) int64 {
	c, ok := d.peek()
	if !ok {
		return 0
	}
	if !isInt(c) {
		return d.positive(low, high)
	}
	before := d.in.pos
	n, err := d.dec.DecodeInt64()
	if !d.took(err, before, negativeSize(n)) {
		return 0
	}
	if n < low || n >= 0 {
		d.fail("number %d, want %d to -1 in this form", n, low)
		return 0
	}
	return n
}

func (d *decoder) positive(low, high int64) int64 {
	n := int64(d.uint(uint64(high)))
	if n < low {
		d.fail("number %d, want at least %d", n, low)
		return 0
	}
	return n
}

func (d *decoder) bool() bool {
	c, ok := d.peek()
	if !ok {
		return false
	}
	if c != msgpcode.True && c != msgpcode.False {
		d.fail("code 0x%x, want a bool", c)
		return false
	}
	v, err := d.dec.DecodeBool()
	return d.took(err, d.in.pos-1, 1) && v
}

// bin reads bytes, which alias the input; none is nil.
func (d *decoder) bin() []byte { return d.bytes("bytes", isBin, binSize) }

// string reads a string and copies it.
func (d *decoder) string() string { return string(d.bytes("a string", isString, stringSize)) }

func (d *decoder) bytes(what string, is func(byte) bool, size func(int) int) []byte {
	c, ok := d.peek()
	if !ok {
		return nil
	}
	if !is(c) {
		d.fail("code 0x%x, want %s", c, what)
		return nil
	}
	before := d.in.pos
	n, err := d.dec.DecodeBytesLen()
	if !d.took(err, before, size(n)) {
		return nil
	}
	if n > d.left() {
		d.fail("%s of length %d in a frame with %d bytes left", what, n, d.left())
		return nil
	}
	if n == 0 {
		return nil
	}
	b := d.in.buf[d.in.pos : d.in.pos+n : d.in.pos+n]
	d.in.pos += n
	return b
}

// array reads the length of an array whose elements take at least size bytes each. A length that
// the bytes left cannot hold is a fault, so the caller may allocate it.
func (d *decoder) array(size int) int {
	c, ok := d.peek()
	if !ok {
		return 0
	}
	if !isArray(c) {
		d.fail("code 0x%x, want an array", c)
		return 0
	}
	before := d.in.pos
	n, err := d.dec.DecodeArrayLen()
	if !d.took(err, before, arraySize(n)) {
		return 0
	}
	if n > d.left()/size {
		d.fail("array of length %d in a frame with %d bytes left", n, d.left())
		return 0
	}
	return n
}

// tuple reads the head of an array of exactly n elements.
func (d *decoder) tuple(n int) {
	if got := d.array(1); d.err == nil && got != n {
		d.fail("array of length %d, want %d", got, n)
	}
}

// took checks what the library did: no error, and the shortest form.
func (d *decoder) took(err error, before, size int) bool {
	switch {
	case err != nil:
		d.fail("ends too early")
	case d.in.pos-before != size:
		d.fail("%d bytes for what fits in %d", d.in.pos-before, size)
	}
	return d.err == nil
}

// The sizes of the shortest forms.

func uintSize(n uint64) int {
	switch {
	case n <= math.MaxInt8:
		return 1
	case n <= math.MaxUint8:
		return 2
	case n <= math.MaxUint16:
		return 3
	case n <= math.MaxUint32:
		return 5
	default:
		return 9
	}
}

func negativeSize(n int64) int {
	switch {
	case n >= -32:
		return 1
	case n >= math.MinInt8:
		return 2
	case n >= math.MinInt16:
		return 3
	case n >= math.MinInt32:
		return 5
	default:
		return 9
	}
}

func binSize(n int) int {
	switch {
	case n <= math.MaxUint8:
		return 2
	case n <= math.MaxUint16:
		return 3
	default:
		return 5
	}
}

func stringSize(n int) int {
	if n < 32 {
		return 1
	}
	return binSize(n)
}

func arraySize(n int) int {
	switch {
	case n < 16:
		return 1
	case n <= math.MaxUint16:
		return 3
	default:
		return 5
	}
}
