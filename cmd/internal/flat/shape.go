package main

import (
	"bytes"
	"fmt"
)

// shape says which znodes there are: leaves, and directories made before what is below them.
type shape interface {
	name() string
	path(leaf int) []byte
	// missing calls f with the directories above leaf that no leaf before it has.
	missing(leaf int, f func(path []byte))
	data(leaf int) []byte
}

var filler = make([]byte, 400)

// flatShape has 100 bytes in every znode.
type flatShape struct{}

const parents = 16

func (flatShape) name() string { return "100 bytes each, below 16 parents" }

func (flatShape) path(leaf int) []byte { return fmt.Appendf(nil, "/p%02d/n%08d", leaf%parents, leaf) }

func (s flatShape) missing(leaf int, f func(path []byte)) {
	if leaf < parents {
		f(parent(s.path(leaf)))
	}
}

func (flatShape) data(int) []byte { return filler[:100] }

// realShape is what users have that filled a server: long paths, 57 of 100 znodes with data, most
// families small and one with a tenth of all znodes.
type realShape struct{}

const (
	crowd  = "/everybody"
	levels = 7 // of families of eight
)

func (realShape) name() string {
	return "paths of 115 bytes, 57 of 100 with data, a tenth in one family, the others in families of eight"
}

func (realShape) path(leaf int) []byte {
	if leaf%10 == 0 {
		return fmt.Appendf(nil, crowd+"/%0104d", leaf)
	}
	leaf -= leaf/10 + 1 // the others, from 0
	b := make([]byte, 0, 128)
	for level := levels - 1; level >= 0; level-- {
		b = fmt.Appendf(b, "/%c%015x", 'a'+level, leaf>>(3*level))
	}
	return b
}

func (s realShape) missing(leaf int, f func(path []byte)) {
	path := s.path(leaf)
	if leaf == 0 {
		f(parent(path))
	}
	if leaf%10 == 0 {
		return
	}
	other := leaf - leaf/10 - 1
	for level := levels - 1; level > 0; level-- {
		if other%(1<<(3*level)) == 0 {
			f(path[:len(path)/levels*(levels-level)])
		}
	}
}

func (realShape) data(leaf int) []byte {
	mixed := uint32(leaf) * 2654435761
	if mixed>>8%100 >= 57 {
		return filler[:0]
	}
	return filler[:20+mixed>>16%300]
}

// parent is the path of the parent of path, which is not that of a child of the root.
func parent(path []byte) []byte { return path[:bytes.LastIndexByte(path, '/')] }
