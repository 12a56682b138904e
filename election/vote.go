package election

import (
	"fmt"

	"quoll/zab"
)

// Vote proposes a leader and says why: what that server has on its disk. The zero Vote is that of
// a server which has none; it is worse than any other and is never counted.
type Vote struct {
	Leader zab.ServerID
	Zxid   zab.Zxid  // last durable zxid of Leader (R5)
	Epoch  zab.Epoch // current epoch of Leader; of the leadership, once that is established
}

// Better reports whether v is to be preferred to w: the later epoch, then the longer history, then
// the higher id, which only breaks the tie. It is a strict total order, so any two servers that
// know the same votes prefer the same one. The epoch comes before the zxid: a history of an older
// epoch may be longer by txns that nobody will ever commit.
func Better(v, w Vote) bool {
	switch {
	case v.Epoch != w.Epoch:
		return v.Epoch > w.Epoch
	case v.Zxid != w.Zxid:
		return v.Zxid > w.Zxid
	default:
		return v.Leader > w.Leader
	}
}

func best(v, w Vote) Vote {
	if Better(v, w) {
		return v
	}
	return w
}

// sameLeadership compares the votes of servers that have a leader. Their zxids differ by right:
// each names what it knew when it joined (ZOOKEEPER-1732, 1805, 1818).
func sameLeadership(v, w Vote) bool { return v.Leader == w.Leader && v.Epoch == w.Epoch }

// String prints v for traces and log lines.
func (v Vote) String() string {
	if v == (Vote{}) {
		return "nobody"
	}
	return fmt.Sprintf("%d (epoch %d, zxid %s)", v.Leader, v.Epoch, v.Zxid)
}

// State is what a server is doing, as far as an election cares.
type State uint8

// The states. The zero State is no state: nothing was heard.
const (
	_         State = iota
	Looking         // has no leader
	Following       // votes and has a leader
	Leading         // is the leader
	Observing       // has a leader, and its word counts for nothing
	numStates
)

// String returns the name that operators know.
func (s State) String() string {
	switch s {
	case Looking:
		return "LOOKING"
	case Following:
		return "FOLLOWING"
	case Leading:
		return "LEADING"
	case Observing:
		return "OBSERVING"
	default:
		return fmt.Sprintf("State(%d)", uint8(s))
	}
}

// Notification is what servers tell each other. It is lossy, and only the newest one of a sender
// means anything. Who sent it is known from the connection, not from what it says.
type Notification struct {
	State State
	Vote  Vote
	Round uint64 // that the vote was given in; the leader's own, once there is one
}

// silent reports whether the sender said that it has no vote.
func (n Notification) silent() bool {
	return n.State == Observing || n.State == Looking && n.Vote == (Vote{})
}

// String prints n for traces and log lines.
func (n Notification) String() string {
	return fmt.Sprintf("%s, votes %s in round %d", n.State, n.Vote, n.Round)
}
