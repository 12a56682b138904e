package transport

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"quoll/zab"
)

const (
	defaultQueueBytes   = 64 << 20
	defaultWriteTimeout = 10 * time.Second
	dialPauseMin        = 5 * time.Millisecond
	dialPauseMax        = 500 * time.Millisecond
	// refusedPauseMax is for a leader that is not listening yet, on a machine that says so at once.
	refusedPauseMax = 50 * time.Millisecond
)

var (
	// ErrClosed is the error of LinkDown after Links.Close.
	ErrClosed = errors.New("transport: link closed by this server")
	// ErrQueueFull is the error of LinkDown when the other server takes in less than it is sent.
	ErrQueueFull = errors.New("transport: send queue is full")
)

// LinkHandler is told of links. For one link the order is LinkUp, then messages, then LinkDown,
// once; calls for different links, and LinkProgress of one, come from different goroutines. A call
// that blocks holds back the other server, and only that. Until Shutdown returns, calls must go on
// returning.
type LinkHandler interface {
	// LinkUp tells of a connection to server whose handshake is done. dialed: Connect made it.
	LinkUp(link zab.LinkID, server zab.ServerID, dialed bool)
	// LinkDown tells that nothing more will come of link, and why.
	LinkDown(link zab.LinkID, err error)
	// LinkMessages hands over messages that arrived together, in order. The callee owns the slice,
	// the messages and their bytes.
	LinkMessages(link zab.LinkID, msgs []*zab.Message)
	// LinkProgress tells that the bytes of a stream flow, in either direction, or that the other
	// server is busy installing one: the link is alive although no message comes.
	LinkProgress(link zab.LinkID)
}

// Storage is where streams come from and where they go. Its methods are called by several links at
// once.
type Storage interface {
	// OpenSnapshot opens the complete snapshot file of z and tells its size in bytes.
	OpenSnapshot(z zab.Zxid) (io.ReadCloser, int64, error)
	// Read calls f with the txns of (from, to], in order; f copies what it keeps.
	Read(from, to zab.Zxid, f func([]zab.Txn) error) error
	// ReceiveSnapshot stores size bytes of r as the snapshot of z and verifies them. nil means that
	// it is durable and whole. It runs in the link's reader: no message overtakes it.
	ReceiveSnapshot(z zab.Zxid, size int64, r io.Reader) error
}

// LinksOptions says what Links need. The zero value of an option that has a default takes it.
type LinksOptions struct {
	Identity  Identity
	Addresses []Address // of every member, this server included
	Network   Network
	Handler   LinkHandler
	Storage   Storage

	// ListenAddr is what to bind; empty is this server's own Address.Link.
	ListenAddr string
	// QueueBytes bounds what waits to be written on one link; 0 is 64 MiB. A link that needs more
	// is closed: its server is too slow to follow and has to synchronize again.
	QueueBytes int
	// WriteTimeout is how long a write may make no progress before the link is closed
	// (ZOOKEEPER-4074); 0 is 10 s.
	WriteTimeout time.Duration
	Logger       *slog.Logger // nil is silent
}

// Links are the connections between this server as a learner and its leader, and between this
// server as a leader and its learners. One that is dialed ends here or there; it is never revived.
type Links struct {
	endpoint
	handler      LinkHandler
	storage      Storage
	queueBytes   int
	writeTimeout time.Duration

	progress []byte // the frame of kindProgress; never changed

	mu       sync.Mutex
	open     map[zab.LinkID]*link
	last     zab.LinkID         // numbers are handed out from 1
	dialing  *dialing           // nil: no Connect is in force
	stopDial context.CancelFunc // ends the dialing in force
	closed   bool               // Shutdown began

	sending sync.Mutex   // held for a Send, so that several callers have an order too
	enc     *encoder     // holds the frame of encoded; guarded by sending
	encoded *zab.Message // what was encoded last; guarded by sending
}

// dialing is one Connect; its address is its identity.
type dialing struct{ server zab.ServerID }

// StartLinks binds the peer port and accepts links.
func StartLinks(opts LinksOptions) (*Links, error) {
	s := &Links{
		endpoint: endpoint{
			identity: opts.Identity, channel: channelLink, network: opts.Network, log: newQuietLog(opts.Logger),
			addresses: map[zab.ServerID]string{}, dialTimeout: defaultDialTimeout, handshakeTimeout: defaultHandshakeTimeout,
		},
		handler: opts.Handler, storage: opts.Storage,
		queueBytes: opts.QueueBytes, writeTimeout: opts.WriteTimeout,
		open: map[zab.LinkID]*link{}, enc: newEncoder(), progress: bare(kindProgress),
	}
	if s.queueBytes == 0 {
		s.queueBytes = defaultQueueBytes
	}
	if s.writeTimeout == 0 {
		s.writeTimeout = defaultWriteTimeout
	}
	for _, a := range opts.Addresses {
		s.addresses[a.ID] = a.Link
	}
	if err := s.listen(opts.ListenAddr); err != nil {
		return nil, err
	}
	s.wg.Go(func() {
		s.accept(func(conn net.Conn, from zab.ServerID) {
			if l := s.register(conn, from, nil); l != nil {
				l.run()
			}
		})
	})
	return s, nil
}

