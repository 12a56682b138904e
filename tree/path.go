package tree

import (
	"bytes"
	"unicode/utf8"
)

// The znodes that every tree has from its beginning. No txn creates them and none may delete them.
const (
	rootPath   = "/"
	zkPath     = "/zookeeper"
	quotaPath  = "/zookeeper/quota"
	configPath = "/zookeeper/config"
)

// ValidatePath reports whether path may name a znode: it starts with '/', does not end with one
// unless it is the root, has no empty component and none that is "." or "..", and no character
// that ZooKeeper forbids. A create is judged by its final path, sequence number included; until
// then only CheckPath holds.
func ValidatePath(path []byte) bool {
	if len(path) == 0 || path[0] != '/' {
		return false
	}
	if len(path) == 1 {
		return true
	}
	start := 1 // of the component being read
	for i := 1; i < len(path); {
		c := path[i]
		switch {
		case c == '/':
			if !validComponent(path[start:i]) {
				return false
			}
			i++
			start = i
		case c < utf8.RuneSelf:
			if c < 0x20 || c == 0x7F {
				return false
			}
			i++
		default:
			r, n := utf8.DecodeRune(path[i:])
			if !validRune(r) {
				return false
			}
			i += n
		}
	}
	return validComponent(path[start:])
}

func validComponent(name []byte) bool {
	switch len(name) {
	case 0:
		return false
	case 1:
		return name[0] != '.'
	case 2:
		return name[0] != '.' || name[1] != '.'
	}
	return true
}

// validRune judges a character outside ASCII. ZooKeeper looks at UTF-16 code units, so all that
// takes a pair of surrogates is forbidden, emoji among it. Bytes that are not UTF-8 decode to
// U+FFFD, in Java as in Go, and fall with the last block.
func validRune(r rune) bool {
	switch {
	case r <= 0x9F: // C1 controls
		return false
	case r >= 0xD800 && r <= 0xF8FF: // surrogates, private use
		return false
	case r >= 0xFFF0: // specials, and everything beyond the basic plane
		return false
	}
	return true
}

// CheckPath is the weaker check that comes first for every write, before the tree is looked at:
// the path has a '/' and no NUL. A failure is BadArguments, while a path that only ValidatePath
// refuses may meet NoNode or NoAuth first (protocol 4.2).
func CheckPath(path []byte) bool {
	return bytes.IndexByte(path, '/') >= 0 && bytes.IndexByte(path, 0) < 0
}

// Split cuts a path that passed CheckPath at its last '/'. The parent of "/a" is "/", and so is
// that of "/", whose name is empty. A name is also empty when path ends with '/': a sequential
// create may complete it. Both results alias path.
func Split(path []byte) (parent, name []byte) {
	i := bytes.LastIndexByte(path, '/')
	if i <= 0 {
		return path[:i+1], path[i+1:]
	}
	return path[:i], path[i+1:]
}

// Parent returns the parent of a path, aliasing it.
func Parent(path []byte) []byte {
	parent, _ := Split(path)
	return parent
}

// Reserved reports whether path is one of the znodes that nobody may delete.
func Reserved(path []byte) bool {
	switch string(path) {
	case rootPath, zkPath, quotaPath, configPath:
		return true
	}
	return false
}
