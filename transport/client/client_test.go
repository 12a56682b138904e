package client_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"quoll/transport/client"
	"quoll/transport/wire"
)

// dial starts a session on a network of fakes, with a time-out of 9 s: a ping every third second.
func dial(t testing.TB, n *network, change ...func(*client.Options)) *client.Client {
	o := client.Options{SessionTimeout: 9 * time.Second, Dial: n.dial, Servers: []string{"a", "b"}}
	for _, f := range change {
		f(&o)
	}
	c, err := client.Dial(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(c.Abandon)
	return c
}

// collector gathers the ends of requests.
type collector struct {
	mu   sync.Mutex
	ends []string
}

func (c *collector) done(name string) func(client.Reply) {
	return func(r client.Reply) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.ends = append(c.ends, fmt.Sprint(name, " ", r.Failure()))
	}
}

func (c *collector) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	ends := c.ends
	c.ends = nil
	return ends
}

// Many requests go out without waiting, in few writes, and end in order.
func TestPipelining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeServer{addr: "a"}
		a.handle = func(r request) []byte { return ok(r, int64(r.Xid)) }
		c := dial(t, newNetwork(t, a))
		const total = 1000
		var xids []int64
		for range total {
			c.Do(wire.OpSync, nil, func(r client.Reply) { xids = append(xids, r.Zxid) })
		}
		synctest.Wait()
		require.Len(t, xids, total)
		for i, x := range xids {
			require.EqualValues(t, i+1, x)
		}
		require.EqualValues(t, total, c.LastZxid())
		require.Less(t, len(a.writes), total/10, "requests that gathered must leave together")
	})
}

// A callback may send: a closed loop of one needs no goroutine of the caller.
func TestCallbacksSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dial(t, newNetwork(t, &fakeServer{addr: "a"}))
		n := 0
		var again func(client.Reply)
		again = func(r client.Reply) {
			if n++; n < 100 && r.Failure() == nil {
				c.Do(wire.OpSync, nil, again)
			}
		}
		c.Do(wire.OpSync, nil, again)
		synctest.Wait()
		require.Equal(t, 100, n)
	})
}

// A broken connection ends what is in flight, with an open outcome, and the session goes on with
// the next server: same number, same password, nothing older than it has seen.
func TestConnectionLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &fakeServer{addr: "a"}, &fakeServer{addr: "b"}
		a.handle = func(r request) []byte {
			if r.Op == wire.OpSync {
				return nil
			}
			return ok(r, 77)
		}
		var events []client.Event
		c := dial(t, newNetwork(t, a, b), func(o *client.Options) {
			o.OnEvent = func(e client.Event) { events = append(events, e) }
		})
		var ends collector
		c.Do(wire.OpDelete, nil, ends.done("first"))
		c.Do(wire.OpSync, nil, ends.done("second"))
		c.Do(wire.OpSync, nil, func(r client.Reply) {
			ends.done("third")(r)
			c.Do(wire.OpDelete, nil, ends.done("again")) // waits for the next connection
		})
		synctest.Wait()
		require.Equal(t, []string{"first <nil>"}, ends.take())
		require.Equal(t, "a", c.Server())
		a.crash()
		synctest.Wait()
		lost := client.ErrConnectionLoss.Error()
		require.Equal(t, []string{"second " + lost, "third " + lost, "again <nil>"}, ends.take())
		require.Equal(t, "b", c.Server())
		hello := b.greeted()[0]
		require.Equal(t, fakeSession, hello.SessionID)
		require.Equal(t, fakePassword, hello.Password)
		require.EqualValues(t, 77, hello.LastZxidSeen)
		require.EqualValues(t, 9000, hello.TimeoutMs)
		require.Equal(t, fakeSession, c.SessionID())
		var states []int32
		for _, e := range events {
			require.Equal(t, wire.EventNone, e.Type)
			states = append(states, e.State)
		}
		require.Equal(t, []int32{wire.StateSyncConnected, wire.StateDisconnected, wire.StateSyncConnected}, states)
		require.NoError(t, c.Err())
	})
}

