package log

import (
	"bytes"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/log/vfs"
	"quoll/zab"
)

// TestFormatIsPinned: what is written today must be readable for ever.
func TestFormatIsPinned(t *testing.T) {
	require.EqualValues(t, []zab.RecordKind{1, 2, 3, 4, 5, 6, 7}, []zab.RecordKind{
		zab.RecordTxn, zab.RecordAcceptedEpoch, zab.RecordCurrentEpoch, zab.RecordTruncate,
		zab.RecordInstall, zab.RecordAbandon, zab.RecordSnapshot,
	})
	b, crc := appendRecord(nil, 0x01020304, &record{kind: 1, value: 0x1122334455667788, data: []byte("abc")})
	require.Equal(t, []byte{
		0x87, 0x58, 0xc5, 0x0d, 12, 0, 0, 0, 1, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 'a', 'b', 'c',
	}, b)
	require.EqualValues(t, 0x0dc55887, crc)
	b, _ = appendMark(nil, 7, 1024, true, crc)
	require.Equal(t, []byte{
		0x33, 0xbb, 0xfb, 0xf5, 13, 0, 0, 0, 0x53, 1, 4, 0, 0, 0, 0, 0, 0, 0x87, 0x58, 0xc5, 0x0d,
	}, b)
	before, _, synced, ok := parseMark(b, 7, 1024)
	require.True(t, ok && synced)
	require.Equal(t, crc, before)
	_, _, _, ok = parseMark(b, 8, 1024)
	require.False(t, ok, "of another segment")
	_, _, _, ok = parseMark(b, 7, 1536)
	require.False(t, ok, "of another place")
}

func TestHeaderRoundTrip(t *testing.T) {
	aside := newBranch(zab.MakeZxid(4, 9))
	aside.add(zab.MakeZxid(4, 10), place{})
	h := header{server: 5, sequence: 77, chain: 3, previous: 4096, fold: fold{
		accepted: 6, current: 4, silent: true, snapshot: 99, branch: newBranch(zab.MakeZxid(1, 3)), aside: &aside,
	}}
	for _, z := range []zab.Zxid{zab.MakeZxid(1, 4), zab.MakeZxid(2, 1), zab.MakeZxid(3, 1)} {
		h.fold.branch.add(z, place{})
	}
	b := h.encode()
	got, err := decodeHeader(append(b, 1, 2, 3))
	require.NoError(t, err)
	require.EqualValues(t, len(b), got.size)
	require.Equal(t, b, got.encode())
	require.True(t, got.fold.silent)
	require.Equal(t, h.fold.branch.ends, got.fold.branch.ends)
	require.Equal(t, aside.ends, got.fold.aside.ends)
	for i := range b { // any flipped bit
		b[i] ^= 0x10
		_, err = decodeHeader(b)
		require.Error(t, err, "byte %d", i)
		b[i] ^= 0x10
	}
	for range 2 * headerEpochs { // more epochs than a header lists
		h.fold.branch.add(zab.MakeZxid(h.fold.branch.last().Epoch()+1, 1), place{})
	}
	b = h.encode()
	require.LessOrEqual(t, len(b), maxHeader)
	got, err = decodeHeader(b)
	require.NoError(t, err)
	require.Equal(t, h.fold.branch.last(), got.fold.branch.last())
	require.Len(t, got.fold.branch.ends, headerEpochs)
}

// FuzzScanner: no input makes the scanner panic, read past the end, or give a record that does not
// encode to the same bytes; and its buffer is no longer than the input.
func FuzzScanner(f *testing.F) {
	seed, chain := appendMark(nil, 1, 0, true, 0)
	for range 40 {
		if gapAt(int64(len(seed))) > 0 {
			seed = pad(seed)
		}
		seed, chain = appendRecord(seed, chain, &record{kind: 1, value: 5, data: make([]byte, 30)})
	}
	seed = pad(seed)
	next, _ := appendMark(nil, 1, int64(len(seed)), true, chain)
	f.Add(seed)
	f.Add(append(seed, pad(next)...))
	f.Add(seed[:700])
	f.Fuzz(func(t *testing.T, b []byte) {
		sc := newScanner(bytes.NewReader(b), 1, 0, int64(len(b)), 0, nil)
		var r record
		for {
			err := sc.next(&r)
			if err != nil {
				require.True(t, errors.Is(err, errEnd) || errors.As(err, new(damage)), "%v", err)
				break
			}
			again, crc := appendRecord(nil, r.before, &r)
			require.Equal(t, b[r.offset:][:len(again)], again)
			require.Equal(t, crc, sc.chain)
			require.LessOrEqual(t, sc.offset(), int64(len(b)))
		}
		require.LessOrEqual(t, len(sc.buf), max(len(b), sectorBytes))
		_, err := survey(bytes.NewReader(b), 1, sc.offset(), int64(len(b)))
		require.NoError(t, err)
	})
}

// TestAppendAllocatesNothing: a record on its way to the disk is copied once, into a buffer that
// is there already.
func TestAppendAllocatesNothing(t *testing.T) {
	l, _, err := Open(Options{FS: quietDisk{vfs.NewMem()}, Dir: "/d", Server: 1, Autocreate: true})
	require.NoError(t, err)
	defer l.Close()
	payload := make([]byte, 150)
	recs := make([]zab.Record, 8)
	z := zab.MakeZxid(1, 0)
	write := func() {
		for i := range recs {
			z++
			recs[i] = zab.Record{Kind: zab.RecordTxn, Zxid: z, Data: payload}
		}
		require.NoError(t, l.Append(recs))
		require.NoError(t, l.Sync())
		require.NoError(t, l.Idle())
	}
	write()
	require.Zero(t, testing.AllocsPerRun(500, write))
}

// quietDisk is a disk whose files forget what is written, so that only the log's own allocations
// are counted.
type quietDisk struct{ vfs.FS }

func (d quietDisk) Create(name string) (vfs.File, error) {
	f, err := d.FS.Create(name)
	return quietFile{f}, err
}

type quietFile struct{ vfs.File }

func (quietFile) WriteAt(b []byte, _ int64) (int, error) { return len(b), nil }
func (quietFile) Sync() error                            { return nil }
