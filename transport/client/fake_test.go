package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/zab"
)

// network connects clients to fake servers by name, in memory. A server that is down refuses.
type network struct {
	t       testing.TB
	mu      sync.Mutex
	servers map[string]*fakeServer
	dialed  []string
}

func newNetwork(t testing.TB, servers ...*fakeServer) *network {
	n := &network{t: t, servers: map[string]*fakeServer{}}
	for _, s := range servers {
		n.servers[s.addr] = s
	}
	return n
}

func (n *network) dial(_ context.Context, addr string) (net.Conn, error) {
	n.mu.Lock()
	n.dialed = append(n.dialed, addr)
	s := n.servers[addr]
	n.mu.Unlock()
	if s == nil || s.down() {
		return nil, errors.New("refused")
	}
	ours, theirs := net.Pipe()
	go s.serve(theirs)
	return &countingConn{Conn: ours, writes: &s.writes}, nil
}

// countingConn counts what the client writes at once.
type countingConn struct {
	net.Conn
	writes *[]int
}

func (c *countingConn) Write(b []byte) (int, error) {
	*c.writes = append(*c.writes, len(b))
	return c.Conn.Write(b)
}

// request is what a fake server got.
type request struct {
	wire.RequestHeader
	body []byte
}

// fakeServer plays one server of an ensemble. By default it gives every session out that asks,
// and answers every request with an empty OK.
type fakeServer struct {
	addr string
	// handshake decides over a ConnectRequest; nil in return: close without an answer.
	handshake func(wire.ConnectRequest) *wire.ConnectResponse
	// handle returns the frames that answer a request; nil: none.
	handle func(r request) []byte

	mu       sync.Mutex
	isDown   bool
	conns    []net.Conn
	connects []wire.ConnectRequest
	requests []request
	writes   []int // of the client; written by its goroutines, read when they are parked
}

func (s *fakeServer) down() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.isDown
}

// crash breaks all connections and refuses new ones; start takes them again.
func (s *fakeServer) crash() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.isDown = true
	for _, c := range s.conns {
		c.Close()
	}
	s.conns = nil
}

func (s *fakeServer) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.isDown = false
}

func (s *fakeServer) got() []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]request(nil), s.requests...)
}

func (s *fakeServer) greeted() []wire.ConnectRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]wire.ConnectRequest(nil), s.connects...)
}

func readFrame(r io.Reader) ([]byte, error) {
	var head [wire.LengthSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n, ok := wire.FrameLength(head, wire.MaxFrame)
	if !ok {
		return nil, io.ErrUnexpectedEOF
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return b, err
}

const fakeSession zab.SessionID = 0x1000002802310000

var fakePassword = []byte("0123456789abcdef")

func accept(r wire.ConnectRequest) *wire.ConnectResponse {
	return &wire.ConnectResponse{
		TimeoutMs: r.TimeoutMs, SessionID: fakeSession, Password: fakePassword, HasReadOnly: r.HasReadOnly,
	}
}

func refuse(wire.ConnectRequest) *wire.ConnectResponse {
	return &wire.ConnectResponse{Password: make([]byte, wire.PasswordSize)}
}

func (s *fakeServer) serve(conn net.Conn) {
	defer conn.Close()
	s.mu.Lock()
	s.conns = append(s.conns, conn)
	s.mu.Unlock()
	frame, err := readFrame(conn)
	if err != nil {
		return
	}
	var hello wire.ConnectRequest
	d := jute.NewDecoder(frame)
	hello.Decode(&d)
	s.mu.Lock()
	s.connects = append(s.connects, hello)
	greet := s.handshake
	s.mu.Unlock()
	if greet == nil {
		greet = accept
	}
	response := greet(hello)
	if response == nil {
		return
	}
	conn.Write(wire.EndFrame(response.Append(wire.BeginFrame(nil)), 0))
	for {
		frame, err := readFrame(conn)
		if err != nil {
			return
		}
		d := jute.NewDecoder(frame)
		r := request{}
		r.Decode(&d)
		r.body = d.Rest()
		s.mu.Lock()
		s.requests = append(s.requests, r)
		handle := s.handle
		s.mu.Unlock()
		answer := ok(r, 1)
		if handle != nil {
			answer = handle(r)
		}
		if len(answer) == 0 {
			continue
		}
		if _, err := conn.Write(answer); err != nil || r.Op == wire.OpCloseSession {
			return
		}
	}
}

// ok is the reply of a request that succeeded and has no result.
func ok(r request, zxid int64) []byte {
	return wire.AppendReply(nil, wire.ReplyHeader{Xid: r.Xid, Zxid: zxid})
}

// silent is a handle that never answers.
func silent(request) []byte { return nil }

func decode(t testing.TB, b []byte, r interface{ Decode(*jute.Decoder) }) {
	d := jute.NewDecoder(b)
	r.Decode(&d)
	require.NoError(t, d.Err())
}
