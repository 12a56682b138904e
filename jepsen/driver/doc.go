// Package driver has real clients carry out a workload against real servers over TCP, and records
// what they saw as a history.History, the evidence that package check judges.
//
// A client is what a user's program is: a session, one connection at a time, requests in a pipeline,
// pings, watches that it brings along to the next server. It trusts nobody: an answer that cannot
// be read, or that is not that of the oldest open request, is a Fault of the server and ends the connection.
//
// What must hold: an operation whose answer did not come is recorded as unknown, never as failed; the
// moments of a history are in the order in which things happened in this process; no request is
// sent twice. Load is open: with a rate, requests are due at times that no answer changes. One that cannot
// leave then, because the pipeline of its client is full or there is no connection, leaves as soon as it can, and its
// latency counts from when it was due; one that never leaves is counted.
//
// It knows servers by their addresses only, so it tests any that speaks ZooKeeper's protocol.
package driver
