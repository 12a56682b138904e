// Package sim runs a whole ensemble in one goroutine, from one seed: the production Peer and the
// production log over disks that lose power, with a network, clocks and clients that are only
// simulated. It breaks things all the time and checks, after each step, that nothing that Zab and
// ZooKeeper promise is broken (zab.md 3). The same plan gives the same run, event by event, on any
// machine.
//
// # What is real and what is not
//
// Real: quoll.Peer (election, Zab, sessions, tree, order of answers), the log with its snapshots and
// its recovery, frames of clients to the byte. Simulated: time, the network between servers
// (transport's guarantees: FIFO, whole messages, no gap without the end of the link), the disk
// (log/vfs), clients, and the goroutines around a Peer: loop, disk, snapshotter and connections are
// tasks here, whose order the seed decides. Each mirrors a file of the root: server.go here is
// loop.go, disk.go is disk.go and snapshotter.go, conn.go is conn.go and clients.go there.
//
// # How a run goes
//
// Draw makes a Plan of a seed: how many servers and clients, how slow everything is, and a list of
// Acts, each a fault at a time. World.Run plays it. When the time of faults is over a core of servers
// that is a quorum is healed, everything else stays as broken as it is, and the core must elect,
// serve and converge within a bound. At the end the histories of the clients are judged
// (jepsen/check) against the sequence of committed requests, executed by jepsen/model.
//
// # What must hold
//
//   - One goroutine, one source of randomness, no clock, no iteration over a map whose order could
//     show. TestSameSeedSameRun runs seeds twice.
//   - The checks never ask the code under test what is true: what is committed they compute from the
//     disks (zab/zabtest.Checker), what a request should answer they compute with jepsen/model.
package sim
