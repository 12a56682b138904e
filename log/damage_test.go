package log_test

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/log"
	"quoll/log/vfs"
	"quoll/zab"
)

// segmentFiles returns the paths of the segments, oldest first.
func segmentFiles(t require.TestingT, d *driver) []string {
	names, err := d.disk.List(d.opts.Dir)
	require.NoError(t, err)
	var files []string
	for _, name := range names {
		if len(name) == len("log.0000000001") {
			files = append(files, path.Join(d.opts.Dir, name))
		}
	}
	return files
}

// edit changes a file behind the log's back, durably.
func edit(t require.TestingT, disk vfs.FS, name string, change func(vfs.File)) {
	f, err := disk.OpenReadWrite(name)
	require.NoError(t, err)
	change(f)
	require.NoError(t, f.Sync())
	require.NoError(t, f.Close())
}

func flip(t require.TestingT, disk vfs.FS, name string, bit int64) {
	edit(t, disk, name, func(f vfs.File) {
		b := make([]byte, 1)
		_, err := f.ReadAt(b, bit/8)
		require.NoError(t, err)
		b[0] ^= 1 << (bit % 8)
		_, err = f.WriteAt(b, bit/8)
		require.NoError(t, err)
	})
}

// small is a log of a few blocks in two segments.
func small(t require.TestingT) *driver {
	opts := options()
	opts.SegmentBytes, opts.PreallocBytes = 6144, 7000
	d := newDriver(t, opts, nil)
	require.NoError(t, d.open())
	require.NoError(t, d.write(accepted(1), current(1)))
	for i := range uint64(9) {
		require.NoError(t, d.write(txns(1, 1+3*i, 3)...))
	}
	require.Len(t, segmentFiles(t, d), 2)
	return d
}

// TestTornTailAtEveryByte cuts the last block at every byte, and puts garbage behind the cut every
// other time: what is whole stays, the rest goes, and the second opening finds nothing to do.
func TestTornTailAtEveryByte(t *testing.T) {
	d := small(t)
	before := d.live()
	_, size := lastBlock(t, d)
	require.NoError(t, d.write(txns(1, 28, 4)...))
	last, end := lastBlock(t, d)
	require.Greater(t, end, size)
	for cut := size; cut <= end; cut++ {
		c := d.after(d.disk.Kill(), nil)
		c.states = []model{before}
		for i := range 4 {
			c.states = append(c.states, c.live().apply(txn(zx(1, 28+uint64(i)))))
		}
		edit(t, c.disk, last, func(f vfs.File) {
			require.NoError(t, f.Truncate(cut))
			if cut%2 == 0 {
				_, err := f.WriteAt([]byte{0xa5, 0, 0x5a}, cut)
				require.NoError(t, err)
			}
		})
		require.NoError(t, c.open())
		if cut%2 == 0 {
			require.NotNil(t, c.rec.Torn)
			require.Equal(t, last, c.rec.Torn.Segment)
			require.Equal(t, c.rec.State.History.Last(), c.rec.Torn.Last)
		}
		c = c.after(c.disk.PowerLoss(uint64(cut)), nil)
		require.NoError(t, c.open())
		require.Nil(t, c.rec.Torn, "it was cut already")
		require.NoError(t, goOn(c))
		require.NoError(t, c.open())
	}
}

// lastBlock returns the last segment that is used and where its last block ends, in whole sectors.
func lastBlock(t require.TestingT, d *driver) (file string, end int64) {
	for _, name := range segmentFiles(t, d) {
		f, err := d.disk.Open(name)
		require.NoError(t, err)
		size, err := f.Size()
		require.NoError(t, err)
		b := make([]byte, size)
		_, err = f.ReadAt(b, 0)
		require.NoError(t, err)
		if n := int64(len(bytes.TrimRight(b, "\x00"))); n > 0 {
			file, end = name, (n+vfs.SectorSize-1)/vfs.SectorSize*vfs.SectorSize
		}
	}
	return file, end
}

