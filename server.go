package quoll

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"quoll/log"
	"quoll/log/vfs"
	"quoll/session"
	"quoll/transport"
	"quoll/transport/admin"
	"quoll/tree"
	"quoll/zab"
)

// tick is the quantum in which a Peer counts time. It bounds how fast an election can end, and
// is far below every limit that an operator sets in units of tickTime.
const tick = 10 * time.Millisecond

// ErrClosed is what Err reports of a server that was shut down.
var ErrClosed = errors.New("quoll: server is shut down")

// Server is a running server: the goroutines, sockets and files around one Peer. It decides
// nothing. Its goroutines are
//
//	loop          owns the Peer; everything that changes it goes through here
//	disk          owns the log: appends, one fsync for all that queued, releases AfterSync;
//	              a second one makes the log's segments ahead of their use
//	snapshotter   writes snapshots beside the traffic, purges behind them
//	accept        takes client connections
//	writers       one per processor, write what the loop answers
//	1 per client  reads, and writes the answers that need no loop
//	links, mesh   as package transport says
//
// and Shutdown joins them all.
type Server struct {
	cfg         Config
	ensemble    *zab.Ensemble
	logger      *slog.Logger
	started     time.Time
	boot        uint64 // marks this process (zab.RequestID), and keys the tree's hash tables
	reportTicks int    // between reports of who was heard of: half of ZooKeeper's tick

	peer *Peer   // owned by loop; Handle and Drop under treeMu
	act  Actions // owned by loop

	// treeMu is held for writing while txns are applied, for reading while clients' frames are
	// handled. Order of locks: treeMu, then a connection's mu, then the watches'.
	treeMu  sync.RWMutex
	watches *lockedWatches
	views   lockedViews

	log   *log.Log
	disk  *disk
	snaps *snapshotter
	links *transport.Links // nil on a standalone server
	mesh  *transport.Mesh  // nil on a standalone server

	listener    net.Listener
	clients     clientTable
	gate        gate         // open while clients are served
	writable    budget       // requestBytes: writes of clients from their arrival to their answer
	unsynced    budget       // unsyncedBytes: txns from their arrival, or from the proposal, to the disk
	clientBytes atomic.Int64 // what connections hold: answers, and requests behind writes (clientConn.account)

	inbox  chan event // links, mesh, disk and snapshots
	writes chan *work // from client connections
	spare  chan *work // for them to use again

	outbox outbox // from the loop to the writers

	staged  stagedTrees // of snapshots that leaders sent
	durable uint64      // the loop's: what the Peer was told of the disk
	taken   int         // the loop's: bytes of txns that it took from the inbox in this turn
	brought int         // the loop's: cost of the Peer's open writes, as counted in writable
	ticked  time.Time   // the loop's: up to when it has counted ticks
	stats   stats
	role    atomic.Pointer[roleStatus] // published by loop for four-letter words
	words   *admin.Words

	stop    context.CancelCauseFunc
	stopped <-chan struct{}
	cause   func() error
	wg      sync.WaitGroup
	ended   chan struct{} // closed when everything is joined
}

// Start runs a server until ctx ends, Shutdown is called or its disk breaks a promise. It returns
// once the ports are bound and the data is loaded; clients are served as soon as there is a
// leader. A faulty Config, an unreadable data directory and a taken port are errors.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.setDefaults()
	ensemble, err := cfg.Ensemble()
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, ensemble: ensemble, logger: cfg.Logger, started: time.Now(),
		reportTicks: ticks(cfg.TickTime / 2), boot: randomUint64(),
		inbox: make(chan event, inboxEvents), writes: make(chan *work, inboxBatches), spare: make(chan *work, spareBatches),
		ended: make(chan struct{}),
	}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	if s.cfg.FS == nil {
		s.cfg.FS = vfs.OS()
	}
	if s.cfg.Network == nil {
		s.cfg.Network = transport.TCP{}
	}
	ctx, s.stop = context.WithCancelCause(ctx)
	s.stopped, s.cause = ctx.Done(), func() error { return context.Cause(ctx) }
	if err := s.open(); err != nil {
		s.stop(err)
		s.release()
		return nil, err
	}
	s.run(ctx)
	return s, nil
}

