package client_test

import (
	"encoding/hex"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"quoll/transport/client"
	"quoll/transport/wire"
)

// exchange is a request of the captured conversation and the frames that answered it.
type exchange struct {
	name    string
	request []byte // without its length
	answer  []byte // with theirs
}

func readExchanges(t *testing.T) []exchange {
	text, err := os.ReadFile("../wire/testdata/golden.txt")
	require.NoError(t, err)
	var list []exchange
	for line := range strings.Lines(string(text)) {
		name, rest, found := strings.Cut(strings.TrimSpace(line), " ")
		if !found || name == "#" {
			continue
		}
		b, err := hex.DecodeString(strings.ReplaceAll(rest[2:], " ", ""))
		require.NoError(t, err)
		if rest[0] == '>' {
			list = append(list, exchange{name: name, request: b[4:]})
		} else {
			list[len(list)-1].answer = append(list[len(list)-1].answer, b...)
		}
	}
	return list
}

// The client holds the captured conversation again, byte for byte, and understands the answers.
func TestGoldenConversation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		script := readExchanges(t)
		// A ping has its own time, and setWatches is the caller's business.
		var steps []exchange
		for _, e := range script[1:] {
			if e.name != "ping" && e.name != "setWatches" {
				steps = append(steps, e)
			}
		}
		a := &fakeServer{addr: "a"}
		a.handshake = func(r wire.ConnectRequest) *wire.ConnectResponse {
			require.Equal(t, script[0].request, r.Append(nil))
			var response wire.ConnectResponse
			decode(t, script[0].answer[4:], &response)
			return &response
		}
		step := 0
		a.handle = func(r request) []byte {
			require.Less(t, step, len(steps))
			want := steps[step]
			step++
			require.Equal(t, want.request, append(r.Append(nil), r.body...), want.name)
			return want.answer
		}
		var events []client.Event
		c := dial(t, newNetwork(t, a), func(o *client.Options) {
			o.SessionTimeout = 30 * time.Second
			o.OnEvent = func(e client.Event) { events = append(events, e) }
		})
		require.EqualValues(t, 0x0100002802310000, c.SessionID())
		require.Equal(t, 30*time.Second, c.Timeout())
		converse(t, c)
		require.NoError(t, c.Close(t.Context()))
		require.Equal(t, len(steps), step)
		require.Contains(t, events, client.Event{
			Type: wire.EventNodeDataChanged, State: wire.StateSyncConnected, Path: "/g1", Zxid: 4,
		})
		require.EqualValues(t, 11, c.LastZxid())
	})
}

func converse(t *testing.T, c *client.Client) {
	ctx := t.Context()
	path, err := c.Create(ctx, "/g1", []byte("hi"), nil, wire.Persistent)
	require.NoError(t, err)
	require.Equal(t, "/g1", path)
	path, stat, err := c.Create2(ctx, "/g1/e", []byte{}, wire.OpenACL, wire.Ephemeral)
	require.NoError(t, err)
	require.Equal(t, "/g1/e", path)
	require.Equal(t, c.SessionID(), stat.EphemeralOwner)
	data, stat, err := c.WatchData(ctx, "/g1")
	require.NoError(t, err)
	require.Equal(t, "hi", string(data))
	require.EqualValues(t, 2, stat.DataLength)
	children, _, err := c.WatchChildren(ctx, "/g1")
	require.NoError(t, err)
	require.Equal(t, []string{"e"}, children)
	_, err = c.WatchExists(ctx, "/nope")
	require.ErrorIs(t, err, wire.NoNode)
	require.EqualError(t, err, "exists /nope: no node")
	stat, err = c.SetData(ctx, "/g1", []byte("x"), 0)
	require.NoError(t, err)
	require.EqualValues(t, 1, stat.Version)
	require.NoError(t, c.Auth(ctx, "digest", []byte("u:p")))
	acl, _, err := c.ACL(ctx, "/g1")
	require.NoError(t, err)
	require.Equal(t, wire.OpenACL, acl)
	z, err := c.Sync(ctx, "/g1")
	require.NoError(t, err)
	require.EqualValues(t, 4, z)

	create := wire.MultiOp{Op: wire.OpCreate, Path: []byte("/g2"), Data: []byte{}, ACL: wire.OpenACL}
	results, err := c.Multi(ctx, wire.MultiOp{Op: wire.OpCheck, Path: []byte("/g1"), Version: 9}, create)
	require.ErrorIs(t, err, wire.BadVersion)
	require.EqualError(t, err, "check /g1: bad version")
	require.Len(t, results, 2)
	results, err = c.Multi(ctx, create, wire.MultiOp{Op: wire.OpDelete, Path: []byte("/g2"), Version: wire.AnyVersion})
	require.NoError(t, err)
	require.Equal(t, "/g2", string(results[0].Path))
	results, err = c.MultiRead(ctx,
		wire.MultiOp{Op: wire.OpGetData, Path: []byte("/g1")}, wire.MultiOp{Op: wire.OpGetChildren, Path: []byte("/nope")})
	require.NoError(t, err)
	require.Equal(t, "x", string(results[0].Data))
	require.Equal(t, wire.NoNode, results[1].Code)

	require.NoError(t, c.AddWatch(ctx, "/g1", wire.AddWatchPersistentRecursive))
	require.NoError(t, c.RemoveWatches(ctx, "/g1", wire.WatcherAny))
	require.ErrorIs(t, c.CheckWatches(ctx, "/g1", wire.WatcherAny), wire.NoWatcher)
	who, err := c.WhoAmI(ctx)
	require.NoError(t, err)
	require.Equal(t, []wire.ClientInfo{{Scheme: "ip", User: "127.0.0.1"}, {Scheme: "digest", User: "u"}}, who)
	paths, err := c.Ephemerals(ctx, "/")
	require.NoError(t, err)
	require.Equal(t, []string{"/g1/e"}, paths)
	n, err := c.AllChildrenNumber(ctx, "/g1")
	require.NoError(t, err)
	require.Equal(t, 1, n)
	path, _, err = c.CreateTTL(ctx, "/g3", []byte{}, nil, wire.PersistentTTL, time.Minute)
	require.NoError(t, err)
	require.Equal(t, "/g3", path)
	path, err = c.Create(ctx, "/g4", []byte{}, nil, wire.Container)
	require.NoError(t, err)
	require.Equal(t, "/g4", path)
	require.ErrorIs(t, c.Delete(ctx, "/nope", wire.AnyVersion), wire.NoNode)
	codes := make(chan wire.Code, 1)
	c.Do(wire.OpReconfig, (&wire.ReconfigRequest{Joining: []byte{}, Leaving: []byte{}, NewMembers: []byte{}, ConfigID: -1}).Append,
		func(r client.Reply) { codes <- r.Code })
	require.Equal(t, wire.ReconfigDisabled, <-codes)
}
