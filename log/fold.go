package log

import (
	"fmt"

	"quoll/zab"
)

// fold is what the records up to some point amount to. Appending and recovery run the same fold,
// so that the log refuses to write what it would refuse to read.
type fold struct {
	accepted zab.Epoch
	current  zab.Epoch
	silent   bool     // the directory was empty without the operator's word, and no sync since
	snapshot zab.Zxid // the newest that a record names
	branch   branch
	aside    *branch // the generation that is being installed (R10)
}

// step is a row of the table that says what a record does. Of the rows of its kind, exactly one
// matches any fold and record.
type step struct {
	name string
	when func(f *fold, r *record) bool
	then func(f *fold, r *record, at place) error
}

// steps is the meaning of the log. A row with refuse is a log that no server wrote.
var steps = [...][]step{
	zab.RecordTxn: {
		{
			"txn behind the last",
			func(f *fold, r *record) bool { return f.aside == nil && f.branch.last().Precedes(r.zxid()) },
			func(f *fold, r *record, at place) error { f.branch.add(r.zxid(), at); return nil },
		},
		{
			"txn behind the last of the generation aside",
			func(f *fold, r *record) bool { return f.aside != nil && f.aside.last().Precedes(r.zxid()) },
			func(f *fold, r *record, at place) error { f.aside.add(r.zxid(), at); return nil },
		},
		{
			"txn that leaves a gap", // ZOOKEEPER-4925
			func(f *fold, r *record) bool { return !f.newest().last().Precedes(r.zxid()) },
			refuse("a txn that does not follow the last"),
		},
	},
	zab.RecordAcceptedEpoch: {
		{
			"promise",
			func(f *fold, r *record) bool { return validEpoch(r) && r.epoch() >= f.accepted },
			func(f *fold, r *record, _ place) error { f.accepted = r.epoch(); return nil },
		},
		{
			"promise broken", // ZOOKEEPER-2307
			func(f *fold, r *record) bool { return validEpoch(r) && r.epoch() < f.accepted },
			refuse("the accepted epoch falls back"),
		},
		{"promise of no epoch", badEpoch, refuse("an epoch out of range")},
	},
	zab.RecordCurrentEpoch: {
		{
			"history of the epoch complete",
			func(f *fold, r *record) bool { return f.mayEnter(r) && f.aside == nil },
			func(f *fold, r *record, _ place) error { f.enter(r.epoch()); return nil },
		},
		{
			"generation aside becomes the history",
			func(f *fold, r *record) bool { return f.mayEnter(r) && f.aside != nil },
			func(f *fold, r *record, _ place) error {
				f.branch, f.aside = *f.aside, nil
				f.enter(r.epoch())
				return nil
			},
		},
		{
			"return to an old epoch",
			func(f *fold, r *record) bool { return validEpoch(r) && r.epoch() < f.current },
			refuse("the current epoch falls back"),
		},
		{
			"epoch that was not promised",
			func(f *fold, r *record) bool { return validEpoch(r) && r.epoch() > f.accepted },
			refuse("the current epoch passes the accepted epoch"),
		},
		{"history of no epoch", badEpoch, refuse("an epoch out of range")},
	},
	zab.RecordTruncate: {
		{
			"cut to a member",
			func(f *fold, r *record) bool { return f.aside == nil && f.branch.contains(r.zxid()) },
			func(f *fold, r *record, _ place) error { f.branch.truncate(r.zxid()); return nil },
		},
		{
			"cut to a stranger", // ZOOKEEPER-1156
			func(f *fold, r *record) bool { return f.aside == nil && !f.branch.contains(r.zxid()) },
			refuse("a truncation to a zxid that is not in the history"),
		},
		{
			"cut during an install",
			func(f *fold, _ *record) bool { return f.aside != nil },
			refuse("a truncation while a snapshot is being installed"),
		},
	},
	zab.RecordInstall: {
		{
			"generation opened",
			func(f *fold, _ *record) bool { return f.aside == nil },
			func(f *fold, r *record, _ place) error {
				b := newBranch(r.zxid())
				f.aside = &b
				return nil
			},
		},
		{
			"second install",
			func(f *fold, _ *record) bool { return f.aside != nil },
			refuse("two snapshots being installed at once"),
		},
	},
	zab.RecordAbandon: {
		{
			"generation dropped",
			func(f *fold, _ *record) bool { return f.aside != nil },
			func(f *fold, _ *record, _ place) error {
				// The dropped txns lie behind the last one of the history.
				f.aside, f.branch.broken = nil, true
				return nil
			},
		},
		{
			"nothing to drop",
			func(f *fold, _ *record) bool { return f.aside == nil },
			func(*fold, *record, place) error { return nil },
		},
	},
	zab.RecordSnapshot: {
		{
			"snapshot noted",
			func(*fold, *record) bool { return true },
			func(f *fold, r *record, _ place) error { f.snapshot = max(f.snapshot, r.zxid()); return nil },
		},
	},
}

// refuse returns the action of a row that no server writes.
func refuse(what string) func(*fold, *record, place) error {
	return func(f *fold, r *record, _ place) error {
		return fmt.Errorf("%s: %#x, behind zxid %v, accepted epoch %d, current epoch %d",
			what, r.value, f.newest().last(), f.accepted, f.current)
	}
}

func validEpoch(r *record) bool        { return r.value <= uint64(zab.MaxEpoch) }
func badEpoch(_ *fold, r *record) bool { return !validEpoch(r) }
func (f *fold) mayEnter(r *record) bool {
	return validEpoch(r) && r.epoch() >= f.current && r.epoch() <= f.accepted
}

// newest is the branch that txns are appended to.
func (f *fold) newest() *branch {
	if f.aside != nil {
		return f.aside
	}
	return &f.branch
}

// enter makes e the current epoch. The history is now that of its leader, so a server that came
// with nothing has caught up and may vote from now on.
func (f *fold) enter(e zab.Epoch) {
	f.current, f.silent = e, false
}

// apply takes one record in. An error is a log that no server wrote; the fold is then unchanged.
func (f *fold) apply(r *record, at place) error {
	if int(r.kind) >= len(steps) {
		return fmt.Errorf("record of unknown kind %d", r.kind)
	}
	for i := range steps[r.kind] {
		if s := &steps[r.kind][i]; s.when(f, r) {
			return s.then(f, r, at)
		}
	}
	return fmt.Errorf("record of unknown kind %d", r.kind)
}
