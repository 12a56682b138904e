package history

import (
	"quoll/transport/jute"
	"quoll/transport/wire"
)

// The client's end of the protocol, for whoever records one: operations to bytes, bytes to results.

// AppendBody appends what a client sends of an op behind the header.
func AppendBody(b []byte, o *Op) []byte {
	path := []byte(o.Path)
	switch o.Kind {
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer:
		r := wire.CreateRequest{Path: path, Data: o.Data, ACL: o.ACL, Flags: o.Mode}
		return r.Append(b)
	case wire.OpCreateTTL:
		r := wire.CreateTTLRequest{CreateRequest: wire.CreateRequest{Path: path, Data: o.Data, ACL: o.ACL, Flags: o.Mode}, TTLMs: o.TTLMs}
		return r.Append(b)
	case wire.OpDelete, wire.OpCheck:
		r := wire.PathVersionRequest{Path: path, Version: o.Version}
		return r.Append(b)
	case wire.OpSetData:
		r := wire.SetDataRequest{Path: path, Data: o.Data, Version: o.Version}
		return r.Append(b)
	case wire.OpSetACL:
		r := wire.SetACLRequest{Path: path, ACL: o.ACL, Version: o.Version}
		return r.Append(b)
	case wire.OpExists, wire.OpGetData, wire.OpGetChildren, wire.OpGetChildren2:
		r := wire.PathWatchRequest{Path: path, Watch: o.Watch}
		return r.Append(b)
	case wire.OpGetACL, wire.OpSync, wire.OpGetEphemerals, wire.OpGetAllChildrenNumber, wire.OpDeleteContainer:
		r := wire.PathRequest{Path: path}
		return r.Append(b)
	case wire.OpAddWatch:
		r := wire.AddWatchRequest{Path: path, Mode: o.WatchMode}
		return r.Append(b)
	case wire.OpSetWatches2:
		r := wire.SetWatchesRequest{
			RelativeZxid: o.Rewatch.SinceZxid, Data: list(o.Rewatch.Data), Exist: list(o.Rewatch.Exist), Child: list(o.Rewatch.Child),
			Persistent: list(o.Rewatch.Persistent), PersistentRecursive: list(o.Rewatch.Recurs),
		}
		return r.Append2(b)
	case wire.OpCreateSession: // between servers only: clients say it in the handshake
		return jute.AppendBuffer(jute.AppendInt(b, o.TimeoutMs), o.Password)
	case wire.OpMulti, wire.OpMultiRead:
		for i := range o.Ops {
			p := &o.Ops[i]
			m := wire.MultiOp{
				Op: p.Kind, Path: []byte(p.Path), Data: p.Data, ACL: p.ACL, Flags: p.Mode, TTLMs: p.TTLMs, Version: p.Version, Watch: p.Watch,
			}
			b = m.Append(b)
		}
		return wire.MultiEnd.Append(b)
	default: // closeSession, ping
		return b
	}
}

func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// DecodeResult reads the body of the reply to o, which carries no code. The result shares nothing with
// the frame.
func DecodeResult(d *jute.Decoder, o *Op) (r Result) {
	switch o.Kind {
	case wire.OpCreate, wire.OpSync:
		r.Path = string(d.Buffer())
	case wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL:
		r.Path = string(d.Buffer())
		r.Stat.Decode(d)
	case wire.OpExists, wire.OpSetData, wire.OpSetACL:
		r.Stat.Decode(d)
	case wire.OpGetData:
		var v wire.DataResponse
		v.Decode(d)
		r.Data, r.Stat = clone(v.Data), v.Stat
	case wire.OpGetACL:
		var v wire.ACLResponse
		v.Decode(d)
		r.ACL, r.Stat = v.ACL, v.Stat
	case wire.OpGetChildren, wire.OpGetEphemerals:
		r.Children = wire.DecodeStrings(d)
	case wire.OpGetChildren2:
		var v wire.Children2Response
		v.Decode(d)
		r.Children, r.Stat = v.Children, v.Stat
	case wire.OpGetAllChildrenNumber:
		r.Count = d.Int()
	case wire.OpAddWatch:
		r.Code = wire.Code(d.Int())
	case wire.OpMulti, wire.OpMultiRead:
		for m := (wire.MultiResult{}); m.Decode(d); m = (wire.MultiResult{}) {
			r.Results = append(r.Results, Result{
				Kind: m.Op, Code: m.Code, Path: string(m.Path), Stat: m.Stat, Data: clone(m.Data), Children: m.Children,
			})
		}
	default: // delete, closeSession, setWatches2
	}
	return r
}

func clone(b []byte) []byte {
	if b == nil {
		return nil
	}
	return append(make([]byte, 0, len(b)), b...)
}
