package zab_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quoll/zab"
)

func setOf(ids ...zab.ServerID) zab.Set {
	var s zab.Set
	for _, id := range ids {
		s.Add(id)
	}
	return s
}

func TestSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s zab.Set
		model := map[zab.ServerID]bool{}
		for range rapid.IntRange(0, 40).Draw(t, "ops") {
			id := zab.ServerID(rapid.Byte().Draw(t, "id"))
			if rapid.Bool().Draw(t, "add") {
				s.Add(id)
				model[id] = true
			} else {
				s.Remove(id)
				delete(model, id)
			}
		}
		require.Equal(t, len(model), s.Len())
		for id := range 256 {
			require.Equal(t, model[zab.ServerID(id)], s.Has(zab.ServerID(id)))
		}
		more := s
		more.Add(rapid.Map(rapid.Byte(), func(b byte) zab.ServerID { return zab.ServerID(b) }).Draw(t, "one more"))
		require.True(t, s.SubsetOf(more))
		require.Equal(t, more == s, more.SubsetOf(s))
	})
}

// anyConfig draws a valid membership of up to nine servers with ids all over the range.
func anyConfig(t *rapid.T) zab.EnsembleConfig {
	ids := rapid.SliceOfNDistinct(
		rapid.Map(rapid.ByteRange(1, 255), func(b byte) zab.ServerID { return zab.ServerID(b) }),
		1, 9, rapid.ID).Draw(t, "ids")
	voters := rapid.IntRange(1, len(ids)).Draw(t, "voters")
	cfg := zab.EnsembleConfig{Voters: ids[:voters], Observers: ids[voters:]}
	if !rapid.Bool().Draw(t, "hierarchical") {
		return cfg
	}
	cfg.Groups = map[int][]zab.ServerID{}
	cfg.Weights = map[zab.ServerID]int{}
	for i, id := range cfg.Voters {
		g := rapid.IntRange(1, 4).Draw(t, "group")
		cfg.Groups[g] = append(cfg.Groups[g], id)
		if i == 0 { // the one that weighs something in any case
			continue
		}
		if rapid.Bool().Draw(t, "weighted") {
			cfg.Weights[id] = rapid.IntRange(0, 3).Draw(t, "weight")
		}
	}
	return cfg
}

// isQuorum is the definition of protocol.md 12.6 read aloud.
func isQuorum(cfg zab.EnsembleConfig, s zab.Set) bool {
	if len(cfg.Groups) == 0 {
		n := 0
		for _, id := range cfg.Voters {
			if s.Has(id) {
				n++
			}
		}
		return n > len(cfg.Voters)/2
	}
	groups, satisfied := 0, 0
	for _, members := range cfg.Groups {
		total, acked := 0, 0
		for _, id := range members {
			w, ok := cfg.Weights[id]
			if !ok {
				w = 1
			}
			total += w
			if s.Has(id) {
				acked += w
			}
		}
		if total == 0 {
			continue
		}
		groups++
		if acked > total/2 {
			satisfied++
		}
	}
	return satisfied > groups/2
}

func anySubset(t *rapid.T, name string, ids []zab.ServerID) zab.Set {
	var s zab.Set
	for _, id := range ids {
		if rapid.Bool().Draw(t, name) {
			s.Add(id)
		}
	}
	return s
}

func TestQuorum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := anyConfig(t)
		e, err := zab.NewEnsemble(cfg)
		require.NoError(t, err)
		all := slices.Concat(cfg.Voters, cfg.Observers)

		a, b := anySubset(t, "a", all), anySubset(t, "b", all)
		require.Equal(t, isQuorum(cfg, a), e.Quorum(a))
		require.True(t, e.Quorum(setOf(cfg.Voters...)), "all voters are a quorum")
		require.False(t, e.Quorum(setOf(cfg.Observers...)), "observers are none")

		if e.Quorum(a) && e.Quorum(b) {
			common := false
			for _, id := range cfg.Voters {
				common = common || a.Has(id) && b.Has(id)
			}
			require.True(t, common, "two quorums without a common voter")
		}

		more := a
		for id := range 256 { // voters of b, and every server that is no voter
			if id := zab.ServerID(id); b.Has(id) || !e.IsVoter(id) {
				more.Add(id)
			}
		}
		require.True(t, a.SubsetOf(more))
		if e.Quorum(a) {
			require.True(t, e.Quorum(more), "a superset of a quorum is one")
		}
		for _, id := range cfg.Observers {
			without := more
			without.Remove(id)
			require.Equal(t, e.Quorum(more), e.Quorum(without), "an observer counted")
		}
	})
}

// TestQuorumsIntersect looks at every pair of sets of one hierarchical ensemble, where random
// drawing seldom meets two quorums that are both minimal.
func TestQuorumsIntersect(t *testing.T) {
	cfg := zab.EnsembleConfig{
		Voters:  []zab.ServerID{1, 2, 3, 4, 5, 6, 7},
		Groups:  map[int][]zab.ServerID{1: {1, 2, 3}, 2: {4, 5}, 3: {6}, 4: {7}},
		Weights: map[zab.ServerID]int{2: 2, 5: 3, 7: 0},
	}
	e, err := zab.NewEnsemble(cfg)
	require.NoError(t, err)
	var quorums []int
	for mask := range 1 << 7 {
		if e.Quorum(zab.Set{uint64(mask) << 1}) {
			quorums = append(quorums, mask)
		}
	}
	require.NotEmpty(t, quorums)
	for _, a := range quorums {
		for _, b := range quorums {
			require.NotZero(t, a&b)
		}
	}
	require.True(t, e.Quorum(setOf(5, 6)), "group 4 weighs nothing, so two groups of three are enough")
	require.False(t, e.Quorum(setOf(1, 3, 6)), "2 of 4 is not more than half of group 1")
}

