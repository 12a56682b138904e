package wire

import (
	"quoll/transport/jute"
	"quoll/zab"
)

// StatSize is the size of an encoded Stat.
const StatSize = 68

// Stat is what a client learns about a znode besides its data, in wire order.
type Stat struct {
	Czxid          zab.Zxid // of the create
	Mzxid          zab.Zxid // of the create or the last setData
	Ctime          int64    // ms since 1970, the leader's clock
	Mtime          int64
	Version        int32
	Cversion       int32 // child creates + child deletes
	Aversion       int32
	EphemeralOwner zab.SessionID // 0 for all but ephemerals
	DataLength     int32
	NumChildren    int32
	Pzxid          zab.Zxid // of the create or the last create or delete of a child
}

// Append appends the record.
func (s *Stat) Append(b []byte) []byte {
	b = jute.AppendLong(b, int64(s.Czxid))
	b = jute.AppendLong(b, int64(s.Mzxid))
	b = jute.AppendLong(b, s.Ctime)
	b = jute.AppendLong(b, s.Mtime)
	b = jute.AppendInt(b, s.Version)
	b = jute.AppendInt(b, s.Cversion)
	b = jute.AppendInt(b, s.Aversion)
	b = jute.AppendLong(b, int64(s.EphemeralOwner))
	b = jute.AppendInt(b, s.DataLength)
	b = jute.AppendInt(b, s.NumChildren)
	return jute.AppendLong(b, int64(s.Pzxid))
}

// Decode reads the record.
func (s *Stat) Decode(d *jute.Decoder) {
	s.Czxid = zab.Zxid(d.Long())
	s.Mzxid = zab.Zxid(d.Long())
	s.Ctime = d.Long()
	s.Mtime = d.Long()
	s.Version = d.Int()
	s.Cversion = d.Int()
	s.Aversion = d.Int()
	s.EphemeralOwner = zab.SessionID(d.Long())
	s.DataLength = d.Int()
	s.NumChildren = d.Int()
	s.Pzxid = zab.Zxid(d.Long())
}
