package zabtest

// situation is something rare that a run of many random steps should meet.
type situation int

const (
	committedLater  situation = iota // by the initial history of an epoch, not its own
	copyNotCounted                   // durable under the right current epoch, and yet no copy (X1)
	copyCountedLate                  // of a server that had no vote when it got it
	truncated                        // something was cut off
	noCount                          // a promise that was spent before
	lostRecords                      // a crash took records that were not durable
	keptRecords                      // a crash left records that were not known to be durable
	abandoned                        // a crash found a snapshot half installed
	silentSynced                     // a server without a vote got it back
	numSituations
)

var situations = [numSituations]string{
	committedLater:  "committed by a later epoch",
	copyNotCounted:  "copy not counted",
	copyCountedLate: "copy counted late",
	truncated:       "truncated",
	noCount:         "promise not counted",
	lostRecords:     "crash lost records",
	keptRecords:     "crash kept unsynced records",
	abandoned:       "crash abandoned a snapshot",
	silentSynced:    "silent server synced",
}

// Seen counts the rare situations that have occurred, by name. All names are there: a run that is to
// go everywhere can ask which are 0.
func (c *Checker) Seen() map[string]int {
	seen := make(map[string]int, numSituations)
	for i, n := range c.seen {
		seen[situations[i]] = n
	}
	return seen
}
