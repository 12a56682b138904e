package log_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quoll/log"
	"quoll/log/vfs"
	"quoll/zab"
)

// TestSnapshotRoundTrip ships a snapshot of many sizes from one server to another, in reads of any
// size.
func TestSnapshotRoundTrip(t *testing.T) {
	for _, size := range []int{0, 1, 1000, 3 << 20} {
		state := make([]byte, size)
		for i := range state { // compressible, but not too much
			state[i] = byte(rand.Uint32() % 7)
		}
		a, b := newDriver(t, options(), nil), newDriver(t, options(), nil)
		require.NoError(t, a.open())
		require.NoError(t, b.open())
		require.NoError(t, a.log.CreateSnapshot(zx(1, 5), func(w io.Writer) error {
			_, err := w.Write(state)
			return err
		}))
		r, length, err := a.log.OpenSnapshot(zx(1, 5))
		require.NoError(t, err)
		var got []byte
		keep := func(r io.Reader) (err error) {
			got, err = io.ReadAll(r)
			return err
		}
		slow := io.Reader(r)
		if size < 10_000 {
			slow = iotest.OneByteReader(r)
		}
		require.NoError(t, b.log.ReceiveSnapshot(zx(1, 5), length, slow, keep))
		require.NoError(t, r.Close())
		require.True(t, bytes.Equal(state, got))
		require.NoError(t, b.log.ReadSnapshot(zx(1, 5), keep))
		require.True(t, bytes.Equal(state, got))
		require.Less(t, length, int64(size)*3/4+600)
		require.Empty(t, b.log.Snapshots(), "not part of the history yet")
	}
}

// TestSnapshotReceived: whatever arrives that is not a whole snapshot of that zxid leaves no
// trace, and neither does a restore that fails.
func TestSnapshotReceived(t *testing.T) {
	z := zx(1, 9)
	good := shipped(z)
	d := newDriver(t, options(), nil)
	require.NoError(t, d.open())
	try := func(z zab.Zxid, size int, b []byte, restore func(io.Reader) error) error {
		err := d.log.ReceiveSnapshot(z, int64(size), bytes.NewReader(b), restore)
		names, lerr := d.disk.List(d.opts.SnapDir)
		require.NoError(t, lerr)
		require.Empty(t, names)
		_, _, oerr := d.log.OpenSnapshot(z)
		require.ErrorIs(t, oerr, log.ErrNoSnapshot)
		return err
	}
	for n := range good { // the link broke after n bytes
		err := try(z, len(good), good[:n], expectState(z))
		require.ErrorIs(t, err, log.ErrBadSnapshot, "%d bytes", n)
	}
	for i := range good { // a bit flipped on the way
		b := bytes.Clone(good)
		b[i] ^= 1 << (i % 8)
		require.Error(t, try(z, len(good), b, expectState(z)), "byte %d", i)
	}
	require.ErrorIs(t, try(zx(1, 10), len(good), good, expectState(z)), log.ErrBadSnapshot)
	require.ErrorIs(t, try(z, len(good)-1, good, expectState(z)), log.ErrBadSnapshot)
	require.ErrorIs(t, try(z, len(good)+9, append(bytes.Clone(good), "more more"...), expectState(z)), log.ErrBadSnapshot)
	boom := errors.New("boom")
	require.ErrorIs(t, try(z, len(good), good, func(io.Reader) error { return boom }), boom)
	require.ErrorIs(t, try(z, len(good), good, func(io.Reader) error { return nil }), log.ErrBadSnapshot,
		"a state of which something is left over")
	broken := iotest.TimeoutReader(iotest.HalfReader(bytes.NewReader(good)))
	require.ErrorIs(t, d.log.ReceiveSnapshot(z, int64(len(good)), broken, expectState(z)), iotest.ErrTimeout)
	require.NoError(t, d.log.Sync(), "the log is none the worse for it")
	require.NoError(t, d.receive(z))
	require.NoError(t, d.log.ReadSnapshot(z, expectState(z)))
}

