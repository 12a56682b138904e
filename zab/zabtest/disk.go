package zabtest

import "quoll/zab"

// Disk is the ghost of a server's log, over all its lives: what the Checker was told has been
// appended to it and what it was told is durable. Between the two any prefix may come back.
type Disk struct {
	// pending are the records that are appended and not durable, from head on. What is durable is
	// in the fold and needs no record any more.
	pending []record
	head    int

	synced  int // records that are durable, over all lives
	started int // records that the present process found; its first own one has number 1

	all     fold // of all records
	durable fold // of the synced ones
}

// record is a log record with what the Checker knows about it.
type record struct {
	zab.Record
	txn    *txn // of a RecordTxn or a RecordInstall
	counts bool // appended by a voter: a txn of its own epoch is a copy that counts
}

// NewDisk returns an empty disk.
func NewDisk() *Disk { return &Disk{all: empty(), durable: empty()} }

// Len returns how many records were appended, over all lives, and how many of them are durable.
func (d *Disk) Len() (appended, durable int) { return d.synced + len(d.pending) - d.head, d.synced }

// Last returns the last zxid of the history that was appended, and of the durable one.
func (d *Disk) Last() (appended, durable zab.Zxid) {
	return d.all.history.last.Zxid, d.durable.history.last.Zxid
}

// append notes a record that was handed to the operating system.
func (d *Disk) append(r record) *Broken {
	d.pending = append(d.pending, r)
	return d.all.apply(&r)
}

// sync makes the next record durable and returns it; it is valid until the next append.
func (d *Disk) sync() *record {
	r := &d.pending[d.head]
	if d.head++; d.head == len(d.pending) {
		d.pending, d.head = d.pending[:0], 0
	}
	d.synced++
	_ = d.durable.apply(r) // what is wrong with it was said when it was appended
	return r
}

// lose forgets all but the first n records.
func (d *Disk) lose(n int) {
	kept := d.head + n - d.synced
	clear(d.pending[kept:])
	d.pending = d.pending[:kept]
	d.all = d.durable
	for i := d.head; i < kept; i++ {
		_ = d.all.apply(&d.pending[i])
	}
}

// fold is what a sequence of records means: the replay that every log does, in its plainest form.
// It is a value; a copy is independent.
type fold struct {
	accepted, current zab.Epoch
	history           history
	aside             history // being installed (R10); last is nil when there is none
}

// history is a snapshot and the txns after it. The snapshot holds everything up to its zxid, so
// the end says it all; only a truncation must not go below the snapshot.
type history struct {
	base, last *txn
}

func empty() fold { return fold{history: history{base: genesis, last: genesis}} }

// covers reports whether t is in the snapshot or among the txns.
func (h *history) covers(t *txn) bool { return h.last.has(t) }

// target returns the history that a txn is appended to.
func (f *fold) target() *history {
	if f.aside.last != nil {
		return &f.aside
	}
	return &f.history
}

// apply takes one record in. An error is a log that no server may write; f is then as far as it
// came, which is of no interest to anybody.
func (f *fold) apply(r *record) *Broken {
	switch r.Kind {
	case zab.RecordSnapshot: // a note: the file is what counts
	case zab.RecordAcceptedEpoch:
		if r.Epoch < f.accepted {
			return broken("I-EPOCH", "accepted epoch %d after %d", r.Epoch, f.accepted)
		}
		f.accepted = r.Epoch
	case zab.RecordCurrentEpoch:
		if r.Epoch < f.current || r.Epoch > f.accepted {
			return broken("I-EPOCH", "current epoch %d after %d, accepted is %d", r.Epoch, f.current, f.accepted)
		}
		f.current = r.Epoch
		if f.aside.last != nil {
			f.history, f.aside = f.aside, history{}
		}
	case zab.RecordTxn:
		h := f.target()
		gap := !h.last.Zxid.Precedes(r.Zxid)
		last := h.last
		h.last = r.txn
		if gap {
			return broken("I-CHAIN", "%s cannot follow %s", Z(r.Zxid), Z(last.Zxid))
		}
	case zab.RecordTruncate:
		if f.aside.last != nil {
			return broken("T3", "truncates to %s while a snapshot is being installed", Z(r.Zxid))
		}
		h := &f.history
		for h.last != h.base && h.last.Zxid > r.Zxid {
			h.last = h.last.parent
		}
		if h.last.Zxid != r.Zxid {
			return broken("I-TRUNC", "truncates to %s, which is not in the log (R9)", Z(r.Zxid))
		}
	case zab.RecordInstall:
		if f.aside.last != nil {
			return broken("T3", "installs %s before it has done with %s", Z(r.Zxid), Z(f.aside.base.Zxid))
		}
		f.aside = history{base: r.txn, last: r.txn}
	case zab.RecordAbandon:
		if f.aside.last == nil {
			return broken("T3", "abandons a snapshot that it was not installing")
		}
		f.aside = history{}
	default:
		return broken("I-RECOVER", "writes a record of kind %v, which no recovery knows", r.Kind)
	}
	return nil
}
