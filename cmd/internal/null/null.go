// Package null is a server of ZooKeeper's protocol that does nothing: it answers at once, from
// nothing. A load generator against it measures itself, and so says up to where it can be believed.
package null

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"

	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/zab"
)

// Server has every znode that it is asked about, with the same data.
type Server struct {
	Data []byte

	sessions atomic.Int64
}

// Serve takes connections until the listener is closed.
func (s *Server) Serve(l net.Listener) error {
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept a connection for the null server: %w", err)
		}
		go func() {
			defer conn.Close()
			if err := s.converse(conn); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
				fmt.Fprintln(os.Stderr, "quoll: null server:", err)
			}
		}()
	}
}

// bufferSize holds any request of a benchmark: one that is larger than it ends the connection.
const bufferSize = wire.MaxFrame + wire.LengthSize

// converse answers one connection. Answers leave when there is nothing more to read, as those of a
// server under load do, so that the cost of system calls is shared on both sides.
func (s *Server) converse(conn net.Conn) error {
	in := bufio.NewReaderSize(conn, 64<<10)
	frame := make([]byte, bufferSize)
	var out []byte
	for greeted := false; ; greeted = true {
		var head [wire.LengthSize]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return err
		}
		n, ok := wire.FrameLength(head, wire.MaxFrame)
		if !ok {
			return fmt.Errorf("a frame begins with % x: %w", head, wire.ErrMalformed)
		}
		if _, err := io.ReadFull(in, frame[:n]); err != nil {
			return err
		}
		d := jute.NewDecoder(frame[:n])
		over := false
		if greeted {
			out, over = s.answer(out, &d)
		} else {
			out = s.greet(out, &d)
		}
		if in.Buffered() > 0 && !over {
			continue
		}
		if _, err := conn.Write(out); err != nil || over {
			return err
		}
		out = out[:0]
	}
}

// greet appends the answer to a handshake: whoever asks gets a session.
func (s *Server) greet(out []byte, d *jute.Decoder) []byte {
	var hello wire.ConnectRequest
	hello.Decode(d)
	welcome := wire.ConnectResponse{
		SessionID: zab.SessionID(s.sessions.Add(1)), TimeoutMs: hello.TimeoutMs,
		Password: make([]byte, wire.PasswordSize), HasReadOnly: hello.HasReadOnly,
	}
	start := len(out)
	return wire.EndFrame(welcome.Append(wire.BeginFrame(out)), start)
}

// answer appends the answer to a request; over: it was the last one.
func (s *Server) answer(out []byte, d *jute.Decoder) (_ []byte, over bool) {
	var h wire.RequestHeader
	h.Decode(d)
	start := len(out)
	out = wire.ReplyHeader{Xid: h.Xid, Zxid: 1}.Append(wire.BeginFrame(out))
	stat := wire.Stat{Czxid: 1, Mzxid: 1, Pzxid: 1, DataLength: int32(len(s.Data))}
	switch h.Op {
	case wire.OpPing, wire.OpDelete, wire.OpCloseSession:
	case wire.OpCreate, wire.OpSync:
		out = jute.AppendBuffer(out, d.Buffer()) // the path, which both begin with
	case wire.OpExists, wire.OpSetData:
		out = stat.Append(out)
	case wire.OpGetData:
		out = stat.Append(jute.AppendBuffer(out, s.Data))
	case wire.OpGetChildren:
		out = wire.AppendStrings(out, nil)
	case wire.OpGetChildren2:
		out = stat.Append(wire.AppendStrings(out, nil))
	default:
		return wire.FailReply(out, start, wire.Unimplemented), false
	}
	return wire.EndFrame(out, start), h.Op == wire.OpCloseSession
}
