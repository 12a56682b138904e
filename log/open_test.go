package log_test

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/log"
	"quoll/log/vfs"
)

func TestLockedDirectory(t *testing.T) {
	d := newDriver(t, options(), nil)
	require.NoError(t, d.open())
	_, _, err := log.Open(d.opts)
	require.ErrorIs(t, err, vfs.ErrLocked)
	require.ErrorContains(t, err, "stop the other server")
	other := d.opts
	other.Dir = "/data/elsewhere"
	_, _, err = log.Open(other)
	require.ErrorIs(t, err, vfs.ErrLocked, "the snapshots are somebody's too")
	require.NoError(t, d.close())
	require.NoError(t, d.open())
	require.NoError(t, d.close())
}

func TestDirectoryNotWritable(t *testing.T) {
	for _, kind := range []vfs.OpKind{vfs.OpLock, vfs.OpMkdir} {
		opts := options()
		opts.FS = vfs.NewFault(vfs.NewMem(), func(op vfs.Op) vfs.Effect {
			if op.Kind == kind {
				return vfs.Effect{Err: fs.ErrPermission}
			}
			return vfs.Effect{}
		})
		_, _, err := log.Open(opts)
		require.ErrorIs(t, err, fs.ErrPermission)
		require.ErrorContains(t, err, "make it writable")
	}
}

func touch(t *testing.T, disk vfs.FS, name string) {
	f, err := disk.Create(name)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.NoError(t, disk.SyncDir(path.Dir(name)))
}

// TestSilent: an empty directory is a new server only on the operator's word; without it the
// server may not vote before a leader has brought it up to date, across any number of restarts.
func TestSilent(t *testing.T) {
	marker := "/data/log/initialize"
	opts := options()
	opts.Autocreate = false
	d := newDriver(t, opts, nil)
	for range 3 {
		require.NoError(t, d.open())
		require.True(t, d.rec.State.Silent)
		require.NoError(t, d.write(accepted(d.live().accepted+1)))
		require.NoError(t, d.close())
	}
	word := d.after(d.disk.Kill(), nil)
	touch(t, word.disk, marker)
	for range 2 {
		require.NoError(t, word.open())
		require.False(t, word.rec.State.Silent)
		require.NoError(t, word.close())
	}
	require.NoError(t, word.open())
	require.NoError(t, word.write(current(3)))
	require.NoError(t, word.close())
	require.NoError(t, word.open())
	_, err := word.disk.Stat(marker)
	require.ErrorIs(t, err, fs.ErrNotExist, "heeded")

	require.NoError(t, d.open())
	require.NoError(t, d.write(current(2)))
	require.NoError(t, d.close())
	require.NoError(t, d.open())
	require.False(t, d.rec.State.Silent, "it has learned everything")
	require.NoError(t, d.close())

	for _, marker := range []string{marker, "/data/snap/initialize"} {
		fresh := newDriver(t, opts, nil)
		require.NoError(t, fresh.disk.MkdirAll(path.Dir(marker)))
		touch(t, fresh.disk, marker)
		require.NoError(t, fresh.open())
		require.False(t, fresh.rec.State.Silent)
		_, err = fresh.disk.Stat(marker)
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.NoError(t, fresh.close())
	}
}

// TestEpochAheadOfCurrent: a server that crashed before NEWLEADER was durable holds txns of an
// epoch that it has not entered. It starts (R21, ZOOKEEPER-1653).
func TestEpochAheadOfCurrent(t *testing.T) {
	d := newDriver(t, options(), nil)
	require.NoError(t, d.open())
	require.NoError(t, d.write(accepted(1), current(1), txn(zx(1, 1)), accepted(5), txn(zx(4, 1))))
	require.NoError(t, d.close())
	require.NoError(t, d.open())
	require.EqualValues(t, 1, d.rec.State.CurrentEpoch)
	require.Equal(t, zx(4, 1), d.rec.State.History.Last())
}

// TestBugsPanic: what could not be read again is not written.
func TestBugsPanic(t *testing.T) {
	d := newDriver(t, options(), nil)
	require.NoError(t, d.open())
	require.NoError(t, d.write(accepted(2), current(1), txn(zx(1, 1))))
	require.PanicsWithValue(t, "log: installing snapshot 0x20000000001, which is not on disk",
		func() { _ = d.log.Append(recs(install(zx(2, 1)))) })
	for _, r := range recs(txn(zx(1, 3)), txn(zx(1, 1)), accepted(1), current(0), current(3), truncate(zx(1, 9))) {
		require.Panics(t, func() { _ = d.log.Append(recs(r)) }, "%+v", r)
	}
}

// TestRealDisk runs the same life on the disk of the machine.
func TestRealDisk(t *testing.T) {
	opts := options()
	opts.Dir, opts.SnapDir = path.Join(t.TempDir(), "a", "log"), t.TempDir()
	d := newDriver(t, opts, nil)
	d.opts.FS = nil
	require.NoError(t, life(d))
	require.NoError(t, d.open())
	free, err := d.log.Free()
	require.NoError(t, err)
	require.NotZero(t, free)
	_, _, err = log.Open(d.opts)
	require.ErrorIs(t, err, vfs.ErrLocked)
	require.NoError(t, d.close())
	entries, err := os.ReadDir(d.opts.SnapDir)
	require.NoError(t, err)
	require.NotEmpty(t, entries)
	require.True(t, errors.Is(d.log.Append(nil), log.ErrClosed))
}
