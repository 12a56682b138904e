package tree_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand"
	"runtime"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"quoll/transport/wire"
	"quoll/tree"
	"quoll/zab"
)

// churn makes n random writes: creates, deletes and setDatas of all sizes, in families large and
// small, by sessions that come and go.
func (s *server) churn(r *rand.Rand, n int) {
	for range n {
		path := fmt.Sprintf("/%d", r.Intn(50))
		if r.Intn(3) > 0 {
			path = fmt.Sprintf("%s/%d", path, r.Intn(200))
		}
		data := make([]byte, r.Intn(1+r.Intn(300)))
		if r.Intn(500) == 0 {
			data = make([]byte, r.Intn(50_000))
		}
		switch r.Intn(8) {
		case 0, 1, 2:
			s.do(op{op: wire.OpCreate, path: path, data: data, flags: int32(r.Intn(4))})
		case 3:
			s.do(op{op: wire.OpCreateContainer, path: path, data: data, flags: 4})
		case 4:
			s.do(op{op: wire.OpDelete, path: path, version: -1})
		case 5:
			acl := []wire.ACL{{Perms: wire.PermAll, Scheme: "world", ID: "anyone"}, {Perms: wire.Perm(r.Intn(31)), Scheme: "ip", ID: "10.0.0.1"}}
			s.do(op{op: wire.OpSetACL, path: path, acl: acl, version: -1})
		case 6:
			s.do(op{op: wire.OpSetData, path: path, data: data, version: -1})
		default:
			if r.Intn(20) == 0 {
				s.submit(zab.Request{Session: s.session, Op: int32(wire.OpCloseSession)})
				s.session = s.open(uint8(1 + r.Intn(250)))
			}
		}
	}
}

// Snapshots are written by another goroutine while the tree changes; each restores to what the
// tree was when it was frozen. Under -race this also shows that nothing is shared for writing.
func TestSnapshotWhileWriting(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	s := newServer(tree.Options{})
	s.churn(r, 5000)
	for range 8 {
		s.churn(r, 300)
		view, digest, zxid := s.Freeze(), s.Digest(), s.Applied()
		var file bytes.Buffer
		done := make(chan error)
		go func() { done <- view.Write(&file) }()
		s.churn(r, 600)
		require.NoError(t, <-done)
		s.churn(r, 100)
		require.Equal(t, zxid, view.Zxid())
		view.Release()
		again, err := tree.Restore(tree.Options{}, &file)
		require.NoError(t, err)
		require.Equal(t, digest, again.Digest())
		require.NoError(t, again.Verify())
		require.NoError(t, s.Verify())
		now, err := tree.Restore(tree.Options{}, bytes.NewReader(snapshot(t, s.Tree)))
		require.NoError(t, err)
		require.Equal(t, familyOf(s.Tree, "/"), familyOf(now, "/"), "siblings keep their order")
	}
	require.Panics(t, func() { v := s.Freeze(); v2 := *v; v.Release(); v2.Release() }, "released twice")
}

// Two Views at once, released in either order.
func TestTwoViews(t *testing.T) {
	r := rand.New(rand.NewSource(2))
	s := newServer(tree.Options{})
	for order := range 2 {
		s.churn(r, 500)
		first, firstDigest := s.Freeze(), s.Digest()
		s.churn(r, 500)
		second, secondDigest := s.Freeze(), s.Digest()
		s.churn(r, 500)
		check := func(v *tree.View, digest uint64) {
			var file bytes.Buffer
			require.NoError(t, v.Write(&file))
			v.Release()
			again, err := tree.Restore(tree.Options{}, &file)
			require.NoError(t, err)
			require.Equal(t, digest, again.Digest())
			s.churn(r, 500)
		}
		if order == 0 {
			check(first, firstDigest)
			check(second, secondDigest)
		} else {
			check(second, secondDigest)
			check(first, firstDigest)
		}
	}
	require.NoError(t, s.Verify())
}

