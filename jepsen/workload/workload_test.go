package workload_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/jepsen/history"
	"quoll/jepsen/workload"
	"quoll/transport/wire"
)

// server answers as one that behaves strangely: outcomes are drawn, but every answer has the shape
// that the protocol gives it.
type server struct {
	r    *rand.Rand
	last int
}

func (s *server) answer(op *history.Op) history.Result {
	codes := []wire.Code{wire.OK, wire.OK, wire.OK, wire.NoNode, wire.NodeExists, wire.BadVersion, wire.SessionExpired}
	res := history.Result{Code: codes[s.r.IntN(len(codes))]}
	if res.Code != wire.OK {
		return res
	}
	s.last++
	res.Kind = op.Kind
	res.Stat.Version = int32(s.r.IntN(3))
	switch op.Kind {
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL:
		res.Path = op.Path
		if op.Mode.Sequential() {
			res.Path = fmt.Sprintf("%s%010d", op.Path, s.last)
		}
	case wire.OpGetData:
		res.Data = fmt.Appendf(nil, "%d c1", s.r.IntN(100))
	case wire.OpGetChildren, wire.OpGetChildren2:
		for i := range s.r.IntN(3) {
			res.Children = append(res.Children, fmt.Sprintf("n-%010d", s.last-i))
		}
	case wire.OpGetEphemerals:
		res.Children = []string{fmt.Sprintf("/lock/n-%010d", s.last)}
	case wire.OpMulti, wire.OpMultiRead:
		for i := range op.Ops {
			res.Results = append(res.Results, s.answer(&op.Ops[i]))
			if last := &res.Results[i]; last.Code != wire.OK {
				last.Kind = wire.OpError
			}
		}
	default:
	}
	return res
}

// play lets the clients of a workload ask until they are done, with up to two operations open for
// each, and returns what they asked for.
func play(t *testing.T, name string, seed uint64) []history.Op {
	r := rand.New(rand.NewPCG(seed, 1))
	s := &server{r: rand.New(rand.NewPCG(seed, 2))}
	clients := workload.Sized(name, 3, 100, r)
	var asked []history.Op
	for id, c := range clients {
		var open []history.Op
		settle := func(known bool) {
			res := s.answer(&open[0])
			c.Done(&open[0], &res, known)
			if open = open[1:]; res.Code == wire.SessionExpired {
				for i := range open {
					c.Done(&open[i], nil, false)
				}
				open = nil
				c.Lost()
			}
		}
		for n := 0; ; n++ {
			require.Less(t, n, 2000, "%s never ends", name)
			op, pause, ok := c.Next(r)
			if !ok {
				break
			}
			require.GreaterOrEqual(t, pause, int64(0))
			require.LessOrEqual(t, pause, int64(1_000_000))
			asked, open = append(asked, op), append(open, op)
			if op.Path != "" && s.r.IntN(10) == 0 {
				c.Event(history.Event{Client: id, Type: wire.EventNodeDeleted, Path: op.Path})
			}
			for len(open) > s.r.IntN(3) {
				settle(s.r.IntN(10) > 0)
			}
		}
	}
	return asked
}

// Every workload comes to an end, asks only for what a client may ask for, and is repeatable.
func TestWorkloads(t *testing.T) {
	for _, name := range workload.Names() {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(6) {
				asked := play(t, name, seed)
				require.Greater(t, len(asked), 150)
				for i := range asked {
					requireValid(t, &asked[i], false)
				}
				require.Equal(t, asked, play(t, name, seed), "not repeatable")
			}
		})
	}
}

// Together the workloads use every operation that the model of the service knows.
func TestEveryOperationIsAskedFor(t *testing.T) {
	seen := map[wire.Op]bool{}
	var note func(op *history.Op)
	note = func(op *history.Op) {
		seen[op.Kind] = true
		for i := range op.Ops {
			note(&op.Ops[i])
		}
	}
	for _, name := range workload.Names() {
		for _, op := range play(t, name, 7) {
			note(&op)
		}
	}
	for _, kind := range []wire.Op{
		wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL, wire.OpDelete, wire.OpSetData, wire.OpSetACL,
		wire.OpCheck, wire.OpMulti, wire.OpMultiRead, wire.OpExists, wire.OpGetData, wire.OpGetACL, wire.OpGetChildren,
		wire.OpGetChildren2, wire.OpGetEphemerals, wire.OpGetAllChildrenNumber, wire.OpSync, wire.OpAddWatch, wire.OpCloseSession,
	} {
		require.True(t, seen[kind], "nobody asks for %s", kind)
	}
}

// Values are never made twice, so that a read says which write it saw.
func TestValuesAreUnique(t *testing.T) {
	for _, name := range workload.Names() {
		seen := map[string]bool{}
		for _, op := range play(t, name, 3) {
			for _, part := range append([]history.Op{op}, op.Ops...) {
				_, tag, tagged := strings.Cut(string(part.Data), " ")
				if !tagged {
					tag = string(part.Data)
				}
				if !strings.HasPrefix(tag, "c") {
					continue // of the stage
				}
				require.False(t, seen[tag], "%s: %q again", name, tag)
				seen[tag] = true
			}
		}
	}
}

func requireValid(t *testing.T, op *history.Op, inMulti bool) {
	t.Helper()
	switch op.Kind {
	case wire.OpMulti, wire.OpMultiRead:
		require.False(t, inMulti)
		require.NotEmpty(t, op.Ops)
		for i := range op.Ops {
			part := &op.Ops[i]
			requireValid(t, part, true)
			reads := part.Kind == wire.OpGetData || part.Kind == wire.OpGetChildren
			require.Equal(t, op.Kind == wire.OpMultiRead, reads, "%s in a %s", part.Kind, op.Kind)
		}
		return
	case wire.OpCloseSession:
		return
	case wire.OpCheck:
		require.True(t, inMulti)
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL:
		require.NotEmpty(t, op.ACL)
		require.Equal(t, op.Kind == wire.OpCreateTTL, op.Mode.TTL())
		require.Equal(t, op.Kind == wire.OpCreateTTL, op.TTLMs > 0)
		require.Equal(t, op.Kind == wire.OpCreateContainer, op.Mode == wire.Container)
	case wire.OpSetACL:
		require.NotEmpty(t, op.ACL)
	case wire.OpAddWatch:
		require.Contains(t, []int32{wire.AddWatchPersistent, wire.AddWatchPersistentRecursive}, op.WatchMode)
	default:
		require.True(t, op.Kind.Known(), "%s", op.Kind)
	}
	require.True(t, strings.HasPrefix(op.Path, "/"), "%s of %q", op.Kind, op.Path)
	require.GreaterOrEqual(t, op.Version, int32(-1))
	if !op.Mode.Sequential() && op.Path != "/" {
		require.False(t, strings.HasSuffix(op.Path, "/"), op.Path)
	}
}

// An unknown workload is a fault of the caller.
func TestUnknownWorkload(t *testing.T) {
	require.PanicsWithValue(t, "workload: there is none with the name nothing", func() {
		workload.New("nothing", 1, rand.New(rand.NewPCG(1, 1)))
	})
	require.Len(t, workload.New("bank", 4, rand.New(rand.NewPCG(1, 1))), 4)
}
