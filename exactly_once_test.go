package quoll_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"quoll"
	"quoll/transport/admin"
	"quoll/transport/client"
	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/zab"
)

// A follower that loses its link comes back to the same leader in the same epoch. The leader has
// proposed its request by then and nothing is committed yet: sent again, it must not happen twice.
func TestRequestInFlightWhenALinkBreaks(t *testing.T) {
	inEnsemble(t, 3, 1, nil, func(e *ensemble) {
		leader := e.leader()
		other := (leader + 1) % 3
		for _, at := range []int{(leader + 2) % 3, 3} { // a follower and the observer
			c := e.dial(client.Options{}, at)
			root := "/q" + host(at)
			_, err := c.Create(e.ctx, root, nil, nil, persistent)
			require.NoError(t, err)
			e.converge()
			e.net.Partition(host(leader), host(other)) // no commit without the others
			e.net.Block(host(leader), host((leader+2)%3))
			e.net.Block(host(leader), host(at))
			replies := make(chan client.Reply, 3)
			for range cap(replies) {
				c.Do(wire.OpCreate, create(root+"/n-", "", wire.PersistentSequential), func(r client.Reply) { replies <- r })
			}
			zxid := e.status(leader).Zxid
			synctest.Wait() // the leader has proposed them
			require.Equal(t, zxid, e.status(leader).Zxid, "nothing is committed")
			e.net.Break(host(leader), host(at))
			synctest.Wait() // both have noticed
			require.False(t, e.status(at).Serving)
			e.net.Unblock(host(leader), host(at))
			e.await("the server to be back", func() bool { return e.status(at).Serving })
			e.net.Heal(host(leader), host((leader+2)%3))
			e.net.Heal(host(leader), host(other))
			for range cap(replies) {
				r := <-replies
				require.NoError(t, r.Failure())
			}
			require.Equal(t, leader, e.leader(), "the same leadership")
			names, _, err := c.Children(e.ctx, root)
			require.NoError(t, err)
			require.Len(t, names, cap(replies), "each request happened once")
			e.converge()
		}
	})
}

// outcome is what a client knows of a write when the dust has settled.
type outcome struct {
	n       int
	unknown bool // the connection broke: it may have happened, once at most
	code    wire.Code
	zxid    zab.Zxid
	path    string    // of a create
	stat    wire.Stat // of a setData
}

// writer is a session that writes as fast as it is answered, some requests ahead.
type writer struct {
	e       *ensemble
	id      int
	c       *client.Client
	session zab.SessionID
	rnd     *rand.Rand

	mu      sync.Mutex
	creates []outcome // in the order of the answers
	swaps   []outcome
	broken  int // times that the connection was lost
}

func newWriter(e *ensemble, id, seed int, servers []int) *writer {
	w := &writer{e: e, id: id, rnd: rand.New(rand.NewPCG(uint64(seed), uint64(id)))}
	w.c = e.dial(client.Options{SessionTimeout: time.Minute, ConnectTimeout: time.Second, OnEvent: func(ev client.Event) {
		if ev.State == wire.StateDisconnected {
			w.mu.Lock()
			w.broken++
			w.mu.Unlock()
		}
	}}, servers...)
	w.session = w.c.SessionID()
	_, err := w.c.Create(e.ctx, fmt.Sprintf("/alive%d", id), nil, nil, wire.Ephemeral)
	require.NoError(e.t, err)
	return w
}

// judge sorts an answer. An error that leaves nothing unknown is no outcome.
func judge(n int, r client.Reply) (outcome, bool) {
	o := outcome{n: n, code: r.Code, zxid: zab.Zxid(r.Zxid)}
	switch {
	case errors.Is(r.Err, client.ErrNotSent):
		return o, false
	case r.Err != nil:
		o.unknown = true
	}
	return o, true
}

func (w *writer) create(n int, done func()) {
	data := fmt.Sprintf("%d:%d", w.id, n)
	w.c.Do(wire.OpCreate, create(fmt.Sprintf("/q/%d-", w.id), data, wire.PersistentSequential), func(r client.Reply) {
		defer done()
		o, ok := judge(n, r)
		if ok && r.Err == nil && r.Code == wire.OK {
			o.path = pathOf(w.e.t, r.Body)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if ok {
			w.creates = append(w.creates, o)
		}
	})
}

// swap sets the register that all writers share, if it still is as this one saw it last.
func (w *writer) swap(n int) {
	_, stat, err := w.c.Data(w.e.ctx, "/register")
	if err != nil {
		return
	}
	replies := make(chan struct{})
	w.c.Do(wire.OpSetData, setData("/register", fmt.Sprintf("%d:%d", w.id, n), stat.Version), func(r client.Reply) {
		defer close(replies)
		o, ok := judge(n, r)
		if ok && r.Err == nil && r.Code == wire.OK {
			d := jute.NewDecoder(r.Body)
			o.stat.Decode(&d)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if ok {
			w.swaps = append(w.swaps, o)
		}
	})
	<-replies
}

func (w *writer) run(stop <-chan struct{}) {
	var open sync.WaitGroup
	defer open.Wait()
	ahead := make(chan struct{}, 4)
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		case ahead <- struct{}{}:
		}
		open.Add(1)
		w.create(n, func() {
			<-ahead
			open.Done()
		})
		if w.rnd.IntN(4) == 0 {
			w.swap(n)
		}
		time.Sleep(time.Duration(w.rnd.IntN(150)) * time.Millisecond) // in the bubble
	}
}

