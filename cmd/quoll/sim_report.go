package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"quoll/jepsen/sim"
)

// simReport performs runs of the simulator and tells of them.
type simReport struct {
	*simCmd
	*console
	shown  time.Time // when progress was told last
	inLine bool      // the cursor is behind a line of progress
	failed error     // the first failure to write
}

// How often progress is told: to a person, and to a file.
const (
	progressLine = 200 * time.Millisecond
	progressText = 30 * time.Second
)

// batch runs many seeds.
func (r *simReport) batch(b sim.Batch) error {
	begin := time.Now()
	r.shown = begin
	if b.Workers == 0 {
		b.Workers = runtime.GOMAXPROCS(0)
	}
	b.Progress = func(p sim.Progress) {
		if p.Failure != nil {
			r.violation(p.Failure, p.Sum.Seeds, "")
		}
		r.progress(&p, b.Workers)
	}
	sum := sim.RunBatch(r.ctx, b)
	r.clearLine()
	if err := r.summary(sum, b.Workers); err != nil {
		return err
	}
	if r.Shrink && len(sum.Failures) > 0 {
		if err := r.shrink(&sum.Failures[0]); err != nil {
			return err
		}
	}
	switch {
	case r.failed != nil:
		return r.failed
	case len(sum.Failures) > 0:
		return fmt.Errorf("%d of %d seeds failed", len(sum.Failures), sum.Seeds)
	case sum.Seeds >= sim.RequiredSeeds && len(sum.Cover.Missing(b.Limits.Required())) > 0:
		return fmt.Errorf("never happened in %d seeds: %s", sum.Seeds, strings.Join(sum.Cover.Missing(b.Limits.Required()), ", "))
	case r.ctx.Err() != nil:
		return r.ctx.Err()
	}
	return nil
}

