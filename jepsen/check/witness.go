package check

import (
	"cmp"
	"slices"

	"github.com/anishathalye/porcupine"

	"quoll/transport/wire"
)

// witnessed reports whether the order of the zxids is one that explains a part: each write at its own, each
// read behind the write of its header's. It is only a guess, and a failure says nothing; but what it
// finds has passed real time and the specification, so that no search is needed.
func (p *part) witnessed() bool {
	w := witness{}
	var known []porcupine.Operation
	for _, o := range p.ops {
		if o.Input.(access).Known() {
			known = append(known, o)
		} else {
			w.open = append(w.open, o)
		}
	}
	reads := func(o porcupine.Operation) int {
		if in := o.Input.(access); in.Op.IsWrite() && acknowledged(in.Operation) {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(known, func(a, b porcupine.Operation) int {
		return cmp.Or(cmp.Compare(a.Input.(access).Zxid, b.Input.(access).Zxid), cmp.Compare(reads(a), reads(b)), cmp.Compare(a.Call, b.Call))
	})
	// What nobody was shown is put first where it is needed: what was shown may be needed later.
	slices.SortStableFunc(w.open, func(a, b porcupine.Operation) int {
		return cmp.Or(cmp.Compare(min(len(a.Input.(access).data), 1), min(len(b.Input.(access).data), 1)), cmp.Compare(a.Call, b.Call))
	})
	w.used = make([]bool, len(w.open))
	for _, o := range known {
		if !w.put(o) {
			return false
		}
	}
	return true
}

// witness is an order under way.
type witness struct {
	state  znode
	called int64 // the latest call of what is in the order: what is put behind must not have returned by then
	open   []porcupine.Operation
	used   []bool
}

// put appends an operation, and in front of it such without an answer as it needs.
func (w *witness) put(o porcupine.Operation) bool {
	const most = 3
	for depth := range most + 1 {
		if w.fits(o, depth) {
			return true
		}
	}
	return false
}

func (w *witness) fits(o porcupine.Operation, depth int) bool {
	if o.Return <= w.called {
		return false
	}
	if depth == 0 {
		ok, next := step(w.state, o.Input.(access))
		if ok {
			w.state, w.called = next, max(w.called, o.Call)
		}
		return ok
	}
	before := *w
	var tried [numAlike]bool
	for i := range w.open {
		u := w.open[i].Input.(access)
		if w.used[i] || w.open[i].Call >= o.Return {
			continue
		}
		if kind := u.alike(); kind < numAlike {
			if tried[kind] {
				continue
			}
			tried[kind] = true
		}
		code, next := w.state.write(&u)
		if code != wire.OK {
			continue
		}
		w.state, w.called, w.used[i] = next, max(w.called, w.open[i].Call), true
		if w.fits(o, depth-1) {
			return true
		}
		w.state, w.called, w.used[i] = before.state, before.called, false
	}
	return false
}
