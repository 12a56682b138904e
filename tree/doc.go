// Package tree is the replicated state: znodes, their stats and access control lists, sessions
// and their ephemerals. It turns requests into txns (Pending, on the leader), applies txns (Tree,
// on every server), answers reads, and writes and restores exact snapshots.
//
// Invariants, with the rules of the protocol they come from:
//
//   - A Tree holds committed txns only and changes nowhere but in Apply (R12, R16). It is a
//     prefix of every future history, so it survives elections.
//   - Txns carry results, not intentions (R18): new versions, final paths, the time, the paths
//     that a closeSession deletes. Apply decides nothing and cannot fail; a txn that contradicts
//     the tree is a bug, and the server stops rather than diverge.
//   - Every request gets a txn. One that fails becomes an error txn, so that its answer too is
//     ordered by a quorum.
//   - What is prepared and not yet applied lives in a Pending, which dies with the leader's role.
//   - A snapshot is the state at exactly one zxid (R17): a View shares the chunks of the tree and
//     the tree copies a chunk before it first changes it again.
//   - Equal histories give equal digests, and a digest covers everything that is replicated.
//
// Memory: znodes are fixed-size structs without pointers, in chunks, addressed by NodeID; names
// and data live in an arena of size classes. The collector sees a few thousand chunk pointers and
// scans no znode.
//
// A Tree has one owner. Reads may run beside each other, never beside Apply, Freeze or Release;
// View.Write may run beside anything. The package knows no clock, disk, socket, lock, log or
// randomness, and must import nothing of ours but zab, transport/jute and transport/wire.
package tree
