// Package workload says what simulated or real clients ask of a server: small state machines,
// one per client, that follow the recipes of ZooKeeper's users or try everything at random.
//
// What must hold: a client is a function of the random numbers it is given and of what it is told
// came back, so a run can be repeated; every operation is one that a correct client may send, though
// it may well fail; a client stops asking after a bounded number of operations. What goes over any
// number of clients (paths, balances, versions) is only learned through answers, never shared.
//
// It generates operations and performs none. It must never import what performs them, nor check.
package workload
