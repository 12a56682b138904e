package mutants_test

import (
	"encoding/json"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/jepsen/mutants"
)

const root = "../.."

// Each mutant still is a change of the code as it stands, and of nothing that the compiler would not
// read.
func TestEdits(t *testing.T) {
	for _, m := range mutants.All() {
		t.Run(m.ID, func(t *testing.T) {
			files, err := m.Files(root)
			require.NoError(t, err)
			require.NotEmpty(t, files)
			for name, mutated := range files {
				source, err := os.ReadFile(filepath.Join(root, name))
				require.NoError(t, err)
				require.NotEqual(t, string(source), mutated, name)
				require.False(t, strings.HasSuffix(name, "_test.go"), name)
				_, err = parser.ParseFile(token.NewFileSet(), name, mutated, parser.SkipObjectResolution)
				require.NoError(t, err)
			}
		})
	}
}

// Every line of the table is there, in its order, and says what must find it.
func TestTable(t *testing.T) {
	var lines []int
	ids := map[string]bool{}
	for _, m := range mutants.All() {
		lines = append(lines, m.Number())
		require.False(t, ids[m.ID], "two mutants are %s", m.ID)
		ids[m.ID] = true
		require.NotEmpty(t, m.Title, m.ID)
		require.NotEmpty(t, m.Rules, m.ID)
		require.True(t, m.Exempt != "" || len(m.Expect) > 0, m.ID)
		require.False(t, m.Mandatory() && m.Exempt != "", "%s must be found", m.ID)
		for rule := range strings.FieldsSeq(m.Rules) {
			n, err := strconv.Atoi(strings.TrimPrefix(rule, "R"))
			require.NoError(t, err, m.ID)
			require.True(t, n >= 1 && n <= 32, "%s: there is no rule %s", m.ID, rule)
		}
		if m.Tests != "" {
			require.DirExists(t, filepath.Join(root, m.Tests), m.ID)
		}
	}
	require.True(t, slices.IsSorted(lines))
	want := make([]int, 40)
	for i := range want {
		want[i] = i + 1
	}
	for own := 101; own <= slices.Max(lines); own++ {
		want = append(want, own)
	}
	require.Equal(t, want, slices.Compact(slices.Clone(lines)))
	for line, parts := range map[int]int{3: 3, 6: 2, 21: 4, 22: 2} {
		n := 0
		for _, l := range lines {
			if l == line {
				n++
			}
		}
		require.Equal(t, parts, n, "mutants of M%d", line)
	}
}

// The overlay names the files as the compiler does, by absolute paths, and leaves the originals alone.
func TestOverlay(t *testing.T) {
	module, err := filepath.Abs(root)
	require.NoError(t, err)
	m := mutants.All()[0]
	overlay, err := m.Overlay(module, t.TempDir())
	require.NoError(t, err)
	b, err := os.ReadFile(overlay)
	require.NoError(t, err)
	var read struct{ Replace map[string]string }
	require.NoError(t, json.Unmarshal(b, &read))
	files, err := m.Files(module)
	require.NoError(t, err)
	require.Len(t, read.Replace, len(files))
	for name, source := range files {
		written, err := os.ReadFile(read.Replace[filepath.Join(module, name)])
		require.NoError(t, err)
		require.Equal(t, source, string(written))
	}
}

// An edit that has nothing to change, or more than one place, or another's place, is a fault.
func TestStaleEdits(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.go"), []byte("one two two three"), 0o600))
	edit := func(old, replacement string) mutants.Edit {
		return mutants.Edit{File: "a.go", Old: old, New: replacement}
	}
	for name, c := range map[string]struct {
		edits []mutants.Edit
		want  string
		fault string
	}{
		"in any order": {[]mutants.Edit{edit("three", "3"), edit("one", "1")}, "1 two two 3", ""},
		"gone":         {[]mutants.Edit{edit("four", "4")}, "", "a.go has 0 times"},
		"ambiguous":    {[]mutants.Edit{edit("two", "2")}, "", "a.go has 2 times"},
		"empty":        {[]mutants.Edit{edit("", "0")}, "", "and not once"},
		"overlapping":  {[]mutants.Edit{edit("one two two", "1"), edit("two three", "2")}, "", "overlap"},
		"no such file": {[]mutants.Edit{{File: "b.go", Old: "one"}}, "", "b.go"},
	} {
		t.Run(name, func(t *testing.T) {
			m := mutants.Mutant{ID: "M1", Edits: c.edits}
			files, err := m.Files(dir)
			if c.fault != "" {
				require.ErrorContains(t, err, c.fault)
				return
			}
			require.NoError(t, err)
			require.Equal(t, map[string]string{"a.go": c.want}, files)
		})
	}
}
