package main

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"quoll/jepsen/sim"
	"quoll/jepsen/workload"
)

// simCmd runs simulated ensembles under faults and checks them.
type simCmd struct {
	Seeds string `xor:"what" placeholder:"A-B" help:"Run the seeds from A to B; random+N: N seeds from one that is drawn and printed. Default: random+1000, or with --for as many as the time allows."`
	Seed  string `xor:"what" placeholder:"N" help:"Run one seed; random: one that is drawn and printed."`
	Plan  string `xor:"what" type:"path" placeholder:"FILE" help:"Run a plan from a file, as --shrink writes it."`

	Servers   string        `placeholder:"A-B" help:"How many servers vote, such as 3-5 or 3. Default: 1 to 7, mostly 3 and 5."`
	Observers int           `default:"2" help:"How many observers there are, at most."`
	Faults    []string      `placeholder:"NAME,..." help:"Only these kinds of fault, all of them in each run; list: print the kinds. Default: each seed draws some."`
	Workload  string        `placeholder:"NAME" help:"What clients do. Default: each seed draws it."`
	Checks    []string      `placeholder:"NAME,..." help:"Only these checks count, such as I-LC,C-SESS: would they notice what another one sees first? Default: all."`
	For       time.Duration `placeholder:"TIME" help:"Begin no run after this time."`
	Workers   int           `placeholder:"N" help:"Runs at once. Default: one for each processor."`
	Stop      bool          `help:"End at the first seed that fails."`

	Trace     bool          `help:"Print what happens in a run, step by step, and write it to files. Needs --seed or --plan."`
	Out       string        `type:"path" placeholder:"DIR" help:"Where files go: with --trace the steps as .jsonl, .shiviz and .viewer.json, with --shrink the plan. Default: steps to sim-traces, plans to the working directory."`
	Shrink    bool          `help:"Reduce the first run that fails, and write its plan to a file."`
	ShrinkFor time.Duration `default:"2m" placeholder:"TIME" help:"How long to try that."`
	JSON      bool          `name:"json" help:"Print a line of JSON for each failure, and one for the sum."`
}

// The counts of seeds that are run when none are named.
const (
	defaultSeeds  = 1000
	endlessSeeds  = 1 << 40
	largestRandom = 1 << 40 // drawn seeds stay short enough to be typed
)

// allFaults asks for the list of them.
const allFaults = "list"

// tracesDir is where --trace writes when nobody says where.
const tracesDir = "sim-traces"

// Validate is called by the command line's parser.
func (s *simCmd) Validate() error {
	if _, err := s.limits(); err != nil {
		return err
	}
	if _, _, err := s.span(); err != nil {
		return err
	}
	for _, name := range s.Faults {
		known := func(f sim.Fault) bool { return f.Name == name }
		if name != allFaults && !slices.ContainsFunc(sim.Faults(), known) {
			return fmt.Errorf("--faults %s: there is no such kind; --faults list prints them", name)
		}
	}
	for _, name := range s.Checks {
		if !slices.Contains(sim.Checks(), name) {
			return fmt.Errorf("--checks %s: there is no such check; they are %s", name, strings.Join(sim.Checks(), " "))
		}
	}
	one := s.Seed != "" || s.Plan != ""
	switch {
	case s.Workload != "" && !slices.Contains(workload.Names(), s.Workload):
		return fmt.Errorf("--workload %s: it is one of %s", s.Workload, strings.Join(workload.Names(), " "))
	case s.For < 0 || s.Workers < 0 || s.ShrinkFor <= 0:
		return errors.New("--for, --workers and --shrink-for: want positive numbers")
	case s.Trace && !one:
		return errors.New("--trace prints one run: name it with --seed or --plan")
	case s.Trace && s.JSON:
		return errors.New("--trace and --json exclude each other: the steps are written as JSON, too")
	case s.Plan != "" && (s.Servers != "" || s.Faults != nil || s.Workload != "" || s.Checks != nil):
		return errors.New("--plan: the plan says which servers, faults, workload and checks")
	}
	return nil
}

