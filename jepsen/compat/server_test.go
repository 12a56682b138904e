//go:build zookeeper

package compat

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"time"

	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/zab"
)

// patience bounds the wait for a frame. A server that is silent so long shows just that.
const patience = 10 * time.Second

// server is one of the two under comparison, with the connections and sessions that the test has
// there. Connections have the numbers of slots, sessions those of their order.
type server struct {
	name     string
	addr     string
	side     int // in the pairs of zxidMap
	zxids    *zxidMap
	conns    map[int]*conn
	sessions []owned
	numbers  map[zab.SessionID]int
}

// owned is a session as its client knows it.
type owned struct {
	id       zab.SessionID
	password []byte
}

// conn is a connection and the requests that it awaits replies to.
type conn struct {
	net.Conn
	in      *bufio.Reader
	pending []request
}

// fence is the request that the test puts behind all others: what comes before its reply is there.
var fence = request{xid: 0x5eafe, op: wire.OpPing, since: -1}

func (s *server) frame(r *request) []byte {
	if r.raw != nil {
		return r.raw
	}
	body := r.body
	if r.since >= 0 && len(body) >= 8 {
		body = slices.Clone(body)
		binary.BigEndian.PutUint64(body, uint64(s.zxids.pairs[r.since][s.side]))
	}
	return wire.AppendRequest(nil, r.xid, r.op, func(b []byte) []byte { return append(b, body...) })
}

// dial opens a connection in a slot, sends the ConnectRequest with what goes behind it, and
// returns what came.
func (s *server) dial(slot int, g *greeting) []shown {
	nc, err := net.DialTimeout("tcp", s.addr, patience)
	if err != nil {
		return []shown{{text: "dial: " + err.Error()}}
	}
	c := &conn{Conn: nc, in: bufio.NewReader(nc)}
	s.conns[slot] = c
	out := s.greet(g)
	for i := range g.behind {
		out = append(out, s.frame(&g.behind[i])...)
	}
	c.Write(out) // one that fails shows in what can be read
	b, end := c.read()
	if end != "" {
		s.drop(slot)
		return []shown{{text: end, brief: end}}
	}
	response := wire.ConnectResponse{}
	d := jute.NewDecoder(b)
	response.Decode(&d)
	if g.session < 0 && response.SessionID != 0 {
		s.numbers[response.SessionID] = len(s.sessions)
		s.sessions = append(s.sessions, owned{response.SessionID, slices.Clone(response.Password)})
	}
	r := reader{d: jute.NewDecoder(b), sessions: s.numbers}
	c.pending = slices.Clone(g.behind)
	return append([]shown{r.connected()}, s.settle(slot)[0]...)
}

// greet encodes a ConnectRequest.
func (s *server) greet(g *greeting) []byte {
	if g.raw != nil {
		return g.raw
	}
	req := wire.ConnectRequest{
		Version: g.version, LastZxidSeen: g.lastSeen, TimeoutMs: g.timeoutMs, Password: g.password,
		HasReadOnly: g.hasReadOnly, ReadOnly: g.readOnly,
	}
	if g.session >= 0 {
		req.SessionID = s.sessions[g.session].id
		req.Password = slices.Clone(s.sessions[g.session].password)
		if g.wrongPassword {
			req.Password[3]++
		}
	}
	if g.strange {
		req.SessionID = 0x0123456789abcdef
	}
	if g.since >= 0 {
		req.LastZxidSeen = s.zxids.pairs[g.since][s.side]
	}
	return wire.EndFrame(append(req.Append(wire.BeginFrame(nil)), g.trailing...), 0)
}

// send writes requests as one segment and returns all that came up to the end of their replies.
func (s *server) send(slot int, requests []request) []shown {
	c := s.conns[slot]
	if c == nil {
		return []shown{{text: "not connected"}}
	}
	var out []byte
	for i := range requests {
		out = append(out, s.frame(&requests[i])...)
	}
	c.pending = append(c.pending, requests...)
	c.Write(out)
	return s.settle(slot)[0]
}

// settle sends the fence over connections and reads each up to its reply, or to its end. Behind
// last words there is no fence: what a server that is about to close does with it is chance.
func (s *server) settle(slots ...int) [][]shown {
	for _, slot := range slots {
		c := s.conns[slot]
		if n := len(c.pending); n == 0 || !c.pending[n-1].ends {
			c.pending = append(c.pending, fence)
			c.Write(s.frame(&fence))
		}
	}
	all := make([][]shown, len(slots))
	for i, slot := range slots {
		all[i] = s.rest(slot)
	}
	return all
}

func (s *server) rest(slot int) (all []shown) {
	c := s.conns[slot]
	ends := c.pending[len(c.pending)-1].ends
	for len(c.pending) > 0 || ends {
		b, end := c.read()
		if end != "" {
			s.drop(slot)
			return append(all, shown{text: end, brief: end})
		}
		r := reader{d: jute.NewDecoder(b), sessions: s.numbers}
		var awaited *request
		if len(c.pending) > 0 {
			awaited = &c.pending[0]
		}
		one := r.reply(awaited)
		if all = append(all, one); !one.event && awaited != nil {
			c.pending = c.pending[1:]
		}
	}
	return all
}

// withoutHidden drops the events that setWatches made up for znodes that the connection may not
// read: deviation "catch-up events". Nothing has changed since they came.
func (s *server) withoutHidden(slot int, all []shown) []shown {
	return slices.DeleteFunc(all, func(e shown) bool {
		if !e.event || e.zxids[0].n != -1 {
			return false
		}
		look := requestOf(wire.OpExists, func(r *record) { r.buffer("path", e.path); r.bool("watch", false) })
		_, code, _ := s.ask(slot, look)
		return code == wire.NoAuth
	})
}

// ask sends a request that is not compared and returns what its reply says.
func (s *server) ask(slot int, r request) (body jute.Decoder, code wire.Code, ok bool) {
	c := s.conns[slot]
	if c == nil {
		return body, 0, false
	}
	c.Write(s.frame(&r))
	b, end := c.read()
	body = jute.NewDecoder(b)
	var h wire.ReplyHeader
	h.Decode(&body)
	return body, h.Code, end == ""
}

// drop closes a connection without a word.
func (s *server) drop(slot int) {
	if c := s.conns[slot]; c != nil {
		c.Close()
		delete(s.conns, slot)
	}
}

// read returns the next frame, or how the connection ended. What a server has sent before it
// closes is read even if the end comes as a reset.
func (c *conn) read() (frame []byte, end string) {
	c.SetReadDeadline(time.Now().Add(patience))
	var length [wire.LengthSize]byte
	if _, err := io.ReadFull(c.in, length[:]); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, "silence"
		}
		return nil, "closed"
	}
	n, ok := wire.FrameLength(length, 64<<20)
	if !ok {
		return nil, fmt.Sprintf("frame of %d bytes", n)
	}
	frame = make([]byte, n)
	if _, err := io.ReadFull(c.in, frame); err != nil {
		return nil, "closed within a frame"
	}
	return frame, ""
}
