package wire_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/zab"
)

// buffer draws bytes that may be null; a buffer that is not null is never drawn as nil.
func buffer(t *rapid.T, label string) []byte {
	if rapid.IntRange(0, 4).Draw(t, label+" null") == 0 {
		return nil
	}
	return append([]byte{}, rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, label)...)
}

func names(t *rapid.T, label string) []string {
	return append([]string{}, rapid.SliceOfN(rapid.String(), 0, 5).Draw(t, label)...)
}

func acls(t *rapid.T) []wire.ACL {
	scheme := rapid.SampledFrom([]string{"world", "digest", "auth", "ip", "sasl", "x509", "odd", ""})
	switch rapid.IntRange(0, 3).Draw(t, "acl") {
	case 0:
		return nil
	case 1:
		return wire.OpenACL
	}
	list := []wire.ACL{}
	for range rapid.IntRange(0, 4).Draw(t, "entries") {
		list = append(list, wire.ACL{
			Perms:  wire.Perm(rapid.Int32().Draw(t, "perms")),
			Scheme: scheme.Draw(t, "scheme"),
			ID:     rapid.String().Draw(t, "id"),
		})
	}
	return list
}

func stat(t *rapid.T) wire.Stat {
	long := func(l string) int64 { return rapid.Int64().Draw(t, l) }
	return wire.Stat{
		Czxid: zab.Zxid(long("czxid")), Mzxid: zab.Zxid(long("mzxid")), Ctime: long("ctime"), Mtime: long("mtime"),
		Version: rapid.Int32().Draw(t, "version"), Cversion: rapid.Int32().Draw(t, "cversion"),
		Aversion: rapid.Int32().Draw(t, "aversion"), EphemeralOwner: zab.SessionID(long("owner")),
		DataLength: rapid.Int32().Draw(t, "length"), NumChildren: rapid.Int32().Draw(t, "children"),
		Pzxid: zab.Zxid(long("pzxid")),
	}
}

func createRequest(t *rapid.T) wire.CreateRequest {
	return wire.CreateRequest{
		Path: buffer(t, "path"), Data: buffer(t, "data"), ACL: acls(t),
		Flags: wire.CreateMode(rapid.Int32().Draw(t, "flags")),
	}
}

func multiOp(t *rapid.T, kind wire.Op) wire.MultiOp {
	ops := []wire.Op{wire.OpGetData, wire.OpGetChildren}
	if kind == wire.OpMulti {
		ops = []wire.Op{
			wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL, wire.OpDelete,
			wire.OpCheck, wire.OpSetData,
		}
	}
	o := wire.MultiOp{Op: rapid.SampledFrom(ops).Draw(t, "op"), Path: buffer(t, "path")}
	switch o.Op {
	case wire.OpDelete, wire.OpCheck:
		o.Version = rapid.Int32().Draw(t, "version")
	case wire.OpSetData:
		o.Data, o.Version = buffer(t, "data"), rapid.Int32().Draw(t, "version")
	case wire.OpGetData, wire.OpGetChildren:
		o.Watch = rapid.Bool().Draw(t, "watch")
	default:
		r := createRequest(t)
		o.Data, o.ACL, o.Flags = r.Data, r.ACL, r.Flags
		if o.Op == wire.OpCreateTTL {
			o.TTLMs = rapid.Int64().Draw(t, "ttl")
		}
	}
	return o
}

func multiResult(t *rapid.T) wire.MultiResult {
	r := wire.MultiResult{Op: rapid.SampledFrom([]wire.Op{
		wire.OpError, wire.OpCreate, wire.OpCreate2, wire.OpDelete, wire.OpCheck, wire.OpSetData,
		wire.OpGetData, wire.OpGetChildren,
	}).Draw(t, "op")}
	switch r.Op {
	case wire.OpError:
		r.Code = wire.Code(rapid.Int32().Draw(t, "code"))
	case wire.OpCreate:
		r.Path = buffer(t, "path")
	case wire.OpCreate2:
		r.Path, r.Stat = buffer(t, "path"), stat(t)
	case wire.OpSetData:
		r.Stat = stat(t)
	case wire.OpGetData:
		r.Data, r.Stat = buffer(t, "data"), stat(t)
	case wire.OpGetChildren:
		r.Children = names(t, "children")
	default: // delete, check: nothing
	}
	return r
}

