package admin

import (
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVersionOf(t *testing.T) {
	require.Equal(t, "3.9.5-quoll, built on 01/01/1970 00:00 UTC", versionOf(nil).String())
	info := &debug.BuildInfo{Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "94b5365"},
		{Key: "vcs.time", Value: "2026-07-17T19:00:00Z"},
	}}
	require.Equal(t, "3.9.5-quoll-94b5365, built on 07/17/2026 19:00 UTC", versionOf(info).String())
	info.Settings = append(info.Settings, debug.BuildSetting{Key: "vcs.modified", Value: "true"})
	require.Equal(t, "3.9.5-quoll-94b5365-modified, built on 07/17/2026 19:00 UTC", versionOf(info).String())
}

func TestDecimal(t *testing.T) {
	for x, want := range map[float64]string{
		0: "0.0", 1: "1.0", 0.97643: "0.9764", 0.00004: "0.0", 12.5: "12.5", 12345678: "12345678.0", 1.99996: "2.0",
	} {
		require.Equal(t, want, decimal(x))
	}
}
