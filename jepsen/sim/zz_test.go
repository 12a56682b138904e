package sim_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	"quoll/jepsen/check"
	"quoll/jepsen/sim"
)

func TestZZ(t *testing.T) {
	limits := check.DefaultLimits
	limits.Moves = false
	from, _ := strconv.Atoi(os.Getenv("FROM"))
	to, _ := strconv.Atoi(os.Getenv("TO"))
	counts := map[string]int{}
	for seed := uint64(from); seed <= uint64(to); seed++ {
		r := sim.Run(sim.Draw(seed, sim.Limits{}), nil)
		h := r.History
		h.Commits = nil
		for _, v := range check.AllWithin(h, limits) {
			if v.Undecided {
				counts["undecided"]++
				continue
			}
			counts[v.Check]++
			if counts[v.Check] < 4 {
				fmt.Printf("seed %d: %s at %d: %s\n", seed, v.Check, v.At.At, v.Text)
			}
		}
	}
	fmt.Println(counts)
}
