package model

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/zab"
)

// story takes steps that are told to it, on three voters and an observer, 4.
type story struct {
	t *testing.T
	x *explorer
}

func begin(t *testing.T, waived ...guard) story {
	choices := []int{0, 1} // three voters, one observer
	x := newExplorer(func(int) int {
		if len(choices) == 0 {
			return 0
		}
		n := choices[0]
		choices = choices[1:]
		return n
	}, waived...)
	require.Equal(t, []zab.ServerID{1, 2, 3, 4}, x.all)
	return story{t, x}
}

func zxid(e zab.Epoch, counter uint64) zab.Zxid { return zab.MakeZxid(e, counter) }

func (s story) record(id zab.ServerID, kind zab.RecordKind, e zab.Epoch, z zab.Zxid) error {
	r := zab.Record{Kind: kind, Epoch: e, Zxid: z}
	if t := s.x.m.txns[z]; t != nil && kind == zab.RecordTxn {
		r.Data = t.Data
	}
	return s.x.m.Durable(id, r)
}

func (s story) promise(e zab.Epoch, ids ...zab.ServerID) {
	for _, id := range ids {
		require.NoError(s.t, s.record(id, zab.RecordAcceptedEpoch, e, 0))
	}
}

func (s story) lead(id zab.ServerID, e zab.Epoch) {
	require.NoError(s.t, s.x.m.Leads(id, e, s.x.m.servers[id].history.last().Zxid))
}

func (s story) adopt(e zab.Epoch, ids ...zab.ServerID) {
	for _, id := range ids {
		require.NoError(s.t, s.record(id, zab.RecordCurrentEpoch, e, 0))
	}
}

func (s story) propose(id zab.ServerID, z zab.Zxid) {
	require.NoError(s.t, s.x.m.Proposes(id, zab.Txn{Zxid: z, Data: []byte{byte(z)}}, s.x.m.epochs[z.Epoch()].tip.Zxid))
	s.x.proposed[z.Epoch()] = append(s.x.proposed[z.Epoch()], z)
}

func (s story) log(z zab.Zxid, ids ...zab.ServerID) {
	for _, id := range ids {
		require.NoError(s.t, s.record(id, zab.RecordTxn, 0, z))
	}
}

func (s story) deliver(id zab.ServerID, z zab.Zxid) {
	require.NoError(s.t, s.x.m.Delivers(id, s.x.m.txns[z].Txn))
	s.x.trees[id] = append(s.x.trees[id], z)
	s.x.known[z] = true
}

func (s story) canon(z zab.Zxid) {
	require.Equal(s.t, z, s.x.m.canon.last().Zxid)
	require.NoError(s.t, s.x.check())
}

// broadcasting is where most stories begin: epoch 1 is led by 1, with 2; 1:1 is committed, 1:2 is on 1
// alone, 1:3 nowhere; 3 and 4 know nothing.
func broadcasting(t *testing.T, waived ...guard) story {
	s := begin(t, waived...)
	s.promise(1, 1, 2)
	s.lead(1, 1)
	s.adopt(1, 1, 2)
	for n := range uint64(3) {
		s.propose(1, zxid(1, n+1))
	}
	s.log(zxid(1, 1), 1, 2)
	s.log(zxid(1, 2), 1)
	s.canon(zxid(1, 1))
	return s
}