// trouble breaks the ensemble in one way, and repairs it after a while.
func (e *ensemble) trouble(rnd *rand.Rand) {
	victim := rnd.IntN(len(e.servers))
	if rnd.IntN(3) > 0 {
		for i := range e.servers {
			if e.status(i).Mode == admin.ModeLeader {
				victim = i
			}
		}
	}
	other := (victim + 1 + rnd.IntN(len(e.servers)-1)) % len(e.servers)
	while := func() { time.Sleep(time.Duration(rnd.IntN(3000)) * time.Millisecond) } // in the bubble
	switch rnd.IntN(6) {
	case 0:
		e.kill(victim)
		while()
		e.start(victim)
	case 1:
		e.powerLoss(victim, rnd.Uint64())
		while()
		e.start(victim)
	case 2:
		for i := range e.servers {
			if i != victim {
				e.net.Partition(host(victim), host(i))
			}
		}
		while()
		for i := range e.servers {
			if i != victim {
				e.net.Heal(host(victim), host(i))
			}
		}
	case 3:
		e.net.Break(host(victim), host(other))
	case 4:
		e.net.Block(host(victim), host(other))
		while()
		e.net.Break(host(victim), host(other))
		e.net.Unblock(host(victim), host(other))
	case 5:
		e.net.BreakAfter(host(victim), host(other), rnd.IntN(5000))
	}
	time.Sleep(time.Duration(rnd.IntN(500)) * time.Millisecond) // in the bubble
}

// Many sessions write while leaders die, servers are cut off and links break in the middle of
// frames. Whatever was acknowledged happened, once, as it was answered; what was not happened
// once at most; and each session's writes happened in its order.
func TestExactlyOnceInTrouble(t *testing.T) {
	for seed := range 3 {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			var adjust func(*quoll.Config)
			if seed%2 == 1 { // who was away gets a snapshot
				adjust = func(c *quoll.Config) { c.SnapCount, c.PreAllocSize = 20, 4096 }
			}
			inEnsemble(t, 3, 1, adjust, func(e *ensemble) {
				setup := e.dial(client.Options{SessionTimeout: time.Minute}, 0)
				for _, p := range []string{"/q", "/register"} {
					_, err := setup.Create(e.ctx, p, nil, nil, persistent)
					require.NoError(t, err)
				}
				var writers []*writer
				stop := make(chan struct{})
				var running sync.WaitGroup
				for id := range 6 {
					w := newWriter(e, id, seed, []int{id % 4, (id + 1) % 4, (id + 2) % 4})
					writers = append(writers, w)
					running.Go(func() { w.run(stop) })
				}
				rnd := rand.New(rand.NewPCG(uint64(seed), 99))
				for range 10 {
					e.trouble(rnd)
				}
				e.awaitServing()
				close(stop)
				running.Wait()
				e.converge()
				checkCreates(t, e, writers)
				checkSwaps(t, e, writers)
				for _, w := range writers {
					require.NoError(t, w.c.Err())
					require.Equal(t, w.session, w.c.SessionID(), "the session lives on")
					stat, err := w.c.Exists(e.ctx, fmt.Sprintf("/alive%d", w.id))
					require.NoError(t, err)
					require.Equal(t, w.session, stat.EphemeralOwner)
				}
			})
		})
	}
}

func checkCreates(t *testing.T, e *ensemble, writers []*writer) {
	t.Helper()
	c := e.dial(client.Options{}, 0)
	names, _, err := c.Children(e.ctx, "/q")
	require.NoError(t, err)
	found := map[string]string{} // path by data
	stats := map[string]wire.Stat{}
	for _, name := range names {
		data, stat, err := c.Data(e.ctx, "/q/"+name)
		require.NoError(t, err)
		require.Empty(t, found[string(data)], "%s happened twice", data)
		found[string(data)], stats[string(data)] = "/q/"+name, stat
	}
	acknowledged, unknown, broken := 0, 0, 0
	for _, w := range writers {
		broken += w.broken
		last := outcome{n: -1}
		for _, o := range w.creates {
			data := fmt.Sprintf("%d:%d", w.id, o.n)
			if o.unknown {
				unknown++
				delete(found, data)
				continue
			}
			acknowledged++
			require.Equal(t, wire.OK, o.code)
			require.Equal(t, o.path, found[data], "%s was acknowledged", data)
			require.Equal(t, o.zxid, stats[data].Czxid)
			require.Greater(t, o.n, last.n, "answered in order")
			require.Greater(t, o.zxid, last.zxid, "happened in order")
			last = o
			delete(found, data)
		}
	}
	require.Empty(t, found, "what nobody asked for, or was told was never sent")
	t.Logf("%d creates acknowledged, %d unknown, %d connections lost", acknowledged, unknown, broken)
	require.Greater(t, acknowledged, 200)
}

func checkSwaps(t *testing.T, e *ensemble, writers []*writer) {
	t.Helper()
	c := e.dial(client.Options{}, 0)
	data, stat, err := c.Data(e.ctx, "/register")
	require.NoError(t, err)
	by := map[int32]string{}
	unknown := 0
	for _, w := range writers {
		for _, o := range w.swaps {
			switch {
			case o.unknown:
				unknown++
			case o.code == wire.OK:
				require.Empty(t, by[o.stat.Version], "version %d was given twice", o.stat.Version)
				by[o.stat.Version] = fmt.Sprintf("%d:%d", w.id, o.n)
				require.Equal(t, o.zxid, o.stat.Mzxid)
			default:
				require.Equal(t, wire.BadVersion, o.code)
			}
		}
	}
	require.GreaterOrEqual(t, int(stat.Version), len(by))
	require.LessOrEqual(t, int(stat.Version), len(by)+unknown, "every version was somebody's")
	if last := by[stat.Version]; last != "" {
		require.Equal(t, last, string(data))
	}
	require.Greater(t, len(by), 10)
}
