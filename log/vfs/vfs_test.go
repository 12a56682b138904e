package vfs_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quoll/log/vfs"
)

// TestDisks holds every disk to the contract of FS.
func TestDisks(t *testing.T) {
	mem := func(*testing.T) (vfs.FS, string) { return vfs.NewMem(), "/data" }
	disks := map[string]func(*testing.T) (vfs.FS, string){
		"os":  func(t *testing.T) (vfs.FS, string) { return vfs.OS(), path.Join(t.TempDir(), "a/b") },
		"mem": mem,
		"fault": func(t *testing.T) (vfs.FS, string) {
			d, dir := mem(t)
			return vfs.NewFault(d, nil), dir
		},
	}
	for name, disk := range disks {
		t.Run(name+"/files", func(t *testing.T) { testFiles(t, disk) })
		t.Run(name+"/names", func(t *testing.T) { testNames(t, disk) })
		t.Run(name+"/lock", func(t *testing.T) { testLock(t, disk) })
	}
}

func testFiles(t *testing.T, disk func(*testing.T) (vfs.FS, string)) {
	d, dir := disk(t)
	require.NoError(t, d.MkdirAll(dir))
	name := path.Join(dir, "f")
	f, err := d.Create(name)
	require.NoError(t, err)
	_, err = d.Create(name)
	require.ErrorIs(t, err, fs.ErrExist)

	n, err := f.WriteAt([]byte("hello"), 10_000)
	require.NoError(t, err)
	require.Equal(t, 5, n)
	b := make([]byte, 8)
	n, err = f.ReadAt(b, 9_998)
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, "\x00\x00hello", string(b[:n]))

	require.NoError(t, f.Preallocate(20_000))
	require.NoError(t, f.Preallocate(5), "a file is never made shorter by it")
	requireSize(t, f, 20_000)
	require.NoError(t, f.Truncate(10_002))
	require.NoError(t, f.Truncate(10_004))
	n, err = f.ReadAt(b, 9_998)
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, "\x00\x00he\x00\x00", string(b[:n]), "what a truncation cut reads as zeros")
	require.NoError(t, f.Sync())
	require.NoError(t, f.Close())
	_, err = f.WriteAt([]byte("x"), 0)
	require.ErrorIs(t, err, fs.ErrClosed)

	size, err := d.Stat(name)
	require.NoError(t, err)
	require.EqualValues(t, 10_004, size)
	f, err = d.Open(name)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("x"), 0)
	require.Error(t, err, "opened for reading")
	require.NoError(t, d.Remove(name))
	_, err = f.ReadAt(b[:1], 10_000)
	require.NoError(t, err, "a removed file lives as long as it is open")
	require.Equal(t, byte('h'), b[0])
	require.NoError(t, f.Close())
}

