package sim

import (
	"quoll/zab"
	"quoll/zab/zabtest"
)

// The paper's protocol runs beside the real one: each step of the latter must be a step of the former
// (jepsen/model.Zab).

// durable hears of each record that became durable, in the order of its log.
func (w *World) durable(s *zabtest.Subject, r zab.Record) {
	w.server(s.ID).virgin = false
	w.paperSays(s.ID, w.paper.Durable(s.ID, r))
	w.note(uint64(s.ID)<<56|uint64(r.Kind)<<48, uint64(r.Zxid)^uint64(r.Epoch))
}

// paperSays reports a step that the paper's protocol does not have.
func (w *World) paperSays(s zab.ServerID, err error) {
	if err != nil {
		w.fail("REFINE", s, "%v", err)
	}
}

// follow tells the paper's protocol what a turn decided, before anything of it is performed.
func (s *server) follow(records []zab.Record) {
	z, w := s.peer.Zab(), s.w
	leads := z.Role() == zab.Leading && z.Phase() >= zab.Synchronization
	if leads {
		s.lead(z.Epoch(), z.LastLogged())
	}
	for i := range records {
		switch r := &records[i]; r.Kind {
		case zab.RecordTxn:
			if (leads || s.leading) && r.Zxid.Epoch() == s.led { // one that it gives up in this turn included
				w.paperSays(s.id, w.paper.Proposes(s.id, zab.Txn{Zxid: r.Zxid, Data: r.Data}, s.logged))
			}
			s.logged = r.Zxid
		case zab.RecordCurrentEpoch:
			if r.Epoch == s.hopes { // its promises closed in this turn, though it may have left since
				s.lead(r.Epoch, s.logged)
			}
		case zab.RecordTruncate, zab.RecordInstall:
			s.logged = r.Zxid
		case zab.RecordAbandon:
			s.logged = z.LastLogged()
		default:
		}
	}
	s.logged, s.leading, s.hopes = z.LastLogged(), leads, 0
	if z.Role() == zab.Leading && z.Phase() == zab.Discovery {
		s.hopes = z.Epoch()
	}
	if c := z.Committed(); c != s.committed {
		s.committed = c
		if c != 0 {
			w.paperSays(s.id, w.paper.Commits(s.id, c))
		}
	}
}

// lead tells that s has closed the promises of an epoch, once.
func (s *server) lead(e zab.Epoch, last zab.Zxid) {
	if s.led != e {
		s.led = e
		s.w.paperSays(s.id, s.w.paper.Leads(s.id, e, last))
	}
}
