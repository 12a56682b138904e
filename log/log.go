package log

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"quoll/log/vfs"
	"quoll/zab"
)

// Options say where the log is and how it is written.
type Options struct {
	FS      vfs.FS       // nil: the disk of the machine
	Dir     string       // of the log; made if missing
	SnapDir string       // of the snapshots; empty: Dir
	Server  zab.ServerID // a directory belongs to one server for ever

	SegmentBytes  int64 // a segment takes no new block from here on; 0: 64 MiB
	PreallocBytes int64 // size that a segment is made with; 0: SegmentBytes

	// NoSync leaves out the fsync of Sync. What was acknowledged can then be lost with the power,
	// though not with the process.
	NoSync bool
	// Autocreate takes an empty directory for a new server. Without it, and without a file
	// "initialize" in Dir or SnapDir, an empty directory is that of a server that may have
	// forgotten what it promised: State.Silent.
	Autocreate bool

	Now    func() time.Time // for OnSync; nil: no times
	OnSync func(SyncEvent)  // called by Sync when a block is durable; nil: nobody is told
}

// settle fills in where the files are.
func (o *Options) settle() {
	if o.FS == nil {
		o.FS = vfs.OS()
	}
	if o.SnapDir == "" {
		o.SnapDir = o.Dir
	}
	o.Dir, o.SnapDir = path.Clean(o.Dir), path.Clean(o.SnapDir)
}

// SyncEvent tells what a Sync did.
type SyncEvent struct {
	Records int
	Bytes   int           // written, with padding
	Write   time.Duration // in the write
	Sync    time.Duration // in the fsync
}

const defaultSegmentBytes = 64 << 20

// Names in the directories that are neither segments nor snapshots.
const (
	lockName       = "LOCK"
	initializeName = "initialize" // the operator's word: this empty directory is meant
	silentName     = "silent"     // ours: what was here has been put aside
	quarantineName = "quarantine" // directory of what was damaged
)

// Recovery is what Open found.
type Recovery struct {
	State       zab.State
	Torn        *TornTail // the end of the log that a crash left unfinished, if it did
	Abandoned   zab.Zxid  // snapshot whose installation a crash left unfinished, or 0
	Quarantined []string  // damaged snapshots that were moved aside: their new paths
	Missing     zab.Zxid  // newest snapshot according to the log, if it is gone; an older one serves
	Segments    int
	Bytes       int64 // of log that were read
}

// TornTail is an end of the log that was written and never durable. Nobody was told that it was
// there; it is cut off before Open returns.
type TornTail struct {
	Segment string
	Offset  int64    // where the log ends now
	Last    zab.Zxid // last txn before that
	Reason  string   // what is wrong with what followed
}

// Log is an open log with its snapshots.
type Log struct {
	opts  Options
	fs    vfs.FS
	locks []interface{ Close() error }

	// The log writer owns these; it alone changes them.
	chain     uint32   // crc of the last record appended
	current   *segment // the one that is written to
	confirmed bool     // a mark behind the last block has been written
	mark      []byte   // for confirm, of a sector
	scratch   record   // for Append; on its stack it would be allocated for every record

	names  sync.Mutex // held while snapshots get their names and files are purged; before mu
	doomed []*segment // forgotten, and still to be removed, oldest first; guarded by names

	// making is held while the next segment is made or taken, before mu.
	making sync.Mutex
	spare  vfs.File    // the next segment, preallocated; nil if there is none; guarded by making
	filled atomic.Bool // spare is full of zeros

	mu       sync.Mutex
	err      error      // why the log is dead; nothing clears it (R20)
	fold     fold       // of everything appended
	segments []*segment // oldest first, current last
	pending  pending
	snaps    []zab.Zxid // complete snapshots in SnapDir, ascending
	received []zab.Zxid // those taken from others and not installed yet; not to be purged
	temps    int        // numbers temporary files
}

// Open recovers the log in a directory and takes hold of it. It refuses with a CorruptError what
// cannot have been left by a crash. When it returns, everything in State is durable (R19).
func Open(opts Options) (*Log, *Recovery, error) {
	opts.settle()
	if opts.SegmentBytes <= 0 {
		opts.SegmentBytes = defaultSegmentBytes
	}
	if opts.PreallocBytes <= 0 {
		opts.PreallocBytes = opts.SegmentBytes
	}
	if opts.Server == 0 {
		return nil, nil, errors.New("log: open: server id 0 names nobody")
	}
	l := &Log{opts: opts, fs: opts.FS}
	rec, err := l.open()
	if err != nil {
		l.release()
		return nil, nil, err
	}
	return l, rec, nil
}

