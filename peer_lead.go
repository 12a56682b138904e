package quoll

import (
	"slices"

	"quoll/session"
	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/tree"
	"quoll/zab"
)

// leading is what only the leader has: the overlay of changes that are proposed and not yet
// applied, the deadlines of sessions, and who serves them. It dies with the role (R6).
type leading struct {
	pending *tree.Pending
	expiry  *session.Expiry
	owners  *session.Owners
	reapAt  int64

	questions []question // in the order in which they came

	// held are requests of learners that came while too much was outstanding, in order. Each server has flyingBytes
	// with its leader at most, so that is the bound for each of them here.
	held []heldRequest

	// taken is the number of the last request that was proposed for each server, by Boot. A server
	// whose link broke and that comes back in the same epoch sends everything unanswered again. Here
	// the initial history does not decide about it: this leadership has gone on behind that, and some
	// of the requests may be proposed and not committed yet. They come in order, so one number says
	// which.
	taken map[uint64]uint64
}

// heldRequest is a request of a learner that is to be proposed when there is room.
type heldRequest struct {
	zab.Request
	origin zab.ServerID
}

// begin starts a leadership. Every session gets a full timeout: nobody knows when the last
// leader heard of it (R25).
func (l *leading) begin(p *Peer) {
	l.pending = tree.NewPending(p.tree)
	l.expiry = session.NewExpiry(p.cfg.BucketTicks)
	l.owners = session.NewOwners()
	l.taken = make(map[uint64]uint64)
	l.reapAt = p.now + p.cfg.ReapTicks
	p.tree.EachSession(func(s *tree.Session) bool {
		l.expiry.Add(s.ID, ticksOf(s.TimeoutMs, p.cfg.TickMs), p.now)
		return true
	})
}

// take reports whether a request is new to this leadership, and notes it.
func (l *leading) take(id zab.RequestID) bool {
	if id.N <= l.taken[id.Boot] {
		return false
	}
	l.taken[id.Boot] = id.N
	return true
}

func ticksOf(ms int32, tickMs int64) int64 { return (int64(ms) + tickMs - 1) / tickMs }

// opened notes a session whose createSession was applied.
func (l *leading) opened(r *tree.Result, now, tickMs int64) {
	if l.pending == nil {
		return
	}
	l.expiry.Add(r.Opened, ticksOf(r.Session.TimeoutMs, tickMs), now)
	l.owners.Move(r.Opened, r.ID.Boot)
}

// closed forgets a session whose closeSession was applied.
func (l *leading) closed(id zab.SessionID) {
	if l.pending == nil {
		return
	}
	l.expiry.Remove(id)
	l.owners.Forget(id)
}

// moved reports whether r comes from a server that the session has left (R27). What the leader
// itself asks for comes from no server, a new session has no owner yet, and closing is allowed
// to the old owner as to any.
func (p *Peer) moved(r *zab.Request) bool {
	op := wire.Op(r.Op)
	if r.ID.Boot == 0 || op == wire.OpCreateSession || op == wire.OpCloseSession {
		return false
	}
	s, ok := p.tree.Session(r.Session)
	if !ok {
		return false // expired, most likely: the prepare step knows
	}
	if _, owned := p.lead.owners.Owner(r.Session); !owned && s.Last.Boot != 0 && s.Last.Boot != r.ID.Boot {
		return true // nobody has shown it to this leader, and the last one had it elsewhere
	}
	return !p.lead.owners.Admit(r.Session, r.ID.Boot)
}

// Touch tells which sessions of local connections were heard from since the last call.
func (p *Peer) Touch(ids []zab.SessionID, out *Actions) {
	if !p.serving || len(ids) == 0 {
		return
	}
	if p.leads() {
		p.touch(ids)
		return
	}
	p.zab.ToLeader(&zab.Message{Kind: zab.Touch, Sessions: append([]zab.SessionID(nil), ids...)}, &out.Actions)
}

