package log_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/log"
	"quoll/zab"
)

// BenchmarkSync writes blocks of some txns of 150 bytes to the disk of the machine.
func BenchmarkSync(b *testing.B) {
	for _, count := range []int{1, 16, 256, 4096} {
		for _, noSync := range []bool{false, true} {
			b.Run(fmt.Sprintf("txns=%d/nosync=%v", count, noSync), func(b *testing.B) {
				l, _, err := log.Open(log.Options{Dir: b.TempDir(), Server: 1, Autocreate: true, NoSync: noSync})
				require.NoError(b, err)
				defer func() { require.NoError(b, l.Close()) }()
				batch := make([]zab.Record, count)
				payload := make([]byte, 150)
				z := zx(1, 0)
				b.ReportAllocs()
				b.SetBytes(int64(count * len(payload)))
				for b.Loop() {
					for i := range batch {
						z++
						batch[i] = zab.Record{Kind: zab.RecordTxn, Zxid: z, Data: payload}
					}
					if err := l.Append(batch); err != nil {
						b.Fatal(err)
					}
					if err := l.Sync(); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.N*count)/b.Elapsed().Seconds(), "txns/s")
			})
		}
	}
}

// BenchmarkOpen recovers a log of a million txns of 150 bytes, all of them behind the snapshot.
func BenchmarkOpen(b *testing.B) {
	opts := log.Options{Dir: b.TempDir(), Server: 1, Autocreate: true, NoSync: true}
	l, _, err := log.Open(opts)
	require.NoError(b, err)
	batch := make([]zab.Record, 1000)
	payload := make([]byte, 150)
	z := zx(1, 0)
	for range 1000 {
		for i := range batch {
			z++
			batch[i] = zab.Record{Kind: zab.RecordTxn, Zxid: z, Data: payload}
		}
		require.NoError(b, l.Append(batch))
		require.NoError(b, l.Sync())
	}
	require.NoError(b, l.Close())
	b.ReportAllocs()
	for b.Loop() {
		l, rec, err := log.Open(opts)
		require.NoError(b, err)
		require.Len(b, rec.State.Tail, 1_000_000)
		require.NoError(b, l.Close())
	}
}
