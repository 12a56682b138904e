package vfs

import (
	"errors"
	"io"
	"sync"
	"syscall"
)

// OpKind is a kind of operation on a disk.
type OpKind uint8

// The kinds of operation. Those up to OpSyncDir change the disk or make a change durable; they
// are the points at which a crash can make a difference.
const (
	OpCreate OpKind = iota
	OpWrite
	OpTruncate
	OpPreallocate
	OpSync
	OpRename
	OpRemove
	OpMkdir
	OpSyncDir
	OpOpen
	OpRead
	OpStat
	OpList
	OpLock
	OpFree
	numOpKinds
)

var opNames = [numOpKinds]string{
	"create", "write", "truncate", "preallocate", "sync", "rename", "remove", "mkdir", "sync dir",
	"open", "read", "stat", "list", "lock", "free",
}

// String returns the kind in words.
func (k OpKind) String() string { return opNames[k] }

// Mutates reports whether the operation changes the disk or makes a change durable.
func (k OpKind) Mutates() bool { return k <= OpSyncDir }

// Grows reports whether the operation needs space, so that a full disk refuses it.
func (k OpKind) Grows() bool {
	return k == OpCreate || k == OpWrite || k == OpPreallocate || k == OpMkdir
}

// Op is an operation that is about to happen.
type Op struct {
	N      int // counts all operations, from 1
	Change int // counts those that mutate, from 1; of the last one if this does not
	Kind   OpKind
	Name   string
	Offset int64
	Len    int
}

// Effect is what becomes of an operation. The zero value lets it happen.
type Effect struct {
	Err    error          // it fails with this
	Done   bool           // but has happened all the same
	Short  int            // a write that fails has still written so many bytes
	Damage func(b []byte) // is given what was read, to change it
	Stop   bool           // this and everything after it fails with ErrStopped
}

// ErrStopped is the error of every operation after the world has stopped.
var ErrStopped = errors.New("the world has stopped")

// ErrFull is what a full disk says.
var ErrFull error = syscall.ENOSPC

// Fault is a disk that counts operations and breaks those that its Inject picks. Closing a file
// is not an operation: it changes nothing on a disk.
type Fault struct {
	fs     FS
	inject func(Op) Effect

	mu      sync.Mutex
	n       int
	changes int
	stopped bool
}

// NewFault wraps a disk. inject is called before every operation, one at a time; nil only counts.
func NewFault(fs FS, inject func(Op) Effect) *Fault { return &Fault{fs: fs, inject: inject} }

// CrashAt returns an inject that stops the world at change k, before or after it takes effect.
func CrashAt(k int, after bool) func(Op) Effect {
	return func(op Op) Effect {
		return Effect{Stop: op.Kind.Mutates() && op.Change == k, Done: after}
	}
}

// FailAt returns an inject that fails change k with err, once, without effect.
func FailAt(k int, err error) func(Op) Effect {
	return func(op Op) Effect {
		if op.Kind.Mutates() && op.Change == k {
			return Effect{Err: err}
		}
		return Effect{}
	}
}

// FullWhile returns an inject that has no space left while full says so.
func FullWhile(full func() bool) func(Op) Effect {
	return func(op Op) Effect {
		if op.Kind.Grows() && full() {
			return Effect{Err: ErrFull}
		}
		return Effect{}
	}
}

// Changes returns how many operations so far could change the disk.
func (f *Fault) Changes() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changes
}

// Stopped reports whether the world has stopped.
func (f *Fault) Stopped() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stopped
}

// Stop stops the world.
func (f *Fault) Stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopped = true
}

// before counts an operation and says what becomes of it.
func (f *Fault) before(op Op) Effect {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stopped {
		return Effect{Err: ErrStopped}
	}
	f.n++
	if op.Kind.Mutates() {
		f.changes++
	}
	op.N, op.Change = f.n, f.changes
	if f.inject == nil {
		return Effect{}
	}
	e := f.inject(op)
	if e.Stop {
		f.stopped, e.Err = true, ErrStopped
	}
	return e
}

