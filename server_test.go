package quoll_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quoll"
	"quoll/transport/client"
	"quoll/transport/wire"
)

var persistent = wire.Persistent

func TestEveryServerTakesWrites(t *testing.T) {
	inEnsemble(t, 3, 1, nil, func(e *ensemble) {
		for i := range e.servers {
			c := e.dial(client.Options{}, i)
			_, err := c.Create(e.ctx, "/"+host(i), []byte("x"), nil, persistent)
			require.NoError(t, err)
		}
		e.converge()
		for i := range e.servers {
			c := e.dial(client.Options{}, i)
			names, _, err := c.Children(e.ctx, "/")
			require.NoError(t, err)
			require.ElementsMatch(t, []string{"s1", "s2", "s3", "s4", "zookeeper"}, names)
		}
	})
}

func TestStandaloneServerKeepsWhatItAcknowledged(t *testing.T) {
	inEnsemble(t, 1, 0, nil, func(e *ensemble) {
		c := e.dial(client.Options{}, 0)
		for i := range 20 {
			_, err := c.Create(e.ctx, fmt.Sprintf("/n%d", i), nil, nil, persistent)
			require.NoError(t, err)
		}
		for seed := range uint64(5) {
			e.powerLoss(0, seed)
			e.start(0)
			e.awaitServing()
			require.Equal(t, 25, e.status(0).NodeCount)
		}
	})
}

// The requests of a client on a surviving server outlive the election: each is answered once, in
// order, on a connection that never breaks.
func TestRequestsOutliveTheLeader(t *testing.T) {
	for crash := range 6 {
		t.Run(fmt.Sprint(crash), func(t *testing.T) {
			inEnsemble(t, 3, 0, nil, func(e *ensemble) {
				var mu sync.Mutex
				var states []int32
				c := e.dial(client.Options{OnEvent: func(ev client.Event) {
					mu.Lock()
					defer mu.Unlock()
					states = append(states, ev.State)
				}}, e.follower())
				_, err := c.Create(e.ctx, "/q", nil, nil, persistent)
				require.NoError(t, err)
				const writes = 200
				answers := make(chan client.Reply, writes)
				for i := range writes {
					r := wire.CreateRequest{Path: []byte("/q/n-"), Data: []byte(fmt.Sprint(i)), ACL: wire.OpenACL, Flags: wire.PersistentSequential}
					c.Do(wire.OpCreate, r.Append, func(reply client.Reply) { answers <- reply })
					if i == writes*crash/6 {
						e.kill(e.leader())
					}
				}
				for range writes {
					r := <-answers
					require.NoError(t, r.Err)
					require.Equal(t, wire.OK, r.Code)
				}
				names, _, err := c.Children(e.ctx, "/q")
				require.NoError(t, err)
				require.Len(t, names, writes)
				for i := range writes {
					data, _, err := c.Data(e.ctx, fmt.Sprintf("/q/n-%010d", i))
					require.NoError(t, err)
					require.Equal(t, fmt.Sprint(i), string(data), "the order of a session's writes")
				}
				mu.Lock()
				defer mu.Unlock()
				require.NotContains(t, states, wire.StateDisconnected, "the client's connection must not break")
			})
		})
	}
}

// learnerRestart writes while a follower is down, and checks that it comes back in the way that
// the distance demands.
func learnerRestart(t *testing.T, writes int, adjust func(*quoll.Config), check func(e *ensemble, victim int)) {
	t.Helper()
	inEnsemble(t, 3, 0, adjust, func(e *ensemble) {
		victim := e.follower()
		c := e.dial(client.Options{}, e.leader())
		_, err := c.Create(e.ctx, "/before", nil, nil, persistent)
		require.NoError(t, err)
		e.converge()
		e.kill(victim)
		for i := range writes {
			_, err := c.Create(e.ctx, fmt.Sprintf("/n%d", i), make([]byte, 100), nil, persistent)
			require.NoError(t, err)
		}
		if check != nil {
			check(e, victim)
		}
		e.start(victim)
		e.awaitServing()
		e.converge()
	})
}

func TestFollowerCatchesUpFromMemory(t *testing.T) { learnerRestart(t, 50, nil, nil) }

func TestFollowerCatchesUpFromTheLog(t *testing.T) {
	learnerRestart(t, 50, nil, func(e *ensemble, victim int) {
		// The others restart too, so that what the victim lacks is in no memory.
		for i := range e.servers {
			if i != victim {
				e.kill(i)
				e.start(i)
			}
		}
		e.awaitServing()
	})
}

func TestFollowerCatchesUpFromASnapshot(t *testing.T) {
	few := func(c *quoll.Config) { c.SnapCount, c.PreAllocSize = 20, 4096 }
	learnerRestart(t, 400, few, func(e *ensemble, victim int) {
		for i := range e.servers {
			if i != victim {
				e.kill(i)
				e.start(i)
			}
		}
		e.awaitServing()
	})
}

