package quoll_test

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll"
	"quoll/election"
	"quoll/session"
	"quoll/transport/wire"
	"quoll/tree"
	"quoll/zab"
)

// bareLink is one direction of a connection between two servers, as the receiver sees it.
type bareLink struct {
	id    zab.LinkID
	from  int
	other *bareLink // the way back
	queue []*zab.Message
	ended bool // nothing more will come: LinkDown follows the queue
	gone  bool // the receiver has closed it, or died
}

// bareEnsemble runs Peers against each other, one event after the other, in an order that a seed
// decides and decides alone.
type bareEnsemble struct {
	t        *testing.T
	rnd      *rand.Rand
	ensemble *zab.Ensemble
	servers  []*bareServer
	up       []bool
	dials    []zab.ServerID
	links    [][]*bareLink // by receiver, in the order in which they came
	votes    [][]*election.Notification
	digests  map[zab.Zxid]uint64
	boots    uint64
	lastLink zab.LinkID
	lastConn session.ConnID
	clients  [][]*bareClient
	quiet    bool // no more faults
	answers  int
	crashes  int
}

// bareClient sends sequential creates and keeps its connection.
type bareClient struct {
	conn *quoll.Conn
	xid  zab.Xid
}

func newBareEnsemble(t *testing.T, seed uint64, n int) *bareEnsemble {
	e := &bareEnsemble{t: t, rnd: rand.New(rand.NewPCG(seed, 1)), digests: map[zab.Zxid]uint64{}}
	var voters []zab.ServerID
	for i := range n {
		voters = append(voters, zab.ServerID(i+1))
	}
	var err error
	e.ensemble, err = zab.NewEnsemble(zab.EnsembleConfig{Voters: voters})
	require.NoError(t, err)
	trace := fnv.New64a()
	e.up, e.dials = make([]bool, n), make([]zab.ServerID, n)
	e.links, e.clients = make([][]*bareLink, n), make([][]*bareClient, n)
	for i := range n {
		e.votes = append(e.votes, make([]*election.Notification, n))
		s := &bareServer{trace: trace}
		s.send = func(env zab.Envelope) { e.send(i, env) }
		s.close = func(id zab.LinkID) { e.hangUp(i, id) }
		s.vote = func(v election.Send) { n := v.N; e.votes[i][v.To-1] = &n }
		s.dial = func(leader zab.ServerID) { e.dials[i] = leader }
		s.applied = func(z zab.Zxid, t *tree.Tree) { e.compare(z, t) }
		e.servers = append(e.servers, s)
		e.start(i)
	}
	return e
}

func (e *bareEnsemble) start(i int) {
	e.boots++
	e.up[i] = true
	s := e.servers[i]
	s.start(barePeerConfig(zab.ServerID(i+1), e.ensemble, e.boots))
	for j := range e.servers {
		if j != i && e.up[j] {
			s.peer.MeshUp(zab.ServerID(j+1), &s.act)
			s.turn()
			e.servers[j].peer.MeshUp(zab.ServerID(i+1), &e.servers[j].act)
			e.servers[j].turn()
		}
	}
	e.clients[i] = nil
	for range 2 {
		e.lastConn++
		e.clients[i] = append(e.clients[i], &bareClient{conn: s.connect(e.lastConn)})
	}
}

// crash takes a server away; what it had not synced may be there or not.
func (e *bareEnsemble) crash(i int) {
	e.crashes++
	s := e.servers[i]
	e.up[i], e.dials[i] = false, 0
	s.log = s.log[:s.synced+e.rnd.IntN(len(s.log)-s.synced+1)]
	s.synced = len(s.log)
	for _, l := range e.links[i] {
		l.gone, l.other.ended = true, true
	}
	e.links[i] = nil
	for j := range e.servers {
		e.votes[i][j], e.votes[j][i] = nil, nil
		if e.up[j] {
			e.servers[j].peer.MeshDown(zab.ServerID(i+1), &e.servers[j].act)
			e.servers[j].turn()
		}
	}
}

// compare demands that all trees are the same at the same zxid.
func (e *bareEnsemble) compare(z zab.Zxid, t *tree.Tree) {
	digest := t.Digest()
	if known, ok := e.digests[z]; ok {
		require.Equal(e.t, known, digest, "trees differ at %v", z)
	}
	e.digests[z] = digest
}

func (e *bareEnsemble) send(i int, env zab.Envelope) {
	if env.History.From != env.History.To {
		e.t.Fatal("a stream from the log, but everything is in memory")
	}
	for _, l := range e.links[i] {
		if l.id == env.Link && !l.other.gone && !l.other.ended {
			e.servers[i].note(uint64(env.Msg.Kind)<<56 | uint64(env.Msg.Zxid))
			m := *env.Msg
			l.other.queue = append(l.other.queue, &m)
		}
	}
}

func (e *bareEnsemble) hangUp(i int, id zab.LinkID) {
	for _, l := range e.links[i] {
		if l.id == id {
			l.queue, l.ended, l.other.ended = nil, true, true
		}
	}
}

// dial opens the connection that server i wants.
func (e *bareEnsemble) dial(i int) {
	j := int(e.dials[i]) - 1
	if j < 0 || !e.up[j] {
		return
	}
	e.dials[i] = 0
	here, there := &bareLink{id: e.lastLink + 1, from: j}, &bareLink{id: e.lastLink + 2, from: i}
	e.lastLink += 2
	here.other, there.other = there, here
	e.links[i], e.links[j] = append(e.links[i], here), append(e.links[j], there)
	for _, end := range []struct {
		at   int
		link *bareLink
	}{{j, there}, {i, here}} {
		s := e.servers[end.at]
		s.peer.LinkUp(end.link.id, zab.ServerID(end.link.from+1), end.at == i, &s.act)
		s.turn()
	}
}

