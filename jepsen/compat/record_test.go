//go:build zookeeper

package compat

import (
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"

	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/zab"
)

// request is one frame that a client sends, the same for both servers but for since.
type request struct {
	xid  zab.Xid
	op   wire.Op
	body []byte
	text string // the body for people

	// since, unless negative, says which of the zxids that both servers have shown goes into the
	// first eight bytes of body: they number their txns differently.
	since int

	// ends says that the server closes the connection behind the reply.
	ends bool

	raw []byte // the frame, instead of all else
}

func (r *request) String() string {
	if r.raw != nil {
		return fmt.Sprintf("%d bytes: %.40x", len(r.raw), r.raw)
	}
	return fmt.Sprintf("xid=%d %s{%s}", r.xid, r.op, r.text)
}

// record builds the body of a request and its text, field by field. Unlike the records of
// transport/wire it can say what no client of good faith would: null strings, counts that lie.
type record struct {
	bytes []byte
	text  strings.Builder
	since int
}

func newRecord() *record { return &record{since: -1} }

func (r *record) field(name, value string) {
	if r.text.Len() > 0 {
		r.text.WriteByte(' ')
	}
	r.text.WriteString(name + "=" + value)
}

func (r *record) int(name string, v int32) {
	r.bytes = jute.AppendInt(r.bytes, v)
	r.field(name, strconv.Itoa(int(v)))
}

func (r *record) long(name string, v int64) {
	r.bytes = jute.AppendLong(r.bytes, v)
	r.field(name, strconv.FormatInt(v, 10))
}

func (r *record) bool(name string, v bool) {
	r.bytes = jute.AppendBool(r.bytes, v)
	r.field(name, strconv.FormatBool(v))
}

// buffer appends a buffer or a string; nil is null.
func (r *record) buffer(name string, v []byte) {
	r.bytes = jute.AppendBuffer(r.bytes, v)
	r.field(name, quote(v))
}

// strings appends a vector of strings; nil is null, and so is a nil string in it.
func (r *record) strings(name string, v [][]byte) {
	if v == nil {
		r.bytes = jute.AppendInt(r.bytes, -1)
		r.field(name, "null")
		return
	}
	r.bytes = jute.AppendInt(r.bytes, int32(len(v)))
	var texts []string
	for _, s := range v {
		r.bytes = jute.AppendBuffer(r.bytes, s)
		texts = append(texts, quote(s))
	}
	r.field(name, "["+strings.Join(texts, " ")+"]")
}

// entry is one entry of an access control list as a client may send it; nil is null.
type entry struct {
	perms      int32
	scheme, id []byte
}

func (r *record) acl(v []entry) {
	if v == nil {
		r.bytes = jute.AppendInt(r.bytes, -1)
		r.field("acl", "null")
		return
	}
	r.bytes = jute.AppendInt(r.bytes, int32(len(v)))
	var texts []string
	for _, e := range v {
		r.bytes = jute.AppendInt(r.bytes, e.perms)
		r.bytes = jute.AppendBuffer(r.bytes, e.scheme)
		r.bytes = jute.AppendBuffer(r.bytes, e.id)
		texts = append(texts, fmt.Sprintf("%d:%s:%s", e.perms, quote(e.scheme), quote(e.id)))
	}
	r.field("acl", "["+strings.Join(texts, " ")+"]")
}

// part appends what belongs to one operation of a multi.
func (r *record) part(op wire.Op, done bool, code wire.Code) {
	r.bytes = wire.MultiHeader{Op: op, Done: done, Code: code}.Append(r.bytes)
	r.field("\n      op", fmt.Sprintf("%s/%t/%d", op, done, code))
}

func (r *record) request(xid zab.Xid, op wire.Op) request {
	return request{xid: xid, op: op, body: slices.Clip(r.bytes), text: r.text.String(), since: r.since}
}

// quote shows bytes that may be null, and of many only a sum.
func quote(b []byte) string {
	const many = 1000
	switch {
	case b == nil:
		return "null"
	case len(b) > many:
		return fmt.Sprintf("%d bytes with sum %x", len(b), crc32.ChecksumIEEE(b))
	}
	return strconv.QuoteToASCII(string(b))
}
