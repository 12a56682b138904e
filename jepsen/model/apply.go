package model

import (
	"fmt"
	"math"
	"slices"

	"quoll/jepsen/history"
	"quoll/transport/wire"
)

// Change is what a commit did to one znode, for those who watch. That the children of its parent
// changed follows from Created and Deleted. The lists say who may hear of it (protocol 7.3): that
// of the znode, of the deleted one as it was, and that of the parent for its children.
type Change struct {
	Type      wire.EventType // Created, Deleted or DataChanged
	Path      string
	ACL       []wire.ACL
	ParentACL []wire.ACL // of Created and Deleted
}

// Apply executes a request at its place in the committed sequence and returns its answer, and what
// it did, in order. A request that fails changes nothing, but takes its zxid. Zxids must ascend, or
// it panics. Of c.Code only SessionMoved counts, nobody but the leader of the time can know, and
// SystemError: the limits of servers are not those of the service, and the model has none.
func (t *Tree) Apply(c *history.Commit) (history.Result, []Change) {
	if c.Zxid <= t.applied {
		panic(fmt.Sprintf("model: commit %v behind %v", c.Zxid, t.applied))
	}
	t.applied = c.Zxid
	if c.Code == wire.SessionMoved {
		return failed(wire.SessionMoved), nil
	}
	if c.Code == wire.SystemError && c.Op.Kind.IsWrite() {
		return failed(wire.SystemError), nil
	}
	w := write{tree: t, commit: c}
	switch c.Op.Kind {
	case wire.OpCreateSession:
		return w.createSession(), nil
	case wire.OpCloseSession:
		w.closeSession()
		return history.Result{}, w.changes
	case wire.OpMulti:
		return w.multi(), w.changes
	case wire.OpReconfig:
		return failed(wire.ReconfigDisabled), nil
	case wire.OpCheck: // only within a multi
		return failed(wire.Unimplemented), nil
	default:
		return w.do(&c.Op), w.changes
	}
}

// write is the execution of one commit.
type write struct {
	tree    *Tree
	commit  *history.Commit
	changes []Change
	undo    []undo // of all that it changed, oldest first
}

// undo is a path and what was there before; a nil znode was not there.
type undo struct {
	path string
	old  *znode
}

func failed(code wire.Code) history.Result { return history.Result{Code: code} }

// do executes one op, alone or in a multi. The checks stand in the order in which ZooKeeper makes
// them (protocol 4.2), and nothing changes before the last has passed.
func (w *write) do(op *history.Op) history.Result {
	switch op.Kind {
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL:
		return w.create(op)
	case wire.OpDelete:
		return w.delete(op)
	case wire.OpDeleteContainer:
		return w.deleteContainer(op)
	case wire.OpSetData:
		return w.setData(op)
	case wire.OpSetACL:
		return w.setACL(op)
	case wire.OpCheck:
		_, code := w.existing(op, wire.PermRead)
		return failed(code)
	default:
		return failed(wire.Unimplemented)
	}
}

// multi executes all of its ops or none. Each sees what those before it did (protocol 3.5).
func (w *write) multi() history.Result {
	ops := w.commit.Op.Ops
	for i := range ops {
		if !belongsInMulti(&ops[i]) {
			return failed(wire.MarshallingError)
		}
	}
	res := history.Result{Results: make([]history.Result, len(ops))}
	for i := range ops {
		one := failed(wire.SystemError)
		if i != w.commit.Refused-1 {
			one = w.do(&ops[i])
		}
		if one.Code != wire.OK {
			w.rollback()
			for j := range ops {
				res.Results[j] = history.Result{Kind: wire.OpError}
				if j > i {
					res.Results[j].Code = wire.RuntimeInconsistency
				}
			}
			res.Results[i].Code = one.Code
			return res
		}
		switch one.Kind = ops[i].Kind; one.Kind {
		case wire.OpCreateContainer, wire.OpCreateTTL:
			one.Kind = wire.OpCreate2
		default:
		}
		res.Results[i] = one
	}
	return res
}

// belongsInMulti reports whether a multi may hold the op. If not, the multi as a whole cannot be
// read; so it is with flags that only a createTTL can have, which then judges them as its own.
func belongsInMulti(op *history.Op) bool {
	switch op.Kind {
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer:
		return op.Mode >= wire.Persistent && op.Mode <= wire.Container
	case wire.OpCreateTTL, wire.OpDelete, wire.OpSetData, wire.OpCheck:
		return true
	default:
		return false
	}
}

// alive reports whether the session of the request may write.
func (w *write) alive() bool {
	_, ok := w.tree.sessions[w.commit.Session]
	return ok
}

