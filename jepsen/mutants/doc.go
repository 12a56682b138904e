// Package mutants holds the bugs that the checks must find: the mutants of zab.md section 6, each a
// small change of the production code. A check that never fired may be one that cannot; a mutant that
// survives is a fault of the checks, or of the faults that the simulator draws.
//
// A mutant is data. Nothing of it is ever in the program: the runner (jepsen/mutants/run, `make
// mutants`) gives the changed files to the compiler as an overlay, builds quoll, and has `quoll sim`
// look for a seed that notices.
//
// Some lines of the table have no place in this code, since the design leaves no room for the bug:
// there is no second goroutine that could ack, and no file of epochs. Such a mutant breaks what stands
// in its place, and Adapted says what that is. Where a line names several bugs, each is a mutant of
// its own: M3a, M3b, M3c.
//
// From M101 on come bugs that this program has had: the simulator found each once, and must find it again.
//
// What must hold: every Old is in its file exactly once, so that a change of the production code that
// a mutant rests on breaks the test here and not, silently, the mutant; and the changed file parses.
// That it compiles, only the runner finds out.
//
// It must never import what it mutates.
package mutants
