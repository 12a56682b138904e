// Package zab is the broadcast protocol: it makes a quorum of servers accept the same txns in the
// same order, and keeps that true over crashes, power cuts, broken links and wrong elections.
//
// # What it owns
//
// Peer is one server's side of Zab: discovery (phase 1: a new leader collects promises and takes
// an epoch that nobody has used), synchronization (phase 2: every learner gets exactly the
// leader's initial history) and broadcast (phase 3: proposals, acks, commits). Peer is a
// deterministic state machine. Every input is a method, every effect is a field of Actions, and
// the order of effects around the disk is in the type:
//
//	Send       may leave at once
//	Persist    records for the log, in order
//	AfterSync  may leave when all records handed out so far are durable
//	Deliver    committed and durable here: apply
//
// So "write, sync, then attest" (R1) cannot be got wrong by whoever performs the actions, and the
// order inside Persist is the only order there is between history and epochs (R2). History says
// which zxids a log holds, Ensemble what a quorum is; both are used by the log and the election.
//
// # What must hold
//
//   - The history is a chain: each txn directly follows the one before it (Zxid.Precedes), and two
//     histories that share a zxid are equal up to it.
//   - Nothing is attested before it is durable: promises (R3), the initial history and the current
//     epoch, in this order (R2), accepted txns (R4). The leader's own ack obeys the same rule.
//   - delivered <= committed <= logged and delivered <= durable (R16). Only committed txns reach
//     the tree, so the tree survives every change of role.
//   - Leaving a role drops everything of it (R6): links, queues, barriers, a half-installed
//     snapshot. What stays is what the disk holds and what is known to be committed.
//   - An unexpected message closes its link (R32).
//
// Safety rests on nothing outside: not on who was elected (R24), not on time (R31). Ticks decide
// only when to give up. Rules (R1 to R32), lemmas and traces of known bugs are cited by their
// names in docs/PROTOCOL.md; testdata/*.trace shows each of them run.
//
// # Turns
//
// The owner calls inputs with one Actions value, then Flush, then performs the Actions: that is
// a turn. What gathers in a turn leaves together: one proposal message shared by all voters, one
// cumulative ack, one commit. Durable should be reported before the messages that waited for it
// leave; a peer that is told in the other order is slower by a message, not wrong.
//
// # What it must never import
//
// Anything that knows time, chance, disk, network, locks or goroutines, and no other package of
// this module: the protocol is the bottom layer.
package zab
