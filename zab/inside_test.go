package zab

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestSyncTableIsTotalAndExclusive checks that every combination of facts that can occur matches
// exactly one row of the table.
func TestSyncTableIsTotalAndExclusive(t *testing.T) {
	for i := range 8 {
		f := syncFacts{member: i&1 != 0, floor: i&2 != 0, memory: i&4 != 0}
		var matched []string
		for j := range syncTable {
			if syncTable[j].matches(f) {
				matched = append(matched, syncTable[j].label)
			}
		}
		require.Len(t, matched, 1, "%+v", f)
	}
}

// TestSyncPlanMakesTheLearnerAPrefix applies each plan to a learner's history, and checks that the
// stream that follows continues it without a gap and ends where the leader's history ends.
func TestSyncPlanMakesTheLearnerAPrefix(t *testing.T) {
	labels := make(map[string]bool)
	rapid.Check(t, func(t *rapid.T) {
		// A common past, and a branch on each side. The learner's was proposed in an epoch that the
		// leader's history has skipped.
		draw := func(label string, n int) int { return rapid.IntRange(0, n).Draw(t, label) }
		grow := func(h *History, members []Zxid, e Epoch, n int) []Zxid {
			for c := range n {
				require.True(t, h.Append(MakeZxid(e, uint64(c+1))))
				members = append(members, h.Last())
			}
			return members
		}
		past := NewHistory(0)
		members := grow(&past, []Zxid{0}, 1, draw("epoch 1", 5))
		members = grow(&past, members, 2, draw("epoch 2", 5))
		leader, learner := past.Clone(), past.Clone()
		if draw("behind", 1) == 1 {
			require.True(t, learner.Truncate(members[draw("how far", len(members)-1)]))
		} else {
			grow(&learner, nil, 3, draw("dead branch", 3))
		}
		members = grow(&leader, members, 4, draw("epoch 4", 5))
		horizon := draw("horizon", len(members)-1)
		snapshot := horizon + draw("snapshot", len(members)-1-horizon)
		require.True(t, leader.Rebase(members[horizon]))
		w := newWindow(members[snapshot+draw("window", len(members)-1-snapshot)], 0)

		plan := planSync(&leader, &w, members[snapshot], learner.Last())
		labels[plan.label] = true
		switch plan.mode {
		case ModeDiff:
			require.Equal(t, learner.Last(), plan.start)
		case ModeTrunc:
			require.Less(t, plan.start, learner.Last())
			require.True(t, learner.Truncate(plan.start), "cut to a member of the learner's own history")
		default:
			learner = NewHistory(plan.start)
		}
		require.True(t, leader.Contains(plan.start))
		for _, m := range members {
			if m > plan.start {
				require.True(t, learner.Append(m), "%v after %v", m, learner.Last())
			}
		}
		require.Equal(t, leader.Last(), learner.Last())
	})
	require.Len(t, labels, len(syncTable), "every row was used")
}

// TestWindowKeepsWhatIsNeeded compares the window with the list of all txns.
func TestWindowKeepsWhatIsNeeded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWindow(0, rapid.IntRange(0, 5*(txnOverhead+4)).Draw(t, "limit"))
		all := []Txn{}
		keep := Zxid(0)
		last := Zxid(0)
		var handedOut, copies [][]Txn
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0:
				if rapid.Bool().Draw(t, "to the end") {
					keep = max(keep, last)
				} else {
					keep = max(keep, w.base)
				}
				w.trim(keep)
			case 1:
				at := rapid.IntRange(0, len(all)).Draw(t, "cut")
				p := keep
				if at > 0 {
					p = max(keep, all[at-1].Zxid)
				}
				w.truncate(p)
				for len(all) > 0 && all[len(all)-1].Zxid > p {
					all = all[:len(all)-1]
				}
				last = p
			default:
				e := max(last.Epoch(), 1)
				if rapid.IntRange(0, 4).Draw(t, "new epoch") == 0 || last == 0 {
					last = MakeZxid(e+1, 1)
				} else {
					last++
				}
				x := Txn{Zxid: last, Data: []byte{'d', 'a', 't', byte(len(handedOut))}}
				w.append(x)
				all = append(all, x)
			}
			require.Equal(t, last, w.last())
			require.LessOrEqual(t, w.base, keep, "txns after keep stay")
			want := []Txn{}
			bytes := 0
			for _, x := range all {
				if x.Zxid > w.base {
					want = append(want, x)
					bytes += x.Size()
				}
			}
			require.Equal(t, want, append([]Txn{}, w.between(w.base, last)...))
			require.Equal(t, bytes, w.bytes)
			handedOut = append(handedOut, w.between(w.base, last))
			copies = append(copies, append([]Txn{}, handedOut[len(handedOut)-1]...))
		}
		for i := range handedOut {
			require.Equal(t, copies[i], append([]Txn{}, handedOut[i]...), "what was handed out never changes")
		}
	})
}

