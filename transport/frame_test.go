package transport

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// pieces is a connection whose reads return what they are told to.
type pieces struct {
	net.Conn
	left [][]byte
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.left) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.left[0])
	if p.left[0] = p.left[0][n:]; len(p.left[0]) == 0 {
		p.left = p.left[1:]
	}
	return n, nil
}

func cut(t *rapid.T, b []byte) [][]byte {
	var list [][]byte
	for len(b) > 0 {
		n := rapid.IntRange(1, min(len(b), 5000)).Draw(t, "piece")
		list = append(list, b[:n])
		b = b[n:]
	}
	return list
}

// However the bytes arrive, the same frames come out.
func TestFramesFromPieces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var stream []byte
		var want [][]byte
		for range rapid.IntRange(0, 6).Draw(t, "frames") {
			size := rapid.OneOf(rapid.IntRange(1, 30), rapid.IntRange(1, 100_000)).Draw(t, "size")
			payload := bytes.Repeat([]byte{byte(size)}, size)
			stream = append(binary.BigEndian.AppendUint32(stream, uint32(size)), payload...)
			want = append(want, payload)
		}
		lost := rapid.IntRange(0, min(3, len(stream))).Draw(t, "lost") // the last frame may be cut
		r := newFrameReader(&pieces{left: cut(t, stream[:len(stream)-lost])}, 100_000)
		if lost > 0 {
			want = want[:len(want)-1]
		}
		for i := range want {
			payload, err := r.wait()
			require.NoError(t, err)
			require.Equal(t, want[i], payload)
		}
		_, err := r.wait()
		if lost > 0 && r.partial() {
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		} else {
			require.ErrorIs(t, err, io.EOF)
		}
	})
}

func TestFrameLengthIsNotBelieved(t *testing.T) {
	lie := binary.BigEndian.AppendUint32(nil, maxFrame)
	r := newFrameReader(&pieces{left: [][]byte{append(lie, make([]byte, 3*readBuffer)...)}}, maxFrame)
	_, err := r.wait()
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.LessOrEqual(t, len(r.buf), 8*readBuffer)

	for _, n := range []uint32{0, maxFrame + 1, 1<<32 - 1} {
		r := newFrameReader(&pieces{left: [][]byte{binary.BigEndian.AppendUint32(nil, n)}}, maxFrame)
		_, err := r.wait()
		require.ErrorIs(t, err, errMalformed, "length %d", n)
	}
}

func TestBigFrameLeavesNoBigBuffer(t *testing.T) {
	big := append(binary.BigEndian.AppendUint32(nil, 3<<20), make([]byte, 3<<20)...)
	small := []byte{0, 0, 0, 1, 7}
	r := newFrameReader(&pieces{left: [][]byte{big, small}}, maxFrame)
	payload, err := r.wait()
	require.NoError(t, err)
	require.Len(t, payload, 3<<20)
	payload, err = r.wait()
	require.NoError(t, err)
	require.Equal(t, []byte{7}, payload)
	require.Len(t, r.buf, readBuffer)
}

func FuzzFrames(f *testing.F) {
	f.Add(append(bare(kindHeartbeat), bare(kindProgress)...), 3)
	f.Add([]byte("\x00\x00\x00\x05ab"), 1)
	f.Add([]byte("\xff\xff\xff\xff"), 4)
	f.Fuzz(func(t *testing.T, stream []byte, size int) {
		size = max(1, min(size, len(stream)))
		p := &pieces{}
		for b := stream; len(b) > 0; b = b[min(size, len(b)):] {
			p.left = append(p.left, b[:min(size, len(b))])
		}
		r := newFrameReader(p, 1<<16)
		var seen []byte
		for {
			payload, err := r.wait()
			if err != nil {
				break
			}
			seen = append(binary.BigEndian.AppendUint32(seen, uint32(len(payload))), payload...)
		}
		require.True(t, bytes.HasPrefix(stream, seen))
	})
}
