//go:build unix

package transport

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDirectTakesWhatTheSocketTakes(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	near, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	far, err := l.Accept()
	require.NoError(t, err)
	defer far.Close()
	d := newDirect(near)
	frame := make([]byte, 3000)
	require.Zero(t, testing.AllocsPerRun(5, func() { d.write(frame) }))
	require.Equal(t, len(frame), d.write(frame))
	last := len(frame)
	for last == len(frame) { // nobody reads: sooner or later it takes less, and does not wait
		last = d.write(frame)
	}
	require.Less(t, d.write(frame), len(frame))
	require.NoError(t, near.Close())
	require.Zero(t, d.write(frame), "a closed socket")
	pipe, _ := net.Pipe()
	require.Zero(t, newDirect(pipe).write(frame), "no socket")
}
