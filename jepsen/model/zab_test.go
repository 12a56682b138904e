package model

import (
	"errors"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quoll/zab"
)

// explorer takes steps of the model at random. It knows nothing of guards: it proposes steps, sensible
// and other ones, and those that the model refuses do not happen.
type explorer struct {
	m    *Zab
	pick func(n int) int // from [0, n)
	all  []zab.ServerID
	took map[string]int
	odds []int // of the moves
	n    int   // data so far
	path []string

	// What outsiders have seen, by which the paper's properties are judged.
	proposed  map[zab.Epoch][]zab.Zxid
	trees     map[zab.ServerID][]zab.Zxid
	snapshots map[zab.Zxid][]zab.Zxid
	known     map[zab.Zxid]bool // delivered anywhere, ever
}

func newExplorer(pick func(int) int, waived ...guard) *explorer {
	voters := 3 + pick(3)
	cfg := zab.EnsembleConfig{}
	for i := range voters + pick(3) {
		if id := zab.ServerID(i + 1); i < voters {
			cfg.Voters = append(cfg.Voters, id)
		} else {
			cfg.Observers = append(cfg.Observers, id)
		}
	}
	ensemble, err := zab.NewEnsemble(cfg)
	if err != nil {
		panic(err)
	}
	x := &explorer{
		m: NewZab(ensemble), pick: pick, took: make(map[string]int),
		proposed:  make(map[zab.Epoch][]zab.Zxid),
		trees:     make(map[zab.ServerID][]zab.Zxid),
		snapshots: make(map[zab.Zxid][]zab.Zxid),
		known:     make(map[zab.Zxid]bool),
	}
	for _, g := range waived {
		x.m.waived[g] = true
	}
	x.all = append(slices.Clone(cfg.Voters), cfg.Observers...)
	for _, v := range moves {
		x.odds = append(x.odds, v.weight*[]int{1, 1, 4}[pick(3)])
	}
	return x
}

// try reports whether a step was taken. What is neither taken nor refused has broken something.
func (x *explorer) try(step string, err error) (bool, error) {
	var refusal *Refusal
	switch {
	case err == nil:
		kind, _, _ := strings.Cut(step, " ")
		x.took[kind]++
		x.path = append(x.path, step)
		return true, nil
	case errors.As(err, &refusal):
		return false, nil
	}
	x.path = append(x.path, step)
	return true, err
}

func (x *explorer) durable(s *server, kind zab.RecordKind, e zab.Epoch, t *txn) (bool, error) {
	r := zab.Record{Kind: kind, Epoch: e}
	if t != nil {
		r.Zxid, r.Data = t.Zxid, t.Data
	}
	return x.try(fmt.Sprintf("%v by %d: %d %v", kind, s.id, e, r.Zxid), x.m.Durable(s.id, r))
}

func (x *explorer) server() *server { return x.m.servers[x.all[x.pick(len(x.all))]] }

// moves are the kinds of steps. Each run draws its own weights.
var moves = []struct {
	weight int
	do     func(*explorer) (bool, error)
}{
	{1, (*explorer).promise},
	{2, (*explorer).lead},
	{12, (*explorer).sync},
	{6, (*explorer).adopt},
	{12, (*explorer).propose},
	{30, (*explorer).accept},
	{12, (*explorer).deliver},
	{2, (*explorer).install},
	{2, (*explorer).snapshot},
	{1, (*explorer).restart},
	{1, (*explorer).wipe},
	{4, (*explorer).leadership},
}

// step takes one step, if it is one, and checks everything that it can have changed.
func (x *explorer) step() error {
	total := 0
	for _, odds := range x.odds {
		total += odds
	}
	n := x.pick(total)
	for i, odds := range x.odds {
		if n -= odds; n >= 0 {
			continue
		}
		changed, err := moves[i].do(x)
		if err == nil && changed {
			err = x.check()
		}
		return err
	}
	return nil
}

func (x *explorer) check() error {
	if err := x.m.Check(); err != nil {
		return err
	}
	return x.properties()
}

