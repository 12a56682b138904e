package zabtest

import (
	"slices"

	"quoll/zab"
)

// link is what one end of a connection has sent. Which end it is shows in what it sends.
type link struct {
	id          zab.LinkID
	incarnation uint64
	dead        bool // closed; what waited for the disk may still leave in the same turn

	kinds   uint32    // bits of the kinds that were sent
	epoch   zab.Epoch // of LEADERINFO, NEWLEADER or its ack
	promise zab.Epoch // that its ACKEPOCH makes

	// Of a leader: up to where the other end holds the history once it has all that was sent.
	at     zab.Zxid
	known  bool     // at is; with DIFF only the other end knows where the stream starts
	diff   zab.Zxid // end of the initial history, as DIFF has named it
	commit zab.Zxid // highest commit sent

	acked zab.Zxid // of a voter
}

func (l *link) sent(k zab.Kind) bool { return l.kinds&(1<<k) != 0 }

// promises notes which epoch an ACKEPOCH of this turn promises; the message itself does not say.
func (l *link) promises(m *zab.Message, e zab.Epoch) {
	if m.Kind == zab.AckEpoch {
		l.promise = e
	}
}

// on returns the link that a server sends on. What belongs to an earlier role may not (I-INC).
func (c *Checker) on(s *server, now view, id zab.LinkID) *link {
	for _, l := range s.links {
		if l.id == id {
			return l
		}
	}
	if s.closed[id] {
		c.failf(s, "I-INC", "sends on link %d, which it has closed", id)
	}
	l := &link{id: id, incarnation: now.incarnation}
	s.links = append(s.links, l)
	return l
}

// sends takes in the messages of a turn: those that leave at once are checked here, those that
// wait for the disk when they leave.
func (c *Checker) sends(s *server, now view, out *zab.Actions) {
	if len(out.Send) == 0 && len(out.AfterSync) == 0 && len(out.Close) == 0 && now.incarnation == s.view.incarnation {
		return
	}
	promise := now.epoch
	for i := range out.Persist {
		if r := &out.Persist[i]; r.Kind == zab.RecordAcceptedEpoch {
			promise = max(promise, r.Epoch) // also of a role that it has left since
		}
	}
	for i := range out.Send {
		l := c.on(s, now, out.Send[i].Link)
		l.promises(out.Send[i].Msg, promise)
		c.sized(s, out.Send[i].Msg)
		c.attests(s, l, out.Send[i].Msg)
		c.speaks(s, l, &out.Send[i])
	}
	for i := range out.AfterSync {
		c.sized(s, out.AfterSync[i].Msg)
		c.on(s, now, out.AfterSync[i].Link).promises(out.AfterSync[i].Msg, promise)
	}
	for _, id := range out.Close {
		s.close(id)
	}
	for _, l := range s.links {
		l.dead = s.closed[l.id] || l.incarnation != now.incarnation
		s.dying = s.dying || l.dead
	}
}

// bury forgets the links that died in the turn that is over: what still waits on them never leaves.
func (s *server) bury() {
	if !s.dying {
		return
	}
	s.dying = false
	s.links = slices.DeleteFunc(s.links, func(l *link) bool {
		if l.dead {
			s.close(l.id)
		}
		return l.dead
	})
}

func (s *server) close(id zab.LinkID) {
	if s.closed == nil {
		s.closed = make(map[zab.LinkID]bool)
	}
	s.closed[id] = true
}

// Leaves tells that what a message of AfterSync waited for is durable, and that it leaves if its link is
// still there. One that the role has closed meanwhile attests nothing to anybody.
func (c *Checker) Leaves(s *Subject, env zab.Envelope) {
	if c.err != nil {
		return
	}
	sv := c.byID[s.ID]
	for _, l := range sv.links {
		if l.id == env.Link {
			c.attests(sv, l, env.Msg)
			c.speaks(sv, l, &env)
			return
		}
	}
	if !sv.closed[env.Link] {
		c.failf(sv, "I-INC", "sends %s on link %d, which its process never spoke on", Describe(env.Msg), env.Link)
	}
}

