package quoll_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll"
	"quoll/election"
	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/tree"
	"quoll/zab"
)

// newBareServer returns server 1 of an ensemble of n, whose other servers are the test.
func newBareServer(tb testing.TB, n int) *bareServer {
	tb.Helper()
	var voters []zab.ServerID
	for i := range n {
		voters = append(voters, zab.ServerID(i+1))
	}
	ensemble, err := zab.NewEnsemble(zab.EnsembleConfig{Voters: voters})
	require.NoError(tb, err)
	s := &bareServer{
		staged: map[zab.Zxid]*tree.Tree{}, send: func(zab.Envelope) {}, close: func(zab.LinkID) {}, vote: func(election.Send) {}, dial: func(zab.ServerID) {},
	}
	s.start(barePeerConfig(1, ensemble, 7))
	return s
}

// settle lets the disk catch up until nothing follows from it.
func (s *bareServer) settle() {
	for range 4 {
		s.sync()
		s.turn()
	}
}

func serveAlone(tb testing.TB) *bareServer {
	tb.Helper()
	s := newBareServer(tb, 1)
	for range 5 {
		s.peer.Tick(&s.act)
		s.turn()
		s.settle()
	}
	require.True(tb, s.peer.Serving())
	return s
}

// FuzzHandle says anything to a server: first the ConnectRequest, then frames, cut out of the
// input by their lengths. Nothing may panic or allocate beyond measure, what comes back must be
// whole frames, and every write that was taken must be answered or its connection closed.
func FuzzHandle(f *testing.F) {
	hello := wire.ConnectRequest{TimeoutMs: 1000, HasReadOnly: true}
	for op, body := range allBodies() {
		f.Add(hello.Append(nil), request(1, op, body))
	}
	f.Add(hello.Append(nil), append(request(1, wire.OpCloseSession, nil), request(2, wire.OpPing, nil)...))
	f.Add(hello.Append(nil), append(request(1, wire.OpAuth, auth("digest", "u:p")), request(2, wire.OpWhoAmI, nil)...))
	f.Add(hello.Append(nil)[:12], []byte{})
	f.Fuzz(func(t *testing.T, greeting, frames []byte) {
		s := serveAlone(t)
		c := s.connect(1)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		input := len(greeting) + len(frames)
		h := s.frame(c, greeting)
		s.settle()
		if h.Step == quoll.StepClose {
			require.Empty(t, c.Out)
			return
		}
		require.False(t, c.Joining(), "the handshake was left without an answer")
		for taken := 0; len(frames) >= wire.LengthSize; taken++ {
			n := int(binary.BigEndian.Uint32(frames)) % (len(frames) - wire.LengthSize + 1)
			h := s.frame(c, frames[wire.LengthSize:][:n])
			if frames = frames[wire.LengthSize+n:]; h.Step == quoll.StepClose {
				break
			}
			if taken%3 == 0 { // some share a turn
				s.turn()
			}
		}
		s.settle()
		runtime.ReadMemStats(&after)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(4<<20+4096*input))
		require.Zero(t, s.peer.Open(), "a write without an answer")
		require.True(t, c.Close || c.Idle())
		replies := 0
		for out := s.reads(c); len(out) > 0; replies++ {
			n := int(binary.BigEndian.Uint32(out))
			require.LessOrEqual(t, n, len(out)-wire.LengthSize)
			d := jute.NewDecoder(out[wire.LengthSize:][:n])
			var r wire.ReplyHeader
			r.Decode(&d)
			require.NoError(t, d.Err())
			out = out[wire.LengthSize+n:]
		}
		require.EqualValues(t, replies, c.Frames)
	})
}

// script reads decisions out of fuzzed bytes; when they run out all decisions are 0.
type script []byte

func (b *script) next(n int) int {
	if len(*b) == 0 {
		return 0
	}
	v := int((*b)[0])
	*b = (*b)[1:]
	return v % n
}

func (b *script) epoch() zab.Epoch { return zab.Epoch(b.next(8)) }

func (b *script) zxid() zab.Zxid { return zab.MakeZxid(b.epoch(), uint64(b.next(8))) }

