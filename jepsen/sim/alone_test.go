package sim_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/jepsen/check"
	"quoll/jepsen/sim"
)

// What clients alone can prove of good runs is nothing: the histories of simulated runs are judged as if
// nobody had seen the committed sequence.
func TestNoFalseAlarmWithoutCommits(t *testing.T) {
	limits := check.DefaultLimits
	limits.Moves = false
	for seed := uint64(1); seed <= 50; seed++ {
		h := sim.Run(sim.Draw(seed, sim.Limits{}), nil).History
		h.Commits = nil
		for _, v := range check.AllWithin(h, limits) {
			require.True(t, v.Undecided, "seed %d: %s at %d: %s", seed, v.Check, v.At.At, v.Text)
		}
	}
}
