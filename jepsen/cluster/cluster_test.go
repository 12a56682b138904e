package cluster_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quoll/jepsen/cluster"
)

// shell returns the Command of servers that are a shell script each; $1 is the zoo.cfg.
func shell(script string) func(string) []string {
	return func(zooCfg string) []string { return []string{"sh", "-c", script, "sh", zooCfg} }
}

// A server that ends by itself is told of, with its last words, and not taken for one that was
// stopped; what is done to it afterwards does not hide it.
func TestServerEndsByItself(t *testing.T) {
	c, err := cluster.Start(cluster.Options{Dir: t.TempDir(), Size: 3, Command: shell(
		`test "$(cat data/myid)" != 2 && exec sleep 1000; echo no more of this; exit 3`)})
	t.Cleanup(c.Close)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, cluster.Await(ctx, "the end of server 2", func() bool { return !c.Running(1) }))
	c.Kill(0) // so that AwaitServing does not wait for it
	for _, err := range []error{c.Ended(1), c.Failed(), c.AwaitServing(ctx)} {
		require.ErrorContains(t, err, "server 2 ended by itself: exit status 3")
		require.ErrorContains(t, err, "no more of this")
	}
	c.Stop(2)
	require.NoError(t, c.Ended(0), "it was killed")
	require.NoError(t, c.Ended(2), "it was stopped")

	require.NoError(t, c.Restart(1))
	require.ErrorContains(t, c.Failed(), "server 2 ended by itself", "it was started again")
	c.Kill(1)
	require.ErrorContains(t, c.Failed(), "server 2 ended by itself", "it was killed")
	require.NoError(t, c.AwaitServing(ctx), "all that was not stopped serves: nobody")
}

// A server is not started beside itself.
func TestRestartWhileRunning(t *testing.T) {
	c, err := cluster.Start(cluster.Options{Dir: t.TempDir(), Size: 1, Command: shell("exec sleep 1000")})
	t.Cleanup(c.Close)
	require.NoError(t, err)
	require.ErrorContains(t, c.Restart(0), "runs already")
	c.Kill(0)
	require.NoError(t, c.Restart(0))
}

// A server that is paused can be stopped.
func TestStopWhilePaused(t *testing.T) {
	c, err := cluster.Start(cluster.Options{Dir: t.TempDir(), Size: 1, Command: shell("exec sleep 1000")})
	t.Cleanup(c.Close)
	require.NoError(t, err)
	c.Pause(0)
	begin := time.Now()
	c.Stop(0)
	require.False(t, c.Running(0))
	require.Less(t, time.Since(begin), 20*time.Second)
	require.NoError(t, c.Ended(0))
}
