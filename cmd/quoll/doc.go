// Command quoll is the one binary of this project: servers, tools, benchmarks, tests of other
// servers. Its commands parse, call a package that does the work, and print; none holds protocol.
//
// Exit codes: 0 for success, 1 when something failed or was refused, 2 for a command line that
// makes no sense. Results go to standard output, everything else to standard error.
package main