// A leader cut off with a write in flight keeps it in its log; the others never saw it. When it
// comes back its log is truncated, and its tree has never held the write.
func TestDeposedLeaderIsTruncated(t *testing.T) {
	inEnsemble(t, 3, 0, nil, func(e *ensemble) {
		old := e.leader()
		c := e.dial(client.Options{}, old)
		_, err := c.Create(e.ctx, "/a", nil, nil, persistent)
		require.NoError(t, err)
		e.isolate(old)
		lost := make(chan client.Reply, 1)
		r := wire.CreateRequest{Path: []byte("/lost"), ACL: wire.OpenACL}
		c.Do(wire.OpCreate, r.Append, func(reply client.Reply) { lost <- reply })
		there := e.otherLeader(old)
		d := e.dial(client.Options{}, there)
		_, err = d.Create(e.ctx, "/b", nil, nil, persistent)
		require.NoError(t, err)
		c.Abandon() // the write must not be sent again: its session is gone with its client
		<-lost
		e.rejoin(old)
		e.await("the old leader to follow", func() bool { return e.status(old).Mode == "follower" })
		_, err = d.Create(e.ctx, "/c", nil, nil, persistent)
		require.NoError(t, err)
		e.converge()
	})
}

func TestSessionMovesAndExpires(t *testing.T) {
	inEnsemble(t, 3, 0, nil, func(e *ensemble) {
		leader := e.leader()
		a, b := (leader+1)%3, (leader+2)%3
		c := e.dial(client.Options{SessionTimeout: 2 * time.Second}, a, b)
		_, err := c.Create(e.ctx, "/mine", nil, nil, wire.Ephemeral)
		require.NoError(t, err)
		id := c.SessionID()
		e.kill(a)
		watcher := e.dial(client.Options{SessionTimeout: 10 * time.Second}, leader)
		e.await("the session to move", func() bool { _, gone := c.Exists(e.ctx, "/mine"); return gone == nil })
		require.Equal(t, id, c.SessionID(), "the session moved")
		stat, err := watcher.Exists(e.ctx, "/mine")
		require.NoError(t, err)
		require.Equal(t, id, stat.EphemeralOwner)

		start := time.Now()
		c.Abandon()
		e.await("the ephemeral to vanish", func() bool { _, gone := watcher.Exists(e.ctx, "/mine"); return errors.Is(gone, wire.NoNode) })
		require.GreaterOrEqual(t, time.Since(start), 2*time.Second-700*time.Millisecond, "not before the timeout")
		require.LessOrEqual(t, time.Since(start), 4*time.Second)
		e.start(a)
		e.awaitServing()
		e.converge()
	})
}

func TestClosedSessionTakesItsEphemeralsAlong(t *testing.T) {
	inEnsemble(t, 3, 0, nil, func(e *ensemble) {
		c := e.dial(client.Options{}, e.follower())
		for i := range 10 {
			_, err := c.Create(e.ctx, fmt.Sprintf("/e%d", i), nil, nil, wire.Ephemeral)
			require.NoError(t, err)
		}
		require.NoError(t, c.Close(e.ctx))
		e.converge()
		require.Zero(t, e.status(0).Ephemerals)
		require.Zero(t, e.status(0).Sessions)
	})
}

func TestWatchFiresOnceAndBeforeTheReply(t *testing.T) {
	inEnsemble(t, 3, 0, nil, func(e *ensemble) {
		events := make(chan client.Event, 100)
		c := e.dial(client.Options{OnEvent: func(ev client.Event) {
			if ev.Type != wire.EventNone {
				events <- ev
			}
		}}, e.follower())
		_, err := c.Create(e.ctx, "/w", nil, nil, persistent)
		require.NoError(t, err)
		_, _, err = c.WatchData(e.ctx, "/w")
		require.NoError(t, err)
		_, _, err = c.WatchChildren(e.ctx, "/w")
		require.NoError(t, err)
		_, err = c.SetData(e.ctx, "/w", []byte("1"), -1)
		require.NoError(t, err)
		require.Len(t, events, 1, "the event came before the reply")
		require.Equal(t, wire.EventNodeDataChanged, (<-events).Type)
		_, err = c.SetData(e.ctx, "/w", []byte("2"), -1)
		require.NoError(t, err)
		require.Empty(t, events)
		_, err = c.Create(e.ctx, "/w/c", nil, nil, persistent)
		require.NoError(t, err)
		require.Equal(t, wire.EventNodeChildrenChanged, (<-events).Type)
	})
}

// A deposed leader that does not know it must not answer a sync (ZOOKEEPER-1675).
func TestSyncIsABarrier(t *testing.T) {
	inEnsemble(t, 3, 0, nil, func(e *ensemble) {
		old := e.leader()
		c := e.dial(client.Options{SessionTimeout: 30 * time.Second}, old)
		_, err := c.Create(e.ctx, "/x", []byte("1"), nil, persistent)
		require.NoError(t, err)
		_, err = c.Sync(e.ctx, "/")
		require.NoError(t, err)
		e.isolate(old)
		answered := make(chan client.Reply, 1)
		path := wire.PathRequest{Path: []byte("/")}
		c.Do(wire.OpSync, path.Append, func(r client.Reply) { answered <- r })
		there := e.otherLeader(old)
		d := e.dial(client.Options{}, there)
		_, err = d.SetData(e.ctx, "/x", []byte("2"), -1)
		require.NoError(t, err)
		require.Empty(t, answered, "a leader without a quorum answered a sync")
		e.rejoin(old)
		if r := <-answered; r.Err == nil {
			data, _, err := c.Data(e.ctx, "/x")
			require.NoError(t, err)
			require.Equal(t, "2", string(data))
		}
	})
}