// stranger is whatever may talk to server 1: the other two, out of order and out of their minds.
type stranger struct {
	*script
	s     *bareServer
	links zab.LinkID
	vote  election.Notification // the newest of server 1
	said  []zab.Envelope        // by server 1
	dial  zab.ServerID          // whom it wants to reach
}

// txn is a txn that any tree can apply: what leaders send is their own bytes, and a leader that
// sends others is broken beyond what a follower could survive (R18).
func (f *stranger) txn(z zab.Zxid) zab.Txn {
	pending := tree.NewPending(tree.New(tree.Options{}))
	refused := &zab.Request{ID: zab.RequestID{Boot: 99, N: uint64(z)}, Op: int32(wire.OpDelete)}
	return zab.Txn{Zxid: z, Data: pending.Refuse(refused, max(z, 1), 0, wire.NoNode, nil)}
}

// snapshot stages the tree that comes with a Snap: the link delivers none without.
func (f *stranger) snapshot(z zab.Zxid) {
	t := tree.New(tree.Options{})
	t.Apply(f.txn(z), &tree.Result{})
	f.s.staged[z] = t
}

// message makes one up.
func (f *stranger) message() *zab.Message {
	kind := zab.Kind(f.next(int(zab.RevalidateReply) + 2))
	m := &zab.Message{
		Kind: kind, Server: zab.ServerID(f.next(5)), Observer: f.next(4) == 1, NoCount: f.next(4) == 1,
		Epoch: f.epoch(), Zxid: f.zxid(), Commit: f.zxid(), Seq: uint64(f.next(4)),
	}
	switch kind {
	case zab.Proposal, zab.Inform:
		last := m.Zxid
		for range f.next(4) {
			m.Txns = append(m.Txns, f.txn(last))
			last++
		}
	case zab.Requests:
		for range f.next(4) {
			op := []wire.Op{wire.OpCreate, wire.OpSetData, wire.OpMulti, wire.OpCloseSession, wire.OpCreateSession, wire.Op(f.next(256))}[f.next(6)]
			body := create("/x", "", wire.CreateMode(f.next(8)))(nil)
			m.Requests = append(m.Requests, zab.Request{
				ID: zab.RequestID{Boot: 8, N: uint64(f.next(8))}, Session: zab.SessionID(f.zxid()), Op: int32(op), Body: body[f.next(len(body)):],
			})
		}
	case zab.Touch:
		m.Sessions = []zab.SessionID{zab.SessionID(f.zxid()), 0}
	case zab.Revalidate, zab.RevalidateReply:
		m.Revalidation = zab.Revalidation{ID: zab.RequestID{Boot: 8, N: uint64(f.next(4))}, Session: zab.SessionID(f.zxid()), Valid: true}
	case zab.Snap:
		if m.Zxid == 0 {
			m.Zxid = 1
		}
		f.snapshot(m.Zxid)
	default:
	}
	return m
}

// proper answers the last that server 1 said, as the protocol wants it, so that all phases are
// reached.
func (f *stranger) proper() {
	if len(f.said) == 0 {
		return
	}
	n := f.next(len(f.said))
	env := f.said[n]
	f.said = slices.Delete(f.said, n, n+1)
	z := f.s.peer.Zab()
	tell := func(m zab.Message) { f.s.peer.Receive(env.Link, &m, &f.s.act) }
	switch env.Msg.Kind {
	case zab.FollowerInfo:
		tell(zab.Message{Kind: zab.LeaderInfo, Epoch: env.Msg.Epoch + 1})
	case zab.AckEpoch:
		tell(zab.Message{Kind: zab.Diff, Zxid: env.Msg.Zxid})
		tell(zab.Message{Kind: zab.NewLeader, Epoch: z.Epoch()})
	case zab.Ack:
		tell(zab.Message{Kind: zab.UpToDate, Commit: z.LastLogged()})
		next := z.LastLogged() + 1
		if next.Epoch() != z.Epoch() {
			next = zab.MakeZxid(z.Epoch(), 1)
		}
		tell(zab.Message{Kind: zab.Proposal, Txns: []zab.Txn{f.txn(next)}})
	case zab.LeaderInfo:
		tell(zab.Message{Kind: zab.AckEpoch})
	case zab.NewLeader, zab.Proposal:
		tell(zab.Message{Kind: zab.Ack, Zxid: zab.MakeZxid(z.Epoch(), 0)})
		tell(zab.Message{Kind: zab.Ack, Zxid: z.LastLogged()})
	case zab.Ping:
		tell(zab.Message{Kind: zab.PingReply, Seq: env.Msg.Seq})
	default:
	}
}

