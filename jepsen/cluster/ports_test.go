package cluster

import (
	"net"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// Blocks lie outside of the ephemeral range, whatever it is, and never overlap.
func TestPortBlocks(t *testing.T) {
	for _, r := range [][2]int{{32768, 60999}, {49152, 65535}, {1024, 20000}, {15000, 15001}, {10240, 10240}} {
		blocks := portBlocks(r[0], r[1])
		require.NotEmpty(t, blocks)
		for i, p := range blocks {
			require.GreaterOrEqual(t, p, firstPort)
			require.LessOrEqual(t, p+blockPorts-1, lastPort)
			require.True(t, p+blockPorts-1 < r[0] || p > r[1], "block at %d reaches into %v", p, r)
			require.True(t, i == 0 || p >= blocks[i-1]+blockPorts)
		}
	}
	require.NotEmpty(t, portBlocks(1024, 65535), "all ports are ephemeral: then any will do")
}

func TestParsePortRange(t *testing.T) {
	low, high := parsePortRange("15000\t64000\n")
	require.Equal(t, [2]int{15000, 64000}, [2]int{low, high})
	for _, text := range []string{"", "15000", "many few", "5 4"} {
		low, high = parsePortRange(text)
		require.Equal(t, [2]int{ephemeralFirst, ephemeralLast}, [2]int{low, high}, text)
	}
}

// A block is nobody else's until it is released, although none of its ports but the lock is bound.
func TestBlockIsHeld(t *testing.T) {
	b, err := takePorts(9)
	require.NoError(t, err)
	_, err = hold(b.first, 9)
	require.Error(t, err)
	firsts := map[int]bool{b.first: true}
	for range 20 {
		var other *portBlock
		other, err = takePorts(9)
		require.NoError(t, err)
		require.False(t, firsts[other.first])
		firsts[other.first] = true
		defer other.release()
	}
	b.release()
	again, err := hold(b.first, 9)
	require.NoError(t, err)
	again.release()
}

// A block with a port in use is not taken, and not kept locked.
func TestPortInUse(t *testing.T) {
	b, err := takePorts(9)
	require.NoError(t, err)
	l, err := net.Listen("tcp", net.JoinHostPort(loopback, strconv.Itoa(b.port(8))))
	require.NoError(t, err)
	b.release()
	_, err = hold(b.first, 9)
	require.Error(t, err)
	require.NoError(t, l.Close())
	again, err := hold(b.first, 9)
	require.NoError(t, err)
	again.release()
}

func TestTooManyPorts(t *testing.T) {
	_, err := takePorts(blockPorts)
	require.ErrorContains(t, err, "at most")
}
