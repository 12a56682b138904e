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
	lookupTimeout   = time.Second      // for the name of a client, when an ACL asks for it
	restTime        = time.Second      // after which what a connection held when it was busy is given back
	batchFrames     = 64               // frames handled under one hold of the locks
	batchOut        = 256 << 10
	electionShare   = 8 // of its session's timeout, that a handshake waits for a leader
)

// clientConn is a client's connection: the core's Conn, its socket, and the lock between them.
//
// One goroutine reads: it handles frames as they come and writes the answers that it has itself.
// What the loop answers is written by whichever of the server's few writers comes to it first. Each
// takes all of Out in one Write.
type clientConn struct {
	s      *Server
	sock   socket
	remote netip.AddrPort
	since  time.Time

	mu sync.Mutex // guards Conn to stats
	Conn
	times   requestTimes
	writing bool   // somebody writes, and does not stop before Out is empty
	spare   []byte // for the next Out
	stats   connStats

	outgoing int  // bytes that the one who writes has taken
	counted  int  // of this connection in s.clientBytes
	dropped  bool // nothing of it counts any more

	news   chan struct{} // for the reader: the handshake is decided, or a writer has written
	joined atomic.Bool   // the handshake is decided
	dead   chan struct{} // closed by close
	once   sync.Once     // of close

	heard    atomic.Bool   // since the last report to the leader
	held     atomic.Bool   // there may be more to hear, but the reader waits for room: the silence is this server's
	listed   atomic.Uint32 // in which lists of the outbox it is: the loop has written into Out, and no writer has come to it since
	lastTick time.Time     // the loop's: when it was last heard of

	// The rest is the reader's.
	handled time.Time // when the last batch came
	rested  bool      // that was long after the one before, or the first
	greeted bool      // what comes is no four-letter word
	named   bool      // its host name was looked up
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
		c.sock.SetReadDeadline(time.Now().Add(greetingTimeout))
		s.wg.Go(c.read)
	}
}

func (s *Server) newConn(nc net.Conn) *clientConn {
	now := time.Now()
	c := &clientConn{s: s, since: now, lastTick: now, news: make(chan struct{}, 1), dead: make(chan struct{})}
	c.sock.init(nc)
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
//
// A goroutine never gives back what its stack has grown to, and handling a ping makes it grow. So one
// that has been at rest ends with what it was woken for, and leaves the waiting to a new one.
func (c *clientConn) read() {
	for {
		if err := c.receive(); err != nil {
			c.s.drop(c)
			return
		}
		if c.rested {
			c.rest()
			c.s.wg.Go(c.read)
			return
		}
	}
}

// rest gives back what the connection held when it was busy.
func (c *clientConn) rest() {
	c.rested = false
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spare = nil
	if len(c.Out) == 0 {
		c.Out = nil
	}
}

// receive handles what comes next.
func (c *clientConn) receive() error {
	buf, err := c.sock.receive()
	if err != nil {
		return err
	}
	if !c.greeted && len(buf) >= 4 {
		if c.fourLetterWord(buf) {
			return net.ErrClosed
		}
		c.greeted = true
	}
	rest, err := c.handle(buf)
	if err == nil {
		c.sock.keep(rest)
	}
	return err
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
		case <-c.news:
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
	n := c.outgoing + c.Unread() + c.Waiting()
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
	c.OutLimit = c.s.share(connOutBytes, outShare) // as it is now: others may just have been answered
	if c.Unread() <= c.OutLimit {
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
	for n := 0; n < batchFrames && len(c.Out) < batchOut && !c.Waits() && !c.Joining(); n++ {
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
	c.handled, c.rested = now, now.Sub(c.handled) > restTime
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
	for !c.joined.Load() {
		select {
		case <-c.news:
			continue
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
	return c.sock.SetReadDeadline(time.Time{})
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

// close ends a connection from wherever: its reader notices, and whoever writes to it.
func (c *clientConn) close() {
	c.once.Do(func() {
		close(c.dead)
		c.sock.Close()
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
	_ = c.sock.write(c.s.words.Answer(word, buf[4:])) // who asked may have gone
	return true
}
