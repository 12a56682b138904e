package quoll

import (
	"slices"

	"quoll/session"
	"quoll/transport/wire"
	"quoll/zab"
)

// Ticket names a request of a local client connection: the Seq-th that the connection gave away.
type Ticket struct {
	Conn session.ConnID
	Seq  uint64
}

// request is a write of a local connection on its way.
type request struct {
	Ticket
	zab.Request
	gone bool // the connection ended: not to be sent again
}

// cost is what a request takes in memory and on a link, about.
func (r *request) cost() int { return requestCost(&r.Request) }

func requestCost(r *zab.Request) int {
	n := 64 + len(r.Body)
	for i := range r.Auth {
		n += len(r.Auth[i].Scheme) + len(r.Auth[i].ID)
	}
	return n
}

// requestQueue is the FIFO of local writes from submission to answer. Because a server forwards
// in this order over one FIFO link, the leader prepares in the order of arrival, and a new epoch
// starts with everything unanswered sent again in this order, the txns of a server's requests
// commit in the order of the queue: an answer always belongs to its head.
type requestQueue struct {
	queue  []request
	head   int // queue[:head] is answered
	sent   int // queue[head:sent] is with the leader
	lastN  uint64
	nbytes int // cost of queue[head:]
	flying int // cost of queue[head:sent]
}

func (q *requestQueue) push(boot uint64, t Ticket, r zab.Request) {
	q.lastN++
	r.ID = zab.RequestID{Boot: boot, N: q.lastN}
	if q.head > 1024 && q.head > len(q.queue)/2 {
		n := copy(q.queue, q.queue[q.head:])
		clear(q.queue[n:])
		q.queue, q.sent, q.head = q.queue[:n], q.sent-q.head, 0
	}
	q.queue = append(q.queue, request{Ticket: t, Request: r})
	q.nbytes += q.queue[len(q.queue)-1].cost()
}

// next returns the next request to send, unless too much is under way already.
func (q *requestQueue) next() *request {
	if q.sent == len(q.queue) || q.flying > flyingBytes {
		return nil
	}
	r := &q.queue[q.sent]
	q.sent++
	q.flying += r.cost()
	return r
}

// unsend makes every unanswered request wait for sending again, but those of connections that are
// gone: their clients may have gone on elsewhere since, and what they gave up must not come behind
// what they did there.
func (q *requestQueue) unsend() {
	q.sent, q.flying = q.head, 0
	q.forget(func(r *request) bool { return r.gone })
}

// lose marks the requests of a connection that is gone. What is with the leader is executed, as in
// ZooKeeper; what is not sent yet is dropped: its client does not know, and may ask elsewhere.
// closeSession stays, since it can only come last.
func (q *requestQueue) lose(c session.ConnID) {
	for i := q.head; i < len(q.queue); i++ {
		r := &q.queue[i]
		r.gone = r.gone || r.Conn == c && wire.Op(r.Op) != wire.OpCloseSession
	}
	q.forget(func(r *request) bool { return r.gone })
}

// forget drops requests that are not sent.
func (q *requestQueue) forget(drop func(*request) bool) {
	kept := q.queue[:q.sent]
	for i := q.sent; i < len(q.queue); i++ {
		if r := &q.queue[i]; drop(r) {
			q.nbytes -= r.cost()
		} else {
			kept = append(kept, *r)
		}
	}
	clear(q.queue[len(kept):])
	q.queue = kept
}

// pop takes the head if its number is at most n.
func (q *requestQueue) pop(n uint64) (request, bool) {
	if q.head == len(q.queue) || q.queue[q.head].ID.N > n {
		return request{}, false
	}
	r := q.queue[q.head]
	q.queue[q.head] = request{}
	q.nbytes -= r.cost()
	if q.head < q.sent {
		q.flying -= r.cost()
	}
	q.head++
	q.sent = max(q.sent, q.head)
	return r, true
}

// Open returns the number of local writes without an answer.
func (p *Peer) Open() int { return len(p.requests.queue) - p.requests.head }

// Backlog returns what waits here for answers: the bytes of writes, about, and questions to the leader.
func (p *Peer) Backlog() (bytes, asks int) { return p.requests.nbytes, len(p.asks) }

// Submit takes a client's write. It is answered once, by Sink.Reply when its txn is applied,
// whatever happens to leaders in between; only the end of its connection, of this process or of
// the session's patience leaves it open. The bytes of r belong to the Peer from here on.
func (p *Peer) Submit(t Ticket, r zab.Request, out *Actions) {
	if p.full {
		out.Answers = append(out.Answers, Answer{Ticket: t, Xid: r.Xid, Code: wire.SystemError})
		return
	}
	p.requests.push(p.cfg.Boot, t, r)
}

