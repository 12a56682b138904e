package sim

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// condition is a made-up promise: it is broken as long as a plan has all of this.
type condition struct {
	acts               []int64 // their AtUs
	clients, faultUs   int64
	voters, operations int64
	lossy              bool
}

func (c *condition) play(p Plan) *Result {
	r := fine(p)
	for _, at := range c.acts {
		if !slices.ContainsFunc(p.Acts, func(a Act) bool { return a.AtUs == at }) {
			return r
		}
	}
	if int64(p.Clients) >= c.clients && p.FaultUs >= c.faultUs && int64(p.Voters) >= c.voters &&
		int64(p.Operations) >= c.operations && (p.VoteLoss > 0 || !c.lossy) {
		r.Violation = &Violation{Check: "I-TEST", At: 1 << 40}
	}
	return r
}

func (c *condition) draw(t *rapid.T, p *Plan) {
	for i := range p.Acts {
		p.Acts[i].AtUs = int64(i) // distinct
		if rapid.IntRange(0, 5).Draw(t, "needed") == 0 {
			c.acts = append(c.acts, int64(i))
		}
	}
	c.clients = rapid.Int64Range(1, int64(p.Clients)).Draw(t, "clients")
	c.voters = rapid.Int64Range(1, int64(p.Voters)).Draw(t, "voters")
	c.operations = rapid.Int64Range(1, int64(p.Operations)).Draw(t, "operations")
	c.faultUs = rapid.Int64Range(0, p.FaultUs).Draw(t, "faults")
	c.lossy = p.VoteLoss > 0 && rapid.Bool().Draw(t, "lossy")
}

// Whatever is needed for the failure stays, and nothing else.
func TestShrinkProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plan := Draw(rapid.Uint64().Draw(t, "seed"), Limits{Voters: [2]int{1, 7}})
		plan.Groups, plan.Weights = false, nil // groups need voters
		var c condition
		c.draw(t, &plan)
		original := plan.Clone()
		runs := 0
		s := shrinker{
			best: plan.Clone(), want: "I-TEST", over: func() bool { return false },
			play: func(p Plan) *Result { runs++; return c.play(p) },
		}
		s.report = func(p Plan) {
			require.NotNil(t, c.play(p).Violation)
			require.Equal(t, s.best, p)
		}
		s.shrink()
		require.Equal(t, original, plan, "the plan that it began with is untouched")
		var acts []int64
		for _, a := range s.best.Acts {
			acts = append(acts, a.AtUs)
		}
		require.Equal(t, c.acts, acts)
		require.EqualValues(t, c.clients, s.best.Clients)
		require.EqualValues(t, c.voters, s.best.Voters)
		require.Zero(t, s.best.Observers)
		require.GreaterOrEqual(t, s.best.FaultUs, c.faultUs)
		// What could not be spared last was less than 2/step of the rest.
		require.LessOrEqual(t, s.best.FaultUs, c.faultUs+c.faultUs/(step/2-1)+1)
		require.LessOrEqual(t, int64(s.best.Operations), c.operations+c.operations/(step/2-1)+1)
		require.Equal(t, c.lossy, s.best.VoteLoss > 0)
		require.Zero(t, s.best.VoteTwice+s.best.Hiccups+s.best.HalfOpen+s.best.PartialTurns)
		require.Less(t, runs, 2500)
	})
}

// What is no failure, or another one, or cannot be tried, stays as it is.
func TestShrinkLeavesAlone(t *testing.T) {
	plan, runs := Draw(1, Limits{}), 0
	count := func(p Plan) *Result { runs++; return fails(p, 1) }
	for want, tries := range map[string]int{"C-MONO": 1, Hang: 0} {
		s := shrinker{best: plan.Clone(), want: want, over: func() bool { return false }, play: count}
		runs = 0
		s.shrink()
		require.Equal(t, tries, runs, want)
		require.Equal(t, plan, s.best)
	}
}

// Another panic is another failure.
func TestShrinkPanic(t *testing.T) {
	s := shrinker{best: Draw(1, Limits{}), want: "panic", over: func() bool { return false }, play: func(p Plan) *Result {
		r := fine(p)
		r.Violation = &Violation{Check: "panic", Text: "first\nstack"}
		if p.Clients < 3 {
			r.Violation.Text = "second\nstack"
		}
		return r
	}}
	s.best.Clients = 6
	s.shrink()
	require.Equal(t, 3, s.best.Clients)
}

// When the time is over, the best so far is the answer.
func TestShrinkBudget(t *testing.T) {
	plan, runs := Draw(3, Limits{Faults: []string{"power", "snapshot"}}), 0
	s := shrinker{
		best: plan.Clone(), want: "I-TEST", over: func() bool { return runs >= 2 },
		play: func(p Plan) *Result { runs++; return fails(p, 3) },
	}
	s.shrink()
	require.Equal(t, 2, runs)
	require.NotEmpty(t, plan.Acts)
	plan.Acts = plan.Acts[:0]
	require.Equal(t, plan, s.best)
}

// unservable is a plan whose network is slower than what its servers wait for: nobody is ever
// elected, which breaks L-JOIN.
func unservable() Plan {
	p := Draw(1, Limits{Voters: [2]int{3, 3}, Observers: -1, Faults: []string{"kill"}, FaultUs: 1_000_000})
	p.LatencyUs = [2]int64{3_000_000, 4_000_000}
	return p
}

// A real failure, which needs none of its acts.
func TestShrinkRuns(t *testing.T) {
	plan := unservable()
	require.NotEmpty(t, plan.Acts)
	var last Plan
	small := Shrink(plan, "L-JOIN", time.Minute, func(p Plan) { last = p })
	require.Equal(t, last, small)
	require.Empty(t, small.Acts)
	require.Equal(t, 1, small.Clients)
	require.Equal(t, 2, small.Voters, "one would serve alone")
	require.Equal(t, "L-JOIN", Run(small, nil).Violation.Check)
}
