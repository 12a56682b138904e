// Command run has the harness test servers with deliberate defects, and reports which it caught, under
// which workload, and how long into the run. It ends with 1 when one was not caught or an honest
// server was accused. Run it anywhere in the module: go run ./jepsen/defects/run.
package main

import (
	"context"
	"encoding/json"
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
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"quoll/jepsen/campaign"
	"quoll/jepsen/check"
	"quoll/jepsen/defects"
	"quoll/jepsen/mutants"
)

// The exit codes.
const (
	exitWrong   = 1
	exitTrouble = 2
)

type options struct {
	length   time.Duration
	tries    int
	parallel int
	only     string
	seed     uint64
}

// finding is what came of a defect.
type finding struct {
	defects.Defect
	title string
	check string // empty: nothing was found
	text  string
	into  time.Duration // of the run that found it, and those before
	took  time.Duration
	runs  int
	err   error
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code, err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "defects:", err)
	}
	os.Exit(code)
}

func run(ctx context.Context, args []string, out, progress io.Writer) (int, error) {
	var o options
	f := flag.NewFlagSet("defects", flag.ContinueOnError)
	f.SetOutput(progress)
	f.DurationVar(&o.length, "for", 30*time.Second, "how long a `run` lasts")
	f.IntVar(&o.tries, "tries", 3, "how many `runs` a defect gets")
	f.IntVar(&o.parallel, "parallel", 2, "how many `defects` are tested at once")
	f.StringVar(&o.only, "only", "", "only these `defects`, such as M1,no-fsync")
	f.Uint64Var(&o.seed, "seed", 1, "the first `seed`")
	if err := f.Parse(args); err != nil {
		return exitTrouble, err
	}
	dir, err := os.MkdirTemp("", "quoll-defects-")
	if err != nil {
		return exitTrouble, err
	}
	defer os.RemoveAll(dir)
	root, err := moduleRoot(ctx)
	if err != nil {
		return exitTrouble, err
	}
	var chosen []defects.Defect
	for _, d := range defects.All() {
		if o.only == "" || slices.Contains(strings.Split(o.only, ","), d.Name) {
			chosen = append(chosen, d)
		}
	}
	found := make([]finding, len(chosen))
	slots := make(chan struct{}, max(1, o.parallel))
	var all sync.WaitGroup
	for i, d := range chosen {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			found[i] = test(ctx, &d, &o, root, filepath.Join(dir, d.Name))
			fmt.Fprintln(progress, found[i].line())
		})
	}
	all.Wait()
	return report(out, found), ctx.Err()
}

func moduleRoot(ctx context.Context) (string, error) {
	b, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(b))), nil
}

// test builds a defect and tests it until it is caught.
func test(ctx context.Context, d *defects.Defect, o *options, root, dir string) finding {
	f := finding{Defect: *d, title: d.What}
	begin := time.Now()
	defer func() { f.took = time.Since(begin) }()
	binary, err := build(ctx, d, &f, root, dir)
	if err != nil {
		f.err = err
		return f
	}
	target := campaign.Quoll(binary)
	target.Extra = d.Config
	for try := range o.tries {
		servers := filepath.Join(dir, fmt.Sprint(try))
		if f.err = os.MkdirAll(servers, 0o750); f.err != nil {
			return f
		}
		rate := d.Rate
		if rate == 0 {
			rate = 300
		}
		res, err := campaign.Run(ctx, campaign.Options{
			Target: target, Servers: 3, Workload: d.Workload, Nemesis: d.Nemesis, Seed: o.seed + uint64(try), For: o.length, Rate: rate,
			Clients: 10, Session: 4 * time.Second, Network: campaign.NetworkAuto, Strict: d.Strict, Dir: servers, Search: 10 * time.Second,
		}, nil)
		f.runs++
		switch {
		case err != nil && ctx.Err() != nil:
			f.err = err
			return f
		case err != nil && d.Honest:
			f.err = err
			return f
		case err != nil: // a server that never starts is caught, too: by itself
			f.check, f.text = failed, lastLine(err.Error())
			f.into += o.length
			return f
		case !res.OK():
			v := proof(res.Violations)
			if f.check, f.text = v.Check, v.Text; v.Check == "SERVE" {
				f.check, f.text = failed, lastLine(v.Text)
			}
			f.into += time.Duration(v.At.At) * time.Microsecond
			return f
		}
		f.into += o.length
	}
	return f
}

// failed stands for a check when a server gave itself away.
const failed = "a server failed"

// proof returns the violation that says most: what clients saw, rather than that a server has failed.
func proof(all []check.Violation) check.Violation {
	all = slices.DeleteFunc(slices.Clone(all), func(v check.Violation) bool { return v.Undecided })
	if i := slices.IndexFunc(all, func(v check.Violation) bool { return v.Check != "SERVE" }); i >= 0 {
		return all[i]
	}
	return all[0]
}

// lastLine is the end of a text, which has the server's own words.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for _, l := range slices.Backward(lines) {
		if strings.Contains(l, "panic") || strings.Contains(l, "err=") {
			return l
		}
	}
	return lines[0]
}

// build makes the program of a defect; without one it is the program as it is.
func build(ctx context.Context, d *defects.Defect, f *finding, root, dir string) (string, error) {
	m := mutants.Mutant{ID: "edits", Edits: d.Edits}
	if d.Mutant != "" {
		all := mutants.All()
		i := slices.IndexFunc(all, func(m mutants.Mutant) bool { return m.ID == d.Mutant })
		if i < 0 {
			return "", errors.New("there is no mutant " + d.Mutant)
		}
		m.Edits = append(slices.Clone(all[i].Edits), d.Edits...)
		f.title = all[i].Title
	}
	binary := filepath.Join(dir, "quoll")
	args := []string{"build", "-pgo=off", "-o", binary}
	if len(m.Edits) > 0 {
		overlay, err := m.Overlay(root, dir)
		if err != nil {
			return "", err
		}
		args = append(args, "-overlay", overlay)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "./cmd/quoll")...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return binary, nil
}

func (f *finding) line() string {
	b, _ := json.Marshal(f.text) // one line, whatever is in it
	switch {
	case f.err != nil:
		return fmt.Sprintf("%-13s could not be tested: %v", f.Name, f.err)
	case f.check == "":
		return fmt.Sprintf("%-13s nothing found in %d runs, %.0f s", f.Name, f.runs, f.into.Seconds())
	}
	return fmt.Sprintf("%-13s %s after %.1f s, run %d: %s", f.Name, f.check, f.into.Seconds(), f.runs, b)
}

// report prints a table for docs/TESTING.md, and returns the exit code.
func report(out io.Writer, found []finding) int {
	code := 0
	w := tabwriter.NewWriter(out, 0, 8, 1, ' ', 0)
	fmt.Fprintln(w, "| defect\t| what is wrong\t| workload\t| faults\t| caught by\t| after\t|")
	fmt.Fprintln(w, "|---\t|---\t|---\t|---\t|---\t|---\t|")
	for i := range found {
		f := &found[i]
		by, after := f.check, fmt.Sprintf("%.1f s", f.into.Seconds())
		if f.err != nil || (f.check == "") != f.Honest {
			code = exitWrong
		}
		if by == "" {
			by = "nothing"
		}
		faults := strings.Join(f.Nemesis, ", ")
		if faults == "" {
			faults = "none"
		}
		fmt.Fprintf(w, "| %s\t| %s\t| %s\t| %s\t| %s\t| %s\t|\n", f.Name, f.title, f.Workload, faults, by, after)
	}
	if err := w.Flush(); err != nil {
		return exitTrouble
	}
	return code
}