// open takes everything that can fail: the directory, the ports.
func (s *Server) open() error {
	s.clients.init()
	listener, err := s.cfg.Network.Listen(s.cfg.ClientAddress)
	if err != nil {
		return fmt.Errorf("client port %s: %w: %s", s.cfg.ClientAddress, err, transport.ListenAdvice(err))
	}
	s.listener = listener
	early := s.loadEarly()
	recovery, err := s.recover()
	early.wait()
	if err != nil {
		return err
	}
	t := tree.New(s.cfg.treeOptions(s.boot))
	switch z := recovery.State.Snapshot; {
	case z == 0:
	case early.good(z):
		t = early.tree
	default:
		t, err = s.load(func(restore func(io.Reader) error) error { return s.log.ReadSnapshot(z, restore) })
		if err != nil {
			return err
		}
	}
	s.watches = &lockedWatches{table: session.NewWatches(s.boot)}
	s.peer = NewPeer(s.cfg.peerConfig(s.ensemble, s.boot), recovery.State, t, s.watches, &s.views)
	s.report(recovery)
	s.disk = newDisk(s.log, s)
	s.snaps = newSnapshotter(s)
	s.gate.init()
	s.outbox.init(runtime.GOMAXPROCS(0))
	s.writable.init(requestBytes)
	s.unsynced.init(unsyncedBytes)
	s.role.Store(&roleStatus{})
	s.words = admin.NewWords(source{s}, admin.CurrentVersion(), s.cfg.FourLetterWords)
	if len(s.cfg.Servers) == 0 {
		return nil
	}
	return s.openLinks()
}

// recover opens the log. A member of an ensemble whose log is damaged may not vote with it (R19),
// but need not bother anybody either: the damaged files are put aside, never deleted, and the
// server learns everything again from the leader before it votes. Files that are whole and do not belong
// here are the operator's to arrange: nothing is moved.
func (s *Server) recover() (*log.Recovery, error) {
	l, recovery, err := log.Open(s.cfg.logOptions(s))
	var damage *log.CorruptError
	if errors.As(err, &damage) && damage.Damaged() && len(s.ensemble.Voters()) > 1 {
		moved, qerr := log.Quarantine(s.cfg.logOptions(s))
		if qerr != nil {
			return nil, errors.Join(err, qerr)
		}
		s.logger.Error("the log is damaged: its files are put aside, and this server does not vote until a leader has synced it",
			"segment", damage.Segment, "offset", damage.Offset, "zxid", damage.Last, "why", damage.Err, "moved", moved)
		l, recovery, err = log.Open(s.cfg.logOptions(s))
	}
	s.log = l
	return recovery, err
}

func (s *Server) openLinks() (err error) {
	id := transport.Identity{Cluster: s.cfg.ClusterName, Self: s.cfg.MyID, Membership: s.ensemble.Digest()}
	link, election := s.cfg.ListenAddresses()
	addresses := make([]transport.Address, 0, len(s.cfg.Servers))
	for _, m := range s.cfg.Servers {
		addresses = append(addresses, transport.Address{ID: m.ID, Link: m.LinkAddress(), Election: m.ElectionAddress()})
	}
	s.links, err = transport.StartLinks(transport.LinksOptions{
		Identity: id, Addresses: addresses, Network: s.cfg.Network, ListenAddr: link,
		Handler: linkHandler{s}, Storage: storage{s}, QueueBytes: linkQueueBytes, Logger: s.logger,
	})
	if err != nil {
		return err
	}
	s.mesh, err = transport.StartMesh(transport.MeshOptions{
		Identity: id, Addresses: addresses, Network: s.cfg.Network, ListenAddr: election,
		Handler: meshHandler{s}, Logger: s.logger,
	})
	return err
}

