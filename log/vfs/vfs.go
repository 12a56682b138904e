package vfs

import "io"

// SectorSize is the unit in which an unsynced write may be kept or lost, in bytes. Whoever needs
// a write to leave older bytes alone, come what may, begins it at a multiple of SectorSize.
const SectorSize = 512

// FS is a disk. Names are slash-separated paths. Errors match fs.ErrNotExist, fs.ErrExist,
// fs.ErrPermission and syscall.ENOSPC where these apply. All methods may be called at any time
// from any goroutine.
type FS interface {
	// Create makes a new empty file for reading and writing; it fails if the name exists.
	Create(name string) (File, error)
	// Open opens a file for reading.
	Open(name string) (File, error)
	// OpenReadWrite opens a file that exists for reading and for writing at any offset.
	OpenReadWrite(name string) (File, error)
	// Stat returns the size of a file in bytes.
	Stat(name string) (int64, error)
	// Rename moves a file, replacing what the new name held, in one step.
	Rename(oldName, newName string) error
	// Remove removes a file. Those that have it open may go on using it.
	Remove(name string) error
	// List returns the names in a directory, sorted, without the directory's own path.
	List(dir string) ([]string, error)
	// MkdirAll makes a directory and its parents where they are missing.
	MkdirAll(dir string) error
	// SyncDir makes the names in a directory durable.
	SyncDir(dir string) error
	// Lock takes the lock named by a file, which it makes if need be, until the result is closed
	// or the process ends. It fails with ErrLocked when another holder has it.
	Lock(name string) (io.Closer, error)
	// Free returns how many bytes may still be written to the disk that holds dir.
	Free(dir string) (uint64, error)
}

// File is an open file. WriteAt past the end extends it; the gap reads as zeros.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Size returns the size in bytes.
	Size() (int64, error)
	// Truncate sets the size, shorter or longer; what it adds reads as zeros.
	Truncate(size int64) error
	// Preallocate extends the file to size bytes that read as zeros and, where the disk can do
	// that, reserves the space, so that later writes to it cannot fail for lack of it.
	Preallocate(size int64) error
	// Sync makes the content and the size durable. After an error nothing is known about what is
	// on the disk, whatever a later Sync says (R20).
	Sync() error
}
