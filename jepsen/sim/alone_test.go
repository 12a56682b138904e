package sim_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/jepsen/check"
	"quoll/jepsen/history"
	"quoll/jepsen/sim"
	"quoll/transport/wire"
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

// The same histories with a fault planted are no good ones: a read shows what nobody wrote, an event comes twice.
func TestPlantedFaultsShowWithoutCommits(t *testing.T) {
	limits := check.DefaultLimits
	limits.Moves = false
	planted, caught := map[string]int{}, map[string]int{}
	for seed := uint64(1); seed <= 30; seed++ {
		h := sim.Run(sim.Draw(seed, sim.Limits{}), nil).History
		h.Commits = nil
		judge := func(fault, name string) {
			planted[fault]++
			if slices.ContainsFunc(check.AllWithin(h, limits), func(v check.Violation) bool { return v.Check == name }) {
				caught[fault]++
			}
		}
		read := slices.IndexFunc(h.Ops, func(o history.Operation) bool {
			return o.Op.Kind == wire.OpGetData && o.Known() && o.Result.Code == wire.OK
		})
		if read >= 0 {
			right := h.Ops[read].Result.Data
			h.Ops[read].Result.Data = []byte("nobody's")
			judge("data", "C-READ")
			h.Ops[read].Result.Data = right
		}
		if len(h.Events) > 0 && h.Events[0].Zxid > 0 {
			h.Events = slices.Insert(h.Events, 1, h.Events[0])
			judge("event", "C-WATCH2")
		}
	}
	require.Greater(t, planted["data"], 10)
	require.Greater(t, planted["event"], 3)
	require.Equal(t, planted, caught)
}
