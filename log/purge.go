package log

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"quoll/log/vfs"
	"quoll/zab"
)

// Purge removes what nobody needs: of the snapshots from which the history can be rebuilt the
// newest keep stay, at least two, and of the log everything behind the oldest of them. With fewer
// snapshots than that only segments go that hold nothing but dead branches. It returns the
// horizon: the log has every txn after it.
func (l *Log) Purge(keep int) (zab.Zxid, error) {
	l.names.Lock()
	defer l.names.Unlock()
	snaps, horizon, err := l.retire(max(keep, 2))
	if err != nil {
		return horizon, err
	}
	// Oldest first, each removal durable before the next, and one that failed is made up for
	// first: a crash must leave no gap.
	for len(l.doomed) > 0 {
		if err := l.remove(l.opts.Dir, segmentName(l.doomed[0].sequence)); err != nil {
			return horizon, err
		}
		l.doomed = l.doomed[1:]
	}
	for _, z := range snaps {
		if err := l.remove(l.opts.SnapDir, snapshotName(z)); err != nil {
			return horizon, err
		}
	}
	return horizon, nil
}

// retire decides what may go and forgets it; after that nobody new can begin to read it.
func (l *Log) retire(keep int) (old []zab.Zxid, horizon zab.Zxid, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := &l.fold.branch
	if l.err != nil || l.pending.reforms {
		// What is needed depends on records that are not durable yet: the next time will do.
		return nil, b.horizon, l.err
	}
	oldest := b.horizon
	if usable := l.usable(); len(usable) >= keep {
		oldest = usable[len(usable)-keep]
		l.snaps = slices.DeleteFunc(l.snaps, func(z zab.Zxid) bool {
			if z >= oldest || slices.Contains(l.received, z) || l.fold.aside != nil && z == l.fold.aside.base {
				return false
			}
			old = append(old, z)
			return true
		})
	}
	needed := make(map[*segment]bool)
	for _, e := range b.extents {
		needed[e.segment] = needed[e.segment] || e.last > oldest
	}
	if l.fold.aside != nil {
		for _, e := range l.fold.aside.extents {
			needed[e.segment] = true
		}
	}
	gone := 0
	for gone < len(l.segments)-1 && !needed[l.segments[gone]] {
		l.unref(l.segments[gone])
		gone++
	}
	if gone > 0 {
		dropped := l.segments[:gone:gone]
		l.doomed = append(l.doomed, dropped...)
		l.segments = slices.Clone(l.segments[gone:])
		b.forget(func(s *segment) bool { return !slices.Contains(dropped, s) })
	}
	return old, b.horizon, nil
}

// remove removes a file, durably. It may be gone already: a removal that failed may have happened.
func (l *Log) remove(dir, name string) error {
	err := l.fs.Remove(path.Join(dir, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("log: purge %s: %w", path.Join(dir, name), err)
	}
	if err := l.fs.SyncDir(dir); err != nil {
		return l.fail("sync", dir, err)
	}
	return nil
}

// Quarantine moves everything that the log has in its directories aside, after Open has refused
// it, and returns the new paths. The next Open starts as a server that may learn but not vote,
// because it has forgotten what it promised. A crash in between leaves what is refused or silent.
func Quarantine(opts Options) ([]string, error) {
	opts.settle()
	l := &Log{opts: opts, fs: opts.FS}
	defer l.release()
	for _, dir := range l.dirs() {
		if err := l.claim(dir); err != nil {
			return nil, err
		}
	}
	r := &recovery{Recovery: &Recovery{}, log: l}
	if err := r.list(); err != nil {
		return nil, err
	}
	if err := l.markSilent(); err != nil {
		return nil, err
	}
	// Snapshots first, then segments from the oldest on: the part of a log that is left has lost
	// its beginning and cannot be taken for a good one.
	var moved []string
	move := func(dir, name string) error {
		to, err := quarantine(l.fs, dir, name)
		moved = append(moved, to)
		return err
	}
	for _, z := range l.snaps {
		if err := move(opts.SnapDir, snapshotName(z)); err != nil {
			return moved, err
		}
	}
	for _, sequence := range r.sequences {
		if err := move(opts.Dir, segmentName(sequence)); err != nil {
			return moved, err
		}
	}
	return moved, nil
}

// markSilent leaves the note that an empty directory does not mean a new server.
func (l *Log) markSilent() error {
	name := path.Join(l.opts.Dir, silentName)
	f, err := l.fs.Create(name)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err == nil {
		err = errors.Join(f.Sync(), f.Close(), l.fs.SyncDir(l.opts.Dir))
	}
	if err != nil {
		return fmt.Errorf("log: create marker %s: %w", name, err)
	}
	return nil
}

// quarantine moves a damaged file to a directory beside it, durably, and returns its new path.
func quarantine(disk vfs.FS, dir, name string) (string, error) {
	aside := path.Join(dir, quarantineName)
	to := path.Join(aside, name)
	err := disk.MkdirAll(aside)
	if err == nil {
		err = disk.SyncDir(dir)
	}
	for n := 1; err == nil; n++ {
		if _, serr := disk.Stat(to); errors.Is(serr, fs.ErrNotExist) {
			break
		}
		to = path.Join(aside, fmt.Sprintf("%s.%d", name, n))
	}
	if err == nil {
		err = disk.Rename(path.Join(dir, name), to)
	}
	if err == nil {
		err = errors.Join(disk.SyncDir(aside), disk.SyncDir(dir))
	}
	if err != nil {
		return to, fmt.Errorf("log: move %s aside: %w", path.Join(dir, name), err)
	}
	return to, nil
}
