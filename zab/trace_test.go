package zab_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"quoll/zab/zabtest"
)

// TestTraces runs the scenarios of testdata. Each opens with what it shows, and ends with the end
// of all faults and the demand that all servers agree. With -rewrite the transcripts are written
// anew: review the difference like code.
func TestTraces(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.trace")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".trace"), func(t *testing.T) {
			var script zabtest.Script
			last := ""
			datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
				last = d.Cmd
				out, err := script.Handle(d)
				if err != nil {
					d.Fatalf(t, "%v\n%s", err, out)
				}
				return out
			})
			require.Equal(t, "converge", last, "a trace ends with convergence")
			checkOpening(t, path)
		})
	}
}

// clause is what a trace has to name: a rule, a decision, an issue or an example of zab.md.
var clause = regexp.MustCompile(`\(([^)]*\b)?(R\d+|D\d+|X\d+|ZOOKEEPER-\d+|zab\.md)`)

func checkOpening(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	opening, _, _ := strings.Cut(string(b), "\n\n")
	for line := range strings.Lines(opening) {
		require.True(t, strings.HasPrefix(line, "# "), "opens with a paragraph, not %q", line)
	}
	require.Regexp(t, clause, opening, "names what it shows")
}
