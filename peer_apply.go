package quoll

import (
	"quoll/session"
	"quoll/transport/wire"
	"quoll/tree"
	"quoll/zab"
)

// Sink receives, while txns are applied, what local connections must be told, in the order in
// which they must be told it: the events of a txn before its reply, and both before anything of
// the next txn (R29). Paths and results are valid during the call only.
type Sink interface {
	// Event tells a connection of a change; acl guards it (protocol.md 7.3, CVE-2024-23944).
	Event(c session.ConnID, e session.EventType, path []byte, z zab.Zxid, acl []wire.ACL)
	// Before is called before a write of t is applied while barriers are open: those that its
	// connection asked for earlier are answered now, with the state that the write will change.
	Before(t Ticket)
	// Reply answers a write.
	Reply(t Ticket, r *tree.Result)
	// Closed tells that a session is over, by its client's wish or by expiry.
	Closed(id zab.SessionID)
}

// Apply applies a committed txn. The shell calls it for each txn of Deliver, in order, holding
// the lock that keeps readers out.
func (p *Peer) Apply(txn zab.Txn, sink Sink) {
	r := &p.result
	req, own := p.answers(txn)
	if own && len(p.asks) > 0 {
		sink.Before(req.Ticket)
	}
	p.tree.Apply(txn, r)
	for i := range r.Changes {
		p.fire(&r.Changes[i], r.Zxid, sink)
	}
	if own {
		sink.Reply(req.Ticket, r)
	}
	if r.Opened != 0 {
		p.lead.opened(r, p.now, p.cfg.TickMs)
	}
	if r.Closed != 0 {
		p.lead.closed(r.Closed)
		sink.Closed(r.Closed)
	}
}

// answers takes the open request that a txn answers, if it came from a connection of this server.
func (p *Peer) answers(txn zab.Txn) (request, bool) {
	h, err := tree.DecodeHeader(txn.Data)
	if err != nil || h.ID.Boot != p.cfg.Boot || h.ID.N == 0 {
		return request{}, false
	}
	req, ok := p.requests.pop(h.ID.N)
	if ok && req.ID != h.ID {
		panic("quoll: txn " + txn.Zxid.String() + " answers a request that is not the oldest open one")
	}
	return req, ok
}

// firing is the event that watches are being triggered for.
type firing struct {
	sink Sink
	kind session.EventType
	path []byte
	zxid zab.Zxid
	acl  []wire.ACL
	emit func(session.ConnID) // tell
}

func (f *firing) tell(id session.ConnID) { f.sink.Event(id, f.kind, f.path, f.zxid, f.acl) }

// fire triggers the watches that a change touches: the znode's first, then its parent's.
func (p *Peer) fire(c *tree.Change, z zab.Zxid, sink Sink) {
	f := &p.firing
	f.sink, f.zxid = sink, z
	f.kind, f.path, f.acl = wire.EventType(c.Type), c.Path, c.ACL // the values are the same
	p.watches.Trigger(f.kind, f.path, f.emit)
	if c.Type == tree.DataChanged {
		return
	}
	f.kind, f.acl = wire.EventNodeChildrenChanged, c.ParentACL
	f.path, _ = tree.Split(c.Path)
	p.watches.Trigger(f.kind, f.path, f.emit)
}

// Install makes the tree of a leader's snapshot this server's. No watch could tell what a whole tree
// changed, and no open request could be answered from it, so the shell closes all connections of
// clients before it calls this: their requests and questions are void. Like Apply it needs the
// lock that keeps readers out.
func (p *Peer) Install(t *tree.Tree) {
	p.tree = t
	p.requests = requestQueue{lastN: p.requests.lastN}
	p.asks = nil
}
