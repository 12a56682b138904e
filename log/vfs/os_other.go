//go:build !linux

package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"runtime"
)

func dataSync(f *os.File) error { return f.Sync() }

// syncDir does nothing where a directory cannot be opened for it.
func syncDir(d *os.File) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	return d.Sync()
}

// preallocate only sets the size: these systems have no portable way to reserve space.
func preallocate(f *os.File, _, size int64) error { return f.Truncate(size) }

// lockFile has no lock that dies with the process, so that a crash leaves the file behind; the
// error says so.
func lockFile(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%w (if none runs, remove %s)", ErrLocked, name)
	}
	if err != nil {
		return nil, err
	}
	return exclusive{f}, nil
}

type exclusive struct{ f *os.File }

func (e exclusive) Close() error { return errors.Join(e.f.Close(), os.Remove(e.f.Name())) }

// freeBytes does not know, so it never says that the disk is full.
func freeBytes(string) (uint64, error) { return math.MaxInt64, nil }