func TestEnsembleMembers(t *testing.T) {
	e, err := zab.NewEnsemble(zab.EnsembleConfig{
		Voters:    []zab.ServerID{7, 3, 5},
		Observers: []zab.ServerID{4},
		Groups:    map[int][]zab.ServerID{2: {3, 5}, 9: {7}},
		Weights:   map[zab.ServerID]int{5: 0, 7: 6},
	})
	require.NoError(t, err)
	require.Equal(t, []zab.ServerID{3, 5, 7}, e.Voters())
	require.Equal(t, []zab.Member{
		{ID: 3, Weight: 1, Group: 2},
		{ID: 4, Observer: true},
		{ID: 5, Weight: 0, Group: 2},
		{ID: 7, Weight: 6, Group: 9},
	}, e.Members())
	require.True(t, e.Hierarchical())
	for id, want := range map[zab.ServerID]struct{ voter, member, electable bool }{
		0: {}, 3: {true, true, true}, 4: {false, true, false}, 5: {true, true, false}, 6: {},
	} {
		require.Equal(t, want.voter, e.IsVoter(id), "voter %d", id)
		require.Equal(t, want.member, e.IsMember(id), "member %d", id)
		require.Equal(t, want.electable, e.Electable(id), "electable %d", id)
	}
}

func TestEnsembleFaults(t *testing.T) {
	ids := func(ids ...zab.ServerID) []zab.ServerID { return ids }
	for name, c := range map[string]struct {
		cfg  zab.EnsembleConfig
		want []string
	}{
		"nobody votes": {
			zab.EnsembleConfig{Observers: ids(1)},
			[]string{"no server votes"},
		},
		"id 0": {
			zab.EnsembleConfig{Voters: ids(0, 1)},
			[]string{"server.0"},
		},
		"named twice": {
			zab.EnsembleConfig{Voters: ids(1, 2), Observers: ids(2)},
			[]string{"server.2 is named twice"},
		},
		"no group": {
			zab.EnsembleConfig{Voters: ids(1, 2), Groups: map[int][]zab.ServerID{1: ids(1)}},
			[]string{"server.2 is in no group"},
		},
		"two groups, and an observer in one": {
			zab.EnsembleConfig{
				Voters: ids(1, 2), Observers: ids(3),
				Groups: map[int][]zab.ServerID{4: ids(1, 2), 5: ids(1, 3)},
			},
			[]string{"server.1 is in group.4 and in group.5", "group.5: server.3 does not vote"},
		},
		"weights without groups": {
			zab.EnsembleConfig{Voters: ids(1), Weights: map[zab.ServerID]int{1: 2}},
			[]string{"server.1 is in no group"},
		},
		"bad weights": {
			zab.EnsembleConfig{
				Voters: ids(1, 2, 3), Groups: map[int][]zab.ServerID{1: ids(1, 2, 3)},
				Weights: map[zab.ServerID]int{1: -1, 2: zab.MaxWeight + 1, 9: 1},
			},
			[]string{"weight.1=-1", "weight.2=2147483648", "weight.9: server.9 does not vote"},
		},
		"nothing weighs": {
			zab.EnsembleConfig{
				Voters: ids(1), Groups: map[int][]zab.ServerID{1: ids(1)},
				Weights: map[zab.ServerID]int{1: 0},
			},
			[]string{"every voter weighs 0"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := zab.NewEnsemble(c.cfg)
			require.Nil(t, e)
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
		})
	}
}

func TestEnsembleDigest(t *testing.T) {
	ids := func(ids ...zab.ServerID) []zab.ServerID { return ids }
	group := func(g ...zab.ServerID) map[int][]zab.ServerID { return map[int][]zab.ServerID{1: g} }
	different := []zab.EnsembleConfig{
		{Voters: ids(1, 2, 3)},
		{Voters: ids(1, 2)},
		{Voters: ids(1, 2, 4)},
		{Voters: ids(1, 2), Observers: ids(3)},
		{Voters: ids(1, 2, 3), Groups: group(1, 2, 3)},
		{Voters: ids(1, 2, 3), Groups: map[int][]zab.ServerID{1: ids(1, 2), 2: ids(3)}},
		{Voters: ids(1, 2, 3), Groups: group(1, 2, 3), Weights: map[zab.ServerID]int{2: 2}},
	}
	seen := map[uint64]int{}
	for i, cfg := range different {
		e, err := zab.NewEnsemble(cfg)
		require.NoError(t, err)
		require.NotContains(t, seen, e.Digest(), "as in %d", i)
		seen[e.Digest()] = i
	}
	e, err := zab.NewEnsemble(zab.EnsembleConfig{Voters: ids(3, 1, 2)})
	require.NoError(t, err)
	require.Equal(t, 0, seen[e.Digest()], "the order of the lines means nothing")
}

func TestQuorumAllocates(t *testing.T) {
	for name, groups := range map[string]map[int][]zab.ServerID{
		"majority": nil, "hierarchical": {1: {1, 2}, 2: {3}},
	} {
		e, err := zab.NewEnsemble(zab.EnsembleConfig{Voters: []zab.ServerID{1, 2, 3}, Groups: groups})
		require.NoError(t, err)
		s := setOf(1, 3)
		require.Zero(t, testing.AllocsPerRun(100, func() { _ = e.Quorum(s) }), name)
	}
}