// TestBitFlips flips bits everywhere in a log that was closed. Each is found, and named by segment
// and offset, or does no harm: nothing is ever lost or changed in silence (N18).
func TestBitFlips(t *testing.T) {
	d := small(t)
	require.NoError(t, d.close())
	found, harmless := 0, 0
	for _, file := range segmentFiles(t, d) {
		size, err := d.disk.Stat(file)
		require.NoError(t, err)
		for at := int64(0); at < size; at += 5 {
			c := d.after(d.disk.Kill(), nil)
			flip(t, c.disk, file, at*8+at%8)
			err := c.open() // and if it opens, everything is there
			if err == nil {
				harmless++
				require.NoError(t, c.close())
				continue
			}
			var corrupt *log.CorruptError
			require.ErrorAs(t, err, &corrupt, "%s at %d", file, at)
			require.Contains(t, corrupt.Error(), corrupt.Segment)
			require.LessOrEqual(t, corrupt.Last, zx(1, 27))
			require.LessOrEqual(t, corrupt.Offset, at)
			found++
		}
	}
	require.Greater(t, found, 1000)
	require.Greater(t, harmless, 100, "what was preallocated")
}

// TestUnfinishedTailAfterBurst: the mark that Idle writes ahead tells damage to the last block,
// which was durable, from a torn tail; without it, nothing can.
func TestUnfinishedTailAfterBurst(t *testing.T) {
	for _, idle := range []bool{false, true} {
		d := small(t)
		if idle {
			require.NoError(t, d.log.Idle())
			require.NoError(t, d.log.Idle())
		}
		file, end := lastBlock(t, d)
		if idle {
			end -= vfs.SectorSize // that of the mark
		}
		flip(t, d.disk, file, (end-vfs.SectorSize)*8)
		c := d.after(d.disk.Kill(), nil)
		c.states = append([]model{{}}, c.states...)
		l, rec, err := log.Open(c.opts)
		if idle {
			require.ErrorAs(t, err, new(*log.CorruptError))
			continue
		}
		require.NoError(t, err)
		require.NotNil(t, rec.Torn)
		require.NoError(t, l.Close())
	}
}

func TestRefusals(t *testing.T) {
	for name, test := range map[string]struct {
		break_ func(d *driver, files []string)
		want   string
		is     error
	}{
		"missing segment": {
			break_: func(d *driver, files []string) { require.NoError(t, d.disk.Remove(files[1])) },
			want:   "segment is missing",
		},
		"beginning is gone": {
			break_: func(d *driver, files []string) { require.NoError(t, d.disk.Remove(files[0])) },
			want:   "no good snapshot",
		},
		"all segments are gone": {
			break_: func(d *driver, files []string) {
				for _, f := range files {
					require.NoError(t, d.disk.Remove(f))
				}
			},
			want: "the log is gone, but there are snapshots",
		},
		"segments swapped": {
			break_: func(d *driver, files []string) {
				require.NoError(t, d.disk.Rename(files[1], "/x"))
				require.NoError(t, d.disk.Rename(files[2], files[1]))
				require.NoError(t, d.disk.Rename("/x", files[2]))
			},
			want: "does not end where",
		},
		"header of the first": {
			break_: func(d *driver, files []string) { flip(t, d.disk, files[0], 100) },
			want:   "header of the segment is not whole",
		},
		"end of a segment in the middle": {
			break_: func(d *driver, files []string) {
				edit(t, d.disk, files[1], func(f vfs.File) { require.NoError(t, f.Truncate(512)) })
			},
			want: "does not end where",
		},
		"other server": {
			break_: func(d *driver, _ []string) { d.opts.Server = 4 },
			want:   "belongs to server 3, and this is server 4",
			is:     log.ErrOtherServer,
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDriver(t, options(), nil)
			require.NoError(t, d.open())
			require.NoError(t, d.write(accepted(1), current(1)))
			for i := range uint64(12) {
				require.NoError(t, d.write(txns(1, 1+4*i, 4)...))
			}
			require.NoError(t, d.close())
			files := segmentFiles(t, d)
			require.GreaterOrEqual(t, len(files), 3)
			if name == "all segments are gone" {
				require.NoError(t, d.open())
				require.NoError(t, d.snapshot(zx(1, 2)))
				require.NoError(t, d.close())
			}
			test.break_(d, files)
			_, _, err := log.Open(d.opts)
			var corrupt *log.CorruptError
			require.ErrorAs(t, err, &corrupt)
			require.ErrorContains(t, err, test.want)
			if test.is != nil {
				require.ErrorIs(t, err, test.is)
			}
			_, _, again := log.Open(d.opts)
			require.Equal(t, err.Error(), again.Error(), "refusing changes nothing and lets go of the lock")
		})
	}
}

