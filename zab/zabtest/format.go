package zabtest

import (
	"fmt"
	"strings"

	"quoll/zab"
)

// Name returns the letter of a server: A is 1.
func Name(id zab.ServerID) string {
	if id == 0 {
		return "-"
	}
	return string(rune('A' + id - 1))
}

// names returns the letters of some servers.
func names(set zab.Set) string {
	if set.Len() == 0 {
		return "nobody"
	}
	var b strings.Builder
	for id := 1; id < 256; id++ {
		if set.Has(zab.ServerID(id)) {
			b.WriteString(Name(zab.ServerID(id)))
		}
	}
	return b.String()
}

// Z prints a zxid as epoch:counter.
func Z(z zab.Zxid) string { return fmt.Sprintf("%d:%d", z.Epoch(), z.Counter()) }

// txns prints 2:1 or 2:1…2:5.
func txns(ts []zab.Txn) string {
	switch len(ts) {
	case 0:
		return "nothing"
	case 1:
		return Z(ts[0].Zxid)
	}
	return Z(ts[0].Zxid) + "…" + Z(ts[len(ts)-1].Zxid)
}

// Describe prints a message with the fields that count.
func Describe(m *zab.Message) string {
	var b strings.Builder
	b.WriteString(m.Kind.String())
	field := func(format string, args ...any) { fmt.Fprintf(&b, " "+format, args...) }
	switch m.Kind {
	case zab.FollowerInfo:
		field("accepted=%d", m.Epoch)
		if m.Observer {
			field("observer")
		}
	case zab.LeaderInfo, zab.NewLeader:
		field("epoch=%d", m.Epoch)
	case zab.AckEpoch:
		field("current=%d last=%s", m.Epoch, Z(m.Zxid))
		if m.NoCount {
			field("nocount")
		}
	case zab.Diff, zab.Trunc, zab.Snap, zab.Ack:
		field("%s", Z(m.Zxid))
	case zab.Proposal, zab.Inform:
		field("%s", txns(m.Txns))
		if m.Commit != 0 {
			field("commit=%s", Z(m.Commit))
		}
	case zab.Commit, zab.UpToDate:
		field("%s", Z(m.Commit))
	case zab.Ping:
		field("round=%d", m.Seq)
		if m.Commit != 0 {
			field("commit=%s", Z(m.Commit))
		}
	case zab.PingReply, zab.Barrier:
		field("%d", m.Seq)
	case zab.BarrierReply:
		field("%d at=%s", m.Seq, Z(m.Zxid))
	default:
	}
	return b.String()
}

// DescribeRecord prints a record as the log would show it.
func DescribeRecord(r zab.Record) string {
	switch r.Kind {
	case zab.RecordTxn:
		return fmt.Sprintf("%s %q", Z(r.Zxid), r.Data)
	case zab.RecordAcceptedEpoch, zab.RecordCurrentEpoch:
		return fmt.Sprintf("%v %d", r.Kind, r.Epoch)
	case zab.RecordAbandon:
		return r.Kind.String()
	default:
		return fmt.Sprintf("%v %s", r.Kind, Z(r.Zxid))
	}
}
