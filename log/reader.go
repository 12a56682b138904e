package log

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"quoll/zab"
)

// view is a part of the history as it was at one moment. It holds references to the segments, so
// that purging does not take them away, and a copy of the block that was not written yet.
type view struct {
	extents []extent
	ends    map[*segment]int64 // what is durable of each
	pending []byte             // of segment, from base on
	segment *segment
	base    int64
}

// Read gives f the txns of (from, to] in order, in batches. It reads the history as it is when it
// is called, what was appended and is not durable yet included, and never a dead branch
// (ZOOKEEPER-2846). The txns and their bytes are valid until f returns; an error of f ends the
// reading. ErrNotInLog says that from or to is not in the history or that the log has forgotten
// it. Read may be called beside everything else.
func (l *Log) Read(from, to zab.Zxid, f func([]zab.Txn) error) error {
	v, err := l.view(from, to)
	if err != nil || v == nil {
		return err
	}
	defer l.leave(v)
	r := &reader{from: from, last: from, f: f}
	for i := range v.extents {
		e := &v.extents[i]
		if err := r.read(v, e, min(to, e.last)); err != nil {
			if errors.As(err, new(damage)) {
				err = &CorruptError{Segment: l.segmentPath(e.segment), Offset: e.offset, Last: r.last, Err: err}
			}
			return err
		}
	}
	if r.last != to {
		return fmt.Errorf("log: read (%v,%v]: the index ends at %v", from, to, r.last)
	}
	return nil
}

// view returns nil if there is nothing between from and to.
func (l *Log) view(from, to zab.Zxid) (*view, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return nil, l.err
	}
	b := &l.fold.branch
	if from > to || from < b.horizon || !b.contains(from) || !b.contains(to) {
		return nil, fmt.Errorf("log: read (%v,%v]: %w, which has (%v,%v]", from, to, ErrNotInLog,
			b.horizon, b.last())
	}
	if from == to {
		return nil, nil
	}
	first, _ := slices.BinarySearchFunc(b.extents, from+1, func(e extent, z zab.Zxid) int {
		if e.last < z {
			return -1
		}
		return 1
	})
	v := &view{ends: make(map[*segment]int64)}
	for _, e := range b.extents[first:] {
		if e.first > to {
			break
		}
		v.extents = append(v.extents, e)
		if _, ok := v.ends[e.segment]; !ok {
			v.ends[e.segment] = e.segment.end
			e.segment.refs++
		}
	}
	if p := &l.pending; p.records > 0 {
		if _, ok := v.ends[p.segment]; ok {
			v.pending, v.segment, v.base = slices.Clone(p.buf), p.segment, p.base
		}
	}
	return v, nil
}

func (l *Log) leave(v *view) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for s := range v.ends {
		l.unref(s)
	}
}

// source returns what a scanner reads a segment from, and its end.
func (v *view) source(s *segment) (io.ReaderAt, int64) {
	if s != v.segment {
		return s.file, v.ends[s]
	}
	return &joined{file: s, at: v.base, rest: v.pending}, v.base + int64(len(v.pending))
}

// joined is a file up to at, and behind it bytes in memory. Between the end of the file and at
// there is nothing: a block starts where the last one ended.
type joined struct {
	file *segment
	at   int64
	rest []byte
}

func (j *joined) ReadAt(b []byte, off int64) (int, error) {
	n := 0
	if off < j.at {
		part := b[:min(int64(len(b)), j.at-off)]
		var err error
		if n, err = j.file.file.ReadAt(part, off); n < len(part) {
			return n, err
		}
		off += int64(n)
	}
	if n < len(b) {
		n += copy(b[n:], j.rest[min(off-j.at, int64(len(j.rest))):])
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// reader gathers txns into batches.
type reader struct {
	from, last zab.Zxid
	f          func([]zab.Txn) error
	buf        []byte
	batch      []zab.Txn
}

// read gives the txns of an extent that are wanted, up to one, to f.
func (r *reader) read(v *view, e *extent, upTo zab.Zxid) error {
	src, end := v.source(e.segment)
	sc := newScanner(src, e.segment.sequence, e.offset, end, e.before, r.buf)
	var rec record
	for r.last < upTo {
		if !sc.ready() { // what the batch holds is about to be overwritten
			if err := r.flush(); err != nil {
				return err
			}
		}
		err := sc.next(&rec)
		switch {
		case errors.Is(err, errEnd):
			return damaged("it ends after %v, before %v", r.last, upTo)
		case err != nil:
			return err
		}
		z := rec.zxid()
		if rec.kind != uint8(zab.RecordTxn) || z <= r.from {
			continue
		}
		if !r.last.Precedes(z) {
			return damaged("txn %v follows %v", z, r.last)
		}
		r.last = z
		r.batch = append(r.batch, zab.Txn{Zxid: z, Data: rec.data})
	}
	r.buf = sc.buf
	return r.flush()
}

func (r *reader) flush() error {
	if len(r.batch) == 0 {
		return nil
	}
	err := r.f(r.batch)
	r.batch = r.batch[:0]
	return err
}
