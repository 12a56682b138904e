package log_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/log"
	"quoll/log/vfs"
	"quoll/zab"
)

// Prepare runs beside the writer: the log leaves the segment that is not full of zeros for one
// that is, and what was written is there after a restart whatever the two did at the same time.
func TestPreparedSegmentsTakeOver(t *testing.T) {
	disk := vfs.NewMem()
	opts := log.Options{FS: disk, Dir: "/log", Server: 1, SegmentBytes: 4 << 20, Autocreate: true}
	l, _, err := log.Open(opts)
	require.NoError(t, err)
	require.NoError(t, l.Append([]zab.Record{{Kind: zab.RecordAcceptedEpoch, Epoch: 1}, {Kind: zab.RecordCurrentEpoch, Epoch: 1}}))
	stop, done := make(chan struct{}), make(chan error)
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
				if fault := l.Prepare(); fault != nil {
					done <- fault
					return
				}
			}
		}
	}()
	const txns = 3000
	data := make([]byte, 10<<10)
	for i := range txns {
		data[0] = byte(i)
		require.NoError(t, l.Append([]zab.Record{{Kind: zab.RecordTxn, Zxid: zab.MakeZxid(1, uint64(i+1)), Data: data}}))
		if i%4 == 0 {
			require.NoError(t, l.Sync())
		}
	}
	require.NoError(t, l.Sync())
	close(stop)
	require.NoError(t, <-done)
	require.NoError(t, l.Close())

	opts.FS = disk.PowerLoss(1)
	l, recovery, err := log.Open(opts)
	require.NoError(t, err)
	require.Len(t, recovery.State.Tail, txns)
	for i, txn := range recovery.State.Tail {
		require.Equal(t, byte(i), txn.Data[0])
	}
	require.GreaterOrEqual(t, recovery.Segments, txns*len(data)/(4<<20), "segments were taken over")
	require.NoError(t, l.Close())
}
