package quoll

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"quoll/log"
	"quoll/zab"
)

// diskFullRetry is how often a full disk is asked again whether there is room.
const diskFullRetry = 200 * time.Millisecond

// disk is the goroutine that owns the log. Records queue while a sync is under way and share the
// next one: group commit without a timer. Messages that attest durability wait here for the sync
// that makes them true (R1) and leave without another trip through the loop.
type disk struct {
	s   *Server
	log *log.Log

	mu      sync.Mutex
	records []zab.Record
	bytes   int            // of records, in memory
	waiting []zab.Envelope // each rests on records handed over before it or with it
	last    uint64         // number of the last record handed over

	wake    chan struct{} // something was queued
	synced  chan struct{} // the log has grown: the next segment is due
	moved   chan struct{} // durable has grown
	durable atomic.Uint64 // number of the last record on disk
}

func newDisk(l *log.Log, s *Server) *disk {
	return &disk{s: s, log: l, wake: make(chan struct{}, 1), moved: make(chan struct{}, 1), synced: make(chan struct{}, 1)}
}

// append queues records and the messages that rest on them. It never blocks.
func (d *disk) append(records []zab.Record, after []zab.Envelope) {
	if len(records) == 0 && len(after) == 0 {
		return
	}
	n := 0
	for i := range records {
		n += records[i].Size()
	}
	d.s.unsynced.add(n)
	d.mu.Lock()
	d.bytes += n
	d.records = append(d.records, records...)
	d.last += uint64(len(records))
	d.waiting = append(d.waiting, after...)
	d.mu.Unlock()
	signal(d.wake)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (d *disk) run(ctx context.Context) {
	var records []zab.Record
	var after []zab.Envelope
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.wake:
		}
		d.mu.Lock()
		records, d.records = d.records, records[:0]
		after, d.waiting = d.waiting, after[:0]
		last, n := d.last, d.bytes
		d.bytes = 0
		d.mu.Unlock()
		if len(records) > 0 {
			if err := d.write(ctx, records); err != nil {
				d.s.fail(err)
				return
			}
			d.durable.Store(last)
		}
		for _, env := range after { // first: another server's commit may wait for them
			d.s.links.Send(env)
		}
		if len(records) > 0 {
			d.s.unsynced.add(-n)
			signal(d.moved)
			if d.log.PrepareDue() {
				signal(d.synced)
			}
		}
		clear(records)
		clear(after)
		if len(d.wake) == 0 {
			if err := d.log.Idle(); err != nil {
				d.s.fail(err)
				return
			}
		}
	}
}

// prepare makes segments of the log ahead of their use, beside the writer.
func (d *disk) prepare(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.synced:
		}
		if err := d.log.Prepare(); err != nil && ctx.Err() == nil {
			d.s.fail(err)
			return
		}
	}
}

// write makes records durable. A full disk is waited out, nothing being acknowledged meanwhile;
// any other failure is final (R20): what a failed fsync left on disk nobody knows.
func (d *disk) write(ctx context.Context, records []zab.Record) error {
	if err := d.log.Append(records); err != nil {
		return err
	}
	full := false
	for {
		err := d.log.Sync()
		if err == nil {
			if full {
				d.s.logger.Info("disk has room again, writes are accepted")
				d.s.post(event{kind: evDiskFull, full: false})
			}
			return nil
		}
		if _, noRoom := errors.AsType[*log.FullError](err); !noRoom {
			return err
		}
		if !full {
			full = true
			d.s.logger.Error("disk is full: writes are refused until there is room; a member of an ensemble gives up its role meanwhile", "err", err)
			d.s.post(event{kind: evDiskFull, full: true})
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(diskFullRetry):
		}
	}
}

// synced looks at each fsync. One that takes long is what operators must hear of first: sessions
// die behind it.
func (s *Server) synced(e log.SyncEvent) {
	if e.Write+e.Sync >= s.cfg.FsyncWarning {
		s.logger.Warn("the log's disk is slow", "write", e.Write, "fsync", e.Sync, "bytes", e.Bytes, "records", e.Records)
	}
}
