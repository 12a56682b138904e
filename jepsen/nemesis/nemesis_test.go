package nemesis

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quoll/jepsen/network"
)

// ensemble is a Target of no processes: it notes what is done to it.
type ensemble struct {
	mu     sync.Mutex
	dirs   []string
	up     []bool
	paused []bool
	done   []string
	stuck  map[int]bool // cannot be started
	sulks  bool         // never serves
}

func newEnsemble(t *testing.T, n int) *ensemble {
	e := &ensemble{}
	for i := range n {
		e.dirs = append(e.dirs, t.TempDir())
		e.up, e.paused = append(e.up, true), append(e.paused, false)
		require.NoError(t, os.WriteFile(filepath.Join(e.dirs[i], "myid"), []byte("1"), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(e.dirs[i], "log.1"), []byte("first"), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(e.dirs[i], "log.10"), append([]byte("second segment"), make([]byte, 100)...), 0o600))
	}
	return e
}

func (e *ensemble) note(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.done = append(e.done, fmt.Sprintf(format, args...))
}

func (e *ensemble) Size() int { return len(e.up) }

func (e *ensemble) Restart(i int) error {
	if e.stuck[i] {
		return fmt.Errorf("server %d cannot be started", i)
	}
	e.note("start %d", i)
	e.up[i] = true
	return nil
}

func (e *ensemble) Kill(i int)           { e.note("kill %d", i); e.up[i] = false }
func (e *ensemble) Stop(i int)           { e.note("stop %d", i); e.up[i] = false }
func (e *ensemble) Pause(i int)          { e.note("pause %d", i); e.paused[i] = true }
func (e *ensemble) Resume(i int)         { e.paused[i] = false }
func (e *ensemble) Running(i int) bool   { return e.up[i] }
func (e *ensemble) Pid(int) int          { return 0 }
func (e *ensemble) DataDir(i int) string { return e.dirs[i] }

func (e *ensemble) Leader(context.Context) (int, error) { return e.Size() - 1, nil }

func (e *ensemble) Mode(context.Context, int) string { return "follower" }

func (e *ensemble) AwaitServing(context.Context) error {
	if e.sulks {
		return errors.New("some server sulks")
	}
	for i := range e.up {
		if !e.up[i] || e.paused[i] {
			return errors.New("some server is away")
		}
	}
	return nil
}

// wires is a Network that only notes what is cut.
type wires struct {
	network.Network
	cut    map[[2]int]bool
	shaped int
}

func (w *wires) Cut(from, to int) { w.cut[[2]int{from, to}] = true }

func (w *wires) Shape(int, int, time.Duration, time.Duration, float64) { w.shaped++ }

func (w *wires) Heal() { clear(w.cut); w.shaped = 0 }

func quick(n *Nemesis) { n.Every, n.Hold = time.Millisecond, 2*time.Millisecond }

// Every kind that can be done does something, and all of it is undone.
func TestEveryKind(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			e, w := newEnsemble(t, 5), &wires{cut: map[[2]int]bool{}}
			n, err := New(e, Options{Kinds: []string{k.name}, Seed: 1, Network: w, Launch: func(int, []string) {}})
			if u := (*UnavailableError)(nil); errors.As(err, &u) {
				t.Skip(u.Why)
			}
			require.NoError(t, err)
			quick(n)
			a := &attack{Nemesis: n, ctx: t.Context()}
			undo, err := k.begin(a)
			if err == nil && k.name != "slow-net" && k.name != "loss" && k.name != "ring" && k.name != "halves" && k.name != "bridge" {
				require.NotEmpty(t, a.victims)
			}
			require.True(t, len(e.done) > 0 || len(w.cut) > 0 || w.shaped > 0 || err != nil, "nothing was done")
			if undo != nil {
				require.NoError(t, undo())
			}
			for i := range e.up {
				require.True(t, e.up[i], "server %d is still away", i)
				require.False(t, e.paused[i])
				require.FileExists(t, filepath.Join(e.dirs[i], "myid"))
			}
			require.Empty(t, w.cut)
			require.Zero(t, w.shaped)
		})
	}
}

// In a ring of five everybody hears two others, and no two hear the same; over a bridge the two parts
// have one server in common.
func TestShapesOfPartitions(t *testing.T) {
	for kind, heard := range map[string]func(n int) bool{
		"ring":   func(n int) bool { return n == 2 },
		"bridge": func(n int) bool { return n == 2 || n == 4 },
	} {
		e, w := newEnsemble(t, 5), &wires{cut: map[[2]int]bool{}}
		n, err := New(e, Options{Kinds: []string{kind}, Seed: 3, Network: w})
		require.NoError(t, err)
		_, err = find(kind).begin(&attack{Nemesis: n, ctx: t.Context()})
		require.NoError(t, err)
		for i := range 5 {
			links := 0
			for j := range 5 {
				if i != j && !w.cut[[2]int{i, j}] {
					links++
				}
				require.Equal(t, w.cut[[2]int{i, j}], w.cut[[2]int{j, i}], "both ways")
			}
			require.True(t, heard(links), "%s: server %d hears %d", kind, i, links)
		}
	}
}

