package log

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"

	"quoll/log/vfs"
	"quoll/zab"
)

// A snapshot is a file snapshot.<zxid>, the zxid in 16 digits of hex. It is the same on every
// server, so that it can be sent as it is; numbers are little-endian:
//
//	 0  magic    8 bytes "quollsnp"
//	 8  version  u32     2 is not 1: refused
//	12  zero     u32
//	16  zxid     u64     the state is that after this txn
//	24  state            one zstd stream
//	-16 magic    4 bytes "seal"
//	-12 length   u64     of the file
//	-4  crc      u32     CRC32C of everything before it
//
// A file gets its name when it is complete and durable; the seal is the last that is written.
const (
	snapshotMagic   = "quollsnp"
	sealMagic       = "seal"
	snapshotVersion = 1
	snapshotPrefix  = "snapshot."
	snapshotHeader  = 24
	sealBytes       = 16
	minSnapshot     = snapshotHeader + sealBytes

	// snapshotWindow bounds what a stream can make its reader allocate, in bytes.
	snapshotWindow = 1 << 20
	// snapshotSync is how much of a snapshot may wait to be written, in bytes. An fsync of the log
	// can wait for all of it; so it is handed to the disk in pieces.
	snapshotSync = 4 << 20
)

func snapshotName(z zab.Zxid) string { return fmt.Sprintf("%s%016x", snapshotPrefix, uint64(z)) }

func parseSnapshotName(name string) (zab.Zxid, bool) {
	digits, ok := strings.CutPrefix(name, snapshotPrefix)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 16, 64)
	return zab.Zxid(n), err == nil && snapshotName(zab.Zxid(n)) == name
}

// A temporary file has no claim to be complete.
const temporaryPrefix = "unfinished."

func isTemporary(name string) bool { return strings.HasPrefix(name, temporaryPrefix) }

func badSnapshot(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrBadSnapshot}, args...)...)
}

// snapshotFile writes a snapshot's bytes one after another and keeps their checksum. It hands them
// to the disk in pieces. It remembers an error of the disk, to be told from one of the source.
type snapshotFile struct {
	file   vfs.File
	size   int64
	crc    uint32
	synced int64
	err    error
}

func (f *snapshotFile) Write(b []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	n, err := f.file.WriteAt(b, f.size)
	f.crc = crc32.Update(f.crc, castagnoli, b[:n])
	f.size += int64(n)
	if err == nil && f.size-f.synced >= snapshotSync {
		err = f.file.Sync()
		f.synced = f.size
	}
	f.err = err
	return n, err
}

// sync makes the whole file durable.
func (f *snapshotFile) sync() error {
	if f.err == nil && f.synced < f.size {
		f.err = f.file.Sync()
	}
	return f.err
}

// snapshotHead and seal are what surrounds the stream.
func snapshotHead(z zab.Zxid) []byte {
	b := append(make([]byte, 0, snapshotHeader), snapshotMagic...)
	b = binary.LittleEndian.AppendUint64(b, snapshotVersion)
	return binary.LittleEndian.AppendUint64(b, uint64(z))
}

func (f *snapshotFile) seal() error {
	b := append(make([]byte, 0, sealBytes), sealMagic...)
	b = binary.LittleEndian.AppendUint64(b, uint64(f.size)+sealBytes)
	if _, err := f.Write(b); err != nil {
		return err
	}
	_, err := f.Write(binary.LittleEndian.AppendUint32(nil, f.crc))
	return err
}

// encodeSnapshot writes a whole snapshot file.
func encodeSnapshot(f *snapshotFile, z zab.Zxid, write func(io.Writer) error) error {
	if _, err := f.Write(snapshotHead(z)); err != nil {
		return err
	}
	enc := encoders.Get().(*zstd.Encoder)
	enc.Reset(f)
	err := write(enc)
	if err = errors.Join(err, enc.Close()); err != nil {
		return err // what failed is not used again
	}
	enc.Reset(nil)
	encoders.Put(enc)
	return f.seal()
}

// encoders keeps encoders for the next snapshot: making one clears megabytes, which matters when
// snapshots are small and many. What an encoder writes does not depend on what it wrote before.
var encoders = sync.Pool{New: func() any {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(snapshotWindow), zstd.WithEncoderCRC(false))
	if err != nil {
		panic(err) // the options are constants
	}
	return enc
}}

