package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// What failed can be looked into: the servers' directories stay, and the user is told where.
func TestCompareKeepsEvidence(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Setenv("PATH", dir) // so that there is no java
	r := invoke(t, "", "compare", "--zookeeper="+dir)
	require.Equal(t, exitFailure, r.code)
	require.Contains(t, r.err, "start java")
	kept, err := filepath.Glob(filepath.Join(dir, "quoll-compare-*", "zookeeper", "s1", "zoo.cfg"))
	require.NoError(t, err)
	require.Len(t, kept, 1)
	require.Contains(t, r.err, "are kept: "+filepath.Dir(filepath.Dir(filepath.Dir(kept[0])))+"\n")
}
