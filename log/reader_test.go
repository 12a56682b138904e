package log_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quoll/log"
	"quoll/zab"
)

// TestReadRanges reads random ranges of a log with dead branches, installations and blocks that
// are not durable yet, against the list.
func TestReadRanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		opts := options()
		opts.SegmentBytes = int64(rapid.IntRange(1, 8).Draw(t, "kilobytes")) << 10
		d := newDriver(t, opts, nil)
		require.NoError(t, d.open())
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			require.NoError(t, randomStep(t, d))
			b := d.live().branch
			members := append([]zab.Zxid{b.base}, b.zxids...)
			for members[0] < d.log.Horizon() {
				members = members[1:]
			}
			i := rapid.IntRange(0, len(members)-1).Draw(t, "from")
			j := rapid.IntRange(i, len(members)-1).Draw(t, "to")
			var got []zab.Zxid
			for _, txn := range d.read(members[i], members[j]) {
				require.Equal(t, string(data(txn.Zxid)), string(txn.Data))
				got = append(got, txn.Zxid)
			}
			require.Equal(t, fmt.Sprint(members[i+1:j+1]), fmt.Sprint(got))
		}
	})
}

// TestDeadBranchIsNeverRead is ZOOKEEPER-2846: after a snapshot was installed the old tail is
// still on disk, and is not served.
func TestDeadBranchIsNeverRead(t *testing.T) {
	d := newDriver(t, options(), nil)
	require.NoError(t, d.open())
	require.NoError(t, d.write(accepted(1), current(1)))
	require.NoError(t, d.write(txns(1, 1, 5)...))
	require.NoError(t, d.receive(zx(2, 100)))
	require.NoError(t, d.write(accepted(3), install(zx(2, 100)), txn(zx(2, 101))))
	require.Len(t, d.read(zx(1, 1), zx(1, 5)), 4, "the old generation is the history until the switch")
	require.NoError(t, d.write(current(3), txn(zx(3, 1))))
	for range 2 {
		for _, r := range [][2]zab.Zxid{{zx(1, 4), zx(1, 5)}, {zx(1, 5), zx(3, 1)}, {zx(2, 99), zx(2, 101)}, {0, zx(3, 1)}, {zx(3, 1), zx(2, 101)}, {zx(2, 101), zx(3, 2)}} {
			require.ErrorIs(t, d.log.Read(r[0], r[1], nil), log.ErrNotInLog, "%v", r)
		}
		require.Len(t, d.read(zx(2, 100), zx(3, 1)), 2)
		require.NoError(t, d.close())
		require.NoError(t, d.open())
	}
}

// TestReadBatches: many small blocks still come in few batches, and the reader's error ends it.
func TestReadBatches(t *testing.T) {
	opts := options()
	opts.SegmentBytes = 1 << 20
	d := newDriver(t, opts, nil)
	require.NoError(t, d.open())
	require.NoError(t, d.write(accepted(1), current(1)))
	for c := range uint64(400) {
		require.NoError(t, d.write(txn(zx(1, c+1))))
	}
	batches := 0
	require.NoError(t, d.log.Read(0, zx(1, 400), func([]zab.Txn) error {
		batches++
		return nil
	}))
	require.Less(t, batches, 4)
	boom := errors.New("boom")
	require.Equal(t, boom, d.log.Read(0, zx(1, 400), func([]zab.Txn) error { return boom }))
}

// TestReadBesideEverything reads while the log is appended to, synced, purged and snapshotted; the
// segments that a reader is in stay readable, and each read is a gapless piece of the history.
func TestReadBesideEverything(t *testing.T) {
	d := newDriver(t, options(), nil)
	require.NoError(t, d.open())
	require.NoError(t, d.write(accepted(1), current(1)))
	require.NoError(t, d.write(txns(1, 1, 30)...))
	const rounds = 60
	stop, done := make(chan struct{}), make(chan error, 3)
	for range 2 {
		go func() {
			for {
				select {
				case <-stop:
					done <- nil
					return
				default:
				}
				from := d.log.Horizon()
				last := from
				err := d.log.Read(from, zx(1, 30), func(txns []zab.Txn) error {
					for _, txn := range txns {
						if !last.Precedes(txn.Zxid) || string(txn.Data) != string(data(txn.Zxid)) {
							return fmt.Errorf("txn %v after %v", txn.Zxid, last)
						}
						last = txn.Zxid
					}
					return nil
				})
				if err != nil && !errors.Is(err, log.ErrNotInLog) {
					done <- err
					return
				}
			}
		}()
	}
	snapped := make(chan struct{}, rounds)
	go func() {
		var err error
		for z := range rounds {
			<-snapped
			if err == nil && z%3 == 0 {
				err = d.log.CreateSnapshot(zx(1, uint64(30+z)), writeState(zx(1, uint64(30+z))))
			}
			if err == nil && z < rounds/2 {
				_, err = d.log.Purge(2)
			}
		}
		done <- err
	}()
	for c := range uint64(rounds) {
		require.NoError(t, d.write(txn(zx(1, 31+c))))
		require.NoError(t, d.log.Idle())
		snapped <- struct{}{}
	}
	require.NoError(t, <-done)
	close(stop)
	require.NoError(t, <-done)
	require.NoError(t, <-done)
}