func testNames(t *testing.T, disk func(*testing.T) (vfs.FS, string)) {
	d, dir := disk(t)
	_, err := d.List(dir)
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = d.Create(path.Join(dir, "f"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, d.MkdirAll(path.Join(dir, "sub")))
	require.NoError(t, d.MkdirAll(path.Join(dir, "sub")))
	for _, name := range []string{"b", "a"} {
		f, cerr := d.Create(path.Join(dir, name))
		require.NoError(t, cerr)
		_, err = f.WriteAt([]byte(name), 0)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	requireNames(t, d, dir, "a", "b", "sub")
	require.NoError(t, d.Rename(path.Join(dir, "a"), path.Join(dir, "b")))
	require.NoError(t, d.Rename(path.Join(dir, "b"), path.Join(dir, "sub", "c")))
	requireNames(t, d, dir, "sub")
	requireNames(t, d, path.Join(dir, "sub"), "c")
	require.Equal(t, "a", string(content(t, d, path.Join(dir, "sub", "c"))))
	for _, err := range []error{
		d.Remove(path.Join(dir, "x")), d.Rename(path.Join(dir, "x"), path.Join(dir, "y")),
	} {
		require.ErrorIs(t, err, fs.ErrNotExist)
	}
	for _, open := range []func(string) (vfs.File, error){d.Open, d.OpenReadWrite} {
		_, err = open(path.Join(dir, "x"))
		require.ErrorIs(t, err, fs.ErrNotExist)
	}
	_, err = d.Stat(path.Join(dir, "x"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, d.SyncDir(dir))
	free, err := d.Free(dir)
	require.NoError(t, err)
	require.NotZero(t, free)
}

func testLock(t *testing.T, disk func(*testing.T) (vfs.FS, string)) {
	d, dir := disk(t)
	require.NoError(t, d.MkdirAll(dir))
	lock, err := d.Lock(path.Join(dir, "LOCK"))
	require.NoError(t, err)
	_, err = d.Lock(path.Join(dir, "LOCK"))
	require.ErrorIs(t, err, vfs.ErrLocked)
	require.NoError(t, lock.Close())
	lock, err = d.Lock(path.Join(dir, "LOCK"))
	require.NoError(t, err)
	require.NoError(t, lock.Close())
}

func requireSize(t *testing.T, f vfs.File, want int64) {
	t.Helper()
	size, err := f.Size()
	require.NoError(t, err)
	require.Equal(t, want, size)
}

func requireNames(t require.TestingT, d vfs.FS, dir string, want ...string) {
	names, err := d.List(dir)
	require.NoError(t, err)
	require.Equal(t, want, names)
}

func content(t require.TestingT, d vfs.FS, name string) []byte {
	f, err := d.Open(name)
	require.NoError(t, err)
	size, err := f.Size()
	require.NoError(t, err)
	b := make([]byte, size)
	_, err = f.ReadAt(b, 0)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	return b
}

// TestMemAgainstBytes runs writes and truncations on a file and on a plain slice, with power
// losses: what was synced is there again in every sector that was not written since.
func TestMemAgainstBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const limit = 5 * 4096
		disk := vfs.NewMem()
		f, err := disk.Create("f")
		require.NoError(t, err)
		require.NoError(t, disk.SyncDir("."))
		var now, synced []byte
		dirty, cut := map[int]bool{}, limit
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0, 1, 2:
				off := rapid.IntRange(0, limit-1).Draw(t, "off")
				b := bytes.Repeat([]byte{rapid.Byte().Draw(t, "byte")}, rapid.IntRange(1, limit-off).Draw(t, "len"))
				_, err = f.WriteAt(b, int64(off))
				require.NoError(t, err)
				now = append(now, make([]byte, max(0, off+len(b)-len(now)))...)
				copy(now[off:], b)
				for s := off / vfs.SectorSize; s <= (off+len(b)-1)/vfs.SectorSize; s++ {
					dirty[s] = true
				}
			case 3:
				size := rapid.IntRange(0, limit).Draw(t, "size")
				require.NoError(t, f.Truncate(int64(size)))
				now = append(now, make([]byte, max(0, size-len(now)))...)[:size]
				cut = min(cut, size)
			case 4:
				require.NoError(t, f.Sync())
				synced, dirty, cut = bytes.Clone(now), map[int]bool{}, limit
			case 5:
				disk = disk.PowerLoss(rapid.Uint64().Draw(t, "seed"))
				left := content(t, disk, "f")
				for i := range min(len(synced), cut) {
					require.True(t, dirty[i/vfs.SectorSize] || left[i] == synced[i], "byte %d", i)
				}
				f, err = disk.OpenReadWrite("f")
				require.NoError(t, err)
				now, synced, dirty, cut = left, bytes.Clone(left), map[int]bool{}, limit
			}
			require.Equal(t, string(now), string(content(t, disk, "f")))
			require.Equal(t, string(now), string(content(t, disk.Kill(), "f")))
		}
	})
}

