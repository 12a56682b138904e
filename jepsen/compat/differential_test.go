//go:build zookeeper

package compat

import (
	"context"
	"flag"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quoll/jepsen/cluster"
	"quoll/zab"
)

var (
	seed      = flag.Uint64("seed", 1, "first seed")
	sequences = flag.Int("sequences", 100, "sequences of random requests, each with the next seed")
	steps     = flag.Int("steps", 60, "steps of a sequence: a burst of requests, a connect, a drop")
)

// maxDifferences ends the test: what is broken shows in a few.
const maxDifferences = 5

// pair is a ZooKeeper and a Quoll that have been told the same since they started.
type pair struct {
	clusters [2]*cluster.Cluster
	servers  [2]*server
	zxids    *zxidMap
}

// lines are what both zoo.cfgs say besides the directories and ports.
var lines = []string{
	"extendedTypesEnabled=true",
	"DigestAuthenticationProvider.superDigest=" + superDigest,
	"minSessionTimeout=600000", // no session may expire on one side first
	"maxSessionTimeout=900000",
	"forceSync=no", // nothing here loses power
}

// noReaper keeps containers that are not in use: the two would not delete them at the same time.
const noReaper = "-Dznode.container.checkIntervalMs=86400000"

func startPair(t *testing.T) *pair {
	t.Helper()
	lib := os.Getenv("ZOOKEEPER_LIB")
	require.NotEmpty(t, lib, "set ZOOKEEPER_LIB to the directory of ZooKeeper's jars; jepsen/compat/run differential does")
	p := &pair{zxids: &zxidMap{}}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for i, s := range []struct {
		name    string
		command func(zooCfg string) []string
		flags   int // where they go
	}{{"ZooKeeper", cluster.ZooKeeper(lib), 1}, {"Quoll", cluster.Quoll(quollBinary(t)), 2}} {
		command := func(zooCfg string) []string { return slices.Insert(s.command(zooCfg), s.flags, noReaper) }
		c, err := cluster.Start(cluster.Options{Dir: t.TempDir(), Size: 1, Command: command, Extra: lines})
		t.Cleanup(c.Close)
		require.NoError(t, err)
		p.clusters[i] = c
		p.servers[i] = &server{
			name: s.name, addr: c.Servers()[0], side: i, zxids: p.zxids,
			conns: map[int]*conn{}, numbers: map[zab.SessionID]int{},
		}
	}
	for _, c := range p.clusters {
		require.NoError(t, c.AwaitServing(ctx))
		require.True(t, c.Running(0), c.Log(0))
	}
	return p
}

func (p *pair) close() {
	for _, c := range p.clusters {
		c.Close()
	}
}

// quollBinary returns the program under test.
func quollBinary(t *testing.T) string {
	t.Helper()
	if binary := os.Getenv("QUOLL"); binary != "" {
		return binary
	}
	binary := filepath.Join(t.TempDir(), "quoll")
	out, err := exec.Command("go", "build", "-pgo=off", "-o", binary, "quoll/cmd/quoll").CombinedOutput()
	require.NoError(t, err, string(out))
	return binary
}

// TestDifferential runs random sequences against both servers. A difference is printed with its
// seed, which -seed and -sequences 1 repeat, and both servers start anew.
func TestDifferential(t *testing.T) {
	p := startPair(t)
	requests, told, differences := 0, 0, 0
	for i := range *sequences {
		n := *seed + uint64(i)
		*p.zxids = zxidMap{} // so that a seed draws the same whatever came before it
		s := &sequence{
			draw:    draw{Rand: rand.New(rand.NewPCG(n, 0)), zxids: p.zxids},
			servers: p.servers, held: map[int]int{}, first: len(p.servers[0].sessions),
		}
		s.run(*steps)
		requests, told = requests+s.requests, told+s.shown
		if s.fault == "" {
			continue
		}
		t.Errorf("seed %d: %s", n, s.fault)
		if differences++; differences == maxDifferences {
			break
		}
		p.close()
		p = startPair(t)
	}
	t.Logf("differential: %d requests, %d replies and events compared, %d differ", requests, told, differences)
}
