package quoll_test

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/zab"
)

// rawConn is a client connection of which a test says and sees every byte.
type rawConn struct {
	t  *testing.T
	nc net.Conn

	// What the handshake gave.
	session   zab.SessionID
	password  []byte
	timeoutMs int32
}

// raw connects to server i and says nothing.
func (e *ensemble) raw(i int) *rawConn {
	e.t.Helper()
	nc, err := e.net.Host("client").Dial(e.ctx, host(i)+":2181")
	require.NoError(e.t, err)
	e.t.Cleanup(func() { nc.Close() })
	return &rawConn{t: e.t, nc: nc}
}

// session connects to server i with a new session of ten seconds.
func (e *ensemble) session(i int) *rawConn {
	e.t.Helper()
	c := e.raw(i)
	c.greet(wire.ConnectRequest{TimeoutMs: 10_000, HasReadOnly: true})
	require.NotZero(e.t, c.session)
	return c
}

// resume connects to server i and asks for the session of c.
func (e *ensemble) resume(i int, c *rawConn) *rawConn {
	e.t.Helper()
	d := e.raw(i)
	d.greet(wire.ConnectRequest{TimeoutMs: c.timeoutMs, SessionID: c.session, Password: c.password, HasReadOnly: true})
	return d
}

// say writes all of it in one segment.
func (c *rawConn) say(frames ...[]byte) {
	c.t.Helper()
	var all []byte
	for _, f := range frames {
		all = append(all, f...)
	}
	_, err := c.nc.Write(all)
	require.NoError(c.t, err)
}

// frame is the body with its length in front.
func frame(body []byte) []byte { return wire.EndFrame(append(wire.BeginFrame(nil), body...), 0) }

// request is a whole frame. A nil body is none.
func request(xid zab.Xid, op wire.Op, body func([]byte) []byte) []byte {
	return wire.AppendRequest(nil, xid, op, body)
}

