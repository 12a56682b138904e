package zab

import "fmt"

// SyncMode is how a learner's history is brought into line with the leader's.
type SyncMode uint8

// The modes.
const (
	_         SyncMode = iota
	ModeDiff           // only what it lacks
	ModeTrunc          // first cut off what is on a dead branch, then what it lacks
	ModeSnap           // a snapshot, then what follows it
)

// String returns ZooKeeper's name of the mode.
func (m SyncMode) String() string {
	switch m {
	case ModeDiff:
		return "DIFF"
	case ModeTrunc:
		return "TRUNC"
	case ModeSnap:
		return "SNAP"
	default:
		return fmt.Sprintf("SyncMode(%d)", uint8(m))
	}
}

func (m SyncMode) kind() Kind {
	return [...]Kind{ModeDiff: Diff, ModeTrunc: Trunc, ModeSnap: Snap}[m]
}

// verdict is the answer to a question of the sync table.
type verdict uint8

const (
	either verdict = iota // the row does not ask
	yes
	no
)

func (v verdict) accepts(fact bool) bool {
	return v == either || (v == yes) == fact
}

// syncFacts is what decides. All of it is lookup in the leader's own history: the claim of the
// learner is compared with nothing else (R8).
type syncFacts struct {
	member bool // the learner's last zxid is in the leader's history
	floor  bool // some zxid of the history is smaller: the learner can be cut back to the largest
	memory bool // where the stream starts, or what follows it, is in the window
}

// syncRow is one row of the table.
type syncRow struct {
	label                 string
	member, floor, memory verdict
	mode                  SyncMode
}

// syncTable decides how a learner is synced. Each combination of facts matches exactly one row.
//
// A last zxid that lies between members without being one is a dead branch and never "in range"
// (ZOOKEEPER-1154, 2832). A learner below the horizon gets a snapshot, whatever it claims: there
// is nothing left to compare it with (ZOOKEEPER-2418, 4352).
var syncTable = [...]syncRow{
	{"diff from memory", yes, either, yes, ModeDiff},
	{"diff from log", yes, either, no, ModeDiff},
	{"trunc, diff from memory", no, yes, yes, ModeTrunc},
	{"trunc, diff from log", no, yes, no, ModeTrunc},
	{"snap", no, no, either, ModeSnap},
}

func (r *syncRow) matches(f syncFacts) bool {
	return r.member.accepts(f.member) && r.floor.accepts(f.floor) && r.memory.accepts(f.memory)
}

// syncPlan is a decision: the mode, and the zxid after which the stream starts.
type syncPlan struct {
	label string
	mode  SyncMode
	start Zxid
}

// planSync decides for a learner whose last zxid is last. Snapshot is the newest complete
// snapshot file of the leader: committed state (ZOOKEEPER-1549), at or above the horizon.
func planSync(h *History, w *window, snapshot, last Zxid) syncPlan {
	facts := syncFacts{member: h.Contains(last)}
	start := last
	if !facts.member {
		start, facts.floor = h.Floor(last)
	}
	facts.memory = start >= w.base
	for i := range syncTable {
		row := &syncTable[i]
		if !row.matches(facts) {
			continue
		}
		if row.mode == ModeSnap {
			start = snapshot
		}
		return syncPlan{label: row.label, mode: row.mode, start: start}
	}
	panic(fmt.Sprintf("zab: no row of the sync table for %+v", facts))
}