// limits is what the drawing of plans is told.
func (s *simCmd) limits() (sim.Limits, error) {
	l := sim.Limits{Observers: s.Observers, Faults: s.Faults, Workload: s.Workload, Checks: s.Checks}
	if s.Observers < 0 || s.Observers > 9 {
		return l, fmt.Errorf("--observers %d: 0 to 9", s.Observers)
	}
	if s.Observers == 0 {
		l.Observers = -1
	}
	if s.Servers == "" {
		return l, nil
	}
	least, most, isRange := strings.Cut(s.Servers, "-")
	if !isRange {
		most = least
	}
	a, err := strconv.Atoi(least)
	b, err2 := strconv.Atoi(most)
	if err != nil || err2 != nil || a < 1 || b < a || b > 9 {
		return l, fmt.Errorf("--servers %s: want a number of 1 to 9, or two, such as 3-5", s.Servers)
	}
	l.Voters = [2]int{a, b}
	return l, nil
}

// span returns how many seeds are wanted from which one on; base is nil when it is to be drawn.
func (s *simCmd) span() (base *uint64, count uint64, err error) {
	text, found := strings.CutPrefix(s.Seeds, "random+")
	switch {
	case s.Seed == "random":
		return nil, 1, nil
	case s.Seed != "":
		seed, bad := strconv.ParseUint(s.Seed, 10, 64)
		if bad != nil {
			return nil, 0, fmt.Errorf("--seed %s: want a number, or random", s.Seed)
		}
		return &seed, 1, nil
	case s.Seeds == "" && s.For > 0:
		return nil, endlessSeeds, nil
	case s.Seeds == "":
		return nil, defaultSeeds, nil
	case found:
		count, err = strconv.ParseUint(text, 10, 64)
		if err == nil && count >= 1 && count <= endlessSeeds {
			return nil, count, nil
		}
	default:
		first, last, _ := strings.Cut(s.Seeds, "-")
		from, err1 := strconv.ParseUint(first, 10, 64)
		to, err2 := strconv.ParseUint(last, 10, 64)
		if err1 == nil && err2 == nil && from <= to && to-from < math.MaxUint64 {
			return &from, to - from + 1, nil
		}
	}
	return nil, 0, fmt.Errorf("--seeds %s: want two numbers, such as 1-1000, or random+1000", s.Seeds)
}

// Run performs the command.
func (s *simCmd) Run(c *console) error {
	if slices.Contains(s.Faults, allFaults) {
		for _, f := range sim.Faults() {
			if err := c.printf("%-12s %s\n", f.Name, f.About); err != nil {
				return err
			}
		}
		return nil
	}
	for _, dir := range []string{s.Out, s.traces()} {
		if dir == "" {
			continue
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	r := &simReport{simCmd: s, console: c}
	if s.Plan != "" {
		text, err := os.ReadFile(s.Plan)
		if err != nil {
			return err
		}
		plan, err := sim.ReadPlan(bytes.NewReader(text))
		if err != nil {
			return fmt.Errorf("%s: %w", s.Plan, err)
		}
		return r.one(plan)
	}
	limits, err := s.limits()
	if err != nil {
		return err
	}
	base, count, err := s.span()
	if err != nil {
		return err
	}
	from := rand.Uint64N(largestRandom)
	if base != nil {
		from = *base
	} else {
		fmt.Fprintf(c.err, "seeds from %d\n", from)
	}
	if count == 1 {
		return r.one(sim.Draw(from, limits))
	}
	return r.batch(sim.Batch{
		From: from, To: from + count - 1, Limits: limits, Workers: s.Workers, For: s.For, StopAtFirst: s.Stop,
	})
}

// traces is the directory for the steps of a run; empty: they are not written.
func (s *simCmd) traces() string {
	if s.Trace && s.Out == "" {
		return tracesDir
	}
	return s.Out
}

// replay is the command that runs a seed again, or a plan from a file.
func (s *simCmd) replay(seed uint64, plan string) string {
	if plan != "" {
		return "quoll sim --plan " + plan + " --trace"
	}
	words := []string{"quoll sim --seed", strconv.FormatUint(seed, 10)}
	if s.Servers != "" {
		words = append(words, "--servers", s.Servers)
	}
	if s.Observers != 2 {
		words = append(words, "--observers", strconv.Itoa(s.Observers))
	}
	if s.Faults != nil {
		words = append(words, "--faults", strings.Join(s.Faults, ","))
	}
	if s.Checks != nil {
		words = append(words, "--checks", strings.Join(s.Checks, ","))
	}
	if s.Workload != "" {
		words = append(words, "--workload", s.Workload)
	}
	return strings.Join(append(words, "--trace"), " ")
}