// What no guard may forbid: servers do it.
func TestLegal(t *testing.T) {
	// Example X1: 1:2 gets onto two disks by a synchronization that did not end, and is lost by right.
	s := broadcasting(t)
	s.promise(2, 2, 3)
	s.lead(2, 2)
	s.adopt(2, 2) // and crashes before anybody has acked NEWLEADER
	s.promise(3, 1, 3)
	s.lead(1, 3)
	s.log(zxid(1, 1), 3)
	s.log(zxid(1, 2), 3)
	s.canon(zxid(1, 1)) // although 1 and 3 have 1:2
	s.promise(4, 2, 3)
	s.lead(2, 4)
	require.NoError(t, s.record(3, zab.RecordTruncate, 0, zxid(1, 1)))
	s.adopt(4, 2, 3)
	s.propose(2, zxid(4, 1))
	s.log(zxid(4, 1), 2, 3)
	s.canon(zxid(4, 1))

	// A snapshot stays aside until the epoch is adopted, and is dropped by a crash before that.
	s = broadcasting(t)
	s.promise(2, 2, 3)
	s.lead(2, 2)
	s.adopt(2, 2)
	require.NoError(t, s.record(3, zab.RecordInstall, 0, zxid(1, 1)))
	require.Zero(t, s.x.m.servers[3].history.last().Zxid)
	s.x.m.Restarts(3)
	require.NoError(t, s.record(3, zab.RecordAbandon, 0, 0))
	require.NoError(t, s.record(3, zab.RecordInstall, 0, zxid(1, 1)))
	s.adopt(2, 3)
	require.NoError(t, s.x.m.Installs(3, zxid(1, 1)))
	s.canon(zxid(1, 1))

	// A suffix that nobody acked survives, because who has it leads next.
	s = broadcasting(t)
	s.promise(2, 1, 3)
	s.lead(1, 2)
	s.log(zxid(1, 1), 3)
	s.log(zxid(1, 2), 3)
	s.adopt(2, 1)
	s.canon(zxid(1, 1))
	s.adopt(2, 3)
	s.canon(zxid(1, 2))

	// A snapshot that is ahead of I[e] brings a server into an epoch that runs.
	s = broadcasting(t)
	s.promise(1, 3)
	require.NoError(t, s.record(3, zab.RecordInstall, 0, zxid(1, 1)))
	s.adopt(1, 3)
	s.log(zxid(1, 2), 3)
	s.canon(zxid(1, 2))
	require.NoError(t, s.x.m.Commits(1, zxid(1, 2)))

	// A leader that was replaced, and hears of nobody, gets its own copy to its disk: with the copy that
	// 2 had under the same epoch that is a quorum, and it delivers what epoch 2 has committed before it.
	s = broadcasting(t)
	s.log(zxid(1, 2), 2)
	s.log(zxid(1, 3), 2)
	s.promise(2, 2, 3)
	s.lead(2, 2)
	s.log(zxid(1, 1), 3)
	s.log(zxid(1, 2), 3)
	s.log(zxid(1, 3), 3)
	s.adopt(2, 2, 3)
	s.canon(zxid(1, 3))
	s.deliver(1, zxid(1, 1))
	s.deliver(1, zxid(1, 2))
	require.Error(t, s.x.m.Delivers(1, data(1, 3)), "so far only epoch 2 has committed it")
	s.log(zxid(1, 3), 1)
	s.deliver(1, zxid(1, 3))
	require.NoError(t, s.x.check())

	// An observer does all that a follower does, and counts for nothing.
	s = broadcasting(t)
	s.promise(1, 4)
	s.adopt(1, 4)
	s.log(zxid(1, 1), 4)
	s.log(zxid(1, 2), 4)
	s.canon(zxid(1, 1))
}

