package sim

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every plan that is drawn can be kept in a file.
func TestPlanFile(t *testing.T) {
	for seed := range uint64(300) {
		plan := Draw(seed, Limits{})
		var b bytes.Buffer
		require.NoError(t, WritePlan(&b, &plan))
		back, err := ReadPlan(&b)
		require.NoError(t, err, "seed %d", seed)
		require.Equal(t, plan, back)
	}
}

// What is wrong with a file is said, all of it.
func TestPlanFileFaults(t *testing.T) {
	_, err := ReadPlan(strings.NewReader(`{"voters": 3, "votters": 3}`))
	require.EqualError(t, err, `read a plan: json: unknown field "votters"`)

	plan := Draw(1, Limits{})
	plan.Voters, plan.Clients, plan.Workload, plan.FaultUs, plan.TickUs = 20, 0, "juggling", -1, 10
	plan.Observers, plan.DriftUs = 9, []int64{-10}
	plan.Checks = []string{"I-ACK", "I-NACK"}
	plan.Acts = []Act{{Do: "earthquake"}, {Do: "kill", AtUs: -1}}
	var b bytes.Buffer
	require.NoError(t, WritePlan(&b, &plan))
	_, err = ReadPlan(&b)
	for _, want := range []string{
		"voters 20, observers 9", "clients 0", `workload "juggling"`, "fault_us -1", "tick_us 10", "drift_us has 1 entries for 29 servers",
		"drift_us -10", `checks: there is no "I-NACK"`, `acts[0]: there is no act "earthquake"`, "acts[1]: at_us -1",
	} {
		require.ErrorContains(t, err, want)
	}
}

// Whatever is read can be written, and is the same then.
func FuzzReadPlan(f *testing.F) {
	for seed := range uint64(3) {
		plan := Draw(seed, Limits{})
		var b bytes.Buffer
		require.NoError(f, WritePlan(&b, &plan))
		f.Add(b.Bytes())
	}
	f.Add([]byte(`{"voters":`))
	f.Fuzz(func(t *testing.T, text []byte) {
		plan, err := ReadPlan(bytes.NewReader(text))
		if err != nil {
			return
		}
		var b bytes.Buffer
		require.NoError(t, WritePlan(&b, &plan))
		again, err := ReadPlan(&b)
		require.NoError(t, err)
		require.Equal(t, plan, again)
	})
}

// The plans of testdata/plans are runs that have failed once, as --shrink left them; docs/TESTING.md says what was
// wrong. They must never fail again. A plan finds its bug as long as the order of events stays, so each
// bug has a test of its own too, and where it could be put back it is a mutant.
func TestPlansThatFailed(t *testing.T) {
	names, err := filepath.Glob("testdata/plans/*.plan.json")
	require.NoError(t, err)
	require.NotEmpty(t, names)
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".plan.json"), func(t *testing.T) {
			text, err := os.ReadFile(name)
			require.NoError(t, err)
			plan, err := ReadPlan(bytes.NewReader(text))
			require.NoError(t, err)
			res := Run(plan, nil)
			require.Nil(t, res.Violation)
			require.Positive(t, res.Commits)
			require.Equal(t, res.Hash, Run(plan, nil).Hash)
		})
	}
}
