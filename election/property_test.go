package election_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quoll/election"
	"quoll/zab"
)

func anyVote(ids []zab.ServerID) *rapid.Generator[election.Vote] {
	return rapid.Custom(func(t *rapid.T) election.Vote {
		return election.Vote{
			Leader: rapid.SampledFrom(ids).Draw(t, "leader"),
			Epoch:  zab.Epoch(rapid.IntRange(0, 3).Draw(t, "epoch")),
			Zxid: zab.MakeZxid(zab.Epoch(rapid.IntRange(0, 3).Draw(t, "zxid epoch")),
				uint64(rapid.IntRange(0, 3).Draw(t, "counter"))),
		}
	})
}

// TestBetter: a strict total order, or two servers could prefer different votes for ever.
func TestBetter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		votes := rapid.SliceOfN(anyVote([]zab.ServerID{1, 2, 3}), 3, 3).Draw(t, "votes")
		a, b, c := votes[0], votes[1], votes[2]
		require.False(t, election.Better(a, a))
		if a != b {
			require.NotEqual(t, election.Better(a, b), election.Better(b, a))
			require.True(t, election.Better(a, election.Vote{}), "the zero vote is the worst")
		}
		if election.Better(a, b) && election.Better(b, c) {
			require.True(t, election.Better(a, c))
		}
		if a.Epoch > b.Epoch {
			require.True(t, election.Better(a, b), "the epoch comes first (R21)")
		}
	})
}

// TestFailoverNeedsNoTick: when connections tell of the leader's death, the survivors elect the
// best of them by notifications alone, in whatever order they notice and hear each other.
func TestFailoverNeedsNoTick(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.SampledFrom([]int{3, 4, 5, 7}).Draw(t, "size")
		w := newNetwork(election.Config{Ensemble: ensemble(t, size, 0)})
		old := zab.ServerID(size)
		for _, a := range w.ids() {
			for _, b := range w.ids() {
				w.up(a, b)
			}
			w.start(a, election.Vote{Leader: a, Epoch: 1})
		}
		w.quiet(t)
		for _, id := range w.ids() {
			require.Equal(t, old, w.nodes[id].decided)
			w.settle(id, 2)
		}
		w.quiet(t)

		w.crash(old)
		waiting := without(w.ids(), old)
		best := election.Vote{}
		for len(waiting) > 0 || len(w.wire) > 0 {
			if len(waiting) > 0 && (len(w.wire) == 0 || rapid.Bool().Draw(t, "notices")) {
				id := rapid.SampledFrom(waiting).Draw(t, "who")
				waiting = without(waiting, id)
				own := election.Vote{Leader: id, Epoch: 2, Zxid: zab.MakeZxid(2, uint64(rapid.IntRange(1, 3).Draw(t, "counter")))}
				if election.Better(own, best) {
					best = own
				}
				w.start(id, own)
				continue
			}
			w.deliver(rapid.SampledFrom(w.pending()).Draw(t, "deliver"))
		}
		for _, id := range without(w.ids(), old) {
			require.Equal(t, best.Leader, w.nodes[id].decided, "server %d\n%s", id, &w.log)
		}
	})
}

// ensemble makes one of voters 1 to n and observers behind them, sometimes with groups and weights.
func ensemble(t *rapid.T, voters, observers int) *zab.Ensemble {
	cfg := zab.EnsembleConfig{}
	for i := range voters + observers {
		if id := zab.ServerID(i + 1); i < voters {
			cfg.Voters = append(cfg.Voters, id)
		} else {
			cfg.Observers = append(cfg.Observers, id)
		}
	}
	if observers > 0 && rapid.Bool().Draw(t, "hierarchical") {
		cfg.Groups = map[int][]zab.ServerID{}
		cfg.Weights = map[zab.ServerID]int{}
		for _, id := range cfg.Voters {
			g := rapid.IntRange(1, 3).Draw(t, "group")
			cfg.Groups[g] = append(cfg.Groups[g], id)
			cfg.Weights[id] = rapid.IntRange(0, 2).Draw(t, "weight")
		}
		cfg.Weights[1] = 1
	}
	e, err := zab.NewEnsemble(cfg)
	require.NoError(t, err)
	return e
}

// pending returns the directions that have something on the wire, in order.
func (w *network) pending() []pair {
	var ps []pair
	for p := range w.wire {
		ps = append(ps, p)
	}
	slices.SortFunc(ps, func(a, b pair) int {
		return int(a.from)<<8 + int(a.to) - int(b.from)<<8 - int(b.to)
	})
	return ps
}

// quiet delivers until nothing is on the wire. More than that many notifications are a storm.
func (w *network) quiet(t *rapid.T) {
	size := len(w.ids())
	if _, ok := w.deliverAll(20 * size * size * size); !ok {
		t.Fatalf("the wire does not fall quiet:\n%s", &w.log)
	}
}