// A voter that lost its disk counts again when it has adopted an epoch and owes nothing.
func TestWiped(t *testing.T) {
	s := broadcasting(t)
	s.x.m.Wiped(2) // on whose word 1:1 was committed: only 1 has it now
	require.Error(t, s.x.m.Leads(1, 1, zxid(1, 1)))
	s.promise(1, 2)
	s.adopt(1, 2)
	require.True(t, s.x.m.servers[2].forgetful, "without 1:1 it would help 3 to forget that")
	s.promise(2, 2, 3)
	require.Error(t, s.x.m.Leads(3, 2, 0), "2 does not count")

	s = broadcasting(t)
	s.x.m.Wiped(2)
	s.promise(1, 2)
	s.adopt(1, 2)
	s.log(zxid(1, 1), 2)
	require.False(t, s.x.m.servers[2].forgetful)
	s.log(zxid(1, 2), 2)
	s.canon(zxid(1, 2))

	s = broadcasting(t)
	s.promise(2, 2, 3)
	s.lead(2, 2)
	s.x.m.Wiped(2)
	s.promise(1, 2)
	s.adopt(1, 2)
	s.log(zxid(1, 1), 2)
	s.log(zxid(1, 2), 2)
	s.canon(zxid(1, 1)) // 2 has promised epoch 2, whose leader would not hear of 1:2

	s = broadcasting(t)
	s.promise(2, 2, 3)
	s.lead(2, 2)
	s.log(zxid(1, 1), 3)
	s.adopt(2, 2, 3)
	s.x.m.Wiped(2)
	s.propose(1, zxid(1, 4)) // epoch 1 was established with 2, and 1 does not know of epoch 2
	s.log(zxid(1, 3), 1)
	s.canon(zxid(1, 1))

	s = broadcasting(t)
	s.promise(2, 2) // to itself, and no other server has promised: nobody leads epoch 2, and nobody will by that promise
	s.x.m.Wiped(2)
	s.promise(1, 2)
	s.adopt(1, 2)
	s.log(zxid(1, 1), 2)
	require.False(t, s.x.m.servers[2].forgetful)

	s = broadcasting(t)
	s.x.m.Wiped(3) // nobody needs it
	s.promise(2, 3)
	require.Empty(t, s.x.m.epoch(2).promised)
}

// A voter whose disk is an older copy counts from the beginning, and what it had acked since does not.
func TestRestored(t *testing.T) {
	s := broadcasting(t)
	s.promise(1, 3)
	s.adopt(1, 3)
	s.log(zxid(1, 1), 3) // so nobody needs 2 any more
	s.x.m.Restored(2, 1, 1, 0)
	require.True(t, s.x.m.servers[2].counts())
	s.log(zxid(1, 2), 3)
	s.canon(zxid(1, 2)) // by 1 and 3
	s.promise(2, 2, 3)
	require.Error(t, s.x.m.Leads(2, 2, 0), "3 is more recent")
	s.lead(3, 2)
}

// Some guards guard against what takes a long story: told with the guard, it ends in a refusal, without
// it in a broken property.
func TestStories(t *testing.T) {
	for g, told := range map[guard]struct {
		tell   func(*testing.T, ...guard) (story, error)
		goesOn func(story)
		breaks string
	}{
		adoptPromised: {lateAdoption, func(story) {}, "leader completeness"},
		adoptExact: {deadBranch, func(s story) {
			s.promise(3, 1, 3)
			s.lead(1, 3)
			s.log(zxid(1, 1), 3)
			s.adopt(3, 1, 3)
			s.deliver(1, zxid(1, 1))
		}, "primary integrity"},
		deliverAdopted: {earlyDelivery, func(s story) {
			require.NoError(t, s.record(4, zab.RecordTruncate, 0, 0))
		}, "delivered"},
	} {
		_, err := told.tell(t)
		var r *Refusal
		require.ErrorAs(t, err, &r)
		require.Equal(t, g.String(), r.Guard)

		s, err := told.tell(t, g)
		require.NoError(t, err)
		told.goesOn(s)
		var b *Broken
		require.ErrorAs(t, s.x.check(), &b)
		require.Equal(t, told.breaks, b.Invariant, b.Text)
	}
}

// lateAdoption: 3 has told the leader of epoch 4 what it has, and then lets the leader of 3 count it.
func lateAdoption(t *testing.T, waived ...guard) (story, error) {
	s := begin(t, waived...)
	s.promise(1, 1, 2, 3)
	s.lead(1, 1)
	s.adopt(1, 1, 2, 3)
	s.propose(1, zxid(1, 1))
	s.log(zxid(1, 1), 1)
	s.promise(2, 2, 3)
	s.lead(2, 2)
	s.adopt(2, 2)
	s.promise(3, 1, 3)
	s.lead(1, 3)
	s.log(zxid(1, 1), 3)
	s.promise(4, 2, 3)
	s.lead(2, 4)
	s.adopt(3, 1)
	return s, s.record(3, zab.RecordCurrentEpoch, 3, 0)
}