// elect lets the others agree: with server 1, or on server 2.
func (f *stranger) elect() {
	p, vote := f.s.peer, f.vote
	if f.next(2) == 0 {
		p.Notification(2, vote, &f.s.act)
		p.Notification(3, vote, &f.s.act)
		return
	}
	vote.State, vote.Vote = election.Leading, election.Vote{Leader: 2, Epoch: 9, Zxid: f.zxid()}
	p.Notification(2, vote, &f.s.act)
	vote.State = election.Following
	p.Notification(3, vote, &f.s.act)
}

// step lets one thing happen to server 1.
func (f *stranger) step() {
	p, out := f.s.peer, &f.s.act
	link := f.links - min(f.links, zab.LinkID(f.next(4)))
	switch f.next(24) {
	default:
		f.s.sync()
		f.proper()
	case 0, 1, 2:
		f.elect()
	case 3:
		f.links++
		p.LinkUp(f.links, f.dial, true, out)
	case 4:
		f.links++
		p.LinkUp(f.links, zab.ServerID(f.next(5)), f.next(8) == 1, out)
		p.Receive(f.links, &zab.Message{Kind: zab.FollowerInfo, Server: zab.ServerID(f.next(4)), Epoch: f.epoch()}, out)
	case 5:
		p.LinkDown(link, out)
	case 6, 7:
		p.Receive(link, f.message(), out)
	case 8:
		n := election.Notification{
			State: election.State(f.next(6)), Round: uint64(f.next(8)),
			Vote: election.Vote{Leader: zab.ServerID(f.next(5)), Zxid: f.zxid(), Epoch: f.epoch()},
		}
		p.Notification(zab.ServerID(f.next(5)), n, out)
	case 9:
		for range f.next(16) {
			p.Tick(out)
		}
	case 10:
		f.s.sync()
	case 11:
		p.MeshDown(zab.ServerID(f.next(5)), out)
		p.MeshUp(zab.ServerID(f.next(5)), out)
	case 12:
		p.Progress(link)
		p.DiskFull(f.next(2) == 1, out)
	case 13:
		body := jute.AppendBuffer(jute.AppendInt(nil, 1000), make([]byte, 16))
		p.Submit(quoll.Ticket{Conn: 1, Seq: 1}, zab.Request{Op: int32(wire.OpCreateSession), Body: body}, out)
		p.Sync(quoll.Ticket{Conn: 1, Seq: 2}, out)
	}
	f.s.turn()
}

// FuzzPeerMessages lets other servers say anything at any time. A server may close links and
// leave its role for it, but not panic: one broken server must not take the others with it. The
// exception is the order to cut off what is committed: it proves that the ensemble has lost
// something, and stopping there is the last chance to save it.
func FuzzPeerMessages(f *testing.F) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		b := make([]byte, 600)
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in := script(b[:min(len(b), 4096)])
		s := newBareServer(t, 3)
		f := &stranger{script: &in, s: s}
		s.send = func(env zab.Envelope) { f.said = append(f.said, env) }
		s.vote = func(v election.Send) { f.vote = v.N }
		s.dial = func(leader zab.ServerID) { f.dial = leader }
		defer func() {
			if r := recover(); r != nil && !strings.Contains(fmt.Sprint(r), "the other servers have lost committed txns") {
				panic(r)
			}
		}()
		s.peer.MeshUp(2, &s.act)
		s.peer.MeshUp(3, &s.act)
		s.turn()
		for len(in) > 0 {
			f.step()
		}
	})
}
