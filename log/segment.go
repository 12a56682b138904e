package log

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"path"
	"strconv"
	"strings"

	"quoll/log/vfs"
	"quoll/zab"
)

// A segment is a file log.<sequence>: a header, then blocks. The header, little-endian, is filled
// with zeros up to a multiple of the sector size:
//
//	 0  magic      8 bytes "quolllog"
//	 8  crc        u32     CRC32C of everything after it, up to size
//	12  size       u32     of the header; the first block starts here
//	16  version    u16     2 is not 1: refused
//	18  server     u8      whose log this is
//	19  flags      u8      1 silent, 2 a generation is being installed
//	20  chain      u32     crc of the last record of the segment before
//	24  sequence   u64     as in the name
//	32  previous   u64     where the segment before ends; what it holds behind that is not log
//	40  accepted   u32     accepted epoch
//	44  current    u32     current epoch
//	48  snapshot   u64     zxid of the newest snapshot that a record names
//	56  history            base u64, count u32, count x u64: last zxid of each epoch after base
//	    aside              the same, if flags say so
//
// From accepted on it is the fold of everything before, so that older segments can go. The header
// is durable before the first block is written; a file whose header is not whole and that holds
// no mark was never used.
const (
	segmentMagic   = "quolllog"
	segmentVersion = 1
	segmentPrefix  = "log."
	flagSilent     = 1
	flagAside      = 2
	crcOffset      = 8
	fixedHeader    = 56

	// headerEpochs is how many epochs a header lists at most. Of the rest only the end is kept:
	// no truncation goes back so far.
	headerEpochs = 4096
	maxHeader    = 128 << 10
)

// segment is a file of the log. The log holds one reference to it and each reader one; the file
// is closed with the last, so that purging never hurts a reader.
type segment struct {
	sequence uint64
	file     vfs.File // nil until the file exists
	header   int64    // size of the header
	end      int64    // where the next block goes; what is before it is durable
	filled   bool     // zeros were written all over it before it was used (Prepare)
	refs     int      // guarded by Log.mu
}

// segmentName has room for more segments than a disk will see, so that names sort.
func segmentName(sequence uint64) string { return fmt.Sprintf("%s%010d", segmentPrefix, sequence) }

// parseSegmentName is strict, so that a copy or a backup beside the log is not taken for a part of it.
func parseSegmentName(name string) (uint64, bool) {
	digits, ok := strings.CutPrefix(name, segmentPrefix)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, err == nil && n > 0 && segmentName(n) == name
}

// header is what the header of a segment says.
type header struct {
	server   zab.ServerID
	sequence uint64
	chain    uint32
	previous int64
	size     int64
	fold     fold // extents are empty and nothing is held: horizon is last
}

func (h *header) encode() []byte {
	var flags byte
	if h.fold.silent {
		flags |= flagSilent
	}
	if h.fold.aside != nil {
		flags |= flagAside
	}
	b := make([]byte, 0, sectorBytes)
	b = append(b, segmentMagic...)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0) // crc and size, below
	b = binary.LittleEndian.AppendUint16(b, segmentVersion)
	b = append(b, byte(h.server), flags)
	b = binary.LittleEndian.AppendUint32(b, h.chain)
	b = binary.LittleEndian.AppendUint64(b, h.sequence)
	b = binary.LittleEndian.AppendUint64(b, uint64(h.previous))
	b = binary.LittleEndian.AppendUint32(b, uint32(h.fold.accepted))
	b = binary.LittleEndian.AppendUint32(b, uint32(h.fold.current))
	b = binary.LittleEndian.AppendUint64(b, uint64(h.fold.snapshot))
	b = appendBranch(b, &h.fold.branch)
	if h.fold.aside != nil {
		b = appendBranch(b, h.fold.aside)
	}
	b = append(b, make([]byte, align(int64(len(b)))-int64(len(b)))...)
	binary.LittleEndian.PutUint32(b[crcOffset+4:], uint32(len(b)))
	binary.LittleEndian.PutUint32(b[crcOffset:], crc32.Checksum(b[crcOffset+4:], castagnoli))
	return b
}