// written returns a disk with one synced file of old bytes, overwritten but not synced.
func written(t *testing.T) *vfs.Mem {
	disk := vfs.NewMem()
	f, err := disk.Create("f")
	require.NoError(t, err)
	_, err = f.WriteAt(bytes.Repeat([]byte("o"), 8*vfs.SectorSize), 0)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	require.NoError(t, disk.SyncDir("."))
	_, err = f.WriteAt(bytes.Repeat([]byte("n"), 6*vfs.SectorSize), 0)
	require.NoError(t, err)
	return disk
}

// TestPowerLossOfWrites sees each fate of a sector, every mixture kept apart from what was synced,
// and the same bytes for the same seed, after a kill too.
func TestPowerLossOfWrites(t *testing.T) {
	disk := written(t)
	fates := map[byte]int{}
	var all, none int
	for seed := range uint64(200) {
		b := content(t, disk.PowerLoss(seed), "f")
		require.Equal(t, b, content(t, disk.PowerLoss(seed), "f"))
		require.Equal(t, b, content(t, disk.Kill().PowerLoss(seed), "f"))
		require.Equal(t, bytes.Repeat([]byte("o"), 2*vfs.SectorSize), b[6*vfs.SectorSize:])
		olds, news := 0, 0
		for s := range 6 {
			sector := b[s*vfs.SectorSize:][:vfs.SectorSize]
			switch {
			case bytes.Count(sector, []byte("o")) == vfs.SectorSize:
				olds++
			case bytes.Count(sector, []byte("n")) == vfs.SectorSize:
				news++
			default:
				fates['?']++
			}
		}
		fates['o'], fates['n'] = fates['o']+olds, fates['n']+news
		if olds == 6 {
			none++
		}
		if news == 6 {
			all++
		}
	}
	require.Greater(t, min(fates['o'], fates['n'], fates['?']), 100)
	require.Greater(t, min(all, none), 5)
}

// TestPowerLossOfSizes: an unsynced truncation, and an extension, are undone about half the time.
func TestPowerLossOfSizes(t *testing.T) {
	for _, size := range []int64{100, 100_000} {
		disk := vfs.NewMem()
		f, err := disk.Create("f")
		require.NoError(t, err)
		_, err = f.WriteAt(make([]byte, 1000), 0)
		require.NoError(t, err)
		require.NoError(t, f.Sync())
		require.NoError(t, disk.SyncDir("."))
		require.NoError(t, f.Truncate(size))
		sizes := map[int]int{}
		for seed := range uint64(100) {
			sizes[len(content(t, disk.PowerLoss(seed), "f"))]++
		}
		require.Len(t, sizes, 2)
		require.Greater(t, min(sizes[1000], sizes[int(size)]), 25)
	}
}

// TestPowerLossOfNames: what happened to names since the last SyncDir comes and goes, each change
// for itself, a rename as a whole; what was synced stays.
func TestPowerLossOfNames(t *testing.T) {
	disk := vfs.NewMem()
	require.NoError(t, disk.MkdirAll("/d"))
	create := func(name string) {
		f, err := disk.Create(name)
		require.NoError(t, err)
		_, err = f.WriteAt([]byte(name), 0)
		require.NoError(t, err)
		require.NoError(t, f.Sync())
	}
	create("/d/stays")
	create("/d/moves")
	create("/d/goes")
	require.NoError(t, disk.SyncDir("/d"))
	lost := false
	for seed := range uint64(20) {
		_, err := disk.PowerLoss(seed).List("/d")
		lost = lost || err != nil
	}
	require.True(t, lost, "the directory's own name was not durable")
	require.NoError(t, disk.SyncDir("/"))
	create("/d/new")
	require.NoError(t, disk.Rename("/d/moves", "/d/moved"))
	require.NoError(t, disk.Remove("/d/goes"))
	seen := map[string]bool{}
	for seed := range uint64(100) {
		after := disk.PowerLoss(seed)
		names, err := after.List("/d")
		require.NoError(t, err)
		require.Contains(t, names, "stays")
		moved := 0
		for _, name := range names {
			seen[name] = true
			if name == "moves" || name == "moved" {
				moved++
				require.Equal(t, "/d/moves", string(content(t, after, "/d/"+name)))
			}
		}
		require.Equal(t, 1, moved)
	}
	require.Len(t, seen, 5)
	require.NoError(t, disk.SyncDir("/d"))
	for seed := range uint64(20) {
		requireNames(t, disk.PowerLoss(seed), "/d", "moved", "new", "stays")
	}
}