// requests makes a drawn record and an empty one of each type a client sends.
var requests = map[string]func(t *rapid.T) (drawn, empty record){
	"connect": func(t *rapid.T) (record, record) {
		r := &wire.ConnectRequest{
			Version: rapid.Int32().Draw(t, "version"), LastZxidSeen: rapid.Int64().Draw(t, "zxid"),
			TimeoutMs: rapid.Int32().Draw(t, "timeout"), SessionID: zab.SessionID(rapid.Int64().Draw(t, "session")),
			Password: buffer(t, "password"), HasReadOnly: rapid.Bool().Draw(t, "has"),
		}
		r.ReadOnly = r.HasReadOnly && rapid.Bool().Draw(t, "read only")
		return r, new(wire.ConnectRequest)
	},
	"create": func(t *rapid.T) (record, record) {
		r := createRequest(t)
		return &r, new(wire.CreateRequest)
	},
	"createTTL": func(t *rapid.T) (record, record) {
		r := &wire.CreateTTLRequest{CreateRequest: createRequest(t), TTLMs: rapid.Int64().Draw(t, "ttl")}
		return r, new(wire.CreateTTLRequest)
	},
	"delete": func(t *rapid.T) (record, record) {
		r := &wire.PathVersionRequest{Path: buffer(t, "path"), Version: rapid.Int32().Draw(t, "version")}
		return r, new(wire.PathVersionRequest)
	},
	"setData": func(t *rapid.T) (record, record) {
		r := &wire.SetDataRequest{Path: buffer(t, "path"), Data: buffer(t, "data"), Version: rapid.Int32().Draw(t, "version")}
		return r, new(wire.SetDataRequest)
	},
	"setACL": func(t *rapid.T) (record, record) {
		r := &wire.SetACLRequest{Path: buffer(t, "path"), ACL: acls(t), Version: rapid.Int32().Draw(t, "version")}
		return r, new(wire.SetACLRequest)
	},
	"getData": func(t *rapid.T) (record, record) {
		r := &wire.PathWatchRequest{Path: buffer(t, "path"), Watch: rapid.Bool().Draw(t, "watch")}
		return r, new(wire.PathWatchRequest)
	},
	"sync": func(t *rapid.T) (record, record) {
		return &wire.PathRequest{Path: buffer(t, "path")}, new(wire.PathRequest)
	},
	"addWatch": func(t *rapid.T) (record, record) {
		r := &wire.AddWatchRequest{Path: buffer(t, "path"), Mode: rapid.Int32().Draw(t, "mode")}
		return r, new(wire.AddWatchRequest)
	},
	"removeWatches": func(t *rapid.T) (record, record) {
		r := &wire.WatcherRequest{Path: buffer(t, "path"), Type: rapid.Int32().Draw(t, "type")}
		return r, new(wire.WatcherRequest)
	},
	"setWatches2": func(t *rapid.T) (record, record) {
		r := &setWatches2{wire.SetWatchesRequest{
			RelativeZxid: rapid.Int64().Draw(t, "zxid"), Data: names(t, "data"), Exist: names(t, "exist"),
			Child: names(t, "child"), Persistent: names(t, "persistent"), PersistentRecursive: names(t, "recursive"),
		}}
		return r, new(setWatches2)
	},
	"auth": func(t *rapid.T) (record, record) {
		r := &wire.AuthRequest{Type: rapid.Int32().Draw(t, "type"), Scheme: rapid.String().Draw(t, "scheme"), Auth: buffer(t, "auth")}
		return r, new(wire.AuthRequest)
	},
	"reconfig": func(t *rapid.T) (record, record) {
		r := &wire.ReconfigRequest{
			Joining: buffer(t, "joining"), Leaving: buffer(t, "leaving"), NewMembers: buffer(t, "members"),
			ConfigID: rapid.Int64().Draw(t, "config"),
		}
		return r, new(wire.ReconfigRequest)
	},
	"multi": func(t *rapid.T) (record, record) {
		kind := rapid.SampledFrom([]wire.Op{wire.OpMulti, wire.OpMultiRead}).Draw(t, "kind")
		r := &multiRequest{kind: kind}
		for range rapid.IntRange(0, 5).Draw(t, "ops") {
			r.ops = append(r.ops, multiOp(t, kind))
		}
		return r, &multiRequest{kind: kind}
	},
}

