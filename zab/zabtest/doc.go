// Package zabtest runs an ensemble of zab.Peers in one goroutine, with a simulated log, network
// and oracle in place of the election, so that a script or a random test decides every event:
// which message arrives, which sync completes, who crashes and how, who is told to lead. And it judges
// what servers do, here and wherever else somebody runs them.
//
// It owns three things. Env is the world: servers with their logs, links with their messages.
// Checker is the judge: it is told what each server writes, sends and applies, keeps a record of
// its own of what was proposed, promised and committed, computed from the disks and never from
// what a server believes, and names the invariant that a step has broken (zab.md 3.2, 3.3). It knows
// nothing of Env: jepsen/sim tells it the same about the real log. Script is the language of the
// testdata/*.trace files of package zab: scenarios to be read, each with its full transcript.
//
// What must hold of the Checker itself: it finds each invariant broken when it is (TestCheckerFinds) and
// nothing when nothing is (TestCheckerAllows); its cost per step does not grow with the histories.
//
// It must never import a clock, a disk, a network or goroutines; time is a command.
package zabtest
