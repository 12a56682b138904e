package transport

import (
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"quoll/zab"
)

// A stream is read from storage by the link's writer when its turn in the queue comes (R15), so it
// takes no memory while it waits. A snapshot is a head, the file in chunks, and an end:
//
//	Snap   zxid, size
//	64     crc, bytes   one to chunkBytes; crc is that of the file up to here, so a chunk that is
//	                    damaged, missing or out of place does not pass
//	65     size, crc    of the whole file
//
// A history is Proposal frames without a commit, a batch of txns each.
const (
	chunkBytes  = 256 << 10
	snapFields  = 2
	chunkFields = 2
	endFields   = 2
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (l *link) writeStream(s stream) error {
	if s.snapshot {
		if err := l.sendSnapshot(s.to); err != nil {
			return fmt.Errorf("snapshot of %v: %w", s.to, err)
		}
		return nil
	}
	if err := l.sendHistory(s.from, s.to); err != nil {
		return fmt.Errorf("history after %v up to %v: %w", s.from, s.to, err)
	}
	return nil
}

func (e *encoder) snap(z zab.Zxid, size int64) {
	start := e.begin(uint8(zab.Snap), snapFields)
	e.uint(uint64(z))
	e.uint(uint64(size))
	e.finish(start)
}

func (e *encoder) chunk(sum uint32, p []byte) {
	start := e.begin(kindChunk, chunkFields)
	e.uint(uint64(sum))
	e.bin(p)
	e.finish(start)
}

func (e *encoder) endOfSnapshot(size int64, sum uint32) {
	start := e.begin(kindEnd, endFields)
	e.uint(uint64(size))
	e.uint(uint64(sum))
	e.finish(start)
}

// flush writes what was encoded.
func (l *link) flush(e *encoder) error {
	err := l.writeBytes(e.out.buf)
	e.reset()
	return err
}

// sendSnapshot sends the snapshot file of z as it is.
func (l *link) sendSnapshot(z zab.Zxid) (err error) {
	file, size, err := l.links.storage.OpenSnapshot(z)
	if err != nil {
		return err
	}
	defer func() {
		if e := file.Close(); err == nil {
			err = e
		}
	}()
	e := newEncoder()
	e.snap(z, size)
	chunk := make([]byte, min(size, chunkBytes))
	sum := uint32(0)
	for left := size; left > 0; {
		chunk = chunk[:min(left, chunkBytes)]
		if _, err := io.ReadFull(file, chunk); err != nil {
			return fmt.Errorf("%d bytes before its end: %w", left, err)
		}
		left -= int64(len(chunk))
		sum = crc32.Update(sum, castagnoli, chunk)
		e.chunk(sum, chunk)
		if err := l.flush(e); err != nil {
			return err
		}
		l.progressed(&l.spoke)
	}
	e.endOfSnapshot(size, sum)
	return l.flush(e)
}

// sendHistory sends the txns of (from, to], each following the one before: a hole in what storage
// returns ends the link instead of leaving it (R8, ZOOKEEPER-4925).
func (l *link) sendHistory(from, to zab.Zxid) error {
	e := newEncoder()
	last := from
	err := l.links.storage.Read(from, to, func(txns []zab.Txn) error {
		for len(txns) > 0 {
			n, size := 0, 0
			for n < len(txns) && (n == 0 || size+len(txns[n].Data) <= chunkBytes) {
				if z := txns[n].Zxid; !last.Precedes(z) || z > to {
					return fmt.Errorf("the log returned %v after %v", z, last)
				}
				size += len(txns[n].Data) + txnBytes
				last = txns[n].Zxid
				n++
			}
			e.message(&zab.Message{Kind: zab.Proposal, Txns: txns[:n]})
			if err := l.flush(e); err != nil {
				return err
			}
			l.progressed(&l.spoke)
			txns = txns[n:]
		}
		return nil
	})
	if err == nil && last != to {
		err = fmt.Errorf("the log ended at %v", last)
	}
	return err
}

// receiveSnapshot passes the snapshot that follows on to storage. Only when all of it is durable
// there does the message exist.
func (l *link) receiveSnapshot(head []byte) (*zab.Message, error) {
	kind, n := l.dec.open(head)
	l.dec.fields(kind, n, snapFields)
	z := l.dec.zxid()
	size := int64(l.dec.uint(math.MaxInt64))
	if err := l.dec.end(); err != nil {
		return nil, err
	}
	r := &snapshotReader{l: l, left: size, size: size}
	err := l.whileInstalling(r, func() error {
		if err := l.links.storage.ReceiveSnapshot(z, size, r); err != nil {
			return err
		}
		return r.finish()
	})
	if err != nil {
		return nil, fmt.Errorf("snapshot of %v: %w", z, err)
	}
	return &zab.Message{Kind: zab.Snap, Zxid: z}, nil
}

// whileInstalling runs install and meanwhile tells both cores that the link is alive: as long as
// bytes come, and when all have come, while storage verifies them (ZOOKEEPER-1465: a time limit on
// a snapshot as a whole makes big ensembles elect for ever).
func (l *link) whileInstalling(r *snapshotReader, install func() error) error {
	stop := make(chan struct{})
	var announcer sync.WaitGroup
	announcer.Go(func() {
		ticks := time.NewTicker(progressInterval)
		defer ticks.Stop()
		for {
			select {
			case <-stop:
				return
			case <-l.done:
				return
			case <-ticks.C:
			}
			if r.moved.Swap(false) || r.complete.Load() {
				l.links.handler.LinkProgress(l.id)
				l.enqueue(l.links.progress, nil)
			}
		}
	})
	err := install()
	close(stop)
	announcer.Wait()
	return err
}

// snapshotReader is the bytes of a snapshot file as they arrive in chunks.
type snapshotReader struct {
	l        *link
	size     int64
	left     int64 // bytes of the file that no chunk has brought yet
	sum      uint32
	chunk    []byte // not read yet; aliases the link's read buffer
	err      error
	moved    atomic.Bool // a chunk came since the announcer looked
	complete atomic.Bool // nothing more will come
}

// Read returns io.EOF only when the file is whole.
func (r *snapshotReader) Read(p []byte) (int, error) {
	for len(r.chunk) == 0 && r.err == nil {
		r.err = r.next()
	}
	if len(r.chunk) == 0 {
		return 0, r.err
	}
	n := copy(p, r.chunk)
	r.chunk = r.chunk[n:]
	return n, nil
}

// finish reads up to the end frame, before which nothing may be left that storage did not want.
func (r *snapshotReader) finish() error {
	var one [1]byte
	switch n, err := r.Read(one[:]); {
	case n > 0:
		return fmt.Errorf("%w: %d bytes more than storage read", errMalformed, r.left+int64(len(r.chunk)+n))
	case err == io.EOF: //nolint:errorlint // our own Read returns it bare
		return nil
	default:
		return err
	}
}

// next takes the next frame of the stream; the end frame gives io.EOF.
func (r *snapshotReader) next() error {
	payload, err := r.l.in.wait()
	if err != nil {
		return err
	}
	r.moved.Store(true)
	d := r.l.dec
	kind, n := d.open(payload)
	switch kind {
	case kindChunk:
		d.fields(kind, n, chunkFields)
		return r.takeChunk(uint32(d.uint(math.MaxUint32)), d.bin(), d.end())
	case kindEnd:
		d.fields(kind, n, endFields)
		return r.takeEnd(d.uint(math.MaxInt64), uint32(d.uint(math.MaxUint32)), d.end())
	default:
		return fmt.Errorf("%w: kind %d inside a snapshot", errMalformed, kind)
	}
}

func (r *snapshotReader) takeChunk(sum uint32, p []byte, err error) error {
	switch {
	case err != nil:
		return err
	case len(p) == 0 || int64(len(p)) > r.left:
		return fmt.Errorf("%w: chunk of %d bytes with %d bytes to come", errMalformed, len(p), r.left)
	}
	r.sum = crc32.Update(r.sum, castagnoli, p)
	if r.sum != sum {
		return fmt.Errorf("%w: checksum of a chunk %d bytes before the end", errMalformed, r.left)
	}
	r.chunk = p
	r.left -= int64(len(p))
	r.complete.Store(r.left == 0)
	return nil
}

func (r *snapshotReader) takeEnd(size uint64, sum uint32, err error) error {
	switch {
	case err != nil:
		return err
	case r.left != 0 || size != uint64(r.size) || sum != r.sum:
		return fmt.Errorf("%w: snapshot of %d bytes ended with %d to come", errMalformed, r.size, r.left)
	}
	return io.EOF
}