// Gone tells that a connection has ended with requests open.
func (p *Peer) Gone(c session.ConnID) { p.requests.lose(c) }

const (
	forwardBytes = 1 << 20 // bounds one message of forwarded requests
	// flyingBytes bounds the requests that are with the leader: what a server that was cut off
	// has gathered must not flood the links of the next leader.
	flyingBytes = 8 << 20
)

// DefaultLeadBytes bounds the txns of a leader that are not delivered yet. Quorums of other servers commit without
// its own disk, so nothing else would bound what waits for that disk. All servers of a usual ensemble together
// have less with their leader as long as its disk keeps up.
const DefaultLeadBytes = 32 << 20

// crowded reports whether a leader has so much outstanding that requests wait.
func (p *Peer) crowded() bool {
	_, n := p.zab.Outstanding()
	return n >= p.cfg.LeadBytes
}

// forward sends what was not sent yet: to the leader's own prepare step, or over the link.
func (p *Peer) forward(out *Actions) {
	q := &p.requests
	if p.leads() {
		for p.zab.Serving() && !p.crowded() {
			// In turns, so that neither side waits for the end of the other's.
			r := q.next()
			if r != nil {
				p.propose(&r.Request, p.cfg.ID, out)
			}
			if !p.proposeHeld(out) && r == nil {
				return
			}
		}
		return
	}
	for {
		p.reqs = p.reqs[:0]
		for size := 0; size < forwardBytes; {
			r := q.next()
			if r == nil {
				break
			}
			p.reqs = append(p.reqs, r.Request)
			size += r.cost()
		}
		if len(p.reqs) == 0 {
			return
		}
		m := &zab.Message{Kind: zab.Requests, Requests: slices.Clone(p.reqs)} // the message is not ours once it left
		clear(p.reqs)
		if !p.zab.ToLeader(m, &out.Actions) {
			return
		}
	}
}

// proposeHeld proposes the oldest request that waits for room, and reports whether there was one.
func (p *Peer) proposeHeld(out *Actions) bool {
	if len(p.lead.held) == 0 {
		return false
	}
	h := p.lead.held[0]
	p.lead.held[0] = heldRequest{}
	p.lead.held = p.lead.held[1:]
	p.propose(&h.Request, h.origin, out)
	return true
}

// propose makes a txn of a request: its result, or the first check that it fails. A write that
// fails is a txn too, so that its answer is ordered by a quorum like any other.
func (p *Peer) propose(r *zab.Request, origin zab.ServerID, out *Actions) {
	z := p.zab.NextZxid()
	if z == 0 { // the epoch's counter is used up (R22): the request stays queued for the next one
		p.zab.Propose(nil, &out.Actions) // which gives the role up for that
		return
	}
	switch {
	case wire.Op(r.Op) == wire.OpCreateSession:
		r.Session = zab.SessionID(origin) << 56
	case r.ID.Boot != 0: // a sign of life that is here before the next report of its server
		p.lead.expiry.Touch(r.Session, p.now)
	}
	if cap(p.block)-len(p.block) < 4<<10 {
		p.block = make([]byte, 0, 64<<10)
	}
	n := len(p.block)
	var data []byte
	if p.moved(r) {
		data = p.lead.pending.Refuse(r, z, p.wallMs, wire.SessionMoved, p.block[n:n])
	} else {
		data = p.lead.pending.Prepare(r, z, p.wallMs, p.block[n:n])
	}
	if n+len(data) <= cap(p.block) && &data[0] == &p.block[:n+1][n] {
		p.block = p.block[:n+len(data)]
	}
	p.zab.Propose(slices.Clip(data), &out.Actions)
}

// fromLearner handles what a follower or observer passes on for its clients. Before its
// NEWLEADER is acknowledged a link has nothing to pass on, so what comes is stale.
func (p *Peer) fromLearner(link zab.LinkID, m *zab.Message, out *Actions) {
	origin, ok := p.zab.Learner(link)
	if !ok || !p.serving {
		return
	}
	switch m.Kind {
	case zab.Requests:
		for i := range m.Requests {
			if !p.zab.Serving() {
				return // abdicated on the way: the learner sends them again to the next leader
			}
			switch r := &m.Requests[i]; {
			case !p.lead.take(r.ID):
			case len(p.lead.held) > 0 || p.crowded():
				p.lead.held = append(p.lead.held, heldRequest{*r, origin})
			default:
				p.propose(r, origin, out)
			}
		}
	case zab.Touch:
		p.touch(m.Sessions)
	case zab.Revalidate:
		p.question(link, m.Revalidation, out)
	default:
	}
}