func snapshot(t testing.TB, tr *tree.Tree) []byte {
	v := tr.Freeze()
	defer v.Release()
	var file bytes.Buffer
	require.NoError(t, v.Write(&file))
	return file.Bytes()
}

func familyOf(tr *tree.Tree, path string) []string {
	var names []string
	id, _ := tr.Lookup([]byte(path))
	tr.EachChild(id, func(name []byte) bool {
		names = append(names, string(name))
		return true
	})
	return names
}

// small returns the snapshot of a tree with one of everything.
func small(t testing.TB) []byte {
	s := newServer(tree.Options{ExtendedTypes: true})
	s.create("/a", []byte("data"))
	s.create("/a/b", nil)
	s.create("/a/c", []byte{})
	s.do(op{op: wire.OpCreate, path: "/e", flags: 1})
	s.do(op{op: wire.OpCreateTTL, path: "/t", flags: 5, ttl: 7})
	s.do(op{op: wire.OpCreateContainer, path: "/a/k", acl: []wire.ACL{{Perms: 1, Scheme: "ip", ID: "1.2.3.4"}}})
	return snapshot(t, s.Tree)
}

func TestDamagedSnapshots(t *testing.T) {
	file := small(t)
	_, err := tree.Restore(tree.Options{}, bytes.NewReader(file))
	require.NoError(t, err)
	_, err = tree.Restore(tree.Options{}, iotest.OneByteReader(bytes.NewReader(file)))
	require.NoError(t, err)
	_, err = tree.Restore(tree.Options{}, iotest.DataErrReader(bytes.NewReader(file)))
	require.NoError(t, err)
	_, err = tree.Restore(tree.Options{}, io.MultiReader(bytes.NewReader(file), iotest.ErrReader(io.ErrClosedPipe)))
	require.ErrorIs(t, err, io.ErrClosedPipe)
	_, err = tree.Restore(tree.Options{}, bytes.NewReader(append(bytes.Clone(file), 0)))
	require.ErrorContains(t, err, "bytes after its end")
	for n := range file {
		_, err := tree.Restore(tree.Options{}, bytes.NewReader(file[:n]))
		require.ErrorIs(t, err, io.ErrUnexpectedEOF, "cut at %d", n)
		for bit := range 8 {
			damaged := bytes.Clone(file)
			damaged[n] ^= 1 << bit
			_, err := tree.Restore(tree.Options{}, bytes.NewReader(damaged))
			require.Error(t, err, "byte %d bit %d", n, bit)
		}
	}
}

// Lengths that the input only claims take no memory.
func TestRestoreTrustsNoLength(t *testing.T) {
	file := small(t)
	for at := 0; at+4 < len(file); at++ {
		damaged := bytes.Clone(file[:at+4])
		copy(damaged[at:], "\xff\xff\xff\x7f")
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := tree.Restore(tree.Options{}, bytes.NewReader(damaged))
		runtime.ReadMemStats(&after)
		require.Error(t, err)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20), "at %d", at)
	}
}

type failingWriter struct{ left int }

func (w *failingWriter) Write(b []byte) (int, error) {
	if w.left -= len(b); w.left < 0 {
		return 0, io.ErrShortWrite
	}
	return len(b), nil
}

func TestWriteTellsErrors(t *testing.T) {
	s := newServer(tree.Options{})
	s.fill(5000, 100)
	s.create("/large", make([]byte, 100_000))
	v := s.Freeze()
	defer v.Release()
	for _, n := range []int{0, 100_000, 800_000} {
		require.ErrorIs(t, v.Write(&failingWriter{left: n}), io.ErrShortWrite)
	}
}

func FuzzRestore(f *testing.F) {
	file := small(f)
	f.Add(file)
	f.Add(file[:len(file)/2])
	f.Add([]byte("QUOLLT01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if again, err := tree.Restore(tree.Options{}, bytes.NewReader(data)); err == nil {
			require.NoError(t, again.Verify())
		}
	})
}
