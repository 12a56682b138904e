package log_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/stretchr/testify/require"

	"quoll/log"
	"quoll/log/vfs"
	"quoll/zab"
)

func zx(epoch zab.Epoch, counter uint64) zab.Zxid { return zab.MakeZxid(epoch, counter) }

// data is what txn z holds: something of its own, of a length of its own.
func data(z zab.Zxid) []byte {
	return []byte(strings.Repeat(fmt.Sprintf("txn %v;", z), 1+int(uint64(z)*7%23)))
}

// stateAt is what the snapshot of z holds.
func stateAt(z zab.Zxid) string {
	return strings.Repeat(fmt.Sprintf("state after %v;", z), 1+int(uint64(z)*5%40))
}

func writeState(z zab.Zxid) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, stateAt(z))
		return err
	}
}

func expectState(z zab.Zxid) func(io.Reader) error {
	return func(r io.Reader) error {
		b, err := io.ReadAll(r)
		if err == nil && string(b) != stateAt(z) {
			err = fmt.Errorf("wrong state of %v: %q", z, b)
		}
		return err
	}
}

func txn(z zab.Zxid) zab.Record {
	return zab.Record{Kind: zab.RecordTxn, Zxid: z, Data: data(z)}
}
func accepted(e zab.Epoch) zab.Record { return zab.Record{Kind: zab.RecordAcceptedEpoch, Epoch: e} }
func current(e zab.Epoch) zab.Record  { return zab.Record{Kind: zab.RecordCurrentEpoch, Epoch: e} }
func truncate(z zab.Zxid) zab.Record  { return zab.Record{Kind: zab.RecordTruncate, Zxid: z} }
func install(z zab.Zxid) zab.Record   { return zab.Record{Kind: zab.RecordInstall, Zxid: z} }
func noted(z zab.Zxid) zab.Record     { return zab.Record{Kind: zab.RecordSnapshot, Zxid: z} }
func abandon() zab.Record             { return zab.Record{Kind: zab.RecordAbandon} }

// branch is a history as a plain list.
type branch struct {
	base  zab.Zxid
	zxids []zab.Zxid
}

func (b *branch) last() zab.Zxid {
	if len(b.zxids) == 0 {
		return b.base
	}
	return b.zxids[len(b.zxids)-1]
}

func (b *branch) contains(z zab.Zxid) bool { return z == b.base || slices.Contains(b.zxids, z) }

// model is the log as a list: what the package is tested against.
type model struct {
	accepted, current zab.Epoch
	branch            branch
	aside             *branch
}

func (m model) apply(r zab.Record) model {
	switch r.Kind {
	case zab.RecordTxn:
		b := &m.branch
		if m.aside != nil {
			c := *m.aside
			m.aside, b = &c, &c
		}
		b.zxids = append(slices.Clip(b.zxids), r.Zxid)
	case zab.RecordAcceptedEpoch:
		m.accepted = r.Epoch
	case zab.RecordCurrentEpoch:
		m.current = r.Epoch
		if m.aside != nil {
			m.branch, m.aside = *m.aside, nil
		}
	case zab.RecordTruncate:
		keep := 0
		for keep < len(m.branch.zxids) && m.branch.zxids[keep] <= r.Zxid {
			keep++
		}
		m.branch.zxids = slices.Clip(m.branch.zxids[:keep])
	case zab.RecordInstall:
		m.aside = &branch{base: r.Zxid}
	case zab.RecordAbandon:
		m.aside = nil
	case zab.RecordSnapshot:
	default:
		panic("no such record")
	}
	return m
}

func (m *model) newest() *branch {
	if m.aside != nil {
		return m.aside
	}
	return &m.branch
}

// driver runs a log on a disk that may break and knows what must be left of it.
type driver struct {
	t     require.TestingT
	opts  log.Options
	disk  *vfs.Mem
	fault *vfs.Fault
	log   *log.Log
	rec   *log.Recovery

	// states[0] is durable; a crash may also leave any of those after it, the last is what was
	// appended.
	states []model
	snaps  []zab.Zxid // complete, whether of this history or not
}

func options() log.Options {
	return log.Options{
		Dir: "/data/log", SnapDir: "/data/snap", Server: 3, SegmentBytes: 2048, PreallocBytes: 3000,
		Autocreate: true,
	}
}

func newDriver(t require.TestingT, opts log.Options, inject func(vfs.Op) vfs.Effect) *driver {
	disk := vfs.NewMem()
	d := &driver{t: t, opts: opts, disk: disk, states: make([]model, 1)}
	d.on(disk, inject)
	return d
}

// on moves the driver to what a crash left of its disk.
func (d *driver) on(disk *vfs.Mem, inject func(vfs.Op) vfs.Effect) {
	d.disk, d.fault, d.log = disk, vfs.NewFault(disk, inject), nil
	d.opts.FS = d.fault
}

// after returns a driver for what one crash left, while d can be tried with another.
func (d *driver) after(disk *vfs.Mem, inject func(vfs.Op) vfs.Effect) *driver {
	c := *d
	c.states, c.snaps = slices.Clone(d.states), slices.Clone(d.snaps)
	c.on(disk, inject)
	return &c
}

