package log

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// errEnd is the end of what a scanner may read, or zeros where a block could start.
var errEnd = errors.New("end of the segment")

// damage is a byte that is not what was written. Any other error of a scanner comes from the disk.
type damage struct{ what string }

func (d damage) Error() string { return d.what }

func damaged(format string, args ...any) error { return damage{fmt.Sprintf(format, args...)} }

// scanner reads the records of a segment in order. It allocates one buffer, which it fills with
// large reads and which grows only for a record that is longer, never past end.
type scanner struct {
	src      io.ReaderAt
	sequence uint64
	end      int64  // reads nothing at or after this
	chain    uint32 // crc of the record before off
	needMark bool   // a block starts at off

	buf  []byte
	fill int   // bytes in buf
	pos  int   // of the next record in buf
	base int64 // offset in the segment of buf[0]
}

const scanBytes = 256 << 10

// newScanner reads src from off to end. chain is the crc of the record before off. buf is
// used if it is long enough.
func newScanner(src io.ReaderAt, sequence uint64, off, end int64, chain uint32, buf []byte) *scanner {
	if want := max(sectorBytes, min(scanBytes, end-off)); int64(len(buf)) < want {
		buf = make([]byte, want)
	}
	return &scanner{src: src, sequence: sequence, end: end, chain: chain, buf: buf, base: off}
}

func (s *scanner) offset() int64 { return s.base + int64(s.pos) }

// peek returns the next n bytes, fewer only at the end. It invalidates what it returned before,
// and the data of records, unless ready said otherwise.
func (s *scanner) peek(n int64) ([]byte, error) {
	n = min(n, s.end-s.offset())
	if int64(s.fill-s.pos) >= n {
		return s.buf[s.pos : s.pos+int(n)], nil
	}
	s.fill = copy(s.buf, s.buf[s.pos:s.fill])
	s.base += int64(s.pos)
	s.pos = 0
	if n > int64(len(s.buf)) {
		s.buf = append(make([]byte, 0, n), s.buf[:s.fill]...)[:n]
	}
	at := s.base + int64(s.fill)
	want := min(int64(len(s.buf)-s.fill), s.end-at)
	got, err := s.src.ReadAt(s.buf[s.fill:s.fill+int(want)], at)
	if int64(got) < want {
		return nil, fmt.Errorf("read %d bytes at %d: %w", want, at, err)
	}
	s.fill += got
	return s.buf[:n], nil
}

// ready reports whether next will do without reading, so that the data of records returned before
// stay valid.
func (s *scanner) ready() bool {
	for p := s.pos; ; {
		at := s.base + int64(p)
		if gap := gapAt(at); gap > 0 {
			p = min(p+int(gap), s.fill)
			at = s.base + int64(p)
		}
		have := s.buf[p:s.fill]
		if len(have) < frameBytes {
			return at+int64(len(have)) >= s.end
		}
		length := frameBytes + int64(binary.LittleEndian.Uint32(have[crcBytes:]))
		mark := len(have) > frameBytes && have[frameBytes] == kindMark
		if binary.LittleEndian.Uint64(have) == 0 {
			if at%sectorBytes == 0 {
				return true
			}
			length, mark = align(at)-at, true
		}
		if length > int64(len(have)) || !mark {
			return length <= int64(len(have))
		}
		p += int(length)
	}
}

// next decodes a record; marks are checked and skipped. Its error is errEnd, a damage, or that of
// the disk; in the first two cases offset is the end of the last record that is good or, if that
// was the end of its block, where the next block belongs.
func (s *scanner) next(r *record) error {
	for {
		if err := s.skipGap(); err != nil {
			return err
		}
		b, err := s.peek(frameBytes)
		switch {
		case err != nil:
			return err
		case len(b) == 0:
			return errEnd
		case len(b) < frameBytes:
			if allZero(b) {
				return errEnd
			}
			return damaged("%d bytes at the end are no record", len(b))
		}
		if binary.LittleEndian.Uint64(b) == 0 {
			if s.offset()%sectorBytes == 0 {
				return errEnd
			}
			if err = s.skipPadding(); err != nil {
				return err
			}
			continue
		}
		mark, err := s.decode(r, binary.LittleEndian.Uint32(b[crcBytes:]))
		if err != nil || !mark {
			return err
		}
	}
}

