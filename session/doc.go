// Package session holds what a server knows about its clients and does not replicate: the watches
// of its connections, the order of each connection's answers and, on the leader, the deadlines
// and the owners of sessions. The sessions themselves are part of the tree, because their
// creation and end are txns (R12): nothing here may ever reach the digest of a tree.
//
//   - Watches: who is to be told of which change, one-shot, persistent or recursive.
//   - Pipeline: a connection's requests that cannot be answered yet, in order (R29).
//   - Expiry: when a session that is not heard of is over (R25). Leader only.
//   - Owners: which server may write for a session (R27). Leader only, dies with the role (R6).
//
// Invariants: the same calls in the same order have the same effects and outputs, bit by bit, so
// no map is iterated where its order could show. A standard watch is reported at most once. A
// session never expires before its timeout. The answers of a connection leave in the order of its
// requests.
//
// The package is part of the pure core: no goroutine, lock, clock, randomness, file, socket or
// logger, no third-party import. Time is a number of ticks that the caller passes. Nothing here
// is safe for concurrent use.
package session
