package cluster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"syscall"
)

// Ports of servers must not come from the kernel's ephemeral range, as those that a Listen on port
// 0 gets do: between two lives of a server, any outgoing connection on the machine may be given
// its port, and then it cannot start. So they come from below or above that range, in blocks on a
// fixed grid, which makes two blocks the same or disjoint. The first port of a block is its lock:
// an ensemble listens on it from before it looks at the others until it is closed, so that
// ensembles of other processes, too, stay away from ports whose servers are down.
const (
	blockPorts = 64 // one is the lock

	// Below are the ports of services that may be started later.
	firstPort = 10240
	lastPort  = 65535

	// What Linux has by default; no other system begins lower.
	ephemeralFirst = 32768
	ephemeralLast  = 60999
)

// portBlock is a block of the grid that is held by its lock.
type portBlock struct {
	lock  net.Listener
	first int
}

// port returns the i-th port of the block, from 0.
func (b *portBlock) port(i int) int { return b.first + 1 + i }

// release lets others have the block.
func (b *portBlock) release() { _ = b.lock.Close() }

// takePorts finds a block that nobody holds and whose first n ports are free. It begins at a random
// place, so that what a test has just used is not what the next one gets.
func takePorts(n int) (*portBlock, error) {
	if n >= blockPorts {
		return nil, fmt.Errorf("cluster: %d ports wanted, an ensemble has at most %d", n, blockPorts-1)
	}
	low, high := ephemeralPorts()
	blocks := portBlocks(low, high)
	start := rand.IntN(len(blocks))
	for i := range blocks {
		b, err := hold(blocks[(start+i)%len(blocks)], n)
		if err == nil {
			return b, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) && !errors.Is(err, syscall.EACCES) {
			return nil, fmt.Errorf("cluster: look for free ports: %w", err)
		}
	}
	return nil, fmt.Errorf("cluster: no block of %d free ports from %d to %d outside of the ephemeral range %d to %d",
		n, firstPort, lastPort, low, high)
}

// hold locks the block at first and binds each of n ports once. What others have only in use as the
// near end of a connection shows, too.
func hold(first, n int) (*portBlock, error) {
	lock, err := listen(first)
	if err != nil {
		return nil, err
	}
	b := &portBlock{lock: lock, first: first}
	for i := range n {
		l, err := listen(b.port(i))
		if err != nil {
			b.release()
			return nil, err
		}
		_ = l.Close()
	}
	return b, nil
}

func listen(port int) (net.Listener, error) {
	return net.Listen("tcp", net.JoinHostPort(loopback, strconv.Itoa(port)))
}

// portBlocks returns the first ports of the blocks outside of the ephemeral range. A machine that
// gives away nearly everything leaves none, and then all are as good as any.
func portBlocks(low, high int) (blocks []int) {
	for p := firstPort; p+blockPorts-1 <= lastPort; p += blockPorts {
		if p+blockPorts <= low || p > high {
			blocks = append(blocks, p)
		}
	}
	if len(blocks) == 0 {
		return portBlocks(lastPort+1, lastPort+1)
	}
	return blocks
}

// ephemeralPorts returns the range from which the kernel takes the ports of outgoing connections.
func ephemeralPorts() (low, high int) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range") // which Linux alone has
	if err != nil {
		return ephemeralFirst, lastPort
	}
	return parsePortRange(string(text))
}

// parsePortRange reads two numbers. When they are none, the default of Linux is the best guess.
func parsePortRange(text string) (low, high int) {
	if _, err := fmt.Sscan(text, &low, &high); err != nil || low > high {
		return ephemeralFirst, ephemeralLast
	}
	return low, high
}

// TakePorts returns n free ports of the loopback interface, which no other ensemble on this
// machine takes until release is called. It is for servers that Start does not know how to run.
func TakePorts(n int) (ports []int, release func(), err error) {
	b, err := takePorts(n)
	if err != nil {
		return nil, nil, err
	}
	for i := range n {
		ports = append(ports, b.port(i))
	}
	return ports, b.release, nil
}