// TestSnapshotWriteFails: a failing writer leaves nothing behind and the log alive.
func TestSnapshotWriteFails(t *testing.T) {
	d := newDriver(t, options(), nil)
	require.NoError(t, d.open())
	boom := errors.New("boom")
	require.ErrorIs(t, d.log.CreateSnapshot(zx(1, 1), func(w io.Writer) error {
		_, err := io.WriteString(w, strings.Repeat("x", 100_000))
		return errors.Join(err, boom)
	}), boom)
	names, err := d.disk.List(d.opts.SnapDir)
	require.NoError(t, err)
	require.Empty(t, names)
	require.NoError(t, d.write(accepted(1)))
}

// TestEarlySnapshot: the newest one can be read before the log is open, and is judged as strictly.
func TestEarlySnapshot(t *testing.T) {
	d := newDriver(t, options(), nil)
	opts := d.opts
	opts.FS = d.disk
	require.Nil(t, log.FindEarly(opts), "there is no directory yet")
	require.NoError(t, d.open())
	require.Nil(t, log.FindEarly(opts))
	for _, z := range []zab.Zxid{zx(1, 9), zx(2, 3), zx(1, 20)} {
		require.NoError(t, d.log.CreateSnapshot(z, writeState(z)))
	}
	early := log.FindEarly(opts)
	require.Equal(t, zx(2, 3), early.Zxid)
	require.NoError(t, early.Read(expectState(zx(2, 3))))
	require.Error(t, early.Read(expectState(zx(1, 9))))
	f, err := d.disk.OpenReadWrite(opts.SnapDir + "/snapshot.0000020000000003")
	require.NoError(t, err)
	_, err = f.WriteAt([]byte{0}, early.Size-1)
	require.NoError(t, err)
	require.ErrorIs(t, early.Read(expectState(zx(2, 3))), log.ErrBadSnapshot)
}

// TestSnapshotIsSyncedInPieces: no fsync of the log waits for more than a few megabytes.
func TestSnapshotIsSyncedInPieces(t *testing.T) {
	var unsynced, most int
	d := newDriver(t, options(), func(op vfs.Op) vfs.Effect {
		switch op.Kind {
		case vfs.OpWrite:
			unsynced += op.Len
			most = max(most, unsynced)
		case vfs.OpSync:
			unsynced = 0
		default:
		}
		return vfs.Effect{}
	})
	require.NoError(t, d.open())
	noise := make([]byte, 1<<16)
	require.NoError(t, d.log.CreateSnapshot(zx(1, 1), func(w io.Writer) error {
		for range 200 {
			for i := range noise {
				noise[i] = byte(rand.Uint32())
			}
			if _, err := w.Write(noise); err != nil {
				return err
			}
		}
		return nil
	}))
	require.Zero(t, unsynced)
	require.Greater(t, most, 4<<20)
	require.Less(t, most, 6<<20)
}

// TestPurge keeps two snapshots and the log behind the older one, whatever was written when.
func TestPurge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := newDriver(t, options(), nil)
		require.NoError(t, d.open())
		require.NoError(t, d.write(accepted(1), current(1)))
		var snaps []zab.Zxid
		for c := uint64(1); c < 60; c += 4 {
			require.NoError(t, d.write(txns(1, c, 4)...))
			if rapid.Bool().Draw(t, "snapshot") {
				snaps = append(snaps, zx(1, c+2))
				require.NoError(t, d.snapshot(zx(1, c+2)))
			}
			if rapid.Bool().Draw(t, "purge") {
				horizon, err := d.log.Purge(rapid.IntRange(0, 3).Draw(t, "keep"))
				require.NoError(t, err)
				require.Equal(t, horizon, d.log.Horizon())
				left := d.log.Snapshots()
				require.GreaterOrEqual(t, len(left), min(2, len(snaps)))
				require.Equal(t, snaps[len(snaps)-len(left):], append([]zab.Zxid(nil), left...))
				if len(left) < 2 {
					require.Zero(t, horizon)
				} else {
					require.LessOrEqual(t, horizon, left[0])
				}
				d.read(horizon, zx(1, c+3))
				if horizon > 0 {
					require.ErrorIs(t, d.log.Read(horizon-1, horizon, nil), log.ErrNotInLog)
				}
			}
		}
		files := len(segmentFiles(t, d))
		require.NoError(t, d.snapshot(zx(1, 59)))
		require.NoError(t, d.snapshot(zx(1, 60)))
		require.NoError(t, d.purge())
		require.Less(t, len(segmentFiles(t, d)), max(3, files))
		horizon := d.log.Horizon()
		require.NoError(t, d.close())
		require.NoError(t, d.open())
		require.Equal(t, horizon, d.rec.State.Horizon)
	})
}