// TestReadErrorIsNotDamage: what cannot be read is not a tail, whatever it is.
func TestReadErrorIsNotDamage(t *testing.T) {
	d := small(t)
	require.NoError(t, d.close())
	boom := errors.New("input/output error")
	reads := 0
	count := func(op vfs.Op) vfs.Effect {
		if op.Kind == vfs.OpRead {
			reads++
		}
		return vfs.Effect{}
	}
	c := d.after(d.disk.Kill(), count)
	require.NoError(t, c.open())
	for k := range reads {
		n := 0
		c := d.after(d.disk.Kill(), func(op vfs.Op) vfs.Effect {
			if op.Kind == vfs.OpRead {
				if n++; n == k+1 {
					return vfs.Effect{Err: boom}
				}
			}
			return vfs.Effect{}
		})
		l, _, err := log.Open(c.opts)
		if err == nil { // a read that the driver's own check made
			require.NoError(t, l.Close())
			continue
		}
		require.ErrorIs(t, err, boom)
		require.False(t, errors.As(err, new(*log.CorruptError)))
		require.NoError(t, d.after(c.disk.Kill(), nil).open())
	}
}

// TestSnapshotDamaged: the newest snapshot is moved aside and an older one used; with none left
// the log must reach back to the beginning, or the server refuses (ZOOKEEPER-2325).
func TestSnapshotDamaged(t *testing.T) {
	for _, purged := range []bool{false, true} {
		t.Run(fmt.Sprintf("purged=%v", purged), func(t *testing.T) {
			d := small(t)
			for _, c := range []uint64{20, 25} {
				require.NoError(t, d.snapshot(zx(1, c)))
			}
			require.NoError(t, d.write(noted(zx(1, 25))))
			if purged {
				require.NoError(t, d.purge())
			}
			require.NoError(t, d.close())
			snap := func(c uint64) string {
				return path.Join(d.opts.SnapDir, fmt.Sprintf("snapshot.%016x", uint64(zx(1, c))))
			}
			flip(t, d.disk, snap(25), 8*50)
			d.snaps = []zab.Zxid{zx(1, 20)}
			require.NoError(t, d.open())
			require.Equal(t, zx(1, 20), d.rec.State.Snapshot)
			require.Equal(t, zx(1, 25), d.rec.Missing)
			require.Len(t, d.rec.Quarantined, 1)
			_, err := d.disk.Stat(d.rec.Quarantined[0])
			require.NoError(t, err, "moved, not removed")
			require.NoError(t, d.close())

			flip(t, d.disk, snap(20), 8*50)
			d.snaps = nil
			err = d.open()
			if purged {
				require.ErrorAs(t, err, new(*log.CorruptError))
				return
			}
			require.NoError(t, err)
			require.Zero(t, d.rec.State.Snapshot)
			require.Len(t, d.rec.State.Tail, 27)
		})
	}
}

// TestQuarantine: everything goes aside, and the server that comes back may learn but not vote.
// A crash anywhere in between leaves what is refused or silent.
func TestQuarantine(t *testing.T) {
	d := small(t)
	require.NoError(t, d.snapshot(zx(1, 9)))
	require.NoError(t, d.close())
	files := segmentFiles(t, d)
	flip(t, d.disk, files[0], 8*600)
	damaged := d.disk
	for k := 0; ; k++ {
		c := d.after(damaged.Kill(), vfs.CrashAt(k, k%2 == 0))
		moved, err := log.Quarantine(c.opts)
		if k == 0 {
			require.NoError(t, err)
			require.Len(t, moved, 3)
		}
		if err != nil {
			require.True(t, stopped(err))
		}
		for seed := range uint64(4) {
			after := d.after(c.disk.PowerLoss(seed+uint64(k)), nil)
			if _, _, oerr := log.Open(after.opts); oerr != nil {
				require.ErrorAs(t, oerr, new(*log.CorruptError))
				_, qerr := log.Quarantine(after.opts)
				require.NoError(t, qerr)
			} else {
				after.on(after.disk.Kill(), nil)
			}
			l, rec, oerr := log.Open(after.opts)
			require.NoError(t, oerr)
			require.True(t, rec.State.Silent)
			require.NoError(t, l.Close())
			names, lerr := after.disk.List("/data/log/quarantine")
			require.NoError(t, lerr)
			require.True(t, slices.Contains(names, "log.0000000001"))
		}
		if k > 0 && err == nil {
			return
		}
	}
}