func (x *explorer) promise() (bool, error) {
	e := int(x.m.highest) + 1 - x.pick(3)
	return x.durable(x.server(), zab.RecordAcceptedEpoch, zab.Epoch(max(e, 1)), nil)
}

func (x *explorer) lead() (bool, error) {
	s := x.server()
	return x.leads(s, s.accepted-zab.Epoch(x.pick(8)/7))
}

func (x *explorer) leads(s *server, e zab.Epoch) (bool, error) {
	z := s.history.last().Zxid
	return x.try(fmt.Sprintf("lead by %d: %d %v", s.id, e, z), x.m.Leads(s.id, e, z))
}

// leadership tries to begin an epoch, with some servers, and gets as far as it gets.
func (x *explorer) leadership() (bool, error) {
	l, e := x.server(), x.m.highest+1
	some := slices.DeleteFunc(slices.Clone(x.all), func(id zab.ServerID) bool { return id != l.id && x.pick(3) == 0 })
	for _, id := range some {
		if _, err := x.durable(x.m.servers[id], zab.RecordAcceptedEpoch, e, nil); err != nil {
			return true, err
		}
	}
	if led, err := x.leads(l, e); err != nil || !led {
		return true, err
	}
	for _, id := range some {
		for range x.pick(12) {
			if _, err := x.towards(x.m.servers[id]); err != nil {
				return true, err
			}
		}
		if x.pick(4) > 0 {
			if _, err := x.durable(x.m.servers[id], zab.RecordCurrentEpoch, e, nil); err != nil {
				return true, err
			}
		}
	}
	return true, nil
}

// sync does something to a history that may be a step towards I[e].
func (x *explorer) sync() (bool, error) {
	s := x.server()
	switch x.pick(8) {
	case 0:
		return x.durable(s, zab.RecordTruncate, 0, s.history.at(x.pick(s.history.last().place+1)))
	case 1:
		return x.durable(s, zab.RecordInstall, 0, x.m.canon.txns[x.pick(len(x.m.canon.txns))])
	case 2:
		return x.durable(s, zab.RecordAbandon, 0, nil)
	}
	return x.towards(s)
}

// towards does what a leader would have s do next: cut a dead branch off, then append.
func (x *explorer) towards(s *server) (bool, error) {
	ep, h := x.m.epoch(s.accepted), &s.history
	if ep.led == 0 {
		return false, nil
	}
	if s.aside != nil {
		h = s.aside
	}
	common := h.last()
	for !ep.initial.has(common) {
		common = common.before
	}
	if common != h.last() && s.aside == nil {
		return x.durable(s, zab.RecordTruncate, 0, common)
	}
	if next := ep.initial.at(common.place + 1); next != nil {
		return x.durable(s, zab.RecordTxn, 0, next)
	}
	return false, nil
}

func (x *explorer) adopt() (bool, error) {
	s := x.server()
	e := s.accepted
	if x.pick(6) == 0 {
		e -= min(e, 1)
	}
	return x.durable(s, zab.RecordCurrentEpoch, e, nil)
}

func (x *explorer) propose() (bool, error) {
	s := x.server()
	ep := x.m.epoch(s.accepted)
	if ep.led == 0 {
		return false, nil
	}
	z := max(ep.tip.Zxid, zab.MakeZxid(s.accepted, 0)) + 1
	x.n++
	t := zab.Txn{Zxid: z, Data: fmt.Append(nil, x.n)}
	taken, err := x.try(fmt.Sprintf("propose by %d: %v", s.id, z), x.m.Proposes(s.id, t, ep.tip.Zxid))
	if taken && err == nil {
		x.proposed[z.Epoch()] = append(x.proposed[z.Epoch()], z)
	}
	return taken, err
}

// accept appends what was proposed behind the history of a server: what its last promise asks for, or
// anything else.
func (x *explorer) accept() (bool, error) {
	s := x.server()
	next := x.m.txns[s.history.last().Zxid+1]
	if next == nil || x.pick(4) == 0 {
		next = x.m.txns[zab.MakeZxid(s.accepted, 1)]
	}
	if next == nil {
		return false, nil
	}
	return x.durable(s, zab.RecordTxn, 0, next)
}

