// Package client is a pipelined client of ZooKeeper's protocol for the tools of this project: the
// load generator, the command line, the test harness. It speaks to any server of that protocol.
//
// A Client is one session. Two goroutines serve it, however many requests are in flight: one runs
// the session and reads (dials, shakes hands, hands replies to their requests, dials again), one
// writes, and what gathered while it wrote leaves as one Write. Do is the core, and costs no
// allocation: it appends the request to the output buffer and its callback to a queue. Everything
// else is a few lines over it.
//
// What a caller can rely on:
//
//   - Requests leave in the order of the calls and their callbacks run in that order, each exactly
//     once. Only auth replies may come out of turn.
//   - A connection that breaks ends every request that was on it with ErrConnectionLoss: it may
//     have happened or not. The session goes on with the next server.
//   - Requests made while there is no connection wait for one, for at most the session's time-out;
//     then they end with ErrNotSent, and have certainly not happened.
//   - A session that a server calls over ends everything with ErrSessionExpired, for good.
//   - Identities of Auth are given again to each new connection, before any request. Watches are
//     not: the events of a new connection say that it is new, and a caller that watches reads again.
//
// Callbacks run in the session's goroutine: they must not block, and must not call a method that
// waits; Do is fine. The caller bounds what it has in flight, up to Options.MaxPending.
//
// It imports transport/wire, transport/jute and zab, and nothing of the server.
package client
