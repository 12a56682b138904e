package log

import (
	"errors"
	"fmt"
	"path"
	"slices"

	"quoll/zab"
)

// recovery is the work of Open.
type recovery struct {
	*Recovery
	log   *Log
	fold  fold
	chain uint32 // crc of the last good record

	sequences  []uint64
	initialize []string // paths of the operator's marker
	silent     bool     // our own is there
}

func (r *recovery) run() error {
	l := r.log
	if err := r.list(); err != nil {
		return err
	}
	if err := r.readSegments(); err != nil {
		return err
	}
	if len(l.segments) == 0 {
		if err := r.create(); err != nil {
			return err
		}
	}
	l.fold, l.chain = r.fold, r.chain
	if err := r.settle(); err != nil {
		return err
	}
	r.Segments = len(l.segments)
	if l.fold.aside != nil {
		// A crash came before the installation was complete: the old generation is the history
		// (R10). The record goes out with the first Sync; until then every recovery does this.
		r.Abandoned = l.fold.aside.base
		if err := l.Append([]zab.Record{{Kind: zab.RecordAbandon}}); err != nil {
			return err
		}
	}
	if err := r.chooseSnapshot(); err != nil {
		return err
	}
	return r.loadState()
}

// list looks at the directories, and removes files that never got their final name.
func (r *recovery) list() error {
	l := r.log
	for _, dir := range l.dirs() {
		names, err := l.fs.List(dir)
		if err != nil {
			return fmt.Errorf("log: list directory %s: %w", dir, err)
		}
		if slices.Contains(names, initializeName) {
			r.initialize = append(r.initialize, path.Join(dir, initializeName))
		}
		if dir == l.opts.Dir {
			r.silent = slices.Contains(names, silentName)
			for _, name := range names {
				if sequence, ok := parseSegmentName(name); ok {
					r.sequences = append(r.sequences, sequence)
				}
			}
		}
		if dir != l.opts.SnapDir {
			continue
		}
		for _, name := range names {
			if z, ok := parseSnapshotName(name); ok {
				l.snaps = append(l.snaps, z)
			} else if isTemporary(name) {
				if err := l.fs.Remove(path.Join(dir, name)); err != nil {
					return fmt.Errorf("log: remove unfinished %s: %w", path.Join(dir, name), err)
				}
			}
		}
	}
	slices.Sort(r.sequences)
	slices.Sort(l.snaps)
	return nil
}

// readSegments folds all segments, oldest first. Afterwards log.segments are those that hold.
func (r *recovery) readSegments() error {
	segments := make([]*segment, 0, len(r.sequences))
	tails := make([]*tail, 0, len(r.sequences))
	states := make([]headerState, 0, len(r.sequences))
	defer func() {
		for _, s := range segments {
			if s.refs == 0 { // it did not become one of the log's
				_ = s.file.Close()
			}
		}
	}()
	for i, sequence := range r.sequences {
		if i > 0 && sequence != r.sequences[i-1]+1 {
			return r.corrupt(r.sequences[i-1]+1, 0, errors.New("the segment is missing"))
		}
		name := r.log.segmentPath(&segment{sequence: sequence})
		file, err := r.log.fs.OpenReadWrite(name)
		if err != nil {
			return fmt.Errorf("log: open segment %s: %w", name, err)
		}
		s := &segment{sequence: sequence, file: file}
		segments = append(segments, s)
		t, state, err := r.readHeader(s)
		if err != nil {
			return fmt.Errorf("log: read segment %s: %w", name, err)
		}
		tails, states = append(tails, t), append(states, state)
	}
	for i, s := range segments {
		f := finding{header: states[i], newest: true, needed: i == 0 && s.sequence > 1}
		var next *header
		for j, t := range tails[i+1:] {
			if t.header != nil {
				f.newest = false
			}
			if j == 0 {
				next = t.header
			}
		}
		if err := r.readSegment(s, tails[i], next, f); err != nil {
			return err
		}
	}
	return nil
}

