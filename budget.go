package quoll

import (
	"sync"
	"sync/atomic"
	"time"
)

// budget counts the bytes in some queues and holds back who would add to them. It closes at its limit and opens
// again at half of it. Who waited then passes, even if it is used up again by those who were faster: nobody waits
// for ever, and the limit is exceeded by no more than what each of those who pass brings at once.
type budget struct {
	limit  int
	isOpen atomic.Bool // fast path

	mu     sync.Mutex
	used   int
	opened chan struct{} // closed when there is room
}

func (b *budget) init(limit int) {
	b.limit, b.opened = limit, make(chan struct{})
	close(b.opened)
	b.isOpen.Store(true)
}

// add counts n bytes more, or less when n is negative. It never blocks.
func (b *budget) add(n int) {
	if n == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used += n
	switch open := b.isOpen.Load(); {
	case open && b.used >= b.limit:
		b.opened = make(chan struct{})
		b.isOpen.Store(false)
	case !open && b.used < b.limit/2:
		close(b.opened)
		b.isOpen.Store(true)
	}
}

// wait waits until there is room. It reports false when there was none in time, or when one of ends is closed first.
func (b *budget) wait(patience time.Duration, end, otherEnd <-chan struct{}) bool {
	if b.isOpen.Load() {
		return true
	}
	b.mu.Lock()
	opened := b.opened
	b.mu.Unlock()
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-opened:
		return true
	case <-end:
	case <-otherEnd:
	case <-t.C:
	}
	return false
}
