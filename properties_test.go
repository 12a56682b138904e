package quoll

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestParseProperties(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []property
	}{
		{"nothing", "", nil},
		{"separators", "a=1\nb: 2\nc 3\nd\t=\t4\ne", []property{{"a", "1", 1}, {"b", "2", 2}, {"c", "3", 3}, {"d", "4", 4}, {"e", "", 5}}},
		{"only the first separator", "a==b\nc = :d", []property{{"a", "=b", 1}, {"c", ":d", 2}}},
		{"white space around", " \t a = 1 \t\n\f b=2", []property{{"a", "1", 1}, {"b", "2", 2}}},
		{"comments", "# a=1\n  ! b=2\n\nc=3 # not a comment", []property{{"c", "3 # not a comment", 4}}},
		{"a comment does not continue", "# a \\\nb=2", []property{{"b", "2", 2}}},
		{"continuation", "a = 1,\\\n    2,\\\n  3\nb=4", []property{{"a", "1,2,3", 1}, {"b", "4", 4}}},
		{"an escaped backslash does not continue", "a=1\\\\\nb=2", []property{{"a", `1\`, 1}, {"b", "2", 2}}},
		{"continuation at the end", `a=1\`, []property{{"a", "1", 1}}},
		{"a comment sign in a continuation", "a=1\\\n#2", []property{{"a", "1#2", 1}}},
		{"line ends", "a=1\rb=2\r\nc=3\n", []property{{"a", "1", 1}, {"b", "2", 2}, {"c", "3", 3}}},
		{"escapes", `a\=b\:c\ d=\t1\\2\q\n3`, []property{{"a=b:c d", "1\\2q\n3", 1}}},
		{"unicode", `a=\u00e4\u20AC\uD83D\uDE00`, []property{{"a", "ä€😀", 1}}},
		{"half a surrogate pair", `a=\uD83Dx`, []property{{"a", "\ufffdx", 1}}},
		{"a pair that is none", `a=\uD83D\u0041`, []property{{"a", "\ufffdA", 1}}},
		{"UTF-8", "dataDir=/dätä", []property{{"dataDir", "/dätä", 1}}},
		{"byte order mark", "\ufeffa=1", []property{{"a", "1", 1}}},
		{"repeated keys", "a=1\na=2", []property{{"a", "1", 1}, {"a", "2", 2}}},
		{"an empty key", "=1", []property{{"", "1", 1}}},
	} {
		got, faults := parseProperties([]byte(c.text))
		require.Empty(t, faults, c.name)
		require.Equal(t, c.want, got, c.name)
	}
}

func TestParsePropertiesFaults(t *testing.T) {
	got, faults := parseProperties([]byte("a=1\ndataDir=C:\\users\nb\\u12=2\nc=3"))
	text := errUnicodeEscape.Error()
	require.Equal(t, []*ConfigError{{Line: 2, Text: text}, {Line: 3, Text: text}}, faults)
	require.Equal(t, []property{{"a", "1", 1}, {"c", "3", 4}}, got, "the other lines are read")
}

// escapeProperty writes any text so that it reads back as it is.
func escapeProperty(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case strings.ContainsRune("\\ \t\f=:#!", r):
			b.WriteString(`\` + string(r))
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04X`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		case r > 0x7e:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// What is written with every escape reads back, as ZooKeeper trims it.
func TestPropertiesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.StringMatching(`\PC{1,9}`).Draw(t, "key")
		value := rapid.String().Draw(t, "value")
		got, faults := parseProperties([]byte("# head\n" + escapeProperty(key) + " = " + escapeProperty(value) + "\nlast=1"))
		require.Empty(t, faults)
		require.Equal(t, []property{
			{strings.TrimSpace(key), strings.TrimSpace(value), 2},
			{"last", "1", 3},
		}, got)
	})
}

func FuzzParseProperties(f *testing.F) {
	f.Add("a=1\n#c\nb\\:c: \\u00e4\\\n x")
	f.Add("a\\\r\n\\")
	f.Add("\\u12")
	f.Fuzz(func(t *testing.T, text string) {
		got, _ := parseProperties([]byte(text))
		lines, last := len(naturalLines([]byte(text))), 0
		for _, p := range got {
			require.Greater(t, p.line, last)
			require.LessOrEqual(t, p.line, lines)
			last = p.line
			require.Equal(t, strings.TrimSpace(p.key), p.key)
			require.Equal(t, strings.TrimSpace(p.value), p.value)
		}
	})
}