// Addr returns the address that is bound.
func (s *Links) Addr() net.Addr { return s.listener.Addr() }

// register gives a connection its number. by is the Connect that made it, nil for an accepted one:
// a Connect that is no longer in force makes no link.
func (s *Links) register(conn net.Conn, server zab.ServerID, by *dialing) *link {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || by != s.dialing && by != nil {
		return nil
	}
	if by != nil {
		s.dialing = nil
	}
	s.last++
	l := newLink(s, s.last, conn, server, by != nil)
	s.open[l.id] = l
	return l
}

// forget makes link a stale number.
func (s *Links) forget(id zab.LinkID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, id)
}

func (s *Links) find(id zab.LinkID) *link {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open[id]
}

// Send queues a message, then the history that env asks for. It never blocks; an envelope for a
// link that is gone is dropped, as everything after a break is (zab.md N2). On one link, messages
// arrive in the order of the calls. The message may be shared and is not changed; a frame that does
// not fit in the queue closes the link.
func (s *Links) Send(env zab.Envelope) {
	l := s.find(env.Link)
	if l == nil {
		return
	}
	var streams [2]stream
	n := 0
	s.sending.Lock()
	defer s.sending.Unlock()
	var frame []byte
	switch m := env.Msg; {
	case m == nil:
	case m.Kind == zab.Snap:
		streams[n] = stream{snapshot: true, to: m.Zxid}
		n++
	default:
		frame = s.encode(m)
	}
	if env.History.To != 0 {
		streams[n] = stream{from: env.History.From, to: env.History.To}
		n++
	}
	l.enqueue(frame, streams[:n])
}

// encode returns the frame of m, which stays valid until the next call. A message that goes to
// several learners comes in a run of envelopes and is encoded once; a message that left in an
// envelope never changes, so its address is enough to know it again.
func (s *Links) encode(m *zab.Message) []byte {
	if m != s.encoded {
		s.enc.reset()
		s.enc.message(m)
		s.encoded = m
	}
	return s.enc.out.buf
}

// Close ends a link. What is still queued is lost. LinkDown follows.
func (s *Links) Close(id zab.LinkID) {
	if l := s.find(id); l != nil {
		l.fail(ErrClosed)
	}
}

// Connect dials server until there is a link to it, and then no more. It replaces the Connect in
// force; one to the same server goes on as it is.
func (s *Links) Connect(server zab.ServerID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.dialing != nil && s.dialing.server == server {
		return
	}
	s.disconnect()
	if !s.member(server) || server == s.identity.Self {
		s.log.Error("asked to connect to a server that is no other member", "server", server)
		return
	}
	d := &dialing{server: server}
	ctx, cancel := context.WithCancel(s.ctx)
	s.dialing, s.stopDial = d, cancel
	s.wg.Go(func() {
		defer cancel()
		s.dial(ctx, d)
	})
}

// Disconnect ends the Connect in force. A link that it made stays.
func (s *Links) Disconnect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disconnect()
}

// disconnect wants mu held.
func (s *Links) disconnect() {
	if s.dialing != nil {
		s.stopDial()
		s.dialing = nil
	}
}

// dial tries until it has a link, and then is its reader.
func (s *Links) dial(ctx context.Context, d *dialing) {
	pauses := backoff{min: dialPauseMin, max: dialPauseMax}
	for {
		conn, err := s.connect(ctx, d.server)
		if err == nil {
			if l := s.register(conn, d.server, d); l != nil {
				l.run()
			}
			s.conns.drop(conn)
			return
		}
		if ctx.Err() != nil {
			return
		}
		s.logDial(d.server, err)
		pause := pauses.pause()
		if dialCause(err) == "refused" {
			pause = min(pause, refusedPauseMax)
		}
		if !sleep(ctx, pause) {
			return
		}
	}
}

// Shutdown closes the port and every link and waits until all that Links started has ended. Each
// link's LinkDown comes before it returns.
func (s *Links) Shutdown() {
	s.mu.Lock()
	s.closed = true
	s.disconnect()
	links := make([]*link, 0, len(s.open))
	for _, l := range s.open {
		links = append(links, l)
	}
	s.mu.Unlock()
	for _, l := range links {
		l.fail(ErrShutdown)
	}
	s.shutdown()
}
