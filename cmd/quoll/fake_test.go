package main

import (
	"io"
	"net"
	"path"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/zab"
)

// fakeServer is a single server with a map for a tree: enough of ZooKeeper for the commands.
type fakeServer struct {
	addr string

	mu       sync.Mutex
	nodes    map[string]*fakeNode
	zxid     int64
	sessions int64
	conns    []net.Conn
	expire   bool    // the next handshake of a session that exists is refused
	dieAt    wire.Op // instead of answering this one; 0: never
	dead     bool    // it did
	count    map[wire.Op]int
	identity []string
}

type fakeNode struct {
	data []byte
	stat wire.Stat
}

func startFake(t testing.TB) *fakeServer {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	f := &fakeServer{
		addr: l.Addr().String(), nodes: map[string]*fakeNode{"/": {}, "/zookeeper": {}}, count: map[wire.Op]int{},
	}
	t.Cleanup(func() {
		l.Close()
		f.drop()
	})
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			f.mu.Lock()
			f.conns = append(f.conns, conn)
			f.mu.Unlock()
			go f.serve(conn)
		}
	}()
	return f
}

// drop breaks all connections.
func (f *fakeServer) drop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.conns {
		c.Close()
	}
	f.conns = nil
}

func (f *fakeServer) counted(op wire.Op) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count[op]
}

func (f *fakeServer) paths() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var paths []string
	for p := range f.nodes {
		paths = append(paths, p)
	}
	return paths
}

func (f *fakeServer) serve(conn net.Conn) {
	defer conn.Close()
	var head [4]byte
	for greeted := false; ; {
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			return
		}
		if !greeted && string(head[:]) == "ruok" {
			io.WriteString(conn, "imok")
			return
		}
		n, ok := wire.FrameLength(head, wire.MaxFrame)
		if !ok {
			return
		}
		frame := make([]byte, n)
		if _, err := io.ReadFull(conn, frame); err != nil {
			return
		}
		d := jute.NewDecoder(frame)
		var answer []byte
		if !greeted {
			greeted = true
			answer = f.greet(&d)
		} else {
			var h wire.RequestHeader
			h.Decode(&d)
			answer = f.answer(h, &d)
		}
		if _, err := conn.Write(answer); err != nil || answer == nil {
			return
		}
	}
}

// greet returns the answer to a handshake; nil: the connection is closed.
func (f *fakeServer) greet(d *jute.Decoder) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		return nil
	}
	var hello wire.ConnectRequest
	hello.Decode(d)
	welcome := wire.ConnectResponse{SessionID: hello.SessionID, TimeoutMs: hello.TimeoutMs, Password: make([]byte, 16), HasReadOnly: true}
	if hello.SessionID == 0 {
		f.sessions++
		welcome.SessionID = zab.SessionID(f.sessions)
	} else if f.expire {
		f.expire = false
		welcome.SessionID, welcome.TimeoutMs = 0, 0
	}
	return wire.EndFrame(welcome.Append(wire.BeginFrame(nil)), 0)
}

// answer returns the answer to a request; nil: the connection is closed.
func (f *fakeServer) answer(h wire.RequestHeader, d *jute.Decoder) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count[h.Op]++
	f.dead = f.dead || h.Op == f.dieAt && f.dieAt != 0
	if f.dead {
		return nil
	}
	f.zxid++
	b := wire.ReplyHeader{Xid: h.Xid, Zxid: f.zxid}.Append(wire.BeginFrame(nil))
	b, code := f.perform(h.Op, d, b)
	if code != wire.OK {
		return wire.FailReply(b, 0, code)
	}
	return wire.EndFrame(b, 0)
}

// perform appends the result of one request.
func (f *fakeServer) perform(op wire.Op, d *jute.Decoder, b []byte) ([]byte, wire.Code) {
	switch op {
	case wire.OpPing, wire.OpCloseSession:
		return b, wire.OK
	case wire.OpAuth:
		var r wire.AuthRequest
		r.Decode(d)
		f.identity = append(f.identity, r.Scheme+":"+string(r.Auth))
		return b, wire.OK
	case wire.OpSync:
		return jute.AppendBuffer(b, d.Buffer()), wire.OK
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL:
		return f.create(op, d, b)
	default:
		return f.onNode(op, d, b)
	}
}

// onNode performs the operations on a znode that must be there.
func (f *fakeServer) onNode(op wire.Op, d *jute.Decoder, b []byte) ([]byte, wire.Code) {
	p := d.String()
	n := f.nodes[p]
	if n == nil {
		return b, wire.NoNode
	}
	children := []string{}
	for other := range f.nodes {
		if other != "/" && path.Dir(other) == p {
			children = append(children, path.Base(other))
		}
	}
	stat := n.stat
	stat.NumChildren, stat.DataLength = int32(len(children)), int32(len(n.data))
	switch op {
	case wire.OpExists:
		return stat.Append(b), wire.OK
	case wire.OpGetData:
		return stat.Append(jute.AppendBuffer(b, n.data)), wire.OK
	case wire.OpGetChildren:
		return wire.AppendStrings(b, children), wire.OK
	case wire.OpGetChildren2:
		return stat.Append(wire.AppendStrings(b, children)), wire.OK
	case wire.OpSetData:
		data := d.Buffer()
		if v := d.Int(); v != wire.AnyVersion && v != stat.Version {
			return b, wire.BadVersion
		}
		n.data = append([]byte(nil), data...)
		n.stat.Version++
		stat.Version++
		return stat.Append(b), wire.OK
	case wire.OpDelete:
		if len(children) > 0 {
			return b, wire.NotEmpty
		}
		delete(f.nodes, p)
		return b, wire.OK
	default:
		return b, wire.Unimplemented
	}
}

func (f *fakeServer) create(op wire.Op, d *jute.Decoder, b []byte) ([]byte, wire.Code) {
	var r wire.CreateRequest
	r.Decode(d)
	p := string(r.Path)
	if f.nodes[path.Dir(p)] == nil {
		return b, wire.NoNode
	}
	if r.Flags.Sequential() {
		p += "0000000007"
	}
	if f.nodes[p] != nil {
		return b, wire.NodeExists
	}
	n := &fakeNode{data: append([]byte(nil), r.Data...), stat: wire.Stat{Czxid: zab.Zxid(f.zxid), Mzxid: zab.Zxid(f.zxid)}}
	if r.Flags.Ephemeral() {
		n.stat.EphemeralOwner = zab.SessionID(f.sessions)
	}
	f.nodes[p] = n
	b = jute.AppendString(b, p)
	if op == wire.OpCreate {
		return b, wire.OK
	}
	return n.stat.Append(b), wire.OK
}

func (f *fakeServer) has(prefix string) bool {
	for _, p := range f.paths() {
		if strings.HasPrefix(p, prefix) {
			return true
		}
	}
	return false
}
