package sim_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	_ "github.com/cockroachdb/datadriven" // for its flag -rewrite
	"github.com/stretchr/testify/require"

	"quoll/jepsen/sim"
)

// TestScenarios replays testdata/*.scenario: what bugs of such systems were, step by step, and what
// Quoll does instead. With -rewrite the outcomes are written anew: review the difference like code.
func TestScenarios(t *testing.T) {
	rewrite := flag.Lookup("rewrite").Value.String() == "true"
	for _, path := range files(t, "testdata/*.scenario") {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".scenario"), func(t *testing.T) {
			script, err := os.ReadFile(path)
			require.NoError(t, err)
			transcript, err := sim.Play(string(script), nil)
			require.NoError(t, err, "%s", transcript)
			if rewrite {
				require.NoError(t, os.WriteFile(path, []byte(transcript), 0o600))
				return
			}
			require.Equal(t, string(script), transcript)
		})
	}
}

func files(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	require.NoError(t, err)
	require.NotEmpty(t, paths, pattern)
	return paths
}

var (
	link   = regexp.MustCompile(`\]\(\.\./([^)]+)\)`)
	number = regexp.MustCompile(`\d+`)
	// opening is that of a file which shows a bug: its numbers, what it was, and what is instead.
	opening = regexp.MustCompile(`^ZOOKEEPER-(\d+(?:, \d+)*)[:,].+ Quoll: .+\((?:.*\b)?(?:R\d+|D\d+|zab\.md)`)
)

// The table of docs/TESTING.md and the files say the same: each file that it names exists, each file
// that is named after a bug is in the line of that bug, and each begins with what the bug was.
func TestKnownBugsAreListed(t *testing.T) {
	const root = "../.."
	doc, err := os.ReadFile(root + "/docs/TESTING.md")
	require.NoError(t, err)
	_, table, ok := strings.Cut(string(doc), "\n## Known bugs of such systems\n")
	require.True(t, ok)
	table, _, _ = strings.Cut(table, "\n## ")
	listed := map[string][]string{} // numbers of the lines in which a file is named
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !strings.Contains(cells[3], "](") {
			continue
		}
		for _, m := range link.FindAllStringSubmatch(cells[3], -1) {
			require.FileExists(t, filepath.Join(root, m[1]), line)
			listed[m[1]] = append(listed[m[1]], number.FindAllString(cells[1], -1)...)
		}
	}
	require.Greater(t, len(listed), 50)

	paths := slices.Concat(files(t, "testdata/*.scenario"), files(t, root+"/zab/testdata/zk-*.trace"))
	for _, path := range paths {
		full, err := filepath.Abs(path)
		require.NoError(t, err)
		top, err := filepath.Abs(root)
		require.NoError(t, err)
		name, err := filepath.Rel(top, full)
		require.NoError(t, err)
		numbers, ok := listed[filepath.ToSlash(name)]
		require.True(t, ok, "%s is not in the table", name)
		if id := number.FindString(filepath.Base(name)); id != "" {
			require.Contains(t, numbers, id, "%s is in the line of another bug", name)
			require.Regexp(t, opening, firstParagraph(t, path), name)
		}
	}
}

// firstParagraph returns the comment with which a file begins, as one line.
func firstParagraph(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	top, _, _ := strings.Cut(string(b), "\n\n")
	var words []string
	for line := range strings.Lines(top) {
		require.True(t, strings.HasPrefix(line, "# "), "%s opens with a paragraph, not %q", path, line)
		words = append(words, strings.TrimSpace(line[2:]))
	}
	return strings.Join(words, " ")
}

// What a scenario asks for in vain, and a promise that is broken, end it.
func TestScenarioFaults(t *testing.T) {
	const begin = "ensemble voters=3\nstart A B C\nrun 1s\nclient c1 at A\n"
	for script, fault := range map[string]string{
		"":                            "ends with converge",
		begin:                         "ends with converge",
		"start A\nconverge":           "there is no ensemble yet",
		begin + "stop A\nconverge":    "no such command",
		begin + "start\nconverge":     "which server?",
		begin + "start A\nconverge":   "A runs",
		begin + "run\nconverge":       "how long?",
		begin + "run fast\nconverge":  "invalid duration",
		begin + "c1 fly /a\nconverge": "no such operation",
		begin + "c2 get /a\nconverge": "no such client",
		begin + "wipe A\nconverge":    "it runs",
		begin + "hold A\nconverge":    "from which server",
		begin + "await A B\nconverge": "which phase",
		begin + "rot A log\nconverge": "A runs",
		begin + "crash A B C\nconverge extra words are not looked at\n": "ends with converge",
		"each n=3..1\n" + begin + "converge":                            "and up",
		"each n=2..4\n" + begin + "c1 create /a n=$nx\nconverge":        "not a number",
		// The newest file of the log is gone, and with it what A had acknowledged: nobody can notice
		// but who remembers.
		begin + "c1 create /a\ncrash A\nremove A log\nstart A\nconverge": "I-RECOVER",
	} {
		_, err := sim.Play(script, nil)
		require.ErrorContains(t, err, fault, script)
	}
}

// What a scenario shows does not depend on who watches, and a tracer is told all of it.
func TestScenarioIsTraced(t *testing.T) {
	script, err := os.ReadFile("testdata/zk-1675.scenario")
	require.NoError(t, err)
	var steps sim.Recording
	transcript, err := sim.Play(string(script), &steps)
	require.NoError(t, err)
	require.Equal(t, string(script), transcript)
	require.NotEmpty(t, steps.Steps)
}
