//go:build !unix

package transport

import "net"

// direct takes nothing here: the writer's goroutine does it all.
type direct struct{}

func newDirect(net.Conn) *direct { return &direct{} }

func (*direct) write([]byte) int { return 0 }