func (x *explorer) deliver() (changed bool, err error) {
	s := x.server()
	for range 1 + x.pick(4) {
		next := s.history.at(s.delivered.place + 1 + x.pick(8)/7)
		if x.pick(4) == 0 { // what everybody talks about
			next = x.m.canon.txns[min(s.delivered.place+1, len(x.m.canon.txns)-1)]
		}
		if next == nil {
			return changed, nil
		}
		taken, err := x.try(fmt.Sprintf("deliver by %d: %v", s.id, next.Zxid), x.m.Delivers(s.id, next.Txn))
		if err != nil || !taken {
			return changed, err
		}
		changed = true
		x.trees[s.id] = append(x.trees[s.id], next.Zxid)
		x.known[next.Zxid] = true
		if _, err := x.try("commit", x.m.Commits(s.id, next.Zxid)); err != nil {
			return true, err
		}
	}
	return changed, nil
}

func (x *explorer) snapshot() (bool, error) {
	s := x.server()
	taken, err := x.durable(s, zab.RecordSnapshot, 0, s.delivered)
	if taken {
		x.snapshots[s.delivered.Zxid] = slices.Clone(x.trees[s.id])
	}
	return taken, err
}

// install makes a snapshot the tree of a server.
func (x *explorer) install() (bool, error) {
	s := x.server()
	t := s.history.at(x.pick(s.history.last().place + 1))
	file, found := x.snapshots[t.Zxid]
	if !found {
		return false, nil
	}
	taken, err := x.try(fmt.Sprintf("install by %d: %v", s.id, t.Zxid), x.m.Installs(s.id, t.Zxid))
	if !taken || err != nil {
		return taken, err
	}
	if before := x.trees[s.id]; len(file) < len(before) {
		return true, &Broken{"monotony", fmt.Sprintf("%d showed %v, now %v", s.id, before, file)}
	}
	x.trees[s.id] = slices.Clone(file)
	return true, nil
}

func (x *explorer) restart() (bool, error) {
	s := x.server()
	x.m.Restarts(s.id)
	delete(x.trees, s.id)
	return x.try(fmt.Sprintf("restart by %d", s.id), nil)
}

// wipe empties a disk, if no other voter has lost its own and not recovered. What was promised and is
// not decided counts as never said, so no message that names it is under way.
func (x *explorer) wipe() (bool, error) {
	s := x.server()
	for _, id := range x.m.ensemble.Voters() {
		if x.m.servers[id].forgetful && id != s.id {
			return false, nil
		}
	}
	x.m.Wiped(s.id)
	delete(x.trees, s.id)
	return x.try(fmt.Sprintf("wipe by %d", s.id), nil)
}

// properties are those that the paper proves, over what was proposed and delivered, each for all txns
// and all servers. (With "there are" for "for all", two of them say nothing at all.)
func (x *explorer) properties() error {
	for i, a := range x.all {
		for _, b := range x.all[i+1:] {
			n := min(len(x.trees[a]), len(x.trees[b]))
			if !slices.Equal(x.trees[a][:n], x.trees[b][:n]) {
				return &Broken{"total order", fmt.Sprintf("%d delivered %v, %d delivered %v", a, x.trees[a], b, x.trees[b])}
			}
		}
		if err := x.order(a); err != nil {
			return err
		}
	}
	for z := range x.known {
		if t := x.m.txns[z]; !x.m.canon.has(t) {
			return &Broken{"integrity", fmt.Sprintf("%v was delivered and is not committed", z)}
		}
		for e, proposals := range x.proposed {
			if e > z.Epoch() && len(proposals) > 0 && !x.m.epochs[e].initial.has(x.m.txns[z]) {
				return &Broken{"primary integrity", fmt.Sprintf("the leader of %d proposes without %v", e, z)}
			}
		}
	}
	return nil
}