func (p *Peer) touch(ids []zab.SessionID) {
	for _, id := range ids {
		p.lead.expiry.Touch(id, p.now)
	}
}

// expireMost bounds the sessions that end in one tick: what else the turn has to do must not wait for
// those of a machine with ten thousand clients that died.
const expireMost = 100

// expire ends the sessions that nobody heard from: only here, and only as a txn (R12, R25).
func (p *Peer) expire(out *Actions) {
	p.ids = p.ids[:0]
	p.lead.expiry.Advance(p.now, expireMost, func(id zab.SessionID) { p.ids = append(p.ids, id) })
	for _, id := range p.ids {
		if !p.zab.Serving() {
			return
		}
		p.propose(&zab.Request{Session: id, Op: int32(wire.OpCloseSession)}, p.cfg.ID, out)
	}
}

// reap proposes the removal of containers that are empty and of TTL znodes that are too old. The
// prepare step looks again, in order, so that a child created meanwhile is safe.
func (p *Peer) reap(out *Actions) {
	if p.cfg.ReapTicks == 0 || p.now < p.lead.reapAt {
		return
	}
	p.lead.reapAt = p.now + p.cfg.ReapTicks
	p.reqs = p.reqs[:0]
	p.tree.EachReapable(p.wallMs, p.cfg.NeverUsedMs, func(path []byte) bool {
		body := jute.AppendString(nil, string(path))
		p.reqs = append(p.reqs, zab.Request{Op: int32(wire.OpDeleteContainer), Body: body})
		return len(p.reqs) < p.cfg.ReapBatch
	})
	for i := range p.reqs {
		if !p.zab.Serving() {
			return
		}
		p.propose(&p.reqs[i], p.cfg.ID, out)
	}
}

// question is a revalidation that waits until this leader has applied what was committed when it
// came: others may have applied that before, since this server's own disk need not be among the
// quorum (R16), and a session that it does not know yet would be taken for an expired one.
type question struct {
	zab.Revalidation
	link zab.LinkID // to the server that asks; 0: this one
	at   zab.Zxid
}

// question takes a revalidation of a learner, or of this server itself.
func (p *Peer) question(link zab.LinkID, r zab.Revalidation, out *Actions) {
	p.lead.questions = append(p.lead.questions, question{Revalidation: r, link: link, at: p.zab.Committed()})
	p.answerQuestions(out)
}

// answerQuestions answers those whose zxid is applied. It reports whether there were any.
func (p *Peer) answerQuestions(out *Actions) bool {
	l := &p.lead
	n := 0
	for ; n < len(l.questions) && l.questions[n].at <= p.tree.Applied(); n++ {
		q := &l.questions[n]
		if _, there := p.tree.Session(q.Session); there && !p.lead.pending.Alive(q.Session) {
			// Its end is proposed and may never be committed: "expired" would be a word too early.
			q.at = p.zab.LastLogged()
			break
		}
		q.Valid = p.revalidate(&q.Revalidation)
		reply := &zab.Message{Kind: zab.RevalidateReply, Revalidation: q.Revalidation, Zxid: q.at}
		if q.link == 0 {
			p.revalidated(reply)
		} else if _, ok := p.zab.Learner(q.link); ok {
			out.Send = append(out.Send, zab.Envelope{Link: q.link, Msg: reply})
		}
	}
	l.questions = slices.Delete(l.questions, 0, n)
	return n > 0
}

// revalidate answers, on the leader, whether a session lives, and moves it to the asking server. None
// whose end is under way comes here: its question waits.
// The password is checked before anything changes: knowing an id alone must not kick anybody.
func (p *Peer) revalidate(r *zab.Revalidation) bool {
	s, ok := p.tree.Session(r.Session)
	if !ok || string(s.Password[:]) != string(r.Password) {
		return false
	}
	p.lead.owners.Move(r.Session, r.ID.Boot)
	p.lead.expiry.Add(r.Session, ticksOf(r.TimeoutMs, p.cfg.TickMs), p.now)
	return true
}
