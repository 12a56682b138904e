package history

import (
	"slices"

	"quoll/transport/wire"
)

// Watches is what a client library remembers, to set its watches again on a new connection. The zero
// value is that of a new session.
type Watches struct {
	data, exist, child, persistent, recursive []string
}

// Remember notes the watch that an answered operation left.
func (w *Watches) Remember(o *Op, res *Result) {
	switch {
	case o.Kind == wire.OpAddWatch && res.Code == wire.OK:
		if o.WatchMode == wire.AddWatchPersistentRecursive {
			add(&w.recursive, o.Path)
		} else {
			add(&w.persistent, o.Path)
		}
	case !o.Watch:
	case o.Kind == wire.OpExists && res.Code == wire.NoNode:
		add(&w.exist, o.Path)
	case res.Code != wire.OK:
	case o.Kind == wire.OpExists, o.Kind == wire.OpGetData:
		add(&w.data, o.Path)
	case o.Kind == wire.OpGetChildren, o.Kind == wire.OpGetChildren2:
		add(&w.child, o.Path)
	}
}

// Fired forgets the one-shot watches of a path that an event has used up.
func (w *Watches) Fired(t wire.EventType, path string) {
	switch t {
	case wire.EventNodeCreated, wire.EventNodeDataChanged:
		drop(&w.data, path)
		drop(&w.exist, path)
	case wire.EventNodeDeleted:
		drop(&w.data, path)
		drop(&w.exist, path)
		drop(&w.child, path)
	case wire.EventNodeChildrenChanged:
		drop(&w.child, path)
	default:
	}
}

// Empty reports whether there is nothing to set again.
func (w *Watches) Empty() bool {
	return len(w.data)+len(w.exist)+len(w.child)+len(w.persistent)+len(w.recursive) == 0
}

// Again returns the operation that sets them again, for a client that has seen zxid.
func (w *Watches) Again(zxid int64) Op {
	return Op{Kind: wire.OpSetWatches2, Rewatch: &Rewatch{
		SinceZxid: zxid, Data: slices.Clone(w.data), Exist: slices.Clone(w.exist), Child: slices.Clone(w.child),
		Persistent: slices.Clone(w.persistent), Recurs: slices.Clone(w.recursive),
	}}
}

func add(list *[]string, path string) {
	if !slices.Contains(*list, path) {
		*list = append(*list, path)
	}
}

func drop(list *[]string, path string) {
	*list = slices.DeleteFunc(*list, func(p string) bool { return p == path })
}
