package zab_test

import (
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quoll/zab"
	"quoll/zab/zabtest"
)

// chaos drives an ensemble through random events under an oracle that elects whom it likes. The
// Checker looks at everything after each of them.
type chaos struct {
	t       *rapid.T
	env     *zabtest.Env
	weights []int // of the events
	n       int   // txns and barriers so far
}

// TestChaos is the test to trust: safety under any order of deliveries, syncs, crashes, power
// cuts, broken links and wrong elections (R24), then convergence once the faults end.
func TestChaos(t *testing.T) {
	seen := make(map[string]int)
	for name, ensembles := range map[string][]zabtest.Options{
		"majority":  {{Voters: 3}, {Voters: 3}, {Voters: 4}, {Voters: 5}},
		"few":       {{Voters: 1}, {Voters: 2}, {Voters: 3}},
		"observers": {{Voters: 1, Observers: 1}, {Voters: 3, Observers: 1}, {Voters: 3, Observers: 2}},
		"groups": {{
			Voters: 5, Groups: map[int][]zab.ServerID{1: {1, 2}, 2: {3}, 3: {4, 5}},
			Weights: map[zab.ServerID]int{1: 2, 5: 0},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { runChaos(t, ensembles, seen) })
		})
	}
	t.Log(seen)
	// A random test that does not get somewhere tests nothing there.
	for _, what := range []string{
		"Diff", "Trunc", "Snap", "installed", "refused AckEpoch",
		"counter exhausted", "barrier answered", "Inform", "Commit", "delivered",
	} {
		require.Positive(t, seen[what], what)
	}
}

func runChaos(t *rapid.T, ensembles []zabtest.Options, seen map[string]int) {
	c := &chaos{t: t}
	opts := ensembles[c.pick("ensemble", len(ensembles))]
	opts.Init, opts.Sync, opts.Ping = 30, 10, 3
	opts.MaxCounter = []uint64{0, 3, 10}[c.pick("max counter", 3)]
	opts.WindowBytes = []int{1, 200, 0}[c.pick("window", 3)]
	opts.ReleaseBeforeDurable = c.pick("release first", 2) == 1
	c.env = zabtest.New(opts)
	for _, ev := range events {
		factors := []int{0, 1, 1, 3}
		if ev.needed {
			factors[0] = 1
		}
		c.weights = append(c.weights, ev.weight*factors[c.pick("weight", 4)])
	}
	var trace strings.Builder
	if testing.Verbose() {
		c.env.Trace(&trace)
		defer func() {
			if c.env.Err() != nil {
				t.Log(trace.String())
			}
		}()
	}
	for _, s := range c.env.Servers() {
		c.env.Start(s, false)
	}
	for range 500 + c.pick("steps", 2500) {
		c.step()
		require.NoError(t, c.env.Err())
	}
	require.NoError(t, c.env.Converge())
	for what, n := range c.env.Seen() {
		seen[what] += n
	}
	for what, n := range c.env.Situations() {
		seen[what] += n
	}
}

// events are what may happen. Each run draws its own weights, 0 among them for what is not needed:
// runs that differ in kind find more than runs that differ in order.
var events = [...]struct {
	weight int
	needed bool
	do     func(*chaos)
}{
	{30, true, (*chaos).deliver},
	{12, true, (*chaos).sync},
	{10, true, (*chaos).propose},
	{8, false, (*chaos).batch},
	{4, true, (*chaos).honest},
	{2, false, (*chaos).oracle},
	{6, true, (*chaos).connect},
	{5, false, func(c *chaos) { c.env.Run() }},
	{3, false, (*chaos).tick},
	{3, false, (*chaos).crash},
	{4, true, (*chaos).restart},
	{2, false, (*chaos).links},
	{2, false, (*chaos).isolate},
	{2, false, (*chaos).strand},
	{6, false, (*chaos).snapshot},
	{4, false, (*chaos).barrier},
}

// uniform draws from [0, n). The ranges of rapid prefer small numbers, which is right for sizes;
// here each number is a different event.
func uniform(n int) *rapid.Generator[int] {
	return rapid.Custom(func(t *rapid.T) int {
		for {
			v := 0
			for range bits.Len(uint(n - 1)) {
				v <<= 1
				if rapid.Bool().Draw(t, "bit") {
					v |= 1
				}
			}
			if v < n {
				return v
			}
		}
	})
}

func (c *chaos) pick(what string, n int) int {
	if n <= 1 {
		return 0
	}
	return uniform(n).Draw(c.t, what)
}

func (c *chaos) server() *zabtest.Server {
	return c.env.Servers()[c.pick("server", len(c.env.Servers()))]
}

// step lets one thing happen.
func (c *chaos) step() {
	total := 0
	for _, w := range c.weights {
		total += w
	}
	n := c.pick("event", max(total, 1))
	for i, w := range c.weights {
		if n -= w; n < 0 {
			events[i].do(c)
			return
		}
	}
}

