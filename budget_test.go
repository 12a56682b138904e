package quoll

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"quoll/zab"
)

// A budget that is used up lets nobody pass until half of it is free again.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b budget
		b.init(100)
		stopped := make(chan struct{})
		b.add(99)
		require.True(t, b.wait(time.Second, stopped, nil))
		b.add(30)
		require.False(t, b.wait(time.Second, stopped, nil))
		var passed atomic.Int32
		for range 3 {
			go func() {
				if b.wait(time.Hour, nil, stopped) {
					passed.Add(1)
				}
			}()
			synctest.Wait()
		}
		b.add(-79)
		synctest.Wait()
		require.Zero(t, passed.Load(), "just below the limit")
		b.add(-1)
		b.add(100)
		synctest.Wait()
		require.EqualValues(t, 3, passed.Load(), "used up again before they woke")
		close(stopped)
		require.False(t, b.wait(time.Second, stopped, nil))
	})
}

// Txns from a link wait while the disk has too many; other messages do not.
func TestTxnsWaitForTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{inbox: make(chan event, inboxEvents), stopped: make(chan struct{})}
		s.unsynced.init(unsyncedBytes)
		h := linkHandler{s}
		txns := func() []*zab.Message {
			return []*zab.Message{{Kind: zab.Proposal, Txns: []zab.Txn{{Data: make([]byte, 1<<20)}}}}
		}
		sent := 0
		go func() {
			for range 2 * unsyncedBytes >> 20 {
				h.LinkMessages(1, txns())
				sent++
			}
		}()
		synctest.Wait()
		require.Equal(t, unsyncedBytes>>20, sent, "the last one that passed filled the budget")
		h.LinkMessages(2, []*zab.Message{{Kind: zab.Ack}})
		require.Len(t, s.inbox, sent+1)
		s.unsynced.add(-unsyncedBytes)
		synctest.Wait()
		require.Equal(t, 2*unsyncedBytes>>20, sent)
	})
}