// do performs an operation as its effect says.
func (f *Fault) do(kind OpKind, name string, perform func() error) error {
	e := f.before(Op{Kind: kind, Name: name})
	if e.Err != nil && !e.Done {
		return e.Err
	}
	if err := perform(); err != nil {
		return err
	}
	return e.Err
}

func (f *Fault) file(kind OpKind, name string, open func(string) (File, error)) (File, error) {
	var file File
	err := f.do(kind, name, func() (err error) {
		file, err = open(name)
		return err
	})
	if err != nil {
		if file != nil {
			err = errors.Join(err, file.Close())
		}
		return nil, err
	}
	return &faultFile{f: f, name: name, File: file}, nil
}

// Create implements FS.
func (f *Fault) Create(name string) (File, error) { return f.file(OpCreate, name, f.fs.Create) }

// Open implements FS.
func (f *Fault) Open(name string) (File, error) { return f.file(OpOpen, name, f.fs.Open) }

// OpenReadWrite implements FS.
func (f *Fault) OpenReadWrite(name string) (File, error) {
	return f.file(OpOpen, name, f.fs.OpenReadWrite)
}

// Stat implements FS.
func (f *Fault) Stat(name string) (size int64, err error) {
	err = f.do(OpStat, name, func() (err error) {
		size, err = f.fs.Stat(name)
		return err
	})
	return size, err
}

// Rename implements FS.
func (f *Fault) Rename(oldName, newName string) error {
	return f.do(OpRename, newName, func() error { return f.fs.Rename(oldName, newName) })
}

// Remove implements FS.
func (f *Fault) Remove(name string) error {
	return f.do(OpRemove, name, func() error { return f.fs.Remove(name) })
}

// List implements FS.
func (f *Fault) List(dir string) (names []string, err error) {
	err = f.do(OpList, dir, func() (err error) {
		names, err = f.fs.List(dir)
		return err
	})
	return names, err
}

// MkdirAll implements FS.
func (f *Fault) MkdirAll(dir string) error {
	return f.do(OpMkdir, dir, func() error { return f.fs.MkdirAll(dir) })
}

// SyncDir implements FS.
func (f *Fault) SyncDir(dir string) error {
	return f.do(OpSyncDir, dir, func() error { return f.fs.SyncDir(dir) })
}

// Lock implements FS.
func (f *Fault) Lock(name string) (lock io.Closer, err error) {
	err = f.do(OpLock, name, func() (err error) {
		lock, err = f.fs.Lock(name)
		return err
	})
	return lock, err
}

// Free implements FS.
func (f *Fault) Free(dir string) (free uint64, err error) {
	err = f.do(OpFree, dir, func() (err error) {
		free, err = f.fs.Free(dir)
		return err
	})
	return free, err
}

// faultFile is an open file of a Fault.
type faultFile struct {
	File
	f    *Fault
	name string
}

func (f *faultFile) ReadAt(b []byte, off int64) (int, error) {
	e := f.f.before(Op{Kind: OpRead, Name: f.name, Offset: off, Len: len(b)})
	if e.Err != nil {
		return 0, e.Err
	}
	n, err := f.File.ReadAt(b, off)
	if e.Damage != nil {
		e.Damage(b[:n])
	}
	return n, err
}

func (f *faultFile) WriteAt(b []byte, off int64) (int, error) {
	e := f.f.before(Op{Kind: OpWrite, Name: f.name, Offset: off, Len: len(b)})
	if e.Err != nil && !e.Done {
		b = b[:min(e.Short, len(b))]
	}
	n, err := f.File.WriteAt(b, off)
	if err == nil {
		err = e.Err
	}
	return n, err
}

func (f *faultFile) Size() (size int64, err error) {
	err = f.f.do(OpStat, f.name, func() (err error) {
		size, err = f.File.Size()
		return err
	})
	return size, err
}

func (f *faultFile) Truncate(size int64) error {
	return f.f.do(OpTruncate, f.name, func() error { return f.File.Truncate(size) })
}

func (f *faultFile) Preallocate(size int64) error {
	return f.f.do(OpPreallocate, f.name, func() error { return f.File.Preallocate(size) })
}

func (f *faultFile) Sync() error { return f.f.do(OpSync, f.name, f.File.Sync) }
