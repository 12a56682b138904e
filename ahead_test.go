package quoll

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quoll/tree"
)

// What is read ahead is what was there, up to the same end or error, whatever sizes it is read in.
func TestAheadReadsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.SampledFrom([]int{0, 1, aheadAtFirst - 1, aheadAtFirst, aheadAtFirst + 1, aheadBytes, 3 * aheadBytes, 7*aheadBytes + 12345}).Draw(t, "bytes")
		data := make([]byte, size)
		for i := range data {
			data[i] = byte(i * 7 >> 3)
		}
		end := rapid.SampledFrom([]error{nil, io.ErrUnexpectedEOF, errors.New("disk")}).Draw(t, "end")
		var r io.Reader = bytes.NewReader(data)
		if end != nil {
			r = io.MultiReader(r, iotest.ErrReader(end))
		}
		if rapid.Bool().Draw(t, "halves") {
			r = iotest.HalfReader(r)
		}
		a, done := newAhead(), make(chan struct{})
		read := rapid.IntRange(0, size+1).Draw(t, "are read")
		var got []byte
		var err error
		go func() {
			defer close(done)
			if read <= size {
				got = make([]byte, read)
				_, err = io.ReadFull(a, got)
				return
			}
			got, err = io.ReadAll(a)
		}()
		a.fill(r, done)
		<-done
		require.True(t, bytes.Equal(data[:min(read, size)], got))
		if read > size {
			require.Equal(t, end, err)
		} else {
			require.NoError(t, err)
		}
	})
}

// A damaged snapshot is refused for what is wrong with it, and what comes behind is not waited for.
func TestRestoreEndsEarly(t *testing.T) {
	var file bytes.Buffer
	v := tree.New(tree.Options{}).Freeze()
	require.NoError(t, v.Write(&file))
	good := file.Bytes()
	s := &Server{}
	restored, err := s.restore(bytes.NewReader(good))
	require.NoError(t, err)
	require.Equal(t, tree.New(tree.Options{}).Digest(), restored.Digest())
	_, err = s.restore(io.MultiReader(bytes.NewReader(good[:20]), iotest.ErrReader(io.ErrClosedPipe)))
	require.ErrorIs(t, err, io.ErrClosedPipe)
	bad := bytes.Clone(good)
	bad[0]++
	_, err = s.restore(io.MultiReader(bytes.NewReader(bad), zeros{}))
	require.ErrorContains(t, err, "does not start with")
}

// zeros has no end.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}
