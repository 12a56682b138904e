package zab

// Envelope is a message for one link. Several envelopes may share a Msg: encode it once.
type Envelope struct {
	Link LinkID
	Msg  *Message

	// History, when To is not 0, is to follow Msg on the link: the txns of (From, To] from the
	// log, as Proposals without Commit. After a Snap it follows the snapshot. If the log cannot
	// give them without a gap the link must be closed; the learner comes again.
	History Range
}

// Range is a stretch of a history: after From, up to and with To.
type Range struct {
	From, To Zxid
}

// BarrierDone answers a Barrier: leadership was confirmed after it was asked, and who has applied
// everything up to Zxid has seen every write acknowledged before that (R28).
type BarrierDone struct {
	ID   uint64
	Zxid Zxid
}

// Violation says why a link is closed: the other side broke the protocol (R32) or cannot be
// helped now. It is for the log and the counters; closing is already in Actions.Close.
type Violation struct {
	Link LinkID
	Kind Kind // the message that did it; 0 when it was the link itself
	Text string
}

// Actions is everything that one or more inputs ask of the world. The owner performs it and hands
// it in again after Reset. Slices in it are valid until then; what Msg and Data point to may be
// kept, and must not be changed.
type Actions struct {
	// Send may leave at once: it attests nothing that is not durable already.
	Send []Envelope
	// Persist goes to the log in this order.
	Persist []Record
	// AfterSync may leave only when every record handed out so far, Persist included, is durable.
	// On one link its messages keep their order among themselves (R7).
	AfterSync []Envelope

	// Install, when not 0, names the received snapshot that becomes the tree now, before Deliver.
	Install Zxid
	// Deliver is to be applied: committed, durable here, in zxid order without gaps.
	Deliver []Txn
	// Barriers are answered as soon as their Zxid is applied.
	Barriers []BarrierDone

	// Close names links to close. The peer has forgotten them; no LinkDown is needed.
	Close []LinkID
	// Connect, when not 0, is the leader to dial, again and again, until the link is up or
	// Disconnect says stop. A Connect in the same Actions is newer than a Disconnect.
	Connect    ServerID
	Disconnect bool
	// Violations explains entries of Close.
	Violations []Violation
}

// Reset empties a for the next turn and keeps its memory.
func (a *Actions) Reset() {
	clear(a.Send)
	clear(a.Persist)
	clear(a.AfterSync)
	clear(a.Deliver)
	clear(a.Violations)
	*a = Actions{
		Send:       a.Send[:0],
		Persist:    a.Persist[:0],
		AfterSync:  a.AfterSync[:0],
		Deliver:    a.Deliver[:0],
		Barriers:   a.Barriers[:0],
		Close:      a.Close[:0],
		Violations: a.Violations[:0],
	}
}

func (a *Actions) send(link LinkID, m *Message) {
	a.Send = append(a.Send, Envelope{Link: link, Msg: m})
}

func (a *Actions) afterSync(link LinkID, m *Message) {
	a.AfterSync = append(a.AfterSync, Envelope{Link: link, Msg: m})
}

// ack asks for an ack of everything up to z. A turn drains many inputs, so the ack that is already
// last on this link is raised instead: acks are cumulative, and it leaves no earlier than before.
// NEWLEADER's ack, which must stay the first of its link, has counter 0 and is left alone.
func (a *Actions) ack(link LinkID, z Zxid) {
	if n := len(a.AfterSync); n > 0 {
		last := a.AfterSync[n-1]
		if last.Link == link && last.Msg.Kind == Ack && last.Msg.Zxid.Counter() != 0 {
			last.Msg.Zxid = z
			return
		}
	}
	a.afterSync(link, &Message{Kind: Ack, Zxid: z})
}

// install replaces the tree: what was to be applied to the old one is covered by the new one.
func (a *Actions) install(z Zxid) {
	a.Install = z
	clear(a.Deliver)
	a.Deliver = a.Deliver[:0]
}
