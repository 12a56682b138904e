package mutants_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/jepsen/mutants"
)

// source is a package of ours, and what the compiler made of each that it needs.
type source struct {
	ImportPath, Dir, Export string
	GoFiles, Imports        []string
}

// compiler type-checks the packages that mutants change and takes all else as the real compiler left
// it, so all of them together take less than building one.
type compiler struct {
	ours  []source // those that mutants change, each behind what it imports
	fset  *token.FileSet
	built types.Importer
	asts  map[string]*ast.File // by name from the root, of files as they are
}

func newCompiler(t *testing.T) *compiler {
	list := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles,Imports", ".")
	list.Dir = root
	out, err := list.Output()
	require.NoError(t, err)
	c := &compiler{fset: token.NewFileSet(), asts: map[string]*ast.File{}}
	exports := map[string]string{}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var s source
		if err = d.Decode(&s); errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		exports[s.ImportPath] = s.Export
		if name, _, _ := strings.Cut(s.ImportPath, "/"); name == "quoll" {
			c.ours = append(c.ours, s)
		}
	}
	c.built = importer.ForCompiler(c.fset, "gc", func(p string) (io.ReadCloser, error) { return os.Open(exports[p]) })
	return c
}

// mutated imports packages that a mutant changes before those that were built.
type mutated struct {
	fresh map[string]*types.Package
	built types.Importer
}

func (m mutated) Import(p string) (*types.Package, error) {
	if fresh := m.fresh[p]; fresh != nil {
		return fresh, nil
	}
	return m.built.Import(p)
}

// check returns the first error in the packages that files change. Those between them, which import
// what is changed, are only looked at for what they declare.
func (c *compiler) check(files map[string]string) error {
	m := mutated{map[string]*types.Package{}, c.built}
	left := len(files)
	for _, s := range c.ours {
		dir := strings.TrimPrefix(strings.TrimPrefix(s.ImportPath, "quoll"), "/")
		own := 0
		for _, name := range s.GoFiles {
			if _, ok := files[path.Join(dir, name)]; ok {
				own++
			}
		}
		imports := slices.ContainsFunc(s.Imports, func(p string) bool { return m.fresh[p] != nil })
		if own == 0 && (!imports || left == 0) {
			continue
		}
		left -= own
		asts, err := c.parse(dir, s.GoFiles, files)
		if err != nil {
			return err
		}
		cfg := types.Config{Importer: m, IgnoreFuncBodies: own == 0}
		if m.fresh[s.ImportPath], err = cfg.Check(s.ImportPath, c.fset, asts, nil); err != nil {
			return err
		}
	}
	if left > 0 {
		return fmt.Errorf("%d files are not part of the server", left)
	}
	return nil
}

func (c *compiler) parse(dir string, names []string, files map[string]string) (asts []*ast.File, err error) {
	for _, n := range names {
		name := path.Join(dir, n)
		a := c.asts[name]
		if text, ok := files[name]; ok {
			a, err = parser.ParseFile(c.fset, name, text, parser.SkipObjectResolution)
		} else if a == nil {
			a, err = parser.ParseFile(c.fset, filepath.Join(root, name), nil, parser.SkipObjectResolution)
			c.asts[name] = a
		}
		if err != nil {
			return nil, err
		}
		asts = append(asts, a)
	}
	return asts, nil
}

// Each mutant compiles.
func TestCompile(t *testing.T) {
	c := newCompiler(t)
	for _, m := range mutants.All() {
		files, err := m.Files(root)
		require.NoError(t, err)
		require.NoError(t, c.check(files), m.ID)
	}
	require.Error(t, c.check(map[string]string{"zab/tally.go": "package zab\n\nfunc f() { var unused int }\n"}))
	require.Error(t, c.check(map[string]string{"zab/peer_test.go": "package zab_test\n"}))
}
