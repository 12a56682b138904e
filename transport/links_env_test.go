package transport_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"quoll/transport"
	"quoll/zab"
)

// up is one LinkUp.
type up struct {
	link   zab.LinkID
	server zab.ServerID
	dialed bool
}

// recorder is a LinkHandler that writes everything down and checks the order of calls.
type recorder struct {
	mu       sync.Mutex
	ups      []up
	downs    map[zab.LinkID]error
	msgs     map[zab.LinkID][]*zab.Message
	calls    int // of LinkMessages
	progress int
	wrong    []string
	gate     chan struct{} // when not nil, LinkMessages waits for it to close
}

func newRecorder() *recorder {
	return &recorder{downs: map[zab.LinkID]error{}, msgs: map[zab.LinkID][]*zab.Message{}}
}

func (r *recorder) live(link zab.LinkID) bool {
	_, down := r.downs[link]
	for _, u := range r.ups {
		if u.link == link {
			return !down
		}
	}
	return false
}

func (r *recorder) expectLive(link zab.LinkID, call string) {
	if !r.live(link) {
		r.wrong = append(r.wrong, fmt.Sprintf("%s of link %d outside of its life", call, link))
	}
}

func (r *recorder) LinkUp(link zab.LinkID, server zab.ServerID, dialed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.live(link) {
		r.wrong = append(r.wrong, "LinkUp twice")
	}
	r.ups = append(r.ups, up{link, server, dialed})
}

func (r *recorder) LinkDown(link zab.LinkID, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expectLive(link, "LinkDown")
	r.downs[link] = err
}

func (r *recorder) LinkMessages(link zab.LinkID, msgs []*zab.Message) {
	r.mu.Lock()
	r.expectLive(link, "LinkMessages")
	r.calls++
	gate := r.gate
	r.mu.Unlock()
	if gate != nil {
		<-gate
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.msgs[link] = append(r.msgs[link], msgs...)
}

func (r *recorder) LinkProgress(link zab.LinkID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expectLive(link, "LinkProgress")
	r.progress++
}

func (r *recorder) received(link zab.LinkID) []*zab.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*zab.Message(nil), r.msgs[link]...)
}

func (r *recorder) down(link zab.LinkID) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.downs[link]
}

// progressed counts the calls of LinkProgress.
func (r *recorder) progressed() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.progress
}

// links returns every LinkUp so far.
func (r *recorder) links() []up {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]up(nil), r.ups...)
}

// storage keeps snapshots and a log in memory.
type storage struct {
	mu        sync.Mutex
	snapshots map[zab.Zxid][]byte
	log       []zab.Txn
	received  map[zab.Zxid][]byte
	errs      []error       // of the readers given to ReceiveSnapshot
	installs  time.Duration // how long verifying takes
	refuse    error
}

func (s *storage) OpenSnapshot(z zab.Zxid) (io.ReadCloser, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.snapshots[z]
	if !ok {
		return nil, 0, errors.New("no such snapshot")
	}
	return io.NopCloser(bytes.NewReader(b)), int64(len(b)), nil
}

func (s *storage) Read(from, to zab.Zxid, f func([]zab.Txn) error) error {
	s.mu.Lock()
	log := s.log
	s.mu.Unlock()
	scratch := make([]byte, 0, 1<<20)
	for len(log) > 0 {
		n := min(10, len(log))
		var batch []zab.Txn
		scratch = scratch[:0]
		for _, txn := range log[:n] {
			if txn.Zxid > from && txn.Zxid <= to {
				at := len(scratch)
				scratch = append(scratch, txn.Data...)
				batch = append(batch, zab.Txn{Zxid: txn.Zxid, Data: scratch[at:len(scratch):len(scratch)]})
			}
		}
		if err := f(batch); err != nil {
			return err
		}
		clear(scratch) // f was to copy
		log = log[n:]
	}
	return nil
}

func (s *storage) ReceiveSnapshot(z zab.Zxid, size int64, r io.Reader) error {
	b, err := io.ReadAll(r)
	time.Sleep(s.installs) // in the bubble: reading the file back takes that long
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil:
		s.errs = append(s.errs, err)
		return err
	case int64(len(b)) != size:
		return fmt.Errorf("%d bytes of %d", len(b), size)
	case s.refuse != nil:
		return s.refuse
	}
	s.received[z] = b
	return nil
}

// journal collects log lines.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) count(what string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.b.String(), what)
}

// node is a server's Links and what it was told.
type node struct {
	*transport.Links
	*recorder
	storage *storage
	journal *journal
}

const cluster = "blue"

func identity(id zab.ServerID) transport.Identity {
	return transport.Identity{Cluster: cluster, Self: id, Membership: 42}
}

func host(id zab.ServerID) string { return fmt.Sprintf("h%d", id) }

func addresses(n zab.ServerID) []transport.Address {
	var list []transport.Address
	for id := zab.ServerID(1); id <= n; id++ {
		list = append(list, transport.Address{ID: id, Link: host(id) + ":2888", Election: host(id) + ":3888"})
	}
	return list
}

// start starts server id of three; change may alter its options.
func start(t *testing.T, m *transport.Memory, id zab.ServerID, change func(*transport.LinksOptions)) *node {
	t.Helper()
	n := &node{
		recorder: newRecorder(), journal: &journal{},
		storage: &storage{snapshots: map[zab.Zxid][]byte{}, received: map[zab.Zxid][]byte{}},
	}
	opts := transport.LinksOptions{
		Identity: identity(id), Addresses: addresses(3), Network: m.Host(host(id)), Handler: n.recorder, Storage: n.storage,
		Logger: slog.New(slog.NewTextHandler(n.journal, nil)),
	}
	if change != nil {
		change(&opts)
	}
	links, err := transport.StartLinks(opts)
	require.NoError(t, err)
	n.Links = links
	t.Cleanup(links.Shutdown)
	return n
}

func (n *node) stop(t *testing.T) {
	n.Shutdown()
	n.mu.Lock()
	defer n.mu.Unlock()
	require.Empty(t, n.wrong)
	require.Len(t, n.downs, len(n.ups), "every link that came up went down")
}

// pair runs f in a bubble with a leader 1 and a learner 2 that are linked.
func pair(t *testing.T, change func(*transport.LinksOptions), f func(t *testing.T, m *transport.Memory, leader, learner *node)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := transport.NewMemory()
		leader, learner := start(t, m, 1, change), start(t, m, 2, change)
		learner.Connect(1)
		synctest.Wait()
		require.Equal(t, []up{{1, 1, true}}, learner.links())
		require.Equal(t, []up{{1, 2, false}}, leader.links())
		f(t, m, leader, learner)
		learner.stop(t)
		leader.stop(t)
	})
}

// txns returns n txns of epoch e with data of the given size.
func txns(e zab.Epoch, from, n, size int) []zab.Txn {
	var list []zab.Txn
	for i := range n {
		z := zab.MakeZxid(e, uint64(from+i))
		list = append(list, zab.Txn{Zxid: z, Data: bytes.Repeat([]byte{byte(z)}, size)})
	}
	return list
}

func commit(n int) *zab.Message { return &zab.Message{Kind: zab.Commit, Commit: zab.Zxid(n)} }

func commits(from, to int) []*zab.Message {
	var list []*zab.Message
	for i := from; i < to; i++ {
		list = append(list, commit(i))
	}
	return list
}
