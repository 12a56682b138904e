package mutants

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Mandatory is the number of the last mutant that must be killed whatever else is.
const Mandatory = 15

// Edit replaces a text in a file. Old is there exactly once.
type Edit struct {
	File string // from the root of the module
	Old  string
	New  string
}

// Mutant is one bug.
type Mutant struct {
	ID    string // its line of the table, with a letter where that names several bugs; from M101 on our own
	Title string
	Rules string // of zab.md 0.4 that it breaks, separated by spaces
	Edits []Edit

	// Adapted says how the line of the table became this change; empty: it says just that.
	Adapted string

	// Expect names the checks that may be the first to notice; REFINE is that of the paper's protocol
	// and panic a broken invariant that the server itself has seen.
	Expect []string

	// Faults are kinds of fault of `quoll sim --faults` that it takes. They are forced only when the
	// simulator's own draw does not find the mutant.
	Faults []string

	// Tests is a package whose tests notice what a run of the simulator may not show: that an election
	// takes longer than it must, for instance. They are asked last.
	Tests string

	// Exempt is why nothing need notice; empty: something must.
	Exempt string
}

// All returns every mutant, in the order of the table, then our own.
func All() []Mutant {
	all := slices.Concat(broadcast, synchronization, roles, elections, storage, trees, clients, own)
	slices.SortFunc(all, func(a, b Mutant) int {
		return cmp.Or(cmp.Compare(a.Number(), b.Number()), strings.Compare(a.ID, b.ID))
	})
	return all
}

// Number returns the number of the line of the table, 0 when the ID has none.
func (m *Mutant) Number() int {
	n, err := strconv.Atoi(strings.Trim(m.ID, "Mabcdefgh"))
	if err != nil {
		return 0
	}
	return n
}

// Mandatory reports whether it is one of those that must be killed whatever else is.
func (m *Mutant) Mandatory() bool { return m.Number() <= Mandatory || m.Number() >= firstOwn }

// Files returns the mutated files by name, made of those in the module at root.
func (m *Mutant) Files(root string) (map[string]string, error) {
	sources, edits := map[string]string{}, map[string][]Edit{}
	for _, e := range m.Edits {
		if _, ok := sources[e.File]; !ok {
			source, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(e.File)))
			if err != nil {
				return nil, fmt.Errorf("mutant %s: %w", m.ID, err)
			}
			sources[e.File] = string(source)
		}
		edits[e.File] = append(edits[e.File], e)
	}
	files := map[string]string{}
	for name, source := range sources {
		mutated, err := apply(source, edits[name])
		if err != nil {
			return nil, fmt.Errorf("mutant %s: %w", m.ID, err)
		}
		files[name] = mutated
	}
	return files, nil
}

// apply makes the edits of one file. All of them mean the file as it is, so none may touch what
// another has replaced.
func apply(source string, edits []Edit) (string, error) {
	at := func(e Edit) int { return strings.Index(source, e.Old) }
	for _, e := range edits {
		if n := strings.Count(source, e.Old); n != 1 || e.Old == "" {
			return "", fmt.Errorf("%s has %d times, and not once:\n%s", e.File, n, e.Old)
		}
	}
	edits = slices.SortedFunc(slices.Values(edits), func(a, b Edit) int { return at(a) - at(b) })
	var b strings.Builder
	done := 0
	for _, e := range edits {
		if at(e) < done {
			return "", fmt.Errorf("%s: two edits overlap at:\n%s", e.File, e.Old)
		}
		b.WriteString(source[done:at(e)])
		b.WriteString(e.New)
		done = at(e) + len(e.Old)
	}
	b.WriteString(source[done:])
	return b.String(), nil
}

// Overlay writes the mutated files below dir and returns the path of what go build -overlay wants.
func (m *Mutant) Overlay(root, dir string) (string, error) {
	files, err := m.Files(root)
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	for name, source := range files {
		to := filepath.Join(dir, m.ID, filepath.FromSlash(name))
		if err = os.MkdirAll(filepath.Dir(to), 0o750); err == nil {
			err = os.WriteFile(to, []byte(source), 0o600)
		}
		if err != nil {
			return "", fmt.Errorf("mutant %s: %w", m.ID, err)
		}
		replace[filepath.Join(root, filepath.FromSlash(name))] = to
	}
	b, err := json.MarshalIndent(map[string]any{"Replace": replace}, "", "\t")
	if err != nil {
		return "", fmt.Errorf("mutant %s: %w", m.ID, err)
	}
	overlay := filepath.Join(dir, m.ID, "overlay.json")
	if err = os.WriteFile(overlay, b, 0o600); err != nil {
		return "", fmt.Errorf("mutant %s: %w", m.ID, err)
	}
	return overlay, nil
}
