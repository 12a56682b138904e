package sim

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// fine is a run without a fault of its own.
func fine(p Plan) *Result {
	return &Result{Seed: p.Seed, Hash: p.Seed * 7, VirtualUs: 10, Steps: 3, Ops: 2, Commits: 1, Cover: Coverage{"seen": 1}}
}

// fails makes some seeds break a promise.
func fails(p Plan, seeds ...uint64) *Result {
	r := fine(p)
	for _, seed := range seeds {
		if p.Seed == seed {
			r.Violation = &Violation{Check: "I-TEST", Text: "broken", At: 5}
		}
	}
	return r
}

// What a batch finds does not depend on which run ended first.
func TestBatchOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []uint64
		b := Batch{
			From: 11, To: 30, Workers: 4, Limits: Limits{Voters: [2]int{3, 3}},
			Progress: func(p Progress) {
				require.EqualValues(t, 20, p.Of)
				require.Equal(t, p.Failure != nil, len(told) == 4 || len(told) == 16)
				told = append(told, p.Sum.Seeds)
			},
			play: func(p Plan) *Result {
				<-time.After(time.Duration(p.Seed*37%11) * time.Second)
				require.Equal(t, 3, p.Voters)
				return fails(p, 15, 27)
			},
		}
		sum := RunBatch(t.Context(), b)
		require.Len(t, told, 20)
		require.IsIncreasing(t, told)
		require.Positive(t, sum.Wall)
		require.EqualValues(t, 20, sum.Seeds)
		require.EqualValues(t, 200, sum.VirtualUs)
		require.EqualValues(t, 40, sum.Ops)
		require.Equal(t, Coverage{"seen": 20}, sum.Cover)
		require.Len(t, sum.Failures, 2)
		require.EqualValues(t, 15, sum.Failures[0].Plan.Seed)
		require.Equal(t, "I-TEST", sum.Failures[1].Violation.Check)

		told, b.Workers = nil, 1
		alone := RunBatch(t.Context(), b)
		alone.Wall = sum.Wall
		require.Equal(t, sum, alone)
	})
}

// The first failure is that of the lowest seed, also when a higher one fails before it.
func TestBatchStopsAtFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sum := RunBatch(t.Context(), Batch{
			From: 1, To: 1000, Workers: 5, StopAtFirst: true,
			play: func(p Plan) *Result {
				if p.Seed == 3 {
					<-time.After(time.Second)
				}
				return fails(p, 3, 5)
			},
		})
		require.EqualValues(t, 3, sum.Seeds)
		require.Len(t, sum.Failures, 1)
		require.EqualValues(t, 3, sum.Failures[0].Plan.Seed)
		require.Equal(t, Coverage{"seen": 3}, sum.Cover)
	})
}

// A run that does not end is a failure, and the others go on.
func TestBatchHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := make(chan struct{})
		defer close(never)
		sum := RunBatch(t.Context(), Batch{From: 1, To: 9, Workers: 2, play: func(p Plan) *Result {
			if p.Seed == 2 {
				<-never
			}
			return fine(p)
		}})
		require.EqualValues(t, 9, sum.Seeds)
		require.Len(t, sum.Failures, 1)
		require.EqualValues(t, 2, sum.Failures[0].Plan.Seed)
		require.Equal(t, &Violation{Check: Hang, Text: "the run is not over after 1m0s of real time"}, sum.Failures[0].Violation)
		require.GreaterOrEqual(t, sum.Wall, HangTime)
	})
}

// Runs that never end use processors up: after some of them a batch is over.
func TestBatchManyHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := make(chan struct{})
		defer close(never)
		sum := RunBatch(t.Context(), Batch{From: 1, To: 1000, Workers: 1, play: func(Plan) *Result {
			<-never
			return nil
		}})
		require.Len(t, sum.Failures, int(sum.Seeds))
		require.LessOrEqual(t, sum.Seeds, uint64(mostHangs+1))
		require.GreaterOrEqual(t, sum.Seeds, uint64(mostHangs))
	})
}

// A batch begins no run after its time, nor after it was interrupted, and finishes those that it began.
func TestBatchEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := uint64(0)
		b := Batch{From: 0, To: 1 << 40, Workers: 1, For: 10*time.Second + time.Millisecond, play: func(p Plan) *Result {
			<-time.After(time.Second)
			ended++
			return fine(p)
		}}
		require.EqualValues(t, 11, RunBatch(t.Context(), b).Seeds)
		require.EqualValues(t, 11, ended)

		ctx, cancel := context.WithCancel(t.Context())
		b.For, ended = 0, 0
		b.Progress = func(p Progress) {
			if p.Sum.Seeds == 4 {
				cancel()
			}
		}
		require.Equal(t, ended, RunBatch(ctx, b).Seeds)
		require.LessOrEqual(t, ended, uint64(6))
		b.Progress = nil
		require.Zero(t, RunBatch(ctx, b).Seeds)
	})
}

// A plan that no run can begin with is a failure of its seed, and not the end of the program.
func TestBatchPanic(t *testing.T) {
	sum := RunBatch(t.Context(), Batch{From: 1, To: 3, play: func(p Plan) *Result {
		if p.Seed == 2 {
			panic("no ensemble")
		}
		return fine(p)
	}})
	require.Len(t, sum.Failures, 1)
	require.Equal(t, "panic", sum.Failures[0].Violation.Check)
	require.Contains(t, sum.Failures[0].Violation.Text, "no ensemble")
}

// Real runs, at once and one after another.
func TestBatchRuns(t *testing.T) {
	b := Batch{From: 1, To: 6, Workers: 1, Limits: Limits{Voters: [2]int{3, 3}, FaultUs: 500_000}}
	alone := RunBatch(t.Context(), b)
	b.Workers = 3
	together := RunBatch(t.Context(), b)
	require.EqualValues(t, 6, alone.Seeds)
	require.NotZero(t, alone.Ops)
	alone.Wall = together.Wall
	for _, sum := range []*Summary{alone, together} {
		for i := range sum.Failures {
			sum.Failures[i].Violation.Text = "" // of a panic: addresses
		}
	}
	require.Equal(t, alone, together)
}