func (w *write) create(op *history.Op) history.Result {
	n, code := w.newborn(op)
	if code != wire.OK {
		return failed(code)
	}
	if !w.alive() {
		return failed(wire.SessionExpired)
	}
	if !plausible(op.Path) {
		return failed(wire.BadArguments)
	}
	acl, ok := fixUp(op.ACL, w.commit.Auth)
	if !ok {
		return failed(wire.InvalidACL)
	}
	parent, ok := w.tree.znodes[parentOf(op.Path)]
	if !ok {
		return failed(wire.NoNode)
	}
	if !Allows(parent.acl, wire.PermCreate, w.commit.Auth) {
		return failed(wire.NoAuth)
	}
	path := op.Path
	switch op.Mode {
	case wire.PersistentSequential, wire.EphemeralSequential, wire.PersistentSequentialTTL:
		path = sequential(path, parent.creates)
	default:
	}
	if !validPath(path) {
		return failed(wire.BadArguments)
	}
	if _, ok = w.tree.znodes[path]; ok {
		return failed(wire.NodeExists)
	}
	if parent.life == ephemeral {
		return failed(wire.NoChildrenForEphemerals)
	}

	n.acl = acl
	w.put(path, n)
	parent.children++
	parent.pzxid = w.commit.Zxid
	if parent.creates < math.MaxInt32 { // then it sticks, and sequential names exist already
		parent.creates++
	}
	w.put(parentOf(path), parent)
	w.tell(wire.EventNodeCreated, path, n.acl, parent.acl)
	res := history.Result{Path: path}
	if op.Kind != wire.OpCreate {
		res.Stat = n.stat()
	}
	return res
}

// newborn is the znode that a create makes, all but its list, if its flags go with the op: the op
// decides for a container, the flags for an ephemeral, and for a TTL both must agree (3.3, 3.4).
func (w *write) newborn(op *history.Op) (znode, wire.Code) {
	c := w.commit
	n := znode{data: op.Data, czxid: c.Zxid, mzxid: c.Zxid, pzxid: c.Zxid, ctimeMs: c.TimeMs, mtimeMs: c.TimeMs}
	if op.Mode < wire.Persistent || op.Mode > wire.PersistentSequentialTTL {
		return n, wire.BadArguments
	}
	hasTTL := op.Mode == wire.PersistentTTL || op.Mode == wire.PersistentSequentialTTL
	if hasTTL != (op.Kind == wire.OpCreateTTL) {
		return n, wire.BadArguments
	}
	const maxTTLMs = 1_099_511_627_775
	switch {
	case hasTTL:
		if op.TTLMs <= 0 || op.TTLMs > maxTTLMs {
			return n, wire.BadArguments
		}
		n.life, n.ttlMs = expiring, op.TTLMs
	case op.Kind == wire.OpCreateContainer:
		n.life = container
	case op.Mode == wire.Ephemeral || op.Mode == wire.EphemeralSequential:
		n.life, n.owner = ephemeral, c.Session
	}
	return n, wire.OK
}

func (w *write) delete(op *history.Op) history.Result {
	if !w.alive() {
		return failed(wire.SessionExpired)
	}
	if !plausible(op.Path) || undeletable(op.Path) {
		return failed(wire.BadArguments)
	}
	parent, ok := w.tree.znodes[parentOf(op.Path)]
	if !ok {
		return failed(wire.NoNode)
	}
	if !Allows(parent.acl, wire.PermDelete, w.commit.Auth) {
		return failed(wire.NoAuth)
	}
	n, ok := w.tree.znodes[op.Path]
	switch {
	case !ok:
		return failed(wire.NoNode)
	case op.Version != wire.AnyVersion && op.Version != n.version:
		return failed(wire.BadVersion)
	case n.children > 0:
		return failed(wire.NotEmpty)
	}
	w.remove(op.Path)
	return history.Result{}
}

// deleteContainer is the leader's own, in no session's name and past every list. It is judged
// again when its turn comes, for the znode may have changed since it was found (protocol 10). How
// long a container that never had a child may stay is the leader's to decide; here it must only not
// be brand-new.
func (w *write) deleteContainer(op *history.Op) history.Result {
	if w.commit.Session != 0 {
		return failed(wire.Unimplemented)
	}
	if !plausible(op.Path) || undeletable(op.Path) {
		return failed(wire.BadArguments)
	}
	n, ok := w.tree.znodes[op.Path]
	idleMs := w.commit.TimeMs - n.mtimeMs
	switch {
	case !ok:
		return failed(wire.NoNode)
	case n.children > 0:
		return failed(wire.NotEmpty)
	case n.life == container && (n.creates > 0 || idleMs > 1), n.life == expiring && idleMs > n.ttlMs:
		w.remove(op.Path)
		return history.Result{}
	default:
		return failed(wire.BadVersion)
	}
}