// responses does the same for what a server sends.
var responses = map[string]func(t *rapid.T) (drawn, empty record){
	"connect": func(t *rapid.T) (record, record) {
		r := &wire.ConnectResponse{
			Version: rapid.Int32().Draw(t, "version"), TimeoutMs: rapid.Int32().Draw(t, "timeout"),
			SessionID: zab.SessionID(rapid.Int64().Draw(t, "session")), Password: buffer(t, "password"),
			HasReadOnly: rapid.Bool().Draw(t, "has"),
		}
		r.ReadOnly = r.HasReadOnly && rapid.Bool().Draw(t, "read only")
		return r, new(wire.ConnectResponse)
	},
	"event": func(t *rapid.T) (record, record) {
		r := &wire.WatcherEvent{
			Type: wire.EventType(rapid.Int32().Draw(t, "type")), State: rapid.Int32().Draw(t, "state"), Path: buffer(t, "path"),
		}
		return r, new(wire.WatcherEvent)
	},
	"create": func(t *rapid.T) (record, record) {
		return &wire.PathResponse{Path: buffer(t, "path")}, new(wire.PathResponse)
	},
	"create2": func(t *rapid.T) (record, record) {
		return &wire.PathStatResponse{Path: buffer(t, "path"), Stat: stat(t)}, new(wire.PathStatResponse)
	},
	"exists": func(t *rapid.T) (record, record) {
		s := stat(t)
		return &s, new(wire.Stat)
	},
	"getData": func(t *rapid.T) (record, record) {
		return &wire.DataResponse{Data: buffer(t, "data"), Stat: stat(t)}, new(wire.DataResponse)
	},
	"getACL": func(t *rapid.T) (record, record) {
		return &wire.ACLResponse{ACL: acls(t), Stat: stat(t)}, new(wire.ACLResponse)
	},
	"getChildren": func(t *rapid.T) (record, record) {
		return &wire.ChildrenResponse{Children: names(t, "children")}, new(wire.ChildrenResponse)
	},
	"getChildren2": func(t *rapid.T) (record, record) {
		return &wire.Children2Response{Children: names(t, "children"), Stat: stat(t)}, new(wire.Children2Response)
	},
	"getAllChildrenNumber": func(t *rapid.T) (record, record) {
		return &wire.CountResponse{Count: rapid.Int32().Draw(t, "count")}, new(wire.CountResponse)
	},
	"addWatch": func(t *rapid.T) (record, record) {
		return &wire.ErrorResponse{Code: wire.Code(rapid.Int32().Draw(t, "code"))}, new(wire.ErrorResponse)
	},
	"sasl": func(t *rapid.T) (record, record) {
		return &wire.TokenRecord{Token: buffer(t, "token")}, new(wire.TokenRecord)
	},
	"whoAmI": func(t *rapid.T) (record, record) {
		r := &wire.WhoAmIResponse{Identities: []wire.ClientInfo{}}
		for range rapid.IntRange(0, 3).Draw(t, "ids") {
			r.Identities = append(r.Identities, wire.ClientInfo{
				Scheme: rapid.String().Draw(t, "scheme"), User: rapid.String().Draw(t, "user"),
			})
		}
		return r, new(wire.WhoAmIResponse)
	},
	"multi": func(t *rapid.T) (record, record) {
		r := &multiResponse{}
		for range rapid.IntRange(0, 5).Draw(t, "results") {
			r.results = append(r.results, multiResult(t))
		}
		return r, &multiResponse{}
	},
}

// Whatever is encoded is read back equal, and no shorter piece of it is taken for whole.
func TestRoundTrips(t *testing.T) {
	for side, table := range map[string]map[string]func(*rapid.T) (record, record){"request": requests, "response": responses} {
		for name, draw := range table {
			t.Run(side+"/"+name, rapid.MakeCheck(func(t *rapid.T) {
				want, got := draw(t)
				b := want.Append(nil)
				d := jute.NewDecoder(b)
				got.Decode(&d)
				require.NoError(t, d.Err())
				require.Zero(t, d.Len())
				require.Equal(t, want, got)
				if name == "connect" { // whose last byte is optional
					return
				}
				cut := rapid.IntRange(0, max(0, len(b)-1)).Draw(t, "cut")
				d = jute.NewDecoder(b[:cut])
				_, short := draw(t)
				short.Decode(&d)
				require.Error(t, d.Err())
			}))
		}
	}
}
