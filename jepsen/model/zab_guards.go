package model

import "fmt"

// guard is a condition of a step. Tests waive one at a time and look for what breaks then.
type guard uint8

const (
	promiseHigher guard = iota
	promiseNext
	promiseWhole

	leadVoter
	leadPromised
	leadNew
	leadOnce
	leadQuorum
	leadRecent
	leadHistory

	syncLed
	syncOpen
	syncTxn
	truncateToInitial
	truncateLeast
	installCommitted
	installOnce
	installAside

	adoptPromised
	adoptNew
	adoptComplete
	adoptExact
	adoptKeeps

	proposeLeader
	proposeEstablished
	proposeNext
	acceptAdopted

	commitInitialQuorum
	commitQuorum
	commitOwn
	commitCanon
	snapshotCommitted

	deliverCommitted
	deliverAdopted
	deliverNext
	deliverDurable
	installLater

	logged
	chained
	numGuards
)

// guards says each of them in words.
var guards = [numGuards]string{
	promiseHigher: "an epoch is promised that is higher than all that were promised before (R3)",
	promiseNext:   "an epoch follows one that somebody has promised",
	promiseWhole:  "a snapshot that is aside is given up before another epoch is promised",

	leadVoter:    "who leads is electable and remembers what it promised",
	leadPromised: "who leads has promised the epoch to itself, and none since (R3)",
	leadNew:      "the epoch is later than those the leader has adopted",
	leadOnce:     "nobody else ever led the epoch (L1)",
	leadQuorum:   "a quorum of voters has promised the epoch",
	leadRecent: "none of a quorum that promised was more recent than the leader, " +
		"by current epoch and then last zxid (R5)",
	leadHistory: "I[e] is the history that the leader holds durably (R11)",

	syncLed:           "synchronization is with the leader of the epoch that was promised last",
	syncOpen:          "synchronization is over once the epoch is adopted",
	syncTxn:           "synchronization brings nothing but txns of I[e] (R13)",
	truncateToInitial: "what a truncation leaves is part of I[e] (R8, R9)",
	truncateLeast:     "a truncation removes nothing of I[e] (L5)",
	installCommitted:  "a snapshot is of committed state (R17)",
	installOnce:       "one snapshot is installed at a time",
	installAside:      "a snapshot becomes the history only together with the current epoch (R10)",

	adoptPromised: "the epoch that is adopted was promised, and none since",
	adoptNew:      "an epoch is adopted once, but for a snapshot",
	adoptComplete: "I[e] is in the history before e becomes the current epoch (R2)",
	adoptExact:    "nothing is behind I[e] when e becomes the current epoch, but for a snapshot that covers it",
	adoptKeeps:    "a snapshot within the epoch covers what the server has accepted in it (R10)",

	proposeLeader:      "the leader of the epoch proposes, and has promised no other since",
	proposeEstablished: "the epoch is established: a quorum has adopted it, its leader too (L2)",
	proposeNext:        "a proposal follows the last one of its epoch, the first one I[e]",
	acceptAdopted:      "a proposal is accepted only under its own epoch as the current one (R13)",

	commitInitialQuorum: "I[e] is committed when a quorum has adopted e",
	commitQuorum:        "a proposal is committed when a quorum has accepted it (R14)",
	commitOwn:           "a copy counts when it was accepted under its own epoch (example X1)",
	commitCanon:         "what a server takes for committed is committed",
	snapshotCommitted:   "a server's own snapshot is of committed state that its history holds (R17)",

	deliverCommitted: "what is delivered is committed",
	deliverAdopted:   "what is delivered was committed by the epoch that the server has adopted, or before (L3)",
	deliverNext:      "deliveries are in the order of the history, without a gap",
	deliverDurable:   "what is delivered is durable on the server that delivers it (R16)",
	installLater:     "a snapshot does not take a tree back",

	logged:  "what is in a log, or delivered, is what was proposed (integrity)",
	chained: "a txn follows in every history what it was proposed to follow (L4)",
}

// String returns the guard in words.
func (g guard) String() string { return guards[g] }

// Refusal is a step that Zab does not have: what a server did is no refinement of the protocol.
type Refusal struct {
	Step  string // in the terms of the model, with its arguments
	Guard string // the condition that does not hold, as it ought to
	State string // of the server
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("%s must not happen, for %s; %s", r.Step, r.Guard, r.State)
}

// fails reports whether a guard does not hold and stands.
func (m *Zab) fails(g guard, holds bool) bool { return !holds && !m.waived[g] }

// refuse returns the error for a step of s whose guard does not hold.
func (m *Zab) refuse(s *server, g guard, format string, args ...any) error {
	aside := ""
	if s.aside != nil {
		aside = fmt.Sprintf(", aside up to %v", s.aside.last().Zxid)
	}
	return &Refusal{
		Step:  fmt.Sprintf("server %d: ", s.id) + fmt.Sprintf(format, args...),
		Guard: g.String(),
		State: fmt.Sprintf("accepted epoch %d, current epoch %d, history up to %v%s, delivered %v, canon up to %v",
			s.accepted, s.current, s.history.last().Zxid, aside, s.delivered.Zxid, m.canon.last().Zxid),
	}
}