func (l *Log) open() (*Recovery, error) {
	for _, dir := range l.dirs() {
		if err := l.claim(dir); err != nil {
			return nil, err
		}
	}
	r := &recovery{log: l, Recovery: &Recovery{}}
	if err := r.run(); err != nil {
		return nil, err
	}
	return r.Recovery, nil
}

// dirs returns the directory, or both if there are two.
func (l *Log) dirs() []string {
	if l.opts.Dir == l.opts.SnapDir {
		return []string{l.opts.Dir}
	}
	return []string{l.opts.Dir, l.opts.SnapDir}
}

// claim makes a directory if it is missing and locks it.
func (l *Log) claim(dir string) error {
	if err := l.makeDir(dir); err != nil {
		return err
	}
	lock, err := l.fs.Lock(path.Join(dir, lockName))
	switch {
	case errors.Is(err, vfs.ErrLocked):
		return fmt.Errorf("log: directory %s: %w; stop the other server or give this one its own"+
			" directory", dir, err)
	case err != nil:
		return fmt.Errorf("log: directory %s: %w; make it writable for this user", dir, err)
	}
	l.locks = append(l.locks, lock)
	return nil
}

// makeDir makes a directory and those above it where they are missing, with durable names: what is
// fsynced in a directory is lost with any name on the way to it. Each level is durable before the
// next is made; so of what is there only the last one can come from a process that was killed.
func (l *Log) makeDir(dir string) error {
	var missing []string
	there := dir
	for ; there != path.Dir(there); there = path.Dir(there) {
		if _, err := l.fs.List(there); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		missing = append(missing, there)
	}
	// Above our own directories we may not even be allowed to look.
	if err := l.fs.SyncDir(path.Dir(there)); err != nil && !errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("log: sync directory %s: %w", path.Dir(there), err)
	}
	for _, d := range slices.Backward(missing) {
		if err := l.fs.MkdirAll(d); err != nil {
			return fmt.Errorf("log: make directory %s: %w; make it writable for this user", d, err)
		}
		if err := l.fs.SyncDir(path.Dir(d)); err != nil {
			return fmt.Errorf("log: sync directory %s: %w", path.Dir(d), err)
		}
	}
	return nil
}

// Close makes what was appended durable, if the log still lives, and lets go of the directory.
func (l *Log) Close() error {
	err := l.Sync()
	if err == nil {
		err = l.confirm(true)
	}
	l.release()
	return err
}

// release lets go of everything. Readers keep the files that they read.
func (l *Log) release() {
	l.mu.Lock()
	if l.err == nil {
		l.err = ErrClosed
	}
	for _, s := range l.segments {
		l.unref(s)
	}
	l.segments = nil
	l.mu.Unlock()
	if l.spare != nil {
		_ = l.spare.Close() // never written to
	}
	for _, lock := range l.locks {
		_ = lock.Close() // the process's end would do it too
	}
	l.locks = nil
}

// unref gives a reference to a segment back. The caller holds mu.
func (l *Log) unref(s *segment) {
	s.refs--
	if s.refs == 0 && s.file != nil {
		_ = s.file.Close() // what it held is durable or was never promised
	}
}

// Err returns the error that ended the log, nil while it goes on. Whoever gets an error from it and
// could do without what failed asks this too: a process without a log must stop (R20).
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// fail ends the log: after a failed write or fsync nobody knows what is on the disk, and asking
// again can bring a false yes (R20).
func (l *Log) fail(op, name string, err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = fmt.Errorf("log: %s %s: %w", op, name, err)
	}
	return l.err
}

// diskError tells a full disk, which may be waited out, from the end of the log. It must not be
// used for an fsync, whose every error is final.
func (l *Log) diskError(op, name string, err error) error {
	if isFull(err) {
		return spareError(op, name, err)
	}
	return l.fail(op, name, err)
}

// Free returns how many bytes may still be written beside the log.
func (l *Log) Free() (uint64, error) {
	n, err := l.fs.Free(l.opts.Dir)
	if err != nil {
		return 0, fmt.Errorf("log: free space of %s: %w", l.opts.Dir, err)
	}
	return n, nil
}

// Horizon returns the zxid after which the log has every txn of the current history.
func (l *Log) Horizon() zab.Zxid {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fold.branch.horizon
}

// Snapshots returns the zxids of the snapshots from which, with the log, the current history can
// be rebuilt, ascending. One that was received and is not installed yet is not among them.
func (l *Log) Snapshots() []zab.Zxid {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.usable()
}

// usable is Snapshots for those who hold mu. Membership keeps out what a truncation or an
// installation has left behind (R9).
func (l *Log) usable() []zab.Zxid {
	b := &l.fold.branch
	return slices.DeleteFunc(slices.Clone(l.snaps), func(z zab.Zxid) bool {
		return z < b.horizon || !b.contains(z)
	})
}