// A seed decides what is done, and what takes knowledge from a server is done while all serve, alone.
func TestRun(t *testing.T) {
	run := func(seed uint64) ([]Fault, *ensemble) {
		e := newEnsemble(t, 3)
		n, err := New(e, Options{Kinds: []string{"kill", "pause", "wipe", "torn-log"}, Seed: seed})
		require.NoError(t, err)
		quick(n)
		ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
		defer cancel()
		require.NoError(t, n.Run(ctx))
		require.NoError(t, e.AwaitServing(ctx))
		return n.Faults(), e
	}
	first, _ := run(5)
	second, _ := run(5)
	require.Greater(t, len(first), 4)
	for i := range min(len(first), len(second), 5) {
		require.Equal(t, first[i].Kind, second[i].Kind)
		require.Equal(t, first[i].Servers, second[i].Servers)
	}
	for i, f := range first {
		require.False(t, f.To.IsZero())
		if !find(f.Kind).heavy {
			continue
		}
		for j, o := range first {
			require.True(t, i == j || o.To.Before(f.From) || f.To.Before(o.From), "%v and %v at once", f, o)
		}
	}
}

// The newest file is the one with the highest number; what is only reserved at its end is not damaged.
func TestDamage(t *testing.T) {
	e := newEnsemble(t, 3)
	n, err := New(e, Options{Seed: 2})
	require.NoError(t, err)
	name, err := newest(e.dirs[0], "log.*")
	require.NoError(t, err)
	require.Equal(t, "log.10", filepath.Base(name))
	before, err := os.ReadFile(name)
	require.NoError(t, err)

	require.NoError(t, flip(&attack{Nemesis: n}, name))
	after, err := os.ReadFile(name)
	require.NoError(t, err)
	differ := 0
	for i := range before {
		if before[i] != after[i] {
			differ++
			require.Less(t, i, len("second segment"))
		}
	}
	require.Equal(t, 1, differ)

	require.NoError(t, tear(&attack{Nemesis: n}, name))
	after, err = os.ReadFile(name)
	require.NoError(t, err)
	require.Less(t, len(after), len("second segment"))
	_, err = newest(e.dirs[0], "snapshot.*")
	require.ErrorContains(t, err, "there is no snapshot.*")
}

// Servers that are whole and do not serve are told from ones that could not be made whole.
func TestServersThatDoNotServeAgain(t *testing.T) {
	e := newEnsemble(t, 3)
	n, err := New(e, Options{Seed: 1})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e.sulks = true
	var gone *NotServingError
	require.ErrorAs(t, n.Run(ctx), &gone)
	require.ErrorContains(t, gone, "did not serve again within 1m0s: some server sulks")
	e.stuck = map[int]bool{0: true, 2: true}
	e.up = []bool{false, false, false}
	err = n.Run(ctx)
	require.ErrorContains(t, err, "server 0 cannot be started")
	require.ErrorContains(t, err, "server 2 cannot be started")
	require.NotErrorAs(t, err, &gone)
	require.True(t, e.up[1], "the others are started")
}

// A fault that found nothing to break was not done, and says so; the server is there again.
func TestFaultInVain(t *testing.T) {
	e := newEnsemble(t, 3)
	n, err := New(e, Options{Kinds: []string{"flip-snapshot", "torn-log"}, Seed: 1})
	require.NoError(t, err)
	n.do(t.Context(), find("flip-snapshot"))()
	n.do(t.Context(), find("torn-log"))()
	for _, name := range []string{"snapshot.9", "snapshot.10", "snapshot.11"} {
		for _, dir := range e.dirs {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("whole"), 0o600))
		}
		n.flipped = map[string]bool{filepath.Join(e.dirs[0], "snapshot.10"): true, filepath.Join(e.dirs[1], "snapshot.10"): true, filepath.Join(e.dirs[2], "snapshot.10"): true}
		n.do(t.Context(), find("flip-snapshot"))()
	}
	f := n.Faults()
	require.Equal(t, "there is no older snapshot to fall back on", f[2].Err)
	require.False(t, f[3].Failed, f[3].Err)
	require.Contains(t, f[3].Detail, "snapshot.10")
	b, err := os.ReadFile(filepath.Join(e.dirs[f[3].Servers[0]-1], "snapshot.10"))
	require.NoError(t, err)
	require.NotEqual(t, "whole", string(b))
	require.Equal(t, "there is no older snapshot to fall back on", f[4].Err, "the one before is broken, too")
	require.True(t, f[0].Failed)
	require.Equal(t, "there is no snapshot.*", f[0].Err)
	require.False(t, f[1].Failed)
	require.NoError(t, e.AwaitServing(t.Context()))
}

// What cannot be done is said by name.
func TestUnavailable(t *testing.T) {
	_, err := New(newEnsemble(t, 3), Options{Kinds: []string{"halves"}})
	require.EqualError(t, err, "nemesis: halves: there is no network of our own")
	_, err = New(newEnsemble(t, 3), Options{Kinds: []string{"earthquake"}})
	require.ErrorContains(t, err, `there is no fault "earthquake"; there are kill, kill-leader`)
	names, missing := Available(newEnsemble(t, 1), Options{})
	require.Contains(t, names, "kill")
	require.NotEmpty(t, missing)
	for _, m := range missing {
		require.NotEmpty(t, m.Why)
	}
}