// deliver hands over the next message of some link, or its end.
func (e *bareEnsemble) deliver(i int) {
	if len(e.links[i]) == 0 {
		return
	}
	s, n := e.servers[i], e.rnd.IntN(len(e.links[i]))
	l := e.links[i][n]
	switch {
	case len(l.queue) > 0:
		m := l.queue[0]
		l.queue = l.queue[1:]
		s.peer.Receive(l.id, m, &s.act)
	case l.ended:
		l.gone, l.other.ended = true, true
		e.links[i] = slices.Delete(e.links[i], n, n+1)
		s.peer.LinkDown(l.id, &s.act)
	}
	s.turn()
}

// vote delivers the newest notification of some server.
func (e *bareEnsemble) vote(i int) {
	from := e.rnd.IntN(len(e.servers))
	if n := e.votes[from][i]; n != nil {
		e.votes[from][i] = nil
		e.servers[i].peer.Notification(zab.ServerID(from+1), *n, &e.servers[i].act)
		e.servers[i].turn()
	}
}

// request lets some client of server i say something.
func (e *bareEnsemble) request(i int) {
	s, c := e.servers[i], e.clients[i][e.rnd.IntN(len(e.clients[i]))]
	e.hear(i, c)
	switch {
	case !s.peer.Serving() || c.conn.Joining() || c.conn.Close:
		return
	case c.xid == 0:
		c.xid = 1
		r := wire.ConnectRequest{TimeoutMs: 5000}
		s.frame(c.conn, r.Append(nil))
	default:
		c.xid++
		op, body := wire.OpCreate, create("/n-", fmt.Sprint(c.conn.ID, " ", c.xid), wire.PersistentSequential)
		switch e.rnd.IntN(5) {
		case 0:
			op, body = wire.OpGetData, watched("/")
		case 1:
			op, body = wire.OpSync, onPath("/")
		case 2:
			op, body = wire.OpCreate, create("/e-", "", wire.EphemeralSequential)
		}
		s.frame(c.conn, request(c.xid, op, body)[wire.LengthSize:])
		s.peer.Touch([]zab.SessionID{c.conn.Session}, &s.act)
	}
	s.turn()
}

// hear puts what a client was told into the trace.
func (e *bareEnsemble) hear(i int, c *bareClient) {
	if out := e.servers[i].reads(c.conn); len(out) > 0 {
		e.answers++
		_, _ = e.servers[i].trace.Write(out)
	}
}

// step lets one thing happen.
func (e *bareEnsemble) step() {
	i := e.rnd.IntN(len(e.servers))
	s := e.servers[i]
	if !e.up[i] {
		if e.quiet || e.rnd.IntN(40) == 0 {
			e.start(i)
		}
		return
	}
	switch n := e.rnd.IntN(1000); {
	case n < 600:
		e.deliver(i)
	case n < 700:
		e.vote(i)
	case n < 760:
		s.peer.Clock(int64(len(e.digests)))
		s.peer.Tick(&s.act)
		s.turn()
	case n < 880:
		s.sync()
		s.turn()
	case n < 940:
		e.dial(i)
	case n < 990:
		e.request(i)
	case n < 993 && !e.quiet && len(e.links[i]) > 0:
		l := e.links[i][e.rnd.IntN(len(e.links[i]))] // a connection breaks
		l.ended, l.other.ended = true, true
	case n < 994 && !e.quiet:
		e.crash(i)
	}
}

func (e *bareEnsemble) allServe() bool {
	for i, s := range e.servers {
		if !e.up[i] || !s.peer.Serving() {
			return false
		}
	}
	return true
}

// once demands that no request has happened twice: each puts its own name into its znode.
func (e *bareEnsemble) once(t *tree.Tree) {
	root, _ := t.Lookup([]byte("/"))
	made := map[string]string{}
	t.EachChild(root, func(name []byte) bool {
		path := "/" + string(name)
		n, _ := t.Lookup([]byte(path))
		if data := string(t.Data(n)); data != "" {
			require.Empty(e.t, made[data], "%s is there again as %s", made[data], path)
			made[data] = path
		}
		return true
	})
}

// run returns the hash of everything that happened.
func (e *bareEnsemble) run(steps int) uint64 {
	for range steps {
		e.step()
	}
	e.quiet = true
	for n := 0; !e.allServe(); n++ {
		require.Less(e.t, n, 200_000, "some server does not serve although nothing is broken")
		e.step()
	}
	for _, s := range e.servers {
		e.once(s.peer.Tree())
		s.note(s.peer.Tree().Digest())
	}
	return e.servers[0].trace.Sum64()
}

// The core has no clock, randomness, goroutine or map order of its own: the same events give the
// same effects, whatever happens to servers and connections. And at the same zxid all trees are
// the same, in all epochs.
func TestPeersAreDeterministic(t *testing.T) {
	hashes := map[uint64]bool{}
	for seed := range uint64(4) {
		first := newBareEnsemble(t, seed, 3)
		h := first.run(15_000)
		second := newBareEnsemble(t, seed, 3)
		require.Equal(t, h, second.run(15_000), "seed %d goes another way", seed)
		hashes[h] = true
		t.Logf("seed %d: %d txns, %d answers, %d crashes, epoch %d", seed, len(first.digests), first.answers, first.crashes,
			first.servers[0].peer.Zab().Epoch())
		require.Greater(t, first.crashes, 3)
		require.Greater(t, first.answers, 100)
	}
	require.Len(t, hashes, 4, "seeds matter")
}
