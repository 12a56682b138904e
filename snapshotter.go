package quoll

import (
	"context"
	"io"
	"math"
	"math/rand/v2"
	"time"

	"quoll/tree"
	"quoll/zab"
)

// snapshotter decides when a snapshot is due and writes it beside the traffic. Its exactness is
// the tree's: a frozen view is one zxid, whatever is applied meanwhile (R17).
type snapshotter struct {
	s    *Server
	work chan *tree.View // one at most

	// The rest belongs to the loop.
	busy  bool
	txns  int // applied since the last snapshot began
	bytes int64
	limit int
	size  int64
}

// snapshotDone reports a written snapshot to the loop.
type snapshotDone struct {
	view    *tree.View
	zxid    zab.Zxid
	horizon zab.Zxid
	err     error
}

func newSnapshotter(s *Server) *snapshotter {
	n := &snapshotter{s: s, work: make(chan *tree.View, 1)}
	n.draw()
	return n
}

// draw picks the distance to the next snapshot between half and all of what is configured, so
// that the servers of an ensemble do not write theirs at the same time.
func (n *snapshotter) draw() {
	n.txns, n.bytes = 0, 0
	n.limit = n.s.cfg.SnapCount/2 + rand.IntN(n.s.cfg.SnapCount/2+1)
	n.size = math.MaxInt64
	if limit := n.s.cfg.SnapSizeLimit; limit > 0 {
		n.size = limit/2 + rand.Int64N(limit/2+1)
	}
}

// applied counts txns and starts a snapshot when enough went by.
func (n *snapshotter) applied(txns []zab.Txn) {
	n.txns += len(txns)
	for i := range txns {
		n.bytes += int64(len(txns[i].Data))
	}
	if n.busy || n.txns < n.limit && n.bytes < n.size {
		return
	}
	n.busy = true
	n.draw()
	n.work <- n.s.peer.Tree().Freeze()
}

func (n *snapshotter) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case view := <-n.work:
			n.s.post(event{kind: evSnapshot, snapshot: n.write(ctx, view)})
		}
	}
}

// untilDone is a writer that fails once ctx has ended: a server that stops does not wait for a
// snapshot, the log has everything.
type untilDone struct {
	ctx context.Context
	w   io.Writer
}

// Write implements io.Writer.
func (u untilDone) Write(b []byte) (int, error) {
	if err := context.Cause(u.ctx); err != nil {
		return 0, err
	}
	return u.w.Write(b)
}

func (n *snapshotter) write(ctx context.Context, view *tree.View) *snapshotDone {
	done := &snapshotDone{view: view, zxid: view.Zxid()}
	start := time.Now()
	if done.err = n.s.log.CreateSnapshot(done.zxid, func(w io.Writer) error { return view.Write(untilDone{ctx, w}) }); done.err != nil {
		return done
	}
	n.s.logger.Info("snapshot written", "zxid", done.zxid, "took", time.Since(start))
	if n.s.cfg.PurgeInterval < 0 {
		done.horizon = n.s.log.Horizon()
		return done
	}
	done.horizon, done.err = n.s.log.Purge(n.s.cfg.SnapRetainCount)
	return done
}

// snapshotted ends a snapshot in the loop. One that failed costs nothing but log space.
func (s *Server) snapshotted(done *snapshotDone) {
	done.view.Release()
	s.snaps.busy = false
	if done.err != nil {
		s.logger.Error("snapshot failed; the log keeps everything", "zxid", done.zxid, "err", done.err)
		return
	}
	s.peer.Snapshotted(done.zxid, done.horizon, &s.act)
}
