package election_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/election"
	"quoll/zab"
)

// FuzzElection drives one server with anything that others may say, honest or not, and whatever
// may happen to it. It must not panic, decide only for a server that may lead, and say nothing to a
// server it is not connected to.
func FuzzElection(f *testing.F) {
	f.Add([]byte{0, 1, 1, 0, 2, 1, 2, 3, 0, 2, 1, 1, 5, 5, 1, 3, 0, 3, 0})
	f.Add([]byte{0, 2, 1, 1, 2, 2, 2, 0, 3, 1, 1, 1, 2, 2, 3, 1, 1, 1, 3, 1, 5, 0, 4, 2, 5})
	f.Fuzz(func(t *testing.T, data []byte) {
		next := func() byte {
			if len(data) == 0 {
				return 0
			}
			b := data[0]
			data = data[1:]
			return b
		}
		ens, err := zab.NewEnsemble(zab.EnsembleConfig{
			Voters: []zab.ServerID{1, 2, 3, 4}, Observers: []zab.ServerID{5},
			Groups: map[int][]zab.ServerID{1: {1, 2, 3, 4}}, Weights: map[zab.ServerID]int{4: 0},
		})
		require.NoError(t, err)
		const self = 2
		e := election.New(election.Config{ID: self, Ensemble: ens})
		var out election.Out
		var connected zab.Set
		for len(data) > 0 {
			id := zab.ServerID(next() % 7)
			switch next() % 6 {
			case 0:
				if id != self && ens.IsMember(id) {
					connected.Add(id)
				}
				e.Connected(id, &out)
			case 1:
				connected.Remove(id)
				e.Disconnected(id)
			case 2:
				own := election.Vote{Leader: self, Epoch: zab.Epoch(next() % 4), Zxid: zab.Zxid(next() % 4)}
				if next()%4 == 0 {
					own = election.Vote{}
				}
				e.Start(own, &out)
			case 3:
				e.Receive(id, election.Notification{
					State: election.State(next() % 6),
					Vote: election.Vote{
						Leader: zab.ServerID(next() % 7), Epoch: zab.Epoch(next() % 4), Zxid: zab.Zxid(next() % 4),
					},
					Round: uint64(int8(next())), // some of them enormous
				}, &out)
			case 4:
				e.Tick(&out)
			case 5:
				if state := e.State(); state > election.Looking {
					e.Settle(state, zab.Epoch(next()), &out)
				}
			}
			for _, s := range out.Send {
				require.True(t, connected.Has(s.To))
			}
			require.True(t, out.Decided == 0 || ens.Electable(out.Decided))
			require.Equal(t, out.Decided == self, out.Decided != 0 && e.State() == election.Leading)
			out.Reset()
		}
	})
}

// TestAllocates: a server that hears and repeats things allocates nothing.
func TestAllocates(t *testing.T) {
	ens, err := zab.NewEnsemble(zab.EnsembleConfig{Voters: []zab.ServerID{1, 2, 3, 4, 5}})
	require.NoError(t, err)
	e := election.New(election.Config{ID: 1, Ensemble: ens})
	out := election.Out{Send: make([]election.Send, 0, 64)}
	for _, id := range ens.Voters() {
		e.Connected(id, &out)
	}
	round := uint64(1)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		e.Start(election.Vote{Leader: 1, Epoch: 1}, &out)
		for _, id := range []zab.ServerID{2, 3, 4} {
			e.Receive(id, election.Notification{
				State: election.Looking, Vote: election.Vote{Leader: id, Epoch: 1}, Round: round,
			}, &out)
		}
		e.Tick(&out)
		out.Reset()
		round++
	}))
}