// skipGap goes over the end of a sector that is too short for a frame.
func (s *scanner) skipGap() error {
	gap := gapAt(s.offset())
	if gap == 0 {
		return nil
	}
	b, err := s.peek(gap)
	if err != nil {
		return err
	}
	if !allZero(b) {
		return damaged("something fills the gap at the end of a sector")
	}
	s.pos += len(b)
	return nil
}

// skipPadding goes from the last record of a block to where the next one starts.
func (s *scanner) skipPadding() error {
	pad := align(s.offset()) - s.offset()
	b, err := s.peek(pad)
	if err != nil {
		return err
	}
	if !allZero(b) {
		return damaged("something follows the end of a block")
	}
	s.pos += len(b)
	s.needMark = true
	return nil
}

// decode takes a record of that length, or a mark, from the buffer.
func (s *scanner) decode(r *record, length uint32) (mark bool, err error) {
	if length < bodyBytes || length > bodyBytes+MaxData || int64(length) > s.end-s.offset()-frameBytes {
		return false, damaged("impossible length %d of a record", length)
	}
	b, err := s.peek(frameBytes + int64(length))
	if err != nil {
		return false, err
	}
	if b[frameBytes] == kindMark {
		return true, s.mark(b)
	}
	crc := binary.LittleEndian.Uint32(b)
	switch {
	case s.needMark:
		return false, damaged("a block does not start with a mark")
	case crc32.Update(s.chain, castagnoli, b[crcBytes:]) != crc:
		return false, damaged("checksum of a record of %d bytes", len(b))
	}
	*r = record{
		kind:   b[frameBytes],
		value:  binary.LittleEndian.Uint64(b[frameBytes+1:]),
		data:   b[headBytes:len(b):len(b)],
		offset: s.offset(),
		before: s.chain,
	}
	s.chain = crc
	s.pos += len(b)
	return false, nil
}

func (s *scanner) mark(b []byte) error {
	before, crc, _, ok := parseMark(b, s.sequence, s.offset())
	if !ok || len(b) != markBytes {
		return damaged("mark of a block")
	}
	if before != s.chain {
		return damaged("a block that follows another record")
	}
	s.chain, s.needMark = crc, false
	s.pos += len(b)
	return nil
}

// evidence is what a segment holds behind the last record that is good.
type evidence struct {
	any    bool // it is not all zeros
	synced bool // a mark: what is before it was durable once
}

// survey looks for evidence in all sectors from off on.
func survey(src io.ReaderAt, sequence uint64, off, end int64) (evidence, error) {
	var e evidence
	buf := make([]byte, min(scanBytes, max(0, end-off)))
	for off < end {
		b := buf[:min(int64(len(buf)), end-off)]
		if n, err := src.ReadAt(b, off); n < len(b) {
			return e, fmt.Errorf("read %d bytes at %d: %w", len(b), off, err)
		}
		first := align(off) - off
		if !allZero(b) {
			e.any = true
			for i := first; i < int64(len(b)); i += sectorBytes {
				if _, _, synced, ok := parseMark(b[i:], sequence, off+i); ok && synced {
					e.synced = true
				}
			}
		}
		off += int64(len(b))
		if rest := off % sectorBytes; off < end && rest != 0 {
			off -= rest // a mark must not fall between two reads
		}
	}
	return e, nil
}

// allZero compares words while it can: most of what it sees is preallocated space.
func allZero(b []byte) bool {
	for len(b) >= 8 {
		if binary.LittleEndian.Uint64(b) != 0 {
			return false
		}
		b = b[8:]
	}
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
