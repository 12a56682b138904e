package sim

import (
	"path"
	"strings"

	"quoll/log"
	"quoll/log/vfs"
)

// Acts that change what a disk holds, within the budget.

// rot flips bits of a file while the process is away (N18): in a snapshot, or in a segment of the log
// that is not the last.
func rot(n *nemesis, a *Act, s *server) {
	n.ruin(s, func() {
		if name := s.older(a.N); name != "" {
			s.damage(name, s.flip)
		}
	})
}

// damage does harm to where the log ends, or has a sector arrive in the wrong place (N18). What harm to the
// last block does cannot be told from a torn tail: then the server has forgotten what it acknowledged
// and does not know it, which is what an older disk amounts to.
func damage(n *nemesis, a *Act, s *server) {
	n.ruin(s, func() {
		before, virgin := s.mem.Kill(), s.virgin
		name := s.older(a.N)
		if a.Other < 2 || name == "" {
			name = s.newest()
		}
		if name == "" {
			return
		}
		if a.Other == 0 {
			s.damage(name, s.flip)
		} else {
			s.damage(name, s.misdirect)
		}
		l, rec, err := log.Open(s.logOptions(s.mem.Kill()))
		if err != nil {
			n.w.cover.Add("damage to the end of a log is noticed")
			return // and boot deals with it
		}
		_ = l.Close() // a copy in memory
		if s.goesBack(rec) {
			n.w.cover.Add("damage to the end of a log is not noticed")
		} else {
			s.mem, s.virgin, s.ailment.damaged = before, virgin, false
		}
	})
}

// oldDisk has an older copy of a disk come back, as from a backup (N22). Nothing on it says so.
func oldDisk(n *nemesis, a *Act, s *server) {
	if s.virgin || s.memoryless() {
		return
	}
	image := s.mem.PowerLoss(n.w.rnd.Uint64()) // a copy that was made while the server ran
	n.later(a.ForUs, func() {
		n.ruin(s, func() {
			l, rec, err := log.Open(s.logOptions(image.Kill()))
			if err != nil {
				return
			}
			_ = l.Close() // a copy in memory
			if s.goesBack(rec) {
				s.mem = image
				n.w.cover.Add("old disk restored")
			}
		})
	})
}

// goesBack tells the checks that the disk of a server holds from now on what rec says, and reports whether
// that is within the budget: a branch that nobody committed is not, it may be that of an epoch that still runs.
func (s *server) goesBack(rec *log.Recovery) bool {
	st := &rec.State
	if st.Silent || !s.w.checker.Committed(st.History.Last()) {
		return false
	}
	s.stale = true
	s.w.checker.Restored(s.subject, st)
	s.w.paper.Restored(s.id, st.AcceptedEpoch, st.CurrentEpoch, st.History.Last())
	return true
}

// files returns the snapshots and the segments on a disk, by age.
func (s *server) files() (snapshots, segments []string) {
	names, err := s.mem.List(dataDir)
	if err != nil {
		return nil, nil
	}
	for _, name := range names {
		switch {
		case strings.HasPrefix(name, "snapshot."):
			snapshots = append(snapshots, name)
		case strings.HasPrefix(name, "log."):
			segments = append(segments, name)
		}
	}
	return snapshots, segments
}

// older chooses the newest snapshot or a segment that is not the last.
func (s *server) older(choice int64) string {
	snapshots, segments := s.files()
	switch {
	case choice%2 == 0 && len(snapshots) > 0:
		return snapshots[len(snapshots)-1]
	case len(segments) > 2: // the last may be a spare, the one before it the current
		return segments[int(choice/2)%(len(segments)-2)]
	}
	return ""
}

// newest chooses one of the last two segments: the last may be a spare.
func (s *server) newest() string {
	_, segments := s.files()
	if len(segments) == 0 {
		return ""
	}
	return segments[max(0, len(segments)-1-s.w.rnd.IntN(2))]
}

// damage has harm done to a file.
func (s *server) damage(name string, harm func(f vfs.File, size int64)) {
	f, err := s.mem.OpenReadWrite(path.Join(dataDir, name))
	if err != nil {
		return
	}
	size, _ := f.Size()
	if size == 0 {
		return
	}
	harm(f, size)
	_ = f.Sync()
	_ = f.Close()
	s.ailment.damaged = true
	s.virgin = false // its log may be put aside, and then it is silent, although nothing was durable in it
	s.w.cover.Add("bits flipped in a " + strings.SplitN(name, ".", 2)[0])
}

func (s *server) flip(f vfs.File, size int64) {
	b := make([]byte, 1)
	at := s.w.rnd.Int64N(size)
	_, _ = f.ReadAt(b, at)
	b[0] ^= 1 << s.w.rnd.IntN(8)
	_, _ = f.WriteAt(b, at)
}

// misdirect writes a sector of a file where another one belongs.
func (s *server) misdirect(f vfs.File, size int64) {
	const sector = 512
	sectors := (size + sector - 1) / sector
	b := make([]byte, sector)
	n, _ := f.ReadAt(b, s.w.rnd.Int64N(sectors)*sector)
	_, _ = f.WriteAt(b[:n], s.w.rnd.Int64N(sectors)*sector)
	s.w.cover.Add("sector in the wrong place")
}
