package sim

import (
	"bytes"
	"errors"
	"io"

	"quoll/log"
	"quoll/tree"
	"quoll/zab"
)

// disk is the task that owns the log, as disk.go of the root.
type disk struct {
	s       *server
	records []zab.Record
	waiting []zab.Envelope
	last    uint64 // number of the last record handed over
	durable uint64 // number of the last record on disk
	told    uint64 // what the Peer knows of that
	busy    bool
	full    bool
	// When the fsync under way ends if the disk stays slow; 0: at once.
	slowUntil int64
}

func (d *disk) append(records []zab.Record, after []zab.Envelope) {
	if len(records) == 0 && len(after) == 0 {
		return
	}
	d.s.w.checker.Appended(d.s.subject, records)
	d.records = append(d.records, records...)
	d.last += uint64(len(records))
	d.waiting = append(d.waiting, after...)
	d.kick()
}

// kick starts a sync of all that is queued.
func (d *disk) kick() {
	s := d.s
	if d.busy || s.ailment.hungDisk || len(d.records) == 0 && len(d.waiting) == 0 {
		return
	}
	d.busy = true
	records, after, last := d.records, d.waiting, d.last
	d.records, d.waiting = nil, nil
	us := s.busy(diskTask)
	d.slowUntil = 0
	if len(records) > 0 {
		fsync := s.w.between(s.w.plan.FsyncUs[0], s.w.plan.FsyncUs[1])
		us += fsync
		if s.ailment.slowDisk > 0 {
			d.slowUntil = s.w.now + fsync*s.ailment.slowDisk
		}
	}
	s.w.after(us, s.alive(func() { d.sync(records, after, last) }))
}

// stuckUs is how much longer the fsync that is under way takes at least; 0: it ends now.
func (d *disk) stuckUs() int64 {
	switch a := &d.s.ailment; {
	case a.hungDisk:
		return diskPollUs
	case a.slowDisk > 0:
		return min(diskPollUs, max(0, d.slowUntil-d.s.w.now))
	}
	return 0
}

// diskPollUs is how often a disk that hangs is asked whether it still does.
const diskPollUs = 5_000

// sync writes what it took and lets go what waited for that. A crash may strike in the middle: the
// operations of the log are counted one by one (inject).
func (d *disk) sync(records []zab.Record, after []zab.Envelope, last uint64) {
	s := d.s
	if us := d.stuckUs(); us > 0 {
		s.w.after(us, s.alive(func() { d.sync(records, after, last) }))
		return
	}
	if len(records) > 0 {
		if err := s.log.Append(records); err != nil {
			s.fail(err)
			return
		}
		if !d.write(after, last) {
			return
		}
	}
	d.release(after, last)
}

// write makes what was appended durable; while the disk is full it tries again and again.
func (d *disk) write(after []zab.Envelope, last uint64) bool {
	s := d.s
	err := s.log.Sync()
	var full *log.FullError
	switch {
	case err == nil:
		if d.full {
			d.full = false
			s.post(input{kind: inDiskFull})
		}
		return true
	case !errors.As(err, &full):
		s.fail(err)
		return false
	case !d.full:
		d.full = true
		s.w.cover.Add("log waits for room")
		s.post(input{kind: inDiskFull, flag: true})
	}
	s.w.after(20_000, s.alive(func() {
		if d.write(after, last) {
			d.release(after, last)
		}
	}))
	return false
}

// release: what was written is durable. The messages that waited leave before or after the loop is
// told, as the scheduler likes.
func (d *disk) release(after []zab.Envelope, last uint64) {
	s := d.s
	d.durable = max(d.durable, last)
	s.w.checker.Synced(s.subject, int(last))
	s.rehearse()
	s.w.examine()
	if last > d.told {
		s.wake()
	}
	d.depart(after)
	if !s.up {
		return
	}
	d.busy = false
	d.kick()
	if !d.busy {
		d.idle()
	}
}

// depart sends what rested on the sync.
func (d *disk) depart(after []zab.Envelope) {
	for i := range after {
		if d.s.point() {
			return
		}
		d.s.w.checker.Leaves(d.s.subject, after[i])
		d.s.w.net.send(d.s, after[i])
	}
	d.s.point()
}

