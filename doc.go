// Package quoll is a coordination service that every ZooKeeper client can use unchanged: leader
// election, Zab, one write-ahead log with exact snapshots and a tree of znodes. Importing it is
// embedding a server: Start runs one, ReadConfig understands zoo.cfg.
//
// Peer is the whole server as one deterministic state machine without goroutine, clock, disk or
// network (peer.go, peer_*.go). Server is the thin shell around it that owns all of those and
// decides nothing. docs/ARCHITECTURE.md follows a write, a read, a watch and a crash through both.
//
// Invariants of the shell: one goroutine owns the Peer; one owns the log; what Actions orders is
// performed in that order and nothing else is assumed of it; every queue is bounded (loop.go);
// every goroutine is joined by Shutdown; a broken promise to disk ends the process.
package quoll
