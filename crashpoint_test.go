package quoll_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"quoll"
	"quoll/log/vfs"
	"quoll/transport"
	"quoll/transport/admin"
	"quoll/transport/client"
	"quoll/transport/wire"
)

// alone is a standalone server on a disk that a test breaks, inside a synctest bubble.
type alone struct {
	t      *testing.T
	net    *transport.Memory
	server *quoll.Server
}

// startAlone starts a server with snapshots and segments so small that a few writes roll them.
func startAlone(t *testing.T, disk vfs.FS, adjust func(*quoll.Config)) (*alone, error) {
	t.Helper()
	a := &alone{t: t, net: transport.NewMemory()}
	cfg := quoll.Config{
		DataDir: "/data", ClientAddress: "s1:2181", TickTime: 200 * time.Millisecond, MaxSessionTimeout: time.Minute,
		SnapCount: 6, PreAllocSize: 4096, FS: disk, Network: a.net.Host("s1"),
	}
	if adjust != nil {
		adjust(&cfg)
	}
	var err error
	a.server, err = quoll.Start(context.Background(), cfg)
	return a, err
}

func (a *alone) dial() (*client.Client, error) {
	here := a.net.Host("client")
	return client.Dial(context.Background(), client.Options{
		Servers: []string{"s1:2181"}, SessionTimeout: 20 * time.Second, ConnectTimeout: 2 * time.Second,
		Dial: func(ctx context.Context, addr string) (net.Conn, error) { return here.Dial(ctx, addr) },
	})
}

// serving waits until clients are served and returns the state that recovery brought back.
func (a *alone) serving() (admin.Status, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := a.server.AwaitServing(ctx); err != nil {
		return admin.Status{}, err
	}
	return a.server.Status(), nil
}

func (a *alone) shutdown() { require.NoError(a.t, a.server.Shutdown(context.Background())) }

// contents reads all znodes below the root, which this test keeps flat.
func (a *alone) contents() map[string]string {
	c, err := a.dial()
	require.NoError(a.t, err)
	defer c.Abandon()
	names, _, err := c.Children(context.Background(), "/")
	require.NoError(a.t, err)
	all := map[string]string{}
	for _, name := range names {
		if name == "zookeeper" {
			continue
		}
		data, stat, err := c.Data(context.Background(), "/"+name)
		require.NoError(a.t, err)
		all["/"+name] = fmt.Sprintf("%s v%d", data, stat.Version)
	}
	return all
}

// crashStep is a request of the scenario and what it makes of the contents.
type crashStep struct {
	name  string
	do    func(ctx context.Context, s *crashSessions) error
	apply func(contents map[string]string)
}

// crashSessions are the clients of the scenario.
type crashSessions struct {
	a    *alone
	main *client.Client
	side *client.Client
}

func (s *crashSessions) abandon() {
	for _, c := range []*client.Client{s.main, s.side} {
		if c != nil {
			c.Abandon()
		}
	}
}

// crashScenario has every kind of write, one after the other, so that at any moment one at most
// is under way.
func crashScenario() []crashStep {
	nothing := func(map[string]string) {}
	steps := []crashStep{{"open", func(_ context.Context, s *crashSessions) (err error) {
		s.main, err = s.a.dial()
		return err
	}, nothing}}
	add := func(apply func(map[string]string), do func(ctx context.Context, s *crashSessions) error, name string, args ...any) {
		steps = append(steps, crashStep{fmt.Sprintf(name, args...), do, apply})
	}
	for i := range 5 {
		n, m := fmt.Sprintf("/n%d", i), fmt.Sprintf("/m%d", i)
		add(func(all map[string]string) { all[n] = "0 v0" }, func(ctx context.Context, s *crashSessions) error {
			_, err := s.main.Create(ctx, n, []byte("0"), nil, wire.Persistent)
			return err
		}, "create %s", n)
		add(func(all map[string]string) { all[n] = "1 v1" }, func(ctx context.Context, s *crashSessions) error {
			_, err := s.main.SetData(ctx, n, []byte("1"), 0)
			return err
		}, "setData %s", n)
		add(func(all map[string]string) {
			all[m] = "multi v0"
			all[n] = "2 v2"
		}, func(ctx context.Context, s *crashSessions) error {
			_, err := s.main.Multi(ctx, wire.MultiOp{Op: wire.OpCreate, Path: []byte(m), Data: []byte("multi"), ACL: wire.OpenACL},
				wire.MultiOp{Op: wire.OpSetData, Path: []byte(n), Data: []byte("2"), Version: 1})
			return err
		}, "multi %s", m)
		switch i {
		case 1:
			add(nothing, func(_ context.Context, s *crashSessions) (err error) {
				s.side, err = s.a.dial()
				return err
			}, "open side")
			add(func(all map[string]string) { all["/e"] = " v0" }, func(ctx context.Context, s *crashSessions) error {
				_, err := s.side.Create(ctx, "/e", []byte{}, nil, wire.Ephemeral)
				return err
			}, "create /e")
		case 2:
			add(func(all map[string]string) { delete(all, m) }, func(ctx context.Context, s *crashSessions) error {
				return s.main.Delete(ctx, m, -1)
			}, "delete %s", m)
			add(nothing, func(ctx context.Context, s *crashSessions) error {
				if _, err := s.main.Create(ctx, n, nil, nil, wire.Persistent); !errors.Is(err, wire.NodeExists) {
					return fmt.Errorf("create of what is there: %w", err)
				}
				return nil
			}, "create %s again", n)
		case 3:
			add(func(all map[string]string) { delete(all, "/e") }, func(_ context.Context, s *crashSessions) error {
				replies := make(chan error, 1) // Close would not say whether the server was asked
				s.side.Do(wire.OpCloseSession, nil, func(r client.Reply) { replies <- r.Failure() })
				return <-replies
			}, "close side")
		}
	}
	return steps
}

