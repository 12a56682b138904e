package session

import "quoll/zab"

// CatchUpKind is a list of setWatches, by which a client brings its standard watches along to
// another connection.
type CatchUpKind uint8

// The lists. The persistent ones of setWatches2 are simply registered.
const (
	CatchUpData  CatchUpKind = iota // set by getData, or by exists on a znode that was there
	CatchUpExist                    // set by exists on a znode that was missing
	CatchUpChild                    // set by getChildren
)

// Mode returns the watch that is registered when nothing was missed.
func (k CatchUpKind) Mode() Mode {
	if k == CatchUpChild {
		return Child
	}
	return Data
}

// CatchUp decides what becomes of a watch that a client held while it was away: fire says that
// the event happened meanwhile and is sent at once; otherwise the watch is registered. since is
// the last zxid that the client saw; mzxid and pzxid are those of the znode, if it exists.
//
//	          missing        exists
//	data      NodeDeleted    NodeDataChanged if mzxid > since
//	exist     register       NodeCreated
//	child     NodeDeleted    NodeChildrenChanged if pzxid > since
func CatchUp(k CatchUpKind, exists bool, mzxid, pzxid, since zab.Zxid) (e EventType, fire bool) {
	switch {
	case k == CatchUpExist:
		return NodeCreated, exists
	case !exists:
		return NodeDeleted, true
	case k == CatchUpChild:
		return NodeChildrenChanged, pzxid > since
	default:
		return NodeDataChanged, mzxid > since
	}
}
