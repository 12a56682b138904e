package main

import (
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

// A failure is worth little without the source that it is of, and that this was changed is part of it.
func TestCommit(t *testing.T) {
	defer func(was string) { revision = was }(revision)
	revision = "94b5365"
	require.Equal(t, "94b5365", commit())
	revision = "94b5365-modified"
	require.Equal(t, "94b5365, with changes", commit())

	require.Equal(t, unknownCommit, stamped(nil))
	stamp := []debug.BuildSetting{{Key: "vcs.revision", Value: "94b5365"}, {Key: "vcs.modified", Value: "false"}}
	require.Equal(t, "94b5365", stamped(stamp))
	stamp[1].Value = "true"
	require.Equal(t, "94b5365, with changes", stamped(stamp))
}
