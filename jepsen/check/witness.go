package check

import (
	"cmp"
	"math"
	"slices"

	"github.com/anishathalye/porcupine"

	"quoll/transport/wire"
)

// witness is an order under way: known operations by their zxids, and in front of each such without an
// answer as it needs. It goes back over what it took for needed, for a while.
type witness struct {
	known []porcupine.Operation
	open  []porcupine.Operation
	used  []bool
	left  int // steps that may still be tried
}

const (
	witnessSteps = 50_000
	witnessMost  = 5 // operations without an answer in front of one that is known
)

// witnessed reports whether the order of the zxids is one that explains a part: each write at its own, each
// read behind the write of its header's. It is only a guess, and a failure says nothing; but what it
// finds has passed real time and the specification, so that no search is needed. A write without
// an answer has its zxid from a read that shows its work.
func (p *part) witnessed(took map[int]version) bool {
	w := witness{left: witnessSteps}
	type placed struct {
		porcupine.Operation
		zxid int64
		turn int
	}
	var known []placed
	for i, o := range p.ops {
		in := o.Input.(access)
		v, shown := took[p.indices[i]]
		switch {
		case !in.Known() && !shown:
			w.open = append(w.open, o)
		case !in.Known():
			known = append(known, placed{o, v.zxid, 0})
		case in.Op.IsWrite() && acknowledged(in.Operation):
			known = append(known, placed{o, in.Zxid, 0})
		default:
			known = append(known, placed{o, in.Zxid, 1})
		}
	}
	slices.SortStableFunc(known, func(a, b placed) int {
		return cmp.Or(cmp.Compare(a.zxid, b.zxid), cmp.Compare(a.turn, b.turn), cmp.Compare(a.Call, b.Call))
	})
	for i := range known {
		w.known = append(w.known, known[i].Operation)
	}
	slices.SortStableFunc(w.open, func(a, b porcupine.Operation) int {
		return cmp.Or(cmp.Compare(picky(a), picky(b)), cmp.Compare(a.Call, b.Call))
	})
	w.used = make([]bool, len(w.open))
	return w.put(0, znode{}, math.MinInt64, 0)
}

// picky orders operations without an answer: first those that are good for less.
func picky(o porcupine.Operation) int {
	in := o.Input.(access)
	n := 0
	if in.data != "" {
		n += 2 // what was shown may be needed later
	}
	if in.Op.Version == wire.AnyVersion {
		n++
	}
	return n
}

// put continues the order with the i-th known operation, behind so many others that were put in front of
// it. What is put must not have returned before something in front of it was called.
func (w *witness) put(i int, state znode, called int64, extra int) bool {
	if w.left--; i == len(w.known) {
		return true
	}
	o := w.known[i]
	if w.left < 0 || o.Return <= called {
		return false
	}
	in := o.Input.(access)
	ok, next := step(state, in)
	if !in.Known() {
		var code wire.Code
		code, next = state.write(&in)
		ok = code == wire.OK
	}
	if ok && w.put(i+1, next, max(called, o.Call), 0) {
		return true
	}
	var tried [numAlike]bool
	for k := range w.open {
		u := w.open[k].Input.(access)
		kind := u.alike()
		if extra == witnessMost || w.used[k] || w.open[k].Call >= o.Return || kind < numAlike && tried[kind] {
			continue
		}
		if kind < numAlike {
			tried[kind] = true
		}
		code, next := state.write(&u)
		if code != wire.OK {
			continue
		}
		w.used[k] = true
		if w.put(i, next, max(called, w.open[k].Call), extra+1) {
			return true
		}
		w.used[k] = false
	}
	return false
}
