package log

import (
	"fmt"
	"path"
	"time"

	"quoll/log/vfs"
	"quoll/zab"
)

// pending is the block that the next Sync writes. Its bytes are those of the file from base on,
// so that a reader finds a txn in the same place before and after it is durable.
type pending struct {
	buf     []byte
	base    int64
	segment *segment
	header  []byte // of segment, if it has to be begun first
	records int
	reforms bool // something in it changes which snapshots and segments are needed
}

// keepBuffer is the largest block buffer that is used again, in bytes: one burst must not hold its
// memory for ever.
const keepBuffer = 8 << 20

// Append puts records behind everything appended before. Their bytes are copied. They are durable
// when a later Sync has returned. A record that cannot follow is a bug of the caller and panics:
// written, it would keep the server from ever starting again.
func (l *Log) Append(recs []zab.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	for i := range recs {
		l.append(&recs[i])
	}
	return nil
}

func (l *Log) append(rec *zab.Record) {
	r := &l.scratch
	*r = recordOf(rec)
	if len(r.data) > MaxData {
		panic(fmt.Sprintf("log: txn %v of %d bytes", rec.Zxid, len(r.data)))
	}
	p := &l.pending
	if p.records == 0 {
		l.beginBlock()
	}
	switch rec.Kind {
	case zab.RecordInstall:
		if !l.hasSnapshot(rec.Zxid) {
			panic(fmt.Sprintf("log: installing snapshot %v, which is not on disk", rec.Zxid))
		}
		p.reforms = true
	case zab.RecordTruncate, zab.RecordAbandon:
		p.reforms = true
	case zab.RecordCurrentEpoch:
		if l.fold.aside != nil {
			p.reforms = true
			l.received = nil
		}
	case zab.RecordTxn, zab.RecordAcceptedEpoch, zab.RecordSnapshot:
	default:
	}
	if gapAt(int64(len(p.buf))) > 0 { // base is aligned
		p.buf = pad(p.buf)
	}
	at := place{segment: p.segment, offset: p.base + int64(len(p.buf)), before: l.chain}
	if err := l.fold.apply(r, at); err != nil {
		panic("log: append: " + err.Error())
	}
	p.buf, l.chain = appendRecord(p.buf, l.chain, r)
	p.records++
}

// beginBlock decides where the next block goes. A segment that is full enough ends here, so that
// its end is durable before the header of the next one says where it is.
func (l *Log) beginBlock() {
	p, current := &l.pending, l.current
	p.segment, p.base, p.header = current, current.end, nil
	if current.end >= l.opts.SegmentBytes || !current.filled && l.filled.Load() {
		next := &segment{sequence: current.sequence + 1, refs: 1}
		h := header{
			server:   l.opts.Server,
			sequence: next.sequence,
			chain:    l.chain,
			previous: current.end,
			fold:     l.fold,
		}
		p.header = h.encode()
		next.header = int64(len(p.header))
		next.end = next.header
		p.segment, p.base = next, next.header
	}
	p.buf, l.chain = appendMark(p.buf[:0], p.segment.sequence, p.base, !l.opts.NoSync, l.chain)
}

// Sync makes everything appended durable, with one write and one fsync. A FullError leaves
// everything as it was: more may be appended and Sync called again. Any other error is final.
func (l *Log) Sync() error {
	if err := l.Err(); err != nil {
		return err
	}
	p := &l.pending
	if p.records == 0 {
		return nil
	}
	if p.header != nil {
		if err := l.beginSegment(); err != nil {
			return err
		}
	}
	event := SyncEvent{Records: p.records}
	if err := l.writeBlock(&event); err != nil {
		return err
	}
	if l.opts.OnSync != nil {
		l.opts.OnSync(event)
	}
	return nil
}