func appendBranch(b []byte, br *branch) []byte {
	base, ends := br.base, br.ends
	if n := len(ends) - headerEpochs; n > 0 {
		base, ends = ends[n-1], ends[n:]
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(base))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(ends)))
	for _, z := range ends {
		b = binary.LittleEndian.AppendUint64(b, uint64(z))
	}
	return b
}

// errNoHeader is a file without a whole header.
var errNoHeader = errors.New("the header of the segment is not whole")

// decodeHeader reads the header from the start of a file. b may be longer.
func decodeHeader(b []byte) (*header, error) {
	if len(b) < sectorBytes || !bytes.HasPrefix(b, []byte(segmentMagic)) {
		return nil, errNoHeader
	}
	size := binary.LittleEndian.Uint32(b[12:])
	if size%sectorBytes != 0 || size < sectorBytes || int64(size) > int64(len(b)) {
		return nil, errNoHeader
	}
	b = b[:size]
	if crc32.Checksum(b[crcOffset+4:], castagnoli) != binary.LittleEndian.Uint32(b[crcOffset:]) {
		return nil, errNoHeader
	}
	if v := binary.LittleEndian.Uint16(b[16:]); v != segmentVersion {
		return nil, fmt.Errorf("%w: %d", ErrVersion, v)
	}
	h := &header{
		server:   zab.ServerID(b[18]),
		chain:    binary.LittleEndian.Uint32(b[20:]),
		sequence: binary.LittleEndian.Uint64(b[24:]),
		previous: int64(binary.LittleEndian.Uint64(b[32:])),
		size:     int64(size),
	}
	h.fold.silent = b[19]&flagSilent != 0
	h.fold.accepted = zab.Epoch(binary.LittleEndian.Uint32(b[40:]))
	h.fold.current = zab.Epoch(binary.LittleEndian.Uint32(b[44:]))
	h.fold.snapshot = zab.Zxid(binary.LittleEndian.Uint64(b[48:]))
	rest, ok := decodeBranch(b[fixedHeader:], &h.fold.branch)
	if ok && b[19]&flagAside != 0 {
		h.fold.aside = new(branch)
		rest, ok = decodeBranch(rest, h.fold.aside)
	}
	if !ok || !allZero(rest) || h.fold.current > h.fold.accepted || h.previous < 0 {
		return nil, errNoHeader
	}
	return h, nil
}

func decodeBranch(b []byte, br *branch) (rest []byte, ok bool) {
	if len(b) < 12 {
		return nil, false
	}
	br.base = zab.Zxid(binary.LittleEndian.Uint64(b))
	count := int64(binary.LittleEndian.Uint32(b[8:]))
	b = b[12:]
	if count*8 > int64(len(b)) {
		return nil, false
	}
	last := br.base
	for i := range count {
		z := zab.Zxid(binary.LittleEndian.Uint64(b))
		if z <= last || z.Counter() == 0 || i > 0 && z.Epoch() == last.Epoch() {
			return nil, false
		}
		br.ends, last, b = append(br.ends, z), z, b[8:]
	}
	br.horizon = last
	return b, true
}

// createSegment makes a preallocated file whose name is durable and whose content is zeros. A
// file of that name is left over from an attempt that did not get to its header.
func (l *Log) createSegment(sequence uint64) (vfs.File, error) {
	name := path.Join(l.opts.Dir, segmentName(sequence))
	if _, err := l.fs.Stat(name); err == nil {
		if err = l.fs.Remove(name); err != nil {
			return nil, l.diskError("remove", name, err)
		}
	}
	file, err := l.fs.Create(name)
	if err != nil {
		return nil, l.diskError("create", name, err)
	}
	if err = file.Preallocate(l.opts.PreallocBytes); err != nil {
		err = l.diskError("preallocate", name, err)
		_ = file.Close()
		_ = l.fs.Remove(name) // it would be in the way of nothing
		return nil, err
	}
	if err = file.Sync(); err == nil {
		err = l.fs.SyncDir(l.opts.Dir)
	}
	if err != nil {
		_ = file.Close()
		return nil, l.fail("sync", name, err)
	}
	return file, nil
}
