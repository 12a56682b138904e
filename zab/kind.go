package zab

import "strconv"

var kindNames = [numKinds]string{
	FollowerInfo:    "FollowerInfo",
	LeaderInfo:      "LeaderInfo",
	AckEpoch:        "AckEpoch",
	Diff:            "Diff",
	Trunc:           "Trunc",
	Snap:            "Snap",
	Proposal:        "Proposal",
	Inform:          "Inform",
	NewLeader:       "NewLeader",
	Ack:             "Ack",
	Commit:          "Commit",
	UpToDate:        "UpToDate",
	Ping:            "Ping",
	PingReply:       "PingReply",
	Barrier:         "Barrier",
	BarrierReply:    "BarrierReply",
	Requests:        "Requests",
	Touch:           "Touch",
	Revalidate:      "Revalidate",
	RevalidateReply: "RevalidateReply",
}

// Valid reports whether k is one of the kinds above.
func (k Kind) Valid() bool { return k > 0 && k < numKinds }

// String returns the name of the kind, or its number when it is none.
func (k Kind) String() string {
	if !k.Valid() {
		return "Kind(" + strconv.Itoa(int(k)) + ")"
	}
	return kindNames[k]
}

var recordKindNames = [numRecordKinds]string{
	RecordTxn:           "Txn",
	RecordAcceptedEpoch: "AcceptedEpoch",
	RecordCurrentEpoch:  "CurrentEpoch",
	RecordTruncate:      "Truncate",
	RecordInstall:       "Install",
	RecordAbandon:       "Abandon",
	RecordSnapshot:      "Snapshot",
}

// Valid reports whether k is one of the kinds above.
func (k RecordKind) Valid() bool { return k > 0 && k < numRecordKinds }

// String returns the name of the kind, or its number when it is none.
func (k RecordKind) String() string {
	if !k.Valid() {
		return "RecordKind(" + strconv.Itoa(int(k)) + ")"
	}
	return recordKindNames[k]
}

// Role is what a server is at the moment.
type Role uint8

// The roles. Looking is the only one without a leader; every other ends in it (R6).
const (
	Looking Role = iota
	Following
	Observing
	Leading
)

const numRoles = int(Leading) + 1

var roleNames = [numRoles]string{"Looking", "Following", "Observing", "Leading"}

// String returns the name of the role.
func (r Role) String() string { return roleNames[r] }

// Phase is how far a role has come.
type Phase uint8

// The phases, in the order in which a role passes them.
const (
	Election        Phase = iota // Looking
	Discovery                    // promises are collected, the epoch is chosen
	Synchronization              // learners get the initial history of the epoch
	Broadcast                    // the epoch is established: clients are served
)

const numPhases = int(Broadcast) + 1

var phaseNames = [numPhases]string{"Election", "Discovery", "Synchronization", "Broadcast"}

// String returns the name of the phase.
func (p Phase) String() string { return phaseNames[p] }
