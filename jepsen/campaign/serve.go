package campaign

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"quoll/jepsen/check"
	"quoll/jepsen/history"
	"quoll/jepsen/nemesis"
)

// serveName is the check that servers go on: none ends by itself, and when the faults are over, all serve again and
// answer. It judges the servers and not the history, which is judged all the same.
const serveName = "SERVE"

// recovered takes what became of the faults. It fails when they could not be undone, which says nothing about
// the servers.
func (b *bench) recovered(err error) error {
	var gone *nemesis.NotServingError
	switch {
	case err == nil:
	case errors.As(err, &gone):
		b.lost = append(b.lost, err)
	default:
		return fmt.Errorf("campaign: the faults could not be undone: %w", err)
	}
	return nil
}

// unserved returns the violations of SERVE.
func (b *bench) unserved() (all []check.Violation) {
	h := b.res.Outcome.History
	for i := range b.size() {
		ended := b.cluster.Ended(i)
		if ended == nil || b.fullDisk(i) {
			continue
		}
		at := history.Moment{At: b.cluster.WhenEnded(i).Sub(b.res.Outcome.Began).Microseconds(), Seq: h.End.Seq}
		all = append(all, check.Violation{Check: serveName, Text: strings.TrimPrefix(ended.Error(), "cluster: "), At: at})
	}
	for _, err := range b.lost {
		text := strings.TrimPrefix(strings.TrimPrefix(err.Error(), "nemesis: "), "driver: ")
		for _, v := range all { // what was said above needs no repetition
			text = strings.ReplaceAll(text, "cluster: "+v.Text, v.Text[:strings.Index(v.Text+":", ":")])
		}
		all = append(all, check.Violation{Check: serveName, Text: text, At: h.End})
	}
	return all
}

// size is the number of servers that were started here.
func (b *bench) size() int {
	if b.cluster == nil {
		return 0
	}
	return b.cluster.Size()
}

// diskGrace is how long after a disk has room again the end of its server is still the disk's doing.
const diskGrace = 5 * time.Second

// fullDisk reports whether a server ended for want of room on its disk: that is one way to bear it, and whether it
// came back is another question.
func (b *bench) fullDisk(server int) bool {
	when := b.cluster.WhenEnded(server)
	for _, f := range b.res.Faults {
		if f.Kind == "disk-full" && !f.Failed && len(f.Servers) == 1 && f.Servers[0] == server+1 &&
			when.After(f.From) && when.Before(f.To.Add(diskGrace)) {
			return true
		}
	}
	return false
}

// excused tells of the servers that ended and may have.
func (b *bench) excused() (all []string) {
	for i := range b.size() {
		if b.cluster.Ended(i) != nil && b.fullDisk(i) {
			all = append(all, fmt.Sprintf("server %d ended by itself while its disk was full", i+1))
		}
	}
	return all
}