// one runs a single plan.
func (r *simReport) one(plan sim.Plan) error {
	var recording sim.Recording
	transcript := sim.Transcript{W: r.out}
	var tracer sim.Tracer
	if r.Trace {
		tracer = sim.Tracers{&transcript, &recording}
	}
	begin := time.Now()
	end := make(chan *sim.Result, 1)
	go func() { end <- sim.Run(plan, tracer) }() // apart, since nothing can interrupt it
	var res *sim.Result
	select {
	case res = <-end:
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
	if transcript.Err != nil {
		return transcript.Err
	}
	sum := &sim.Summary{
		Seeds: 1, VirtualUs: res.VirtualUs, Wall: time.Since(begin), Steps: res.Steps, Ops: int64(res.Ops), Commits: int64(res.Commits),
		Hash: res.Hash, Cover: res.Cover,
	}
	if r.Trace {
		if err := r.files(plan, recording.Steps, res); err != nil {
			return err
		}
	}
	if res.Violation != nil {
		sum.Failures = []sim.Failure{{Plan: plan, Violation: res.Violation}}
		r.violation(&sum.Failures[0], 1, r.Plan)
	}
	if err := r.summary(sum, 1); err != nil || res.Violation == nil {
		return err
	}
	if r.Shrink {
		if err := r.shrink(&sum.Failures[0]); err != nil {
			return err
		}
	}
	return fmt.Errorf("seed %d failed: %s", plan.Seed, res.Violation.Check)
}

// files writes the steps of a run in all forms.
func (r *simReport) files(plan sim.Plan, steps []sim.Step, res *sim.Result) error {
	forms := []struct {
		suffix string
		write  func(w io.Writer) error
	}{
		{"jsonl", func(w io.Writer) error { return sim.WriteLines(w, steps) }},
		{"shiviz", func(w io.Writer) error { return sim.WriteShiViz(w, steps) }},
		{"viewer.json", func(w io.Writer) error { return sim.WriteView(w, sim.NewView(plan, steps, res)) }},
	}
	for _, form := range forms {
		path := filepath.Join(r.traces(), fmt.Sprintf("seed-%d.%s", plan.Seed, form.suffix))
		if err := writeFile(path, form.write); err != nil {
			return err
		}
		fmt.Fprintln(r.err, "wrote", path)
	}
	return nil
}

func writeFile(path string, write func(w io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

// shrink reduces a failure and writes its plan.
func (r *simReport) shrink(f *sim.Failure) error {
	if f.Violation.Check == sim.Hang {
		fmt.Fprintln(r.err, "a run that hangs is not reduced: each try would leave another one behind")
		return nil
	}
	begin := time.Now()
	fmt.Fprintf(r.err, "seed %d has %s; reducing it for at most %v\n", f.Plan.Seed, planSize(&f.Plan), r.ShrinkFor)
	small, smaller := f.Plan, make(chan sim.Plan)
	go func() {
		defer close(smaller)
		sim.Shrink(f.Plan, f.Violation.Check, r.ShrinkFor, func(p sim.Plan) {
			select {
			case smaller <- p:
			case <-r.ctx.Done():
			}
		})
	}()
	for more := true; more; {
		var p sim.Plan
		select {
		case p, more = <-smaller:
			if more {
				small = p
				r.line("%s", planSize(&p))
			}
		case <-r.ctx.Done(): // what there is so far is worth keeping
			more = false
		}
	}
	r.clearLine()
	path := filepath.Join(r.Out, fmt.Sprintf("seed-%d.plan.json", f.Plan.Seed))
	if err := writeFile(path, func(w io.Writer) error { return sim.WritePlan(w, &small) }); err != nil {
		return err
	}
	fmt.Fprintf(r.err, "reduced to %s in %v\n  replay: %s\n", planSize(&small), time.Since(begin).Round(time.Millisecond), r.replay(0, path))
	return nil
}

func planSize(p *sim.Plan) string {
	return fmt.Sprintf("%d acts, %d servers, %d clients with %d operations, %.1f s of faults",
		len(p.Acts), p.Voters+p.Observers, p.Clients, p.Operations, float64(p.FaultUs)/1e6)
}

// simFailure is a failure as a line of JSON.
type simFailure struct {
	Seed   uint64 `json:"seed"`
	Check  string `json:"check"`
	Text   string `json:"text"`
	AtUs   int64  `json:"at_us"`
	Seeds  uint64 `json:"seeds"` // run up to this one
	Commit string `json:"commit"`
	Replay string `json:"replay"`
}

// violation tells of a failure, and how to see it again.
func (r *simReport) violation(f *sim.Failure, seeds uint64, planFile string) {
	v, replay := f.Violation, r.replay(f.Plan.Seed, planFile)
	if r.JSON {
		r.jsonLine(simFailure{f.Plan.Seed, v.Check, v.Text, v.At, seeds, commit(), replay})
		return
	}
	r.clearLine()
	where := ""
	if v.Server != 0 {
		where = fmt.Sprintf(" at server %c", 'A'+v.Server-1)
	}
	r.print("FAILED seed %d: %s after %.3f s of virtual time%s\n  %s\n  commit: %s\n  replay: %s\n",
		f.Plan.Seed, v.Check, float64(v.At)/1e6, where, strings.ReplaceAll(strings.TrimSpace(v.Text), "\n", "\n  "), commit(), replay)
}

// progress tells how far a batch is, from time to time.
func (r *simReport) progress(p *sim.Progress, workers int) {
	every := progressText
	if terminal(r.err) {
		every = progressLine
	}
	if now := time.Now(); now.Sub(r.shown) >= every {
		r.shown = now
		of := ""
		if p.Of < endlessSeeds {
			of = fmt.Sprintf(" of %d", p.Of)
		}
		r.line("%d%s seeds, %s, %d failed", p.Sum.Seeds, of, pace(p.Sum, workers), len(p.Sum.Failures))
	}
}

// pace says how fast runs are, and what was in them.
func pace(s *sim.Summary, workers int) string {
	seconds := max(s.Wall.Seconds(), 1e-9)
	virtual := time.Duration(s.VirtualUs) * time.Microsecond
	return fmt.Sprintf("%.1f a second, simulated %v (%.0f times real time, %.0f a worker), %d faults, %d situations",
		float64(s.Seeds)/seconds, virtual.Round(time.Second), virtual.Seconds()/seconds, virtual.Seconds()/seconds/float64(workers),
		faultsIn(s.Cover), len(s.Cover))
}

// faultsIn counts the faults that were injected.
func faultsIn(c sim.Coverage) (n int) {
	for name, times := range c {
		if strings.HasPrefix(name, "fault: ") {
			n += times
		}
	}
	return n
}

// simSum is the last line of JSON.
type simSum struct {
	Seeds     uint64       `json:"seeds"`
	Failed    int          `json:"failed"`
	VirtualUs int64        `json:"virtual_us"`
	WallUs    int64        `json:"wall_us"`
	Workers   int          `json:"workers"`
	Steps     int64        `json:"steps"`
	Ops       int64        `json:"ops"`
	Commits   int64        `json:"commits"`
	Faults    int          `json:"faults"`
	Hash      string       `json:"hash"`
	Commit    string       `json:"commit"`
	Cover     sim.Coverage `json:"cover"`
}

// summary tells what came of all runs.
func (r *simReport) summary(s *sim.Summary, workers int) error {
	hash := fmt.Sprintf("%016x", s.Hash)
	if r.JSON {
		r.jsonLine(simSum{
			s.Seeds, len(s.Failures), s.VirtualUs, s.Wall.Microseconds(), workers, s.Steps, s.Ops, s.Commits, faultsIn(s.Cover), hash, commit(), s.Cover,
		})
		return r.failed
	}
	r.print("seeds: %d in %v: %s\n%d steps, %d operations of clients, %d txns committed, hash %s, %d failed\n",
		s.Seeds, s.Wall.Round(time.Millisecond), pace(s, workers), s.Steps, s.Ops, s.Commits, hash, len(s.Failures))
	return r.failed
}

// print writes to the output and keeps the first error.
func (r *simReport) print(format string, args ...any) {
	if err := r.printf(format, args...); r.failed == nil {
		r.failed = err
	}
}

func (r *simReport) jsonLine(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain structs
	}
	r.print("%s\n", b)
}

// line shows what is going on: on a terminal in place of what stood there.
func (r *simReport) line(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if terminal(r.err) {
		r.inLine = true
		fmt.Fprint(r.err, "\r"+text+"\x1b[K")
	} else {
		fmt.Fprintln(r.err, text)
	}
}

func (r *simReport) clearLine() {
	if r.inLine {
		r.inLine = false
		fmt.Fprint(r.err, "\r\x1b[K")
	}
}

// terminal reports whether a person looks at w.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