// attests checks a message that says what is durable (I-PROMISE, I-ACK, I-ACKNL, I-ZXIDREAL).
func (c *Checker) attests(s *server, l *link, m *zab.Message) {
	f := &s.Disk.durable
	last := f.history.last
	switch m.Kind {
	case zab.FollowerInfo, zab.LeaderInfo:
		if f.accepted < m.Epoch {
			c.failf(s, "I-PROMISE", "sends %s, durable is %d", Describe(m), f.accepted)
		}
		s.vowed = max(s.vowed, m.Epoch)
	case zab.AckEpoch:
		if f.accepted < l.promise {
			c.failf(s, "I-PROMISE", "promises %d, durable is %d", l.promise, f.accepted)
		}
		if f.current != m.Epoch || last.Zxid != m.Zxid {
			c.failf(s, "I-ZXIDREAL", "sends %s, durable is current=%d last=%s", Describe(m), f.current, Z(last.Zxid))
		}
		s.vowed = max(s.vowed, l.promise)
		if m.NoCount {
			c.seen[noCount]++
		}
	case zab.Ack:
		if m.Zxid.Counter() == 0 {
			c.attestsEpoch(s, m.Zxid.Epoch())
			return
		}
		if t := c.txns[m.Zxid]; t == nil || !last.has(t) {
			c.failf(s, "I-ACK", "acks %s, durable is %s", Z(m.Zxid), Z(last.Zxid))
		}
		s.acked = max(s.acked, m.Zxid)
	case zab.PingReply:
		if e := s.Peer.Epoch(); m.Seq != 0 && f.accepted < e {
			c.failf(s, "I-PROMISE", "confirms epoch %d, durable is %d", e, f.accepted)
		}
	default:
	}
}

// attestsEpoch checks an ack of NEWLEADER (I-ACKNL).
func (c *Checker) attestsEpoch(s *server, number zab.Epoch) {
	f, e := &s.Disk.durable, c.epoch(number)
	switch {
	case f.current != number:
		c.failf(s, "I-ACKNL", "acks NEWLEADER(%d), durable current epoch is %d", number, f.current)
	case !e.closed || !f.history.covers(e.initial):
		c.failf(s, "I-ACKNL", "acks NEWLEADER(%d), durable is %s and not its initial history up to %s", number,
			Z(f.history.last.Zxid), Z(e.initial.Zxid))
	case s.Peer != nil && s.Peer.Role() == zab.Following:
		c.rejoins(s, e)
	}
}

// Voted tells what s claims in a vote for itself (I-ZXIDREAL): a state that was durable when the election
// began or later. Zxid and epoch both 0 are what a server has that has nothing, or may not say.
func (c *Checker) Voted(s *Subject, zxid zab.Zxid, e zab.Epoch) {
	sv := c.byID[s.ID]
	switch {
	case c.err != nil:
	case sv.silent && (zxid != 0 || e != 0):
		c.failf(sv, "I-PROMISE", "votes (%d %s) and has forgotten what it promised", e, Z(zxid))
	case !slices.Contains(sv.ends.queue, belief{e, zxid}):
		c.failf(sv, "I-ZXIDREAL", "votes (%d %s), durable is %v", e, Z(zxid), sv.ends.newest())
	}
}

// grammar says what must have been sent on a link before a message of a kind, and what must not.
var grammar = [32]struct{ after, not uint32 }{
	zab.FollowerInfo: {0, ^uint32(0)},
	zab.AckEpoch:     {1 << zab.FollowerInfo, 1 << zab.AckEpoch},
	zab.Ack:          {1 << zab.AckEpoch, 0},
	zab.PingReply:    {1 << zab.AckEpoch, 0},
	zab.Barrier:      {1 << zab.Ack, 0},
	zab.Requests:     {1 << zab.Ack, 0},
	zab.Touch:        {1 << zab.Ack, 0},
	zab.Revalidate:   {1 << zab.Ack, 0},

	zab.LeaderInfo:      {0, ^uint32(0)},
	zab.Diff:            {1 << zab.LeaderInfo, modes},
	zab.Trunc:           {1 << zab.LeaderInfo, modes},
	zab.Snap:            {1 << zab.LeaderInfo, modes},
	zab.Proposal:        {1 << zab.LeaderInfo, 0},
	zab.NewLeader:       {1 << zab.LeaderInfo, 1 << zab.NewLeader},
	zab.Inform:          {1 << zab.NewLeader, 0},
	zab.Commit:          {1 << zab.NewLeader, 0},
	zab.Ping:            {1 << zab.NewLeader, 0},
	zab.UpToDate:        {1 << zab.NewLeader, 1 << zab.UpToDate},
	zab.BarrierReply:    {1 << zab.UpToDate, 0},
	zab.RevalidateReply: {1 << zab.UpToDate, 0},
}