// order judges the deliveries of one server.
func (x *explorer) order(s zab.ServerID) error {
	places := make(map[zab.Zxid]int)
	for i, z := range x.trees[s] {
		if _, twice := places[z]; twice || !slices.Contains(x.proposed[z.Epoch()], z) {
			return &Broken{"integrity", fmt.Sprintf("%d delivers %v, twice or never proposed", s, z)}
		}
		places[z] = i
	}
	for b, at := range places {
		for _, a := range x.proposed[b.Epoch()] {
			if i, delivered := places[a]; a < b && (!delivered || i > at) {
				return &Broken{"local primary order", fmt.Sprintf("%d delivers %v and not %v before it", s, b, a)}
			}
		}
		for a, i := range places {
			if a.Epoch() < b.Epoch() && i > at {
				return &Broken{"global primary order", fmt.Sprintf("%d delivers %v before %v", s, b, a)}
			}
		}
	}
	return nil
}

// uniform draws from [0, n) with equal chances, which rapid's ranges do not: they prefer small
// numbers, and here each number is another step.
func uniform(t *rapid.T) func(int) int {
	bit := rapid.Bool()
	return func(n int) int {
		for {
			v := 0
			for range bits.Len(uint(n - 1)) {
				v <<= 1
				if bit.Draw(t, "bit") {
					v |= 1
				}
			}
			if v < n {
				return v
			}
		}
	}
}

// Whatever steps are taken, all that the paper proves holds.
func TestZabIsSafe(t *testing.T) {
	took := make(map[string]int)
	rapid.Check(t, func(t *rapid.T) {
		x := newExplorer(uniform(t))
		for range 300 {
			if err := x.step(); err != nil {
				t.Fatalf("%v\nafter\n%s", err, strings.Join(x.path, "\n"))
			}
		}
		for kind, n := range x.took {
			took[kind] += n
		}
	})
	t.Log(took)
	for _, kind := range []string{
		"AcceptedEpoch", "CurrentEpoch", "Txn", "Truncate", "Install", "Abandon", "Snapshot",
		"lead", "propose", "deliver", "commit", "install", "restart", "wipe",
	} {
		require.Positive(t, took[kind], kind)
	}
}

// explore runs the model on many seeds and returns the first thing that broke, and the steps to it.
func explore(seeds, steps int, waived ...guard) (path []string, err error) {
	for seed := range seeds {
		x := newExplorer(rand.New(rand.NewPCG(uint64(seed), 1)).IntN, waived...)
		for range steps {
			if err := x.step(); err != nil {
				return x.path, err
			}
		}
	}
	return nil, nil
}

// idle are the guards that nothing breaks without, as far as these steps go.
var idle = map[guard]string{
	promiseNext:       "epochs need an order, not to be numbered without gaps",
	leadVoter:         "its own promise does not count, and those of a quorum make it as recent as any",
	leadPromised:      "it cannot propose before it has adopted the epoch, and cannot adopt what it has not promised",
	leadNew:           "an epoch that was adopted was led: leadOnce says as much",
	leadHistory:       "a question to the server that leads: does it know what it has",
	truncateToInitial: "a dead branch may be removed bit by bit, the rest goes later (L5)",
	adoptPromised:     "takes too long a story to be found by chance: see TestStories",
	adoptExact:        "takes too long a story to be found by chance: see TestStories",
	deliverAdopted:    "takes too long a story to be found by chance: see TestStories",
	adoptNew:          "adopting twice changes nothing",
	proposeLeader:     "whoever gives a proposal its place, an epoch has one sequence of them, as the state says",
	commitCanon:       "a question to the server that says so",
	snapshotCommitted: "the files of the explorer are made of what was delivered",
}

// always are the guards that cannot be waived, because the state could not be written down then.
var always = []guard{syncLed, installCommitted, installOnce, proposeNext, logged, chained}

// Each guard is there for something: without it exploration finds a state that Zab excludes.
func TestGuardsAreNeeded(t *testing.T) {
	found := 0
	for g := range numGuards {
		if idle[g] != "" || slices.Contains(always, g) {
			continue
		}
		path, err := explore(2000, 300, g)
		t.Logf("without %q: %v (%d steps)", g, err, len(path))
		require.Error(t, err, "without %q nothing breaks", g)
		found++
	}
	require.GreaterOrEqual(t, found, 8)
}