// readHeader reads the header of a segment, if it has one, and says what it can without the
// segments before.
func (r *recovery) readHeader(s *segment) (*tail, headerState, error) {
	size, err := s.file.Size()
	if err != nil {
		return nil, 0, err
	}
	b := make([]byte, min(size, maxHeader))
	n, err := s.file.ReadAt(b, 0)
	if n < len(b) {
		return nil, 0, err
	}
	h, err := decodeHeader(b)
	t := &tail{header: h, size: size}
	switch {
	case errors.Is(err, ErrVersion):
		return t, headerUnknown, nil
	case err != nil:
		return t, headerMissing, nil
	case h.server != r.log.opts.Server:
		return t, headerForeign, nil
	case h.sequence != s.sequence:
		return t, headerMismatch, nil
	}
	return t, headerGood, nil
}

// readSegment folds one segment and does with it what the table says. next is the header of the
// segment behind it, if that is whole: it says where this one ends.
func (r *recovery) readSegment(s *segment, t *tail, next *header, f finding) error {
	if f.header == headerGood && !r.continues(t.header) {
		f.header = headerMismatch
	}
	if f.header == headerGood {
		end := t.size
		if next != nil {
			end = max(t.header.size, min(end, next.previous))
		}
		if err := r.foldSegment(s, t, end); err != nil {
			return err
		}
		f.damaged = t.err != nil || next != nil && (t.end() != next.previous || r.chain != next.chain)
	}
	if f.newest || f.damaged {
		ev, err := survey(s.file, s.sequence, t.stop, t.size)
		if err != nil {
			return fmt.Errorf("log: segment %s: %w", r.log.segmentPath(s), err)
		}
		f.proof = ev.synced
		f.damaged = f.damaged || ev.any
	}
	return f.judge().then(r, s, t)
}

// continues reports whether a header is that of the place which recovery has reached, and starts
// the fold from it if it is the first. A header repeats what the segments before it amount to.
func (r *recovery) continues(h *header) bool {
	if len(r.log.segments) == 0 {
		r.fold, r.chain = h.fold, h.chain
		return true
	}
	a, b := &r.fold, &h.fold
	return h.chain == r.chain && a.accepted == b.accepted && a.current == b.current &&
		a.silent == b.silent && (a.aside == nil) == (b.aside == nil) &&
		a.branch.last() == b.branch.last() && a.newest().last() == b.newest().last()
}

// foldSegment reads records up to end, or up to the first that is not good, which it notes.
func (r *recovery) foldSegment(s *segment, t *tail, end int64) error {
	t.good = t.header.size
	sc := newScanner(s.file, s.sequence, t.good, end, r.chain, nil)
	sc.needMark = true
	var rec record
	for {
		err := sc.next(&rec)
		t.stop = sc.offset()
		switch {
		case err == nil:
		case errors.Is(err, errEnd):
			return nil
		case errors.As(err, new(damage)):
			t.err = err
			return nil
		default:
			return fmt.Errorf("log: segment %s: %w", r.log.segmentPath(s), err)
		}
		at := place{segment: s, offset: rec.offset, before: rec.before}
		if err := r.fold.apply(&rec, at); err != nil {
			// The checksum is good, so this was written: it is no tail, wherever it is.
			return r.corrupt(s.sequence, rec.offset, err)
		}
		t.good, r.chain = t.stop, sc.chain
	}
}

// create begins the log of a directory that has none. Without segments there are no promises
// either; snapshots beside that are the rest of something that was lost.
func (r *recovery) create() error {
	l := r.log
	if len(l.snaps) > 0 {
		return &CorruptError{
			Segment: l.segmentPath(&segment{sequence: 1}),
			Err: fmt.Errorf("%w, but there are snapshots up to %v in %s: mount the directory of the log; if it is lost,"+
				" move the snapshots aside, and this server learns everything again from a leader",
				ErrLogGone, l.snaps[len(l.snaps)-1], l.opts.SnapDir),
		}
	}
	r.fold = fold{silent: len(r.initialize) == 0 && (r.silent || !l.opts.Autocreate)}
	h := header{server: l.opts.Server, sequence: 1, fold: r.fold}
	b := h.encode()
	s := &segment{sequence: 1, header: int64(len(b)), end: int64(len(b)), refs: 1}
	var err error
	if l.spare, err = l.createSegment(1); err != nil {
		return err
	}
	if err = l.writeHeader(1, b); err != nil {
		return err
	}
	s.file, l.spare = l.spare, nil
	l.segments, l.current, r.chain = []*segment{s}, s, 0
	return nil
}

