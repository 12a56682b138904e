//go:build unix

package transport

import (
	"net"
	"syscall"
)

// direct writes to a socket without waiting for it. Whoever hands over a frame writes it himself
// while nothing else is on its way: a goroutine woken for that would wait its turn behind an fsync
// that the same turn of the loop began, and with it a follower would begin its own only when the
// leader's was done.
type direct struct {
	raw  syscall.RawConn // nil: no socket, which takes nothing
	once func(fd uintptr)
	p    []byte
	n    int
}

func newDirect(conn net.Conn) *direct {
	d := &direct{}
	if c, ok := conn.(syscall.Conn); ok {
		if raw, err := c.SyscallConn(); err == nil {
			d.raw = raw
		}
	}
	d.once = func(fd uintptr) { d.n, _ = syscall.Write(int(fd), d.p) }
	return d
}

// write writes what the socket takes at once and returns how much that was. An error is one of the next
// write, too, and told by that. Control and not Write, which would refuse once the deadline of an earlier
// write is over. Nobody else may write meanwhile.
func (d *direct) write(p []byte) int {
	if d.raw == nil {
		return 0
	}
	d.p, d.n = p, 0
	err := d.raw.Control(d.once)
	d.p = nil
	if err != nil {
		return 0
	}
	return max(0, d.n)
}
