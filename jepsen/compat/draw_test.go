//go:build zookeeper

package compat

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"

	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/zab"
)

// draw makes requests from a seed. They fall on few paths, so that they meet, and a good part of
// them is wrong in some way.
type draw struct {
	*rand.Rand
	xid    zab.Xid
	zxids  *zxidMap
	within bool // a multi
}

func pick[T any](d *draw, from ...T) T { return from[d.IntN(len(from))] }

// once in n times it is true.
func (d *draw) once(n int) bool { return d.IntN(n) == 0 }

// The paths of the test: those that are there at the start of a sequence, those that requests meet on, and those that no znode can have or that
// the server keeps for itself.
var (
	firstPaths = []string{"/a", "/b", "/c", "/a/b", "/a/c", "/a/b/c", "/.a"}
	plainPaths = []string{
		"/a", "/a", "/b", "/a/b", "/a/b", "/a/c", "/a/b/c", "/b/e", "/b/e/x", "/c", "/é\u2028", "/.a", "/...", "/a/b/c/d",
		"/a/s0000000000", "/a/s0000000001", "/s-0000000003",
	}
	reservedPaths = []string{
		"/", "/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config", "/zookeeper/q", "/zookeeper/quota/b", "/zookeeper/config/c",
	}
	oddPaths = []string{
		"", "a", "a/b", "/a/", "//", "//a", "/a//b", "/.", "/..", "/a/.", "/a/./b", "/a/../b", "/\x00", "/a\x00", "/\x01", "/a/\x1f",
		"/\x7f", "/\u0080", "/\u009f", "/\u00a0", "/\ud7ff", "/\ue000", "/\uf8ff", "/\uf900", "/\uffef", "/\ufff0", "/\uffff", "/😀",
		"/a/😀/b", "/missing/", "/a/b/", " /a", "/a ", "/A", "/zookeeper/", "/zookeeper/quota/", "/zookeeper/config/", "\x00", "/a/\x00/b",
	}
	sequencePaths = []string{"/a/s", "/a/s", "/a/", "/s-", "/", "/b/", "/a/b/", "/b/e/", "//", "/a/.", "/zookeeper/"}
)

func (d *draw) path() []byte {
	switch n := d.IntN(100); {
	case n < 80:
		return []byte(pick(d, plainPaths...))
	case n < 90:
		return []byte(pick(d, reservedPaths...))
	case n < 99:
		return []byte(pick(d, oddPaths...))
	}
	return nil
}

// anyPath draws a path that is not null: deviations on null.
func (d *draw) anyPath() []byte {
	for {
		if path := d.path(); path != nil {
			return path
		}
	}
}

// paths draws a list for setWatches, with nothing null in it: deviation "null in setWatches".
func (d *draw) paths() [][]byte {
	all := [][]byte{}
	for range d.IntN(4) {
		all = append(all, d.anyPath())
	}
	return all
}

func (d *draw) data() []byte {
	switch d.IntN(6) {
	case 0:
		return nil
	case 1:
		return []byte{}
	}
	return fmt.Appendf(nil, "data %d", d.IntN(1000))[:d.IntN(6)]
}

func (d *draw) version() int32 {
	return pick[int32](d, -1, -1, -1, -1, 0, 0, 1, 1, 2, 3, 4, 100, -2, math.MinInt32, math.MaxInt32)
}

// The identities that sessions take on, and what a list may say about them.
const (
	superUser   = "super:test"
	superDigest = "super:D/InIHSb7yEEbrWz8b9l71RjZJU="
)

// digest returns the id of "user:password".
func digest(credentials string) string {
	user, _, _ := strings.Cut(credentials, ":")
	sum := sha1.Sum([]byte(credentials))
	return user + ":" + base64.StdEncoding.EncodeToString(sum[:])
}

var identities = []struct{ scheme, id string }{
	{"world", "anyone"},
	{"world", "anyone"},
	{"world", "anyone"},
	{"auth", ""},
	{"auth", "ignored"},
	{"digest", digest("u1:p")},
	{"digest", digest("u2:p")},
	{"ip", "127.0.0.1"},
	{"ip", "127.0.0.0/8"},
	{"ip", "10.0.0.1"},
	{"ip", "0.0.0.0/0"},
	{"ip", "::1"},
	{"ip", "::/0"},
}

