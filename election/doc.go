// Package election finds a leader: fast leader election, as a pure state machine.
//
// An Election owns what a server believes about the vote: its own vote, its round, the newest word
// of every other server, and a decision that holds until Start is called again. Notifications, link
// events and ticks go in; notifications and a decision come out. Nothing else is kept and nothing is
// promised: the package is about liveness only. Zab is safe under any decision, however wrong (R24),
// because discovery compares histories and promises epochs by itself; what is lost by a wrong
// decision is time.
//
// A server that looks for a leader votes for itself first and gives its vote up for any better one
// (see Better) until a quorum votes the same in the same round. Rounds keep elections apart: a vote
// counts only in its round, a server that hears of a later round moves to it and votes anew, and a
// server that is behind is told so. A server that looks while others have a leader joins them.
//
// # Invariants
//
//   - A vote replaces the sender's last one. Votes are held per server, never counted per message,
//     so what is repeated, late or resent on a new connection changes no count.
//   - Nothing outlives its connection: what a server said is forgotten when its link goes down and
//     when a new election starts.
//   - Nobody follows on hearsay. A server decides for another only on that one's own word, given in
//     this election on a live link: its vote for itself in this round, or its claim to lead.
//     Followers of a dead leader speak for it until they time out (ZOOKEEPER-131, 569, 3769).
//   - Only servers that may be elected and have something to vote with are counted. An observer, a
//     voter that weighs nothing and a silent server (its disk was found empty) send Vote{}, and join
//     a leader when a quorum of others has one.
//   - The round of a server never goes back, except with its process.
//
// # Differences from ZooKeeper
//
// The waits are in ticks, short, and mostly skipped: a quorum decides at once when every connected
// voter agrees with it. A server answers a worse vote of its own round, where ZooKeeper leaves it to
// the next re-send. A decision is announced, so that those who still look need not ask. A server
// that decided for somebody who can no longer win is told (Out.Deserted), where ZooKeeper waits for
// initLimit (ZOOKEEPER-3109).
//
// Every rule has a script with its transcript in testdata/*.trace; first_boot, leader_death and
// rejoin are the ones to begin with.
//
// The package imports zab and nothing else of this module; no clock, randomness, goroutine or lock.
package election
