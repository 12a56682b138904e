package session

import (
	"cmp"
	"slices"

	"quoll/zab"
)

// Expiry finds the sessions that nobody has heard of for their timeout. Only a leader has one
// (R25); its time is the leader's count of ticks, which never steps (R31, ZOOKEEPER-2774).
//
// Sessions expire together at the edges of buckets: a session last heard of at t expires at the
// first multiple of the bucket's length that is later than t + timeout, so never early and at
// most one bucket late. A touch only notes the new deadline. Where a session is filed stays as it
// is until that bucket is due, when it either expires or is filed anew: one move per timeout,
// however often it is heard of.
type Expiry struct {
	bucketTicks int64
	entries     map[zab.SessionID]uint32 // live sessions
	slots       []expiring
	free        []uint32
	buckets     map[int64][]uint32 // by edge number; every slot in use is in exactly one
	due         int64              // no bucket before this one has slots
	spare       []uint32           // memory of the last bucket, for the next new one
	ids         []zab.SessionID    // scratch of Advance
}

// expiring is the deadline of a session.
type expiring struct {
	id       zab.SessionID
	timeout  int64 // ticks
	deadline int64 // number of the bucket's edge at which it expires if nothing more is heard
	filed    int64 // number of the bucket that holds the slot, at most deadline
	removed  bool  // the slot is free once its bucket is due
}

// NewExpiry returns an Expiry without sessions whose buckets are bucketTicks long.
func NewExpiry(bucketTicks int64) *Expiry {
	if bucketTicks <= 0 {
		panic("session: a bucket of expiry needs a length")
	}
	return &Expiry{
		bucketTicks: bucketTicks,
		entries:     make(map[zab.SessionID]uint32),
		buckets:     make(map[int64][]uint32),
	}
}

// edge returns the number of the first edge later than t ticks.
func (e *Expiry) edge(t int64) int64 { return t/e.bucketTicks + 1 }

// Len returns the number of sessions.
func (e *Expiry) Len() int { return len(e.entries) }

// Add watches over a session from now on, or gives one that is known a new timeout in ticks and
// a new start. now is never less than in any call before.
func (e *Expiry) Add(id zab.SessionID, timeoutTicks, now int64) {
	timeoutTicks = max(timeoutTicks, 0)
	deadline := e.edge(now + timeoutTicks)
	if slot, ok := e.entries[id]; ok {
		s := &e.slots[slot]
		if s.filed <= deadline {
			s.timeout, s.deadline = timeoutTicks, deadline
			return
		}
		s.removed = true // a shorter timeout is due before the bucket that holds the slot
	}
	slot := uint32(len(e.slots))
	if n := len(e.free); n > 0 {
		slot, e.free = e.free[n-1], e.free[:n-1]
	} else {
		e.slots = append(e.slots, expiring{})
	}
	e.slots[slot] = expiring{id: id, timeout: timeoutTicks, deadline: deadline}
	e.entries[id] = slot
	e.file(slot)
}

func (e *Expiry) file(slot uint32) {
	s := &e.slots[slot]
	s.filed = s.deadline
	if len(e.buckets) == 0 || s.filed < e.due {
		e.due = s.filed
	}
	bucket, ok := e.buckets[s.filed]
	if !ok {
		bucket, e.spare = e.spare[:0], nil
	}
	e.buckets[s.filed] = append(bucket, slot)
}

// Touch notes that a session was heard of. It returns false when the session is not known: it is
// over, or about to be, and a touch must not bring it back.
func (e *Expiry) Touch(id zab.SessionID, now int64) bool {
	slot, ok := e.entries[id]
	if ok {
		s := &e.slots[slot]
		s.deadline = e.edge(now + s.timeout)
	}
	return ok
}

// Remove forgets a session.
func (e *Expiry) Remove(id zab.SessionID) {
	if slot, ok := e.entries[id]; ok {
		e.slots[slot].removed = true
		delete(e.entries, id)
	}
}

// Reset gives every session its full timeout from now on.
func (e *Expiry) Reset(now int64) {
	for i := range e.slots {
		s := &e.slots[i]
		s.deadline = e.edge(now + s.timeout)
	}
}

// Advance removes sessions whose deadline has come, most of them at most, and calls expired for each: by
// deadline, and by id where deadlines are equal. The others stay for the next call; until then they can
// be heard of as before. expired may use e.
func (e *Expiry) Advance(now int64, most int, expired func(id zab.SessionID)) {
	for most > 0 && len(e.buckets) > 0 && e.due <= now/e.bucketTicks {
		edge := e.due
		e.due++
		bucket, ok := e.buckets[edge]
		if !ok {
			continue
		}
		delete(e.buckets, edge)
		if rest := e.empty(bucket, edge, most); len(rest) > 0 {
			e.buckets[edge] = rest
			e.due = edge
		} else {
			e.spare = bucket
		}
		most -= len(e.ids)
		for _, id := range e.ids {
			expired(id)
		}
	}
}

// empty gathers in e.ids, in order, the sessions of a due bucket that are over, most of them at most,
// and files those where they belong by now that were heard of. It returns what is left of the bucket.
func (e *Expiry) empty(bucket []uint32, edge int64, most int) (rest []uint32) {
	over := bucket[:0]
	for _, slot := range bucket {
		switch s := &e.slots[slot]; {
		case s.removed:
			e.free = append(e.free, slot)
		case s.deadline > edge:
			e.file(slot)
		default:
			over = append(over, slot)
		}
	}
	slices.SortFunc(over, func(a, b uint32) int { return cmp.Compare(e.slots[a].id, e.slots[b].id) })
	n := min(most, len(over))
	e.ids = e.ids[:0]
	for _, slot := range over[:n] {
		id := e.slots[slot].id
		e.ids = append(e.ids, id)
		delete(e.entries, id)
		e.free = append(e.free, slot)
	}
	return over[n:]
}
