package tree_test

import (
	"strconv"

	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/tree"
	"quoll/zab"
)

// server is a leader with one session that applies each txn at once.
type server struct {
	*tree.Tree
	pending *tree.Pending
	session zab.SessionID
	zxid    zab.Zxid
	now     int64
	auth    []zab.AuthID
	buf     []byte
	result  tree.Result
}

func newServer(o tree.Options) *server {
	t := tree.New(o)
	s := &server{Tree: t, pending: tree.NewPending(t), zxid: zab.MakeZxid(1, 0), now: 1000}
	s.session = s.open(1)
	return s
}

func (s *server) open(origin uint8) zab.SessionID {
	body := jute.AppendBuffer(jute.AppendInt(nil, 4000), make([]byte, 16))
	s.submit(zab.Request{Session: zab.SessionID(origin) << 56, Op: int32(wire.OpCreateSession), Body: body})
	return s.result.Opened
}

// submit prepares and applies a request and returns the code of its reply.
func (s *server) submit(req zab.Request) wire.Code {
	s.zxid++
	s.now++
	s.buf = s.pending.Prepare(&req, s.zxid, s.now, s.buf[:0])
	s.Apply(zab.Txn{Zxid: s.zxid, Data: s.buf}, &s.result)
	s.pending.Committed(s.zxid)
	return s.result.Code
}

func (s *server) do(o op) wire.Code {
	if o.acl == nil {
		o.acl = wire.OpenACL
	}
	return s.submit(zab.Request{Session: s.session, Op: int32(o.op), Body: o.body(), Auth: s.auth})
}

func (s *server) create(path string, data []byte) wire.Code {
	return s.do(op{op: wire.OpCreate, path: path, data: data})
}

func (s *server) stat(path string) wire.Stat {
	id, ok := s.Lookup([]byte(path))
	if !ok {
		return wire.Stat{}
	}
	return s.Stat(id)
}

// fill creates n znodes of size bytes, a thousand in each directory.
func (s *server) fill(n, size int) {
	data := make([]byte, size)
	for i := range n {
		dir := "/d" + strconv.Itoa(i/1000)
		if i%1000 == 0 {
			s.create(dir, data)
			continue
		}
		s.create(dir+"/n"+strconv.Itoa(i%1000), data)
	}
}
