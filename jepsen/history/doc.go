// Package history is what happened to the clients of a server, as they saw it: every request with
// the moments of its call and its return, every watch event, every connection, in one order. Who
// recorded it, a simulation or real clients of real processes, makes no difference to a checker.
//
// What must hold: the moments of a history are totally ordered by Seq; an operation without a
// return is one whose outcome nobody knows, and stays so for ever. Nothing here is changed after
// it was recorded.
//
// It must never import tree or session: a history is evidence, and has no opinion.
package history
