package check_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/jepsen/check"
	"quoll/jepsen/history"
)

// story is a history and the checks that it must fail, sorted; none for a good one.
type story struct {
	name string
	tell func(b *build)
	want []string
}

func fails(names ...string) []string { return names }

// stories are the tables of all the files here.
func stories() []story {
	return slices.Concat(orderStories, commitStories, sessionStories, recipeStories, watchStories, linearStories, aloneStories, watchAlone())
}

// Every bad history is caught by the checks that it names and by no other, and the good ones, of
// which many look bad, by none.
func TestStories(t *testing.T) {
	for _, s := range stories() {
		t.Run(s.name, func(t *testing.T) {
			b := newBuild()
			s.tell(b)
			caught := map[string]string{}
			for _, v := range check.All(b.done()) {
				require.False(t, v.Undecided, v.Text)
				require.NotEmpty(t, v.Text)
				require.False(t, v.At.IsZero(), v.Text)
				caught[v.Check] = v.Text
			}
			require.Equal(t, s.want, slices.Sorted(maps.Keys(caught)), "%v", caught)
			for name, text := range caught {
				t.Logf("%s: %s", name, text)
			}
		})
	}
}

// exported is every check by its name.
var exported = map[string]func(*history.History) []check.Violation{
	"C-LINW": check.Linearizable, "C-DUR": check.Durable, "C-ONCE": check.Once, "C-ZXIDORD": check.ZxidOrder,
	"C-FIFO": check.FIFO, "C-RYW": check.ReadYourWrites, "C-MONO": check.Monotonic, "C-READ": check.Reads,
	"C-SYNC": check.Sync, "C-WATCH1": check.WatchOrder, "C-WATCH2": check.WatchTruth, "C-WATCH3": check.WatchDelivery,
	"C-SESS": check.Sessions, "C-EPHLIFE": check.Ephemerals, "C-SEQ": check.Sequences, "C-MULTI": check.Multis,
	"C-LOCK": check.Locks,
}

// Each check is one function, says its own name, finds alone what it finds among all, and has
// histories that only it catches.
func TestEachCheckAlone(t *testing.T) {
	require.ElementsMatch(t, check.Names(), slices.Collect(maps.Keys(exported)))
	only := map[string]int{}
	for _, s := range stories() {
		if len(s.want) == 1 {
			only[s.want[0]]++
		}
		b := newBuild()
		s.tell(b)
		h := b.done()
		for name, run := range exported {
			found := run(h)
			require.Equal(t, slices.Contains(s.want, name), len(found) > 0, "%s in %q: %v", name, s.name, found)
			for _, v := range found {
				require.Equal(t, name, v.Check)
			}
		}
	}
	for name := range exported {
		require.Positive(t, only[name], "%s catches no history alone", name)
	}
}

// An empty history is a good one, and so is one of which nothing is known but the commits.
func TestEmptyHistory(t *testing.T) {
	require.Empty(t, check.All(&history.History{}))
	require.Empty(t, check.All(&history.History{Commits: []history.Commit{}}))
}

// What goes on failing is reported a few times only, in the order of time.
func TestReportsAreShort(t *testing.T) {
	b := newBuild()
	c := b.open(1)
	b.do(c, create("/a", "0"))
	for range 100 {
		b.Ops[b.do(c, get("/a"))].Result.Data = []byte("wrong")
	}
	found := check.All(b.done())
	require.Less(t, len(found), 30)
	require.Greater(t, len(found), 10)
	require.True(t, slices.IsSortedFunc(found, func(x, y check.Violation) int { return int(x.At.Seq - y.At.Seq) }))
}
