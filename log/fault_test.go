package log_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/log"
	"quoll/log/vfs"
	"quoll/zab"
)

func recs(r ...zab.Record) []zab.Record { return r }

// TestFailedWriteIsFinal: after a failed write or fsync of the log nothing is asked again, even if
// it would now succeed (R20, N16), and what was durable before is there after the crash.
func TestFailedWriteIsFinal(t *testing.T) {
	boom := errors.New("input/output error")
	for _, kind := range []vfs.OpKind{vfs.OpWrite, vfs.OpSync} {
		for _, err := range []error{boom, vfs.ErrFull} {
			if kind == vfs.OpWrite && isFullErr(err) {
				continue // that one may be waited out
			}
			for _, done := range []bool{false, true} {
				broken := false
				d := newDriver(t, options(), func(op vfs.Op) vfs.Effect {
					if broken && op.Kind == kind {
						broken = false // only once
						return vfs.Effect{Err: err, Done: done}
					}
					return vfs.Effect{}
				})
				require.NoError(t, d.open())
				require.NoError(t, d.write(accepted(1), current(1), txn(zx(1, 1))))
				require.NoError(t, d.append(txn(zx(1, 2))))
				broken = true
				failure := d.sync()
				require.ErrorIs(t, failure, err)
				require.False(t, errors.As(failure, new(*log.FullError)))
				_, purge := d.log.Purge(2)
				for _, later := range []error{
					d.log.Sync(), d.log.Append(recs(txn(zx(1, 3)))), d.log.Idle(), purge,
					d.log.Read(0, zx(1, 1), nil), d.snapshot(zx(1, 1)), d.receive(zx(1, 1)), d.log.Close(),
				} {
					require.Equal(t, failure, later)
				}
				c := d.after(d.disk.PowerLoss(1), nil)
				require.NoError(t, c.open())
			}
		}
	}
}

// TestFailedSnapshotCostsOnlyItself: a snapshot that could not be written, made durable or renamed was
// nobody's yet. The log goes on, and the next one is a good one. Only the fsync of the directory,
// which it shares, ends it, at once.
func TestFailedSnapshotCostsOnlyItself(t *testing.T) {
	boom := errors.New("input/output error")
	for _, kind := range []vfs.OpKind{vfs.OpCreate, vfs.OpWrite, vfs.OpSync, vfs.OpRename, vfs.OpSyncDir} {
		for _, done := range []bool{false, true} {
			broken := false
			d := newDriver(t, options(), func(op vfs.Op) vfs.Effect {
				if broken && op.Kind == kind {
					broken = false // only once
					return vfs.Effect{Err: boom, Done: done}
				}
				return vfs.Effect{}
			})
			require.NoError(t, d.open())
			require.NoError(t, d.write(accepted(1), current(1), txn(zx(1, 1))))
			for _, make := range []func(zab.Zxid) error{d.snapshot, d.receive} {
				broken = true
				require.ErrorIs(t, make(zx(1, 1)), boom)
				if kind == vfs.OpSyncDir {
					require.ErrorIs(t, d.log.Err(), boom)
					break
				}
				require.NoError(t, d.log.Err())
				require.NoError(t, make(zx(1, 1)))
			}
			if kind != vfs.OpSyncDir {
				require.NoError(t, d.write(txn(zx(1, 2))))
			}
			c := d.after(d.disk.PowerLoss(1), nil)
			require.NoError(t, c.open())
		}
	}
}

func isFullErr(err error) bool { return errors.Is(err, vfs.ErrFull) }

