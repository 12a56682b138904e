package log

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quoll/zab"
)

// TestVerdictsCoverEverything: any finding about a segment has exactly one row, and each row some
// finding.
func TestVerdictsCoverEverything(t *testing.T) {
	used := map[string]int{}
	for h := range numHeaderStates {
		for bits := range 16 {
			f := finding{
				header: h, newest: bits&1 != 0, needed: bits&2 != 0, damaged: bits&4 != 0, proof: bits&8 != 0,
			}
			var names []string
			for _, v := range verdicts {
				if v.when(f) {
					names = append(names, v.name)
				}
			}
			require.Len(t, names, 1, "%+v: %v", f, names)
			require.Equal(t, names[0], f.judge().name)
			used[names[0]]++
		}
	}
	require.Len(t, used, len(verdicts))
}

// TestVerdicts spells out what the table must say, whatever its rows.
func TestVerdicts(t *testing.T) {
	whole := finding{header: headerGood}
	require.Equal(t, "whole", whole.judge().name)
	for name, f := range map[string]finding{
		"torn tail":                  {header: headerGood, damaged: true, newest: true},
		"damage to what was durable": {header: headerGood, damaged: true, newest: true, proof: true},
		"segment never begun":        {header: headerMissing, newest: true},
		"lost header":                {header: headerMissing, newest: true, needed: true},
	} {
		require.Equal(t, name, f.judge().name)
	}
	middle := finding{header: headerGood, damaged: true}
	require.Equal(t, "damage to what was durable", middle.judge().name)
	require.Equal(t, "lost header", (finding{}).judge().name)
}

func drawFold(t *rapid.T) *fold {
	zxid := func(name string) zab.Zxid {
		return zab.MakeZxid(zab.Epoch(rapid.IntRange(0, 3).Draw(t, name)), uint64(rapid.IntRange(0, 3).Draw(t, name)))
	}
	f := &fold{accepted: zab.Epoch(rapid.IntRange(0, 3).Draw(t, "accepted"))}
	f.current = zab.Epoch(rapid.IntRange(0, int(f.accepted)).Draw(t, "current"))
	f.branch = newBranch(zxid("base"))
	if rapid.Bool().Draw(t, "installing") {
		b := newBranch(zxid("aside"))
		f.aside = &b
	}
	for range rapid.IntRange(0, 4).Draw(t, "txns") {
		if z := zxid("txn"); f.newest().last().Precedes(z) {
			f.newest().add(z, place{})
		}
	}
	return f
}

// TestFoldIsATable: any record meets exactly one row, and one that is refused changes nothing.
func TestFoldIsATable(t *testing.T) {
	used := map[string]bool{}
	rapid.Check(t, func(t *rapid.T) {
		for range 20 {
			f := drawFold(t)
			r := record{kind: uint8(rapid.IntRange(1, len(steps)-1).Draw(t, "kind"))}
			r.value = uint64(zab.MakeZxid(zab.Epoch(rapid.IntRange(0, 4).Draw(t, "e")), uint64(rapid.IntRange(0, 4).Draw(t, "c"))))
			if r.kind == uint8(zab.RecordAcceptedEpoch) || r.kind == uint8(zab.RecordCurrentEpoch) {
				r.value = rapid.SampledFrom([]uint64{0, 1, 2, 3, 4, 1 << 30}).Draw(t, "epoch")
			}
			var names []string
			for _, s := range steps[r.kind] {
				if s.when(f, &r) {
					names = append(names, s.name)
				}
			}
			require.Len(t, names, 1, "%+v %+v", f, r)
			used[names[0]] = true
			last, newest, before := f.branch.last(), f.newest().last(), *f
			if f.apply(&r, place{}) != nil {
				require.Equal(t, last, f.branch.last())
				require.Equal(t, newest, f.newest().last())
				require.Equal(t, before.accepted, f.accepted)
				require.Equal(t, before.current, f.current)
			}
			require.LessOrEqual(t, f.current, f.accepted)
		}
	})
	rows := 0
	for _, s := range steps {
		rows += len(s)
	}
	require.Len(t, used, rows, "rows that no record met: %v", used)
	require.Error(t, new(fold).apply(&record{kind: 200}, place{}))
	require.Error(t, new(fold).apply(&record{}, place{}))
}

// TestBranchAgainstList runs the table of epochs against a plain list of zxids.
func TestBranchAgainstList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := zab.MakeZxid(zab.Epoch(rapid.IntRange(0, 2).Draw(t, "e")), uint64(rapid.IntRange(1, 3).Draw(t, "c")))
		b, list := newBranch(base), []zab.Zxid{base}
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			last := list[len(list)-1]
			switch rapid.IntRange(0, 6).Draw(t, "step") {
			case 0:
				z := rapid.SampledFrom(list).Draw(t, "to")
				b.truncate(z)
				for list[len(list)-1] > z {
					list = list[:len(list)-1]
				}
			case 1:
				z := rapid.SampledFrom(list).Draw(t, "horizon")
				b.rebase(z)
				for list[0] < z {
					list = list[1:]
				}
				b.horizon = max(b.horizon, z)
			case 2:
				z := zab.MakeZxid(last.Epoch()+zab.Epoch(rapid.IntRange(1, 2).Draw(t, "epochs")), 1)
				b.add(z, place{})
				list = append(list, z)
			default:
				b.add(last+1, place{})
				list = append(list, last+1)
			}
			require.Equal(t, list[len(list)-1], b.last())
			require.Equal(t, len(list)-1, b.count(list[0]))
		}
		for e := range zab.Epoch(70) {
			for c := range uint64(40) {
				z := zab.MakeZxid(e, c)
				in := false
				for _, m := range list {
					in = in || m == z
				}
				require.Equal(t, in, b.contains(z), "%v in %v", z, list)
			}
		}
	})
}
