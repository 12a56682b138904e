package tree_test

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/tree"
	"quoll/zab"
)

// model is a second implementation, as dumb as can be: maps of paths, whole copies for a multi, no
// bytes. It is written from protocol.md sections 3.3-3.5, 4.2, 5, 8 and 9.3 alone.
type model struct {
	nodes    map[string]modelNode
	sessions map[zab.SessionID]modelSession
	extended bool
	maxTxn   int
	auth     []zab.AuthID // of the request being judged
}

type modelNode struct {
	data                []byte // nil: null
	acl                 []wire.ACL
	czxid, mzxid, pzxid zab.Zxid
	ctime, mtime        int64
	version, aversion   int32
	creates             int32
	kind                string // "", ephemeral, container, ttl
	session             zab.SessionID
	ttl                 int64
}

type modelSession struct {
	timeoutMs int32
	password  [16]byte
	last      zab.RequestID
}

// op is a request on a znode, before it is bytes.
type op struct {
	op      wire.Op
	path    string
	data    []byte
	acl     []wire.ACL
	flags   int32
	version int32
	ttl     int64
}

// outcome is what a request must lead to.
type outcome struct {
	code    wire.Code
	path    string
	stat    wire.Stat
	ops     []tree.OpResult
	changes []string // "created /a"
}

func newModel(extended bool, maxTxn int) *model {
	readOnly := []wire.ACL{{Perms: 1, Scheme: "world", ID: "anyone"}}
	return &model{
		extended: extended, maxTxn: maxTxn,
		sessions: map[zab.SessionID]modelSession{},
		nodes: map[string]modelNode{
			"/":                 {data: []byte{}, acl: wire.OpenACL},
			"/zookeeper":        {data: []byte{}, acl: wire.OpenACL},
			"/zookeeper/quota":  {data: []byte{}, acl: wire.OpenACL},
			"/zookeeper/config": {data: []byte{}, acl: readOnly, aversion: -1},
		},
	}
}

func (m *model) clone() *model {
	c := *m
	c.nodes, c.sessions = maps.Clone(m.nodes), maps.Clone(m.sessions)
	return &c
}

func parentOf(path string) string {
	if i := strings.LastIndexByte(path, '/'); i > 0 {
		return path[:i]
	}
	return "/"
}

func (m *model) children(path string) []string {
	var names []string
	for p := range m.nodes {
		if p != "/" && parentOf(p) == path {
			names = append(names, p[strings.LastIndexByte(p, '/')+1:])
		}
	}
	slices.Sort(names)
	return names
}

func (m *model) stat(path string) wire.Stat {
	n := m.nodes[path]
	children := int32(len(m.children(path)))
	s := wire.Stat{
		Czxid: n.czxid, Mzxid: n.mzxid, Pzxid: n.pzxid, Ctime: n.ctime, Mtime: n.mtime,
		Version: n.version, Aversion: n.aversion, Cversion: 2*n.creates - children,
		DataLength: int32(len(n.data)), NumChildren: children,
	}
	if n.kind == "ephemeral" {
		s.EphemeralOwner = n.session
	}
	return s
}

func (m *model) permits(acl []wire.ACL, perm wire.Perm) bool {
	for _, entry := range acl {
		if entry.Perms&perm == 0 {
			continue
		}
		if entry.Scheme == "world" || slices.Contains(m.auth, zab.AuthID{Scheme: entry.Scheme, ID: entry.ID}) {
			return true
		}
	}
	return slices.ContainsFunc(m.auth, func(id zab.AuthID) bool { return id.Scheme == "super" })
}

func (m *model) fixUp(acls []wire.ACL) ([]wire.ACL, bool) {
	var fixed []wire.ACL
	for i, entry := range acls {
		if slices.Contains(acls[:i], entry) {
			continue
		}
		switch entry.Scheme {
		case "world", "digest":
			fixed = append(fixed, entry)
		case "auth":
			before := len(fixed)
			for _, id := range m.auth {
				if id.Scheme == "digest" {
					fixed = append(fixed, wire.ACL{Perms: entry.Perms, Scheme: "digest", ID: id.ID})
				}
			}
			if len(fixed) == before {
				return nil, false
			}
		default:
			return nil, false
		}
	}
	return fixed, len(fixed) > 0
}

