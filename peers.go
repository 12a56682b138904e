package quoll

import (
	"errors"
	"io"
	"math"
	"slices"
	"sync"

	"quoll/election"
	"quoll/session"
	"quoll/transport/wire"
	"quoll/tree"
	"quoll/zab"
)

// linkHandler brings what the links to other servers deliver to the loop. Blocking in it is the
// back-pressure on the other server.
type linkHandler struct{ s *Server }

func (h linkHandler) LinkUp(link zab.LinkID, server zab.ServerID, dialed bool) {
	h.s.post(event{kind: evLinkUp, link: link, server: server, dialed: dialed})
}

func (h linkHandler) LinkDown(link zab.LinkID, err error) {
	h.s.logger.Info("link down", "link", link, "err", err)
	h.s.post(event{kind: evLinkDown, link: link})
}

// LinkMessages holds txns back while the disk has too many. What else comes on a link is little, or bounded by who
// sends it, and is not held back: a leader whose disk is slow needs the acks of the others.
func (h linkHandler) LinkMessages(link zab.LinkID, messages []*zab.Message) {
	e := event{kind: evMessages, link: link, messages: messages}
	for _, m := range messages {
		for i := range m.Txns {
			e.bytes += m.Txns[i].Size()
		}
	}
	if e.bytes > 0 {
		h.s.unsynced.wait(math.MaxInt64, h.s.stopped, nil) // a disk that hangs is noticed elsewhere
		h.s.unsynced.add(e.bytes)
	}
	h.s.post(e)
}

func (h linkHandler) LinkProgress(link zab.LinkID) {
	h.s.post(event{kind: evProgress, link: link})
}

// meshHandler does the same for the election.
type meshHandler struct{ s *Server }

func (h meshHandler) Notification(from zab.ServerID, n election.Notification) {
	h.s.post(event{kind: evNotification, server: from, vote: n})
}

func (h meshHandler) MeshUp(id zab.ServerID)   { h.s.post(event{kind: evMeshUp, server: id}) }
func (h meshHandler) MeshDown(id zab.ServerID) { h.s.post(event{kind: evMeshDown, server: id}) }

// storage is what the links stream from and to: snapshots and stretches of the log.
type storage struct{ s *Server }

func (t storage) OpenSnapshot(z zab.Zxid) (io.ReadCloser, int64, error) {
	return t.s.log.OpenSnapshot(z)
}

func (t storage) Read(from, to zab.Zxid, f func([]zab.Txn) error) error {
	return t.s.log.Read(from, to, f)
}

// ReceiveSnapshot stores a leader's snapshot and builds its tree aside: the present one goes on
// until the new epoch is durable (R10).
func (t storage) ReceiveSnapshot(z zab.Zxid, size int64, r io.Reader) error {
	received, err := t.s.load(func(restore func(io.Reader) error) error {
		return t.s.log.ReceiveSnapshot(z, size, r, restore)
	})
	if err != nil {
		if dead := t.s.log.Err(); dead != nil {
			t.s.fail(dead)
		}
		return err
	}
	if received.Applied() != z {
		return errors.New("snapshot " + z.String() + " holds the tree of " + received.Applied().String())
	}
	t.s.staged.put(received)
	return nil
}

// stagedTrees holds the trees of received snapshots, in the order in which they came, until one is
// installed. Several links may deliver some, and the installation of one can still be under way to the
// disk when the next leader sends another.
type stagedTrees struct {
	mu    sync.Mutex
	trees []*tree.Tree
}

func (s *stagedTrees) put(t *tree.Tree) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trees = append(s.trees, t)
}

// take returns the tree of z and forgets those that came before it: the Peer has passed them over.
func (s *stagedTrees) take(z zab.Zxid) *tree.Tree {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.trees, func(t *tree.Tree) bool { return t.Applied() == z })
	if i < 0 {
		panic("quoll: install of snapshot " + z.String() + ", which was not received")
	}
	t := s.trees[i]
	s.trees = slices.Delete(s.trees, 0, i+1)
	return t
}

// clear forgets what was received for a leader that is gone.
func (s *stagedTrees) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trees = nil
}

// lockedWatches is the table of watches behind a lock: connections register beside each other.
type lockedWatches struct {
	mu    sync.Mutex
	table *session.Watches
}

func (w *lockedWatches) Add(c session.ConnID, path string, m session.Mode) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.table.Add(c, path, m)
}

func (w *lockedWatches) Has(c session.ConnID, path string, t session.WatcherType) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.table.Has(c, path, t)
}

func (w *lockedWatches) Remove(c session.ConnID, path string, t session.WatcherType) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.table.Remove(c, path, t)
}

func (w *lockedWatches) RemoveConn(c session.ConnID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.table.RemoveConn(c)
}

func (w *lockedWatches) Trigger(e wire.EventType, path []byte, emit func(session.ConnID)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.table.Trigger(e, path, emit)
}

func (w *lockedWatches) totals() (conns, paths, watches int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.table.Totals()
}

// lockedViews is the views of the tree behind a lock: connections take them beside each other, while none
// of them can write the tree. Giving one back touches what Apply reads, so the loop does it.
type lockedViews struct {
	mu    sync.Mutex
	table tree.Views
	done  []*tree.View
}

func (v *lockedViews) Take(t *tree.Tree) *tree.View {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.table.Take(t)
}

func (v *lockedViews) Drop(view *tree.View) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.done = append(v.done, view)
}

// sweep ends the views that were given back. Only the loop calls it.
func (v *lockedViews) sweep() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, view := range v.done {
		v.table.Drop(view)
	}
	clear(v.done)
	v.done = v.done[:0]
}
