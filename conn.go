package quoll

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"quoll/transport/admin"
	"quoll/transport/wire"
	"quoll/zab"
)

const (
	greetingTimeout = 10 * time.Second // ZooKeeper's sessionlessCnxnTimeout
	writeTimeout    = 30 * time.Second // a client that takes nothing for so long is gone
	writePiece      = 1 << 20          // of which it must take so much in that time
	lookupTimeout   = time.Second      // for the name of a client, when an ACL asks for it
	firstReadBuffer = 4 << 10
	keptBuffer      = 64 << 10 // larger buffers are given back when empty
	batchFrames     = 64       // frames handled under one hold of the locks
	batchOut        = 256 << 10
	electionShare   = 8 // of its session's timeout, that a handshake waits for a leader
)

// clientConn is a client's connection: the core's Conn, its socket, and the lock between them.
//
// One goroutine reads: it handles frames as they come and writes the answers that it has itself.
// One goroutine writes what the loop answers. Both take all of Out in one Write.
type clientConn struct {
	s      *Server
	nc     net.Conn
	remote netip.AddrPort
	since  time.Time

	mu sync.Mutex // guards Conn and times
	Conn
	times requestTimes

	writing int  // bytes of what is being written; guarded by mu
	counted int  // of this connection in s.clientBytes; guarded by mu
	dropped bool // nothing of it counts any more; guarded by mu

	wmu   sync.Mutex // held while writing, so that two writers keep the order
	spare []byte     // guarded by wmu

	wake    chan struct{} // Out has something for the writer
	joined  chan struct{} // the handshake is decided
	drained chan struct{} // the writer has written: there may be room again
	dead    chan struct{} // closed by close
	once    sync.Once     // of close

	heard    atomic.Bool // since the last report to the leader
	held     atomic.Bool // there may be more to hear, but the reader waits for room: the silence is this server's
	isDirty  bool        // the loop's: in its list of connections to wake
	lastTick time.Time   // the loop's: when it was last heard of
	named    bool        // the reader's: its host name was looked up
	stats    connStats
}