// runScenario goes through the steps until one fails. It returns how many were acknowledged.
func runScenario(t *testing.T, disk vfs.FS, steps []crashStep) (acknowledged int) {
	a, err := startAlone(t, disk, nil)
	if err != nil {
		return 0
	}
	defer a.shutdown()
	if _, err := a.serving(); err != nil {
		return 0
	}
	s := &crashSessions{a: a}
	defer s.abandon()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for i := range steps {
		if err := steps[i].do(ctx, s); err != nil {
			return i
		}
	}
	return len(steps)
}

// contentsAfter are the contents after each number of steps.
func contentsAfter(steps []crashStep) []map[string]string {
	all := []map[string]string{{}}
	for i := range steps {
		next := maps.Clone(all[i])
		steps[i].apply(next)
		all = append(all, next)
	}
	return all
}

// recovered starts a server twice on what a crash left. It must find the same state both times,
// and in it the steps that were acknowledged and at most the one that was under way besides.
func recovered(t *testing.T, disk *vfs.Mem, seed uint64, acknowledged int, after []map[string]string) {
	t.Helper()
	a, err := startAlone(t, disk, nil)
	require.NoError(t, err)
	first, err := a.serving()
	require.NoError(t, err)
	disk = disk.PowerLoss(seed)
	a.shutdown()

	a, err = startAlone(t, disk, nil)
	require.NoError(t, err)
	defer a.shutdown()
	second, err := a.serving()
	require.NoError(t, err)
	require.Equal(t, first.Digests, second.Digests, "it starts twice in the same way")
	want := []map[string]string{after[acknowledged], after[min(acknowledged+1, len(after)-1)]}
	require.Contains(t, want, a.contents(), "%d steps were acknowledged", acknowledged)
}

// The world stops at every change of the disk in turn, before it or after it, and the power fails.
// What was acknowledged is there, what was never asked for is not, and starting once more changes
// nothing; neither does a crash in the middle of starting.
func TestCrashAtEveryDiskOperation(t *testing.T) {
	steps := crashScenario()
	after := contentsAfter(steps)
	points := 0
	for k, stopped := 1, true; stopped; k++ {
		for _, late := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				mem := vfs.NewMem()
				fault := vfs.NewFault(mem, vfs.CrashAt(k, late))
				acknowledged := runScenario(t, fault, steps)
				if stopped = fault.Stopped(); stopped {
					points++
				} else {
					require.Equal(t, len(steps), acknowledged, "nothing was broken")
				}
				t.Logf("crash at change %d, late %v: %d of %d steps acknowledged", k, late, acknowledged, len(steps))
				seed := uint64(2*k) + 1
				left := mem.PowerLoss(seed)
				if k%8 == 0 {
					left = crashesInRecovery(t, left, seed, acknowledged, after)
				}
				recovered(t, left, seed, acknowledged, after)
			})
		}
	}
	require.Greater(t, points, 120, "the scenario was meant to write snapshots and segments")
}

// crashesInRecovery stops the world at every change that a start makes, and returns what is left.
func crashesInRecovery(t *testing.T, disk *vfs.Mem, seed uint64, acknowledged int, after []map[string]string) *vfs.Mem {
	t.Helper()
	for k := 1; ; k++ {
		fault := vfs.NewFault(disk, vfs.CrashAt(k, k%2 == 0))
		a, err := startAlone(t, fault, nil)
		if err == nil {
			_, _ = a.serving()
			a.shutdown()
		}
		disk = disk.PowerLoss(seed + uint64(k))
		if !fault.Stopped() {
			return disk
		}
		recovered(t, disk.PowerLoss(seed), seed, acknowledged, after)
	}
}
