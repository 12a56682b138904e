package quoll_test

import (
	"context"
	"fmt"
	"log/slog"
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
	"quoll/zab"
)

// ensemble is a number of servers in one process, on an in-memory network and in-memory disks,
// inside a testing/synctest bubble: time passes when everybody waits, so nothing here sleeps.
type ensemble struct {
	t       *testing.T
	ctx     context.Context
	net     *transport.Memory
	specs   []quoll.ServerSpec
	adjust  func(*quoll.Config)
	disks   []*vfs.Mem
	servers []*quoll.Server
}

// inEnsemble runs f with voters and observers that all serve. adjust may change every Config.
func inEnsemble(t *testing.T, voters, observers int, adjust func(*quoll.Config), f func(e *ensemble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e := &ensemble{t: t, ctx: t.Context(), net: transport.NewMemory(), adjust: adjust}
		for i := range voters + observers {
			e.specs = append(e.specs, quoll.ServerSpec{
				ID: zab.ServerID(i + 1), Host: host(i), LinkPort: 2888, ElectionPort: 3888, Observer: i >= voters,
			})
			e.disks = append(e.disks, vfs.NewMem())
			e.servers = append(e.servers, nil)
		}
		for i := range e.servers {
			e.start(i)
		}
		defer func() {
			for i := range e.servers {
				e.stop(i)
			}
		}()
		e.awaitServing()
		f(e)
	})
}

func host(i int) string { return fmt.Sprintf("s%d", i+1) }

func (e *ensemble) start(i int) {
	e.t.Helper()
	cfg := quoll.Config{
		DataDir: "/data", ClientAddress: host(i) + ":2181", MyID: zab.ServerID(i + 1), TickTime: 200 * time.Millisecond,
		MaxSessionTimeout: time.Minute, ExtendedTypes: true, FourLetterWords: []string{"*"}, PreAllocSize: 1 << 20,
		FS: e.disks[i], Network: e.net.Host(host(i)), Logger: slog.New(slog.NewTextHandler(e.t.Output(), nil)).With("server", i+1),
	}
	if len(e.specs) > 1 {
		cfg.Servers = e.specs
	}
	if e.adjust != nil {
		e.adjust(&cfg)
	}
	s, err := quoll.Start(e.ctx, cfg)
	require.NoError(e.t, err)
	e.servers[i] = s
}

func (e *ensemble) stop(i int) {
	if e.servers[i] == nil {
		return
	}
	require.NoError(e.t, e.servers[i].Shutdown(context.Background()))
	e.servers[i] = nil
}

// kill takes a server's process away: its connections break, its page cache stays.
func (e *ensemble) kill(i int) {
	e.disks[i] = e.disks[i].Kill()
	e.stop(i)
}

// powerLoss takes a server's machine away: what it had not synced may be gone.
func (e *ensemble) powerLoss(i int, seed uint64) {
	e.disks[i] = e.disks[i].PowerLoss(seed)
	e.stop(i)
}

func (e *ensemble) awaitServing() {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.ctx, time.Minute)
	defer cancel()
	for _, s := range e.servers {
		if s != nil {
			require.NoError(e.t, s.AwaitServing(ctx))
		}
	}
}

func (e *ensemble) status(i int) admin.Status { return e.servers[i].Status() }

// leader returns the index of the server that leads and serves.
func (e *ensemble) leader() int {
	e.t.Helper()
	for i, s := range e.servers {
		if s != nil && e.status(i).Mode == admin.ModeLeader {
			return i
		}
	}
	e.t.Fatal("nobody leads")
	return -1
}

// otherLeader waits until a server other than old leads, and returns it.
func (e *ensemble) otherLeader(old int) (leader int) {
	e.t.Helper()
	e.await("another leader", func() bool {
		for i := range e.servers {
			if i != old && e.status(i).Mode == admin.ModeLeader {
				leader = i
				return true
			}
		}
		return false
	})
	return leader
}

// isolate cuts server i off from the other servers; rejoin ends that. Clients still reach it.
func (e *ensemble) isolate(i int) { e.eachOther(i, e.net.Partition) }

func (e *ensemble) rejoin(i int) { e.eachOther(i, e.net.Heal) }

func (e *ensemble) eachOther(i int, do func(a, b string)) {
	for j := range e.servers {
		if j != i {
			do(host(i), host(j))
		}
	}
}

// follower returns a running server that does not lead.
func (e *ensemble) follower() int {
	e.t.Helper()
	leader := e.leader()
	for i, s := range e.servers {
		if s != nil && i != leader && !e.specs[i].Observer {
			return i
		}
	}
	e.t.Fatal("nobody follows")
	return -1
}

// dial starts a session with server i, which then may move to the others.
func (e *ensemble) dial(opts client.Options, servers ...int) *client.Client {
	e.t.Helper()
	for _, i := range servers {
		opts.Servers = append(opts.Servers, host(i)+":2181")
	}
	here := e.net.Host("client")
	opts.Dial = func(ctx context.Context, addr string) (net.Conn, error) { return here.Dial(ctx, addr) }
	c, err := client.Dial(e.ctx, opts)
	require.NoError(e.t, err)
	e.t.Cleanup(c.Abandon)
	return c
}

// await lets time pass until ok holds, one minute at most.
func (e *ensemble) await(what string, ok func() bool) {
	e.t.Helper()
	for range 6000 {
		if ok() {
			return
		}
		synctest.Wait()
		time.Sleep(10 * time.Millisecond) // the bubble's clock: it moves when nobody has anything to do
	}
	e.t.Fatalf("%s: not within a minute", what)
}

// converge waits until all servers stand at one zxid and demands that their trees are equal.
func (e *ensemble) converge() {
	e.t.Helper()
	e.await("all servers at one zxid", func() bool {
		var zxid uint64
		for i, s := range e.servers {
			if s == nil {
				continue
			}
			st := e.status(i)
			if zxid == 0 {
				zxid = st.Zxid
			}
			if !st.Serving || st.Zxid != zxid {
				return false
			}
		}
		return true
	})
	var digests []admin.Digest
	for i, s := range e.servers {
		if s != nil {
			digests = append(digests, e.status(i).Digests[0])
		}
	}
	for _, d := range digests {
		require.Equal(e.t, digests[0], d, "trees differ at the same zxid")
	}
}
