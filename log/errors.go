package log

import (
	"errors"
	"fmt"
	"syscall"

	"quoll/zab"
)

// CorruptError says that the log or the snapshots are not what this server has written and synced. A
// server that gets it from Open must not vote (R19): it refuses to start, or, where bytes are Damaged,
// has them put aside by Quarantine and learns everything again.
type CorruptError struct {
	Segment string   // path of the file
	Offset  int64    // first byte that cannot be trusted
	Last    zab.Zxid // last txn before it
	Err     error    // what is wrong
}

// Damaged reports whether bytes failed their checks. Else the files are whole and the operator's
// arrangement is wrong: another server's directory, a log that is not mounted, an older program. Nothing may be
// moved then: what was moved would be missing once the arrangement is put right.
func (e *CorruptError) Damaged() bool {
	return !errors.Is(e.Err, ErrOtherServer) && !errors.Is(e.Err, ErrVersion) && !errors.Is(e.Err, ErrLogGone)
}

// Error implements error.
func (e *CorruptError) Error() string {
	if !e.Damaged() {
		return fmt.Sprintf("log: %s: %v", e.Segment, e.Err) // which says what to do
	}
	return fmt.Sprintf("log: %s is damaged at offset %d, after zxid %v: %v; restore the file, or"+
		" move the data aside and let this server learn it again from the leader",
		e.Segment, e.Offset, e.Last, e.Err)
}

// Unwrap returns what is wrong.
func (e *CorruptError) Unwrap() error { return e.Err }

// FullError says that the disk has no space. Nothing is lost: the same call succeeds when there
// is space again.
type FullError struct {
	Path string
	Err  error
}

// Error implements error.
func (e *FullError) Error() string {
	return fmt.Sprintf("log: no space left for %s (%v): free some", e.Path, e.Err)
}

// Unwrap returns the error of the disk.
func (e *FullError) Unwrap() error { return e.Err }

var (
	// ErrNotInLog says that a range is not, or no longer, in the current history's log.
	ErrNotInLog = errors.New("not in the log")
	// ErrNoSnapshot says that there is no snapshot of that zxid.
	ErrNoSnapshot = errors.New("no such snapshot")
	// ErrBadSnapshot says that a snapshot's bytes are not what a server wrote.
	ErrBadSnapshot = errors.New("bad snapshot")
	// ErrOtherServer says that a directory belongs to a server with another id.
	ErrOtherServer = errors.New("directory of another server")
	// ErrVersion says that a newer program has written a file.
	ErrVersion = errors.New("a version of the format that this program does not know")
	// ErrLogGone says that there are snapshots and no log: the directory of the log is not there.
	ErrLogGone = errors.New("the log is gone")
	// ErrClosed says that the log was closed.
	ErrClosed = errors.New("log: closed")
)

// spareError is what befell a file that nothing rests on: the log goes on without it.
func spareError(op, name string, err error) error {
	if isFull(err) {
		return &FullError{Path: name, Err: err}
	}
	return fmt.Errorf("log: %s %s: %w", op, name, err)
}

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
