package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"quoll/jepsen/mutants"
)

// hunt looks for what notices mutants.
type hunt struct {
	options
	root     string // of the module
	dir      string // for files that nobody needs later
	progress io.Writer
}

// finding is the first failure of a series of seeds, as `quoll sim --json` tells it. Without a failure
// Check is empty.
type finding struct {
	Seed  uint64 `json:"seed"`
	Check string `json:"check"`
	Text  string `json:"text"`
	Seeds uint64 `json:"seeds"` // that were run, this one included
}

// original demands that what is not mutated survives: or a mutant would be caught by what has nothing
// to do with it.
func (h *hunt) original(ctx context.Context) error {
	begin := time.Now()
	binary := filepath.Join(h.dir, "original", "quoll")
	if err := h.build(ctx, binary, ""); err != nil {
		return err
	}
	f, err := h.simulate(ctx, binary, nil)
	if err != nil {
		return err
	}
	if f.Check != "" {
		return fmt.Errorf("the program as it is fails with seed %d: %s: %s", f.Seed, f.Check, f.Text)
	}
	fmt.Fprintf(h.progress, "the program as it is passes %d seeds (%.0f s)\n", f.Seeds, time.Since(begin).Seconds())
	return nil
}

// one builds a mutant and looks for what notices it: the faults that the simulator draws, then those
// that the mutant names, then tests.
func (h *hunt) one(ctx context.Context, m *mutants.Mutant) (v verdict, err error) {
	begin := time.Now()
	v = verdict{Mutant: *m, how: "draw"}
	overlay, err := m.Overlay(h.root, h.dir)
	if err != nil {
		return v, err
	}
	binary := filepath.Join(h.dir, m.ID, "quoll")
	if err = h.build(ctx, binary, overlay); err != nil {
		return v, err
	}
	v.builds = time.Since(begin)
	begin = time.Now()
	if v.found, err = h.simulate(ctx, binary, nil); err != nil {
		return v, err
	}
	if v.found.Check == "" && len(m.Faults) > 0 {
		v.how = "forced"
		if v.found, err = h.simulate(ctx, binary, m.Faults); err != nil {
			return v, err
		}
	}
	if v.found.Check == "" && m.Tests != "" {
		if err = h.test(ctx, &v, overlay); err != nil {
			return v, err
		}
	}
	v.took = time.Since(begin)
	fmt.Fprintf(h.progress, "%-5s %s; seeds: %s (%.0f s, built in %.0f s)  %s\n", m.ID, v.caught(), v.tries(),
		v.took.Seconds(), v.builds.Seconds(), brief(v.found.Text))
	return v, nil
}

// build makes the program, with files replaced if there is an overlay.
func (h *hunt) build(ctx context.Context, binary, overlay string) error {
	args := []string{"build", "-pgo=off", "-ldflags=-s -w", "-o", binary} // without what only debuggers want
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	build := exec.CommandContext(ctx, "go", append(args, "./cmd/quoll")...)
	build.Dir = h.root
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// simulate runs seeds against a program until one fails. This is all that is known here of the
// command's arguments and of what it prints.
func (h *hunt) simulate(ctx context.Context, binary string, faults []string) (finding, error) {
	args := []string{
		"sim", "--seeds", fmt.Sprintf("%d-%d", h.from, h.from+h.seeds-1), "--for", h.limit.String(), "--stop", "--json",
	}
	if len(faults) > 0 {
		args = append(args, "--faults", strings.Join(faults, ","))
	}
	sim := exec.CommandContext(ctx, binary, args...)
	var stdout, stderr bytes.Buffer
	sim.Stdout, sim.Stderr = &stdout, &stderr
	failed := sim.Run()
	if ctx.Err() != nil {
		return finding{}, ctx.Err()
	}
	f, err := parseFinding(&stdout)
	switch {
	case err != nil:
		return f, err
	case f.Check != "":
		return f, nil
	case failed == nil && f.Seeds > 0:
		return f, nil
	case strings.Contains(stderr.String(), "\ngoroutine "): // a stack that overflows, a deadlock
		return finding{Check: "panic", Text: stderr.String(), Seeds: f.Seeds}, nil
	default:
		return f, fmt.Errorf("%s %s: %w\n%s", binary, strings.Join(args, " "), failed, stderr.String())
	}
}

// parseFinding reads lines of JSON: the failure, if there was one, and the sum.
func parseFinding(r io.Reader) (f finding, err error) {
	for d := json.NewDecoder(bufio.NewReader(r)); ; {
		var line finding
		if err = d.Decode(&line); errors.Is(err, io.EOF) {
			return f, nil
		}
		if err != nil {
			return f, fmt.Errorf("quoll sim --json: %w", err)
		}
		if line.Check != "" {
			return line, nil
		}
		f = line
	}
}

// failedTest is how go test names a test that failed.
var failedTest = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)

// test asks the tests of a package.
func (h *hunt) test(ctx context.Context, v *verdict, overlay string) error {
	test := exec.CommandContext(ctx, "go", "test", "-overlay", overlay, v.Tests)
	test.Dir = h.root
	// rapid keeps what failed, to try it first the next time: not when a mutant failed.
	kept := filepath.Join(h.root, v.Tests, "testdata", "rapid")
	if _, err := os.Stat(kept); errors.Is(err, fs.ErrNotExist) {
		defer os.RemoveAll(kept) // at worst it is tried
	}
	out, err := test.CombinedOutput()
	switch found := failedTest.FindSubmatch(out); {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil:
		return nil
	case found != nil:
		v.how, v.found = "tests", finding{Check: fmt.Sprintf("%s of %s", found[1], v.Tests)}
		return nil
	case bytes.Contains(out, []byte("panic: ")):
		v.how, v.found = "tests", finding{Check: "a panic in the tests of " + v.Tests}
		return nil
	default:
		return fmt.Errorf("go test %s: %w\n%s", v.Tests, err, out)
	}
}
