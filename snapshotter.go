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
	limit distance
	rests time.Time // until then: as long as the last snapshot took

	since  time.Time // of the second under way, see tick
	second int       // txns in it
}

// distance says when the next snapshot is due: at the first that is reached.
type distance struct {
	txns   int
	bytes  int64
	replay time.Duration
}

// A start reads, checks and applies all that came after the newest snapshot. That is what snapshots
// are for, so unless the operator counts txns, this cost decides: a start within two seconds, a
// quarter of them for the snapshot itself, which is enough for a million znodes. A fixed count is wrong on both sides: a server at full load would
// write a snapshot every other second for nothing, and a few large txns cost as much as a million.
const (
	replayBudget  = 1500 * time.Millisecond
	replayPerTxn  = 1200 * time.Nanosecond // setData at random in a million znodes; docs/PERFORMANCE.md
	replayPerByte = time.Nanosecond
)

// A snapshot is written at leisure: for the time that a piece took, the writer rests three times as long, and
// as long as the whole took before it begins the next. So snapshots take a quarter of a core at most, and an eighth
// for long, whatever the load and the tree: written at once, those of a server under load cost its clients a good
// part of a second. A start after a crash has more to replay instead, when both are large.
const (
	restPerWork = 3
	restMost    = 50 * time.Millisecond // at a time
)

// When next to nothing is written, a snapshot is due for a tenth of the budget: who restarts a server in a quiet
// hour, or after a load, hardly has to wait. Txns that keep coming at the most that counts as calm are worth
// a snapshot every quarter of an hour.
const (
	calmTxns   = 100 // in a second
	calmReplay = replayBudget / 10
)

// replayCost estimates what replaying takes.
func replayCost(txns int, bytes int64) time.Duration {
	return time.Duration(txns)*replayPerTxn + time.Duration(bytes)*replayPerByte
}

// snapshotDone reports a written snapshot to the loop.
type snapshotDone struct {
	view    *tree.View
	zxid    zab.Zxid
	horizon zab.Zxid
	took    time.Duration
	err     error
}

func newSnapshotter(s *Server) *snapshotter {
	n := &snapshotter{s: s, work: make(chan *tree.View, 1)}
	n.draw()
	return n
}

// draw picks the distance to the next snapshot between half and all of what is allowed, so that
// the servers of an ensemble do not write theirs at the same time.
func (n *snapshotter) draw() {
	n.txns, n.bytes = 0, 0
	n.limit = distance{txns: math.MaxInt, bytes: math.MaxInt64, replay: math.MaxInt64}
	if count := n.s.cfg.SnapCount; count > 0 {
		n.limit.txns = count/2 + rand.IntN(count/2+1)
	} else {
		n.limit.replay = replayBudget/2 + rand.N(replayBudget/2+1)
	}
	if size := n.s.cfg.SnapSizeLimit; size > 0 {
		n.limit.bytes = size/2 + rand.Int64N(size/2+1)
	}
}

// due reports whether enough went by since the last snapshot.
func (n *snapshotter) due() bool {
	return n.txns >= n.limit.txns || n.bytes >= n.limit.bytes ||
		replayCost(n.txns, n.bytes) >= n.limit.replay && !time.Now().Before(n.rests)
}

// applied counts txns and starts a snapshot when one is due.
func (n *snapshotter) applied(txns []zab.Txn) {
	n.txns += len(txns)
	n.second += len(txns)
	for i := range txns {
		n.bytes += int64(len(txns[i].Data))
	}
	if n.due() {
		n.begin()
	}
}

// tick ends a second if it is over, and starts a snapshot when it was a calm one and there is enough to replay. Who
// counts txns is obeyed.
func (n *snapshotter) tick(now time.Time) {
	if now.Sub(n.since) < time.Second {
		return
	}
	calm := n.second < calmTxns && n.s.cfg.SnapCount == 0
	n.since, n.second = now, 0
	if calm && replayCost(n.txns, n.bytes) >= calmReplay {
		n.begin()
	}
}

// begin starts a snapshot, unless one is being written.
func (n *snapshotter) begin() {
	if n.busy {
		return
	}
	n.busy = true
	n.draw()
	n.work <- n.s.views.Take(n.s.peer.Tree())
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

// leisure is a writer that rests between pieces, and fails once ctx has ended: a server that stops does
// not wait for a snapshot, the log has everything.
type leisure struct {
	ctx   context.Context
	w     io.Writer
	since time.Time // of the work on the next piece
	debt  time.Duration
}

// Write implements io.Writer.
func (l *leisure) Write(b []byte) (int, error) {
	if err := context.Cause(l.ctx); err != nil {
		return 0, err
	}
	n, err := l.w.Write(b)
	now := time.Now()
	l.debt += restPerWork * now.Sub(l.since)
	if l.debt >= restMost/10 { // shorter, it would be the timers that are busy
		pause := min(l.debt, restMost)
		rest := time.NewTimer(pause)
		select {
		case <-rest.C:
		case <-l.ctx.Done():
			rest.Stop()
		}
		l.debt -= pause
		now = time.Now()
	}
	l.since = now
	return n, err
}

func (n *snapshotter) write(ctx context.Context, view *tree.View) *snapshotDone {
	done := &snapshotDone{view: view, zxid: view.Zxid()}
	start := time.Now()
	write := func(w io.Writer) error { return view.Write(&leisure{ctx: ctx, w: w, since: time.Now()}) }
	if done.err = n.s.log.CreateSnapshot(done.zxid, write); done.err != nil {
		return done
	}
	done.took = time.Since(start)
	n.s.logger.Info("snapshot written", "zxid", done.zxid, "took", done.took)
	if n.s.cfg.PurgeInterval < 0 {
		done.horizon = n.s.log.Horizon()
		return done
	}
	done.horizon, done.err = n.s.log.Purge(n.s.cfg.SnapRetainCount)
	return done
}

// snapshotted ends a snapshot in the loop. One that failed costs nothing but log space, as long as the
// log lives.
func (s *Server) snapshotted(done *snapshotDone) {
	s.views.Drop(done.view)
	s.snaps.busy, s.snaps.rests = false, time.Now().Add(done.took)
	if done.err != nil {
		s.logger.Error("snapshot failed; the log keeps everything", "zxid", done.zxid, "err", done.err)
		if err := s.log.Err(); err != nil {
			s.fail(err) // a directory's fsync failed, which is the log's too
		}
		return
	}
	s.peer.Snapshotted(done.zxid, done.horizon, &s.act)
}
