package quoll

import (
	"io"
	"sync"

	"quoll/log"
	"quoll/tree"
	"quoll/zab"
)

// load returns the tree of the snapshot that read gives to what it is called with.
func (s *Server) load(read func(restore func(io.Reader) error) error) (t *tree.Tree, err error) {
	err = read(func(r io.Reader) (err error) {
		t, err = s.restore(r)
		return err
	})
	return t, err
}

// restore reads a tree from r. Unpacking what comes from r and building the tree take turns if one goroutine does
// both; here one unpacks ahead of the other, and a large tree is there sooner by a quarter. r is read by
// the caller's goroutine.
func (s *Server) restore(r io.Reader) (t *tree.Tree, err error) {
	a := newAhead()
	done := make(chan struct{})
	go func() {
		defer close(done)
		t, err = tree.Restore(s.cfg.treeOptions(s.boot), a)
	}()
	a.fill(r, done)
	<-done
	return t, err
}

// earlyTree is the tree of the newest snapshot, loaded while the log is recovered: both take long when there is much.
type earlyTree struct {
	zxid    zab.Zxid
	tree    *tree.Tree
	err     error
	loading sync.WaitGroup
}

// earlyBytes is from what size of a snapshot on that is worth a goroutine.
const earlyBytes = 1 << 20

// loadEarly begins to load the newest snapshot, if that is large.
func (s *Server) loadEarly() *earlyTree {
	e := &earlyTree{}
	newest := log.FindEarly(s.cfg.logOptions(s))
	if newest == nil || newest.Size < earlyBytes {
		return e
	}
	e.zxid = newest.Zxid
	e.loading.Go(func() { e.tree, e.err = s.load(newest.Read) })
	return e
}

func (e *earlyTree) wait() { e.loading.Wait() }

// good reports whether it is the tree of the snapshot that the log begins with. Another one is forgotten: the log may
// have put the newest aside, or never installed it.
func (e *earlyTree) good(z zab.Zxid) bool { return e.zxid == z && e.err == nil }
