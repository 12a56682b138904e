package driver

import (
	"context"
	"time"
)

// absence is when a client falls silent; the goroutine's own.
type absence struct {
	wanted bool
	next   time.Time // zero: not decided
	back   time.Time // zero: it is there
}

// wish is the timeout that a client asks for. One that will be absent asks for a short one: each new leader starts the
// time of all sessions anew, and with long ones there would be hardly an expiry under faults.
func (c *client) wish() time.Duration {
	if c.absent.wanted {
		return c.r.opts.Session / 4
	}
	return c.r.opts.Session
}

// goesAway reports whether a client is to fall silent now. It stays away for longer than its session lasts, by its
// server's clock and by its own.
func (c *client) goesAway(now time.Time) bool {
	a := &c.absent
	if !a.wanted || c.timeout == 0 {
		return false
	}
	if a.next.IsZero() {
		a.next = now.Add(c.timeout/4 + time.Duration(c.luck.Int64N(int64(c.timeout))))
	}
	if now.Before(a.next) {
		return false
	}
	a.next, a.back = time.Time{}, now.Add(c.timeout*5/4+time.Duration(c.luck.Int64N(int64(c.timeout/2))))
	return true
}

// stayAway waits until an absent client comes back. What it would have asked for meanwhile it was not going to.
func (c *client) stayAway(ctx context.Context) {
	if c.absent.back.IsZero() {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(time.Until(c.absent.back)):
	}
	c.due, c.planned, c.absent.back = time.Now(), false, time.Time{}
}