// checkHead judges the first bytes of a snapshot.
func checkHead(b []byte, z zab.Zxid) error {
	version := binary.LittleEndian.Uint64(b[8:])
	named := zab.Zxid(binary.LittleEndian.Uint64(b[16:]))
	switch {
	case !bytes.HasPrefix(b, []byte(snapshotMagic)):
		return badSnapshot("no snapshot at all")
	case version != snapshotVersion:
		return badSnapshot("version %d, which this program does not know", version)
	case named != z:
		return badSnapshot("of zxid %v, not %v", named, z)
	}
	return nil
}

// checkSeal judges the last bytes of a snapshot; crc is that of everything before them.
func checkSeal(b []byte, size int64, crc uint32) error {
	const summed = sealBytes - 4
	switch {
	case !bytes.HasPrefix(b, []byte(sealMagic)):
		return badSnapshot("no seal")
	case binary.LittleEndian.Uint64(b[4:]) != uint64(size):
		return badSnapshot("sealed at another length than %d", size)
	case binary.LittleEndian.Uint32(b[summed:]) != crc32.Update(crc, castagnoli, b[:summed]):
		return badSnapshot("checksum")
	}
	return nil
}

// body reads the stream of a snapshot, keeps its checksum and copies what goes by to tee. It
// remembers an error of its source, which the decoder would wrap.
type body struct {
	r    io.Reader
	tee  io.Writer // nil: nobody
	left int64
	crc  uint32
	err  error
}

func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.left == 0 {
		return 0, io.EOF
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	b.crc = crc32.Update(b.crc, castagnoli, p[:n])
	if n > 0 && b.tee != nil {
		if _, werr := b.tee.Write(p[:n]); werr != nil {
			b.err = werr
			return 0, werr
		}
	}
	switch {
	case errors.Is(err, io.EOF) && b.left > 0:
		b.err = badSnapshot("it ends %d bytes early", b.left+sealBytes)
	case err != nil && !errors.Is(err, io.EOF):
		b.err = err
	}
	return n, b.err
}

// decodeSnapshot reads a snapshot file of that size from r, gives what it holds to restore and
// verifies all of it. restore must be ready to forget everything: the checksum comes last. tee,
// if there is one, gets the bytes of the file, those of a bad one too.
func decodeSnapshot(r io.Reader, z zab.Zxid, size int64, tee io.Writer, restore func(io.Reader) error) error {
	if size < minSnapshot {
		return badSnapshot("%d bytes are too few", size)
	}
	head := &body{r: r, tee: tee, left: snapshotHeader}
	var b [snapshotHeader]byte
	if _, err := io.ReadFull(head, b[:]); err != nil {
		return short(head, err)
	}
	if err := checkHead(b[:], z); err != nil {
		return err
	}
	stream := &body{r: r, tee: tee, left: size - minSnapshot, crc: head.crc}
	if err := decompress(stream, restore); err != nil {
		return short(stream, err)
	}
	seal := &body{r: r, tee: tee, left: sealBytes}
	if _, err := io.ReadFull(seal, b[:sealBytes]); err != nil {
		return short(seal, err)
	}
	return checkSeal(b[:sealBytes], size, stream.crc)
}

// short prefers the reason for which the bytes ended to what a reader made of that.
func short(b *body, err error) error {
	if b.err != nil {
		return b.err
	}
	return err
}

// plain is the state as restore reads it. What the decoder makes of bad bytes is ErrBadSnapshot.
type plain struct {
	r   io.Reader
	err error
}

func (p *plain) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: %w", ErrBadSnapshot, err)
		p.err = err
	}
	return n, err
}

func decompress(stream *body, restore func(io.Reader) error) error {
	dec, err := zstd.NewReader(stream, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(snapshotWindow))
	if err != nil {
		return err
	}
	defer dec.Close()
	state := &plain{r: dec}
	if err := restore(state); err != nil {
		if state.err != nil { // what restore makes of it says less
			return state.err
		}
		return fmt.Errorf("restore: %w", err)
	}
	var more [1]byte
	switch n, err := io.ReadFull(state, more[:]); {
	case n > 0:
		return badSnapshot("something follows the state")
	case !errors.Is(err, io.EOF):
		return err
	case stream.left > 0:
		return badSnapshot("something follows the stream")
	}
	return nil
}
