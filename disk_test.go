package quoll_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"quoll"
	"quoll/log"
	"quoll/log/vfs"
	"quoll/transport"
	"quoll/transport/client"
	"quoll/transport/wire"
	"quoll/zab"
)

// After a failed write or fsync nobody knows what is on the disk: the server ends, says why, and
// acknowledges nothing more (R20).
func TestFailedSyncEndsTheServer(t *testing.T) {
	broken := errors.New("medium error")
	for _, kind := range []vfs.OpKind{vfs.OpSync, vfs.OpWrite} {
		t.Run(kind.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var armed atomic.Bool
				mem := vfs.NewMem()
				disk := vfs.NewFault(mem, func(op vfs.Op) vfs.Effect {
					if op.Kind == kind && armed.CompareAndSwap(true, false) { // once: the next one would say yes
						return vfs.Effect{Err: broken}
					}
					return vfs.Effect{}
				})
				large := func(c *quoll.Config) { c.SnapCount, c.PreAllocSize = 1000, 1<<20 }
				a, err := startAlone(t, disk, large)
				require.NoError(t, err)
				_, err = a.serving()
				require.NoError(t, err)
				c, err := a.dial()
				require.NoError(t, err)
				_, err = c.Create(t.Context(), "/before", nil, nil, wire.Persistent)
				require.NoError(t, err)
				synctest.Wait()

				armed.Store(true)
				const writes = 20
				replies := make(chan client.Reply, writes)
				for i := range writes {
					c.Do(wire.OpCreate, create(fmt.Sprintf("/n%d", i), "", 0), func(r client.Reply) { replies <- r })
				}
				<-a.server.Done()
				require.ErrorIs(t, a.server.Err(), broken)
				require.ErrorContains(t, a.server.Err(), "log: "+kind.String()+" /data/log.")
				c.Abandon()
				for range writes {
					require.Error(t, (<-replies).Err, "acknowledged after the disk broke")
				}
				_, err = a.dial()
				require.Error(t, err, "the port is closed")

				after, err := startAlone(t, mem.Kill(), large)
				require.NoError(t, err)
				defer after.shutdown()
				_, err = after.serving()
				require.NoError(t, err)
				require.Contains(t, after.contents(), "/before")
			})
		})
	}
}

// A full disk refuses writes and keeps its promises: reads go on, what waits is done when there is
// room, and nothing that was acknowledged is lost.
func TestFullDisk(t *testing.T) {
	var full atomic.Bool
	wrap := func(c *quoll.Config) { c.FS = vfs.NewFault(c.FS, vfs.FullWhile(full.Load)) }
	inEnsemble(t, 1, 0, wrap, func(e *ensemble) {
		first, c, leaves, syncs := e.session(0), e.session(0), e.session(0), e.session(0)
		for i := range 3 {
			c.does(1, wire.OpCreate, create(fmt.Sprintf("/n%d", i), "", 0))
		}
		full.Store(true)
		first.say(request(1, wire.OpCreate, create("/waits", "", 0)), request(2, wire.OpCreate, create("/refused", "", 0)),
			request(3, wire.OpGetData, plain("/waits")))
		synctest.Wait()
		syncs.say(request(1, wire.OpSync, onPath("/")))
		for range 3 {
			c.refuses(wire.SystemError, 2, wire.OpCreate, create("/refused", "", 0))
			c.does(3, wire.OpGetData, plain("/n0"))
			c.refuses(wire.NoNode, 4, wire.OpGetData, plain("/waits"), "what is not durable does not show")
			time.Sleep(time.Second) // in the bubble: the disk is asked again and again
		}
		leaves.refuses(wire.SystemError, 6, wire.OpCloseSession, nil)
		leaves.ends("whoever wants to go may go")
		late := e.raw(0)
		late.say(frame((&wire.ConnectRequest{TimeoutMs: 5000}).Append(nil)))
		late.ends("there is no room for another session")

		full.Store(false)
		require.Equal(t, "/waits", pathOf(t, first.reply().body))
		a := first.reply()
		require.EqualValues(t, 2, a.Xid)
		require.Contains(t, []wire.Code{wire.OK, wire.SystemError}, a.Code, "it may have come before the disk was known to be full")
		require.Equal(t, wire.OK, first.reply().Code)
		require.Equal(t, wire.OK, syncs.reply().Code, "sync waits for what was under way")
		syncs.does(2, wire.OpGetData, plain("/waits"))
		c.does(7, wire.OpCreate, create("/after", "", 0))
		nodes := e.status(0).NodeCount
		e.kill(0)
		e.start(0)
		e.awaitServing()
		require.Equal(t, nodes, e.status(0).NodeCount)
		e.resume(0, c).does(1, wire.OpGetData, plain("/after"))
	})
}

