// Package transport moves messages between the servers of an ensemble: Links carry Zab between a
// learner and its leader, a Mesh carries the notifications of leader election. It is shell: it owns
// sockets, goroutines and deadlines and decides nothing about the protocol.
//
// What it owns: the listeners of the peer and election ports, every connection between servers,
// the bytes on them (drawn in docs/FORMATS.md, "Peer frames"), and the queues in front of them.
//
// Invariants:
//
//   - A connection is one link. Its number is never used again, so what an old connection still
//     delivers can be told from what the new one says (R6, zab.md N4).
//   - On a link messages arrive in the order of Send, whole, at most once, without a gap: what is
//     lost is lost together with everything after it, and the link with it (zab.md 1.1, N2). A
//     stream (snapshot or history) sits in that order like any message (R15).
//   - Per connection one goroutine reads and one writes. Every queue is bounded in bytes; a full
//     one closes the connection, a slow handler pushes back on the socket. Send never blocks.
//   - Nothing from outside is believed before the hello: magic, version, cluster, membership and
//     both ids must agree. The sender of a message is the server of the hello, never a field.
//   - Nothing from outside panics, and memory grows with the bytes that came, not with lengths.
//   - No wait is for ever: dials, handshakes and writes have deadlines, election connections have
//     heartbeats, links have Zab's own pings, and TCP keep-alive finds the rest (ZOOKEEPER-2930,
//     ZOOKEEPER-4074, ZOOKEEPER-3240).
//   - Shutdown joins every goroutine that the package started.
//
// It must never import tree, session, log or the root: what it needs of them it states as the
// interfaces Storage, LinkHandler and MeshHandler.
package transport