// Without a server requests wait as long as the session could live, and then have certainly not
// been sent; the session is still there when a server is.
func TestRequestsWaitForAServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeServer{addr: "a"}
		c := dial(t, newNetwork(t, a))
		a.crash()
		synctest.Wait()
		var ends collector
		c.Do(wire.OpSync, nil, ends.done("early"))
		time.Sleep(8 * time.Second)
		require.Empty(t, ends.take())
		time.Sleep(2 * time.Second)
		got := ends.take()
		require.Len(t, got, 1)
		require.Contains(t, got[0], client.ErrNotSent.Error())
		require.Contains(t, got[0], "refused")
		a.start()
		c.Do(wire.OpSync, nil, ends.done("late"))
		time.Sleep(time.Second)
		require.Equal(t, []string{"late <nil>"}, ends.take())
		require.Len(t, a.got(), 1)
	})
}

// A server that does not serve, or lags behind the client, closes without a word: not an expiry.
func TestServerThatLagsIsPassedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &fakeServer{addr: "a"}, &fakeServer{addr: "b"}
		b.handshake = func(wire.ConnectRequest) *wire.ConnectResponse { return nil }
		c := dial(t, newNetwork(t, a, b))
		c.Disconnect()
		time.Sleep(time.Second)
		require.Equal(t, "a", c.Server())
		require.Len(t, a.greeted(), 2)
		require.Len(t, b.greeted(), 1)
		require.NoError(t, c.Err())
	})
}

func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &fakeServer{addr: "a", handle: silent}, &fakeServer{addr: "b", handshake: refuse}
		var last client.Event
		c := dial(t, newNetwork(t, a, b), func(o *client.Options) {
			o.OnEvent = func(e client.Event) { last = e }
		})
		var ends collector
		c.Do(wire.OpSync, nil, func(r client.Reply) {
			ends.done("sent")(r)
			c.Do(wire.OpSync, nil, func(r client.Reply) {
				require.ErrorIs(t, r.Err, client.ErrSessionExpired)
				ends.done("waiting")(client.Reply{})
			})
		})
		synctest.Wait()
		a.crash()
		<-c.Done()
		require.Equal(t, []string{"sent " + client.ErrConnectionLoss.Error(), "waiting <nil>"}, ends.take())
		require.ErrorIs(t, c.Err(), client.ErrSessionExpired)
		require.Equal(t, wire.StateExpired, last.State)
		_, err := c.Sync(t.Context(), "/")
		require.ErrorIs(t, err, client.ErrSessionExpired)
		require.ErrorIs(t, c.Err(), client.ErrSessionExpired)
	})
}

// An idle session lives on its pings; a server that no longer answers is left in time to keep the
// session with another.
func TestPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &fakeServer{addr: "a"}, &fakeServer{addr: "b"}
		c := dial(t, newNetwork(t, a, b))
		time.Sleep(time.Minute + time.Second)
		pings := a.got()
		require.Len(t, pings, 20)
		require.Equal(t, wire.RequestHeader{Xid: wire.XidPing, Op: wire.OpPing}, pings[7].RequestHeader)
		require.Len(t, a.greeted(), 1)
		a.mu.Lock()
		a.handle = silent
		a.mu.Unlock()
		time.Sleep(c.Timeout())
		require.Equal(t, "b", c.Server())
	})
}

// The identities of a session come before anything else on every connection.
func TestAuthIsGivenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &fakeServer{addr: "a"}, &fakeServer{addr: "b"}
		b.isDown = true
		c := dial(t, newNetwork(t, a, b))
		require.NoError(t, c.Auth(t.Context(), "digest", []byte("u:p")))
		a.crash()
		synctest.Wait()
		var ends collector
		c.Do(wire.OpSync, nil, ends.done("sync"))
		b.start()
		time.Sleep(time.Second)
		require.Equal(t, []string{"sync <nil>"}, ends.take())
		got := b.got()
		require.Len(t, got, 2)
		require.Equal(t, wire.RequestHeader{Xid: wire.XidAuth, Op: wire.OpAuth}, got[0].RequestHeader)
		require.Equal(t, a.got()[0].body, got[0].body)
		require.Equal(t, wire.OpSync, got[1].Op)
	})
}