var wrongIdentities = []struct{ scheme, id string }{
	{"world", ""},
	{"world", "Anyone"},
	{"World", "anyone"},
	{"digest", ""},
	{"digest", "u"},
	{"digest", "u:"},
	{"digest", ":"},
	{"digest", ":h"},
	{"digest", "u:h:x"},
	{"digest", "u:h:"},
	{"ip", ""},
	{"ip", "1.2.3"},
	{"ip", "1.2.3.4.5"},
	{"ip", "1.2.3.4/33"},
	{"ip", "1.2.3.4/-1"},
	{"ip", "1.2.3.4/"},
	{"ip", "1.2.3.4/8/8"},
	{"ip", "1.2.3.4/x"},
	{"ip", "256.1.1.1"},
	{"ip", "localhost"},
	{"ip", "::1/129"},
	{"ip", "1::2::3"},
	{"ip", "1.2.3.4/08"},
	{"ip", "1.2.3.4/+8"},
	{"ip", "1.2.3.4/ 8"},
	{"ip", "1.2.3.4/32"},
	{"ip", " 1.2.3.4"},
	{"ip", "::ffff:1.2.3.4"},
	{"ip", "::1%lo"},
	{"ip", "1.2.3.4%lo"},
	{"ip", "0x7f.0.0.1"},
	{"ip", "127.1"},
	{"ip", "::"},
	{"ip", "1:2:3:4:5:6:7:8"},
	{"ip", "1:2:3:4:5:6:7:8/128"},
	{"ip", "1:2:3:4:5:6:7:8:9"},
	{"ip", "1:2:3:4:5:6:7"},
	{"ip", "::g"},
	{"ip", "12345::"},
	{"ip", "00001::"},
	{"ip", "0001::"},
	{"ip", "/8"},
	{"ip", "/"},
	{"ip", ".1.2.3.4"},
	{"ip", "1.2.3.4."},
	{"ip", "1..3.4"},
	{"ip", ":::"},
	{"ip", "fe80::1/64"},
	{"super", ""},
	{"super", "x"},
	{"sasl", "u"},
	{"x509", "CN=u"},
	{"key", "k"},
	{"", ""},
	{"foo", "bar"},
}

func (d *draw) entry() entry {
	e := entry{perms: pick[int32](d, 31, 31, 31, 31, 1, 2, 3, 4, 7, 8, 15, 16, 17, 30, 0, 255, -1)}
	id := pick(d, identities...)
	if d.once(12) {
		id = pick(d, wrongIdentities...)
	}
	e.scheme, e.id = []byte(id.scheme), []byte(id.id)
	return e
}

func (d *draw) acl() []entry {
	switch n := d.IntN(100); {
	case n < 60:
		return openList
	case n < 62 && !d.within: // deviation "a null list in a multi"
		return nil
	case n < 64:
		return []entry{}
	case n < 65: // deviation "a null id"
		return []entry{{31, []byte("auth"), nil}}
	}
	var all []entry
	for range 1 + d.IntN(3) {
		all = append(all, d.entry())
	}
	if d.once(4) {
		all = append(all, all[0])
	}
	if d.once(4) {
		all = append(all, openList...)
	}
	return all
}

func (d *draw) flags(op wire.Op) int32 {
	switch {
	case d.once(20) && d.within: // deviations on the flags in a multi
		return pick[int32](d, -1, 7, 8, 100, math.MaxInt32, math.MinInt32)
	case !d.within && d.once(20):
		return pick[int32](d, -1, 7, 8, 100, math.MaxInt32, math.MinInt32, 0, 1, 2, 3, 4, 5, 6)
	case op == wire.OpCreateContainer:
		return 4
	case op == wire.OpCreateTTL:
		return pick[int32](d, 5, 5, 6)
	case !d.within && d.once(20):
		return 4
	}
	return pick[int32](d, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 3)
}

