// Package nemesis breaks a running ensemble of real processes: it draws faults from a seed, does them one
// after the other or two at a time, and undoes each.
//
// # The budget
//
// A fault that takes knowledge from a server (a wiped directory, flipped or missing bytes) is begun only
// while all servers serve, alone, and the next fault waits until all serve again: no protocol
// survives more (zab.md N18, N23). All others may come at any time, in pairs too.
//
// What must hold: whatever was broken is whole again when Run has returned; what was done, and when,
// is in the Faults, also if it did not work: a report must not blame a server for what was done to it,
// nor praise it for what was not.
package nemesis