// read returns the next frame without its length. Time is the bubble's: a server that stays
// silent for a minute has nothing to say.
func (c *rawConn) read() ([]byte, error) {
	require.NoError(c.t, c.nc.SetReadDeadline(time.Now().Add(time.Minute)))
	var length [wire.LengthSize]byte
	if _, err := io.ReadFull(c.nc, length[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint32(length[:]))
	_, err := io.ReadFull(c.nc, b)
	return b, err
}

func (c *rawConn) next() []byte {
	c.t.Helper()
	b, err := c.read()
	require.NoError(c.t, err)
	return b
}

// ends demands that the server closes the connection without another byte.
func (c *rawConn) ends(why ...any) {
	c.t.Helper()
	b, err := c.read()
	require.ErrorIs(c.t, err, io.EOF, why...)
	require.Empty(c.t, b, why...)
}

// greet sends a ConnectRequest and takes the answer.
func (c *rawConn) greet(r wire.ConnectRequest) wire.ConnectResponse {
	c.t.Helper()
	c.say(frame(r.Append(nil)))
	return c.greeted()
}

func (c *rawConn) greeted() wire.ConnectResponse {
	c.t.Helper()
	d := jute.NewDecoder(c.next())
	var resp wire.ConnectResponse
	resp.Decode(&d)
	require.NoError(c.t, d.Err())
	c.session, c.password, c.timeoutMs = resp.SessionID, resp.Password, resp.TimeoutMs
	return resp
}

// answer is a reply or an event.
type answer struct {
	wire.ReplyHeader
	body []byte
}

// reply takes the next frame.
func (c *rawConn) reply() answer {
	c.t.Helper()
	d := jute.NewDecoder(c.next())
	var a answer
	a.Decode(&d)
	require.NoError(c.t, d.Err())
	a.body = d.Rest()
	if a.Code != wire.OK {
		require.Empty(c.t, a.body, "a reply with a code has no body")
	}
	return a
}

// call sends a request and takes its reply, which must be next.
func (c *rawConn) call(xid zab.Xid, op wire.Op, body func([]byte) []byte) answer {
	c.t.Helper()
	c.say(request(xid, op, body))
	a := c.reply()
	require.Equal(c.t, xid, a.Xid, "%v", op)
	return a
}

// refuses makes a request that must fail with a code.
func (c *rawConn) refuses(want wire.Code, xid zab.Xid, op wire.Op, body func([]byte) []byte, why ...any) {
	c.t.Helper()
	require.Equal(c.t, want, c.call(xid, op, body).Code, why...)
}

// does makes a request that must succeed, and returns the body of its reply.
func (c *rawConn) does(xid zab.Xid, op wire.Op, body func([]byte) []byte) []byte {
	c.t.Helper()
	a := c.call(xid, op, body)
	require.Equal(c.t, wire.OK, a.Code, "%v", op)
	return a.body
}

// event takes the next frame, which must be a notification.
func (c *rawConn) event() (e wire.WatcherEvent, zxid int64) {
	c.t.Helper()
	a := c.reply()
	require.Equal(c.t, wire.XidNotification, a.Xid, "an event is next, not %+v", a)
	d := jute.NewDecoder(a.body)
	e.Decode(&d)
	require.NoError(c.t, d.Err())
	require.Equal(c.t, wire.StateSyncConnected, e.State)
	return e, a.Zxid
}

// fires demands that the next frame is this event.
func (c *rawConn) fires(want wire.EventType, path string) {
	c.t.Helper()
	e, _ := c.event()
	require.Equal(c.t, want.String()+" "+path, e.Type.String()+" "+string(e.Path))
}

// rests demands that nothing is under way to the client: what comes next is the answer to a ping.
func (c *rawConn) rests() {
	c.t.Helper()
	c.say(request(wire.XidPing, wire.OpPing, nil))
	require.Equal(c.t, wire.XidPing, c.reply().Xid, "nothing but the answer to the ping")
}

// Bodies of requests.

func create(path, data string, flags wire.CreateMode) func([]byte) []byte {
	return createACL(path, data, flags, wire.OpenACL)
}

func createACL(path, data string, flags wire.CreateMode, acl []wire.ACL) func([]byte) []byte {
	r := wire.CreateRequest{Path: []byte(path), Data: []byte(data), ACL: acl, Flags: flags}
	return r.Append
}

func createTTL(path string, flags wire.CreateMode, ttlMs int64) func([]byte) []byte {
	r := wire.CreateTTLRequest{CreateRequest: wire.CreateRequest{Path: []byte(path), ACL: wire.OpenACL, Flags: flags}, TTLMs: ttlMs}
	return r.Append
}

func setData(path, data string, version int32) func([]byte) []byte {
	r := wire.SetDataRequest{Path: []byte(path), Data: []byte(data), Version: version}
	return r.Append
}

func deletion(path string, version int32) func([]byte) []byte {
	r := wire.PathVersionRequest{Path: []byte(path), Version: version}
	return r.Append
}

func onPath(path string) func([]byte) []byte {
	r := wire.PathRequest{Path: []byte(path)}
	return r.Append
}

func plain(path string) func([]byte) []byte {
	r := wire.PathWatchRequest{Path: []byte(path)}
	return r.Append
}

func watched(path string) func([]byte) []byte {
	r := wire.PathWatchRequest{Path: []byte(path), Watch: true}
	return r.Append
}

func auth(scheme, credentials string) func([]byte) []byte {
	r := wire.AuthRequest{Scheme: scheme, Auth: []byte(credentials)}
	return r.Append
}

func multi(ops ...wire.MultiOp) func([]byte) []byte {
	return func(b []byte) []byte {
		for i := range ops {
			b = ops[i].Append(b)
		}
		return wire.MultiEnd.Append(b)
	}
}

// dataOf reads the body of a getData reply.
func dataOf(t *testing.T, body []byte) (string, wire.Stat) {
	t.Helper()
	d := jute.NewDecoder(body)
	var r wire.DataResponse
	r.Decode(&d)
	require.NoError(t, d.Err())
	return string(r.Data), r.Stat
}

// pathOf reads the body of a create reply.
func pathOf(t *testing.T, body []byte) string {
	t.Helper()
	d := jute.NewDecoder(body)
	var r wire.PathResponse
	r.Decode(&d)
	require.NoError(t, d.Err())
	return string(r.Path)
}

// stringsOf reads a body that is one vector of strings.
func stringsOf(t *testing.T, body []byte) []string {
	t.Helper()
	d := jute.NewDecoder(body)
	var r wire.ChildrenResponse
	r.Decode(&d)
	require.NoError(t, d.Err())
	return r.Children
}