func (d *draw) create(r *record, op wire.Op) {
	flags, path := d.flags(op), d.path()
	if (flags == 2 || flags == 3 || flags == 6) && !d.once(5) {
		path = []byte(pick(d, sequencePaths...))
	}
	r.buffer("path", path)
	r.buffer("data", d.data())
	r.acl(d.acl())
	r.int("flags", flags)
	switch ttl := flags == 5 || flags == 6; {
	case op == wire.OpCreateTTL && !ttl: // deviations on createTTL without the flags of a TTL
		r.long("ttl", pick[int64](d, 3_600_000, 0, math.MaxInt64))
	case op == wire.OpCreateTTL:
		r.long("ttl", pick[int64](d, 3_600_000, 3_600_000, 3_600_000, 1<<40-1, 1<<40, 0, -1, math.MaxInt64, math.MinInt64))
	}
}

func (d *draw) pathVersion(r *record) {
	r.buffer("path", d.path())
	r.int("version", d.version())
}

func (d *draw) setData(r *record) {
	r.buffer("path", d.path())
	r.buffer("data", d.data())
	r.int("version", d.version())
}

func (d *draw) pathWatch(r *record) {
	if d.within { // deviation "a null path in a multiRead"
		r.buffer("path", d.anyPath())
	} else {
		r.buffer("path", d.path())
	}
	if d.once(50) {
		r.bytes = append(r.bytes, 0x80)
		r.field("watch", "0x80")
		return
	}
	r.bool("watch", d.once(2))
}

func (d *draw) watches(r *record, op wire.Op) {
	switch n := d.IntN(10); {
	case n < 7 && len(d.zxids.pairs) > 0:
		recent := min(len(d.zxids.pairs), 40)
		r.since = len(d.zxids.pairs) - 1 - d.IntN(recent)
		r.long("since", 0)
		r.field("zxid", fmt.Sprintf("%#x", d.zxids.pairs[r.since]))
	default:
		r.long("since", pick[int64](d, 0, 0, 1, math.MaxInt64)) // deviation "a negative zxid"
	}
	lists := []string{"data", "exist", "child", "persistent", "recursive"}
	if op == wire.OpSetWatches {
		lists = lists[:3]
	}
	for _, name := range lists {
		r.strings(name, d.paths())
	}
}

func (d *draw) multi(r *record) {
	ops := []wire.Op{
		wire.OpCreate, wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL,
		wire.OpDelete, wire.OpDelete, wire.OpSetData, wire.OpSetData, wire.OpCheck,
	}
	wrong := []wire.Op{
		wire.OpExists, wire.OpGetData, wire.OpSetACL, wire.OpSync, wire.OpMulti, wire.OpDeleteContainer, wire.OpError, wire.OpAuth,
		wire.OpCloseSession, wire.OpReconfig, wire.OpNotification, 99,
	}
	d.within = true
	defer func() { d.within = false }()
	for range d.IntN(5) {
		op := pick(d, ops...)
		if d.once(50) {
			op = pick(d, wrong...)
		}
		r.part(op, false, pick[wire.Code](d, -1, -1, -1, 0, 5))
		switch op {
		case wire.OpDelete, wire.OpCheck:
			d.pathVersion(r)
		case wire.OpSetData:
			d.setData(r)
		case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL:
			d.create(r, op)
		default:
			d.pathWatch(r)
		}
	}
	d.endMulti(r)
}

func (d *draw) multiRead(r *record) {
	d.within = true
	defer func() { d.within = false }()
	for range d.IntN(5) {
		op := pick(d, wire.OpGetData, wire.OpGetChildren)
		if d.once(40) {
			op = pick(d, wire.OpExists, wire.OpGetChildren2, wire.OpDelete, wire.OpCreate, wire.OpCheck)
		}
		r.part(op, false, -1)
		d.pathWatch(r)
	}
	d.endMulti(r)
}

func (d *draw) endMulti(r *record) {
	if !d.once(40) {
		r.part(pick[wire.Op](d, -1, -1, -1, -1, 0, 1), true, pick[wire.Code](d, -1, -1, 0))
	}
}

func (d *draw) addWatch(r *record) {
	r.buffer("path", d.anyPath())
	r.int("mode", pick[int32](d, 0, 0, 0, 1, 1, 1, 2, -1, 3, math.MaxInt32))
}

func (d *draw) watcher(r *record) {
	r.buffer("path", d.anyPath())
	r.int("type", pick[int32](d, 1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 0, 6, -1))
}

