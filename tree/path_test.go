package tree_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quoll/tree"
)

func TestValidatePath(t *testing.T) {
	valid := []string{
		"/", "/a", "/a/b", "/...", "/.a", "/a.", "/a..b", "/..a/b", "/a/...", "/ a", "/a\u00a0",
		"/ε", "/\u2028", "/\ud7ff", "/\uf900", "/\uffef", "/zookeeper/config", "/a/0000000004",
	}
	invalid := []string{
		"", "a", "a/", "//", "/a/", "//a", "/a//b", "/.", "/..", "/a/.", "/a/./b", "/a/..", "/../a",
		"/\x00", "/a\x01", "/a\x1f", "/\x7f", "/\u0080", "/\u009f", "/\ue000", "/\uf8ff", "/\ufff0",
		"/\uffff", "/\U0001F600", "/\U00010000", "/\xff", "/a\xc3", "/\xed\xa0\x80", "/\xc0\xaf",
	}
	for _, path := range valid {
		require.True(t, tree.ValidatePath([]byte(path)), "%q", path)
	}
	for _, path := range invalid {
		require.False(t, tree.ValidatePath([]byte(path)), "%q", path)
	}
}

// modelValidate is the rule as the protocol states it: over UTF-16 code units, part by part.
func modelValidate(path string) bool {
	if !utf8.ValidString(path) || !strings.HasPrefix(path, "/") {
		return false
	}
	for _, unit := range utf16.Encode([]rune(path)) {
		if unit <= 0x1F || unit >= 0x7F && unit <= 0x9F || unit >= 0xD800 && unit <= 0xF8FF || unit >= 0xFFF0 {
			return false
		}
	}
	if path == "/" {
		return true
	}
	for part := range strings.SplitSeq(path[1:], "/") {
		if slices.Contains([]string{"", ".", ".."}, part) {
			return false
		}
	}
	return true
}

func TestValidatePathModel(t *testing.T) {
	piece := rapid.OneOf(
		rapid.SampledFrom([]string{"/", ".", "..", "a", "/.", "\x7f", "\u0080", "\u00a0", "\ud7ff", "\uf8ff", "\uf900", "\U00010000"}),
		rapid.Map(rapid.Rune(), func(r rune) string { return string(r) }),
		rapid.Map(rapid.Byte(), func(b byte) string { return string([]byte{b}) }),
	)
	rapid.Check(t, func(t *rapid.T) {
		path := "/" + strings.Join(rapid.SliceOfN(piece, 0, 8).Draw(t, "pieces"), "")
		require.Equal(t, modelValidate(path), tree.ValidatePath([]byte(path)), "%q", path)
	})
}

func FuzzValidatePath(f *testing.F) {
	for _, seed := range []string{"/", "/a/b", "//", "/.", "/a/..", "/ε", "/\U0001F600", "/\xff", ""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, path []byte) {
		valid := tree.ValidatePath(path)
		require.Equal(t, modelValidate(string(path)), valid)
		if !valid {
			return
		}
		require.True(t, tree.CheckPath(path))
		parent, _ := tree.Split(path)
		require.True(t, tree.ValidatePath(parent), "the parent of a path is a path")
	})
}

func TestCheckPath(t *testing.T) {
	for path, want := range map[string]bool{
		"": false, "a": false, "/": true, "a/b": true, "/x/": true, "/a\x00": false, "/\x01": true,
	} {
		require.Equal(t, want, tree.CheckPath([]byte(path)), "%q", path)
	}
}

func TestSplit(t *testing.T) {
	for path, want := range map[string][2]string{
		"/":     {"/", ""},
		"/a":    {"/", "a"},
		"/a/b":  {"/a", "b"},
		"/a/":   {"/a", ""},
		"//a":   {"/", "a"}, // as ZooKeeper's substring does; ValidatePath refuses it later
		"a/b":   {"a", "b"},
		"/a/b/": {"/a/b", ""},
	} {
		parent, name := tree.Split([]byte(path))
		require.Equal(t, want, [2]string{string(parent), string(name)}, "%q", path)
		require.Equal(t, parent, tree.Parent([]byte(path)))
	}
}

func TestReserved(t *testing.T) {
	for _, path := range []string{"/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"} {
		require.True(t, tree.Reserved([]byte(path)), path)
	}
	for _, path := range []string{"", "/zookeepe", "/zookeeper/", "/zookeeper/quota/a", "/zookeeper/foo"} {
		require.False(t, tree.Reserved([]byte(path)), path)
	}
}

func TestPathAllocatesNothing(t *testing.T) {
	path := []byte("/zookeeper/quota/ε/0000000004")
	require.Zero(t, testing.AllocsPerRun(100, func() {
		tree.ValidatePath(path)
		tree.CheckPath(path)
		tree.Split(path)
		tree.Reserved(path)
	}))
}
