// Package report shows what came of a test to a person: one page of HTML that needs nothing else, and
// the same as JSON.
//
// What must hold: a failure comes first, in words that can be understood without the rest; faults,
// requests and servers' logs are on one clock, that of the history; a page loads no file and asks no
// server.
package report