// One full disk of three stops nobody but its own server's writers.
func TestFullDiskInAnEnsemble(t *testing.T) {
	for _, role := range []string{"leader", "follower"} {
		t.Run(role, func(t *testing.T) {
			var full [4]atomic.Bool
			wrap := func(c *quoll.Config) { c.FS = vfs.NewFault(c.FS, vfs.FullWhile(full[c.MyID].Load)) }
			inEnsemble(t, 3, 0, wrap, func(e *ensemble) {
				victim := e.leader()
				if role == "follower" {
					victim = e.follower()
				}
				others := []int{(victim + 1) % 3, (victim + 2) % 3}
				c := e.dial(client.Options{}, others...)
				write := func(n int) {
					for i := range 20 {
						p := fmt.Sprintf("/n%d-%d", n, i)
						_, err := c.Create(e.ctx, p, nil, nil, persistent)
						require.True(t, err == nil || errors.Is(err, client.ErrConnectionLoss), "%v", err)
						if err != nil { // an election: the outcome is not known, unless asked for
							_, err = c.Create(e.ctx, p, nil, nil, persistent)
							require.True(t, err == nil || errors.Is(err, wire.NodeExists), "%v", err)
						}
						time.Sleep(100 * time.Millisecond) // in the bubble
					}
				}
				write(0)
				full[victim+1].Store(true)
				write(1)
				full[victim+1].Store(false)
				write(2)
				e.converge()
				names, _, err := c.Children(e.ctx, "/")
				require.NoError(t, err)
				require.Len(t, names, 61)
			})
		})
	}
}

