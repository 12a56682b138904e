//go:build zookeeper

package compat

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/zab"
)

// shown is what a server let its client see, in the form in which two servers are compared: text
// with a hole for each zxid, since they number their txns differently. Times are said to be there
// or not, sessions have the numbers of the test, and lists without an order are sorted.
type shown struct {
	text  string
	zxids []zxid
	event bool
	path  []byte // of an event
	brief string // the code of a reply or the type of an event, and little more
}

// zxid is one of a txn, or, if loose, any from a txn on up to the next one: what a reply says that
// is not that of a write that happened. Which refused writes take a zxid is the server's own
// business.
type zxid struct {
	n     int64
	loose bool
}

// hole stands for a zxid in shown.text.
const hole = "~"

func (s *shown) String() string {
	parts := strings.Split(s.text, hole)
	var b strings.Builder
	for i, part := range parts {
		b.WriteString(part)
		if i < len(s.zxids) {
			fmt.Fprintf(&b, "%#x", s.zxids[i].n)
		}
	}
	return b.String()
}

// zxidMap relates the zxids of two servers: each zxid has one counterpart, in the same order.
type zxidMap struct {
	pairs [][2]int64 // sorted
}

// match reports whether a and b may mean the same, and remembers the txns.
func (m *zxidMap) match(a, b zxid) bool {
	if a.n <= 0 || b.n <= 0 { // 0 and -1 are no txns
		return a.n == b.n
	}
	i, found := slices.BinarySearchFunc(m.pairs, a.n, func(p [2]int64, n int64) int { return cmp.Compare(p[0], n) })
	switch {
	case found && !a.loose:
		return m.pairs[i][1] == b.n
	case found:
		i++
		fallthrough
	case a.loose:
		return (i == 0 || m.pairs[i-1][1] <= b.n) && (i == len(m.pairs) || m.pairs[i][1] > b.n)
	case i > 0 && m.pairs[i-1][1] >= b.n, i < len(m.pairs) && m.pairs[i][1] <= b.n:
		return false
	}
	m.pairs = slices.Insert(m.pairs, i, [2]int64{a.n, b.n})
	return true
}

// differ returns the index of the first difference of two lists, and whether there is one.
func (m *zxidMap) differ(a, b []shown) (int, bool) {
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i].text != b[i].text || len(a[i].zxids) != len(b[i].zxids) {
			return i, true
		}
		for j, z := range a[i].zxids {
			if !m.match(z, b[i].zxids[j]) {
				return i, true
			}
		}
	}
	return 0, false
}

// reader turns the frames of one server into shown.
type reader struct {
	shown
	d        jute.Decoder
	sessions map[zab.SessionID]int
}

func (r *reader) say(name, value string) {
	if r.text != "" {
		r.text += " "
	}
	r.text += name + "=" + strings.ReplaceAll(value, hole, `\x7e`)
}

func (r *reader) zxid(name string) {
	r.say(name, "")
	r.text += hole
	r.zxids = append(r.zxids, zxid{n: r.d.Long()})
}

func (r *reader) int(name string) (text string) {
	text = strconv.Itoa(int(r.d.Int()))
	r.say(name, text)
	return text
}

func (r *reader) buffer(name string) (text string) {
	text = r.string()
	r.say(name, text)
	return text
}

func (r *reader) time(name string) {
	text := "never"
	if r.d.Long() > 0 {
		text = "then"
	}
	r.say(name, text)
}

func (r *reader) session(name string) {
	id := zab.SessionID(r.d.Long())
	n, ok := r.sessions[id]
	switch {
	case id == 0:
		r.say(name, "none")
	case ok:
		r.say(name, "#"+strconv.Itoa(n))
	default:
		r.say(name, fmt.Sprintf("0x%x", uint64(id)))
	}
}

// set reads a vector whose order says nothing, each element with the given function.
func (r *reader) set(name string, element func() string) {
	n := int(r.d.Int())
	if n < 0 {
		r.say(name, "null")
		return
	}
	var all []string
	for range n {
		if all = append(all, element()); r.d.Err() != nil {
			return
		}
	}
	slices.Sort(all)
	r.say(name, "["+strings.Join(all, " ")+"]")
}

// string reads text. What Java writes as two surrogates is the character that the test has of this
// kind: deviation "characters outside the basic plane".
func (r *reader) string() string {
	b := r.d.Buffer()
	if surrogates := []byte("\xed\xa0\xbd\xed\xb8\x80"); bytes.Contains(b, surrogates) {
		b = bytes.ReplaceAll(b, surrogates, []byte("😀"))
	}
	return quote(b)
}

func (r *reader) stat() {
	r.zxid("czxid")
	r.zxid("mzxid")
	r.time("ctime")
	r.time("mtime")
	r.int("version")
	r.int("cversion")
	r.int("aversion")
	r.session("owner")
	r.int("dataLength")
	r.int("numChildren")
	r.zxid("pzxid")
}