// TestMarksRememberEveryRecord compares the queue with one entry for each record.
func TestMarksRememberEveryRecord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var ms marks
		want := []mark{{}} // by record number
		durable, last := uint64(0), MakeZxid(1, 0)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			seq := uint64(len(want))
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0:
				m := mark{kind: RecordAcceptedEpoch, first: seq, seq: seq, last: last, epoch: Epoch(seq)}
				ms.push(m)
				want = append(want, m)
			case 1:
				durable += uint64(rapid.IntRange(0, len(want)-1-int(durable)).Draw(t, "synced"))
				for {
					m, ok := ms.pop(durable)
					if !ok {
						break
					}
					require.Equal(t, want[m.seq].last, m.last)
					require.Equal(t, want[m.seq].epoch, m.epoch)
					for i := m.first; i <= m.seq; i++ {
						require.Equal(t, want[i].kind, m.kind)
						want[i].kind = 0 // popped
					}
				}
				for i := range want {
					require.Equal(t, i <= int(durable), want[i].kind == 0, "record %d at %d", i, durable)
				}
			default:
				last++
				if rapid.IntRange(0, 5).Draw(t, "new epoch") == 0 {
					last = MakeZxid(last.Epoch()+1, 1)
				}
				m := mark{kind: RecordTxn, first: seq, seq: seq, last: last}
				ms.push(m)
				want = append(want, m)
			}
		}
	})
}

// TestTallyFindsWhatAQuorumReached compares with trying every value on every subset, in majority
// and in hierarchical ensembles, with values that go up and down.
func TestTallyFindsWhatAQuorumReached(t *testing.T) {
	majority, err := NewEnsemble(EnsembleConfig{Voters: []ServerID{1, 2, 3, 4, 5}, Observers: []ServerID{6}})
	require.NoError(t, err)
	groups, err := NewEnsemble(EnsembleConfig{
		Voters: []ServerID{1, 2, 3, 4, 5}, Observers: []ServerID{6},
		Groups:  map[int][]ServerID{1: {1, 2}, 2: {3}, 3: {4, 5}},
		Weights: map[ServerID]int{1: 2, 5: 0},
	})
	require.NoError(t, err)
	rapid.Check(t, func(t *rapid.T) {
		e := rapid.SampledFrom([]*Ensemble{majority, groups}).Draw(t, "ensemble")
		tally := newTally(e)
		values := make(map[ServerID]uint64)
		for range rapid.IntRange(1, 20).Draw(t, "acks") {
			id := ServerID(rapid.IntRange(1, 6).Draw(t, "server"))
			v := rapid.Uint64Range(0, 6).Draw(t, "value")
			if rapid.Bool().Draw(t, "raise") {
				tally.raise(id, v)
				values[id] = max(values[id], v)
			} else {
				tally.set(id, v)
				values[id] = v
			}
			best := uint64(0)
			for v := uint64(1); v <= 6; v++ {
				var s Set
				for id, reached := range values {
					if reached >= v {
						s.Add(id)
					}
				}
				if e.Quorum(s) {
					best = v
				}
			}
			require.Equal(t, best, tally.quorum())
		}
	})
}

// TestEveryKindIsAccountedFor keeps the tables complete: a new kind of message gets a name, and
// each kind of the protocol has somebody who handles it.
func TestEveryKindIsAccountedFor(t *testing.T) {
	server := map[Kind]bool{Requests: true, Touch: true, Revalidate: true, RevalidateReply: true}
	for k := FollowerInfo; k < numKinds; k++ {
		require.NotEmpty(t, kindNames[k], "kind %d", k)
		handled := false
		for r := range handlers {
			h := handlers[r][k]
			require.Equal(t, h.do == nil, h.in == 0, "%v", k)
			handled = handled || h.do != nil
		}
		require.Equal(t, !server[k], handled, "%v", k)
	}
	for k := RecordTxn; k < numRecordKinds; k++ {
		require.NotEmpty(t, recordKindNames[k], "record kind %d", k)
	}
	require.Equal(t, "Kind(99)", Kind(99).String())
	require.Equal(t, "RecordKind(99)", RecordKind(99).String())
}
