//go:build !unix

package quoll

import "net"

func (k *socket) init(nc net.Conn) { k.Conn = nc }
