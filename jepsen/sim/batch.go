package sim

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// Batch says which seeds to run. Runs share nothing: several go on at once, each in a goroutine of
// its own.
type Batch struct {
	From, To    uint64 // the first seed and the last
	Limits      Limits
	Workers     int           // runs at once; 0: as many as there are processors
	For         time.Duration // no run begins later than this; 0: all of them begin
	StopAtFirst bool          // the batch ends with the lowest seed that fails

	// Progress, if set, is told of each run, in the order of the seeds and from one goroutine.
	Progress func(p Progress)

	// Replaced by tests.
	play func(p Plan) *Result
	hung time.Duration
}

// Progress is how far a batch has come.
type Progress struct {
	Of      uint64   // seeds of the batch
	Sum     *Summary // of all runs so far; only to be read, during the call
	Failure *Failure // of the newest run, if it failed
}

// Failure is a run that broke a promise.
type Failure struct {
	Plan      Plan       `json:"plan"`
	Violation *Violation `json:"violation"`
}

// Summary is what came of a batch. It depends on the seeds alone, and not on which run ended first:
// runs are added in the order of their seeds, without gaps.
type Summary struct {
	Seeds     uint64        `json:"seeds"` // that were run
	VirtualUs int64         `json:"virtual_us"`
	Wall      time.Duration `json:"wall_ns"`
	Steps     int64         `json:"steps"`
	Ops       int64         `json:"ops"`
	Commits   int64         `json:"commits"`
	Hash      uint64        `json:"hash"` // of the hashes of all runs
	Failures  []Failure     `json:"failures,omitempty"`
	Cover     Coverage      `json:"cover"`
}

// HangTime is how long a run may take of real time. A run takes a fraction of a second, so one that
// takes longer turns in a circle without its virtual time going on.
const HangTime = 60 * time.Second

// The Checks of runs that did not come to an end.
const (
	Hang     = "hang"  // given up after HangTime
	panicked = "panic" // the Text is what it said, and where
)

// mostHangs ends a batch: goroutines that turn in circles cannot be ended from outside, and take the
// processors away from the runs that follow.
const mostHangs = 4

// played is the end of one run.
type played struct {
	plan   Plan
	result *Result // without its history
}

// RunBatch plays the plans of all seeds of b, until they are done, ctx ends, or b's own limits say
// so. Runs that have begun are always finished.
func RunBatch(ctx context.Context, b Batch) *Summary {
	if b.play == nil {
		b.play = func(p Plan) *Result { return Run(p, nil) }
	}
	if b.hung == 0 {
		b.hung = HangTime
	}
	if b.Workers <= 0 {
		b.Workers = runtime.GOMAXPROCS(0)
	}
	begin := time.Now()
	if b.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, b.For)
		defer cancel()
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	sum := &Summary{Cover: Coverage{}}
	waiting := map[uint64]played{} // for a run of a lower seed
	next, over, hangs := b.From, false, 0
	for p := range b.spread(ctx) {
		if p.result.Violation != nil && p.result.Violation.Check == Hang {
			hangs++
		}
		if hangs >= mostHangs || b.StopAtFirst && p.result.Violation != nil {
			stop()
		}
		waiting[p.plan.Seed] = p
		for r, ok := waiting[next]; ok && !over; r, ok = waiting[next] {
			delete(waiting, next)
			next++
			sum.Wall = time.Since(begin)
			failure := sum.add(&r)
			over = b.StopAtFirst && failure != nil
			if b.Progress != nil {
				b.Progress(Progress{Of: b.To - b.From + 1, Sum: sum, Failure: failure})
			}
		}
	}
	sum.Wall = time.Since(begin)
	return sum
}

// spread gives seeds out to workers, in order, and returns the ends of their runs, in any. As no
// seed is given out after ctx has ended and none is given back, those that were run have no gap.
func (b *Batch) spread(ctx context.Context) <-chan played {
	seeds, ends := make(chan uint64), make(chan played)
	go func() {
		defer close(seeds)
		for seed := b.From; ; seed++ {
			if ctx.Err() != nil {
				return
			}
			select {
			case <-ctx.Done():
				return
			case seeds <- seed:
			}
			if seed == b.To {
				return
			}
		}
	}()
	var workers sync.WaitGroup
	for range b.Workers {
		workers.Go(func() {
			for seed := range seeds {
				plan := Draw(seed, b.Limits)
				ends <- played{plan, watched(plan, b.play, b.hung)}
			}
		})
	}
	go func() {
		workers.Wait()
		close(ends)
	}()
	return ends
}

// watched plays a plan in a goroutine of its own, and gives it up after some time: the goroutine goes
// on and what comes of it is lost. It keeps no history, which is most of a result.
func watched(plan Plan, play func(Plan) *Result, limit time.Duration) *Result {
	end := make(chan *Result, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil { // Run recovers; this is a plan that it cannot even begin
				end <- failed(plan, panicked, fmt.Sprintf("%v\n%s", p, debug.Stack()))
			}
		}()
		r := play(plan)
		r.History = nil
		end <- r
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case r := <-end:
		return r
	case <-timer.C:
		return failed(plan, Hang, fmt.Sprintf("the run is not over after %v of real time", limit))
	}
}

func failed(plan Plan, check, text string) *Result {
	return &Result{Seed: plan.Seed, Violation: &Violation{Check: check, Text: text}}
}

// add takes the next run into the summary, and returns its failure if it is one.
func (s *Summary) add(p *played) *Failure {
	r := p.result
	s.Seeds++
	s.VirtualUs += r.VirtualUs
	s.Steps += r.Steps
	s.Ops += int64(r.Ops)
	s.Commits += int64(r.Commits)
	s.Hash = (s.Hash ^ r.Hash) * 1099511628211
	s.Cover.Merge(r.Cover)
	if r.Violation == nil {
		return nil
	}
	s.Failures = append(s.Failures, Failure{Plan: p.plan, Violation: r.Violation})
	return &s.Failures[len(s.Failures)-1]
}