// deadBranch: 1 adopts epoch 2 with a dead branch behind I[2], is the most recent by that, and revives it,
// after the leader of 2 has broadcast without it.
func deadBranch(t *testing.T, waived ...guard) (story, error) {
	s := begin(t, waived...)
	s.promise(1, 1, 2, 3)
	s.lead(1, 1)
	s.adopt(1, 1, 2, 3)
	s.propose(1, zxid(1, 1))
	s.log(zxid(1, 1), 1)
	s.promise(2, 1, 2, 3)
	s.lead(2, 2)
	s.adopt(2, 2, 3)
	s.propose(2, zxid(2, 1))
	return s, s.record(1, zab.RecordCurrentEpoch, 2, 0)
}

// earlyDelivery: 4 holds 1:1, which epoch 3 commits, and may yet have it cut off by the leader of 2.
func earlyDelivery(t *testing.T, waived ...guard) (story, error) {
	s := begin(t, waived...)
	s.promise(1, 1, 2, 4)
	s.lead(1, 1)
	s.adopt(1, 1, 2, 4)
	s.propose(1, zxid(1, 1))
	s.log(zxid(1, 1), 1, 4)
	s.promise(2, 2, 3, 4)
	s.lead(2, 2)
	s.promise(3, 1, 3)
	s.lead(1, 3)
	s.log(zxid(1, 1), 3)
	s.adopt(3, 1, 3)
	return s, s.x.m.Delivers(4, s.x.m.txns[zxid(1, 1)].Txn)
}

const (
	accepted, current = zab.RecordAcceptedEpoch, zab.RecordCurrentEpoch
	logs, truncate    = zab.RecordTxn, zab.RecordTruncate
	install, snapshot = zab.RecordInstall, zab.RecordSnapshot
)

// second begins epoch 2, led by 2, with 3: I[2] ends at 1:1.
func (s story) second() {
	s.promise(2, 2, 3)
	s.lead(2, 2)
}

func data(e zab.Epoch, n uint64) zab.Txn { return zab.Txn{Zxid: zxid(e, n), Data: []byte{byte(n)}} }

