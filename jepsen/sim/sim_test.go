package sim_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/jepsen/sim"
)

// The same plan gives the same run, event by event.
func TestSameSeedSameRun(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		plan := sim.Draw(seed, sim.Limits{})
		first, second := sim.Run(plan, nil), sim.Run(plan, nil)
		require.Equal(t, first.Hash, second.Hash, "seed %d", seed)
		require.Equal(t, first.Steps, second.Steps, "seed %d", seed)
		require.Equal(t, first.Cover, second.Cover, "seed %d", seed)
	}
}
