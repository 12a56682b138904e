package log_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/log"
	"quoll/log/vfs"
)

// FuzzRecovery opens whatever is in the files of a log: it recovers something that can be read
// back and opened again, or refuses with a CorruptError.
func FuzzRecovery(f *testing.F) {
	d := small(f)
	var files [][]byte
	for _, name := range segmentFiles(f, d) {
		file, err := d.disk.Open(name)
		require.NoError(f, err)
		size, err := file.Size()
		require.NoError(f, err)
		b := make([]byte, size)
		_, err = file.ReadAt(b, 0)
		require.NoError(f, err)
		files = append(files, b)
	}
	f.Add(files[0], files[1])
	f.Add(files[0], []byte(nil))
	f.Add(files[0], files[0]) // its header says that nothing is before it
	f.Add(files[0][:3000], make([]byte, 1000))
	f.Add([]byte("quolllog"), files[1][:600])
	f.Fuzz(func(t *testing.T, first, second []byte) {
		disk := vfs.NewMem()
		require.NoError(t, disk.MkdirAll("/data/log"))
		for name, b := range map[string][]byte{"log.0000000001": first, "log.0000000002": second} {
			if len(b) == 0 {
				continue
			}
			file, err := disk.Create("/data/log/" + name)
			require.NoError(t, err)
			_, err = file.WriteAt(b, 0)
			require.NoError(t, err)
			require.NoError(t, file.Close())
		}
		opts := options()
		opts.FS = disk
		l, rec, err := log.Open(opts)
		if err != nil {
			require.ErrorAs(t, err, new(*log.CorruptError))
			return
		}
		require.LessOrEqual(t, rec.Bytes, int64(len(first)+len(second)+1024))
		require.NoError(t, l.Close())
		_, again, err := log.Open(opts)
		require.NoError(t, err)
		require.Nil(t, again.Torn)
		require.Equal(t, rec.State.History, again.State.History)
		require.Equal(t, rec.State.Tail, again.State.Tail)
	})
}

// FuzzSnapshot receives whatever arrives: it is a snapshot or nothing.
func FuzzSnapshot(f *testing.F) {
	z := zx(1, 3)
	good := shipped(z)
	f.Add(good)
	f.Add(good[:40])
	f.Add(good[:len(good)-1])
	opts := options()
	opts.FS = vfs.NewMem()
	l, _, err := log.Open(opts)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, b []byte) {
		var got bytes.Buffer
		err := l.ReceiveSnapshot(z, int64(len(b)), bytes.NewReader(b), func(r io.Reader) error {
			_, err := io.CopyN(&got, r, 1<<20)
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		})
		if err != nil {
			require.NoError(t, l.Sync(), "what others send does not harm the log")
			return
		}
		require.NoError(t, l.ReadSnapshot(z, func(r io.Reader) error {
			again, err := io.ReadAll(r)
			require.Equal(t, got.Bytes(), again)
			return err
		}))
	})
}
