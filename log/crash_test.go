package log_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quoll/log/vfs"
	"quoll/zab"
)

// txns returns count records of an epoch from a counter on.
func txns(e zab.Epoch, counter uint64, count int) []zab.Record {
	var recs []zab.Record
	for i := range count {
		recs = append(recs, txn(zx(e, counter+uint64(i))))
	}
	return recs
}

// life is a server's life in one function: epochs, blocks of every size, segments that fill up,
// snapshots, purges, a truncation, an installation that is abandoned, one that is completed, and
// restarts. It ends early with the first error.
func life(d *driver) error {
	var err error
	step := func(f func() error) {
		if err == nil {
			err = f()
		}
	}
	write := func(recs ...zab.Record) { step(func() error { return d.write(recs...) }) }
	restart := func() {
		step(d.close)
		step(d.open)
	}
	step(d.open)
	write(accepted(1))
	write(current(1), txn(zx(1, 1)))
	for i := range 4 {
		write(txns(1, 2+uint64(i)*5, 5)...)
		step(func() error { return d.log.Idle() })
	}
	step(func() error { return d.snapshot(zx(1, 10)) })
	write(noted(zx(1, 10)))
	write(txns(1, 22, 9)...)
	step(func() error { return d.snapshot(zx(1, 20)) })
	step(func() error { return d.snapshot(zx(1, 25)) })
	step(d.purge)
	restart()
	write(accepted(2))
	write(truncate(zx(1, 27)), txn(zx(1, 28)))
	write(current(2))
	write(txns(2, 1, 12)...)
	step(func() error { return d.receive(zx(2, 40)) })
	write(accepted(3), install(zx(2, 40)), txn(zx(2, 41)))
	write(txn(zx(2, 42)), abandon())
	write(txns(2, 13, 3)...)
	step(func() error { return d.receive(zx(3, 50)) })
	write(install(zx(3, 50)))
	write(txns(3, 51, 8)...)
	write(accepted(4), current(4), txn(zx(4, 1)))
	write(txns(4, 2, 9)...)
	step(func() error { return d.log.Idle() })
	step(func() error { return d.snapshot(zx(4, 3)) })
	step(d.purge)
	step(func() error { return d.receive(zx(4, 70)) })
	write(install(zx(4, 70)), txn(zx(4, 71)))
	restart() // with an installation that nobody completed
	write(txns(4, 11, 3)...)
	step(d.close)
	return err
}

// TestCrashPoints stops life at every single change of the disk, before and after it, and opens
// what a power loss or a kill left (N10-N15); for a part of them it stops at every change of what
// follows, too.
func TestCrashPoints(t *testing.T) {
	whole := newDriver(t, options(), nil)
	require.NoError(t, life(whole))
	changes := whole.fault.Changes()
	require.Greater(t, changes, 120)
	for k := 1; k <= changes; k++ {
		for _, after := range []bool{false, true} {
			d := newDriver(t, options(), vfs.CrashAt(k, after))
			require.True(t, stopped(life(d)), "change %d", k)
			revive(d.after(d.disk.Kill(), nil))
			for seed := range uint64(3) {
				seed += uint64(k) * 10
				revive(d.after(d.disk.PowerLoss(seed), nil))
			}
			switch {
			case after && k%10 == 0:
				reviveWithCrashes(d, d.disk.Kill(), uint64(k))
			case !after && k%5 == 0:
				reviveWithCrashes(d, d.disk.PowerLoss(uint64(k)*10), uint64(k))
			}
		}
	}
}

// revive opens what is left and checks it; loses the power at once and opens it again; goes on
// writing and opens it again.
func revive(d *driver) {
	require.NoError(d.t, d.open())
	for seed := range uint64(2) {
		require.NoError(d.t, d.after(d.disk.PowerLoss(seed), nil).open())
	}
	require.NoError(d.t, goOn(d))
	require.NoError(d.t, d.open())
}

