package sim

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every name that a check fails with can be asked for, and every name that can be asked for is some check's.
func TestChecks(t *testing.T) {
	var sources strings.Builder
	for _, dir := range []string{".", "../../zab/zabtest", "../check"} {
		names, err := filepath.Glob(filepath.Join(dir, "*.go"))
		require.NoError(t, err)
		for _, name := range names {
			if base := filepath.Base(name); strings.HasSuffix(name, "_test.go") || base == "checks.go" || base == "names.go" {
				continue
			}
			text, err := os.ReadFile(name)
			require.NoError(t, err)
			sources.Write(text)
		}
	}
	used := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?:ail|failf|broken|await)\((?:[^"\n]*, )?"([A-Za-z0-9-]+)",`).FindAllStringSubmatch(sources.String(), -1) {
		require.Contains(t, Checks(), m[1])
		used[m[1]] = true
	}
	require.Greater(t, len(used), 40)
	for _, name := range Checks() {
		require.Contains(t, sources.String(), `"`+name+`"`)
	}
}

// A check that is in no list is a fault of the simulator, whatever the plan heeds.
func TestUnknownCheck(t *testing.T) {
	w := newWorld(Draw(1, Limits{}), nil)
	require.Panics(t, func() { w.fail("I-NONSENSE", 0, "broken") })
}
