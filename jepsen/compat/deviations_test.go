//go:build zookeeper

package compat

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"quoll/transport/jute"
	"quoll/transport/wire"
)

// deviation is something that Quoll does otherwise than ZooKeeper 3.9.5, on purpose. The random
// sequences keep off it, or do not see it, in the way that is told at the place.
type deviation struct {
	name   string
	reason string
	probe  func(v *visit) // nil where chance decides what ZooKeeper does
	want   [2]string      // what the probe is told: by ZooKeeper, by Quoll
}

// visit is a new session of one server.
type visit struct {
	*server
	told []string
}

func (v *visit) tell(all []shown) {
	for _, one := range all {
		if strings.HasPrefix(one.text, "reply xid=-2 ") {
			continue // the fence
		}
		text := one.brief
		if one.event {
			text += " " + quote(one.path)
		}
		v.told = append(v.told, text)
	}
}

// do sends one request and notes what comes of it.
func (v *visit) do(op wire.Op, fill func(r *record)) {
	v.tell(v.send(0, []request{requestOf(op, fill)}))
}

// last is do for a request that ends the connection.
func (v *visit) last(op wire.Op, fill func(r *record)) {
	r := requestOf(op, fill)
	r.ends = true
	v.tell(v.send(0, []request{r}))
}

func (v *visit) create(op wire.Op, path string, acl []entry, flags int32) {
	v.do(op, func(r *record) { create(r, path, acl, flags) })
}

func create(r *record, path string, acl []entry, flags int32) {
	r.buffer("path", []byte(path))
	r.buffer("data", []byte("x"))
	r.acl(acl)
	r.int("flags", flags)
}

func list(scheme, id string) []entry { return []entry{{31, []byte(scheme), []byte(id)}} }

var openList = list("world", "anyone")

// multi sends a multi of one operation.
func (v *visit) multi(kind, op wire.Op, fill func(r *record)) {
	v.do(kind, func(r *record) {
		r.part(op, false, -1)
		fill(r)
		r.part(-1, true, -1)
	})
}

// setWatches asks for child watches, with a null list of data watches at the end if hasNull.
func (v *visit) setWatches(since int64, child string, hasNull bool) {
	v.do(wire.OpSetWatches2, func(r *record) {
		r.long("since", since)
		r.strings("data", [][]byte{})
		r.strings("exist", [][]byte{})
		r.strings("child", [][]byte{[]byte(child)})
		r.strings("persistent", [][]byte{})
		if hasNull {
			r.strings("recursive", nil)
		} else {
			r.strings("recursive", [][]byte{})
		}
	})
}

func path(text string) func(r *record) { return func(r *record) { r.buffer("path", []byte(text)) } }

func nothing(*record) {}