// startFails demands an error that says what is wrong, and that nothing is left behind: with the
// cause gone the same start succeeds.
func startFails(t *testing.T, cfg quoll.Config, repair func(*quoll.Config), says ...string) error {
	t.Helper()
	_, err := quoll.Start(t.Context(), cfg)
	require.Error(t, err)
	for _, s := range says {
		require.ErrorContains(t, err, s)
	}
	repair(&cfg)
	s, again := quoll.Start(t.Context(), cfg)
	require.NoError(t, again)
	require.NoError(t, s.AwaitServing(t.Context()))
	require.NoError(t, s.Shutdown(context.Background()))
	return err
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	run := func(name string, f func(t *testing.T, cfg quoll.Config, network *transport.Memory, disk *vfs.Mem)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network, disk := transport.NewMemory(), vfs.NewMem()
				cfg := quoll.Config{
					DataDir: "/data", ClientAddress: "s1:2181", MyID: 1, TickTime: 200 * time.Millisecond,
					FS: disk, Network: network.Host("s1"), PreAllocSize: 1 << 20,
				}
				f(t, cfg, network, disk)
			})
		})
	}
	run("port in use", func(t *testing.T, cfg quoll.Config, network *transport.Memory, _ *vfs.Mem) {
		l, err := network.Host("s1").Listen("s1:2181")
		require.NoError(t, err)
		err = startFails(t, cfg, func(*quoll.Config) { l.Close() }, "client port s1:2181")
		require.ErrorIs(t, err, syscall.EADDRINUSE)
	})
	run("port of the ensemble in use", func(t *testing.T, cfg quoll.Config, network *transport.Memory, _ *vfs.Mem) {
		cfg.Servers = []quoll.ServerSpec{{ID: 1, Host: "s1", LinkPort: 2888, ElectionPort: 3888}}
		for _, addr := range []string{"s1:2888", "s1:3888"} {
			l, err := network.Host("s1").Listen(addr)
			require.NoError(t, err)
			err = startFails(t, cfg, func(*quoll.Config) { l.Close() }, addr)
			require.ErrorIs(t, err, syscall.EADDRINUSE)
		}
	})
	run("directory of another server", func(t *testing.T, cfg quoll.Config, _ *transport.Memory, _ *vfs.Mem) {
		first, err := quoll.Start(t.Context(), cfg)
		require.NoError(t, err)
		require.NoError(t, first.AwaitServing(t.Context()))
		require.NoError(t, first.Shutdown(context.Background()))
		cfg.MyID = 2
		err = startFails(t, cfg, func(c *quoll.Config) { c.MyID = 1 }, "/data", "belongs to server 1", "this is server 2")
		require.ErrorIs(t, err, log.ErrOtherServer)
	})
	run("directory of another member", func(t *testing.T, cfg quoll.Config, network *transport.Memory, disk *vfs.Mem) {
		first, err := quoll.Start(t.Context(), cfg)
		require.NoError(t, err)
		require.NoError(t, first.AwaitServing(t.Context()))
		require.NoError(t, first.Shutdown(context.Background()))
		names, err := disk.List("/data")
		require.NoError(t, err)
		other := cfg
		other.MyID, other.ClientAddress = 2, "s1:2182"
		for id := range 3 {
			other.Servers = append(other.Servers, quoll.ServerSpec{ID: zab.ServerID(id + 1), Host: "s1", LinkPort: 2888 + id, ElectionPort: 3888 + id})
		}
		t.Log("nothing is damaged, so nothing is moved: with the right id the same directory is as it was")
		err = startFails(t, other, func(c *quoll.Config) { *c = cfg }, "belongs to server 1", "this is server 2", "check myid")
		require.ErrorIs(t, err, log.ErrOtherServer)
		require.NotContains(t, err.Error(), "damaged")
		after, err := disk.List("/data")
		require.NoError(t, err)
		require.Equal(t, names, after)
	})
	run("directory in use", func(t *testing.T, cfg quoll.Config, _ *transport.Memory, _ *vfs.Mem) {
		first, err := quoll.Start(t.Context(), cfg)
		require.NoError(t, err)
		cfg.ClientAddress = "s1:2182"
		err = startFails(t, cfg, func(*quoll.Config) {
			require.NoError(t, first.Shutdown(context.Background()))
		}, "directory /data", "stop the other server")
		require.ErrorIs(t, err, vfs.ErrLocked)
	})
	run("directory that cannot be written", func(t *testing.T, cfg quoll.Config, _ *transport.Memory, disk *vfs.Mem) {
		for _, kind := range []vfs.OpKind{vfs.OpMkdir, vfs.OpLock, vfs.OpCreate} {
			cfg.FS = vfs.NewFault(disk.Kill(), func(op vfs.Op) vfs.Effect {
				if op.Kind == kind {
					return vfs.Effect{Err: &fs.PathError{Op: "open", Path: op.Name, Err: fs.ErrPermission}}
				}
				return vfs.Effect{}
			})
			err := startFails(t, cfg, func(c *quoll.Config) { c.FS = disk.Kill() }, "/data")
			require.ErrorIs(t, err, fs.ErrPermission)
		}
	})
	run("damaged log", func(t *testing.T, cfg quoll.Config, network *transport.Memory, disk *vfs.Mem) {
		first, err := quoll.Start(t.Context(), cfg)
		require.NoError(t, err)
		require.NoError(t, first.AwaitServing(t.Context()))
		c, err := (&alone{t: t, net: network, server: first}).dial()
		require.NoError(t, err)
		for i := range 5 {
			_, err = c.Create(t.Context(), fmt.Sprintf("/n%d", i), nil, nil, persistent)
			require.NoError(t, err)
		}
		c.Abandon()
		require.NoError(t, first.Shutdown(context.Background()))
		whole := disk.Kill()
		names, err := disk.List("/data")
		require.NoError(t, err)
		var segment string
		for _, name := range names {
			if strings.HasPrefix(name, "log.") {
				segment = "/data/" + name
			}
		}
		file, err := disk.OpenReadWrite(segment)
		require.NoError(t, err)
		const offset = 512 + 40 // in the first block, behind the header
		var b [1]byte
		_, err = file.ReadAt(b[:], offset)
		require.NoError(t, err)
		_, err = file.WriteAt([]byte{b[0] ^ 1}, offset)
		require.NoError(t, err)
		err = startFails(t, cfg, func(c *quoll.Config) { c.FS = whole }, segment, "offset 5")
		var corrupt *log.CorruptError
		require.ErrorAs(t, err, &corrupt)
		require.Equal(t, zab.Zxid(0), corrupt.Last)
	})
}