// accept takes connections until the listener is closed.
func (s *Server) accept(ctx context.Context) {
	for {
		nc, err := s.listener.Accept()
		if ctx.Err() != nil {
			return
		}
		if err != nil { // out of file descriptors, most likely: those who are here go on
			s.logger.Error("client not accepted", "err", err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		c := s.newConn(nc)
		if !s.clients.add(c, &s.cfg) {
			s.stats.rejected.Add(1)
			nc.Close()
			continue
		}
		if ctx.Err() != nil { // it came too late for closeAll
			c.close()
		}
		s.wg.Go(c.read)
		s.wg.Go(c.write)
	}
}

func (s *Server) newConn(nc net.Conn) *clientConn {
	c := &clientConn{
		s: s, nc: nc, since: time.Now(), lastTick: time.Now(),
		wake: make(chan struct{}, 1), joined: make(chan struct{}, 1), drained: make(chan struct{}, 1), dead: make(chan struct{}),
	}
	if addr, err := netip.ParseAddrPort(nc.RemoteAddr().String()); err == nil {
		c.remote = netip.AddrPortFrom(addr.Addr().Unmap().WithZone(""), addr.Port())
		c.Auth = []zab.AuthID{{Scheme: "ip", ID: c.remote.Addr().String()}}
	}
	binary.LittleEndian.PutUint64(c.Password[:], randomUint64())
	binary.LittleEndian.PutUint64(c.Password[8:], randomUint64())
	return c
}

var errFrame = errors.New("frame length is out of range")

// read handles what the client sends until the connection ends.
func (c *clientConn) read() {
	defer c.s.drop(c)
	c.nc.SetReadDeadline(time.Now().Add(greetingTimeout))
	buf := make([]byte, 0, firstReadBuffer)
	greeted := false
	for {
		if len(buf) == cap(buf) {
			buf = append(make([]byte, 0, 2*cap(buf)), buf...) // grows with the bytes that came, never ahead
		}
		n, err := c.nc.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err != nil {
			return
		}
		if !greeted && len(buf) >= 4 {
			if c.fourLetterWord(buf) {
				return
			}
			greeted = true
		}
		rest, err := c.handle(buf)
		if err != nil {
			return
		}
		if len(rest) == 0 && cap(buf) > keptBuffer {
			buf = make([]byte, 0, firstReadBuffer)
		} else {
			buf = buf[:copy(buf, rest)]
		}
	}
}

// handle handles all whole frames of buf and returns what is left of it.
func (c *clientConn) handle(buf []byte) ([]byte, error) {
	for {
		frame, _, err := c.s.frame(buf)
		if frame == nil || err != nil {
			return buf, err
		}
		if err = c.pass(); err != nil {
			return nil, err
		}
		if err = c.room(frame); err != nil {
			return nil, err
		}
		if buf, err = c.batch(buf); err != nil {
			return nil, err
		}
	}
}

// frame splits the first frame off buf; nil if it is not whole yet.
func (s *Server) frame(buf []byte) (frame, rest []byte, err error) {
	if len(buf) < 4 {
		return nil, buf, nil
	}
	n := int32(binary.BigEndian.Uint32(buf))
	if n <= 0 || int(n) > s.cfg.MaxBuffer {
		return nil, nil, errFrame
	}
	if len(buf) < 4+int(n) {
		return nil, buf, nil
	}
	return buf[4 : 4+n : 4+n], buf[4+n:], nil
}

// pass waits until clients are served. A client that has no session yet is sent away instead: it
// finds another server sooner than this one finds a leader.
func (c *clientConn) pass() error {
	g := &c.s.gate
	if g.isOpen.Load() {
		return nil
	}
	c.mu.Lock()
	patience := time.Duration(c.TimeoutMs) * time.Millisecond
	known := c.Open()
	c.mu.Unlock()
	if !known || !g.pass(patience, c.dead) {
		return net.ErrClosed
	}
	return nil
}

// room waits while too much of what the client sent waits for answers in memory; the rest waits in
// the socket. It waits for an answer no longer than the session lives. A write also waits while the
// server has too many, reads and pings do not.
func (c *clientConn) room(frame []byte) error {
	hold := opOf(frame).IsWrite() && !c.s.writable.isOpen.Load()
	if full, _ := c.full(); !full && !hold {
		return nil
	}
	c.held.Store(true)
	defer c.held.Store(false)
	full, patience := c.full()
	if hold && !c.s.writable.wait(patience, c.dead, c.s.stopped) {
		return net.ErrClosed
	}
	for ; full; full, patience = c.full() {
		select {
		case <-c.drained:
		case <-c.dead:
			return net.ErrClosed
		case <-c.s.stopped:
			return net.ErrClosed
		case <-time.After(patience):
			return net.ErrClosed
		}
	}
	return nil
}

// full reports whether too many requests of this connection wait, and how long its session lives.
func (c *clientConn) full() (full bool, patience time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.Waiting() > c.s.share(connPipeBytes, pipeShare) && !c.Close, time.Duration(c.TimeoutMs) * time.Millisecond
}

// opOf returns the operation of a client's frame; 0 when it is too short to have one.
func opOf(frame []byte) wire.Op {
	if len(frame) < 8 {
		return wire.OpNotification
	}
	return wire.Op(int32(binary.BigEndian.Uint32(frame[4:])))
}

// share returns a bound for what one connection holds: most, or less when all of them together hold too much.
func (s *Server) share(most, least int) int {
	if s.clientBytes.Load() > clientBytes {
		return least
	}
	return most
}

// account brings what the connection holds up to date in the sum of all, and its bound with it. Small changes are
// left for later, since the sum is everybody's. The caller holds c.mu.
func (c *clientConn) account() {
	n := c.writing + len(c.Out) + c.Waiting()
	if c.dropped {
		n = 0
	}
	if d := n - c.counted; d > accountBytes || -d > accountBytes || c.dropped {
		c.counted = n
		c.s.clientBytes.Add(int64(d))
	}
	c.OutLimit = c.s.share(connOutBytes, outShare)
}

// overrun gives up a client that does not read what it is told. It looks before the loop adds
// more, so that a single answer may be of any size. The caller holds c.mu.
func (c *clientConn) overrun() bool {
	if len(c.Out) <= c.s.share(connOutBytes, outShare) {
		return false
	}
	c.Out = nil
	c.finish()
	c.close()
	return true
}

// batch handles some frames under one hold of the locks, then hands on what the loop must do.
func (c *clientConn) batch(buf []byte) (rest []byte, err error) {
	c.resolve()
	var w *work
	now := time.Now()
	s := c.s
	s.treeMu.RLock()
	c.mu.Lock()
	for n := 0; n < batchFrames && len(c.Out) < batchOut && !c.Joining(); n++ {
		frame, next, ferr := s.frame(buf)
		if frame == nil || ferr != nil {
			err = ferr
			break
		}
		h := s.peer.Handle(&c.Conn, frame)
		buf = next
		c.received(frame)
		if h.AuthFailed {
			s.stats.authFailed.Add(1)
		}
		if h.Step == StepClose {
			err = net.ErrClosed
			break
		}
		if h.Step != StepNone {
			c.times.sent(h.Seq, now)
			if w == nil {
				w = s.newWork()
			}
			w.add(h)
		}
	}
	joining := c.Joining()
	c.account()
	c.mu.Unlock()
	s.treeMu.RUnlock()
	c.heard.Store(true)
	if w != nil && !s.hand(w) {
		return nil, net.ErrClosed
	}
	if ferr := c.flush(); ferr != nil {
		return nil, ferr
	}
	if joining {
		return buf, c.await()
	}
	return buf, err
}

// await waits until the session of the handshake is decided: nothing more is read before. It waits
// no longer than the session would live, since the client has given up by then; and while there is no
// leader only for as long as an election takes when one can be had at all: like a client that comes
// later (pass), this one may find another server sooner.
func (c *clientConn) await() error {
	c.mu.Lock()
	timeout := time.Duration(c.TimeoutMs) * time.Millisecond
	c.mu.Unlock()
	patience, election := time.NewTimer(timeout), time.NewTimer(timeout/electionShare)
	defer patience.Stop()
	defer election.Stop()
	for {
		select {
		case <-c.joined:
			c.nc.SetReadDeadline(time.Time{})
			return nil
		case <-election.C:
			if c.s.gate.isOpen.Load() {
				election.Reset(timeout / electionShare)
				continue
			}
		case <-c.dead:
		case <-c.s.stopped:
		case <-patience.C:
		}
		return net.ErrClosed
	}
}

// resolve looks the client's host name up, once, and only when an ACL of the tree names hosts.
func (c *clientConn) resolve() {
	if c.named {
		return
	}
	c.s.treeMu.RLock()
	asked := c.s.peer.Tree().HasHostACL()
	c.s.treeMu.RUnlock()
	if !asked {
		return
	}
	c.named = true
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	names, err := net.DefaultResolver.LookupAddr(ctx, c.remote.Addr().String())
	if err != nil {
		return
	}
	c.mu.Lock()
	for _, name := range names {
		c.addAuth([]zab.AuthID{{Scheme: "host", ID: strings.TrimSuffix(name, ".")}})
	}
	c.mu.Unlock()
}

// write writes what the loop answers.
func (c *clientConn) write() {
	for {
		select {
		case <-c.dead:
			return
		case <-c.wake:
		}
		err := c.flush()
		signal(c.drained)
		if err != nil {
			c.close() // the reader notices and removes the connection
			return
		}
	}
}

// flush writes all of Out, and closes the connection afterwards if the core wants that.
func (c *clientConn) flush() error {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	for {
		c.mu.Lock()
		out, end := c.Out, c.Close
		if len(out) > 0 {
			c.Out, c.spare = c.spare[:0], nil
		}
		c.writing = len(out)
		c.account()
		c.sent()
		c.mu.Unlock()
		if len(out) == 0 {
			if end {
				return net.ErrClosed
			}
			return nil
		}
		for rest := out; len(rest) > 0; {
			n := min(len(rest), writePiece)
			c.nc.SetWriteDeadline(time.Now().Add(writeTimeout))
			if _, err := c.nc.Write(rest[:n]); err != nil {
				return err
			}
			rest = rest[n:]
		}
		if cap(out) <= keptBuffer {
			c.spare = out[:0]
		}
	}
}

// close ends a connection from wherever: its reader and its writer notice.
func (c *clientConn) close() {
	c.once.Do(func() {
		close(c.dead)
		c.nc.Close()
	})
}

// drop removes a connection: its watches, its entry, its socket. The loop is told of it on the way
// that its requests took, behind them.
func (s *Server) drop(c *clientConn) {
	_ = c.flush() // the last words: a refusal, the reply to closeSession
	s.treeMu.RLock()
	c.mu.Lock()
	open := c.Joining() || !c.Idle()
	s.peer.Drop(&c.Conn)
	c.dropped = true
	c.account()
	c.mu.Unlock()
	s.treeMu.RUnlock()
	s.clients.remove(c)
	c.close()
	if open {
		w := s.newWork()
		w.add(Handled{Step: StepGone, Ticket: Ticket{Conn: c.ID}})
		s.hand(w)
	}
}

// fourLetterWord answers an operator's word, if buf starts with one.
func (c *clientConn) fourLetterWord(buf []byte) bool {
	word, ok := admin.Known([4]byte(buf[:4]))
	if !ok {
		return false
	}
	c.nc.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, _ = c.nc.Write(c.s.words.Answer(word, buf[4:])) // who asked may have gone
	return true
}