// deviations are all there are. Where no client can tell, or sends such a thing, the reason is
// that the simpler rule is the better one.
var deviations = []deviation{
	{
		"descendants of the empty path", "as those of the root, whose other name it is; ZooKeeper counts the root among them",
		func(v *visit) {
			v.do(wire.OpGetAllChildrenNumber, path("/"))
			v.do(wire.OpGetAllChildrenNumber, path(""))
		},
		[2]string{"Ok 3, Ok 4", "Ok 3, Ok 3"},
	},
	{
		"deleteContainer by a client", "it would delete any empty znode, whatever its list says: only the leader's reaper may",
		func(v *visit) { v.do(wire.OpDeleteContainer, path("/missing")) },
		[2]string{"NoNode", "Unimplemented, closed"},
	},
	{
		"createSession within a session", "ZooKeeper answers with the record of a handshake, which no client expects; chance decides how that reads",
		nil,
		[2]string{},
	},
	{
		"the scheme host", "dropped by ZooKeeper 3.2, it exists here",
		func(v *visit) { v.create(wire.OpCreate, "/host", list("host", "example.org"), 1) },
		[2]string{"InvalidACL", "Ok"},
	},
	{
		"a null id", "a wrong list like any, where ZooKeeper meets its null pointer",
		func(v *visit) {
			v.create(wire.OpCreate, "/null", []entry{{31, []byte("world"), nil}}, 0)
			v.create(wire.OpCreate, "/null", []entry{{31, []byte("digest"), nil}}, 0)
		},
		[2]string{"MarshallingError, MarshallingError", "InvalidACL, InvalidACL"},
	},
	{
		"addresses with leading zeros", "readers disagree on what they mean",
		func(v *visit) { v.create(wire.OpCreate, "/zeros", list("ip", "010.0.0.1"), 1) },
		[2]string{"Ok", "InvalidACL"},
	},
	{
		"IPv6 addresses that end like IPv4 ones", "they are addresses",
		func(v *visit) { v.create(wire.OpCreate, "/mixed", list("ip", "::1.2.3.4"), 1) },
		[2]string{"InvalidACL", "Ok"},
	},
	{
		"a wrong password", "it ends nobody's connection; in ZooKeeper whoever knows a session's number can",
		func(v *visit) {
			v.dial(1, &greeting{session: len(v.sessions) - 1, since: -1, timeoutMs: 1, wrongPassword: true})
			v.do(wire.OpSync, path("/"))
		},
		[2]string{"closed", `Ok "/"`},
	},
	{
		"catch-up events", "what setWatches makes up obeys the access control list as any event does, as in ZooKeeper 3.10",
		func(v *visit) {
			v.create(wire.OpCreate, "/hidden", list("ip", "10.0.0.1"), 1)
			v.setWatches(0, "/hidden", false)
		},
		[2]string{`Ok, NodeChildrenChanged "/hidden", Ok`, "Ok, Ok"},
	},
	{
		"writes behind a setACL", "they obey it even if they come before it is committed, as in ZooKeeper 3.10; in 3.9 it is a race",
		nil,
		[2]string{},
	},
	{
		"operations that nobody knows", "they are refused in the order of requests; ZooKeeper refuses them ahead of earlier ones, if it wins a race",
		nil,
		[2]string{},
	},
	{
		"zxids of refused writes", "one that cannot be decoded takes a zxid too; in ZooKeeper it depends on the operation",
		nil,
		[2]string{},
	},
	{
		"null in setWatches", "such a request does nothing; ZooKeeper does what stands before the null list",
		func(v *visit) { v.setWatches(0, "/missing", true) },
		[2]string{`NodeDeleted "/missing", MarshallingError`, "MarshallingError"},
	},
	{
		"a negative zxid", "setWatches takes it for 0; ZooKeeper finds that all has changed, what was there from the start too",
		func(v *visit) { v.setWatches(-1, "/zookeeper/quota", false) },
		[2]string{`NodeChildrenChanged "/zookeeper/quota", Ok`, "Ok"},
	},
	{
		"negative counts", "no vector has one; ZooKeeper takes all but -1 for 0",
		func(v *visit) {
			v.do(wire.OpSetACL, func(r *record) {
				r.buffer("path", []byte("/"))
				r.bytes = jute.AppendInt(r.bytes, -2)
				r.int("version", -1)
			})
		},
		[2]string{"InvalidACL", "MarshallingError"},
	},
	{
		"a null list in a multi", "it is told as outside of one, and as by ZooKeeper up to 3.8",
		func(v *visit) { v.multi(wire.OpMulti, wire.OpCreate, func(r *record) { create(r, "/null", nil, 0) }) },
		[2]string{"MarshallingError", "Ok InvalidACL"},
	},
	{
		"create with the flags of a container in a multi", "the operation says what is made and answered, as outside of one: clients cannot read the answer to another",
		func(v *visit) {
			v.multi(wire.OpMulti, wire.OpCreate, func(r *record) { create(r, "/flags", openList, 4) })
			v.do(wire.OpDelete, func(r *record) { r.buffer("path", []byte("/flags")); r.int("version", -1) })
		},
		[2]string{"Ok create2, Ok", "Ok create, Ok"},
	},
	{
		"createTTL without the flags of a TTL in a multi", "refused as outside of one; ZooKeeper makes a znode that stays",
		func(v *visit) {
			v.multi(wire.OpMulti, wire.OpCreateTTL, func(r *record) { create(r, "/missing/flags", openList, 0); r.long("ttl", 1) })
		},
		[2]string{"Ok NoNode", "Ok BadArguments"},
	},
	{
		"createTTL without the flags of a TTL and without a TTL", "refused; ZooKeeper makes a znode that stays, and breaks down over a container",
		func(v *visit) {
			v.do(wire.OpCreateTTL, func(r *record) { create(r, "/missing/flags", openList, 0); r.long("ttl", -1) })
		},
		[2]string{"NoNode", "BadArguments"},
	},
	{
		"a null path in a multiRead", "a fault of its own operation only",
		func(v *visit) {
			v.multi(wire.OpMultiRead, wire.OpGetData, func(r *record) { r.buffer("path", nil); r.bool("watch", false) })
		},
		[2]string{"MarshallingError", "Ok MarshallingError"},
	},
	{
		"the null path of a watch", "as the empty path; ZooKeeper watches both",
		func(v *visit) {
			v.do(wire.OpAddWatch, func(r *record) { r.buffer("path", []byte{}); r.int("mode", 0) })
			v.do(wire.OpRemoveWatches, func(r *record) { r.buffer("path", nil); r.int("type", 3) })
		},
		[2]string{"Ok 0, NoWatcher", "Ok 0, Ok"},
	},
	{
		"no body with an error", "a multiRead that holds another operation ends with the code, in ZooKeeper with results behind it",
		nil,
		[2]string{},
	},
	{
		"a reconfig that is cut short", "reconfig is disabled, however it reads",
		func(v *visit) { v.do(wire.OpReconfig, nothing) },
		[2]string{"MarshallingError", "ReconfigDisabled"},
	},
	{
		"an auth that is cut short", "the client is told before the connection is closed",
		func(v *visit) { v.last(wire.OpAuth, nothing) },
		[2]string{"closed", "AuthFailed, closed"},
	},
	{
		"sasl", "there is no mechanism: the client is told, where ZooKeeper, without one configured, answers with a null token",
		func(v *visit) {
			v.do(wire.OpSASL, func(r *record) { r.buffer("token", []byte("x")) })
		},
		[2]string{"Ok", "AuthFailed, closed"},
	},
	{
		"text that is not UTF-8", "sync gives back what it was given, ZooKeeper with replacements",
		func(v *visit) { v.do(wire.OpSync, path("\xff")) },
		[2]string{`Ok "\ufffd"`, `Ok "\xff"`},
	},
	{
		"characters outside the basic plane", "they are UTF-8; Java writes two surrogates, which many clients refuse",
		nil,
		[2]string{}, // reader.string translates
	},
	{
		"quotas", "limits are stored and not enforced, and so nobody counts the usage",
		func(v *visit) {
			v.create(wire.OpCreate, "/zookeeper/quota/q", openList, 0)
			v.create(wire.OpCreate, "/zookeeper/quota/q/zookeeper_stats", openList, 1)
			v.do(wire.OpGetData, func(r *record) {
				r.buffer("path", []byte("/zookeeper/quota/q/zookeeper_stats"))
				r.bool("watch", false)
			})
		},
		[2]string{`Ok, Ok, Ok "count=0,bytes=0"`, `Ok, Ok, Ok "x"`},
	},
}

// TestDeviations checks that each deviation is one: a list that is out of date would hide faults.
func TestDeviations(t *testing.T) {
	p := startPair(t)
	for _, d := range deviations {
		if d.probe == nil {
			continue
		}
		var told [2]string
		for i, s := range p.servers {
			v := &visit{server: s}
			s.dial(0, &greeting{session: -1, since: -1, timeoutMs: 700_000})
			d.probe(v)
			s.drop(0)
			s.drop(1)
			told[i] = strings.Join(v.told, ", ")
		}
		assert.Equal(t, d.want, told, "%s: %s", d.name, d.reason)
	}
}
