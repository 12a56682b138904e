package tree_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/transport/wire"
	"quoll/tree"
)

func childrenOf(v *tree.View, n tree.NodeID) (names []string) {
	v.EachChild(n, func(name []byte) { names = append(names, string(name)) })
	slices.Sort(names)
	return names
}

// Those who ask at one zxid share a view, it shows the children of then, and the last one ends it.
func TestViewsAreShared(t *testing.T) {
	s := newServer(tree.Options{})
	require.Equal(t, wire.OK, s.create("/a", nil))
	require.Equal(t, wire.OK, s.create("/a/x", []byte("data")))
	require.Equal(t, wire.OK, s.create("/a/y", nil))
	a, _ := s.Lookup([]byte("/a"))
	var views tree.Views
	first, second := views.Take(s.Tree), views.Take(s.Tree)
	require.Same(t, first, second)
	require.Equal(t, wire.OK, s.do(op{op: wire.OpDelete, path: "/a/x", version: -1}))
	require.Equal(t, wire.OK, s.create("/a/z", nil))
	third := views.Take(s.Tree)
	require.Equal(t, 2, s.LiveViews())
	require.Equal(t, []string{"x", "y"}, childrenOf(first, a))
	require.Equal(t, []string{"y", "z"}, childrenOf(third, a))
	views.Drop(first)
	require.Equal(t, []string{"x", "y"}, childrenOf(second, a))
	views.Drop(second)
	views.Drop(third)
	require.Zero(t, s.LiveViews())
	views.Drop(views.Take(s.Tree))
	require.Zero(t, s.LiveViews())
}