// closeSize is the size of the txn that would close a session: header, code, count, paths.
func (m *model) closeSize(id zab.SessionID) int {
	size := 48
	for path, n := range m.nodes {
		if n.kind == "ephemeral" && n.session == id {
			size += 4 + len(path)
		}
	}
	return size
}

func validModelPath(path string) bool {
	if path == "/" {
		return true
	}
	if !strings.HasPrefix(path, "/") {
		return false
	}
	for name := range strings.SplitSeq(path[1:], "/") {
		if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "\x00\x01\x7f") {
			return false
		}
	}
	return true
}

func (m *model) apply(o op, session zab.SessionID, zxid zab.Zxid, now int64) outcome {
	switch o.op {
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL:
		return m.create(o, session, zxid, now)
	case wire.OpDelete:
		return m.delete(o, session, zxid)
	case wire.OpDeleteContainer:
		return m.reap(o, zxid, now)
	default:
		return m.visit(o, session, zxid, now)
	}
}

// visit judges setData, setACL and check.
func (m *model) visit(o op, session zab.SessionID, zxid zab.Zxid, now int64) outcome {
	if _, ok := m.sessions[session]; !ok {
		return outcome{code: wire.SessionExpired}
	}
	if !validModelPath(o.path) {
		return outcome{code: wire.BadArguments}
	}
	acl, ok := m.fixUp(o.acl)
	if o.op == wire.OpSetACL && !ok {
		return outcome{code: wire.InvalidACL}
	}
	n, ok := m.nodes[o.path]
	if !ok {
		return outcome{code: wire.NoNode}
	}
	perm := map[wire.Op]wire.Perm{wire.OpSetData: 2, wire.OpSetACL: 16, wire.OpCheck: 1}[o.op]
	if !m.permits(n.acl, perm) {
		return outcome{code: wire.NoAuth}
	}
	version := &n.version
	if o.op == wire.OpSetACL {
		version = &n.aversion
	}
	if o.version != -1 && o.version != *version {
		return outcome{code: wire.BadVersion}
	}
	if o.op == wire.OpCheck {
		return outcome{path: o.path}
	}
	if *version++; *version == -1 {
		*version = 0
	}
	var changes []string
	if o.op == wire.OpSetACL {
		n.acl = acl
	} else {
		n.data, n.mzxid, n.mtime = o.data, zxid, now
		changes = []string{"changed " + o.path}
	}
	m.nodes[o.path] = n
	return outcome{path: o.path, stat: m.stat(o.path), changes: changes}
}

func (m *model) create(o op, session zab.SessionID, zxid zab.Zxid, now int64) outcome {
	n := modelNode{data: o.data, czxid: zxid, mzxid: zxid, pzxid: zxid, ctime: now, mtime: now}
	switch {
	case o.flags < 0 || o.flags > 6:
		return outcome{code: wire.BadArguments}
	case o.flags >= 5 && !m.extended:
		return outcome{code: wire.Unimplemented}
	case (o.flags >= 5) != (o.op == wire.OpCreateTTL), o.flags >= 5 && (o.ttl <= 0 || o.ttl > 1099511627775):
		return outcome{code: wire.BadArguments}
	case o.op == wire.OpCreateTTL:
		n.kind, n.ttl = "ttl", o.ttl
	case o.op == wire.OpCreateContainer:
		n.kind = "container"
	case o.flags == 1 || o.flags == 3:
		n.kind, n.session = "ephemeral", session
	}
	if _, ok := m.sessions[session]; !ok {
		return outcome{code: wire.SessionExpired}
	}
	if !strings.Contains(o.path, "/") || strings.Contains(o.path, "\x00") {
		return outcome{code: wire.BadArguments}
	}
	var ok bool
	if n.acl, ok = m.fixUp(o.acl); !ok {
		return outcome{code: wire.InvalidACL}
	}
	parentPath := o.path[:strings.LastIndexByte(o.path, '/')]
	if parentPath == "" {
		parentPath = "/"
	}
	parent, ok := m.nodes[parentPath]
	if !ok {
		return outcome{code: wire.NoNode}
	}
	if !m.permits(parent.acl, 4) {
		return outcome{code: wire.NoAuth}
	}
	path := o.path
	if o.flags == 2 || o.flags == 3 || o.flags == 6 {
		path += fmt.Sprintf("%010d", parent.creates)
	}
	if !validModelPath(path) {
		return outcome{code: wire.BadArguments}
	}
	if _, ok := m.nodes[path]; ok {
		return outcome{code: wire.NodeExists}
	}
	if parent.kind == "ephemeral" {
		return outcome{code: wire.NoChildrenForEphemerals}
	}
	m.nodes[path] = n
	if n.kind == "ephemeral" && m.closeSize(session) > m.maxTxn {
		delete(m.nodes, path)
		return outcome{code: wire.SystemError}
	}
	if parent.creates < math.MaxInt32 {
		parent.creates++
	}
	parent.pzxid = zxid
	m.nodes[parentPath] = parent
	return outcome{path: path, stat: m.stat(path), changes: []string{"created " + path}}
}