// TestConvergence: servers start, crash, lose connections and notifications, hear old ones again,
// give up leaders and lose data, in any order. Then a quorum of them, and whoever else is lucky, is
// connected for good. Within a bounded time they have one leader, which has the best vote of a
// quorum, and everybody follows it; and that is how it stays.
func TestConvergence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		voters := rapid.IntRange(1, 5).Draw(t, "voters")
		ens := ensemble(t, voters, rapid.IntRange(0, 2).Draw(t, "observers"))
		w := newWorld(t, ens)
		for range rapid.IntRange(0, 150).Draw(t, "steps") {
			w.chaos()
		}
		core := w.heal()
		for range bound {
			w.step(core)
		}
		w.checkConverged(core)
		before := w.elections
		for range 50 {
			w.step(core)
		}
		require.Equal(t, before, w.elections, "elections go on:\n%s", &w.log)
		w.checkConverged(core)
		require.Empty(t, w.wire, "somebody still talks")
	})
}

const (
	initTicks = 15 // how long a decision may take to come true
	maxResend = 40
	// bound is how long it may take to converge: decisions that rest on servers which are gone time
	// out, which may happen once more to who joined them meanwhile; lost notifications are sent
	// again; then an election, which is short.
	bound = 2*initTicks + maxResend + 20
)

// world is a network with a model of what comes after an election: leaders that need followers,
// followers that need their leader, and data that both then share.
type world struct {
	*network
	t         *rapid.T
	zab       map[zab.ServerID]*role
	cast      map[ballot]zab.Set // who ever said so
	epoch     zab.Epoch
	elections int
	now       int
	delay     int // ticks that notifications are held back, once the network is good
}

type role struct {
	own     election.Vote
	silent  bool
	last    election.Notification // last one of this process while looking
	since   int                   // ticks since the decision
	settled bool
}

type ballot struct {
	round  uint64
	leader zab.ServerID
	epoch  zab.Epoch
}

func newWorld(t *rapid.T, ens *zab.Ensemble) *world {
	w := &world{
		network: newNetwork(election.Config{Ensemble: ens, ResendTicks: 5, MaxResendTicks: maxResend}),
		t:       t, zab: map[zab.ServerID]*role{}, cast: map[ballot]zab.Set{}, epoch: 3,
	}
	w.spy = w.observe
	for _, id := range w.ids() {
		w.zab[id] = &role{own: anyVote([]zab.ServerID{id}).Draw(t, "own")}
		w.look(id)
	}
	return w
}

// look makes id look for a leader.
func (w *world) look(id zab.ServerID) {
	r := w.zab[id]
	r.since, r.settled = 0, false
	w.elections++
	own := r.own
	if r.silent {
		own = election.Vote{}
	}
	w.start(id, own)
}

// observe checks what a server says and decides, knowing everything.
func (w *world) observe(n *node) {
	r := w.zab[n.id]
	for _, s := range n.out.Send {
		if s.N.Vote == (election.Vote{}) || s.N.State == election.Observing {
			continue
		}
		w.vote(n.id, s.N)
		if s.N.State != election.Looking {
			continue
		}
		require.False(w.t, election.Better(r.own, s.N.Vote), "%d votes for less than it has", n.id)
		require.GreaterOrEqual(w.t, s.N.Round, r.last.Round, "%d goes back", n.id)
		if s.N.Round == r.last.Round {
			require.False(w.t, election.Better(r.last.Vote, s.N.Vote), "%d goes back", n.id)
		}
		r.last = s.N
	}
	if n.out.Decided == n.id {
		// A leader had a quorum for its vote in its round. Two leaders in one round are possible,
		// but only by a voter that voted for both: for the better one last, as was just checked.
		require.True(w.t, w.cfg.Ensemble.Electable(n.id))
		by := w.vote(n.id, election.Notification{Vote: n.Vote(), Round: n.Round()})
		require.True(w.t, w.cfg.Ensemble.Quorum(by), "server %d\n%s", n.id, &w.log)
	}
}

func (w *world) vote(id zab.ServerID, n election.Notification) zab.Set {
	b := ballot{n.Round, n.Vote.Leader, n.Vote.Epoch}
	s := w.cast[b]
	s.Add(id)
	w.cast[b] = s
	return s
}

// chaos does one thing that may happen.
func (w *world) chaos() {
	a := rapid.SampledFrom(w.ids()).Draw(w.t, "a")
	b := rapid.SampledFrom(w.ids()).Draw(w.t, "b")
	switch op := rapid.IntRange(0, 12).Draw(w.t, "op"); op {
	case 0:
		w.down(a, b)
	case 1, 2, 3:
		w.up(a, b)
	case 4:
		w.restart(a)
	case 5:
		w.look(a)
	case 6:
		delete(w.wire, pair{a, b})
	case 7:
		if msg, ok := w.wire[pair{a, b}]; ok { // and again later
			w.hear(pair{a, b}, msg)
		}
	case 8, 9:
		for range rapid.IntRange(1, 4).Draw(w.t, "ticks") {
			w.tick(a)
			w.age(a)
		}
	default:
		for range rapid.IntRange(1, 10).Draw(w.t, "deliveries") {
			if ps := w.pending(); len(ps) > 0 {
				w.deliver(rapid.SampledFrom(ps).Draw(w.t, "deliver"))
			}
		}
	}
}

