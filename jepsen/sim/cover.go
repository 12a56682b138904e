package sim

import (
	"maps"
	"slices"

	"quoll/log"
	"quoll/zab"
)

// RequiredSeeds is how many seeds with all faults a batch must have before it must have seen all of
// Required.
const RequiredSeeds = 1500

// Required is what such a batch must have seen, else it proves less than it seems: every way of
// synchronization, every cause of leaving a role, what recoveries find, and every kind of fault.
var Required = []string{
	"sync: DIFF", "sync: DIFF, then from the log", "sync: TRUNC", "sync: SNAP", "promise that does not count",
	"left: " + string(zab.QuorumLost), "left: " + string(zab.NoQuorumInTime), "left: " + string(zab.DiskHangs),
	"left: " + string(zab.CounterUsedUp), "left: " + string(zab.LeaderGone), "left: " + string(zab.LeaderSilent),
	"left: " + string(zab.LockedOut), "left: " + string(zab.Asked),
	"recovery: silent", "recovery: empty", "recovery: log alone", "recovery: snapshot alone", "recovery: snapshot and log",
	"recovery: torn tail", "recovery: promised and not adopted", "recovery: damaged log put aside",
	"recovery: damaged snapshot put aside", "crash during recovery", "recovery rehearsed",
	"snapshot installed", "half a snapshot received", "snapshot failed", "power loss soon after a start", "half-open link", "silent death", "oracle decides", "established under the oracle",
	"session goes on at another connection", "client learns that its session is over", "watches set again", "disk wiped",
	"log waits for room", "process ends after a failed fsync", "crash at sync", "crash at rename", "crash at sync dir", "crash at write",
	"fault: power loss", "fault: kill", "fault: crash in", "fault: down", "fault: all down", "fault: rolling restart",
	"fault: partition", "fault: one-way partition", "fault: isolate", "fault: ring", "fault: bridge", "fault: swizzle",
	"fault: deaf", "fault: links blocked", "fault: slow link", "fault: break links", "fault: slow disk", "fault: hung disk",
	"fault: full disk", "fault: fsync fails", "fault: bit rot", "fault: wipe", "fault: pause", "fault: clock jump",
	"fault: starve", "fault: stranger", "fault: snapshot", "fault: dead branch", "fault: client cut", "fault: client twin",
	"fault: client silent", "fault: client flood", "fault: old disk", "fault: damage",
}

// Coverage counts what happened, by name. A batch of runs that never saw one of Required is worth
// less than it seems, and fails.
type Coverage map[string]int

// Add counts one.
func (c Coverage) Add(name string) { c[name]++ }

// Merge adds another run's.
func (c Coverage) Merge(o Coverage) {
	for name, n := range o {
		c[name] += n
	}
}

// Missing returns which of the required are not there.
func (c Coverage) Missing(required []string) []string {
	return slices.DeleteFunc(slices.Clone(required), func(name string) bool { return c[name] > 0 })
}

// Names returns what was seen, sorted.
func (c Coverage) Names() []string { return slices.Sorted(maps.Keys(c)) }

// coverSend counts ways of synchronization, with the distance in epochs.
func (n *network) coverSend(env zab.Envelope) {
	var mode string
	switch env.Msg.Kind {
	case zab.Diff:
		mode = "sync: DIFF"
	case zab.Trunc:
		mode = "sync: TRUNC"
	case zab.Snap:
		mode = "sync: SNAP"
	case zab.AckEpoch:
		if env.Msg.NoCount {
			n.w.cover.Add("promise that does not count")
		}
		return
	default:
		return
	}
	if env.History.To != 0 {
		mode += ", then from the log"
	}
	n.w.cover.Add(mode)
}

// coverRecovery counts what a recovery found.
func (s *server) coverRecovery(r *log.Recovery) {
	c := s.w.cover
	switch st := &r.State; {
	case st.Silent:
		c.Add("recovery: silent")
	case st.History.Last() == 0:
		c.Add("recovery: empty")
	case st.Snapshot != 0 && len(st.Tail) == 0:
		c.Add("recovery: snapshot alone")
	case st.Snapshot != 0:
		c.Add("recovery: snapshot and log")
	default:
		c.Add("recovery: log alone")
	}
	if st := &r.State; st.History.Last().Epoch() > st.CurrentEpoch {
		c.Add("recovery: txns of a later epoch than the current one")
	}
	if r.State.CurrentEpoch < r.State.AcceptedEpoch {
		c.Add("recovery: promised and not adopted")
	}
	if r.Torn != nil {
		c.Add("recovery: torn tail")
	}
	if r.Abandoned != 0 {
		c.Add("recovery: unfinished installation")
	}
	if r.Missing != 0 {
		c.Add("recovery: newest snapshot missing")
	}
	if len(r.Quarantined) > 0 {
		c.Add("recovery: damaged snapshot put aside")
	}
}
