// Package compat measures Quoll against what others wrote: the test suites of ZooKeeper's clients,
// which the script run starts, and Apache ZooKeeper itself. The differential test sends the same
// random requests, as raw frames, to a ZooKeeper and to a Quoll and compares every reply and every
// watch event; what differs on purpose is listed in deviations_test.go, and nothing else may.
//
// The test needs Java and ZooKeeper's jars, so it is only built with the tag zookeeper:
// `jepsen/compat/run differential` fetches the jars and runs it. It knows servers by their client
// ports alone and must never import them.
package compat