func (w *world) restart(id zab.ServerID) {
	w.crash(id)
	r := w.zab[id]
	r.last = election.Notification{}
	switch rapid.IntRange(0, 4).Draw(w.t, "disk") {
	case 0: // lost its end
		r.own.Zxid = 0
	case 1:
		r.own.Zxid++
	case 2:
		r.silent = true
	}
	w.look(id)
}

// heal connects a core for good, in which those that may vote are a quorum, and ends the rest.
func (w *world) heal() (core []zab.ServerID) {
	core = w.ids()
	for _, id := range w.ids() {
		var left zab.Set
		for _, other := range without(core, id) {
			if !w.zab[other].silent {
				left.Add(other)
			}
		}
		if w.cfg.Ensemble.Quorum(left) && rapid.Bool().Draw(w.t, "dies") {
			core = without(core, id)
			w.crash(id)
		}
	}
	var able zab.Set
	for _, id := range core {
		if !w.zab[id].silent {
			able.Add(id)
		}
	}
	if !w.cfg.Ensemble.Quorum(able) { // an operator vouches for the empty disks
		for _, id := range core {
			if w.zab[id].silent {
				w.zab[id].silent = false
				w.look(id)
			}
		}
	}
	w.delay = rapid.IntRange(0, 2).Draw(w.t, "delay")
	for _, a := range core {
		for _, b := range core {
			w.up(a, b)
		}
	}
	w.log.Reset()
	return core
}

// step is a tick of the healed network.
func (w *world) step(core []zab.ServerID) {
	w.now++
	w.printf("tick %d\n", w.now)
	for _, id := range core {
		w.tick(id)
	}
	if w.now%(w.delay+1) == 0 {
		w.quiet(w.t)
	}
	for _, id := range core {
		w.age(id)
	}
}

// age is the model of discovery, synchronization and broadcast: one tick of id's role.
func (w *world) age(id zab.ServerID) {
	n, r := w.nodes[id], w.zab[id]
	if n.State() == election.Looking {
		return
	}
	if r.since++; n.left && !r.settled {
		w.look(id)
		return
	}
	if n.State() == election.Leading {
		var have zab.Set
		have.Add(id)
		for _, f := range w.ids() {
			if f != id && w.follows(f, id) {
				have.Add(f)
			}
		}
		switch quorum := w.cfg.Ensemble.Quorum(have); {
		case quorum && !r.settled:
			w.epoch++
			r.settled, r.own.Epoch = true, w.epoch
			w.settle(id, w.epoch)
		case !quorum && (r.settled || r.since > initTicks):
			w.look(id)
		}
		return
	}
	leader := w.zab[n.decided]
	switch {
	case !w.follows(id, n.decided):
		if r.settled || r.since > initTicks {
			w.look(id)
		}
	case !leader.settled && behind(leader.own, r.own):
		w.look(id) // refused: the leader has less
	case leader.settled && !r.settled:
		r.settled, r.silent = true, false
		r.own = election.Vote{Leader: id, Zxid: leader.own.Zxid, Epoch: leader.own.Epoch}
		w.settle(id, leader.own.Epoch)
	}
}

func behind(v, w election.Vote) bool {
	return v.Epoch < w.Epoch || v.Epoch == w.Epoch && v.Zxid < w.Zxid
}

// follows reports whether f has a link to leader, which leads.
func (w *world) follows(f, leader zab.ServerID) bool {
	n, l := w.nodes[f], w.nodes[leader]
	return n.State() != election.Looking && n.State() != election.Leading && n.decided == leader &&
		l.State() == election.Leading && w.links[pair{f, leader}]
}

func (w *world) checkConverged(core []zab.ServerID) {
	w.t.Helper()
	var leader zab.ServerID
	for _, id := range core {
		if n := w.nodes[id]; n.State() == election.Leading {
			require.Zero(w.t, leader, "two leaders:\n%s", &w.log)
			leader = id
		}
	}
	require.NotZero(w.t, leader, "no leader in %v:\n%s", core, &w.log)
	for _, id := range core {
		n := w.nodes[id]
		what := fmt.Sprintf("server %d of %v is %s:\n%s", id, core, n.State(), &w.log)
		require.Equal(w.t, leader, n.decided, what)
		require.True(w.t, w.zab[id].settled, what)
		require.Equal(w.t, w.zab[leader].own.Epoch, n.Vote().Epoch, what)
	}
}
