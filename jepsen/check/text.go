package check

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"quoll/jepsen/history"
	"quoll/transport/wire"
	"quoll/zab"
)

// seconds prints a moment as people read it.
func seconds(m history.Moment) string {
	return strconv.FormatFloat(float64(m.At)/1e6, 'f', 6, 64) + " s"
}

func hex(zxid int64) string {
	if zxid < 0 {
		return strconv.FormatInt(zxid, 10)
	}
	return zab.Zxid(zxid).String()
}

func session(id zab.SessionID) string { return fmt.Sprintf("session %#x", int64(id)) }

// asks says what was asked, as `setData "/a" version 3`.
func asks(op *history.Op) string {
	text := op.Kind.String()
	if op.Path != "" {
		text += " " + strconv.Quote(op.Path)
	}
	switch op.Kind {
	case wire.OpDelete, wire.OpSetData, wire.OpSetACL, wire.OpCheck:
		if op.Version != wire.AnyVersion {
			text += " version " + strconv.Itoa(int(op.Version))
		}
	case wire.OpMulti, wire.OpMultiRead:
		var parts []string
		for i := range op.Ops {
			parts = append(parts, asks(&op.Ops[i]))
		}
		text += " of [" + strings.Join(parts, ", ") + "]"
	default:
	}
	return text
}

// op says which operation it is: what, when, whose.
func (s *study) op(i int) string {
	o := &s.h.Ops[i]
	return fmt.Sprintf("%s at %s by %s", asks(&o.Op), seconds(o.Call), session(o.Session))
}

// difference says how an answer differs from what it should be, from the answer's side; nothing
// when it does not.
func difference(kind wire.Op, got, want *history.Result) string {
	if got.Code != want.Code {
		return fmt.Sprintf("%s instead of %s", got.Code.Name(), want.Code.Name())
	}
	if got.Code != wire.OK {
		return ""
	}
	switch kind {
	case wire.OpCreate, wire.OpSync:
		return unequal("path", strconv.Quote(got.Path), strconv.Quote(want.Path))
	case wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL:
		if got.Path != want.Path {
			return unequal("path", strconv.Quote(got.Path), strconv.Quote(want.Path))
		}
		return unequalStat(&got.Stat, &want.Stat)
	case wire.OpSetData, wire.OpSetACL, wire.OpExists:
		return unequalStat(&got.Stat, &want.Stat)
	case wire.OpGetData:
		if !bytes.Equal(got.Data, want.Data) || (got.Data == nil) != (want.Data == nil) {
			return unequal("data", data(got.Data), data(want.Data))
		}
		return unequalStat(&got.Stat, &want.Stat)
	case wire.OpGetACL:
		if !slices.Equal(got.ACL, want.ACL) {
			return unequal("list", fmt.Sprint(got.ACL), fmt.Sprint(want.ACL))
		}
		return unequalStat(&got.Stat, &want.Stat)
	case wire.OpGetChildren, wire.OpGetEphemerals:
		return unequalNames(got.Children, want.Children)
	case wire.OpGetChildren2:
		if text := unequalNames(got.Children, want.Children); text != "" {
			return text
		}
		return unequalStat(&got.Stat, &want.Stat)
	case wire.OpGetAllChildrenNumber:
		return unequal("count", strconv.Itoa(int(got.Count)), strconv.Itoa(int(want.Count)))
	case wire.OpMulti, wire.OpMultiRead:
		return unequalParts(got.Results, want.Results)
	default:
		return ""
	}
}

func unequal(what, got, want string) string {
	if got == want {
		return ""
	}
	return fmt.Sprintf("%s %s instead of %s", what, got, want)
}

func data(b []byte) string {
	if b == nil {
		return "null"
	}
	return strconv.Quote(string(b))
}

func unequalStat(got, want *wire.Stat) string {
	if *got == *want {
		return ""
	}
	fields := func(s *wire.Stat) []string {
		return []string{
			"czxid " + s.Czxid.String(), "mzxid " + s.Mzxid.String(), "pzxid " + s.Pzxid.String(),
			fmt.Sprint("ctime ", s.Ctime), fmt.Sprint("mtime ", s.Mtime), fmt.Sprint("version ", s.Version),
			fmt.Sprint("cversion ", s.Cversion), fmt.Sprint("aversion ", s.Aversion),
			fmt.Sprintf("ephemeralOwner %#x", int64(s.EphemeralOwner)),
			fmt.Sprint("dataLength ", s.DataLength), fmt.Sprint("numChildren ", s.NumChildren),
		}
	}
	var parts []string
	ours := fields(want)
	for i, text := range fields(got) {
		if text != ours[i] {
			_, value, _ := strings.Cut(ours[i], " ")
			parts = append(parts, text+" instead of "+value)
		}
	}
	return strings.Join(parts, ", ")
}

// unequalNames compares lists whose order says nothing.
func unequalNames(got, want []string) string {
	got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
	if slices.Equal(got, want) {
		return ""
	}
	return unequal("children", fmt.Sprintf("%q", got), fmt.Sprintf("%q", want))
}

func unequalParts(got, want []history.Result) string {
	if len(got) != len(want) {
		return fmt.Sprintf("%d results instead of %d", len(got), len(want))
	}
	for i := range got {
		if got[i].Kind != want[i].Kind {
			return fmt.Sprintf("result %d is one of %s instead of %s", i+1, got[i].Kind, want[i].Kind)
		}
		if text := difference(want[i].Kind, &got[i], &want[i]); text != "" {
			return fmt.Sprintf("result %d: %s", i+1, text)
		}
	}
	return ""
}
