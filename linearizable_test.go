package quoll_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"quoll/transport/client"
)

// access is an operation on the register: a write of a value, or sync and then a read.
type access struct {
	write bool
	value string
}

// register is the sequential specification: one znode.
var register = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		if in := input.(access); in.write {
			return true, in.value
		}
		return output == nil || output.(string) == state.(string), state // nil: nobody saw the answer
	},
	DescribeOperation: func(input, output any) string {
		if in := input.(access); in.write {
			return "write " + in.value
		}
		return fmt.Sprint("read ", output)
	},
}

// history collects operations. Its clock counts events, so that the order of calls and returns is
// known even when the bubble's time stands still.
type history struct {
	clock atomic.Int64
	mu    sync.Mutex
	ops   []porcupine.Operation
}

func (h *history) record(client int, in access, run func() (any, error)) {
	call := h.clock.Add(1)
	out, err := run()
	end := h.clock.Add(1)
	if err != nil { // the outcome is unknown: it may take effect at any time to come
		if !in.write {
			return
		}
		out, end = nil, math.MaxInt64
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: in, Output: out, Call: call, Return: end})
}

// Writes, and reads behind a sync, are linearizable while leaders are killed and cut off.
func TestWritesAndSyncedReadsAreLinearizable(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			h := &history{}
			inEnsemble(t, 3, 0, nil, func(e *ensemble) {
				rnd := rand.New(rand.NewPCG(seed, 1))
				_, err := e.dial(client.Options{}, 0).Create(e.ctx, "/r", nil, nil, persistent)
				require.NoError(t, err)
				var wg sync.WaitGroup
				for id := range 5 {
					c := e.dial(client.Options{SessionTimeout: 20 * time.Second}, id%3, (id+1)%3, (id+2)%3)
					choose := rand.New(rand.NewPCG(seed, uint64(id)))
					wg.Go(func() { h.work(e, id, c, choose) })
				}
				for range 3 {
					e.pass(time.Duration(100+rnd.IntN(400)) * time.Millisecond)
					leader := e.leader()
					if rnd.IntN(2) == 0 {
						e.kill(leader)
						e.await("another leader", func() bool { return e.status((leader+1)%3).Serving && e.status((leader+2)%3).Serving })
						e.start(leader)
					} else {
						e.isolate(leader)
						e.pass(2 * time.Second)
						e.rejoin(leader)
					}
					e.awaitServing()
				}
				wg.Wait()
				e.converge()
			})
			t.Logf("%d operations", len(h.ops))
			require.Greater(t, len(h.ops), 100)
			require.True(t, porcupine.CheckOperations(register, h.ops), "not linearizable")
		})
	}
}

// work performs a client's operations.
func (h *history) work(e *ensemble, id int, c *client.Client, choose *rand.Rand) {
	for n := range 60 {
		time.Sleep(time.Duration(choose.IntN(80)) * time.Millisecond) // think time, in the bubble
		if choose.IntN(2) == 0 {
			value := fmt.Sprint(id, ".", n)
			h.record(id, access{write: true, value: value}, func() (any, error) {
				_, err := c.SetData(e.ctx, "/r", []byte(value), -1)
				return nil, err
			})
			continue
		}
		h.record(id, access{}, func() (any, error) {
			if _, err := c.Sync(e.ctx, "/r"); err != nil {
				return nil, err
			}
			data, _, err := c.Data(e.ctx, "/r")
			return string(data), err
		})
	}
}
