package campaign

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A user's commands are done in turn, and may be asked for while they run; the last one heals, whatever ends.
func TestCommands(t *testing.T) {
	file := filepath.Join(t.TempDir(), "broken")
	c := &commands{start: "touch " + file + "; echo no >&2; exit 3", stop: "rm " + file, patience: 10 * time.Second, every: 20 * time.Millisecond}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error)
	go func() { done <- c.run(ctx) }()
	for {
		if len(c.faults()) > 1 {
			cancel()
		}
		select {
		case err := <-done:
			require.NoError(t, err)
			require.NoFileExists(t, file)
			faults := c.faults()
			require.Greater(t, len(faults), 1)
			for _, f := range faults {
				require.Equal(t, "command", f.Kind)
				require.False(t, f.To.IsZero())
				require.Contains(t, f.Err, "exit status 3: no")
				require.False(t, f.Failed, "nobody knows what it did")
			}
			return
		case <-time.After(time.Millisecond):
		}
	}
}

// A command that does not end is ended, with what it started; what does not heal is an error.
func TestCommandThatDoesNotEnd(t *testing.T) {
	c := &commands{start: "true", stop: "sleep 60 & wait", patience: 100 * time.Millisecond, every: time.Millisecond}
	begin := time.Now()
	require.EqualError(t, c.run(t.Context()), `"sleep 60 & wait" took longer than 100ms`)
	require.Less(t, time.Since(begin), 20*time.Second)
	require.Len(t, c.faults(), 1)
	_, err := Run(t.Context(), Options{Target: Running([]string{os.DevNull}), Nemesis: []string{"kill"}}, nil)
	require.ErrorContains(t, err, "not by kill")
}
