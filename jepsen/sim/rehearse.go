package sim

import (
	"errors"
	"io"

	"quoll/log"
	"quoll/tree"
)

// rehearsals is how many moments there are to each at which a recovery is rehearsed.
const rehearsals = 64

// rehearse asks what a process would find if the power went now, on a copy of the disk: a recovery must
// succeed at every moment, not only at those at which the power does go (I-RECOVER). Which moments
// and which of the lost sectors, the hash of the run decides: nothing that happens later depends on it.
func (s *server) rehearse() {
	if s.w.hash%rehearsals != 0 || s.ailment.damaged || s.w.broken != nil {
		return
	}
	s.w.cover.Add("recovery rehearsed")
	l, rec, err := log.Open(s.logOptions(s.mem.PowerLoss(s.w.hash)))
	if err != nil {
		s.w.fail("I-RECOVER", s.id, "after a power loss now the log could not be opened: %v", err)
		return
	}
	if broken := s.w.checker.RecoverableAs(s.subject, &rec.State); broken != nil {
		s.w.fail("I-RECOVER", s.id, "after a power loss now: %v", broken)
	} else if z := rec.State.Snapshot; z != 0 {
		var t *tree.Tree
		err = l.ReadSnapshot(z, func(r io.Reader) (err error) {
			t, err = tree.Restore(s.treeOptions(), r)
			return err
		})
		if err != nil {
			s.w.fail("I-RECOVER", s.id, "after a power loss now the snapshot of %v could not be read: %v", z, err)
		} else {
			s.w.compare(s.id, "the tree after a power loss now", z, t.Digest())
		}
	}
	if err = l.Close(); err != nil && !errors.Is(err, log.ErrClosed) {
		s.w.fail("I-RECOVER", s.id, "after a power loss now the log could not be closed: %v", err)
	}
}
