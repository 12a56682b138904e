package vfs

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// dataSync leaves out the timestamps that fsync would write; the size it keeps.
func dataSync(f *os.File) error {
	err := retry(func() error { return unix.Fdatasync(int(f.Fd())) })
	return os.NewSyscallError("fdatasync", err)
}

func syncDir(d *os.File) error { return d.Sync() }

func preallocate(f *os.File, have, size int64) error {
	err := retry(func() error { return unix.Fallocate(int(f.Fd()), 0, have, size-have) })
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return f.Truncate(size)
	}
	return os.NewSyscallError("fallocate", err)
}

// lockFile uses flock: the kernel drops it with the process, however that ends.
func lockFile(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	err = retry(func() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) })
	if err == nil {
		return f, nil
	}
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = ErrLocked
	}
	return nil, errors.Join(err, f.Close())
}

func freeBytes(dir string) (uint64, error) {
	var s unix.Statfs_t
	if err := retry(func() error { return unix.Statfs(dir, &s) }); err != nil {
		return 0, os.NewSyscallError("statfs", err)
	}
	return s.Bavail * uint64(s.Bsize), nil
}

// retry repeats a call that a signal interrupted: it did nothing and says nothing about the disk.
func retry(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