// report tells operators what recovery found.
func (s *Server) report(r *log.Recovery) {
	st := &r.State
	s.logger.Info("data loaded", "snapshot", st.Snapshot, "zxid", st.History.Last(), "accepted", st.AcceptedEpoch,
		"current", st.CurrentEpoch, "segments", r.Segments, "bytes", r.Bytes)
	if r.Torn != nil {
		s.logger.Warn("the log ended in the middle of a write, as after a crash; it was cut there",
			"segment", r.Torn.Segment, "offset", r.Torn.Offset, "zxid", r.Torn.Last, "why", r.Torn.Reason)
	}
	if r.Abandoned != 0 {
		s.logger.Warn("a leader's snapshot was not completely installed; the state before it goes on", "snapshot", r.Abandoned)
	}
	for _, path := range r.Quarantined {
		s.logger.Error("damaged snapshot put aside; an older one and the log replace it", "path", path)
	}
	if st.Silent {
		s.logger.Warn("the disk is empty and the file initialize is missing: this server follows and does not vote until a leader has synced it")
	}
}

func randomUint64() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails: crypto/rand
	return binary.LittleEndian.Uint64(b[:]) | 1
}

// run starts the goroutines.
func (s *Server) run(ctx context.Context) {
	s.wg.Go(func() { s.loop(ctx) })
	s.wg.Go(func() { s.disk.run(ctx) })
	s.wg.Go(func() { s.disk.prepare(ctx) })
	s.wg.Go(func() { s.snaps.run(ctx) })
	s.wg.Go(func() { s.accept(ctx) })
	for range cap(s.outbox.wake) {
		s.wg.Go(func() { s.write(ctx) })
	}
	go s.join(ctx)
}

// join waits for the end and gives back what open took.
func (s *Server) join(ctx context.Context) {
	<-ctx.Done()
	s.gate.close()
	s.listener.Close()
	s.clients.closeAll()
	s.disconnect() // the others look for another leader at once
	s.wg.Wait()
	s.release()
	close(s.ended)
}

func (s *Server) release() {
	if s.listener != nil {
		s.listener.Close()
	}
	s.disconnect()
	if s.log != nil {
		if err := s.log.Close(); err != nil {
			s.logger.Error("log not closed cleanly", "err", err)
		}
	}
}

// disconnect ends all connections to other servers. It may be called again.
func (s *Server) disconnect() {
	if s.mesh != nil {
		s.mesh.Shutdown()
	}
	if s.links != nil {
		s.links.Shutdown()
	}
}

// fail ends the server because a promise to disk is broken (R20) or a goroutine cannot go on.
func (s *Server) fail(err error) {
	s.logger.Error("server stops", "err", err)
	s.stop(err)
}

// Shutdown stops the server and waits until everything is joined or ctx ends. What was
// acknowledged is on disk already; what was not is answered by the loss of the connection.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop(ErrClosed)
	select {
	case <-s.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("quoll: shutdown: %w", context.Cause(ctx))
	}
}

// AwaitServing waits until clients are served.
func (s *Server) AwaitServing(ctx context.Context) error {
	for !s.gate.pass(time.Second, ctx.Done()) {
		if ctx.Err() != nil {
			return fmt.Errorf("quoll: not serving yet: %w", context.Cause(ctx))
		}
		if err := s.cause(); err != nil {
			return err
		}
	}
	return nil
}

// Status describes the server as its four-letter words do.
func (s *Server) Status() admin.Status { return source{s}.Status() }

// Done is closed when the server has ended and everything is joined.
func (s *Server) Done() <-chan struct{} { return s.ended }

// Err tells why the server ended: ErrClosed after Shutdown, nil while it runs.
func (s *Server) Err() error { return s.cause() }

// ClientAddr returns the address on which clients are taken.
func (s *Server) ClientAddr() string { return s.listener.Addr().String() }
