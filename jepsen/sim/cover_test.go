package sim

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/zab"
)

// A batch must see every kind of fault that there is.
func TestEveryFaultIsRequired(t *testing.T) {
	for name := range acts { // any order: each by itself
		require.Contains(t, Required, "fault: "+name)
	}
}

// neverLeft are causes that no batch can see, and why.
var neverLeft = map[zab.Cause]string{
	zab.LeaderRefused: "every leader of a run keeps to the protocol, and I-CONN fails when one is refused; zab/testdata breaks it",
}

// A batch must see every cause for which a server gives its role up.
func TestEveryCauseIsRequired(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../../zab/role.go", nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	causes := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); !ok || kind.Name != "Cause" {
			return true
		}
		text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		require.NoError(t, err)
		causes++
		if neverLeft[zab.Cause(text)] == "" {
			require.Contains(t, Required, "left: "+text)
		}
		return true
	})
	require.GreaterOrEqual(t, causes, 8)
}

// What is required of a batch is what its limits permit: a single server synchronizes nobody.
func TestRequiredWithinLimits(t *testing.T) {
	required := func(l Limits) []string { return l.Required() }
	all := required(Limits{})
	require.Equal(t, Required, all)
	require.Equal(t, all, required(Limits{Voters: [2]int{3, 5}, Observers: -1}))
	require.Contains(t, all, "sync: SNAP")

	two := required(Limits{Voters: [2]int{1, 2}})
	require.NotContains(t, two, "sync: SNAP")
	require.Contains(t, two, "sync: DIFF")
	one := required(Limits{Voters: [2]int{1, 1}})
	require.NotContains(t, one, "sync: DIFF")
	require.Contains(t, one, "fault: kill")
	require.Subset(t, two, one)
	require.Empty(t, required(Limits{Faults: []string{"kill"}}))
	require.Empty(t, required(Limits{Workload: "bank"}))
}
