//go:build unix

package quoll

import (
	"errors"
	"net"
	"syscall"
)

func (k *socket) init(nc net.Conn) {
	k.Conn = nc
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return
	}
	if raw, err := sc.SyscallConn(); err == nil {
		k.raw, k.onReadable, k.onWritable = raw, k.readable, k.writable
	}
}

// readable reads what has come. It reports false when that is nothing: the runtime waits and calls it
// again.
func (k *socket) readable(fd uintptr) bool {
	k.readErr = k.fill(func(b []byte) (n int, err error) {
		for err = syscall.EINTR; err == syscall.EINTR; {
			n, err = syscall.Read(int(fd), b)
		}
		return n, err
	})
	return !errors.Is(k.readErr, syscall.EAGAIN)
}

// writable writes until the system takes no more. It never has the runtime wait.
func (k *socket) writable(fd uintptr) bool {
	for len(k.out) > 0 {
		n, err := syscall.Write(int(fd), k.out)
		switch err {
		case nil:
			k.out = k.out[n:]
		case syscall.EINTR:
		case syscall.EAGAIN:
			return true
		default:
			k.writeErr = err
			return true
		}
	}
	return true
}
