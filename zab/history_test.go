package zab_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quoll/zab"
)

// z makes a zxid.
func z(e zab.Epoch, counter uint64) zab.Zxid { return zab.MakeZxid(e, counter) }

// drawHistory draws a history and the list of its members, base first.
func drawHistory(t *rapid.T) (zab.History, []zab.Zxid) {
	base := zab.Zxid(0)
	if rapid.Bool().Draw(t, "purged") {
		base = z(zab.Epoch(rapid.IntRange(1, 3).Draw(t, "base epoch")), rapid.Uint64Range(1, 4).Draw(t, "base"))
	}
	h, members := zab.NewHistory(base), []zab.Zxid{base}
	for range rapid.IntRange(0, 12).Draw(t, "txns") {
		next := members[len(members)-1] + 1
		if next.Epoch() == 0 || rapid.IntRange(0, 3).Draw(t, "new epoch") == 0 {
			next = z(next.Epoch()+zab.Epoch(rapid.IntRange(1, 2).Draw(t, "skip")), 1)
		}
		if !h.Append(next) {
			t.Fatalf("%v may not follow %v", next, h.Last())
		}
		members = append(members, next)
	}
	return h, members
}

// near draws a zxid that may or may not be in a history of drawHistory.
func near(t *rapid.T) zab.Zxid {
	return z(zab.Epoch(rapid.IntRange(0, 12).Draw(t, "epoch")), rapid.Uint64Range(0, 6).Draw(t, "counter"))
}

// TestHistoryIsTheListOfItsMembers compares every answer with that of a plain list.
func TestHistoryIsTheListOfItsMembers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, members := drawHistory(t)
		for range 8 {
			x := near(t)
			require.Equal(t, slices.Contains(members, x), h.Contains(x), "Contains(%v) in %v", x, members)
			i, _ := slices.BinarySearch(members, x)
			floor, ok := h.Floor(x)
			require.Equal(t, i > 0, ok, "Floor(%v) in %v", x, members)
			if i > 0 {
				require.Equal(t, members[i-1], floor, "Floor(%v) in %v", x, members)
			}
		}
		require.Equal(t, members[0], h.Base())
		require.Equal(t, members[len(members)-1], h.Last())
	})
}

// TestHistoryChanges compares truncation, purge and growth with those of a plain list, and what
// is not allowed with no change at all.
func TestHistoryChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, members := drawHistory(t)
		untouched, before := h.Clone(), h.Clone()
		for range 6 {
			x := near(t)
			i := slices.Index(members, x)
			switch rapid.IntRange(0, 2).Draw(t, "change") {
			case 0:
				require.Equal(t, i >= 0, h.Truncate(x))
				if i >= 0 {
					members = members[:i+1]
				}
			case 1:
				require.Equal(t, i >= 0, h.Rebase(x))
				if i >= 0 {
					members = members[i:]
				}
			default:
				last := members[len(members)-1]
				require.Equal(t, last.Precedes(x), h.Append(x))
				if last.Precedes(x) {
					members = append(slices.Clone(members), x)
				}
			}
			require.Equal(t, members[0], h.Base())
			require.Equal(t, members[len(members)-1], h.Last())
			for _, m := range members {
				require.True(t, h.Contains(m))
			}
		}
		require.Equal(t, before, untouched, "a clone shares nothing")
	})
}

// TestPrecedes walks the edges of succ: gaps, repetitions and the names that are not txns.
func TestPrecedes(t *testing.T) {
	for _, c := range []struct {
		a, b zab.Zxid
		want bool
	}{
		{0, z(1, 1), true},
		{0, z(7, 1), true},
		{z(1, 1), z(1, 2), true},
		{z(1, 9), z(2, 1), true},
		{z(1, 9), z(5, 1), true},
		{z(1, 1), z(1, 1), false},
		{z(1, 1), z(1, 3), false},
		{z(1, 2), z(1, 1), false},
		{z(2, 1), z(1, 2), false},
		{z(1, 9), z(2, 0), false},
		{z(1, 9), z(2, 2), false},
		{z(1, zab.MaxCounter), z(2, 0), false},
		{z(1, zab.MaxCounter), z(2, 1), true},
		{0, 1, true}, // epoch 0 has no leader, so nobody proposes this
	} {
		require.Equal(t, c.want, c.a.Precedes(c.b), "%v %v", c.a, c.b)
	}
}
