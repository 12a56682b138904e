package quoll_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// layer is one line of the import policy: what the files of a package may import of ours. A name
// that ends in .go is a pattern for files of the root instead; the first layer that matches a
// file counts. "." is the root.
type layer struct {
	files string
	may   string
	pure  bool // no clock, disk, socket, lock, goroutine, randomness, or module of others
}

// layers is the architecture. Relax a line only with a reason in the commit that does it; add a
// line with the package that it is for, since a line without one is a fault.
var layers = []layer{
	{"zab", "", true},
	{"election", "zab", true},
	{"transport/jute", "", true},
	{"transport/wire", "transport/jute zab", true},
	{"tree/slab", "", true},
	{"tree", "transport/jute transport/wire tree/slab zab", true},
	{"session", "transport/wire tree tree/slab zab", true},
	{"peer.go", "election session transport/wire tree zab", true},
	{"peer_*.go", "election session transport/jute transport/wire tree zab", true},

	{"log/vfs", "", false},
	{"log", "log/vfs zab", false},
	{"transport", "election transport/jute transport/wire zab", false},
	{"transport/client", "transport/jute transport/wire zab", false},
	{"transport/admin", "", false},
	{".", "election log log/vfs session transport transport/admin transport/wire tree zab", false},
	{"cmd/quoll", ". cmd/internal/idle cmd/internal/measure cmd/internal/null cmd/internal/table jepsen/campaign jepsen/cluster jepsen/driver jepsen/nemesis jepsen/report jepsen/sim jepsen/workload log log/vfs transport/client transport/wire tree zab", false},

	{"cmd/etcdload", "cmd/internal/measure", false},
	{"cmd/internal/flat", "session transport/jute transport/wire tree zab", false},
	{"cmd/internal/idle", "transport/jute transport/wire zab", false},
	{"cmd/internal/measure", "", false},
	{"cmd/internal/null", "transport/jute transport/wire zab", false},
	{"cmd/internal/table", "cmd/internal/measure", false},

	{"zab/zabtest", "election zab", false},
	{"jepsen/check", "jepsen/history jepsen/model transport/wire zab", false},
	{"jepsen/sim", ". election jepsen/check jepsen/history jepsen/model jepsen/workload log log/vfs session " +
		"transport/jute transport/wire tree zab zab/zabtest", false},
	{"jepsen/workload", "jepsen/history transport/wire zab", false},
	{"jepsen/cluster", "jepsen/network transport/client", false},
	{"jepsen/network", "", false},
	{"jepsen/nemesis", "jepsen/network", false},
	{"jepsen/driver", "jepsen/history jepsen/workload transport/jute transport/wire zab", false},
	{"jepsen/campaign", "jepsen/check jepsen/cluster jepsen/driver jepsen/history jepsen/nemesis jepsen/network " +
		"jepsen/report jepsen/workload transport/client transport/wire zab", false},
	{"jepsen/report", "", false},
	{"jepsen/compat", "", false},
	{"jepsen/mutants", "", false},
	{"jepsen/mutants/run", "jepsen/mutants", false},
	{"jepsen/defects", "jepsen/mutants", false},
	{"jepsen/defects/run", "jepsen/campaign jepsen/check jepsen/defects jepsen/mutants", false},
	{"jepsen/history", "transport/jute transport/wire zab", false},
	{"jepsen/model", "jepsen/history transport/wire zab", false},
}

// impure are the standard packages that pure code does without.
var impure = strings.Fields("context crypto/rand log log/slog math/rand math/rand/v2 net os sync sync/atomic time unsafe")

// The import graph is as drawn above, and the core is pure.
func TestArchitecture(t *testing.T) {
	a := architecture{layers: layers}
	require.NoError(t, fs.WalkDir(os.DirFS("."), ".", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && file != "." && strings.HasPrefix(d.Name(), "."), d.IsDir() && d.Name() == "build":
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go"):
			return nil
		}
		source, err := os.ReadFile(file)
		a.check(file, source)
		return err
	}))
	a.finish()
	require.Empty(t, a.faults)
}

