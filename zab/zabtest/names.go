package zabtest

import "slices"

// invariants are those that the Checker knows, as in zab.md 3.2 and 3.3. C-SYNC is that of a client,
// seen from the server that answers it.
var invariants = []string{
	"I-EPOCH", "I-PROMISE", "I-LEAD1", "I-LEAD2", "I-UNIQ", "I-PROPEST", "I-CHAIN", "I-MATCH", "I-INTEGRITY",
	"I-PREFIX", "I-LPO", "I-GPO", "I-PI", "I-LC", "I-DUR", "I-ACKNL", "I-ACK", "I-COMMITQ", "I-APPLY", "I-TRUNC",
	"I-CEHIST", "I-PS", "I-SNAP", "I-RECOVER", "I-ZXIDREAL", "I-CONN", "I-INC", "T1", "T2", "T3", "T4", "T5", "T6", "T7",
	"I-BUDGET",
	"C-SYNC",
}

// Names returns the names of the invariants that a Checker knows.
func Names() []string { return slices.Clone(invariants) }