// TestPurgeFails: a removal that fails is made up for before anything younger is removed, so that no
// crash leaves a gap.
func TestPurgeFails(t *testing.T) {
	boom := errors.New("boom")
	for fail := 1; ; fail++ {
		removals := 0
		d := newDriver(t, options(), nil)
		d.on(d.disk, func(op vfs.Op) vfs.Effect {
			if op.Kind == vfs.OpRemove {
				if removals++; removals == fail {
					return vfs.Effect{Err: boom, Done: fail%2 == 0}
				}
			}
			return vfs.Effect{}
		})
		require.NoError(t, d.open())
		require.NoError(t, d.write(accepted(1), current(1)))
		failed := false
		for c := uint64(1); c < 40; c += 4 {
			require.NoError(t, d.write(txns(1, c, 4)...))
			require.NoError(t, d.snapshot(zx(1, c)))
			if err := d.purge(); err != nil {
				require.ErrorIs(t, err, boom)
				failed = true
			}
			require.NoError(t, d.after(d.disk.PowerLoss(c), nil).open())
		}
		if !failed {
			return
		}
	}
}

// TestPurgeSparesWhatIsReceived: a snapshot on its way to being installed may be older than all of
// ours.
func TestPurgeSparesWhatIsReceived(t *testing.T) {
	d := small(t)
	for _, c := range []uint64{20, 24, 26, 27} {
		require.NoError(t, d.snapshot(zx(1, c)))
	}
	require.NoError(t, d.write(txns(1, 28, 20)...))
	require.NoError(t, d.write(txns(1, 48, 20)...))
	require.NoError(t, d.write(txns(1, 68, 2)...))
	require.NoError(t, d.receive(zx(1, 2)))
	require.NoError(t, d.purge())
	require.NoError(t, d.write(accepted(2), install(zx(1, 2))))
	require.NoError(t, d.purge())
	require.NoError(t, d.append(current(2), txn(zx(2, 1))))
	require.NoError(t, d.purge(), "not durable: nothing may go")
	require.NoError(t, d.after(d.disk.PowerLoss(1), nil).open())
	require.NoError(t, d.sync())
	require.Equal(t, []zab.Zxid{zx(1, 2)}, d.log.Snapshots())
	require.NoError(t, d.purge())
	require.NoError(t, d.close())
	require.NoError(t, d.open())
	require.Equal(t, zx(1, 2), d.rec.State.Snapshot)
	require.Equal(t, zx(1, 2), d.rec.State.Horizon)
}

// TestUnfinishedFilesGo: what has no final name is nothing.
func TestUnfinishedFilesGo(t *testing.T) {
	d := newDriver(t, options(), nil)
	require.NoError(t, d.open())
	require.NoError(t, d.close())
	name := d.opts.SnapDir + "/unfinished.1.snapshot.0000010000000001"
	touch(t, d.disk, name)
	touch(t, d.disk, d.opts.SnapDir+"/snapshot.0000010000000001.old")
	touch(t, d.disk, d.opts.Dir+"/log.0000000001.bak")
	require.NoError(t, d.open())
	_, err := d.disk.Stat(name)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.Empty(t, d.log.Snapshots())
	require.Equal(t, 1, d.rec.Segments)
}
