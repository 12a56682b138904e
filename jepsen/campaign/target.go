package campaign

import (
	"context"
	"strings"
	"time"

	"quoll/jepsen/cluster"
	"quoll/transport/client"
)

// Target is what is tested: servers that are started here, from their zoo.cfg, or an ensemble that runs
// already.
type Target struct {
	Name    string
	Command func(zooCfg string) []string
	Extra   []string // lines for zoo.cfg

	Addresses   []string // of one that runs already; then the rest is its own business
	Break, Heal string   // commands that break something of it and make it whole
}

// Quoll is the target of a binary.
func Quoll(binary string) Target {
	return Target{Name: "quoll", Command: cluster.Quoll(binary)}
}

// ZooKeeper is the target of Apache ZooKeeper, whose jars are in lib.
func ZooKeeper(lib string) Target {
	return Target{Name: "zookeeper", Command: cluster.ZooKeeper(lib)}
}

// Running is the target of servers that run already.
func Running(addresses []string) Target {
	return Target{Name: strings.Join(addresses, ","), Addresses: addresses}
}

// version asks a server who it is.
func version(ctx context.Context, address string) string {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	text, err := client.FourLetterWord(ctx, address, "srvr")
	if err != nil {
		return "unknown"
	}
	line, _, _ := strings.Cut(text, "\n")
	return strings.TrimPrefix(line, "Zookeeper version: ")
}
