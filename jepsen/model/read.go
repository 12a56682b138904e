package model

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"quoll/jepsen/history"
	"quoll/transport/wire"
	"quoll/zab"
)

// Read answers a request that changes nothing, as the server answers it that has applied exactly
// what this tree has. Lists of children are sorted. The answers to watches are not the tree's:
// asking for one is a bug of the caller.
func (t *Tree) Read(session zab.SessionID, auth []zab.AuthID, op *history.Op) history.Result {
	switch op.Kind {
	case wire.OpSync:
		return history.Result{Path: op.Path}
	case wire.OpGetEphemerals:
		return history.Result{Children: t.ephemerals(session, op.Path)}
	case wire.OpMultiRead:
		return t.multiRead(session, auth, op.Ops)
	case wire.OpExists:
		if strings.Contains(op.Path, "\x00") {
			return failed(wire.BadArguments)
		}
	case wire.OpGetData, wire.OpGetACL, wire.OpGetChildren, wire.OpGetChildren2, wire.OpGetAllChildrenNumber:
	default:
		panic(fmt.Sprintf("model: a tree does not answer %v", op.Kind))
	}
	perms := wire.PermRead
	if op.Kind == wire.OpGetACL {
		perms |= wire.PermAdmin // either will do
	}
	n, ok := t.find(op.Path)
	if !ok {
		return failed(wire.NoNode)
	}
	if !Allows(n.acl, perms, auth) {
		return failed(wire.NoAuth)
	}
	switch op.Kind {
	case wire.OpGetData:
		return history.Result{Data: n.data, Stat: n.stat()}
	case wire.OpGetACL:
		return history.Result{ACL: redact(n.acl, auth), Stat: n.stat()}
	case wire.OpGetChildren:
		return history.Result{Children: t.children(op.Path)}
	case wire.OpGetChildren2:
		return history.Result{Children: t.children(op.Path), Stat: n.stat()}
	case wire.OpGetAllChildrenNumber:
		return history.Result{Count: t.descendants(op.Path)}
	default: // exists
		return history.Result{Stat: n.stat()}
	}
}

// find looks a path up as a read does: without a check, and with "" as another name of the root.
func (t *Tree) find(path string) (znode, bool) {
	if path == "" {
		path = "/"
	}
	n, ok := t.znodes[path]
	return n, ok
}

// multiRead answers each op for itself, but no other kinds of op than the two (protocol 3.6).
func (t *Tree) multiRead(session zab.SessionID, auth []zab.AuthID, ops []history.Op) history.Result {
	res := history.Result{Results: make([]history.Result, len(ops))}
	for i := range ops {
		kind := ops[i].Kind
		if kind != wire.OpGetData && kind != wire.OpGetChildren {
			return failed(wire.MarshallingError)
		}
		one := t.Read(session, auth, &ops[i])
		if one.Kind = kind; one.Code != wire.OK {
			one.Kind = wire.OpError
		}
		res.Results[i] = one
	}
	return res
}

// children returns the sorted names of a znode's children.
func (t *Tree) children(path string) []string {
	names, prefix := []string{}, below(path)
	for p := range t.znodes {
		if name, ok := strings.CutPrefix(p, prefix); ok && name != "" && !strings.Contains(name, "/") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// descendants returns the number of znodes below path.
func (t *Tree) descendants(path string) (n int32) {
	prefix := below(path)
	for p := range t.znodes {
		if p != "/" && strings.HasPrefix(p, prefix) {
			n++
		}
	}
	return n
}

// ephemerals returns the sorted paths of a session's ephemerals that start with prefix, which is
// text and no path: it may end within a name. A blank one, and the root, are all (protocol 3.3).
func (t *Tree) ephemerals(session zab.SessionID, prefix string) []string {
	if all := strings.TrimSpace(prefix); all == "" || all == "/" {
		prefix = ""
	}
	paths := []string{}
	for _, path := range slices.Sorted(maps.Keys(t.znodes)) {
		if n := t.znodes[path]; n.life == ephemeral && n.owner == session && strings.HasPrefix(path, prefix) {
			paths = append(paths, path)
		}
	}
	return paths
}