// TestKill: the dead process's hands reach nothing.
func TestKill(t *testing.T) {
	disk := written(t)
	_, err := disk.Lock("LOCK")
	require.NoError(t, err)
	f, err := disk.OpenReadWrite("f")
	require.NoError(t, err)
	next := disk.Kill()
	_, err = f.WriteAt([]byte("zombie"), 0)
	require.NoError(t, err)
	require.Equal(t, byte('n'), content(t, next, "f")[0])
	_, err = next.Lock("LOCK")
	require.NoError(t, err, "locks die with the process")
}

func TestFaultCountsAndStops(t *testing.T) {
	run := func(d vfs.FS) error {
		f, err := d.Create("f")
		if err != nil {
			return err
		}
		_, werr := f.WriteAt([]byte("abc"), 0)
		return errors.Join(werr, f.Sync(), d.SyncDir("."), d.Rename("f", "g"), d.Remove("g"), d.MkdirAll("/x"))
	}
	counter := vfs.NewFault(vfs.NewMem(), nil)
	require.NoError(t, run(counter))
	require.Equal(t, 7, counter.Changes())
	for k := 1; k <= counter.Changes(); k++ {
		for _, after := range []bool{false, true} {
			disk := vfs.NewMem()
			fault := vfs.NewFault(disk, vfs.CrashAt(k, after))
			require.ErrorIs(t, run(fault), vfs.ErrStopped)
			require.True(t, fault.Stopped())
			_, err := fault.List(".")
			require.ErrorIs(t, err, vfs.ErrStopped)
			_, err = disk.Stat("f")
			require.Equal(t, k == 1 && !after || k == 5 && after || k > 5, errors.Is(err, fs.ErrNotExist), "%d", k)
		}
	}
}

func TestFaultInjects(t *testing.T) {
	boom := errors.New("boom")
	var effect vfs.Effect
	kind := vfs.OpWrite
	disk := vfs.NewFault(vfs.NewMem(), func(op vfs.Op) vfs.Effect {
		if op.Kind == kind {
			return effect
		}
		return vfs.Effect{}
	})
	f, err := disk.Create("f")
	require.NoError(t, err)
	effect = vfs.Effect{Err: boom, Short: 2}
	n, err := f.WriteAt([]byte("abcd"), 0)
	require.ErrorIs(t, err, boom)
	require.Equal(t, 2, n)
	require.Equal(t, "ab", string(content(t, disk, "f")))
	effect = vfs.Effect{Err: boom, Done: true}
	_, err = f.WriteAt([]byte("abcd"), 0)
	require.ErrorIs(t, err, boom)
	require.Equal(t, "abcd", string(content(t, disk, "f")))
	kind, effect = vfs.OpRead, vfs.Effect{Damage: func(b []byte) { b[1] ^= 0x80 }}
	require.Equal(t, "a\xe2cd", string(content(t, disk, "f")))

	once := vfs.NewFault(vfs.NewMem(), vfs.FailAt(2, boom))
	require.NoError(t, once.MkdirAll("/a"))
	require.ErrorIs(t, once.MkdirAll("/b"), boom)
	require.NoError(t, once.MkdirAll("/b"))

	full := true
	disk = vfs.NewFault(vfs.NewMem(), vfs.FullWhile(func() bool { return full }))
	_, err = disk.Create("f")
	require.ErrorIs(t, err, vfs.ErrFull)
	full = false
	_, err = disk.Create("f")
	require.NoError(t, err)
}
