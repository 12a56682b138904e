// Package idle opens sessions that do nothing but ping, on any server of ZooKeeper's protocol. It does
// without the client that the tools share: what ten thousand sessions cost the client must not limit
// how many a server is given.
package idle

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/zab"
)

// Dialling many at once only fills the backlog of the listener.
const dialers = 32

// Crowd is sessions that only ping: Ping runs while Gather opens them and until they are to Leave, or
// are dropped. No two of the other methods run at once.
type Crowd struct {
	Timeout time.Duration // of the sessions, each of which pings three times in it
	Watch   string        // path that every session watches; empty: none
	Told    func()        // is called for each event of a watch
	Lose    func(error)   // is told of sessions that the server has dropped

	leaving atomic.Bool

	mu       sync.Mutex
	sessions []net.Conn
	readers  sync.WaitGroup
}

// Len returns how many sessions there are.
func (w *Crowd) Len() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.sessions)
}

// Gather opens n sessions, spread over servers.
func (w *Crowd) Gather(ctx context.Context, servers []string, n int) error {
	turns := make(chan string)
	failed := make(chan error, dialers)
	var dials sync.WaitGroup
	for range dialers {
		dials.Go(func() {
			for server := range turns {
				if err := w.open(ctx, server); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	err := func() error {
		for i := range n {
			select {
			case turns <- servers[i%len(servers)]:
			case err := <-failed:
				return err
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	}()
	close(turns)
	dials.Wait()
	if err != nil {
		return err
	}
	select {
	case err = <-failed:
	default:
	}
	return err
}

// open opens one session and has a goroutine read what the server sends to it.
func (w *Crowd) open(ctx context.Context, server string) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", server)
	if err != nil {
		return err
	}
	hello := wire.ConnectRequest{TimeoutMs: int32(w.Timeout.Milliseconds()), Password: make([]byte, wire.PasswordSize), HasReadOnly: true}
	in := bufio.NewReaderSize(conn, 64)
	conn.SetDeadline(time.Now().Add(w.Timeout))
	if _, err = conn.Write(wire.EndFrame(hello.Append(wire.BeginFrame(nil)), 0)); err == nil {
		err = readWelcome(in)
	}
	if err == nil && w.Watch != "" {
		err = w.watch(conn, in)
	}
	if err != nil {
		conn.Close()
		return fmt.Errorf("session on %s: %w", server, err)
	}
	conn.SetDeadline(time.Time{})
	w.mu.Lock()
	w.sessions = append(w.sessions, conn)
	w.mu.Unlock()
	w.readers.Go(func() {
		var xid zab.Xid
		var err error
		for err == nil {
			if xid, _, err = skipFrame(in); err == nil && xid == wire.XidNotification {
				w.Told()
			}
		}
		if !w.leaving.Load() {
			w.Lose(fmt.Errorf("session on %s was dropped by the server: %w", server, err))
		}
	})
	return nil
}

// watch sets the watch of a session.
func (w *Crowd) watch(conn net.Conn, in *bufio.Reader) error {
	get := wire.PathWatchRequest{Path: []byte(w.Watch), Watch: true}
	if _, err := conn.Write(wire.AppendRequest(nil, 1, wire.OpGetData, get.Append)); err != nil {
		return err
	}
	for {
		switch xid, code, err := skipFrame(in); {
		case err != nil:
			return err
		case xid == 1 && code != wire.OK:
			return fmt.Errorf("watch %s: %w", w.Watch, code)
		case xid == 1:
			return nil
		}
	}
}

// skipFrame reads a frame and keeps the head of the reply, which is all that is small.
func skipFrame(in *bufio.Reader) (xid zab.Xid, code wire.Code, err error) {
	var head [wire.LengthSize + 16]byte
	if _, err = io.ReadFull(in, head[:]); err != nil {
		return 0, 0, err
	}
	n, ok := wire.FrameLength([wire.LengthSize]byte(head[:]), wire.MaxFrame)
	if !ok || n < 16 {
		return 0, 0, wire.ErrMalformed
	}
	d := jute.NewDecoder(head[wire.LengthSize:])
	xid = zab.Xid(d.Int())
	d.Long()
	code = wire.Code(d.Int())
	_, err = in.Discard(n - 16)
	return xid, code, err
}

// readWelcome reads the answer to the handshake.
func readWelcome(in io.Reader) error {
	var head [wire.LengthSize]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return err
	}
	n, ok := wire.FrameLength(head, wire.MaxFrame)
	if !ok {
		return wire.ErrMalformed
	}
	frame := make([]byte, n)
	if _, err := io.ReadFull(in, frame); err != nil {
		return err
	}
	d := jute.NewDecoder(frame)
	var welcome wire.ConnectResponse
	if welcome.Decode(&d); d.Err() != nil {
		return d.Err()
	}
	if welcome.SessionID == 0 {
		return errors.New("the server gave no session")
	}
	return nil
}

// pingTurns is into how many parts the time between two pings of a session is cut: each part of the
// sessions has its turn, as clients do that have nothing to do with each other.
const pingTurns = 50

// Ping lets every session that there is ping, again and again until ctx ends. It begins before
// Gather: those that were opened first must not wait for the last.
func (w *Crowd) Ping(ctx context.Context) error {
	frame := wire.AppendRequest(nil, wire.XidPing, wire.OpPing, nil)
	turn := time.NewTicker(w.Timeout / 3 / pingTurns)
	defer turn.Stop()
	for part := 0; ; part = (part + 1) % pingTurns {
		select {
		case <-turn.C:
		case <-ctx.Done():
			return nil
		}
		w.mu.Lock()
		sessions := w.sessions
		w.mu.Unlock()
		for i := part; i < len(sessions); i += pingTurns {
			if _, err := sessions[i].Write(frame); err != nil && ctx.Err() == nil {
				return fmt.Errorf("ping of session %d: %w", i, err)
			}
		}
	}
}

// Leave closes every session on its server.
func (w *Crowd) Leave() error {
	w.leaving.Store(true)
	frame := wire.AppendRequest(nil, 1, wire.OpCloseSession, nil)
	for _, conn := range w.sessions {
		conn.SetDeadline(time.Now().Add(w.Timeout))
		if _, err := conn.Write(frame); err != nil {
			return fmt.Errorf("close a session: %w", err)
		}
	}
	w.readers.Wait()
	return nil
}

// Drop closes what is still open.
func (w *Crowd) Drop() {
	w.leaving.Store(true)
	for _, conn := range w.sessions {
		conn.Close()
	}
	w.readers.Wait()
}
