package quoll

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/zab"
)

// A batch of a connection costs one allocation: the block with the bodies of its requests. They do not alias the
// read buffer any more, nor can one grow into the next.
func TestWorkAllocatesByBatch(t *testing.T) {
	s := &Server{spare: make(chan *work, 1), writes: make(chan *work, 1)}
	frames := bytes.Repeat([]byte("frame"), 20*batchFrames)
	batch := func() {
		w := s.newWork()
		for i := range batchFrames {
			w.add(Handled{Step: StepSubmit, Request: zab.Request{Body: frames[100*i : 100*i+100]}})
		}
		require.True(t, s.hand(w))
		w = <-s.writes
		if w.bytes != len(frames) || &w.handled[0].Request.Body[0] == &frames[0] || cap(w.handled[1].Request.Body) != 100 {
			t.Fatal("bodies are not the work's own")
		}
		s.worked(w)
	}
	batch()
	require.LessOrEqual(t, testing.AllocsPerRun(200, batch), 1.0)
	require.Equal(t, bytes.Repeat([]byte("frame"), 20*batchFrames), frames)
	require.Empty(t, s.newWork().handled)
}
