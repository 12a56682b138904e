package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quoll/jepsen/cluster"
	"quoll/transport/client"
	"quoll/transport/wire"
)

// kills is how often the leader is killed.
const kills = 10

// quollBinary builds the program under test.
func quollBinary(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "quoll")
	out, err := exec.Command("go", "build", "-pgo=off", "-o", binary, "quoll/cmd/quoll").CombinedOutput()
	require.NoError(t, err, string(out))
	return binary
}

// writer is a session that creates znodes one after the other and remembers what it was told.
type writer struct {
	id      int
	session *client.Client
	acked   map[string]string // path: data
	unknown map[string]bool   // the outcome was lost with a connection
	expired bool
}

func (w *writer) run(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		path, data := fmt.Sprintf("/kill/w%d-%d", w.id, n), fmt.Sprint(w.id, n)
		_, err := w.session.Create(ctx, path, []byte(data), nil, wire.Persistent)
		switch {
		case err == nil:
			w.acked[path] = data
		case errors.Is(err, client.ErrSessionExpired):
			w.expired = true
			return
		default:
			w.unknown[path] = true
		}
	}
}

// TestLeaderKilledTenTimes puts an ensemble of three real processes under writes and kills its
// leader with SIGKILL again and again. Nothing that was acknowledged may be lost, nothing may be
// there that nobody wrote, no session may expire, and all trees are equal at the end.
func TestLeaderKilledTenTimes(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	c, err := cluster.Start(cluster.Options{Dir: t.TempDir(), Size: 3, Command: cluster.Quoll(quollBinary(t)), Extra: []string{"snapCount=2000"}})
	t.Cleanup(c.Close)
	require.NoError(t, err)
	require.NoError(t, c.AwaitServing(ctx))

	writing, stop := context.WithCancel(ctx)
	defer stop()
	writers, wait := startWriters(t, ctx, writing, c)
	for range kills {
		leader := awaitLeader(t, ctx, c)
		before := lastZxid(t, ctx, c, (leader+1)%3)
		require.NoError(t, cluster.Await(ctx, "writes under this leader", func() bool { return lastZxid(t, ctx, c, (leader+1)%3) > before+100 }))
		c.Kill(leader)
		require.NoError(t, cluster.Await(ctx, "another leader", func() bool { i, err := c.Leader(ctx); return err == nil && i != leader }))
		require.NoError(t, c.Restart(leader))
		require.NoError(t, c.AwaitServing(ctx))
	}
	stop()
	wait()
	check(t, ctx, c, writers)
	awaitEqualTrees(t, ctx, c)
	require.NoError(t, c.Failed())
}

func startWriters(t *testing.T, ctx, writing context.Context, c *cluster.Cluster) ([]*writer, func()) {
	t.Helper()
	servers := c.Servers()
	var writers []*writer
	var wg sync.WaitGroup
	for i := range 6 {
		opts := client.Options{Servers: append(slices.Clone(servers[i%3:]), servers[:i%3]...), SessionTimeout: 20 * time.Second}
		session, err := client.Dial(ctx, opts)
		require.NoError(t, err)
		t.Cleanup(session.Abandon)
		if i == 0 {
			_, err = session.Create(ctx, "/kill", nil, nil, wire.Persistent)
			require.NoError(t, err)
		}
		w := &writer{id: i, session: session, acked: map[string]string{}, unknown: map[string]bool{}}
		writers = append(writers, w)
		wg.Go(func() { w.run(writing) })
	}
	return writers, wg.Wait
}

func awaitLeader(t *testing.T, ctx context.Context, c *cluster.Cluster) (leader int) {
	t.Helper()
	require.NoError(t, cluster.Await(ctx, "a leader", func() (ok bool) {
		i, err := c.Leader(ctx)
		leader = i
		return err == nil
	}))
	return leader
}

// lastZxid returns the zxid that a server has applied, as srvr tells it.
func lastZxid(t *testing.T, ctx context.Context, c *cluster.Cluster, i int) (z uint64) {
	t.Helper()
	text, err := c.Ask(ctx, i, "srvr")
	require.NoError(t, err)
	_, rest, _ := strings.Cut(text, "\nZxid: ")
	_, err = fmt.Sscanf(rest, "0x%x", &z)
	require.NoError(t, err, text)
	return z
}

// check compares what the ensemble holds with what it told its clients.
func check(t *testing.T, ctx context.Context, c *cluster.Cluster, writers []*writer) {
	t.Helper()
	acked, unknown := map[string]string{}, map[string]bool{}
	for _, w := range writers {
		require.False(t, w.expired, "session of writer %d expired", w.id)
		require.NoError(t, w.session.Err())
		maps.Copy(acked, w.acked)
		maps.Copy(unknown, w.unknown)
	}
	t.Logf("%d writes acknowledged, %d with unknown outcome", len(acked), len(unknown))
	require.Greater(t, len(acked), kills*100)
	for i, server := range c.Servers() {
		s, err := client.Dial(ctx, client.Options{Servers: []string{server}})
		require.NoError(t, err)
		_, err = s.Sync(ctx, "/kill")
		require.NoError(t, err)
		names, _, err := s.Children(ctx, "/kill")
		require.NoError(t, err)
		found := make(map[string]bool, len(names))
		for _, name := range names {
			path := "/kill/" + name
			found[path] = true
			_, wasAcked := acked[path]
			require.True(t, wasAcked || unknown[path], "server %d holds %s, which nobody wrote", i+1, path)
		}
		for path := range acked {
			require.True(t, found[path], "server %d lost %s, which was acknowledged", i+1, path)
		}
		require.NoError(t, s.Close(ctx))
	}
	s := writers[0].session
	for path, want := range acked {
		data, _, err := s.Data(ctx, path)
		require.NoError(t, err)
		require.Equal(t, want, string(data))
	}
}

// awaitEqualTrees waits until all servers have applied the same, and compares their digests.
func awaitEqualTrees(t *testing.T, ctx context.Context, c *cluster.Cluster) {
	t.Helper()
	require.NoError(t, cluster.Await(ctx, "equal digests of all trees", func() bool {
		digests := map[string]bool{}
		for i := range c.Servers() {
			text, err := c.Ask(ctx, i, "hash") // "zxid: digest"
			require.NoError(t, err)
			digests[text] = true
		}
		return len(digests) == 1
	}))
}
