package transport

import (
	"log/slog"
	"net"
	"sync"
	"time"
)

const (
	// quietPeriod is how long the same trouble with the same address is not logged again.
	quietPeriod = time.Minute
	// quietTroubles bounds the memory for them; whoever connects chooses his address.
	quietTroubles = 1024
)

// quietLog is a logger that says the same thing about the same address once per period: a
// misconfigured server or a port scanner retries for ever.
type quietLog struct {
	*slog.Logger
	mu   sync.Mutex
	seen map[trouble]*sighting
}

type trouble struct{ cause, address string }

type sighting struct {
	at      time.Time
	skipped int
}

func newQuietLog(l *slog.Logger) *quietLog {
	if l == nil {
		l = slog.New(slog.DiscardHandler)
	}
	return &quietLog{Logger: l, seen: map[trouble]*sighting{}}
}

// due reports whether the trouble should be logged now, and how often it was not since the last time.
func (q *quietLog) due(cause, address string) (skipped int, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := now()
	s := q.seen[trouble{cause, address}]
	if s != nil && t.Sub(s.at) < quietPeriod {
		s.skipped++
		return 0, false
	}
	if s == nil {
		if len(q.seen) >= quietTroubles {
			clear(q.seen)
		}
		s = &sighting{}
		q.seen[trouble{cause, address}] = s
	}
	skipped, s.skipped, s.at = s.skipped, 0, t
	return skipped, true
}

// hostOf returns the address without its port, which a dialer changes every time.
func hostOf(a net.Addr) string {
	host, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	return host
}