// existing makes the checks of an op on one znode, that on its version for setACL excepted.
func (w *write) existing(op *history.Op, perm wire.Perm) (znode, wire.Code) {
	if !w.alive() {
		return znode{}, wire.SessionExpired
	}
	if !validPath(op.Path) {
		return znode{}, wire.BadArguments
	}
	if op.Kind == wire.OpSetACL {
		if _, ok := fixUp(op.ACL, w.commit.Auth); !ok {
			return znode{}, wire.InvalidACL
		}
	}
	n, ok := w.tree.znodes[op.Path]
	if !ok {
		return n, wire.NoNode
	}
	if !Allows(n.acl, perm, w.commit.Auth) {
		return n, wire.NoAuth
	}
	version := n.version
	if op.Kind == wire.OpSetACL {
		version = n.aversion
	}
	if op.Version != wire.AnyVersion && op.Version != version {
		return n, wire.BadVersion
	}
	return n, wire.OK
}

func (w *write) setData(op *history.Op) history.Result {
	n, code := w.existing(op, wire.PermWrite)
	if code != wire.OK {
		return failed(code)
	}
	n.data, n.version = op.Data, next(n.version)
	n.mzxid, n.mtimeMs = w.commit.Zxid, w.commit.TimeMs
	w.put(op.Path, n)
	w.tell(wire.EventNodeDataChanged, op.Path, n.acl, nil)
	return history.Result{Stat: n.stat()}
}

// setACL tells nobody, and leaves no trace in the stat but aversion (protocol 17).
func (w *write) setACL(op *history.Op) history.Result {
	n, code := w.existing(op, wire.PermAdmin)
	if code != wire.OK {
		return failed(code)
	}
	n.acl, _ = fixUp(op.ACL, w.commit.Auth)
	n.aversion = next(n.aversion)
	w.put(op.Path, n)
	return history.Result{Stat: n.stat()}
}

// next counts a version up. It wraps, and steps over -1, which means any (protocol 5.1).
func next(version int32) int32 {
	version++
	if version == wire.AnyVersion {
		version = 0
	}
	return version
}

// createSession opens a session. An id that another has, or that would mean a container or a time
// to live as an owner (protocol 5.2), cannot be one.
func (w *write) createSession() history.Result {
	c := w.commit
	const ttlOwners = 0xff
	if w.alive() || c.Session == 0 || c.Session == math.MinInt64 || uint64(c.Session)>>56 == ttlOwners {
		return failed(wire.SystemError)
	}
	w.tree.sessions[c.Session] = c.Op.TimeoutMs
	return history.Result{}
}

// closeSession ends a session and its ephemerals, in the order of their paths. One that is over is
// closed again without effect: its client and its expiry may both have asked.
func (w *write) closeSession() {
	for _, path := range w.tree.ephemerals(w.commit.Session, "") {
		w.remove(path)
	}
	delete(w.tree.sessions, w.commit.Session)
}

// remove takes out a znode without children.
func (w *write) remove(path string) {
	n, parent := w.tree.znodes[path], w.tree.znodes[parentOf(path)]
	w.save(path)
	delete(w.tree.znodes, path)
	parent.children--
	parent.pzxid = w.commit.Zxid
	w.put(parentOf(path), parent)
	w.tell(wire.EventNodeDeleted, path, n.acl, parent.acl)
}

func (w *write) put(path string, n znode) {
	w.save(path)
	w.tree.znodes[path] = n
}

func (w *write) tell(e wire.EventType, path string, acl, parentACL []wire.ACL) {
	w.changes = append(w.changes, Change{Type: e, Path: path, ACL: acl, ParentACL: parentACL})
}

// save notes what is at path, for a rollback. Only a multi can have one.
func (w *write) save(path string) {
	if w.commit.Op.Kind != wire.OpMulti {
		return
	}
	u := undo{path: path}
	if n, ok := w.tree.znodes[path]; ok {
		u.old = &n
	}
	w.undo = append(w.undo, u)
}

// rollback takes back all that was done.
func (w *write) rollback() {
	for _, u := range slices.Backward(w.undo) {
		if u.old == nil {
			delete(w.tree.znodes, u.path)
		} else {
			w.tree.znodes[u.path] = *u.old
		}
	}
	w.undo, w.changes = nil, nil
}