func (d *draw) reconfig(r *record) {
	r.buffer("joining", d.data())
	r.buffer("leaving", d.data())
	r.buffer("members", d.data())
	r.long("config", pick[int64](d, -1, 0, 7))
}

// table says how often each operation is drawn, and what fills its body.
var table = []struct {
	weight int
	op     wire.Op
	fill   func(d *draw, r *record, op wire.Op)
}{
	{12, wire.OpCreate, (*draw).create},
	{8, wire.OpCreate2, (*draw).create},
	{3, wire.OpCreateContainer, (*draw).create},
	{4, wire.OpCreateTTL, (*draw).create},
	{6, wire.OpDelete, func(d *draw, r *record, _ wire.Op) { d.pathVersion(r) }},
	{9, wire.OpSetData, func(d *draw, r *record, _ wire.Op) { d.setData(r) }},
	{5, wire.OpSetACL, func(d *draw, r *record, _ wire.Op) {
		r.buffer("path", d.path())
		r.acl(d.acl())
		r.int("version", d.version())
	}},
	{8, wire.OpExists, func(d *draw, r *record, _ wire.Op) { d.pathWatch(r) }},
	{8, wire.OpGetData, func(d *draw, r *record, _ wire.Op) { d.pathWatch(r) }},
	{5, wire.OpGetACL, func(d *draw, r *record, _ wire.Op) { r.buffer("path", d.path()) }},
	{5, wire.OpGetChildren, func(d *draw, r *record, _ wire.Op) { d.pathWatch(r) }},
	{5, wire.OpGetChildren2, func(d *draw, r *record, _ wire.Op) { d.pathWatch(r) }},
	{2, wire.OpSync, func(d *draw, r *record, _ wire.Op) { r.buffer("path", d.path()) }},
	{1, wire.OpPing, func(*draw, *record, wire.Op) {}},
	{9, wire.OpMulti, func(d *draw, r *record, _ wire.Op) { d.multi(r) }},
	{4, wire.OpMultiRead, func(d *draw, r *record, _ wire.Op) { d.multiRead(r) }},
	{2, wire.OpGetEphemerals, func(d *draw, r *record, _ wire.Op) {
		r.buffer("prefix", pick(d, []byte("/"), nil, []byte{}, []byte("/a"), []byte("/a/s"), []byte(" "), []byte(" /a"), []byte("/b/e"), []byte("x")))
	}},
	{2, wire.OpGetAllChildrenNumber, func(d *draw, r *record, _ wire.Op) {
		path := d.path()
		for path != nil && len(path) == 0 { // deviation "descendants of the empty path"
			path = d.path()
		}
		r.buffer("path", path)
	}},
	{5, wire.OpAddWatch, func(d *draw, r *record, _ wire.Op) { d.addWatch(r) }},
	{4, wire.OpRemoveWatches, func(d *draw, r *record, _ wire.Op) { d.watcher(r) }},
	{4, wire.OpCheckWatches, func(d *draw, r *record, _ wire.Op) { d.watcher(r) }},
	{3, wire.OpSetWatches, (*draw).watches},
	{3, wire.OpSetWatches2, (*draw).watches},
	{2, wire.OpWhoAmI, func(*draw, *record, wire.Op) {}},
	{1, wire.OpReconfig, func(d *draw, r *record, _ wire.Op) { d.reconfig(r) }},
}

var tableWeight = func() (sum int) {
	for i := range table {
		sum += table[i].weight
	}
	return sum
}()

// request draws one request that leaves its connection open.
func (d *draw) request() request {
	i, n := 0, d.IntN(tableWeight)
	for ; n >= table[i].weight; i++ {
		n -= table[i].weight
	}
	r := newRecord()
	table[i].fill(d, r, table[i].op)
	if table[i].op != wire.OpReconfig { // deviation "a reconfig that is cut short"
		d.damage(r)
	}
	return r.request(d.nextXid(), table[i].op)
}