// deliver lets some messages of one link arrive. Where a phase ends, or a history is being
// changed, it likes to break the link just then.
func (c *chaos) deliver() {
	links := c.env.Links()
	if len(links) == 0 {
		return
	}
	l := links[c.pick("link", len(links))]
	end := c.pick("end", 2)
	for range 1 + c.pick("messages", 4) {
		kind := l.Next(end)
		c.env.Deliver(l, end)
		switch kind {
		case zab.Snap, zab.Trunc:
			if c.pick("break", 3) == 0 {
				c.env.Break(l)
			}
		case zab.NewLeader, zab.LeaderInfo, zab.UpToDate:
			if c.pick("break", 12) == 0 {
				c.env.Break(l)
			}
		default:
		}
	}
}

func (c *chaos) sync() {
	s := c.server()
	if from, to := s.Unsynced(); to > from {
		c.env.Sync(s, from+1+c.pick("records", to-from))
	}
	if c.pick("report", 2) == 1 {
		c.env.Report(c.server())
	}
}

func (c *chaos) propose() {
	for _, s := range c.env.Servers() {
		if s.Peer != nil && s.Peer.Role() == zab.Leading && s.Peer.Serving() {
			c.proposeAt(s)
		}
	}
}

func (c *chaos) proposeAt(s *zabtest.Server) {
	if s.Peer.Role() != zab.Leading || !s.Peer.Serving() {
		return
	}
	var data []string
	for range 1 + c.pick("txns", 3) {
		c.n++
		data = append(data, strconv.Itoa(c.n))
	}
	c.env.Propose(s, data...)
}

// batch is a turn with several inputs: messages from several links, proposals, the disk's word.
func (c *chaos) batch() {
	s := c.server()
	if s.Peer == nil {
		return
	}
	c.env.Batch(s, func() {
		for range 1 + c.pick("inputs", 6) {
			switch links := c.env.Links(); c.pick("input", 6) {
			case 0:
				c.proposeAt(s)
			case 1:
				if from, to := s.Unsynced(); to > from {
					c.env.Sync(s, from+1+c.pick("records", to-from))
				}
			case 2:
				c.env.Tick(s)
			default:
				if len(links) == 0 {
					continue
				}
				l := links[c.pick("link", len(links))]
				for n := c.pick("messages", 4); n >= 0 && l.Open(s) >= 0; n-- {
					c.env.Deliver(l, l.Open(s))
				}
			}
		}
	})
}

func (c *chaos) connect() {
	for _, s := range c.env.Servers() {
		if c.pick("connect", 2) == 1 {
			c.env.Connect(s)
		}
	}
}

func (c *chaos) honest() { c.env.Elect() }

// oracle decides for anybody and tells one server.
func (c *chaos) oracle() {
	s, leader := c.server(), c.server()
	switch {
	case s.Peer == nil || s.Peer.Role() != zab.Looking:
	case s == leader && c.env.Ensemble().Electable(s.ID):
		c.env.Lead(s)
	case s != leader && c.env.Ensemble().IsVoter(leader.ID):
		c.env.Follow(s, leader)
	}
}

// isolate cuts one server off, with what it has under way, or lets all talk again. It does not
// notice by itself; others may elect another leader meanwhile.
func (c *chaos) isolate() {
	s := c.server()
	for _, other := range c.env.Servers() {
		switch {
		case c.env.IsCut(s, other):
			c.env.Heal(s, other)
		case s != other:
			c.env.Cut(s, other)
		}
	}
}

// strand makes a dead branch possible: a leader logs a txn and loses some links, or its power,
// before the others have it.
func (c *chaos) strand() {
	for _, s := range c.env.Servers() {
		if s.Peer == nil || s.Peer.Role() != zab.Leading || !s.Peer.Serving() {
			continue
		}
		c.proposeAt(s)
		if _, to := s.Unsynced(); c.pick("synced", 2) == 1 {
			c.env.Sync(s, to)
		}
		for _, l := range slices.Clone(c.env.Links()) {
			if l.Open(s) >= 0 && c.pick("break", 4) > 0 {
				c.env.Break(l)
			}
		}
		if c.pick("crash", 2) == 1 {
			c.env.Crash(s, 0)
		}
	}
}

func (c *chaos) tick() {
	s := c.server()
	for range 1 + c.pick("ticks", 12) {
		if s.Peer != nil {
			c.env.Tick(s)
		}
	}
}

// crash kills a process or cuts its power, with any part of what was not synced on disk.
func (c *chaos) crash() {
	s := c.server()
	from, to := s.Unsynced()
	c.env.Crash(s, from+c.pick("kept", to-from+1))
}

func (c *chaos) restart() {
	for _, s := range c.env.Servers() {
		if s.Peer == nil {
			c.env.Start(s, false)
			return
		}
	}
}

func (c *chaos) links() {
	a, b := c.server(), c.server()
	switch {
	case a == b:
		if a.Peer != nil {
			c.env.Abdicate(a)
		}
	case c.env.IsCut(a, b):
		c.env.Heal(a, b)
	default:
		c.env.Cut(a, b)
	}
}

func (c *chaos) snapshot() {
	if s := c.server(); s.Peer != nil {
		c.env.Snapshot(s, c.pick("purge", 4) > 0)
	}
}

func (c *chaos) barrier() {
	if s := c.server(); s.Peer != nil {
		c.n++
		c.env.Barrier(s, uint64(c.n))
	}
}
