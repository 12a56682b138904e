package sim

import (
	"slices"

	"quoll/jepsen/check"
	"quoll/zab/zabtest"
)

// own are the checks that only a run of whole servers can make; those of Zab and of histories have lists of
// their own.
var own = []string{
	"REFINE",                                                                             // the paper's protocol has each step
	"I-TREE",                                                                             // trees of a zxid are equal, and what the model makes of the committed sequence
	"R10",                                                                                // half a snapshot is none
	"R20",                                                                                // a log ends with its disk only
	"I-BUDGET",                                                                           // queues and messages are bounded
	"L-JOIN", "L-OPS", "L-CONV", "L-LEADER", "L-SESS", "L-NOLIVELOCK", "L-FLOW", "L-MEM", // a healed core makes progress
	panicked, Hang,
}

// known has the name of each check.
var known = func() map[string]bool {
	all := map[string]bool{}
	for _, name := range Checks() {
		all[name] = true
	}
	return all
}()

// Checks returns the names of all checks of a run, as Plan.Checks and Violation.Check have them: those of
// each step, those of histories, those of the end.
func Checks() []string {
	all := zabtest.Names()
	for _, name := range slices.Concat(own, check.Names()) {
		if !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}