func (m *model) delete(o op, session zab.SessionID, zxid zab.Zxid) outcome {
	if _, ok := m.sessions[session]; !ok {
		return outcome{code: wire.SessionExpired}
	}
	special := []string{"/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"}
	if !strings.Contains(o.path, "/") || strings.Contains(o.path, "\x00") || slices.Contains(special, o.path) {
		return outcome{code: wire.BadArguments}
	}
	parent, ok := m.nodes[parentOf(o.path)]
	if !ok {
		return outcome{code: wire.NoNode}
	}
	if !m.permits(parent.acl, 8) {
		return outcome{code: wire.NoAuth}
	}
	n, ok := m.nodes[o.path]
	if !ok {
		return outcome{code: wire.NoNode}
	}
	if o.version != -1 && o.version != n.version {
		return outcome{code: wire.BadVersion}
	}
	if len(m.children(o.path)) > 0 {
		return outcome{code: wire.NotEmpty}
	}
	return outcome{path: o.path, changes: m.drop(o.path, zxid)}
}

func (m *model) drop(path string, zxid zab.Zxid) []string {
	delete(m.nodes, path)
	parent := m.nodes[parentOf(path)]
	parent.pzxid = zxid
	m.nodes[parentOf(path)] = parent
	return []string{"deleted " + path}
}

// reap judges a znode again that the reaper once saw.
func (m *model) reap(o op, zxid zab.Zxid, now int64) outcome {
	n, ok := m.nodes[o.path]
	switch {
	case slices.Contains([]string{"/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"}, o.path), !strings.Contains(o.path, "/"):
		return outcome{code: wire.BadArguments}
	case !ok:
		return outcome{code: wire.NoNode}
	case len(m.children(o.path)) > 0:
		return outcome{code: wire.NotEmpty}
	case n.kind == "ttl" && now-n.mtime > n.ttl, n.kind == "container" && (n.creates > 0 || now-n.mtime > 1):
		return outcome{path: o.path, changes: m.drop(o.path, zxid)}
	}
	return outcome{code: wire.BadVersion}
}

func (m *model) multi(ops []op, session zab.SessionID, zxid zab.Zxid, now int64) outcome {
	all := outcome{ops: []tree.OpResult{}}
	for _, o := range ops {
		wrongFlags := o.op != wire.OpCreateTTL && (o.flags < 0 || o.flags > 4) // of a createTTL they are that op's own fault
		if wrongFlags || o.op == wire.OpSetACL || o.op == wire.OpDeleteContainer {
			return outcome{code: wire.MarshallingError}
		}
	}
	trial := m.clone()
	for i, o := range ops {
		got := trial.apply(o, session, zxid, now)
		if got.code != wire.OK {
			failed := outcome{}
			for j := range ops {
				code := wire.OK
				if j == i {
					code = got.code
				} else if j > i {
					code = wire.RuntimeInconsistency
				}
				failed.ops = append(failed.ops, tree.OpResult{Op: wire.OpError, Code: code})
			}
			return failed
		}
		result := tree.OpResult{Op: o.op, Path: []byte(got.path), Stat: got.stat}
		if o.op == wire.OpCreateContainer || o.op == wire.OpCreateTTL {
			result.Op = wire.OpCreate2
		}
		all.ops = append(all.ops, result)
		all.changes = append(all.changes, got.changes...)
	}
	m.nodes = trial.nodes
	return all
}

func (m *model) closeSession(id zab.SessionID, zxid zab.Zxid) outcome {
	var o outcome
	for _, path := range slices.Sorted(maps.Keys(m.nodes)) {
		if n := m.nodes[path]; n.kind == "ephemeral" && n.session == id {
			o.changes = append(o.changes, m.drop(path, zxid)...)
		}
	}
	delete(m.sessions, id)
	return o
}