// architecture gathers the faults of files against layers.
type architecture struct {
	layers []layer
	used   map[string]bool
	faults []string
}

func (a *architecture) fault(parts ...string) { a.faults = append(a.faults, strings.Join(parts, " ")) }

func (a *architecture) check(file string, source []byte) {
	i := slices.IndexFunc(a.layers, func(l layer) bool { return l.holds(file) })
	if i < 0 {
		a.fault(file, "has no line in layers")
		return
	}
	l := a.layers[i]
	if a.used == nil {
		a.used = map[string]bool{}
	}
	a.used[l.files] = true
	f, err := parser.ParseFile(token.NewFileSet(), file, source, parser.SkipObjectResolution)
	if err != nil {
		a.fault(err.Error())
		return
	}
	for _, spec := range f.Imports {
		name, _ := strconv.Unquote(spec.Path.Value)
		if fault := l.judge(name); fault != "" {
			a.fault(file, fault, name)
		}
	}
	if !l.pure {
		return
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if _, ok := n.(*ast.GoStmt); ok {
			a.fault(file, "is pure and starts a goroutine")
		}
		return true
	})
}

// finish adds the lines that are about nothing.
func (a *architecture) finish() {
	for _, l := range a.layers {
		if !a.used[l.files] {
			a.fault("layers:", l.files, "does not exist")
		}
	}
}

// holds reports whether file belongs to the layer.
func (l layer) holds(file string) bool {
	if strings.HasSuffix(l.files, ".go") {
		matches, _ := path.Match(l.files, file)
		return matches
	}
	return path.Dir(file) == l.files
}

// judge returns what is wrong with an import, or nothing.
func (l layer) judge(name string) string {
	root, rest, nested := strings.Cut(name, "/")
	switch {
	case root == "quoll" && !nested && slices.Contains(strings.Fields(l.may), "."):
	case root == "quoll" && slices.Contains(strings.Fields(l.may), rest):
	case root == "quoll":
		return "must not import"
	case l.pure && strings.Contains(root, "."):
		return "is pure and imports"
	case l.pure && slices.Contains(impure, name):
		return "is pure and imports"
	}
	return ""
}

// The check above sees what it is there to see.
func TestArchitectureFaults(t *testing.T) {
	a := architecture{layers: []layer{
		{"core", "", true}, {"peer_*.go", "core", true}, {".", "core", false}, {"cmd", ". core", false}, {"gone", "", false},
	}}
	for file, source := range map[string]string{
		"core/a.go": "package core\nimport (\n\"quoll\"\n\"time\"\n\"net/netip\"\n\"example.org/x\"\n)\nfunc f() { go f() }",
		"peer_a.go": "package quoll\nimport (\n\"quoll/core\"\n\"quoll/cmd\"\n\"sync\"\n)",
		"a.go":      "package quoll\nimport (\n\"quoll/core\"\n\"time\"\n\"example.org/x\"\n)\nfunc f() { go f() }",
		"cmd/a.go":  "package main\nimport (\n\"quoll\"\n\"quoll/core\"\n\"quoll/core/inner\"\n)",
		"new/a.go":  "package new",
		"b.go":      "not Go",
	} {
		a.check(file, []byte(source))
	}
	a.finish()
	slices.Sort(a.faults)
	require.Equal(t, []string{
		"b.go:1:1: expected 'package', found not",
		"cmd/a.go must not import quoll/core/inner",
		"core/a.go is pure and imports example.org/x",
		"core/a.go is pure and imports time",
		"core/a.go is pure and starts a goroutine",
		"core/a.go must not import quoll",
		"layers: gone does not exist",
		"new/a.go has no line in layers",
		"peer_a.go is pure and imports sync",
		"peer_a.go must not import quoll/cmd",
	}, a.faults)
}
