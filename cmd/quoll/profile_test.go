package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Each pair of signals gives a profile of the processor and one of allocations; one under way is ended with the
// process.
func TestProfiles(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	out := newOutput()
	p := newProfiler(dir)
	var running sync.WaitGroup
	running.Go(func() { p.run(ctx, slog.New(slog.NewTextHandler(out, nil))) })
	said := func(what string) {
		select {
		case line := <-out.lines:
			require.Contains(t, line, what)
		case <-time.After(10 * time.Second):
			t.Fatal("nothing was said")
		}
	}
	toggle := func() { require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGUSR2)) }
	for _, what := range []string{"begun", "ended", "begun"} {
		toggle()
		said(what)
	}
	cancel()
	said("ended")
	running.Wait()
	for _, name := range []string{"1.cpu", "1.allocs", "2.cpu", "2.allocs"} {
		files, err := filepath.Glob(filepath.Join(dir, "quoll-*-"+name+".pprof"))
		require.NoError(t, err)
		require.Len(t, files, 1, name)
		info, err := os.Stat(files[0])
		require.NoError(t, err)
		require.Positive(t, info.Size())
	}
	require.NoError(t, out.pipe.CloseWithError(io.EOF))
}