const modes = 1<<zab.Diff | 1<<zab.Trunc | 1<<zab.Snap

// speaks checks the order of messages on a link, from the end that sends (I-CONN): the phases one
// after the other, the ack of NEWLEADER before any other, acks and commits that do not go back,
// txns without a gap, no commit of what was not proposed here.
func (c *Checker) speaks(s *server, l *link, env *zab.Envelope) {
	m := env.Msg
	g := grammar[m.Kind%32]
	ok := g.after&^l.kinds == 0 && g.not&l.kinds == 0
	switch m.Kind {
	case zab.LeaderInfo:
		l.epoch = m.Epoch
	case zab.Diff:
		l.diff = m.Zxid
	case zab.Trunc, zab.Snap:
		l.at, l.known = m.Zxid, true
	case zab.NewLeader:
		ok = ok && l.kinds&modes != 0 && m.Epoch == l.epoch && (!l.sent(zab.Diff) || !l.known || l.at == l.diff)
		if !l.known {
			l.at, l.known = l.diff, true
		}
	case zab.Proposal, zab.Inform:
		ok = ok && l.kinds&modes != 0 && l.streams(m.Txns)
	case zab.Ack:
		ok = ok && l.acks(m.Zxid)
	default:
	}
	if env.History.To != 0 {
		ok = ok && (!l.known || l.at == env.History.From)
		l.at, l.known = env.History.To, true
	}
	if m.Commit != 0 {
		ok = ok && l.sent(zab.NewLeader) && m.Commit <= l.at && m.Commit >= l.commit
		l.commit = m.Commit
		if m.Commit > c.end.Zxid {
			c.failf(s, "I-COMMITQ", "sends %s, committed is %s", Describe(m), Z(c.end.Zxid))
		}
	}
	l.kinds |= 1 << m.Kind
	if !ok && !c.Forged {
		c.failf(s, "I-CONN", "sends %s, which must not come now: the other end is at %s and was sent commit %s",
			Describe(m), Z(l.at), Z(l.commit))
	}
}

// streams moves a link on by txns and reports whether they may come there: before NEWLEADER those of
// earlier epochs, after it those of its own (R13).
func (l *link) streams(txns []zab.Txn) bool {
	for i := range txns {
		z := txns[i].Zxid
		if l.known && !l.at.Precedes(z) || l.sent(zab.NewLeader) != (z.Epoch() == l.epoch) {
			return false
		}
		l.at, l.known = z, true
	}
	return len(txns) > 0
}

// acks moves a link on by an ack and reports whether it may come there.
func (l *link) acks(z zab.Zxid) bool {
	if !l.sent(zab.Ack) {
		l.epoch = z.Epoch()
		return z.Counter() == 0
	}
	ok := z.Epoch() == l.epoch && z.Counter() != 0 && z >= l.acked
	l.acked = z
	return ok
}

// refused: nobody here breaks the protocol, so whoever sees it broken is wrong (I-CONN). A server
// may be sent away as too recent, or leave a leader whose epoch is too old, or be too slow.
func (c *Checker) refused(s *server, v *zab.Violation) {
	switch v.Kind {
	case 0, zab.FollowerInfo, zab.LeaderInfo, zab.AckEpoch:
	default:
		if !c.Forged {
			c.failf(s, "I-CONN", "refuses %v: %s", v.Kind, v.Text)
		}
	}
}
