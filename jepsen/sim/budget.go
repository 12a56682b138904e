package sim

import "quoll/tree"

// budget are the bounds that the shell of a server keeps (loop.go of the root), or those of a plan, which
// are so small that runs come to them (I-BUDGET).
type budget struct {
	txn   int // bytes of a txn
	frame int // of a request; a client that sends a larger one is sent away
	pipe  int // of requests of a connection that wait; the rest waits in the socket
	asks  int // questions of a server to its leader
}

func budgetOf(p *Plan) budget {
	b := budget{txn: tree.DefaultMaxTxnBytes, frame: 1 << 20, pipe: 4 << 20, asks: 1000}
	for _, small := range []struct {
		limit *int
		plan  int
	}{{&b.txn, p.TxnBytes}, {&b.frame, p.FrameBytes}, {&b.pipe, p.PipeBytes}} {
		if small.plan > 0 {
			*small.limit = small.plan
		}
	}
	return b
}

// requestCost is what a write takes in a server's queue beside its body, about (request.cost).
const requestCost = 512

// frugal checks that nothing of a server is longer than what holds it back allows (I-BUDGET): requests of a
// connection, questions, and writes, which are those of its connections and what is with the leader.
func (s *server) frugal() {
	b := &s.w.budget
	most := flyingBytes
	for _, c := range s.conns {
		if n := c.Waiting(); n > b.pipe+b.frame+requestCost {
			s.w.fail("I-BUDGET", s.id, "%d bytes of a connection wait, it is not read on from %d", n, b.pipe)
		}
		most += b.pipe / minWaiting * (b.frame + requestCost)
	}
	bytes, asks := s.peer.Backlog()
	if bytes > most || asks > b.asks {
		s.w.fail("I-BUDGET", s.id, "%d bytes of writes and %d questions wait, of %d connections", bytes, asks, len(s.conns))
	}
}

const (
	flyingBytes = 8 << 20 // of the requests that are with the leader at most (peer_requests.go of the root)
	minWaiting  = 64      // a request that waits counts so much at least (peer_conn.go)
)

// room reports whether another frame of a connection may be handled. If not, the connection is looked at
// again when something was answered, and given up when nothing is for as long as its session lives.
func (s *server) room(c *conn) bool {
	if c.Waiting() <= s.w.budget.pipe || c.Close {
		return true
	}
	if !c.stalled {
		c.stalled = true
		c.stalls++
		s.w.cover.Add("connection waits for room")
		stall := c.stalls
		s.w.after(int64(c.TimeoutMs)*1000, func() {
			if c.alive() && c.stalled && c.stalls == stall {
				s.hangUp(c)
			}
		})
	}
	return false
}

// resume goes on with a connection that was waiting for room.
func (s *server) resume(c *conn) {
	if !c.stalled || c.Waiting() > s.w.budget.pipe {
		return
	}
	c.stalled = false
	s.w.after(s.busy(clientTask), func() {
		if c.alive() {
			s.pump(c)
		}
	})
}