// settle makes durable what was found: the process before this one may have written it and ended
// before its fsync, and a vote must not name what the power can still take away (R19). Then the
// markers that have been heeded can go.
func (r *recovery) settle() error {
	l := r.log
	if err := l.current.file.Sync(); err != nil {
		return l.fail("sync", l.segmentPath(l.current), err)
	}
	if err := l.current.file.Preallocate(l.opts.PreallocBytes); err != nil && !isFull(err) {
		return l.fail("preallocate", l.segmentPath(l.current), err)
	}
	var heeded []string
	if r.silent {
		heeded = append(heeded, path.Join(l.opts.Dir, silentName))
	}
	if !r.fold.silent {
		heeded = append(heeded, r.initialize...)
	}
	for _, marker := range heeded {
		if err := l.fs.Remove(marker); err != nil {
			return fmt.Errorf("log: remove marker %s: %w", marker, err)
		}
	}
	for _, dir := range l.dirs() {
		if err := l.fs.SyncDir(dir); err != nil {
			return l.fail("sync", dir, err)
		}
	}
	return nil
}

// chooseSnapshot finds the newest snapshot that is good and belongs to the history. A damaged one
// is moved aside; the log reaches back behind an older one.
func (r *recovery) chooseSnapshot() error {
	l := r.log
	usable := l.usable()
	for _, z := range slices.Backward(usable) {
		err := l.verifySnapshot(z)
		if err == nil {
			r.State.Snapshot = z
			break
		}
		if !errors.Is(err, ErrBadSnapshot) {
			return err
		}
		to, err := quarantine(l.fs, l.opts.SnapDir, snapshotName(z))
		if err != nil {
			return err
		}
		r.Quarantined = append(r.Quarantined, to)
		l.snaps = slices.DeleteFunc(l.snaps, func(s zab.Zxid) bool { return s == z })
	}
	b := &l.fold.branch
	if noted := l.fold.snapshot; noted > r.State.Snapshot && b.contains(noted) {
		r.Missing = noted
	}
	if r.State.Snapshot < b.horizon {
		return &CorruptError{
			Segment: l.segmentPath(l.segments[0]),
			Last:    b.horizon,
			Err: fmt.Errorf("the log starts after %v, and there is no good snapshot from there to %v in %s",
				b.horizon, b.last(), l.opts.SnapDir),
		}
	}
	return nil
}

// arenaBytes is the size of the pieces that hold the data of recovered txns: one allocation per
// txn would cost more than reading it.
const arenaBytes = 1 << 20

// loadState fills State from the fold and reads the txns behind the snapshot.
func (r *recovery) loadState() error {
	l := r.log
	f := &l.fold
	s := &r.State
	s.AcceptedEpoch, s.CurrentEpoch = f.accepted, f.current
	s.Horizon, s.History = f.branch.horizon, f.branch.history()
	s.Silent = f.silent && len(r.initialize) == 0
	s.Tail = make([]zab.Txn, 0, f.branch.count(s.Snapshot))
	var arena []byte
	return l.Read(s.Snapshot, f.branch.last(), func(txns []zab.Txn) error {
		for _, t := range txns {
			n := len(t.Data)
			if n > cap(arena)-len(arena) {
				arena = make([]byte, 0, max(n, int(min(arenaBytes, r.Bytes))))
			}
			at := len(arena)
			arena = append(arena, t.Data...)
			s.Tail = append(s.Tail, zab.Txn{Zxid: t.Zxid, Data: arena[at : at+n : at+n]})
		}
		return nil
	})
}
