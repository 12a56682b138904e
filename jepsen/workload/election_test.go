package workload_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/jepsen/history"
	"quoll/jepsen/workload"
	"quoll/transport/wire"
	"quoll/zab"
)

// candidate is a client of an election whose answers a test makes up.
type candidate struct {
	t *testing.T
	workload.Client
	r *rand.Rand
}

func newCandidate(t *testing.T) *candidate {
	c := &candidate{t: t, Client: workload.Sized("election", 1, 1000, rand.New(rand.NewPCG(1, 1)))[0], r: rand.New(rand.NewPCG(1, 2))}
	for _, path := range []string{"/election", "/election/fence"} {
		op, _, _ := c.Next(c.r)
		require.Equal(t, path, op.Path)
		c.Done(&op, &history.Result{Path: path}, true)
	}
	return c
}

// step takes the next operation of the recipe, answers it, and lets what a waiting client asks go by.
func (c *candidate) step(kind wire.Op, path string, res *history.Result) history.Op {
	c.t.Helper()
	for range 20 {
		op, _, ok := c.Next(c.r)
		require.True(c.t, ok)
		if idle := op.Kind == wire.OpExists && !op.Watch; idle && kind != op.Kind {
			c.Done(&op, &history.Result{}, true)
			continue
		}
		require.Equal(c.t, kind, op.Kind)
		require.Equal(c.t, path, op.Path)
		c.Done(&op, res, res != nil)
		return op
	}
	c.t.Fatalf("%v never comes", kind)
	return history.Op{}
}

func stat(czxid zab.Zxid, version int32) wire.Stat { return wire.Stat{Czxid: czxid, Version: version} }

// A client leads when its znode is the first, and what it does is fenced by the czxid of that znode; it resigns when it finds
// that somebody came after it.
func TestElection(t *testing.T) {
	c := newCandidate(t)
	stand := c.step(wire.OpCreate, "/election/n-", &history.Result{Path: "/election/n-0000000007"})
	require.Equal(t, wire.EphemeralSequential, stand.Mode)
	c.step(wire.OpGetData, "/election/n-0000000007", &history.Result{Stat: stat(99, 0)})
	c.step(wire.OpGetChildren, "/election", &history.Result{Children: []string{"n-0000000007", "fence", "n-0000000005"}})
	watch := c.step(wire.OpExists, "/election/n-0000000005", &history.Result{})
	require.True(t, watch.Watch)
	c.Event(history.Event{Type: wire.EventNodeDeleted, Path: "/election/n-0000000005"})
	c.step(wire.OpGetChildren, "/election", &history.Result{Children: []string{"n-0000000007", "fence", "n-0000000008"}})
	c.step(wire.OpGetData, "/election/fence", &history.Result{Data: []byte("98 c2.1"), Stat: stat(4, 17)})
	for version := int32(17); ; version++ {
		op, _, _ := c.Next(c.r)
		if op.Kind == wire.OpDelete {
			require.Greater(t, version, int32(17), "it led")
			require.Equal(t, "/election/n-0000000007", op.Path)
			c.Done(&op, &history.Result{}, true)
			break
		}
		require.Equal(t, wire.OpSetData, op.Kind)
		require.Equal(t, version, op.Version)
		require.Equal(t, "99 ", string(op.Data[:3]))
		c.Done(&op, &history.Result{}, true)
	}
	c.step(wire.OpGetEphemerals, "/election/n-", &history.Result{})

	c.step(wire.OpCreate, "/election/n-", nil) // lost, and found again
	c.step(wire.OpGetEphemerals, "/election/n-", &history.Result{Children: []string{"/election/n-0000000009"}})
	c.step(wire.OpGetData, "/election/n-0000000009", &history.Result{Stat: stat(120, 0)})
	c.step(wire.OpGetChildren, "/election", &history.Result{Children: []string{"n-0000000009"}})
	c.step(wire.OpGetData, "/election/fence", &history.Result{Data: []byte("130 c2.1"), Stat: stat(4, 40)})
	c.step(wire.OpDelete, "/election/n-0000000009", &history.Result{})
}

// What the simulator draws from stays as it is, whatever there is for real runs.
func TestSimulated(t *testing.T) {
	require.Equal(t, []string{"bank", "ephemeral", "lock", "mixed", "queue", "register", "sequence", "watch"}, workload.Simulated(),
		"a name more or less makes other runs of the simulator's seeds")
	require.True(t, slices.Contains(workload.Names(), "election"))
	for _, name := range workload.Names() {
		require.Equal(t, slices.Contains([]string{"election", "ephemeral", "lock", "mixed"}, name), workload.Mortal(name))
	}
}