// body is the client's record of o.
func (o op) body() []byte {
	b := jute.AppendString(nil, o.path)
	switch o.op {
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL:
		b = jute.AppendBuffer(b, o.data)
		b = wire.AppendACLs(b, o.acl)
		b = jute.AppendInt(b, o.flags)
		if o.op == wire.OpCreateTTL {
			b = jute.AppendLong(b, o.ttl)
		}
	case wire.OpSetData:
		b = jute.AppendBuffer(b, o.data)
		b = jute.AppendInt(b, o.version)
	case wire.OpSetACL:
		b = wire.AppendACLs(b, o.acl)
		b = jute.AppendInt(b, o.version)
	case wire.OpDelete, wire.OpCheck:
		b = jute.AppendInt(b, o.version)
	default: // only a path
	}
	return b
}

func multiBody(ops []op) []byte {
	var b []byte
	for _, o := range ops {
		b = jute.AppendInt(jute.AppendBool(jute.AppendInt(b, int32(o.op)), false), -1)
		b = append(b, o.body()...)
	}
	return jute.AppendInt(jute.AppendBool(jute.AppendInt(b, -1), true), -1)
}

// walk prints all that clients can see of a tree, sorted.
func walk(t *tree.Tree) string {
	var lines []string
	var visit func(path string)
	visit = func(path string) {
		id, ok := t.Lookup([]byte(path))
		if !ok || string(t.AppendPath(id, nil)) != path {
			lines = append(lines, "lost "+path)
			return
		}
		lines = append(lines, line(path, t.Stat(id), t.Data(id), t.ACL(id)))
		t.EachChild(id, func(name []byte) bool {
			visit(strings.TrimSuffix(path, "/") + "/" + string(name))
			return true
		})
	}
	visit("/")
	slices.Sort(lines)
	t.EachSession(func(s *tree.Session) bool {
		var paths []string
		t.EachEphemeral(s.ID, func(path []byte) bool {
			paths = append(paths, string(path))
			return true
		})
		slices.Sort(paths)
		lines = append(lines, fmt.Sprintf("%x %d %x %v %d %v", s.ID, s.TimeoutMs, s.Password, s.Last, s.EphemeralBytes, paths))
		return true
	})
	return strings.Join(lines, "\n") + fmt.Sprintf("\n%d %d %d", t.NodeCount(), t.DataSize(), t.EphemeralCount())
}

func line(path string, stat wire.Stat, data []byte, acl []wire.ACL) string {
	return fmt.Sprintf("%q %+v %q null=%v %v", path, stat, data, data == nil, acl)
}

func (m *model) walk() string {
	var lines []string
	size, ephemerals := 1, 0
	owned := map[zab.SessionID][]string{}
	for _, path := range slices.Sorted(maps.Keys(m.nodes)) {
		n := m.nodes[path]
		lines = append(lines, line(path, m.stat(path), n.data, n.acl))
		size += len(n.data)
		if path != "/" {
			size += len(path)
		}
		if n.kind == "ephemeral" {
			ephemerals++
			owned[n.session] = append(owned[n.session], path)
		}
	}
	slices.Sort(lines)
	for _, id := range slices.Sorted(maps.Keys(m.sessions)) {
		s := m.sessions[id]
		lines = append(lines, fmt.Sprintf("%x %d %x %v %d %v", id, s.timeoutMs, s.password, s.last, m.closeSize(id)-48, owned[id]))
	}
	return strings.Join(lines, "\n") + fmt.Sprintf("\n%d %d %d", len(m.nodes)+1, size, ephemerals)
}

// outcomeOf reads the same from a Result.
func outcomeOf(r *tree.Result) outcome {
	o := outcome{code: r.Code, path: string(r.Path), stat: r.Stat}
	if r.Op == wire.OpMulti && r.Code == wire.OK {
		o.ops = append([]tree.OpResult{}, r.Ops...)
		for i := range o.ops {
			o.ops[i].Path = bytes.Clone(o.ops[i].Path)
		}
	}
	for _, c := range r.Changes {
		verb := map[tree.ChangeType]string{tree.Created: "created ", tree.Deleted: "deleted ", tree.DataChanged: "changed "}[c.Type]
		o.changes = append(o.changes, verb+string(c.Path))
	}
	return o
}