func (d *driver) live() model { return d.states[len(d.states)-1] }

// open opens the log and, if it opens, checks all that it found.
func (d *driver) open() error {
	l, rec, err := log.Open(d.opts)
	if err != nil {
		return err
	}
	d.log, d.rec = l, rec
	d.check()
	return nil
}

func (d *driver) append(recs ...zab.Record) error {
	for _, r := range recs {
		d.states = append(d.states, d.live().apply(r))
	}
	return d.log.Append(recs)
}

func (d *driver) sync() error {
	err := d.log.Sync()
	if err == nil {
		d.states = []model{d.live()}
	}
	return err
}

func (d *driver) write(recs ...zab.Record) error {
	if err := d.append(recs...); err != nil {
		return err
	}
	return d.sync()
}

func (d *driver) snapshot(z zab.Zxid) error {
	err := d.log.CreateSnapshot(z, writeState(z))
	if err == nil {
		d.snaps = append(d.snaps, z)
	}
	return err
}

var shipments sync.Map // zab.Zxid to []byte: compressors are slow to make

// shipped returns the bytes of a snapshot as another server sends them.
func shipped(z zab.Zxid) []byte {
	if b, ok := shipments.Load(z); ok {
		return b.([]byte)
	}
	opts := options()
	opts.FS = vfs.NewMem()
	l, _, err := log.Open(opts)
	if err != nil {
		panic(err)
	}
	if err = l.CreateSnapshot(z, writeState(z)); err != nil {
		panic(err)
	}
	r, _, err := l.OpenSnapshot(z)
	if err != nil {
		panic(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		panic(err)
	}
	shipments.Store(z, b)
	return b
}

func (d *driver) receive(z zab.Zxid) error {
	b := shipped(z)
	err := d.log.ReceiveSnapshot(z, int64(len(b)), bytes.NewReader(b), expectState(z))
	if err == nil {
		d.snaps = append(d.snaps, z)
	}
	return err
}

func (d *driver) purge() error {
	_, err := d.log.Purge(2)
	return err
}

func (d *driver) close() error {
	err := d.log.Close()
	if err == nil {
		d.states = []model{d.live()}
	}
	return err
}

// read returns the history's txns after the horizon as the log has them.
func (d *driver) read(from, to zab.Zxid) []zab.Txn {
	var txns []zab.Txn
	err := d.log.Read(from, to, func(batch []zab.Txn) error {
		for _, t := range batch {
			txns = append(txns, zab.Txn{Zxid: t.Zxid, Data: bytes.Clone(t.Data)})
		}
		return nil
	})
	require.NoError(d.t, err)
	return txns
}

// matches reports whether the log holds exactly m.
func (d *driver) matches(m *model) bool {
	s := &d.rec.State
	if s.AcceptedEpoch != m.accepted || s.CurrentEpoch != m.current || s.History.Last() != m.branch.last() {
		return false
	}
	from := s.Horizon
	if !m.branch.contains(from) {
		return false
	}
	for _, z := range m.branch.zxids {
		if z > from && !s.History.Contains(z) {
			return false
		}
	}
	var want []zab.Zxid
	for _, z := range m.branch.zxids {
		if z > from {
			want = append(want, z)
		}
	}
	var got []zab.Zxid
	for _, t := range d.read(from, s.History.Last()) {
		got = append(got, t.Zxid)
		require.Equal(d.t, string(data(t.Zxid)), string(t.Data))
	}
	return slices.Equal(want, got)
}

// check holds what Open found against what may be there: nothing durable is lost, nothing is
// invented, and it can be opened again to the same end.
func (d *driver) check() {
	t, s := d.t, &d.rec.State
	at := slices.IndexFunc(d.states, func(m model) bool { return d.matches(&m) })
	require.GreaterOrEqual(t, at, 0, "recovered %+v\nallowed %+v", s, d.states)
	m := d.states[at]
	m.aside = nil
	d.states = []model{m}

	require.Equal(t, s.Horizon, s.History.Base())
	require.True(t, m.branch.contains(s.Snapshot))
	for _, z := range d.snaps {
		if m.branch.contains(z) {
			require.GreaterOrEqual(t, s.Snapshot, z, "a snapshot is lost")
		}
	}
	if s.Snapshot != 0 {
		require.NoError(t, d.log.ReadSnapshot(s.Snapshot, expectState(s.Snapshot)))
		require.Contains(t, d.log.Snapshots(), s.Snapshot)
		if !slices.Contains(d.snaps, s.Snapshot) {
			d.snaps = append(d.snaps, s.Snapshot) // the server relies on it now
		}
	}
	require.GreaterOrEqual(t, s.Snapshot, s.Horizon)
	var tail []zab.Zxid
	for _, txn := range s.Tail {
		tail = append(tail, txn.Zxid)
		require.Equal(t, string(data(txn.Zxid)), string(txn.Data))
	}
	var want []zab.Zxid
	for _, z := range m.branch.zxids {
		if z > s.Snapshot {
			want = append(want, z)
		}
	}
	require.Equal(t, want, tail)
}

// stopped reports whether err is the end of the world rather than an error of the log.
func stopped(err error) bool { return errors.Is(err, vfs.ErrStopped) }
