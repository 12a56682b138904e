package quoll_test

import (
	"encoding/binary"
	"fmt"
	"hash"
	"slices"

	"quoll"
	"quoll/election"
	"quoll/session"
	"quoll/transport/wire"
	"quoll/tree"
	"quoll/zab"
)

// bareServer is a Peer without its shell: what the shell does for it is done here at once, in
// memory, and in an order that a test decides. It writes no snapshots, so its log is its disk.
type bareServer struct {
	peer  *quoll.Peer
	act   quoll.Actions
	views *tree.Views
	conns map[session.ConnID]*quoll.Conn

	staged map[zab.Zxid]*tree.Tree // of the snapshots that a leader sent

	log      []zab.Record // handed out since the first start; [:synced] survives a crash
	synced   int
	recycled int // records of earlier processes: the Peer counts from 1 in each
	waiting  []bareWaiting

	send    func(zab.Envelope)
	close   func(zab.LinkID)
	vote    func(election.Send)
	dial    func(leader zab.ServerID) // 0: no more
	applied func(z zab.Zxid, t *tree.Tree)
	trace   hash.Hash64 // everything that the world can see of it
}

// bareWaiting is a message that rests on the first n records.
type bareWaiting struct {
	n   int
	env zab.Envelope
}

func barePeerConfig(id zab.ServerID, ensemble *zab.Ensemble, boot uint64) quoll.PeerConfig {
	return quoll.PeerConfig{
		ID: id, Ensemble: ensemble, Boot: boot, Tree: tree.Options{ExtendedTypes: true},
		TickMs: 10, BucketTicks: 20, InitTicks: 60, SyncTicks: 30, PingTicks: 5,
		FinalizeTicks: 2, ResendTicks: 10, MaxResendTicks: 40, MinSessionMs: 400, MaxSessionMs: 60_000,
		ReapTicks: 50, ReapBatch: 10, NeverUsedMs: 1000, ListMost: 5,
	}
}

// start makes a process of what the disk holds, as log.Open folds it.
func (s *bareServer) start(cfg quoll.PeerConfig) {
	st := zab.State{History: zab.NewHistory(0)}
	for _, r := range s.log {
		switch r.Kind {
		case zab.RecordTxn:
			st.Tail = append(st.Tail, zab.Txn{Zxid: r.Zxid, Data: r.Data})
		case zab.RecordTruncate:
			st.Tail = slices.DeleteFunc(st.Tail, func(t zab.Txn) bool { return t.Zxid > r.Zxid })
		case zab.RecordAcceptedEpoch:
			st.AcceptedEpoch = r.Epoch
		case zab.RecordCurrentEpoch:
			st.CurrentEpoch = r.Epoch
		default:
			panic(fmt.Sprintf("record %d needs a snapshot, and there is none", r.Kind))
		}
	}
	for _, t := range st.Tail {
		st.History.Append(t.Zxid)
	}
	s.recycled, s.waiting = len(s.log), nil
	s.conns = map[session.ConnID]*quoll.Conn{}
	s.act.Reset()
	s.views = new(tree.Views)
	s.peer = quoll.NewPeer(cfg, st, tree.New(cfg.Tree), session.NewWatches(cfg.Tree.HashSeed), s.views)
	s.peer.Start(&s.act)
	s.turn()
}

// turn performs what inputs asked for, until nothing follows from it.
func (s *bareServer) turn() {
	s.peer.Flush(&s.act)
	s.perform()
	for n := 0; s.peer.Caught(&s.act); n++ {
		if n > 1000 {
			panic("the server keeps itself busy")
		}
		s.peer.Flush(&s.act)
		s.perform()
	}
}

func (s *bareServer) perform() {
	a := &s.act
	for _, env := range a.Send {
		s.send(env)
	}
	for _, v := range a.Votes {
		s.vote(v)
	}
	if a.Disconnect {
		s.dial(0)
	}
	if a.Connect != 0 {
		s.dial(a.Connect)
	}
	s.log = append(s.log, a.Persist...)
	for _, env := range a.AfterSync {
		s.waiting = append(s.waiting, bareWaiting{len(s.log), env})
	}
	for i := range a.Answers {
		if c := s.conns[a.Answers[i].Conn]; c != nil {
			s.peer.Settle(c, &a.Answers[i])
		}
	}
	if a.Install != 0 {
		clear(s.conns) // all of them are closed
		s.peer.Install(s.staged[a.Install])
	}
	for _, txn := range a.Deliver {
		s.note(uint64(txn.Zxid))
		s.peer.Apply(txn, s)
		if s.applied != nil {
			s.applied(txn.Zxid, s.peer.Tree())
		}
	}
	for _, link := range a.Close {
		s.close(link)
	}
	a.Reset()
	s.release()
}

// sync makes all records durable and lets go what waited for that.
func (s *bareServer) sync() {
	if s.synced < len(s.log) {
		s.synced = len(s.log)
		s.peer.Durable(uint64(s.synced-s.recycled), &s.act)
	}
	s.release()
}

func (s *bareServer) release() {
	n := 0
	for ; n < len(s.waiting) && s.waiting[n].n <= s.synced; n++ {
		s.send(s.waiting[n].env)
	}
	s.waiting = s.waiting[n:]
}

// frame hands a client's frame to the server, and what comes of it to the loop, as batch does.
func (s *bareServer) frame(c *quoll.Conn, frame []byte) quoll.Handled {
	h := s.peer.Handle(c, frame)
	switch h.Step {
	case quoll.StepSubmit:
		s.peer.Submit(h.Ticket, h.Request, &s.act)
	case quoll.StepSync:
		s.peer.Sync(h.Ticket, &s.act)
	case quoll.StepRevalidate:
		s.peer.Revalidate(h.Ticket, h.Revalidation, &s.act)
	case quoll.StepNone, quoll.StepClose, quoll.StepGone:
	}
	return h
}

// reads takes all that a client is to read next.
func (s *bareServer) reads(c *quoll.Conn) (all []byte) {
	out := s.peer.Take(c, nil)
	for part := out.Next(); len(part) > 0; part = out.Next() {
		all = append(all, part...)
	}
	return all
}

// connect takes a client.
func (s *bareServer) connect(id session.ConnID) *quoll.Conn {
	c := &quoll.Conn{ID: id}
	binary.BigEndian.PutUint64(c.Password[:], uint64(id))
	s.conns[id] = c
	return c
}

func (s *bareServer) note(v uint64) {
	if s.trace != nil {
		_, _ = s.trace.Write(binary.BigEndian.AppendUint64(nil, v))
	}
}

// Event implements quoll.Sink.
func (s *bareServer) Event(id session.ConnID, e session.EventType, path []byte, z zab.Zxid, acl []wire.ACL) {
	if c := s.conns[id]; c != nil {
		s.peer.Event(c, e, path, z, acl)
	}
}

// Before implements quoll.Sink.
func (s *bareServer) Before(t quoll.Ticket) {
	if c := s.conns[t.Conn]; c != nil {
		s.peer.Before(c, t)
	}
}

// Reply implements quoll.Sink.
func (s *bareServer) Reply(t quoll.Ticket, r *tree.Result) {
	if c := s.conns[t.Conn]; c != nil {
		s.peer.Reply(c, t, r)
	}
}

// Closed implements quoll.Sink.
func (s *bareServer) Closed(id zab.SessionID) {
	for _, c := range s.conns {
		if c.Session == id {
			c.Close = true
		}
	}
}
