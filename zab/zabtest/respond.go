package zabtest

import "quoll/zab"

// Heard tells that a message has reached s, before its Peer is told. UPTODATE on a link of the present role
// is what lets a learner serve (R13): its Peer is not asked whether it does.
func (c *Checker) Heard(s *Subject, link zab.LinkID, m *zab.Message) {
	if m.Kind != zab.UpToDate || s.Peer == nil {
		return
	}
	sv := c.byID[s.ID]
	for _, l := range sv.links {
		if l.id == link && l.incarnation == s.Peer.Incarnation() {
			sv.told = l.incarnation
		}
	}
}

// Responds tells that s answers a client (T7): with the result of the txn z, or, if that is 0, from the
// tree as it stands. What it was told in broadcast to be committed it may apply and answer when that is
// durable here, even if its role has ended meanwhile: no later leader can undo it (D2).
func (c *Checker) Responds(s *Subject, z zab.Zxid) {
	if c.err != nil {
		return
	}
	sv := c.byID[s.ID]
	if s.Peer == nil {
		c.failf(sv, "T7", "answers a client and is down")
		return
	}
	if t := c.txns[z]; z != 0 && (t == nil || !t.committed) {
		c.failf(sv, "T7", "answers a client with %s, committed is %s", Z(z), Z(c.end.Zxid))
	}
	was, now := sv.view, look(s.Peer)
	if late := z != 0 && z <= sv.knows; !late && !c.broadcasts(sv, was, now) && !c.broadcasts(sv, now, now) {
		c.failf(sv, "T7", "answers a client in %v/%v of epoch %d and has not been told that it may", now.role, now.phase, now.epoch)
	}
}

// broadcasts reports whether a role was past synchronization before the present turn, or came to be in it:
// what a turn has committed is answered even if the role ends with the same turn.
func (c *Checker) broadcasts(s *server, v, now view) bool {
	switch v.role {
	case zab.Leading:
		ended := now.incarnation != v.incarnation
		return (v.phase == zab.Broadcast || ended) && v.epoch != 0 && c.epoch(v.epoch).established
	case zab.Following, zab.Observing:
		return s.told == v.incarnation
	default:
		return false
	}
}

// batchBytes is how much data a message gathers at most; a message of one item may be as large as that is.
const batchBytes = 1 << 20

// sized checks that a message fits into a frame (I-BUDGET): it holds what fits into a batch, and one
// item that does not at most.
func (c *Checker) sized(s *server, m *zab.Message) {
	if c.TxnBytes == 0 {
		return
	}
	bytes := 0
	for i := range m.Txns {
		bytes += len(m.Txns[i].Data)
	}
	for i := range m.Requests {
		bytes += len(m.Requests[i].Body)
	}
	if most := batchBytes + c.TxnBytes; bytes > most {
		c.failf(s, "I-BUDGET", "sends %s of %d bytes, %d may be in one", Describe(m), bytes, most)
	}
}

// bounded checks that a txn is no larger than any may be (I-BUDGET): what a session owns must not add up
// to a closeSession that nobody can send (ZOOKEEPER-4306).
func (c *Checker) bounded(s *server, x *zab.Txn) {
	if c.TxnBytes != 0 && len(x.Data) > c.TxnBytes {
		c.failf(s, "I-BUDGET", "proposes %d bytes at %s, a txn has %d at most", len(x.Data), Z(x.Zxid), c.TxnBytes)
	}
}
