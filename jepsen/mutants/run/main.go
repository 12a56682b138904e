// Command run breaks Quoll in every way that package mutants knows, and reports what noticed. It ends
// with 1 when nothing did, and with 2 when it could not find out: a mutant does not compile any more,
// or the program fails as it is. Run it anywhere in the module: go run ./jepsen/mutants/run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"quoll/jepsen/mutants"
)

// The exit codes.
const (
	exitSurvivor = 1
	exitTrouble  = 2
)

// options are what the command line says.
type options struct {
	seeds    uint64
	from     uint64
	limit    time.Duration
	only     string
	keep     string
	bare     bool
	markdown bool
}

// verdict is what became of a mutant.
type verdict struct {
	mutants.Mutant
	found  finding // Check is empty: nothing was found
	how    string  // by what: "draw", "forced", "tests"
	took   time.Duration
	builds time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code, err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
	}
	os.Exit(code)
}

// run does what args say and returns the exit code.
func run(ctx context.Context, args []string, out, progress io.Writer) (int, error) {
	o, err := parse(args, progress)
	if err != nil {
		return exitTrouble, err
	}
	chosen, err := choose(mutants.All(), o.only)
	if err != nil {
		return exitTrouble, err
	}
	h := hunt{options: o, progress: progress}
	if h.root, err = moduleRoot(ctx); err != nil {
		return exitTrouble, err
	}
	h.dir = o.keep
	if h.dir == "" {
		if h.dir, err = os.MkdirTemp("", "quoll-mutants-"); err != nil {
			return exitTrouble, err
		}
		defer os.RemoveAll(h.dir)
	}
	if h.dir, err = filepath.Abs(h.dir); err != nil {
		return exitTrouble, err
	}
	if !o.bare {
		if err = h.original(ctx); err != nil {
			return exitTrouble, err
		}
	}
	var verdicts []verdict
	for i := range chosen {
		v, err := h.one(ctx, &chosen[i])
		if err != nil {
			return exitTrouble, fmt.Errorf("%s: %w", chosen[i].ID, err)
		}
		verdicts = append(verdicts, v)
	}
	if o.markdown {
		return markdown(out, verdicts), nil
	}
	return report(out, verdicts), nil
}

func parse(args []string, usage io.Writer) (o options, err error) {
	f := flag.NewFlagSet("mutants", flag.ContinueOnError)
	f.SetOutput(usage)
	f.Uint64Var(&o.seeds, "seeds", 1000, "run so many `seeds` against each mutant, until one fails")
	f.Uint64Var(&o.from, "from", 1, "the first `seed`")
	f.DurationVar(&o.limit, "for", 5*time.Minute, "begin no run of a mutant after this `time`")
	f.StringVar(&o.only, "only", "", "only these `mutants`, such as M4,M21b,M30-M34")
	f.StringVar(&o.keep, "keep", "", "leave the mutated files and programs in this `directory`")
	f.BoolVar(&o.markdown, "markdown", false, "print the results as a table for docs/TESTING.md")
	f.BoolVar(&o.bare, "bare", false, "do not run the seeds against the program as it is first")
	if err = f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 || o.seeds == 0 || o.limit <= 0 {
		return o, errors.New("want options only, and positive numbers")
	}
	return o, nil
}

// choose returns the mutants that a list names: an ID, the line of the table that several have in
// common, or a range of lines.
func choose(all []mutants.Mutant, only string) (chosen []mutants.Mutant, err error) {
	if only == "" {
		return all, nil
	}
	wanted := map[string]bool{}
	for name := range strings.SplitSeq(only, ",") {
		first, last, isRange := strings.Cut(name, "-")
		from, to := mutants.Mutant{ID: first}, mutants.Mutant{ID: last}
		found := false
		for i := range all {
			m := &all[i]
			line := fmt.Sprintf("M%d", m.Number())
			if m.ID == name || line == name || isRange && from.Number() <= m.Number() && m.Number() <= to.Number() {
				wanted[m.ID], found = true, true
			}
		}
		if !found {
			return nil, fmt.Errorf("there is no mutant %s", name)
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(m mutants.Mutant) bool { return !wanted[m.ID] }), nil
}

// moduleRoot finds the sources.
func moduleRoot(ctx context.Context) (string, error) {
	b, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	file := strings.TrimSpace(string(b))
	if filepath.Base(file) != "go.mod" {
		return "", errors.New("run it in the module's directory")
	}
	return filepath.Dir(file), nil
}

// markdown prints a row for each mutant, in the order of the table, and returns the exit code.
func markdown(out io.Writer, verdicts []verdict) int {
	fmt.Fprintln(out, "| mutant | what it does | rules | caught by | seeds |\n|---|---|---|---|---|")
	for i := range verdicts {
		v := &verdicts[i]
		fmt.Fprintf(out, "| %s | %s | %s | %s | %s |\n", v.ID, cell(v.Title), strings.ReplaceAll(v.Rules, " ", ", "), cell(v.caught()), v.tries())
	}
	return exitCode(verdicts)
}

// cell is a text that ends no cell of a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

// exitCode tells whether one lives that must not.
func exitCode(verdicts []verdict) int {
	for i := range verdicts {
		if survival(&verdicts[i]) == mustNotLive {
			return exitSurvivor
		}
	}
	return 0
}

// report prints a line for each mutant, survivors last, and returns the exit code.
func report(out io.Writer, verdicts []verdict) int {
	slices.SortStableFunc(verdicts, func(a, b verdict) int { return survival(&a) - survival(&b) })
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "MUTANT\tCAUGHT BY\tSEEDS\tSECONDS\tTITLE")
	for i := range verdicts {
		v := &verdicts[i]
		fmt.Fprintf(w, "%s\t%s\t%s\t%.0f\t%s\n", v.ID, v.caught(), v.tries(), v.took.Seconds(), v.Title)
	}
	w.Flush()
	return exitCode(verdicts)
}

// How a verdict counts.
const (
	caught = iota
	mayLive
	mustNotLive
)

func survival(v *verdict) int {
	switch {
	case v.found.Check != "":
		return caught
	case v.Exempt != "":
		return mayLive
	default:
		return mustNotLive
	}
}

// caught names the check; one that nobody expected is marked, since it may see something else.
func (v *verdict) caught() string {
	switch {
	case v.found.Check == "" && v.Exempt != "":
		return "nothing: " + v.Exempt
	case v.found.Check == "" && v.Mandatory():
		return "NOTHING, and it must"
	case v.found.Check == "":
		return "NOTHING"
	case v.how == "tests":
		return v.found.Check
	}
	name := v.found.Check
	if name == "panic" {
		name += ": " + brief(v.found.Text)
	}
	if !slices.Contains(v.Expect, v.found.Check) {
		name += " (not expected)"
	}
	return name
}

// tries says how many seeds it took, and whether its faults had to be forced.
func (v *verdict) tries() string {
	switch v.how {
	case "tests":
		return "tests"
	case "forced":
		return fmt.Sprintf("%d forced", v.found.Seeds)
	default:
		return fmt.Sprint(v.found.Seeds)
	}
}

// brief is the beginning of a text, on one line.
func brief(text string) string {
	const most = 90
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	if r := []rune(line); len(r) > most {
		line = string(r[:most]) + "…"
	}
	return line
}