func goOn(d *driver) error {
	m := d.live()
	e := max(m.accepted, m.branch.last().Epoch()) + 1
	if err := d.write(accepted(e), current(e), txn(zx(e, 1))); err != nil {
		return err
	}
	return d.close()
}

// reviveWithCrashes crashes in each change that recovery and the life after it make, and opens what
// that left: it must come to an end that the first crash allowed.
func reviveWithCrashes(d *driver, left *vfs.Mem, seed uint64) {
	for j := 1; ; j++ {
		again := d.after(left.Kill(), vfs.CrashAt(j, (uint64(j)+seed)%2 == 0))
		err := again.open()
		if err == nil {
			err = goOn(again)
		}
		if err == nil {
			return // it took fewer changes than j
		}
		require.True(d.t, stopped(err), "recovery: %v", err)
		revive(again.after(again.disk.Kill(), nil))
		revive(again.after(again.disk.PowerLoss(seed+1), nil))
	}
}

// TestCrashAnywhere draws the life, the crash and what the power loss leaves, several in a row.
func TestCrashAnywhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := newDriver(t, options(), nil)
		for range rapid.IntRange(1, 5).Draw(t, "crashes") {
			d.on(d.disk, vfs.CrashAt(rapid.IntRange(1, 60).Draw(t, "at"), rapid.Bool().Draw(t, "after")))
			if err := randomLife(t, d); !stopped(err) {
				require.NoError(t, err)
			}
			next := d.disk.Kill()
			if rapid.Bool().Draw(t, "power") {
				next = d.disk.PowerLoss(rapid.Uint64().Draw(t, "seed"))
			}
			d = d.after(next, nil)
		}
		require.NoError(t, d.open())
	})
}

// randomLife does what a server may do to its log, until something fails.
func randomLife(t *rapid.T, d *driver) error {
	if err := d.open(); err != nil {
		return err
	}
	for range rapid.IntRange(1, 25).Draw(t, "steps") {
		if err := randomStep(t, d); err != nil {
			return err
		}
	}
	return nil
}

func randomStep(t *rapid.T, d *driver) error {
	m := d.live()
	last := m.newest().last()
	switch rapid.SampledFrom(steps).Draw(t, "step") {
	case "txn":
		e := max(1, m.accepted, last.Epoch())
		if last.Epoch() == e {
			return d.append(txns(e, last.Counter()+1, rapid.IntRange(1, 6).Draw(t, "count"))...)
		}
		return d.append(txns(e, 1, rapid.IntRange(1, 6).Draw(t, "count"))...)
	case "sync":
		return d.sync()
	case "idle":
		return d.log.Idle()
	case "accept":
		return d.append(accepted(m.accepted + 1))
	case "current":
		return d.append(current(m.accepted))
	case "truncate":
		if n := len(m.branch.zxids); m.aside == nil && n > 0 {
			// Never below a snapshot: that is committed.
			p := m.branch.zxids[rapid.IntRange(max(0, n-4), n-1).Draw(t, "to")]
			if len(d.snaps) == 0 || p >= d.snaps[len(d.snaps)-1] {
				return d.append(truncate(p), accepted(max(m.accepted, p.Epoch())+1))
			}
		}
	case "install":
		if m.aside == nil {
			z := zx(max(m.accepted, last.Epoch())+1, uint64(rapid.IntRange(1, 9).Draw(t, "counter")))
			if err := d.receive(z); err != nil {
				return err
			}
			return d.append(accepted(z.Epoch()), install(z))
		}
	case "abandon":
		return d.append(abandon())
	case "snapshot":
		if durable := d.states[0]; m.aside == nil && len(d.states) == 1 && len(durable.branch.zxids) > 0 {
			return d.snapshot(durable.branch.last())
		}
	case "purge":
		return d.purge()
	case "restart":
		if err := d.close(); err != nil {
			return err
		}
		return d.open()
	}
	return nil
}

var steps = []string{
	"txn", "txn", "txn", "txn", "sync", "sync", "sync", "idle", "accept", "current", "truncate", "install",
	"abandon", "snapshot", "snapshot", "purge", "restart",
}
