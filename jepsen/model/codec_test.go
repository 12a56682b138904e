package model_test

import (
	"slices"

	"quoll/jepsen/history"
	"quoll/transport/jute"
	"quoll/transport/wire"
)

// appendBody appends what a client sends of an op behind the header.
func appendBody(b []byte, o *history.Op) []byte {
	path := []byte(o.Path)
	c := wire.CreateRequest{Path: path, Data: o.Data, ACL: o.ACL, Flags: o.Mode}
	switch o.Kind {
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer:
		return c.Append(b)
	case wire.OpCreateTTL:
		r := wire.CreateTTLRequest{CreateRequest: c, TTLMs: o.TTLMs}
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
	case wire.OpCreateSession:
		return jute.AppendBuffer(jute.AppendInt(b, o.TimeoutMs), o.Password)
	case wire.OpMulti, wire.OpMultiRead:
		for i := range o.Ops {
			b = wire.MultiHeader{Op: o.Ops[i].Kind, Code: -1}.Append(b)
			b = appendBody(b, &o.Ops[i])
		}
		return wire.MultiEnd.Append(b)
	case wire.OpExists, wire.OpGetData, wire.OpGetChildren, wire.OpGetChildren2:
		r := wire.PathWatchRequest{Path: path}
		return r.Append(b)
	case wire.OpCloseSession:
		return b
	default:
		return jute.AppendBuffer(b, path)
	}
}

// decodeResult reads the body of a reply without a code. Lists of children come out sorted.
func decodeResult(d *jute.Decoder, kind wire.Op) (res history.Result) {
	switch kind {
	case wire.OpCreate, wire.OpSync:
		res.Path = d.String()
	case wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL:
		res.Path = d.String()
		res.Stat.Decode(d)
	case wire.OpSetData, wire.OpSetACL, wire.OpExists:
		res.Stat.Decode(d)
	case wire.OpGetData:
		res.Data = slices.Clone(d.Buffer())
		res.Stat.Decode(d)
	case wire.OpGetACL:
		res.ACL = wire.DecodeACLs(d)
		res.Stat.Decode(d)
	case wire.OpGetChildren, wire.OpGetEphemerals, wire.OpGetChildren2:
		res.Children = wire.DecodeStrings(d)
		slices.Sort(res.Children)
		if kind == wire.OpGetChildren2 {
			res.Stat.Decode(d)
		}
	case wire.OpGetAllChildrenNumber:
		res.Count = d.Int()
	case wire.OpMulti, wire.OpMultiRead:
		res.Results = []history.Result{}
		for r := (wire.MultiResult{}); r.Decode(d); {
			slices.Sort(r.Children)
			res.Results = append(res.Results, history.Result{
				Kind: r.Op, Code: r.Code, Path: string(r.Path), Stat: r.Stat, Data: slices.Clone(r.Data), Children: r.Children,
			})
		}
	default: // no body
	}
	return res
}

// maskTimes takes the times out of a result, where nobody knows the leader's clock.
func maskTimes(res history.Result) history.Result {
	res.Stat.Ctime, res.Stat.Mtime = 0, 0
	for i := range res.Results {
		res.Results[i] = maskTimes(res.Results[i])
	}
	return res
}
