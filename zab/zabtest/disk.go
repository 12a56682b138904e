package zabtest

import (
	"fmt"
	"slices"

	"quoll/zab"
)

// Disk is the log and the snapshot files of one server, over all its lives. Records behind synced
// are in the page cache: a killed process leaves them, a power cut does not have to.
type Disk struct {
	records []zab.Record
	synced  int
	started int // records that the present process found; its first own one has number 1

	all     Fold // of all records
	durable Fold // of the synced ones

	files   map[zab.Zxid][]zab.Txn // complete snapshot files, received ones included
	own     []zab.Zxid             // those that this server took of its own tree
	horizon zab.Zxid               // purged up to here
}

func newDisk() *Disk { return &Disk{files: make(map[zab.Zxid][]zab.Txn)} }

// append hands records to the operating system.
func (d *Disk) append(recs []zab.Record) error {
	d.records = append(d.records, recs...)
	for _, r := range recs {
		if err := d.all.apply(r); err != nil {
			return err
		}
	}
	return nil
}

// sync makes the first n records durable and shows each to seen, after it is in d.durable.
func (d *Disk) sync(n int, seen func(zab.Record)) {
	for d.synced < n {
		r := d.records[d.synced]
		if err := d.durable.apply(r); err != nil {
			panic(err) // the same records went through all
		}
		d.synced++
		seen(r)
	}
}

// lose drops everything after the first n records: a power cut.
func (d *Disk) lose(n int) {
	d.records = d.records[:n]
	d.all = Fold{}
	for _, r := range d.records {
		if err := d.all.apply(r); err != nil {
			panic(err)
		}
	}
}

// recover is what the log package does at the start of a process, made of the same fold: an
// unfinished generation is discarded, and the tail is synced before anybody hears of it (R19).
func (d *Disk) recover(seen func(zab.Record)) zab.State {
	if d.all.aside != nil {
		if err := d.append([]zab.Record{{Kind: zab.RecordAbandon}}); err != nil {
			panic(err)
		}
	}
	d.sync(len(d.records), seen)
	d.started = len(d.records)
	g := &d.all.generation
	s := zab.State{
		AcceptedEpoch: d.all.accepted,
		CurrentEpoch:  d.all.current,
		Snapshot:      g.base,
		Horizon:       max(g.base, d.horizon),
	}
	for _, z := range d.own {
		if g.holds(z) {
			s.Snapshot = max(s.Snapshot, z)
		}
	}
	s.History = zab.NewHistory(s.Horizon)
	for _, e := range g.txns {
		if e.Zxid > s.Horizon && !s.History.Append(e.Zxid) {
			panic(fmt.Sprintf("zabtest: %v does not follow %v", e.Zxid, s.History.Last()))
		}
		if e.Zxid > s.Snapshot {
			s.Tail = append(s.Tail, e.Txn)
		}
	}
	return s
}

// Fold is what a sequence of records means: the replay that every log does, in its plainest form.
type Fold struct {
	accepted, current zab.Epoch
	generation        generation
	aside             *generation // being installed (R10)
}

// generation is a snapshot and the txns after it.
type generation struct {
	base zab.Zxid
	txns []entry
}

// entry is a txn of a history. own: it was appended in the broadcast of its own epoch, which is what
// makes the copy count towards commitment. Both epochs must say so: one that a later leader's
// unfinished synchronization brought may find the same current epoch, but not the accepted one.
type entry struct {
	zab.Txn
	own bool
}

func (g *generation) last() zab.Zxid {
	if len(g.txns) == 0 {
		return g.base
	}
	return g.txns[len(g.txns)-1].Zxid
}

func (g *generation) find(z zab.Zxid) (int, bool) {
	return slices.BinarySearchFunc(g.txns, z, func(e entry, z zab.Zxid) int {
		switch {
		case e.Zxid < z:
			return -1
		case e.Zxid > z:
			return 1
		}
		return 0
	})
}

// holds reports whether z is the base or one of the txns.
func (g *generation) holds(z zab.Zxid) bool {
	_, found := g.find(z)
	return found || z == g.base
}

// covers reports whether z, a committed zxid, is in the snapshot or among the txns.
func (g *generation) covers(z zab.Zxid) bool { return z <= g.base || g.holds(z) }

func (f *Fold) apply(r zab.Record) error {
	g := &f.generation
	if f.aside != nil {
		g = f.aside
	}
	switch r.Kind {
	case zab.RecordSnapshot: // a note: the file is what counts
	case zab.RecordAcceptedEpoch:
		if r.Epoch <= f.accepted {
			return fmt.Errorf("I-EPOCH: accepted epoch %d after %d", r.Epoch, f.accepted)
		}
		f.accepted = r.Epoch
	case zab.RecordCurrentEpoch:
		if r.Epoch < f.current || r.Epoch > f.accepted {
			return fmt.Errorf("I-EPOCH: current epoch %d after %d, accepted is %d", r.Epoch, f.current, f.accepted)
		}
		f.current = r.Epoch
		if f.aside != nil {
			f.generation, f.aside = *f.aside, nil
		}
	case zab.RecordTxn:
		if !g.last().Precedes(r.Zxid) {
			return fmt.Errorf("I-CHAIN: %s cannot follow %s", Z(r.Zxid), Z(g.last()))
		}
		g.txns = append(g.txns, entry{
			Txn: zab.Txn{Zxid: r.Zxid, Data: r.Data},
			own: f.aside == nil && r.Zxid.Epoch() == f.current && f.current == f.accepted,
		})
	case zab.RecordTruncate:
		i, found := g.find(r.Zxid)
		if !found && r.Zxid != g.base {
			return fmt.Errorf("R9: truncated to %s, which is not in the log", Z(r.Zxid))
		}
		if found {
			i++
		}
		g.txns = slices.Clip(g.txns[:i])
	case zab.RecordInstall:
		f.aside = &generation{base: r.Zxid}
	case zab.RecordAbandon:
		if f.aside == nil {
			return fmt.Errorf("R10: a generation is abandoned that was not begun")
		}
		f.aside = nil
	default:
		return fmt.Errorf("record of kind %v", r.Kind)
	}
	return nil
}