// TestFullDisk has the disk fill up at every change of a life in which segments are begun and
// snapshots written: each call says so and loses nothing, more may be appended, and all of it is
// durable when there is space again (N17).
func TestFullDisk(t *testing.T) {
	full, at, fulls := false, 0, 0
	for at = 1; ; at++ {
		full = false
		d := newDriver(t, options(), nil)
		d.on(d.disk, func(op vfs.Op) vfs.Effect {
			if op.Kind.Grows() && op.Change >= at && op.Change < at+20 {
				full = true
				return vfs.Effect{Err: vfs.ErrFull, Short: 700}
			}
			return vfs.Effect{}
		})
		patient := func(f func() error) { // tries again, the disk has space in the end
			err := f()
			for range 100 {
				if err == nil {
					return
				}
				require.ErrorAs(t, err, new(*log.FullError))
				require.ErrorContains(t, err, "free some")
				fulls++
				// Time passes: somebody else changes the disk.
				require.NoError(t, d.fault.SyncDir("/"))
				err = f()
			}
			require.NoError(t, err)
		}
		patient(func() error {
			err := d.open()
			if err != nil && isFullErr(err) && !errors.As(err, new(*log.FullError)) {
				err = &log.FullError{Err: err} // of a directory
			}
			return err
		})
		require.NoError(t, d.append(accepted(1), current(1)))
		for i := range uint64(10) {
			require.NoError(t, d.append(txns(1, 1+4*i, 2)...))
			if d.log.Sync() != nil {
				fulls++
			}
			require.NoError(t, d.append(txns(1, 3+4*i, 2)...))
			require.Len(t, d.read(0, zx(1, 4+4*i)), 4+4*int(i))
			patient(d.sync)
			require.NoError(t, d.log.Idle())
			if i%3 == 2 {
				patient(func() error { return d.snapshot(zx(1, 4*i)) })
				patient(func() error { return d.receive(zx(2, 4*i)) })
			}
		}
		require.NoError(t, d.purge())
		c := d.after(d.disk.PowerLoss(uint64(at)), nil)
		require.NoError(t, c.open())
		patient(d.close)
		require.NoError(t, d.open())
		require.Equal(t, zx(1, 40), d.rec.State.History.Last())
		if !full {
			require.Greater(t, fulls, 100)
			return
		}
	}
}

// TestFullDiskAtBoot: a log that is there opens without any space.
func TestFullDiskAtBoot(t *testing.T) {
	d := small(t)
	require.NoError(t, d.receive(zx(1, 90)))
	require.NoError(t, d.write(accepted(2), install(zx(1, 90)), txn(zx(1, 91))))
	file, end := lastBlock(t, d)
	flip(t, d.disk, file, 8*(end-400)) // a torn tail, too
	full := true
	c := d.after(d.disk.PowerLoss(3), vfs.FullWhile(func() bool { return full }))
	c.states = append(c.states, small(t).live())
	require.NoError(t, c.open())
	require.NotNil(t, c.rec.Torn)
	full = false
	require.NoError(t, goOn(c))
	require.NoError(t, c.open())
}

// TestNoSync: without fsync a kill loses nothing; a power loss may, but the log opens.
func TestNoSync(t *testing.T) {
	opts := options()
	opts.NoSync, opts.SegmentBytes = true, 6144
	for seed := range uint64(50) {
		syncs := 0
		d := newDriver(t, opts, func(op vfs.Op) vfs.Effect {
			if op.Kind == vfs.OpSync {
				syncs++
			}
			return vfs.Effect{}
		})
		require.NoError(t, d.open())
		require.NoError(t, d.write(accepted(1), current(1)))
		syncs = 0
		for i := range uint64(8) {
			require.NoError(t, d.write(txns(1, 1+3*i, 3)...))
			require.NoError(t, d.log.Idle())
		}
		require.LessOrEqual(t, syncs, 3, "one for the end of a segment, two for the next one")
		require.NoError(t, d.after(d.disk.Kill(), nil).open())
		l, _, err := log.Open(d.after(d.disk.PowerLoss(seed), nil).opts)
		require.NoError(t, err)
		require.NoError(t, l.Close())
	}
}

// TestSyncEvent: one write and one fsync for everything that was appended.
func TestSyncEvent(t *testing.T) {
	opts := options()
	opts.SegmentBytes = 1 << 20
	var events []log.SyncEvent
	opts.OnSync = func(e log.SyncEvent) { events = append(events, e) }
	ops := map[vfs.OpKind]int{}
	d := newDriver(t, opts, func(op vfs.Op) vfs.Effect {
		ops[op.Kind]++
		return vfs.Effect{}
	})
	require.NoError(t, d.open())
	clear(ops)
	require.NoError(t, d.append(accepted(1)))
	require.NoError(t, d.append(txns(1, 1, 99)...))
	require.NoError(t, d.sync())
	require.NoError(t, d.sync(), "nothing to do")
	require.Equal(t, map[vfs.OpKind]int{vfs.OpWrite: 1, vfs.OpSync: 1}, ops)
	require.Len(t, events, 1)
	require.Equal(t, 100, events[0].Records)
	require.Zero(t, events[0].Bytes%vfs.SectorSize)
}