// refusals are steps that must not happen after broadcasting, by the guard that says so.
var refusals = map[guard]func(story) error{
	promiseHigher: func(s story) error { return s.record(1, accepted, 1, 0) },
	promiseNext:   func(s story) error { return s.record(1, accepted, 3, 0) },
	promiseWhole: func(s story) error {
		return errors.Join(s.record(1, install, 0, zxid(1, 1)), s.record(1, accepted, 2, 0))
	},
	leadVoter: func(s story) error { s.promise(2, 1, 2, 4); return s.x.m.Leads(4, 2, 0) },
	leadPromised: func(s story) error {
		s.promise(2, 2, 3)
		return s.x.m.Leads(1, 2, zxid(1, 2))
	},
	leadNew:     func(s story) error { return s.x.m.Leads(2, 1, zxid(1, 1)) },
	leadOnce:    func(s story) error { s.promise(1, 3); return s.x.m.Leads(3, 1, 0) },
	leadQuorum:  func(s story) error { s.promise(2, 1, 4); return s.x.m.Leads(1, 2, zxid(1, 2)) },
	leadRecent:  func(s story) error { s.promise(2, 1, 3); return s.x.m.Leads(3, 2, 0) },
	leadHistory: func(s story) error { s.promise(2, 1, 3); return s.x.m.Leads(1, 2, zxid(1, 1)) },
	syncLed:     func(s story) error { s.promise(2, 3); return s.record(3, logs, 0, zxid(1, 1)) },
	syncOpen:    func(s story) error { return s.record(2, truncate, 0, 0) },
	syncTxn: func(s story) error {
		s.second()
		s.log(zxid(1, 1), 3)
		return s.record(3, logs, 0, zxid(1, 2))
	},
	truncateToInitial: func(s story) error { s.second(); s.promise(2, 1); return s.record(1, truncate, 0, zxid(1, 2)) },
	truncateLeast:     func(s story) error { s.second(); s.promise(2, 1); return s.record(1, truncate, 0, 0) },
	installCommitted:  func(s story) error { s.promise(1, 3); return s.record(3, install, 0, zxid(1, 2)) },
	installOnce: func(s story) error {
		return errors.Join(s.record(1, install, 0, zxid(1, 1)), s.record(1, install, 0, zxid(1, 1)))
	},
	adoptPromised: func(s story) error { s.promise(2, 3); return s.record(3, current, 1, 0) },
	adoptNew:      func(s story) error { return s.record(2, current, 1, 0) },
	adoptComplete: func(s story) error { s.second(); return s.record(3, current, 2, 0) },
	adoptExact:    func(s story) error { s.second(); s.promise(2, 1); return s.record(1, current, 2, 0) },
	adoptKeeps: func(s story) error {
		return errors.Join(s.record(1, install, 0, zxid(1, 1)), s.record(1, current, 1, 0))
	},
	proposeLeader:      func(s story) error { return s.x.m.Proposes(2, data(1, 4), zxid(1, 3)) },
	proposeEstablished: func(s story) error { s.second(); s.adopt(2, 2); return s.x.m.Proposes(2, data(2, 1), zxid(1, 1)) },
	proposeNext:        func(s story) error { return s.x.m.Proposes(1, data(1, 5), zxid(1, 3)) },
	acceptAdopted:      func(s story) error { s.promise(1, 3); return s.record(3, logs, 0, zxid(1, 1)) },
	commitCanon:        func(s story) error { return s.x.m.Commits(1, zxid(1, 2)) },
	snapshotCommitted:  func(s story) error { return s.record(1, snapshot, 0, zxid(1, 2)) },
	deliverCommitted:   func(s story) error { return s.x.m.Delivers(1, data(1, 2)) },
	deliverAdopted: func(s story) error {
		s.promise(2, 1, 3, 4)
		s.lead(1, 2)
		s.log(zxid(1, 1), 3, 4)
		s.log(zxid(1, 2), 3, 4)
		s.adopt(2, 1, 3)
		return errors.Join(s.x.m.Delivers(1, data(1, 1)), s.x.m.Delivers(4, data(1, 1)))
	},
	deliverNext:    func(s story) error { s.log(zxid(1, 2), 2); return s.x.m.Delivers(1, data(1, 2)) },
	deliverDurable: func(s story) error { s.promise(1, 3); s.adopt(1, 3); return s.x.m.Delivers(3, data(1, 1)) },
	installLater:   func(s story) error { s.deliver(1, zxid(1, 1)); return s.x.m.Installs(1, 0) },
	logged:         func(s story) error { return s.record(2, logs, 0, zxid(1, 7)) },
	chained:        func(s story) error { return s.record(2, logs, 0, zxid(1, 3)) },
}

// Each guard refuses what it is there to refuse, and says so. Those of commitment refuse nothing: they say
// what Canon is.
func TestRefusals(t *testing.T) {
	for g := range numGuards {
		step := refusals[g]
		if step == nil {
			require.Contains(t, []guard{commitInitialQuorum, commitQuorum, commitOwn, installAside}, g, "%v", g)
			continue
		}
		err := step(broadcasting(t))
		var r *Refusal
		require.ErrorAs(t, err, &r, "%v", g)
		require.Equal(t, g.String(), r.Guard, "%v", r)
	}
}
