package quoll

import (
	"encoding/binary"
	"sync/atomic"
	"time"

	"quoll/transport/wire"
	"quoll/zab"
)

// stats counts for a whole server what operators ask for. Anybody may add.
type stats struct {
	received, sent, rejected, authFailed atomic.Int64
	latency                              latency
	proposals                            sizes // the leader's txns
}

// sizes keeps the last, the least and the largest of something, one writer only.
type sizes struct{ last, least, most atomic.Int64 }

func (s *sizes) add(n int64) {
	s.last.Store(n)
	if low := s.least.Load(); low == 0 || n < low {
		s.least.Store(n)
	}
	s.most.Store(max(n, s.most.Load()))
}

// latency gathers the time from a request's arrival to its answer, in ms as ZooKeeper shows it.
type latency struct {
	count, sumUs, minUs, maxUs atomic.Int64
}

func (l *latency) add(d time.Duration) {
	us := d.Microseconds()
	l.sumUs.Add(us)
	if l.count.Add(1) == 1 {
		l.minUs.Store(us)
	}
	for low := l.minUs.Load(); us < low && !l.minUs.CompareAndSwap(low, us); low = l.minUs.Load() {
	}
	for high := l.maxUs.Load(); us > high && !l.maxUs.CompareAndSwap(high, us); high = l.maxUs.Load() {
	}
}

func (l *latency) reset() {
	l.count.Store(0)
	l.sumUs.Store(0)
	l.minUs.Store(0)
	l.maxUs.Store(0)
}

func (l *latency) minMs() int64 { return l.minUs.Load() / 1000 }
func (l *latency) maxMs() int64 { return l.maxUs.Load() / 1000 }

func (l *latency) avgMs() float64 {
	n := l.count.Load()
	if n == 0 {
		return 0
	}
	return float64(l.sumUs.Load()) / float64(n) / 1000
}

// connStats counts for one connection, under its lock.
type connStats struct {
	received, sent int64
	lastOp         wire.Op
	lastXid        zab.Xid
	lastResponse   time.Time
	lastLatency    time.Duration
	latency        latency
}

// received counts a frame. The caller holds c.mu.
func (c *clientConn) received(frame []byte) {
	c.stats.received++
	c.s.stats.received.Add(1)
	if c.Open() && len(frame) >= 8 {
		c.stats.lastXid = zab.Xid(binary.BigEndian.Uint32(frame))
		c.stats.lastOp = opOf(frame)
	}
}

// sent counts the frames that are taken out to be written. The caller holds c.mu.
func (c *clientConn) sent() {
	c.stats.sent += c.Frames
	c.s.stats.sent.Add(c.Frames)
	c.Frames = 0
}

// answered counts the answer to a request that went through the loop. The caller holds c.mu.
func (c *clientConn) answered(seq uint64) {
	came, ok := c.times.answered(seq)
	if !ok {
		return
	}
	c.stats.lastResponse = time.Now()
	c.stats.lastLatency = c.stats.lastResponse.Sub(came)
	c.stats.latency.add(c.stats.lastLatency)
	c.s.stats.latency.add(c.stats.lastLatency)
}

// requestTimes remembers when the open requests of a connection came: tickets count up by one.
type requestTimes struct {
	first uint64 // ticket of times[head]
	head  int
	times []time.Time
}

func (r *requestTimes) sent(seq uint64, now time.Time) {
	if r.head == len(r.times) {
		r.times, r.head, r.first = r.times[:0], 0, seq
	}
	if r.head > 64 && r.head > len(r.times)/2 {
		r.times, r.head = r.times[:copy(r.times, r.times[r.head:])], 0
	}
	r.times = append(r.times, now)
}

// answered takes the time at which seq came, and forgets what came before it.
func (r *requestTimes) answered(seq uint64) (came time.Time, ok bool) {
	if seq < r.first || seq-r.first >= uint64(len(r.times)-r.head) {
		return time.Time{}, false
	}
	r.head += int(seq - r.first)
	came = r.times[r.head]
	r.head++
	r.first = seq + 1
	return came, true
}