// idle is what the log does while nothing is queued.
func (d *disk) idle() {
	s := d.s
	if s.w.chance(100) {
		if err := s.log.Prepare(); err != nil {
			s.fail(err)
			return
		}
	}
	if err := s.log.Idle(); err != nil {
		s.fail(err)
	}
}

// fail ends the process: its disk broke a promise, or the crash that was due struck in the log.
func (s *server) fail(err error) {
	switch {
	case s.fault.Stopped():
		s.crash(s.ailment.crashPower)
	case errors.Is(err, errSync):
		s.w.cover.Add("process ends after a failed fsync")
		s.crash(false)
	default:
		s.w.fail("R20", s.id, "the log ended by itself: %v", err)
	}
}

// snapshotter is snapshotter.go of the root.
type snapshotter struct {
	busy  bool
	txns  int
	limit int
}

type snapshotDone struct {
	view    *tree.View
	zxid    zab.Zxid
	horizon zab.Zxid
	err     error
}

func (n *snapshotter) draw(s *server) {
	count := int64(s.w.plan.SnapCount)
	n.txns, n.limit = 0, int(s.w.between(count/2, count))
}

func (n *snapshotter) applied(s *server, txns int) {
	n.txns += txns
	if !n.busy && n.txns >= n.limit {
		n.begin(s)
	}
}

// begin freezes the tree; the file is written later, while the tree goes on.
func (n *snapshotter) begin(s *server) {
	n.busy = true
	n.draw(s)
	view := s.peer.Tree().Freeze()
	us := s.busy(snapshotTask) + s.w.between(0, 20*s.w.plan.FsyncUs[1])
	s.w.after(us, s.alive(func() { s.writeSnapshot(view) }))
}

func (s *server) writeSnapshot(view *tree.View) {
	done := &snapshotDone{view: view, zxid: view.Zxid()}
	done.err = s.log.CreateSnapshot(done.zxid, func(w io.Writer) error { return view.Write(w) })
	if done.err == nil {
		s.w.cover.Add("snapshot written")
		s.verifySnapshot(done.zxid)
		done.horizon, done.err = s.log.Purge(s.w.plan.SnapRetain)
		s.rehearse()
	}
	if s.fault.Stopped() {
		s.crash(s.ailment.crashPower)
		return
	}
	s.post(input{kind: inSnapshot, snap: done})
}

// verifySnapshot reads a new file back: it is the state of exactly one zxid (I-SNAP).
func (s *server) verifySnapshot(z zab.Zxid) {
	if !s.w.chance(300) || s.ailment.crashIn > 0 {
		return
	}
	t, err := s.load(z)
	if err != nil {
		s.w.fail("I-SNAP", s.id, "the snapshot of %v that was just written: %v", z, err)
		return
	}
	s.w.compare(s.id, "the new snapshot", z, t.Digest())
}

// snapshotted ends a snapshot in the loop.
func (s *server) snapshotted(done *snapshotDone) {
	done.view.Release()
	s.snaps.busy = false
	if done.err != nil {
		s.w.cover.Add("snapshot failed")
		if err := s.log.Err(); err != nil {
			s.fail(err)
		}
		return
	}
	s.peer.Snapshotted(done.zxid, done.horizon, &s.act)
}

// receiveSnapshot stores what a leader sent and builds its tree aside.
func (s *server) receiveSnapshot(z zab.Zxid, size int64, file []byte) error {
	var received *tree.Tree
	err := s.log.ReceiveSnapshot(z, size, bytes.NewReader(file), func(r io.Reader) (err error) {
		received, err = tree.Restore(s.treeOptions(), r)
		return err
	})
	if err != nil {
		return err
	}
	s.staged = append(s.staged, received)
	return nil
}

// readSnapshot returns the bytes of a snapshot file, as they are sent to another server.
func readSnapshot(s *server, z zab.Zxid) (file []byte, err error) {
	r, size, err := s.log.OpenSnapshot(z)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	file = make([]byte, size)
	_, err = io.ReadFull(r, file)
	return file, err
}