// acl reads an access control list, whose order is that of the client. Only what an `auth` entry
// was replaced by, digests with one set of permissions, comes in the order of Java's hashes.
func (r *reader) acl() {
	n := int(r.d.Int())
	var all []string
	from := 0
	for i := 0; i < n && r.d.Err() == nil; i++ {
		all = append(all, fmt.Sprintf("%d:%s:%s", r.d.Int(), r.string(), r.string()))
		digests, _, _ := strings.Cut(all[i], `:"digest":`)
		if first, _, ok := strings.Cut(all[from], `:"digest":`); !ok || first != digests {
			from = i
		}
		slices.Sort(all[from:])
	}
	r.say("acl", fmt.Sprintf("%d%v", n, all))
}

// result reads the body of a successful reply to op.
func (r *reader) result(op wire.Op) {
	switch op {
	case wire.OpSync:
		r.brief += " " + r.buffer("path")
	case wire.OpCreate:
		r.buffer("path")
	case wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL:
		r.buffer("path")
		r.stat()
	case wire.OpExists, wire.OpSetData, wire.OpSetACL:
		r.stat()
	case wire.OpGetData, wire.OpReconfig:
		r.brief += " " + r.buffer("data")
		r.stat()
	case wire.OpGetACL:
		r.acl()
		r.stat()
	case wire.OpGetChildren, wire.OpGetEphemerals:
		r.set("children", r.string)
	case wire.OpGetChildren2:
		r.set("children", r.string)
		r.stat()
	case wire.OpGetAllChildrenNumber, wire.OpAddWatch:
		r.brief += " " + r.int("number")
	case wire.OpMulti, wire.OpMultiRead:
		r.results()
	case wire.OpWhoAmI:
		r.set("ids", func() string { return r.string() + ":" + r.string() })
	default: // no body, or one that nobody knows: it shows as what is left
	}
}

func (r *reader) results() {
	for r.d.Err() == nil {
		var h wire.MultiHeader
		h.Decode(&r.d)
		r.say("\n      result", fmt.Sprintf("%d/%t/%d", h.Op, h.Done, h.Code))
		if h.Done {
			return
		}
		if h.Op == wire.OpError {
			r.brief += " " + h.Code.Name()
			r.int("code")
			continue
		}
		r.brief += " " + h.Op.String()
		r.result(h.Op)
	}
}

// end says what the frame has left, or lacks.
func (r *reader) end() shown {
	if r.d.Err() != nil {
		r.say("short", "true")
	} else if r.d.Len() > 0 {
		r.say("rest", fmt.Sprintf("%x", r.d.Rest()))
	}
	return r.shown
}

// connected reads a ConnectResponse. The password is the server's own business.
func (r *reader) connected() shown {
	r.text, r.brief = "connected", "connected"
	r.int("version")
	r.int("timeout")
	r.session("session")
	password := r.d.Buffer()
	r.say("password", fmt.Sprintf("%d bytes, empty %t", len(password), string(password) == string(make([]byte, len(password)))))
	return r.end()
}

// reply reads the answer to req, or the event that came in its place.
func (r *reader) reply(req *request) shown {
	xid := zab.Xid(r.d.Int())
	if xid == wire.XidNotification {
		r.text, r.event = "event", true
		r.zxid("zxid")
		r.int("code")
		r.brief = wire.EventType(r.d.Int()).String()
		r.say("type", r.brief)
		r.int("state")
		path := r.d
		r.buffer("path")
		r.path = path.Buffer()
		return r.end()
	}
	if req == nil {
		r.text = "reply to nothing"
		return r.end()
	}
	r.text = "reply"
	r.say("xid", strconv.Itoa(int(xid)))
	r.zxid("zxid")
	code := wire.Code(r.d.Int())
	r.brief = code.Name()
	r.say("code", fmt.Sprintf("%d(%s)", code, code.Name()))
	r.zxids[0].loose = code != wire.OK || !req.op.IsWrite()
	switch {
	case code == wire.OK:
		r.result(req.op)
	case req.op == wire.OpMultiRead: // deviation "no body with an error"
		r.d.Skip(r.d.Len())
	}
	return r.end()
}

// sortEvents puts the events of one txn into the order of their text. Only the end of a session,
// which deletes its ephemerals in any order, needs it.
func sortEvents(all []shown) {
	for i := 0; i < len(all); {
		end := i + 1
		for end < len(all) && all[i].event && all[end].event && all[end].zxids[0].n == all[i].zxids[0].n {
			end++
		}
		slices.SortStableFunc(all[i:end], func(a, b shown) int { return strings.Compare(a.text, b.text) })
		i = end
	}
}
