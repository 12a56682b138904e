package campaign

import (
	"math/rand/v2"
	"time"

	"quoll/jepsen/workload"
)

// Sizes of matrices.
const (
	Quick = "quick" // five workloads under crashes, pauses and partitions, for CI
	Full  = "full"  // every workload under every fault, for as long as there is time
)

// quick are the runs of the short matrix.
var quick = []struct {
	workload string
	nemesis  []string
}{
	{"register", []string{"kill-leader", "halves"}},
	{"append", []string{"isolate-leader", "kill"}},
	{"bank", []string{"pause-leader", "one-way"}},
	{"lock", []string{"kill-all", "halves"}},
	{"watch", []string{"kill-leader", "pause", "bridge"}},
}

const (
	quickRun = 25 * time.Second
	fullRun  = 60 * time.Second
)

// QuickLength is how long clients work in all runs of the short matrix together.
func QuickLength() time.Duration { return time.Duration(len(quick)) * quickRun }

// Matrix returns the runs of a matrix, base being what they have in common. A full one goes on until the
// time is over: every workload in turn, one round under all faults and the next under a few that are drawn,
// two rounds with base's number of servers and two with five.
func Matrix(size string, base Options, seed uint64, total time.Duration) (all []Options) {
	if size == Quick {
		for i, q := range quick {
			o := base
			o.Workload, o.Nemesis, o.Seed, o.For = q.workload, q.nemesis, seed+uint64(i), quickRun
			all = append(all, o)
		}
		return all
	}
	rnd := rand.New(rand.NewPCG(seed, 0xf011))
	for n := 0; time.Duration(n)*fullRun < total; n++ {
		names := workload.Names()
		o := base
		o.Workload, o.Seed, o.For = names[n%len(names)], seed+uint64(n), fullRun
		round := n / len(names)
		o.Nemesis = []string{All}
		if round%2 == 1 {
			o.Nemesis = []string{Few}
		}
		if round%4 >= 2 {
			o.Servers = 5
		}
		o.Rate = base.Rate * (0.5 + rnd.Float64())
		all = append(all, o)
	}
	return all
}
