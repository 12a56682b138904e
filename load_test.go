package quoll_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"quoll"
	"quoll/log/vfs"
	"quoll/transport/wire"
)

// A large snapshot is loaded while the log is recovered. What the log then says of it stands: one that is damaged is put
// aside, and the server begins with the one before.
func TestLargeSnapshotsAreLoadedEarly(t *testing.T) {
	for _, damage := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) { largeSnapshotIsLoaded(t, damage) })
	}
}

func largeSnapshotIsLoaded(t *testing.T, damage bool) {
	disk := vfs.NewMem()
	rare := func(c *quoll.Config) { c.SnapCount, c.PreAllocSize = 4, 4<<20 }
	a, err := startAlone(t, disk, rare)
	require.NoError(t, err)
	_, err = a.serving()
	require.NoError(t, err)
	c, err := a.dial()
	require.NoError(t, err)
	data := make([]byte, 400_000)
	for i := range data {
		data[i] = byte(rand.Uint32())
	}
	for i := range 16 {
		_, err = c.Create(t.Context(), "/n"+string(rune('a'+i)), data, nil, wire.Persistent)
		require.NoError(t, err)
		time.Sleep(time.Minute) // snapshots are written at leisure
	}
	c.Abandon()
	a.shutdown()
	before, err := disk.List("/data")
	require.NoError(t, err)
	snapshots := slices.DeleteFunc(before, func(name string) bool { return !strings.HasPrefix(name, "snapshot.") })
	require.Greater(t, len(snapshots), 1)
	newest := "/data/" + snapshots[len(snapshots)-1]
	size, err := disk.Stat(newest)
	require.NoError(t, err)
	require.Greater(t, size, int64(1<<20), "or it is not worth a goroutine")
	if damage {
		f, failed := disk.OpenReadWrite(newest)
		require.NoError(t, failed)
		_, err = f.WriteAt([]byte("damage"), size/2)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	b, err := startAlone(t, disk, rare)
	require.NoError(t, err)
	_, err = b.serving()
	require.NoError(t, err)
	contents := b.contents()
	require.Len(t, contents, 16)
	for path, content := range contents {
		require.Equal(t, string(data)+" v0", content, path)
	}
	b.shutdown()
	aside, _ := disk.List("/data/quarantine") // which is made when it is needed
	require.Equal(t, damage, len(aside) > 0)
}
