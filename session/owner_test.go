package session_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/session"
)

const x, y uint64 = 0xa, 0xb // servers

// The session moves from x to y; x's client, still connected, must not write any more.
func TestMovedSession(t *testing.T) {
	o := session.NewOwners()
	o.Move(1, x)
	require.True(t, o.Admit(1, x))
	o.Move(1, y)
	require.False(t, o.Admit(1, x))
	require.True(t, o.Admit(1, y))
	o.Move(1, x) // and back
	require.True(t, o.Admit(1, x))
	require.False(t, o.Admit(1, y))
}

// A new leader knows no owner. The first server to write is adopted; if it was the one that the
// session had left, the next handshake settles it for good (ZOOKEEPER-710: not "moved" for ever).
func TestNewLeaderAdopts(t *testing.T) {
	o := session.NewOwners()
	_, ok := o.Owner(1)
	require.False(t, ok)
	require.True(t, o.Admit(1, x), "stale, but nobody knows")
	require.False(t, o.Admit(1, y), "its client reconnects")
	o.Move(1, y)
	require.True(t, o.Admit(1, y))
	require.False(t, o.Admit(1, x))
	owner, ok := o.Owner(1)
	require.True(t, ok)
	require.Equal(t, y, owner)
}

func TestForget(t *testing.T) {
	o := session.NewOwners()
	o.Move(1, x)
	o.Move(2, x)
	o.Forget(1)
	o.Forget(3)
	require.Equal(t, 1, o.Len())
	_, ok := o.Owner(1)
	require.False(t, ok)
}

func TestAdmitAllocatesNothing(t *testing.T) {
	o := session.NewOwners()
	o.Move(1, x)
	require.Zero(t, testing.AllocsPerRun(100, func() { o.Admit(1, x); o.Admit(1, y) }))
}