// writeBlock writes the pending block and makes it durable. Readers may look at the block all the
// while; its padding is added and taken away under mu.
func (l *Log) writeBlock(event *SyncEvent) error {
	p := &l.pending
	l.mu.Lock()
	n := len(p.buf)
	p.buf = pad(p.buf)
	l.mu.Unlock()
	event.Bytes = len(p.buf)
	start := l.now()
	if _, err := p.segment.file.WriteAt(p.buf, p.base); err != nil {
		l.mu.Lock()
		p.buf = p.buf[:n] // more may come before the next attempt
		l.mu.Unlock()
		return l.diskError("write", l.segmentPath(p.segment), err)
	}
	event.Write = l.now().Sub(start)
	if !l.opts.NoSync {
		start = l.now()
		if err := p.segment.file.Sync(); err != nil {
			return l.fail("sync", l.segmentPath(p.segment), err)
		}
		event.Sync = l.now().Sub(start)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	p.segment.end = p.base + int64(len(p.buf))
	p.records, p.reforms = 0, false
	if cap(p.buf) > keepBuffer {
		p.buf = nil
	}
	l.confirmed = false
	return nil
}

// beginSegment makes the header of the pending block's segment durable. Only then may a block go
// there: recovery relies on it to tell a segment that was never used from one that was damaged.
func (l *Log) beginSegment() error {
	p := &l.pending
	if l.opts.NoSync { // a damaged end is only forgiven in the last segment
		if err := l.current.file.Sync(); err != nil {
			return l.fail("sync", l.segmentPath(l.current), err)
		}
	}
	l.making.Lock()
	defer l.making.Unlock()
	if l.spare == nil {
		file, err := l.createSegment(p.segment.sequence)
		if err != nil {
			return err
		}
		l.spare = file
	}
	if err := l.writeHeader(p.segment.sequence, p.header); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	p.segment.file, l.spare = l.spare, nil
	p.segment.filled = l.filled.Swap(false)
	l.current = p.segment
	l.segments = append(l.segments, p.segment)
	p.header = nil
	return nil
}

// writeHeader begins the spare segment.
func (l *Log) writeHeader(sequence uint64, header []byte) error {
	name := path.Join(l.opts.Dir, segmentName(sequence))
	if _, err := l.spare.WriteAt(header, 0); err != nil {
		return l.diskError("write", name, err)
	}
	if err := l.spare.Sync(); err != nil {
		return l.fail("sync", name, err)
	}
	return nil
}

// Idle does what the next Sync would otherwise wait for. The log writer calls it when nothing is
// queued; it returns only an error that is final.
func (l *Log) Idle() error {
	if err := l.Err(); err != nil {
		return err
	}
	if l.pending.records > 0 {
		return nil
	}
	if err := l.confirm(false); err != nil {
		return err
	}
	_, _, err := l.makeSpare(l.opts.SegmentBytes / 2)
	return err
}

// fillPiece is how much of a spare segment is written at once, so that a writer that takes it
// meanwhile, and an fsync of the log beside it, need not wait long.
const fillPiece = 1 << 20

// firstBytes is how much a segment that is not full of zeros takes before Prepare makes one that is.
const firstBytes = 64 << 10

// Prepare makes the next segment ahead of time, once the present one is half full, and writes
// zeros all over it. A segment that is only reserved makes each fsync wait for the file system's
// journal as well, because the blocks change from reserved to written; the log leaves such a
// segment, the first of a process, as soon as there is a better one. Prepare may run beside
// everything else, in one goroutine, and returns only an error that is final.
func (l *Log) Prepare() error {
	l.mu.Lock()
	due := l.spareDue()
	l.mu.Unlock()
	file, sequence, err := l.makeSpare(due)
	if file == nil || err != nil {
		return err
	}
	zeros := make([]byte, fillPiece)
	for off := int64(0); off+fillPiece <= l.opts.PreallocBytes; off += fillPiece {
		if taken, err := l.fill(file, sequence, zeros, off); taken || err != nil {
			return err
		}
	}
	l.making.Lock()
	l.filled.Store(l.spare == file)
	l.making.Unlock()
	return nil
}

// PrepareDue reports whether Prepare has something to do.
func (l *Log) PrepareDue() bool {
	if !l.making.TryLock() {
		return false // it is being made
	}
	made := l.spare != nil
	l.making.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	return !made && l.current.end >= l.spareDue()
}

// spareDue returns from what size on of the present segment the next one is to be made.
func (l *Log) spareDue() int64 {
	if !l.current.filled {
		return min(l.opts.SegmentBytes/2, firstBytes)
	}
	return l.opts.SegmentBytes / 2
}

// makeSpare makes the next segment if the present one has reached due and nobody has made it yet.
// It returns the file it made.
func (l *Log) makeSpare(due int64) (vfs.File, uint64, error) {
	l.making.Lock()
	defer l.making.Unlock()
	l.mu.Lock()
	sequence, end := l.current.sequence+1, l.current.end
	l.mu.Unlock()
	if l.spare != nil || end < due {
		return nil, 0, l.Err()
	}
	file, err := l.createSegment(sequence)
	if err != nil {
		return nil, 0, l.Err() // no space: Sync will say so if there is none by then
	}
	l.spare = file
	return file, sequence, nil
}

// fill writes and syncs a piece of zeros, unless the writer has taken the segment.
func (l *Log) fill(file vfs.File, sequence uint64, zeros []byte, off int64) (taken bool, err error) {
	l.making.Lock()
	defer l.making.Unlock()
	if l.spare != file {
		return true, nil
	}
	name := path.Join(l.opts.Dir, segmentName(sequence))
	if _, err := file.WriteAt(zeros, off); err != nil {
		return false, l.fail("write", name, err)
	}
	if err := file.Sync(); err != nil {
		return false, l.fail("sync", name, err)
	}
	return false, nil
}

// confirm writes the mark of the next block ahead of it. It says that the last block was durable,
// so that damage to that one is told from a torn tail too, and the next block begins with the
// same bytes. Without sync it gets to the disk in the kernel's own time, which is good enough for
// what only helps.
func (l *Log) confirm(sync bool) error {
	current := l.current
	if l.opts.NoSync || l.confirmed && !sync || current.end >= l.opts.SegmentBytes {
		return nil
	}
	l.mark, _ = appendMark(l.mark[:0], current.sequence, current.end, true, l.chain)
	l.mark = pad(l.mark)
	if _, err := current.file.WriteAt(l.mark, current.end); err != nil {
		if isFull(err) {
			return nil
		}
		return l.fail("write", l.segmentPath(current), err)
	}
	if sync {
		if err := current.file.Sync(); err != nil {
			return l.fail("sync", l.segmentPath(current), err)
		}
	}
	l.confirmed = true
	return nil
}

// pad fills a block up to the next sector with zeros.
func pad(b []byte) []byte {
	var zeros [sectorBytes]byte
	return append(b, zeros[:align(int64(len(b)))-int64(len(b))]...)
}

func (l *Log) segmentPath(s *segment) string {
	return path.Join(l.opts.Dir, segmentName(s.sequence))
}

func (l *Log) now() time.Time {
	if l.opts.Now == nil {
		return time.Time{}
	}
	return l.opts.Now()
}
