package log

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"quoll/log/vfs"
	"quoll/zab"
)

// A record, little-endian:
//
//	0        4         8      9         17
//	+--------+---------+------+---------+----------------------+
//	| crc    | length  | kind | value   | data                 |
//	+--------+---------+------+---------+----------------------+
//	                   |<------------- length ---------------->|
//
// crc is the CRC32C of everything after itself, started from the crc of the record before. So it
// names its predecessor: a record that is whole but follows another one does not check.
//
// The records of one Sync are a block. It starts at a multiple of the sector size with a mark and
// is filled up with zeros to the next one, because a write that the power fails under may spoil
// any sector it touches, and must then spoil nothing older. Within a block crc and length never lie
// across the end of a sector: zeros fill a gap that is too short for them, so that a reader can tell
// padding from a record by the eight bytes in front of it. A mark is a record too:
//
//	kind   kindMark
//	value  its own offset in the segment; lowest bit: all before it is durable
//	data   crc of the record before it
//
// Its crc starts from the number of the segment, so that it can be checked wherever it is found.
// Kinds are those of zab.RecordKind; their numbers are the file format.
const (
	crcBytes     = 4
	frameBytes   = crcBytes + 4 // crc, length
	bodyBytes    = 1 + 8        // kind, value
	headBytes    = frameBytes + bodyBytes
	markBytes    = headBytes + 4
	sectorBytes  = vfs.SectorSize
	kindMark     = 0x53
	markIsSynced = 1
	markMagic    = 0x6b72616d

	// MaxData is the largest data of a record, in bytes.
	MaxData = 64 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// record is a decoded record. data is that of the reader's buffer.
type record struct {
	kind   uint8
	value  uint64
	data   []byte
	offset int64  // of its first byte in the segment
	before uint32 // crc of its predecessor
}

func (r *record) zxid() zab.Zxid   { return zab.Zxid(r.value) }
func (r *record) epoch() zab.Epoch { return zab.Epoch(r.value) }

// appendRecord encodes a record behind b and returns its crc.
func appendRecord(b []byte, before uint32, r *record) ([]byte, uint32) {
	at := len(b)
	b = append(b, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(bodyBytes+len(r.data)))
	b = append(b, r.kind)
	b = binary.LittleEndian.AppendUint64(b, r.value)
	b = append(b, r.data...)
	crc := crc32.Update(before, castagnoli, b[at+crcBytes:])
	binary.LittleEndian.PutUint32(b[at:], crc)
	return b, crc
}

// recordOf turns what the core hands out into what is written.
func recordOf(r *zab.Record) record {
	switch r.Kind {
	case zab.RecordTxn, zab.RecordTruncate, zab.RecordInstall, zab.RecordSnapshot:
		return record{kind: uint8(r.Kind), value: uint64(r.Zxid), data: r.Data}
	case zab.RecordAcceptedEpoch, zab.RecordCurrentEpoch:
		return record{kind: uint8(r.Kind), value: uint64(r.Epoch)}
	case zab.RecordAbandon:
		return record{kind: uint8(r.Kind)}
	default:
		panic(fmt.Sprintf("log: record of unknown kind %d", r.Kind))
	}
}

// markSeed is what the crc of a mark starts from: another number for another segment.
func markSeed(sequence uint64) uint32 { return uint32(sequence) ^ uint32(sequence>>32) ^ markMagic }

// appendMark encodes the mark at offset of a segment. before is the crc of the last record.
func appendMark(b []byte, sequence uint64, offset int64, synced bool, before uint32) ([]byte, uint32) {
	value := uint64(offset)
	if synced {
		value |= markIsSynced
	}
	var data [4]byte
	binary.LittleEndian.PutUint32(data[:], before)
	return appendRecord(b, markSeed(sequence), &record{kind: kindMark, value: value, data: data[:]})
}

// parseMark reports whether b starts with the mark of that place, and what it says.
func parseMark(b []byte, sequence uint64, offset int64) (before, crc uint32, synced, ok bool) {
	if len(b) < markBytes || b[frameBytes] != kindMark {
		return 0, 0, false, false
	}
	value := binary.LittleEndian.Uint64(b[frameBytes+1:])
	length := binary.LittleEndian.Uint32(b[crcBytes:])
	if length != markBytes-frameBytes || value&^markIsSynced != uint64(offset) {
		return 0, 0, false, false
	}
	crc = binary.LittleEndian.Uint32(b)
	if crc32.Update(markSeed(sequence), castagnoli, b[crcBytes:markBytes]) != crc {
		return 0, 0, false, false
	}
	return binary.LittleEndian.Uint32(b[headBytes:]), crc, value&markIsSynced != 0, true
}

// gapAt returns how many bytes at offset are left empty because a frame does not fit there.
func gapAt(offset int64) int64 {
	if left := sectorBytes - offset%sectorBytes; left < frameBytes {
		return left
	}
	return 0
}

// align returns the first multiple of the sector size that is not below n.
func align(n int64) int64 { return (n + sectorBytes - 1) &^ (sectorBytes - 1) }
