package sim_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	"quoll/jepsen/check"
	"quoll/jepsen/sim"
)

func TestZY(t *testing.T) {
	seed, _ := strconv.Atoi(os.Getenv("FROM"))
	path := os.Getenv("P")
	h := sim.Run(sim.Draw(uint64(seed), sim.Limits{}), nil).History
	for i := range h.Ops {
		o := &h.Ops[i]
		if o.Op.Path == path || o.Op.Path+"0000000004" == path {
			fmt.Println(i, o.Conn, check.Describe(h, i), o.Op.Version, "czxid", o.Result.Stat.Czxid, o.Result.Stat.Mzxid, o.Result.Path, "owner", fmt.Sprintf("%x", o.Result.Stat.EphemeralOwner))
		}
	}
	for _, c := range h.Commits {
		if c.Op.Path == path || c.Op.Path+"0000000004" == path || c.Op.Kind == -11 {
			fmt.Printf("%v %x %v %v %v %v\n", c.Zxid, c.Session, c.Xid, c.Op.Kind, c.Op.Path, c.Code)
		}
	}
}