// damage cuts some bodies and adds to others, which is allowed.
func (d *draw) damage(r *record) {
	switch n := d.IntN(100); {
	case n < 3 && len(r.bytes) > 0:
		cut := 1 + d.IntN(len(r.bytes))
		r.bytes = r.bytes[:len(r.bytes)-cut]
		r.field("cut", fmt.Sprint(cut, " bytes"))
		if len(r.bytes) < 8 {
			r.since = -1
		}
	case n < 6:
		more := make([]byte, 1+d.IntN(9))
		for i := range more {
			more[i] = byte(d.IntN(256))
		}
		r.bytes = append(r.bytes, more...)
		r.field("more", fmt.Sprintf("%x", more))
	}
}

func (d *draw) nextXid() zab.Xid {
	if d.once(30) { // -1 would look like an event
		return pick[zab.Xid](d, 0, -2, -4, -8, -9, math.MaxInt32, math.MinInt32, 1)
	}
	d.xid++
	return d.xid
}

// auth draws an identity, or one that is refused, which ends the connection.
func (d *draw) auth() request {
	r := newRecord()
	r.int("type", pick[int32](d, 0, 0, 0, 1, -1))
	scheme, auth := "digest", pick(d, "u1:p", "u2:p", "u2:p", superUser, "super:wrong")
	switch n := d.IntN(10); {
	case n < 2:
		auth = pick(d, "", ":", ":p", "u", "u:", "u:p:q", "ü:p", " u:p", "anyone:x", digest("u1:p"))
	case n < 3:
		scheme, auth = "ip", pick(d, "", "127.0.0.1", "10.0.0.1")
	case n < 4:
		scheme, auth = pick(d, "world", "auth", "sasl", "super", "x509", "host", "", "Digest", "foo"), "u:p"
	}
	r.buffer("scheme", []byte(scheme))
	r.buffer("auth", []byte(auth))
	return r.request(pick[zab.Xid](d, wire.XidAuth, wire.XidAuth, 7), wire.OpAuth)
}

// last draws requests of which the last ends the connection. ZooKeeper refuses an operation that
// it does not know before it answers what came earlier, so that comes alone.
func (d *draw) last() []request {
	r := newRecord()
	if d.once(2) {
		d.pathVersion(r)
	}
	switch d.IntN(5) {
	case 0, 1:
		op := pick[wire.Op](d, wire.OpCheck, wire.OpNotification, wire.OpError, 10, 23, 50, 99, 108, 1000, -2, -100, math.MaxInt32, math.MinInt32)
		q := r.request(d.nextXid(), op)
		q.ends = true
		return []request{q}
	case 2:
		return []request{{raw: pick(d,
			wire.EndFrame(append(wire.BeginFrame(nil), make([]byte, 1+d.IntN(7))...), 0), // no header
			[]byte{0, 0, 0, 0}, []byte{0xff, 0xff, 0xff, 0xff}, []byte("ruok"), append([]byte{0, 0x10, 0, 0}, make([]byte, 1<<20)...)), ends: true}}
	}
	all := d.burst(d.IntN(3))
	for len(all) > 0 && all[len(all)-1].op != wire.OpSetACL && all[len(all)-1].op.IsRead() {
		all = all[:len(all)-1] // behind a setWatches the test has questions
	}
	q := r.request(d.nextXid(), wire.OpCloseSession)
	q.ends = true
	return append(all, q)
}

// large draws a create that fills the largest frame.
func (d *draw) large() request {
	r := newRecord()
	r.buffer("path", []byte("/large"))
	r.acl(openList)
	size := wire.MaxFrame - 8 - len(r.bytes) - 4 - 4 // headers and flags, and the length of the data
	r = newRecord()
	r.buffer("path", []byte("/large"))
	r.bytes = jute.AppendBuffer(r.bytes, make([]byte, size))
	r.field("data", strconv.Itoa(size)+" bytes")
	r.acl(openList)
	r.int("flags", 0)
	return r.request(d.nextXid(), wire.OpCreate)
}

// burst draws requests that go out as one segment. A setACL is the last of its burst, and so is a
// setWatches: deviations "writes behind a setACL" and "catch-up events".
func (d *draw) burst(n int) (all []request) {
	if d.once(400) {
		return []request{d.large()}
	}
	for range n {
		r := d.request()
		all = append(all, r)
		if r.op == wire.OpSetACL || r.op == wire.OpSetWatches || r.op == wire.OpSetWatches2 {
			break
		}
	}
	return all
}
