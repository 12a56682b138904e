package quoll_test

import (
	"bytes"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"quoll"
	"quoll/log/vfs"
	"quoll/transport/wire"
)

func TestHandshakeLengths(t *testing.T) {
	inEnsemble(t, 1, 0, nil, func(e *ensemble) {
		old, now := e.raw(0), e.raw(0)
		r := wire.ConnectRequest{TimeoutMs: 5000, Password: make([]byte, 16)}
		old.say(frame(r.Append(nil)))
		require.Len(t, old.next(), 36, "a client that does not know readOnly gets no byte more")
		r.HasReadOnly, r.ReadOnly = true, true
		now.say(frame(r.Append(nil)))
		response := now.next()
		require.Len(t, response, 37)
		require.Zero(t, response[36], "not an echo: this is no read-only server")

		bare := e.raw(0)
		require.NotZero(t, bare.greet(wire.ConnectRequest{Version: 7, TimeoutMs: 5000}).SessionID, "no password is needed to be new")
		require.Len(t, bare.password, 16)
		require.NotEqual(t, make([]byte, 16), bare.password)
	})
}

func TestSessionTimeoutIsClamped(t *testing.T) {
	limits := func(c *quoll.Config) { c.MinSessionTimeout, c.MaxSessionTimeout = 500*time.Millisecond, 7*time.Second }
	inEnsemble(t, 1, 0, limits, func(e *ensemble) {
		for asked, given := range map[int32]int32{0: 500, -1: 500, 499: 500, 501: 501, 7000: 7000, 7001: 7000, 1<<31 - 1: 7000} {
			c := e.raw(0)
			require.Equal(t, given, c.greet(wire.ConnectRequest{TimeoutMs: asked, HasReadOnly: true}).TimeoutMs, "asked for %d", asked)
			c.timeoutMs = 1 << 30
			require.EqualValues(t, 7000, e.resume(0, c).timeoutMs, "a session that goes on is clamped anew")
		}
	})
}

// refused demands that the server says "expired" in the only way that clients understand.
func refused(c *rawConn, r wire.ConnectRequest) {
	c.t.Helper()
	resp := c.greet(r)
	require.Zero(c.t, resp.TimeoutMs)
	require.Zero(c.t, resp.SessionID)
	require.Equal(c.t, make([]byte, 16), resp.Password)
	require.Equal(c.t, r.HasReadOnly, resp.HasReadOnly)
	c.ends()
}

func TestHandshakeRefusals(t *testing.T) {
	inEnsemble(t, 1, 0, nil, func(e *ensemble) {
		c := e.session(0)
		zxid := c.call(1, wire.OpCreate, create("/a", "", wire.Persistent)).Zxid
		ours := wire.ConnectRequest{TimeoutMs: 5000, SessionID: c.session, Password: c.password}

		t.Log("a session that is not known, a password that is wrong: expired")
		unknown := ours
		unknown.SessionID++
		refused(e.raw(0), unknown)
		unknown.HasReadOnly = true
		refused(e.raw(0), unknown)
		for _, password := range [][]byte{nil, {}, make([]byte, 16), c.password[:15], append(bytes.Clone(c.password), 0)} {
			wrong := ours
			wrong.Password = password
			refused(e.raw(0), wrong)
		}
		c.rests() // whoever knew the id only has not disturbed it

		t.Log("a client that has seen more than this server: not a word, it must try another")
		for _, seen := range []int64{zxid + 1, 1 << 62} {
			for _, r := range []wire.ConnectRequest{ours, {TimeoutMs: 5000}} {
				r.LastZxidSeen = seen
				ahead := e.raw(0)
				ahead.say(frame(r.Append(nil)))
				ahead.ends()
			}
		}
		c.rests()
		for _, seen := range []int64{zxid, 0, -1} { // nonsense, but not the future
			require.NotZero(t, e.raw(0).greet(wire.ConnectRequest{TimeoutMs: 5000, LastZxidSeen: seen}).SessionID)
		}

		t.Log("what is no ConnectRequest")
		whole := ours.Append(nil)
		for _, n := range []int{1, 4, 27, 28, len(whole) - 1} {
			short := e.raw(0)
			short.say(frame(whole[:n]))
			short.ends("a ConnectRequest of %d bytes", n)
		}

		t.Log("the session goes on elsewhere: the newest connection wins")
		d := e.resume(0, c)
		require.Equal(t, c.session, d.session)
		require.Equal(t, c.password, d.password)
		c.ends()
		d.rests()
	})
}

func TestSilentConnectionIsClosed(t *testing.T) {
	inEnsemble(t, 1, 0, nil, func(e *ensemble) {
		start := time.Now()
		c := e.raw(0)
		c.say([]byte{0, 0})
		c.ends()
		require.Equal(t, 10*time.Second, time.Since(start))
	})
}

