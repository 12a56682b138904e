package quoll_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll"
)

// lines is a log that a test may read while servers write it.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// A follower that falls silent has broken no rule, and the leader's log says what it is: too slow.
func TestSilentFollowerInTheLog(t *testing.T) {
	log := new(lines)
	adjust := func(c *quoll.Config) { c.Logger = slog.New(slog.NewTextHandler(log, nil)) }
	inEnsemble(t, 3, 0, adjust, func(e *ensemble) {
		follower := e.follower()
		e.isolate(follower)
		e.await("the follower to be given up", func() bool { return strings.Contains(log.String(), "learner given up as too slow") })
		require.Contains(t, log.String(), "was silent for")
		require.NotContains(t, log.String(), "protocol violation")
		e.rejoin(follower)
		e.awaitServing()
	})
}
