package tree

// Views hands out frozen views of a tree for readers that take longer than the tree can wait. Those who
// ask at the same zxid share one.
type Views struct {
	newest *View
	users  map[*View]int
}

// Take returns a View of t as it is. It may be called while t is read, not while it is written, and
// belongs to the caller until Drop.
func (v *Views) Take(t *Tree) *View {
	if v.newest == nil || v.newest.tree != t || v.newest.zxid != t.applied {
		v.newest = t.Freeze()
	}
	if v.users == nil {
		v.users = map[*View]int{}
	}
	v.users[v.newest]++
	return v.newest
}

// Drop gives a View back; the last of its users releases it. The same holds for it as for Take.
func (v *Views) Drop(view *View) {
	if v.users[view]--; v.users[view] > 0 {
		return
	}
	delete(v.users, view)
	if v.newest == view {
		v.newest = nil
	}
	view.Release()
}

// EachChild calls f with the names of a znode's children, as Tree.EachChild does. Any goroutine may call
// it while the tree changes. A name aliases the View.
func (v *View) EachChild(n NodeID, f func(name []byte)) {
	k := kinOf(&v.kins, v.nodes.At(uint32(n)))
	for id := k.firstChild(); id != 0; {
		child := v.nodes.At(uint32(id))
		f(v.blocks.Bytes(child.block, int(child.nameLen)))
		id = child.next
	}
}

// Live returns how many views are not given back by all of their users.
func (v *Views) Live() int { return len(v.users) }