func TestConnectionLimits(t *testing.T) {
	limits := func(c *quoll.Config) { c.MaxClientCnxns = 3; fromLoopback(c) }
	inEnsemble(t, 1, 0, limits, func(e *ensemble) {
		var all []*rawConn
		for range 3 {
			all = append(all, e.session(0))
		}
		e.raw(0).ends("a fourth from the same address is taken and closed")
		all[0].nc.Close()
		e.await("the place to be free", func() bool { return e.status(0).Connections == 2 })
		e.session(0).rests()
		require.EqualValues(t, 1, e.status(0).Dropped)
	})
}

func TestHandshakeWithoutAQuorum(t *testing.T) {
	inEnsemble(t, 3, 0, nil, func(e *ensemble) {
		left := e.follower()
		there := e.session(left)
		joining := e.raw(left)
		for i := range e.servers {
			if i != left {
				e.net.Partition(host(left), host(i))
			}
		}
		t.Log("the server does not know yet that it is alone: the handshake waits, until it does and for an election's time")
		start := time.Now()
		r := wire.ConnectRequest{TimeoutMs: 40_000}
		joining.say(frame(r.Append(nil)))
		e.await("the server to be alone", func() bool { return !e.status(left).Serving })
		alone := time.Since(start)
		joining.ends()
		require.LessOrEqual(t, time.Since(start), alone+5*time.Second)

		t.Log("not serving: a new connection is closed without a word")
		c := e.raw(left)
		c.say(frame(r.Append(nil)))
		c.ends()
		t.Log("one that has a session is kept for as long as the session lives")
		there.say(request(1, wire.OpGetData, plain("/")))
		there.ends()
		require.GreaterOrEqual(t, time.Since(start), 10*time.Second)
		for i := range e.servers {
			if i != left {
				e.net.Heal(host(left), host(i))
			}
		}
		e.awaitServing()
		e.session(left).rests()
	})
}

// A session that is served elsewhere may still be read on the old connection. Its first write ends
// that, without a word: any would be taken for the session's (protocol.md 2.4, ZOOKEEPER-710).
func TestMovedSession(t *testing.T) {
	inEnsemble(t, 3, 0, nil, func(e *ensemble) {
		for from := range e.servers {
			to := (from + 1) % len(e.servers)
			old := e.session(from)
			old.does(1, wire.OpCreate, create("/e-", "", wire.EphemeralSequential))
			e.converge()
			now := e.resume(to, old)
			require.Equal(t, old.session, now.session)
			now.does(1, wire.OpSetData, setData("/", "now", -1))
			old.does(2, wire.OpGetData, plain("/"))
			old.say(request(3, wire.OpGetData, plain("/")), request(4, wire.OpSetData, setData("/", "old", -1)), request(5, wire.OpGetData, plain("/")))
			require.EqualValues(t, 3, old.reply().Xid)
			old.ends("moved from %d to %d", from, to)
			data, _ := dataOf(t, now.does(2, wire.OpGetData, plain("/")))
			require.Equal(t, "now", data)
			require.Len(t, stringsOf(t, now.does(3, wire.OpGetEphemerals, onPath("/"))), 1)
			back := e.resume(from, now)
			back.does(1, wire.OpSetData, setData("/", "back", -1))
			now.say(request(4, wire.OpMulti, multi(wire.MultiOp{Op: wire.OpCheck, Path: []byte("/"), Version: -1})))
			now.ends("moved back")
			back.does(2, wire.OpCloseSession, nil)
			back.ends()
		}
	})
}

// A leader whose own disk is slower than those of the others has not applied yet what they have. A
// session that it does not know for this reason is not expired.
func TestSessionMovesWhileTheLeaderIsBehind(t *testing.T) {
	var full [4]atomic.Bool
	wrap := func(c *quoll.Config) { c.FS = vfs.NewFault(c.FS, vfs.FullWhile(full[c.MyID].Load)) }
	for _, repaired := range []bool{false, true} {
		inEnsemble(t, 3, 0, wrap, func(e *ensemble) {
			leader := e.leader()
			a, b := (leader+1)%3, (leader+2)%3
			for _, to := range []int{b, leader} {
				full[leader+1].Store(true)
				c := e.session(a)
				c.does(1, wire.OpCreate, create("/e-", "", wire.EphemeralSequential))
				d := e.raw(to)
				d.say(frame((&wire.ConnectRequest{TimeoutMs: 5000, SessionID: c.session, Password: c.password}).Append(nil)))
				synctest.Wait()
				if repaired || to == leader {
					full[leader+1].Store(false)
				}
				require.Equal(t, c.session, d.greeted().SessionID)
				full[leader+1].Store(false)
				d.does(2, wire.OpCloseSession, nil)
				e.awaitServing()
				if e.leader() != leader { // it gave up, with its disk full for so long
					break
				}
			}
		})
	}
}
