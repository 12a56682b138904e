// Package model is a second opinion on what Quoll does: the same service again, small and slow, for
// the simulator and the checkers of histories to compare with.
//
// Tree is ZooKeeper's data model as a sequential program over one map. Given the committed
// sequence of requests it predicts every answer to the byte: codes, names, stats, data, lists, and
// the results of each op of a multi. It is written from the protocol's description, with the
// sections cited as (protocol n.n), and where that leaves room it does what Quoll chose to do.
//
// Zab is the broadcast protocol as its paper has it, in atomic steps, of which a server's behaviour
// must be a refinement.
//
// What must hold: a model is deterministic, knows no clock, and decides nothing by the iteration
// order of a map. It must never import tree, session or the root package, nor share code with them:
// two witnesses who have talked to each other are one. Being plainly right comes before being fast.
//
// Tree stands for servers with znodes that have a time to live (extendedTypesEnabled), with access
// control and with the digest scheme. What it does not know: limits of memory and of sizes, which no
// test comes near; who owns a session, so that a SessionMoved is taken from the commit; quotas, which
// Quoll does not enforce; watches, which are not part of the tree; and the text of the membership,
// which a server shows in /zookeeper/config out of its own configuration.
package model
