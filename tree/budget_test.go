package tree_test

import (
	"bytes"
	"fmt"
	"runtime"
	"runtime/metrics"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/transport/wire"
	"quoll/tree"
	"quoll/zab"
)

// heap returns the live bytes of the heap and those that the collector looks at.
func heap() (live, scanned int64) {
	runtime.GC()
	runtime.GC()
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/heap:bytes"}}
	metrics.Read(samples)
	return int64(samples[0].Value.Uint64()), int64(samples[1].Value.Uint64())
}

// TestHeapPerZnode is linear in the number of znodes: chunks are of one size and the tables of
// chunks are small, so a fifth of the million that the budget speaks of tells as much.
func TestHeapPerZnode(t *testing.T) {
	const znodes = 200_000
	live, scanned := heap()
	s := newServer(tree.Options{})
	s.fill(znodes, 100)
	s.buf, s.pending = nil, nil
	liveAfter, scannedAfter := heap()
	require.NoError(t, s.Verify())
	perZnode := (liveAfter - live) / znodes
	t.Logf("%d bytes of live heap for a znode", perZnode)
	require.LessOrEqual(t, perZnode, int64(204))
	require.Less(t, (scannedAfter-scanned)/znodes, int64(8), "the collector scans znodes")
	runtime.KeepAlive(s)
}

func TestHotPathsDoNotAllocate(t *testing.T) {
	s := newServer(tree.Options{})
	s.fill(2000, 100)
	path := []byte("/d1/n7")
	set := op{op: wire.OpSetData, path: string(path), data: bytes.Repeat([]byte("y"), 100), version: -1}
	body := set.body()
	s.do(set)
	txn := bytes.Clone(s.buf)
	req := zab.Request{ID: zab.RequestID{Boot: 1, N: 1}, Session: s.session, Op: int32(set.op), Body: body}

	for what, f := range map[string]func(){
		"Apply of setData": func() {
			s.zxid++
			s.Apply(zab.Txn{Zxid: s.zxid, Data: txn}, &s.result)
		},
		"Prepare and Apply of setData": func() { s.submit(req) },
		"Lookup, Stat, Data, ACL": func() {
			id, ok := s.Lookup(path)
			if !ok || s.Stat(id).DataLength != 100 || len(s.Data(id)) != 100 || len(s.ACL(id)) != 1 {
				panic("wrong znode")
			}
		},
		"EachChild": func() {
			id, _ := s.Lookup(path[:3])
			s.EachChild(id, func(name []byte) bool { return len(name) > 0 })
		},
	} {
		require.Zero(t, testing.AllocsPerRun(100, f), what)
	}
}

// TestFreezeCopiesOnlyWhatIsWritten: a View makes a write copy the chunks that it touches once,
// and a second write to them nothing.
func TestFreezeCopiesOnlyWhatIsWritten(t *testing.T) {
	s := newServer(tree.Options{})
	s.fill(50_000, 100)
	set := func(path string) uint64 {
		o := op{op: wire.OpSetData, path: path, data: make([]byte, 100), version: -1}
		req := zab.Request{Session: s.session, Op: int32(o.op), Body: o.body()}
		s.zxid++
		s.buf = s.pending.Prepare(&req, s.zxid, s.now, s.buf[:0])
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		s.Apply(zab.Txn{Zxid: s.zxid, Data: s.buf}, &s.result)
		runtime.ReadMemStats(&after)
		s.pending.Committed(s.zxid)
		return after.TotalAlloc - before.TotalAlloc
	}
	set("/d7/n7") // a first time for the pending entries
	v := s.Freeze()
	const chunks = 18<<10 + 32<<10 + 16<<10 // znodes, data, sessions
	require.LessOrEqual(t, set("/d7/n7"), uint64(chunks))
	require.Less(t, set("/d7/n7"), uint64(1<<10))
	v.Release()
	require.Less(t, set("/d9/n9"), uint64(1<<10), "a released View still costs")
}

func TestZnodesOfAllSizes(t *testing.T) {
	s := newServer(tree.Options{})
	sizes := []int{0, 1, 15, 16, 17, 127, 128, 129, 160, 161, 4095, 8191, 8192, 8193, 32768, 100_000, 1 << 20}
	fill := func(n int) []byte { return bytes.Repeat([]byte{byte(n)}, n) }
	for i, n := range sizes {
		require.Equal(t, wire.OK, s.create(fmt.Sprintf("/n%d", i), fill(n)))
	}
	for round := range len(sizes) {
		for i := range sizes {
			n := sizes[(i+round)%len(sizes)]
			path := fmt.Sprintf("/n%d", i)
			require.Equal(t, wire.OK, s.do(op{op: wire.OpSetData, path: path, data: fill(n), version: -1}))
			id, ok := s.Lookup([]byte(path))
			require.True(t, ok)
			require.True(t, bytes.Equal(fill(n), s.Data(id)))
		}
		require.NoError(t, s.Verify())
	}
	for i := range sizes {
		require.Equal(t, wire.OK, s.do(op{op: wire.OpDelete, path: fmt.Sprintf("/n%d", i), version: -1}))
	}
	require.NoError(t, s.Verify())
}

// What closing a session takes does not grow with its ephemerals, but for the paths that the txn names:
// they have no entries of the overlay, and no memory of their own.
func TestCloseSessionTakesFewAllocations(t *testing.T) {
	allocs := func(n int) float64 {
		s := newServer(tree.Options{})
		id := s.session
		for i := range n {
			require.Equal(t, wire.OK, s.do(op{op: wire.OpCreate, path: "/e" + strconv.Itoa(i), flags: int32(wire.Ephemeral)}))
		}
		return testing.AllocsPerRun(1, func() { // no run in advance changes the tree: nothing is applied
			p := tree.NewPending(s.Tree)
			b := p.Prepare(&zab.Request{Session: id, Op: int32(wire.OpCloseSession)}, s.zxid+1, s.now, nil)
			require.Greater(t, len(b), 4*n)
			require.False(t, p.Alive(id))
		})
	}
	few, many := allocs(10), allocs(10_000)
	require.Less(t, many, few+40, "only slices that double")
}

// A large txn leaves no memory in the Result that is reused.
func TestResultLetsGoOfMuch(t *testing.T) {
	r := tree.Result{Changes: make([]tree.Change, 100_000), Ops: make([]tree.OpResult, 10)}
	r.Reset()
	require.Zero(t, cap(r.Changes))
	require.Equal(t, 10, cap(r.Ops))
}
