package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"quoll/transport/wire"
	"quoll/zab"
)

// DialFunc opens a connection to a server.
type DialFunc func(ctx context.Context, addr string) (net.Conn, error)

// Options say whom to serve and how. Only Servers must be given.
type Options struct {
	// Servers are tried in this order, host:port each, from the first one on.
	Servers []string
	// SessionTimeout is asked of the server, which may give another; 0 is 10 s.
	SessionTimeout time.Duration
	// ConnectTimeout bounds one attempt, handshake included; 0 is SessionTimeout shared by the servers.
	ConnectTimeout time.Duration
	// RetryPause is slept after each round of servers that all failed; 0 is 10 ms.
	RetryPause time.Duration
	// Dial opens connections; nil is TCP.
	Dial DialFunc
	// OnEvent is told of watch events and of changes of the session; nil: nobody is. It runs in
	// the session's goroutine.
	OnEvent func(Event)
	// ReadOnly lets a server without a quorum serve the session.
	ReadOnly bool
	// MaxFrame bounds a reply, in bytes; 0 is 64 MiB.
	MaxFrame int
	// MaxPending bounds the requests that wait for a reply behind those whose replies are being
	// read; 0 is 65536.
	MaxPending int
}

func (o *Options) setDefaults() error {
	if len(o.Servers) == 0 {
		return errors.New("client: no servers given")
	}
	if o.SessionTimeout <= 0 {
		o.SessionTimeout = 10 * time.Second
	}
	if o.ConnectTimeout <= 0 {
		o.ConnectTimeout = o.SessionTimeout / time.Duration(len(o.Servers))
	}
	if o.RetryPause <= 0 {
		o.RetryPause = 10 * time.Millisecond
	}
	if o.Dial == nil {
		var d net.Dialer
		o.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			return d.DialContext(ctx, "tcp", addr)
		}
	}
	if o.MaxFrame <= 0 {
		o.MaxFrame = 64 << 20
	}
	if o.MaxPending <= 0 {
		o.MaxPending = 1 << 16
	}
	return nil
}

// Event is a watch that fired, or, with Type wire.EventNone, a new state of the session.
type Event struct {
	Type  wire.EventType
	State int32  // wire.StateSyncConnected, StateDisconnected, StateExpired
	Path  string // empty for the session's
	Zxid  int64  // of the txn; -1 from servers before ZooKeeper 3.9
}

// Client is a session. All methods may be called from any goroutine.
type Client struct {
	opts   Options
	ctx    context.Context // ends with Close, Abandon and the end of the session
	cancel context.CancelFunc
	done   chan struct{} // closed when the session's goroutine has gone

	mu      sync.Mutex
	conn    net.Conn  // nil while there is none
	over    error     // not nil: why there will be no connection any more
	leaving bool      // closeSession is on its way: do not dial again
	out     []byte    // frames for the writer; what was asked without a connection waits here too
	queued  []pending // the requests of out and of what was written since the reader took the queue
	auths   []pending // auth requests in flight, whose replies may overtake the others
	known   []identity
	xid     zab.Xid
	idle    bool          // the writer is parked
	corked  bool          // the reader is handing out replies: what they cause leaves together
	wake    chan struct{} // unparks the writer; holds one

	// Of the session's goroutine, which alone writes them.
	inflight []pending // taken from queued; inflight[head:] await their replies
	head     int
	in       []byte // what was read and not yet handed out
	next     int    // the server to try next
	password [wire.PasswordSize]byte

	session atomic.Int64
	timeout atomic.Int64 // negotiated, ns
	seen    atomic.Int64 // last zxid of a reply
	server  atomic.Value // string
}

// identity is what Auth gave.
type identity struct {
	scheme string
	auth   []byte
}

// Dial starts a session. Each server is tried once, until ctx ends; the error of the last is
// returned when none took it.
func Dial(ctx context.Context, opts Options) (*Client, error) {
	if err := opts.setDefaults(); err != nil {
		return nil, err
	}
	c := &Client{opts: opts, wake: make(chan struct{}, 1), done: make(chan struct{})}
	c.timeout.Store(int64(opts.SessionTimeout))
	c.ctx, c.cancel = context.WithCancel(context.Background())
	var err error
	for range opts.Servers {
		if err = c.connect(ctx); err == nil {
			go c.run() // joined by Close and Abandon through c.done
			return c, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	c.cancel()
	return nil, fmt.Errorf("client: no session: %w", err)
}

// SessionID returns the number of the session.
func (c *Client) SessionID() zab.SessionID { return zab.SessionID(c.session.Load()) }

// Timeout returns the session's time-out as the server gave it.
func (c *Client) Timeout() time.Duration { return time.Duration(c.timeout.Load()) }

// LastZxid returns the highest zxid of a reply: what any server that takes the session must have.
func (c *Client) LastZxid() zab.Zxid { return zab.Zxid(c.seen.Load()) }

// Server returns the address of the server that has the session, or had it last.
func (c *Client) Server() string {
	s, _ := c.server.Load().(string)
	return s
}

// Done is closed when the session has ended, for whatever reason; see Err.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err tells why the session has ended; nil while it goes on.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.over
}

// Close ends the session on the server, which deletes its ephemerals, after all earlier requests.
// It waits for the server's word until ctx ends; without a connection it does not wait, and the
// session lives on until it expires. The client is gone in any case when it returns.
func (c *Client) Close(ctx context.Context) error {
	c.mu.Lock()
	connected := c.conn != nil && c.over == nil && !c.leaving
	if connected {
		c.leaving = true
	}
	c.mu.Unlock()
	var err error
	if connected {
		if _, err = c.call(ctx, wire.OpCloseSession, "", nil); errors.Is(err, ErrClosed) {
			err = nil
		}
	}
	c.Abandon()
	return err
}

// Abandon drops the connection without a word, as a crash of the client would: the session lives
// on until it expires.
func (c *Client) Abandon() {
	c.end(ErrClosed)
	c.Disconnect()
	<-c.done
}

// Disconnect breaks the connection, if there is one. The session goes on with the next server.
func (c *Client) Disconnect() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		c.conn.Close()
	}
}

// end makes err the reason why nothing is sent any more; the first one stays.
func (c *Client) end(err error) {
	c.mu.Lock()
	if c.over == nil {
		c.over = err
	}
	c.mu.Unlock()
	c.cancel()
}