// The reply to an auth packet may overtake those of earlier requests.
func TestAuthReplyOvertakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var held []byte
		a := &fakeServer{addr: "a"}
		a.handle = func(r request) []byte {
			if r.Op == wire.OpAuth {
				return append(ok(r, 0), held...)
			}
			held = append(held, ok(r, 1)...)
			return nil
		}
		c := dial(t, newNetwork(t, a))
		var ends collector
		c.Do(wire.OpSync, nil, ends.done("sync"))
		c.Do(wire.OpAuth, (&wire.AuthRequest{Scheme: "digest"}).Append, ends.done("auth"))
		synctest.Wait()
		require.Equal(t, []string{"auth <nil>", "sync <nil>"}, ends.take())
	})
}

func TestCloseEndsTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeServer{addr: "a"}
		c := dial(t, newNetwork(t, a))
		var ends collector
		c.Do(wire.OpSync, nil, ends.done("sync"))
		require.NoError(t, c.Close(t.Context()))
		require.Equal(t, []string{"sync <nil>"}, ends.take())
		got := a.got()
		require.Equal(t, wire.OpCloseSession, got[len(got)-1].Op)
		require.ErrorIs(t, c.Err(), client.ErrClosed)
		require.Len(t, a.greeted(), 1, "a session that was closed does not come back")
		c.Do(wire.OpSync, nil, ends.done("late"))
		require.Equal(t, []string{"late " + client.ErrClosed.Error()}, ends.take())
		require.NoError(t, c.Close(t.Context()))
	})
}

// Close waits no longer than it is told to, and Abandon says nothing.
func TestLeavingWithoutAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeServer{addr: "a", handle: silent}
		c := dial(t, newNetwork(t, a))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		require.ErrorIs(t, c.Close(ctx), context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(start))

		c = dial(t, newNetwork(t, a))
		before := len(a.got())
		var ends collector
		c.Do(wire.OpSync, nil, ends.done("sync"))
		synctest.Wait()
		c.Abandon()
		require.Equal(t, []string{"sync " + client.ErrConnectionLoss.Error()}, ends.take())
		require.Len(t, a.got(), before+1)
		c.Abandon()
	})
}

func TestContextEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dial(t, newNetwork(t, &fakeServer{addr: "a", handle: silent}))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.Sync(ctx, "/")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NoError(t, c.Err())
	})
}

// A server that breaks the protocol is left, and the requests are told why.
func TestProtocolViolations(t *testing.T) {
	for name, answer := range map[string]func(r request) []byte{
		"wrong xid":      func(r request) []byte { r.Xid++; return ok(r, 1) },
		"reply too many": func(r request) []byte { return append(append(ok(r, 1), ok(r, 1)...), ok(r, 1)...) },
		"auth unasked":   func(r request) []byte { r.Xid = wire.XidAuth; return ok(r, 1) },
		"negative frame": func(request) []byte { return []byte{0xff, 0xff, 0xff, 0xff} },
		"huge frame":     func(request) []byte { return []byte{0x7f, 0xff, 0xff, 0xff} },
		"short header":   func(request) []byte { return []byte{0, 0, 0, 1, 0} },
		"short event": func(request) []byte {
			return wire.AppendReply(nil, wire.ReplyHeader{Xid: wire.XidNotification})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := &fakeServer{addr: "a", handle: answer}, &fakeServer{addr: "b"}
				c := dial(t, newNetwork(t, a, b))
				var errs []error
				c.Do(wire.OpSync, nil, func(r client.Reply) { errs = append(errs, r.Err) })
				c.Do(wire.OpSync, nil, func(r client.Reply) { errs = append(errs, r.Err) })
				synctest.Wait()
				require.Len(t, errs, 2)
				require.ErrorIs(t, errs[1], client.ErrConnectionLoss)
				require.ErrorIs(t, errs[1], client.ErrProtocol)
				require.Equal(t, "b", c.Server())
			})
		})
	}
}

func TestLongReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeServer{addr: "a"}
		data := make([]byte, 900<<10)
		data[len(data)-1] = 7
		a.handle = func(r request) []byte {
			b := wire.ReplyHeader{Xid: r.Xid, Zxid: 1}.Append(wire.BeginFrame(nil))
			result := wire.DataResponse{Data: data}
			return wire.EndFrame(result.Append(b), 0)
		}
		c := dial(t, newNetwork(t, a))
		for range 3 {
			got, _, err := c.Data(t.Context(), "/big")
			require.NoError(t, err)
			require.Equal(t, data, got)
		}
	})
}

func TestTooManyPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeServer{addr: "a"}
		c := dial(t, newNetwork(t, a), func(o *client.Options) { o.MaxPending = 3 })
		a.crash()
		synctest.Wait()
		var ends collector
		for i := range 4 {
			c.Do(wire.OpSync, nil, ends.done(fmt.Sprint(i)))
		}
		require.Equal(t, []string{"3 " + client.ErrTooManyPending.Error()}, ends.take())
	})
}

// After 2^31-1 requests the xids start again at 1, as those of ZooKeeper's own client do.
func TestXidWraps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &fakeServer{addr: "a"}
		c := dial(t, newNetwork(t, a))
		client.SetXid(c, 0x7ffffffe)
		for range 2 {
			_, err := c.WhoAmI(t.Context())
			require.ErrorIs(t, err, client.ErrProtocol) // no body
		}
		got := a.got()
		require.EqualValues(t, 0x7fffffff, got[0].Xid)
		require.EqualValues(t, 1, got[1].Xid)
	})
}

func TestDialFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := client.Dial(t.Context(), client.Options{})
		require.ErrorContains(t, err, "no servers")

		down := &fakeServer{addr: "a", isDown: true}
		full := &fakeServer{addr: "b", handshake: refuse}
		n := newNetwork(t, down, full)
		o := client.Options{Servers: []string{"a", "b"}, Dial: n.dial, SessionTimeout: time.Second}
		_, err = client.Dial(t.Context(), o)
		require.ErrorContains(t, err, "handshake with b: the server refused a new session")
		require.Equal(t, []string{"a", "b"}, n.dialed)

		// A server that takes the connection and says nothing costs one ConnectTimeout.
		o.Servers = []string{"mute"}
		hold := make(chan struct{})
		defer close(hold)
		mute := &fakeServer{addr: "mute", handshake: func(wire.ConnectRequest) *wire.ConnectResponse {
			<-hold
			return nil
		}}
		o.Dial = newNetwork(t, mute).dial
		start := time.Now()
		_, err = client.Dial(t.Context(), o)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(start))

		ctx, cancel := context.WithCancelCause(t.Context())
		cause := errors.New("changed our mind")
		cancel(cause)
		_, err = client.Dial(ctx, o)
		require.ErrorIs(t, err, cause)
	})
}

// The calls that the captured conversation lacks.
func TestCallsOutsideTheCapture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want := wire.Stat{Version: 3, Aversion: 1, NumChildren: 2}
		a := &fakeServer{addr: "a"}
		a.handle = func(r request) []byte {
			b := wire.ReplyHeader{Xid: r.Xid, Zxid: 1}.Append(wire.BeginFrame(nil))
			if r.Op == wire.OpGetChildren2 {
				b = wire.AppendStrings(b, []string{"x", "y"})
			}
			return wire.EndFrame(want.Append(b), 0)
		}
		c := dial(t, newNetwork(t, a))
		stat, err := c.Exists(t.Context(), "/a")
		require.NoError(t, err)
		require.Equal(t, want, stat)
		names, stat, err := c.Children(t.Context(), "/a")
		require.NoError(t, err)
		require.Equal(t, want, stat)
		require.Equal(t, []string{"x", "y"}, names)
		acl := []wire.ACL{{Perms: wire.PermRead, Scheme: "world", ID: "anyone"}}
		stat, err = c.SetACL(t.Context(), "/a", acl, 1)
		require.NoError(t, err)
		require.Equal(t, want, stat)

		got := a.got()
		var watch wire.PathWatchRequest
		for _, r := range got[:2] {
			decode(t, r.body, &watch)
			require.Equal(t, wire.PathWatchRequest{Path: []byte("/a")}, watch)
		}
		var set wire.SetACLRequest
		decode(t, got[2].body, &set)
		require.Equal(t, wire.SetACLRequest{Path: []byte("/a"), ACL: acl, Version: 1}, set)
	})
}
