package sim

import (
	"slices"

	"quoll/zab"
)

// RequiredSeeds is how many seeds with all faults a batch must have before it must have seen all that is
// required.
const RequiredSeeds = 1500

// Required is what such a batch must have seen, else it proves less than it seems: every way of
// synchronization, every cause of leaving a role, what recoveries find, and every kind of fault. What
// is here comes up ten times at least in so many seeds.
var Required = slices.Concat(requiredOfAny, requiredOfTwo, requiredOfThree)

// requiredOfAny comes up with a single voter, too.
var requiredOfAny = []string{
	"left: " + string(zab.NoQuorumInTime), "left: " + string(zab.CounterUsedUp),
	"recovery: empty", "recovery: log alone", "recovery: snapshot alone", "recovery: snapshot and log",
	"recovery: torn tail", "recovery: promised and not adopted",
	"crash during recovery", "recovery rehearsed",
	"snapshot failed", "power loss soon after a start", "established under the oracle",
	"session goes on at another connection", "client learns that its session is over", "watches set again",
	"log waits for room", "process ends after a failed fsync", "crash at sync", "crash at sync dir", "crash at write",
	"clock drifts", "expired under a later leader", "connection waits for room", "request too large for a frame",
	"fault: power loss", "fault: kill", "fault: crash in", "fault: down", "fault: all down", "fault: rolling restart",
	"fault: partition", "fault: one-way partition", "fault: isolate", "fault: ring", "fault: bridge", "fault: swizzle",
	"fault: deaf", "fault: links blocked", "fault: slow link", "fault: break links", "fault: slow disk", "fault: hung disk",
	"fault: full disk", "fault: fsync fails", "fault: bit rot", "fault: wipe", "fault: pause", "fault: clock jump",
	"fault: starve", "fault: stranger", "fault: snapshot", "fault: dead branch", "fault: client cut", "fault: client twin",
	"fault: client silent", "fault: client flood", "fault: old disk", "fault: damage",
}

// requiredOfTwo takes another voter, who need not be a quorum without the first.
var requiredOfTwo = []string{
	"sync: DIFF", "promise that does not count",
	"left: " + string(zab.QuorumLost), "left: " + string(zab.DiskHangs), "left: " + string(zab.LeaderGone),
	"left: " + string(zab.LeaderSilent), "left: " + string(zab.Asked),
	"half-open link", "silent death", "oracle decides", "notification lost", "notification repeated",
}

// requiredOfThree takes a quorum that does without a voter.
var requiredOfThree = []string{
	"sync: DIFF, then from the log", "sync: TRUNC", "sync: SNAP", "left: " + string(zab.LockedOut),
	"recovery: silent", "recovery: disk full", "recovery: newest snapshot missing", "recovery: unfinished installation",
	"recovery: damaged log put aside", "recovery: damaged snapshot put aside", "crash at rename",
	"snapshot installed", "half a snapshot received", "disk wiped", "old disk restored", "sector in the wrong place",
	"damage to the end of a log is noticed", "late joiner", "follower is ahead", "pace measured with a slow voter",
	"weights count",
}

// Required returns what a batch of plans within the limits must have seen. A single server has nobody to
// synchronize, and only some faults or one workload leave much out: nothing is required of those.
func (l *Limits) Required() []string {
	if l.Faults != nil || l.Workload != "" || l.Checks != nil || l.FaultUs != 0 {
		return nil
	}
	switch l.Voters[1] { // at most
	case 1:
		return requiredOfAny
	case 2:
		return slices.Concat(requiredOfAny, requiredOfTwo)
	}
	return Required
}
