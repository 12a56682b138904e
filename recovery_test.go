package quoll_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quoll"
	"quoll/election"
	"quoll/log/vfs"
	"quoll/transport/wire"
	"quoll/zab"
)

// pass lets time go by in the bubble.
func (e *ensemble) pass(d time.Duration) {
	end := time.Now().Add(d)
	e.await("time to pass", func() bool { return !time.Now().Before(end) })
}

// A client that gave a server up and went on elsewhere must not see the old server come back with a
// write of its old connection and undo what was acknowledged since (R27).
func TestWritesOfADeadConnectionStayDead(t *testing.T) {
	inEnsemble(t, 3, 0, nil, func(e *ensemble) {
		leader := e.leader()
		cut, other := (leader+1)%3, (leader+2)%3
		c := e.session(cut)
		c.does(1, wire.OpCreate, create("/x", "", 0))
		e.converge()
		e.isolate(cut)
		c.say(request(2, wire.OpSetData, setData("/x", "old", -1)))
		e.pass(10 * time.Millisecond)
		c.nc.Close()
		e.pass(3 * time.Second)
		d := e.resume(other, c)
		d.does(1, wire.OpSetData, setData("/x", "new", -1))
		e.pass(3 * time.Second)
		d.does(2, wire.OpExists, plain("/x")) // keeps the session alive
		e.rejoin(cut)
		e.kill(leader)
		e.await("a new epoch", func() bool { return e.status(cut).Serving && e.status(other).Serving })
		e.pass(time.Second)
		data, _ := dataOf(t, d.does(3, wire.OpGetData, plain("/x")))
		require.Equal(t, "new", data)
		e.start(leader)
		e.awaitServing()
		e.converge()
	})
}

// sync, a read and a write in one go: the barrier may be confirmed by the write itself, but the read
// between them must not see that write.
func TestReadBehindSyncDoesNotSeeALaterWrite(t *testing.T) {
	inEnsemble(t, 3, 0, nil, func(e *ensemble) {
		for _, at := range []int{e.leader(), e.follower()} {
			c, path := e.session(at), fmt.Sprint("/x", at)
			c.does(1, wire.OpCreate, create(path, "v0", 0))
			for i := range 50 {
				c.say(request(2, wire.OpSync, onPath("/")), request(3, wire.OpGetData, plain(path)),
					request(4, wire.OpSetData, setData(path, fmt.Sprint("v", i+1), -1)))
				require.Equal(t, wire.OK, c.reply().Code)
				data, _ := dataOf(t, c.reply().body)
				require.Equal(t, fmt.Sprint("v", i), data)
				require.Equal(t, wire.OK, c.reply().Code)
			}
		}
	})
}

// All disks are full for long, then have room: the ensemble must come back by itself.
func TestEnsembleComesBackFromFullDisks(t *testing.T) {
	var full atomic.Bool
	wrap := func(c *quoll.Config) { c.FS = vfs.NewFault(c.FS, vfs.FullWhile(full.Load)) }
	inEnsemble(t, 3, 0, wrap, func(e *ensemble) {
		c := e.session(e.follower())
		c.does(1, wire.OpCreate, create("/x", "", 0))
		full.Store(true)
		c.say(request(2, wire.OpCreate, create("/y", "", 0)))
		e.pass(20 * time.Second)
		full.Store(false)
		e.awaitServing()
		d := e.session(0)
		d.does(1, wire.OpCreate, create("/z", "", 0))
		e.converge()
	})
}

// One client with a large identity and many small writes: forwarded together they must not become
// a message that no link carries.
func TestLargeIdentitiesDoNotBreakTheLink(t *testing.T) {
	inEnsemble(t, 3, 0, nil, func(e *ensemble) {
		f := e.follower()
		c := e.session(f)
		c.does(1, wire.OpCreate, create("/x", "", 0))
		c.say(request(-4, wire.OpAuth, auth("digest", strings.Repeat("u", 60000)+":p")))
		require.Equal(t, wire.OK, c.reply().Code)
		const writes = 2600
		var frames [][]byte
		for i := range writes {
			frames = append(frames, request(zab.Xid(10+i), wire.OpSetData, setData("/x", "y", -1)))
		}
		c.say(frames...)
		for range writes {
			require.Equal(t, wire.OK, c.reply().Code)
		}
		require.True(t, e.status(f).Serving)
	})
}

// A server that was cut off gathers writes; when it is back, they must not flood its new link.
func TestBacklogComesInPieces(t *testing.T) {
	inEnsemble(t, 3, 0, nil, func(e *ensemble) {
		cut := e.follower()
		var clients []*rawConn
		for range 4 {
			clients = append(clients, e.session(cut))
		}
		clients[0].does(1, wire.OpCreate, create("/x", "", 0))
		e.converge()
		e.isolate(cut)
		const writes = 15
		big := strings.Repeat("d", 900_000)
		sent := make(chan error, len(clients))
		for _, c := range clients {
			go func() {
				for i := range writes {
					if _, err := c.nc.Write(request(zab.Xid(2+i), wire.OpSetData, setData("/x", big, -1))); err != nil {
						sent <- err
						return
					}
				}
				sent <- nil
			}()
		}
		e.pass(2 * time.Second)
		e.rejoin(cut)
		for _, c := range clients {
			for range writes {
				require.Equal(t, wire.OK, c.reply().Code)
			}
			require.NoError(t, <-sent)
		}
		e.converge()
	})
}

// A connection that ends while its session is being made: the txn finds nobody, and that is all.
func TestConnectionEndsWhileItsSessionIsMade(t *testing.T) {
	ensembleOfOne, err := zab.NewEnsemble(zab.EnsembleConfig{Voters: []zab.ServerID{1}})
	require.NoError(t, err)
	s := &bareServer{
		send: func(zab.Envelope) {}, close: func(zab.LinkID) {}, dial: func(zab.ServerID) {}, vote: func(election.Send) {},
	}
	s.start(barePeerConfig(1, ensembleOfOne, 7))
	for range 50 {
		s.peer.Tick(&s.act)
		s.turn()
		s.sync()
		s.turn()
	}
	require.True(t, s.peer.Serving())
	c := s.connect(1)
	s.frame(c, (&wire.ConnectRequest{TimeoutMs: 5000}).Append(nil))
	s.turn()
	s.peer.Drop(c)
	s.sync()
	s.turn()
	require.Empty(t, c.Out)
	require.Equal(t, 1, s.peer.Tree().SessionCount(), "it lives until it expires")
}
