package quoll

import (
	"cmp"
	"slices"

	"quoll/transport/wire"
	"quoll/zab"
)

// ask is a question of a local connection that the leader answers without a txn: a barrier, or
// whether a session may move here.
type ask struct {
	Ticket
	id           uint64
	revalidation *zab.Revalidation // nil: a barrier
	confirmed    bool
	at           zab.Zxid // confirmed: to be answered once this is applied
}

// Answer is the outcome of a request that took no txn.
type Answer struct {
	Ticket
	Xid  zab.Xid // of a refused write
	Code wire.Code
	// Revalidation is set for the handshake of a session that exists already; Valid tells.
	Revalidation *zab.Revalidation
}

// Sync asks for a barrier: its answer comes when everything is applied here that was committed
// when the leadership was confirmed by a quorum, which happens after this call (R28).
func (p *Peer) Sync(t Ticket, out *Actions) { p.ask(ask{Ticket: t}, out) }

// Revalidate asks whether a session may be served here from now on (R27).
func (p *Peer) Revalidate(t Ticket, r zab.Revalidation, out *Actions) {
	p.ask(ask{Ticket: t, revalidation: &r}, out)
}

func (p *Peer) ask(a ask, out *Actions) {
	p.requests.lastN++ // one sequence for all ids of this process
	a.id = p.requests.lastN
	if a.revalidation != nil {
		a.revalidation.ID = zab.RequestID{Boot: p.cfg.Boot, N: a.id}
	}
	p.asks = append(p.asks, a)
	if p.serving {
		p.forward(out) // what came before a barrier is proposed before it
		p.pose(&p.asks[len(p.asks)-1], out)
	}
	p.settle(out)
}

// pose brings a question to the leader.
func (p *Peer) pose(a *ask, out *Actions) {
	switch {
	case a.revalidation == nil:
		p.zab.Barrier(a.id, &out.Actions)
	case p.leads():
		p.question(0, *a.revalidation, out)
	default:
		p.zab.ToLeader(&zab.Message{Kind: zab.Revalidate, Revalidation: *a.revalidation}, &out.Actions)
	}
}

// askAgain poses what the last leader left open. What it confirmed stays confirmed: the zxid to
// wait for is committed, so it is in every later history.
func (p *Peer) askAgain(out *Actions) {
	for i := range p.asks {
		if !p.asks[i].confirmed {
			p.pose(&p.asks[i], out)
		}
	}
}

func (p *Peer) confirmed(b zab.BarrierDone) {
	if a := p.asked(b.ID); a != nil {
		a.confirmed, a.at = true, b.Zxid
	}
}

// asked finds an open question; their numbers ascend.
func (p *Peer) asked(id uint64) *ask {
	i, ok := slices.BinarySearchFunc(p.asks, id, func(a ask, id uint64) int { return cmp.Compare(a.id, id) })
	if !ok {
		return nil
	}
	return &p.asks[i]
}

func (p *Peer) revalidated(m *zab.Message) {
	if a := p.asked(m.Revalidation.ID.N); a != nil && a.revalidation != nil {
		a.confirmed, a.at = true, m.Zxid
		a.revalidation.Valid = m.Revalidation.Valid
	}
}

// answerAsks answers the questions whose zxid is applied. It reports whether there were any.
func (p *Peer) answerAsks(out *Actions) bool {
	applied := p.tree.Applied()
	kept := p.asks[:0]
	for _, a := range p.asks {
		if a.confirmed && a.at <= applied {
			out.Answers = append(out.Answers, Answer{Ticket: a.Ticket, Revalidation: a.revalidation})
		} else {
			kept = append(kept, a)
		}
	}
	found := len(kept) < len(p.asks)
	clear(p.asks[len(kept):])
	p.asks = kept
	return found
}
