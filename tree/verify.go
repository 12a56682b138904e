package tree

import (
	"fmt"

	"quoll/tree/slab"
)

// Verify recomputes from the znodes and the sessions all that Apply keeps up to date: the digest,
// the counts, every link and list, the index, what of the memory is in use. It is for tests, the
// simulator and inspection; it takes about as long as a restore.
func (t *Tree) Verify() error {
	v := verifier{tree: t, refs: make([]uint32, len(t.acls.refs)), owned: map[sessionID]tally{}}
	if err := v.walk(); err != nil {
		return fmt.Errorf("tree: at %v: %w", t.applied, err)
	}
	if err := v.checkSessions(); err != nil {
		return fmt.Errorf("tree: at %v: %w", t.applied, err)
	}
	if err := v.checkTotals(); err != nil {
		return fmt.Errorf("tree: at %v: %w", t.applied, err)
	}
	return nil
}

// verifier counts what a walk over the tree finds.
type verifier struct {
	tree     *Tree
	sum      uint64
	count    int
	dataSize int64
	blocks   int
	kins     int
	special  int
	refs     []uint32
	owned    map[sessionID]tally
}

type tally struct{ ephemerals, bytes uint32 }

// frame is a znode whose children are being walked.
type frame struct {
	id      NodeID
	path    uint64
	pathLen int
}

func (v *verifier) walk() error {
	t := v.tree
	stack := []frame{{id: rootID, path: seedRoot}}
	v.dataSize = 1 // "/", which is "" in front of every other path
	for len(stack) > 0 {
		f := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		n := t.at(f.id)
		if err := v.visit(f, n); err != nil {
			return fmt.Errorf("znode %q: %w", t.AppendPath(f.id, nil), err)
		}
		children, prev := int32(0), NodeID(0)
		k := t.kin(n)
		for id := k.firstChild(); id != 0; id = t.at(id).next {
			child := t.at(id)
			if child.parent != f.id || child.prev != prev {
				return fmt.Errorf("znode %q: child %d hangs on %d behind %d", t.AppendPath(f.id, nil), id, child.parent, child.prev)
			}
			name := t.name(child)
			stack = append(stack, frame{id: id, path: slab.Hash(f.path, name), pathLen: f.pathLen + 1 + len(name)})
			children++
			prev = id
		}
		if children != k.numChildren() {
			return fmt.Errorf("znode %q: %d children on its list, %d counted", t.AppendPath(f.id, nil), children, k.numChildren())
		}
	}
	return nil
}

func (v *verifier) visit(f frame, n *node) error {
	t := v.tree
	v.sum += t.terms(f.path, n)
	v.count++
	v.dataSize += int64(f.pathLen + n.dataBytes())
	v.refs[n.acl]++
	if n.block != 0 {
		v.blocks++
	}
	if f.id != rootID && t.child(n.parent, t.name(n)) != f.id {
		return fmt.Errorf("the index does not lead to it")
	}
	k := t.kin(n)
	if n.kin != 0 {
		v.kins++
	}
	switch kindOf(k.owner) {
	case ephemeral:
		i, ok := t.sessions.byID[k.owner]
		if !ok {
			return fmt.Errorf("its session %#x does not exist", uint64(k.owner))
		}
		c := v.owned[i]
		v.owned[i] = tally{c.ephemerals + 1, c.bytes + uint32(pathBytes(f.pathLen))}
	case container, expiring:
		v.special++
		if t.reapable.words[f.id/64]&(1<<(f.id%64)) == 0 {
			return fmt.Errorf("the reaper does not know it")
		}
	case persistent:
	}
	return nil
}

func (v *verifier) checkSessions() error {
	t := v.tree
	live := 0
	for i := sessionID(1); i < t.sessions.slots.Len(); i++ {
		s := t.sessions.slots.At(i)
		if s.id == 0 {
			continue
		}
		live++
		v.sum += sessionTerm(s)
		if t.sessions.byID[s.id] != i {
			return fmt.Errorf("session %#x is not indexed", uint64(s.id))
		}
		listed, prev := uint32(0), NodeID(0)
		for id := s.first; id != 0; id = t.kin(t.at(id)).first {
			if k := t.kin(t.at(id)); k.owner != s.id || NodeID(k.children) != prev {
				return fmt.Errorf("session %#x: its list is broken at %d", uint64(s.id), id)
			}
			listed++
			prev = id
		}
		if found := v.owned[i]; found != (tally{s.ephemerals, s.bytes}) || listed != s.ephemerals {
			return fmt.Errorf("session %#x: counts %d ephemerals of %d bytes, lists %d, owns %d of %d bytes",
				uint64(s.id), s.ephemerals, s.bytes, listed, found.ephemerals, found.bytes)
		}
	}
	if live != len(t.sessions.byID) {
		return fmt.Errorf("%d sessions, %d indexed", live, len(t.sessions.byID))
	}
	return nil
}

func (v *verifier) checkTotals() error {
	t := v.tree
	ephemerals, free, freeKins, special, lists := 0, 0, 0, 0, 0
	for _, c := range v.owned {
		ephemerals += int(c.ephemerals)
	}
	for id := t.free; id != 0; id = t.at(id).next {
		free++
	}
	for slot := t.freeKins; slot != 0; slot = uint32(t.kins.At(slot).first) {
		freeKins++
	}
	for _, word := range t.reapable.words {
		for ; word != 0; word &= word - 1 {
			special++
		}
	}
	for id, refs := range v.refs {
		if refs != t.acls.refs[id] {
			return fmt.Errorf("access control list %d: %d znodes have it, %d counted", id, refs, t.acls.refs[id])
		}
		if refs != 0 {
			lists++
		}
	}
	for _, c := range []struct {
		what        string
		found, kept uint64
	}{
		{"digest sum", v.sum, t.sum},
		{"znodes", uint64(v.count), uint64(t.count)},
		{"bytes", uint64(v.dataSize), uint64(t.dataSize)},
		{"ephemerals", uint64(ephemerals), uint64(t.ephemerals)},
		{"slots", uint64(v.count + free), uint64(t.nodes.Len() - 1)},
		{"slots of kin", uint64(v.kins + freeKins), uint64(t.kins.Len() - 1)},
		{"indexed znodes", uint64(v.count - 1), uint64(t.index.Len())},
		{"blocks", uint64(v.blocks), uint64(t.arena.Used())},
		{"containers and znodes with a time to live", uint64(v.special), uint64(special)},
		{"access control lists", uint64(lists), uint64(len(t.acls.byRaw))},
	} {
		if c.found != c.kept {
			return fmt.Errorf("%s: found %d, kept %d", c.what, c.found, c.kept)
		}
	}
	return nil
}
