package tree_test

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/transport/wire"
	"quoll/tree"
	"quoll/zab"
)

const benchNodes = 1_000_000

func benchServer(n int) *server {
	s := newServer(tree.Options{})
	s.fill(n, 100)
	return s
}

func (s *server) txn(o op) []byte {
	if o.acl == nil {
		o.acl = wire.OpenACL
	}
	s.zxid++
	req := zab.Request{ID: zab.RequestID{Boot: 1, N: uint64(s.zxid)}, Session: s.session, Op: int32(o.op), Body: o.body()}
	return s.pending.Prepare(&req, s.zxid, s.now, nil)
}

func BenchmarkApplySetData(b *testing.B) {
	for _, n := range []int{10, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := benchServer(n)
			var txns [][]byte
			for i := range 10_000 {
				i = i * 7919 % n
				if i%1000 == 0 {
					i++
				}
				txns = append(txns, s.txn(op{op: wire.OpSetData, path: fmt.Sprintf("/d%d/n%d", i/1000, i%1000), data: make([]byte, 100), version: -1}))
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				s.zxid++
				s.Apply(zab.Txn{Zxid: s.zxid, Data: txns[i%len(txns)]}, &s.result)
			}
		})
	}
}

func BenchmarkApplyCreateDelete(b *testing.B) {
	for _, n := range []int{10, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := benchServer(n)
			var txns [][]byte
			for i := range 5000 {
				path := fmt.Sprintf("/d0/x%d", i)
				txns = append(txns, s.txn(op{op: wire.OpCreate, path: path, data: make([]byte, 100)}))
			}
			for i := range 5000 {
				path := fmt.Sprintf("/d0/x%d", i)
				txns = append(txns, s.txn(op{op: wire.OpDelete, path: path, version: -1}))
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				s.zxid++
				s.Apply(zab.Txn{Zxid: s.zxid, Data: txns[i%len(txns)]}, &s.result)
			}
		})
	}
}

func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{10, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := benchServer(n)
			var paths [][]byte
			for i := range 10_000 {
				i = i * 7919 % n
				if i%1000 == 0 {
					i++
				}
				paths = append(paths, fmt.Appendf(nil, "/d%d/n%d", i/1000, i%1000))
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				id, _ := s.Lookup(paths[i%len(paths)])
				s.Stat(id)
				s.Data(id)
			}
		})
	}
}

func BenchmarkPrepare(b *testing.B) {
	for _, o := range []op{
		{op: wire.OpSetData, path: "/d0/n1", data: make([]byte, 100), version: -1, acl: wire.OpenACL},
		{op: wire.OpCreate, path: "/d0/s-", data: make([]byte, 100), flags: 2, acl: wire.OpenACL},
	} {
		b.Run(fmt.Sprint(o.op), func(b *testing.B) {
			s := benchServer(100_000)
			req := zab.Request{Session: s.session, Op: int32(o.op), Body: o.body()}
			const window = 1000
			var bufs [window][]byte
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				s.zxid++
				bufs[i%window] = s.pending.Prepare(&req, s.zxid, s.now, bufs[i%window][:0])
				if i%window == window-1 {
					b.StopTimer()
					for j, data := range bufs {
						s.Apply(zab.Txn{Zxid: s.zxid - window + 1 + zab.Zxid(j), Data: data}, &s.result)
					}
					s.pending.Committed(s.zxid)
					b.StartTimer()
				}
			}
		})
	}
}

func BenchmarkFreeze(b *testing.B) {
	s := benchServer(benchNodes)
	for b.Loop() {
		s.Freeze().Release()
	}
}

func BenchmarkWrite(b *testing.B) {
	s := benchServer(benchNodes)
	runtime.GC()
	for b.Loop() {
		v := s.Freeze()
		require.NoError(b, v.Write(io.Discard))
		v.Release()
	}
}

func BenchmarkRestore(b *testing.B) {
	s := benchServer(benchNodes)
	var file bytes.Buffer
	v := s.Freeze()
	require.NoError(b, v.Write(&file))
	b.SetBytes(int64(file.Len()))
	s = nil
	runtime.GC()
	for b.Loop() {
		_, err := tree.Restore(tree.Options{Go: func(f func()) { go f() }}, bytes.NewReader(file.Bytes()))
		require.NoError(b, err)
	}
}
