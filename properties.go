package quoll

import (
	"bytes"
	"cmp"
	"errors"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// property is one logical line of a properties file.
type property struct {
	key, value string
	line       int // where the logical line starts, from 1
}

var errUnicodeEscape = errors.New(`malformed \u escape: it needs four hexadecimal digits ` +
	`(a backslash in a path is written twice)`)

// parseProperties reads the syntax of java.util.Properties, in which zoo.cfg is written: comments
// that start with # or !, a backslash at the end of a line that joins it to the next, a key that
// ends at the first =, : or white space, and escapes in both halves. Keys and values are trimmed,
// as ZooKeeper does. Lines come in the order of the file, repeated keys included. Text is taken
// as UTF-8, where Java takes Latin-1 and so cannot name most directories. Lines that cannot be read
// are faults, without a File; the others are returned all the same.
func parseProperties(text []byte) (out []property, faults []*ConfigError) {
	lines := naturalLines(bytes.TrimPrefix(text, []byte("\ufeff")))
	for i := 0; i < len(lines); i++ {
		first := i
		logical := trimBlank(lines[i])
		if logical == "" || logical[0] == '#' || logical[0] == '!' {
			continue
		}
		for continues(logical) {
			logical = logical[:len(logical)-1]
			if i++; i >= len(lines) {
				break
			}
			logical += trimBlank(lines[i])
		}
		rawKey, rawValue := splitProperty(logical)
		key, keyErr := unescape(rawKey)
		value, valueErr := unescape(rawValue)
		if err := cmp.Or(keyErr, valueErr); err != nil {
			faults = append(faults, &ConfigError{Line: first + 1, Text: err.Error()})
			continue
		}
		out = append(out, property{strings.TrimSpace(key), strings.TrimSpace(value), first + 1})
	}
	return out, faults
}

// naturalLines splits at \n, \r and \r\n.
func naturalLines(text []byte) []string {
	s := strings.ReplaceAll(string(text), "\r\n", "\n")
	return strings.Split(strings.ReplaceAll(s, "\r", "\n"), "\n")
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\f' }

// trimBlank removes the white space in front of a line.
func trimBlank(s string) string { return strings.TrimLeft(s, " \t\f") }

// continues reports whether the line ends in a backslash that is not itself escaped.
func continues(s string) bool {
	n := len(s) - len(strings.TrimRight(s, `\`))
	return n%2 == 1
}

// splitProperty cuts a logical line behind its key. The separator is white space, or one = or :
// with white space around it.
func splitProperty(s string) (key, value string) {
	end := 0
	for end < len(s) && s[end] != '=' && s[end] != ':' && !isBlank(s[end]) {
		if s[end] == '\\' {
			end++ // whatever follows is part of the key
		}
		end++
	}
	end = min(end, len(s))
	value = trimBlank(s[end:])
	if value != "" && (value[0] == '=' || value[0] == ':') {
		value = trimBlank(value[1:])
	}
	return s[:end], value
}

var escapes = map[byte]byte{'t': '\t', 'n': '\n', 'r': '\r', 'f': '\f'}

// unescape resolves backslashes. Two \u escapes that form a surrogate pair are one character.
func unescape(s string) (string, error) {
	if !strings.Contains(s, `\`) {
		return s, nil
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b = append(b, s[i])
			continue
		}
		i++
		if i == len(s) {
			break
		}
		if s[i] != 'u' {
			if c, ok := escapes[s[i]]; ok {
				b = append(b, c)
			} else {
				b = append(b, s[i])
			}
			continue
		}
		r, err := unicodeEscape(s[i+1:])
		if err != nil {
			return "", err
		}
		i += 4
		if strings.HasPrefix(s[i+1:], `\u`) && utf16.IsSurrogate(r) {
			if low, err := unicodeEscape(s[i+3:]); err == nil {
				if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
					r = pair
					i += 6
				}
			}
		}
		b = utf8.AppendRune(b, r)
	}
	return string(b), nil
}

// unicodeEscape reads the four digits behind \u.
func unicodeEscape(s string) (rune, error) {
	if len(s) < 4 {
		return 0, errUnicodeEscape
	}
	n, err := strconv.ParseUint(s[:4], 16, 16)
	if err != nil {
		return 0, errUnicodeEscape
	}
	return rune(n), nil
}
