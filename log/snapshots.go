package log

import (
	"fmt"
	"hash/crc32"
	"io"
	"path"
	"slices"

	"quoll/log/vfs"
	"quoll/zab"
)

// CreateSnapshot writes the state after z, which must be committed (R17), as a snapshot. write
// gets a stream that is compressed. When it returns nil the snapshot is durable under its name;
// until then it does not exist. It may run beside everything else.
func (l *Log) CreateSnapshot(z zab.Zxid, write func(io.Writer) error) error {
	temporary, err := l.store(z, func(f *snapshotFile) error { return encodeSnapshot(f, z, write) })
	if err != nil {
		return err
	}
	return l.publish(z, temporary, false)
}

// ReceiveSnapshot stores the snapshot file of another server: size bytes from r. While they
// arrive, restore is given the state; what it builds may be used only if ReceiveSnapshot returns
// nil. Half a snapshot leaves no trace. A received one is not part of the history before it has
// been installed by records (R10).
func (l *Log) ReceiveSnapshot(z zab.Zxid, size int64, r io.Reader, restore func(io.Reader) error) error {
	temporary, err := l.store(z, func(f *snapshotFile) error {
		return decodeSnapshot(r, z, size, f, restore)
	})
	if err != nil {
		return err
	}
	return l.publish(z, temporary, true)
}

// store writes a snapshot under a temporary name, which it returns, and makes it durable.
func (l *Log) store(z zab.Zxid, fill func(*snapshotFile) error) (string, error) {
	l.mu.Lock()
	l.temps++
	temporary := path.Join(l.opts.SnapDir, fmt.Sprintf("%s%d.%s", temporaryPrefix, l.temps, snapshotName(z)))
	err := l.err
	l.mu.Unlock()
	if err != nil {
		return "", err
	}
	file, err := l.fs.Create(temporary)
	if err != nil {
		return "", spareError("create", temporary, err)
	}
	f := &snapshotFile{file: file}
	if err = fill(f); err == nil {
		err = f.sync()
	}
	if cerr := file.Close(); err == nil && cerr != nil {
		f.err, err = cerr, cerr
	}
	if err == nil {
		return temporary, nil
	}
	_ = l.fs.Remove(temporary) // or the next Open does it
	if f.err != nil {
		// Even a failed fsync is bad for this file only, and that was nobody's yet (R20).
		return "", spareError("write", temporary, f.err)
	}
	return "", fmt.Errorf("log: snapshot %v: %w", z, err)
}

// publish gives a complete snapshot its name. Purge cannot come in between that and the note that
// the snapshot is wanted.
func (l *Log) publish(z zab.Zxid, temporary string, received bool) error {
	l.names.Lock()
	defer l.names.Unlock()
	if err := l.fs.Rename(temporary, path.Join(l.opts.SnapDir, snapshotName(z))); err != nil {
		_ = l.fs.Remove(temporary)
		return spareError("rename", temporary, err)
	}
	if err := l.fs.SyncDir(l.opts.SnapDir); err != nil {
		return l.fail("sync", l.opts.SnapDir, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if i, found := slices.BinarySearch(l.snaps, z); !found {
		l.snaps = slices.Insert(l.snaps, i, z)
	}
	if received {
		l.received = append(l.received, z)
	}
	return nil
}

// hasSnapshot is for those who hold mu.
func (l *Log) hasSnapshot(z zab.Zxid) bool {
	_, ok := slices.BinarySearch(l.snaps, z)
	return ok
}

// OpenSnapshot returns the bytes of a snapshot file and their number, to be sent to another
// server. Purging does not disturb the reader, who closes it.
func (l *Log) OpenSnapshot(z zab.Zxid) (io.ReadCloser, int64, error) {
	name := path.Join(l.opts.SnapDir, snapshotName(z))
	l.mu.Lock()
	ok := l.hasSnapshot(z)
	l.mu.Unlock()
	if !ok {
		return nil, 0, fmt.Errorf("log: snapshot %v: %w", z, ErrNoSnapshot)
	}
	return openSnapshot(l.fs, name)
}

func openSnapshot(disk vfs.FS, name string) (io.ReadCloser, int64, error) {
	file, err := disk.Open(name)
	if err != nil {
		return nil, 0, fmt.Errorf("log: open snapshot %s: %w", name, err)
	}
	size, err := file.Size()
	if err != nil {
		_ = file.Close() // only read
		return nil, 0, fmt.Errorf("log: size of snapshot %s: %w", name, err)
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(file, 0, size), file}, size, nil
}

// ReadSnapshot gives the state of a snapshot to restore and verifies the file. What restore
// builds may be used only if ReadSnapshot returns nil.
func (l *Log) ReadSnapshot(z zab.Zxid, restore func(io.Reader) error) error {
	r, size, err := l.OpenSnapshot(z)
	if err != nil {
		return err
	}
	err = decodeSnapshot(r, z, size, nil, restore)
	_ = r.Close() // only read
	if err != nil {
		return fmt.Errorf("log: snapshot %v: %w", z, err)
	}
	return nil
}

// verifySnapshot checks a file without looking into the stream: if every byte is as it was
// written, it holds what was written. ErrBadSnapshot says that it does not.
func (l *Log) verifySnapshot(z zab.Zxid) error {
	r, size, err := l.OpenSnapshot(z)
	if err != nil {
		return err
	}
	err = checkFile(r, z, size)
	_ = r.Close() // only read
	if err != nil {
		return fmt.Errorf("log: snapshot %v: %w", z, err)
	}
	return nil
}

// checkFile verifies the bytes of a snapshot file.
func checkFile(r io.Reader, z zab.Zxid, size int64) error {
	if size < minSnapshot {
		return badSnapshot("%d bytes are too few", size)
	}
	var b [snapshotHeader]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return err
	}
	if err := checkHead(b[:], z); err != nil {
		return err
	}
	crc := crc32.Checksum(b[:], castagnoli)
	buf := make([]byte, min(scanBytes, size))
	for left := size - minSnapshot; left > 0; {
		part := buf[:min(left, int64(len(buf)))]
		if _, err := io.ReadFull(r, part); err != nil {
			return err
		}
		crc = crc32.Update(crc, castagnoli, part)
		left -= int64(len(part))
	}
	if _, err := io.ReadFull(r, b[:sealBytes]); err != nil {
		return err
	}
	return checkSeal(b[:sealBytes], size, crc)
}
