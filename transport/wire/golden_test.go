package wire_test

import (
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/transport/jute"
	"quoll/transport/wire"
)

// record is what every request and response is, and what the tests need of it.
type record interface {
	Append(b []byte) []byte
	Decode(d *jute.Decoder)
}

// golden is one frame of testdata/golden.txt, without its length.
type golden struct {
	name    string
	request bool
	frame   []byte
}

func readGolden(t testing.TB) []golden {
	text, err := os.ReadFile("testdata/golden.txt")
	require.NoError(t, err)
	var frames []golden
	for line := range strings.Lines(string(text)) {
		name, rest, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || name == "#" {
			continue
		}
		b, err := hex.DecodeString(strings.ReplaceAll(rest[2:], " ", ""))
		require.NoError(t, err, line)
		n, ok := wire.FrameLength([4]byte(b), wire.MaxFrame)
		require.True(t, ok, line)
		require.Len(t, b, 4+n, line)
		frames = append(frames, golden{name, rest[0] == '>', b[4:]})
	}
	return frames
}

// multiRequest and multiResponse make records of the lists that have no struct of their own.
type multiRequest struct {
	kind wire.Op
	ops  []wire.MultiOp
}

func (m *multiRequest) Append(b []byte) []byte {
	for i := range m.ops {
		b = m.ops[i].Append(b)
	}
	return wire.MultiEnd.Append(b)
}

func (m *multiRequest) Decode(d *jute.Decoder) {
	r := wire.NewMultiReader(d, m.kind)
	var o wire.MultiOp
	for m.ops = nil; r.Next(&o); {
		m.ops = append(m.ops, o)
	}
}

type multiResponse struct{ results []wire.MultiResult }

func (m *multiResponse) Append(b []byte) []byte {
	for i := range m.results {
		b = m.results[i].Append(b)
	}
	return wire.MultiEnd.Append(b)
}

func (m *multiResponse) Decode(d *jute.Decoder) {
	var r wire.MultiResult
	for m.results = nil; r.Decode(d); {
		m.results = append(m.results, r)
	}
}

// setWatches2 is the second form of SetWatchesRequest.
type setWatches2 struct{ wire.SetWatchesRequest }

func (s *setWatches2) Append(b []byte) []byte { return s.Append2(b) }
func (s *setWatches2) Decode(d *jute.Decoder) { s.Decode2(d) }

// nothing is the record of the operations that have none.
type nothing struct{}

func (nothing) Append(b []byte) []byte { return b }
func (nothing) Decode(*jute.Decoder)   {}

func requestOf(op wire.Op) record {
	switch op {
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer:
		return new(wire.CreateRequest)
	case wire.OpCreateTTL:
		return new(wire.CreateTTLRequest)
	case wire.OpDelete, wire.OpCheck:
		return new(wire.PathVersionRequest)
	case wire.OpExists, wire.OpGetData, wire.OpGetChildren, wire.OpGetChildren2:
		return new(wire.PathWatchRequest)
	case wire.OpSetData:
		return new(wire.SetDataRequest)
	case wire.OpSetACL:
		return new(wire.SetACLRequest)
	case wire.OpGetACL, wire.OpSync, wire.OpGetEphemerals, wire.OpGetAllChildrenNumber, wire.OpDeleteContainer:
		return new(wire.PathRequest)
	case wire.OpMulti, wire.OpMultiRead:
		return &multiRequest{kind: op}
	case wire.OpReconfig:
		return new(wire.ReconfigRequest)
	case wire.OpAddWatch:
		return new(wire.AddWatchRequest)
	case wire.OpCheckWatches, wire.OpRemoveWatches:
		return new(wire.WatcherRequest)
	case wire.OpSetWatches:
		return new(wire.SetWatchesRequest)
	case wire.OpSetWatches2:
		return new(setWatches2)
	case wire.OpAuth:
		return new(wire.AuthRequest)
	case wire.OpSASL:
		return new(wire.TokenRecord)
	default:
		return nothing{}
	}
}

func responseOf(op wire.Op) record {
	switch op {
	case wire.OpNotification:
		return new(wire.WatcherEvent)
	case wire.OpCreate, wire.OpSync:
		return new(wire.PathResponse)
	case wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL:
		return new(wire.PathStatResponse)
	case wire.OpExists, wire.OpSetData, wire.OpSetACL:
		return new(wire.Stat)
	case wire.OpGetData, wire.OpReconfig:
		return new(wire.DataResponse)
	case wire.OpGetACL:
		return new(wire.ACLResponse)
	case wire.OpGetChildren, wire.OpGetEphemerals:
		return new(wire.ChildrenResponse)
	case wire.OpGetChildren2:
		return new(wire.Children2Response)
	case wire.OpGetAllChildrenNumber:
		return new(wire.CountResponse)
	case wire.OpMulti, wire.OpMultiRead:
		return new(multiResponse)
	case wire.OpAddWatch:
		return new(wire.ErrorResponse)
	case wire.OpSASL:
		return new(wire.TokenRecord)
	case wire.OpWhoAmI:
		return new(wire.WhoAmIResponse)
	default:
		return nothing{}
	}
}

// recode decodes b with r and encodes what it read behind prefix. All of b must have been read.
func recode(t testing.TB, r record, d *jute.Decoder, prefix []byte) []byte {
	r.Decode(d)
	require.NoError(t, d.Err())
	require.Zero(t, d.Len(), "bytes left over")
	return r.Append(prefix)
}

// Every frame of a real server and its client is read and written again to the same bytes.
func TestGoldenFrames(t *testing.T) {
	ops := map[string]wire.Op{}
	for _, g := range readGolden(t) {
		d := jute.NewDecoder(g.frame)
		switch {
		case g.name == "ConnectRequest" && g.request:
			require.Equal(t, g.frame, recode(t, new(wire.ConnectRequest), &d, nil), g.name)
		case g.name == "ConnectRequest":
			require.Equal(t, g.frame, recode(t, new(wire.ConnectResponse), &d, nil), g.name)
		case g.request:
			var h wire.RequestHeader
			h.Decode(&d)
			name, _, _ := strings.Cut(g.name, ".")
			require.Equal(t, name, h.Op.String())
			require.True(t, h.Op.Known(), g.name)
			ops[g.name] = h.Op
			require.Equal(t, g.frame, recode(t, requestOf(h.Op), &d, h.Append(nil)), g.name)
			body := g.frame[8:]
			whole := wire.AppendRequest(nil, h.Xid, h.Op, func(b []byte) []byte { return append(b, body...) })
			require.Equal(t, g.frame, whole[4:], g.name)
		default:
			var h wire.ReplyHeader
			h.Decode(&d)
			r := responseOf(ops[g.name])
			switch {
			case h.Xid == wire.XidNotification:
				r = responseOf(wire.OpNotification)
			case h.Code != wire.OK:
				r = nothing{}
			}
			require.Equal(t, g.frame, recode(t, r, &d, h.Append(nil)), g.name)
		}
	}
	require.Len(t, ops, 25, "an operation of the capture is gone")
}

// The values behind the bytes, for the frames where a wrong field order would still recode.
func TestGoldenValues(t *testing.T) {
	frames := map[string]golden{}
	for _, g := range readGolden(t) {
		if g.request {
			frames[g.name+">"] = g
		} else {
			frames[g.name+"<"] = g
		}
	}
	d := jute.NewDecoder(frames["ConnectRequest<"].frame)
	var welcome wire.ConnectResponse
	welcome.Decode(&d)
	require.EqualValues(t, 30000, welcome.TimeoutMs)
	require.EqualValues(t, 0x0100002802310000, welcome.SessionID)
	require.Len(t, welcome.Password, wire.PasswordSize)
	require.True(t, welcome.HasReadOnly)
	require.False(t, welcome.ReadOnly)

	d = jute.NewDecoder(frames["createTTL>"].frame[8:])
	var create wire.CreateTTLRequest
	create.Decode(&d)
	require.Equal(t, "/g3", string(create.Path))
	require.Equal(t, []byte{}, create.Data)
	require.Equal(t, wire.OpenACL, create.ACL)
	require.Equal(t, wire.PersistentTTL, create.Flags)
	require.EqualValues(t, 60000, create.TTLMs)

	d = jute.NewDecoder(frames["create2<"].frame[16:])
	var made wire.PathStatResponse
	made.Decode(&d)
	require.Equal(t, "/g1/e", string(made.Path))
	require.EqualValues(t, 3, made.Stat.Czxid)
	require.EqualValues(t, 0x0100002802310000, made.Stat.EphemeralOwner)

	d = jute.NewDecoder(frames["multi<"].frame[16:])
	var results multiResponse
	results.Decode(&d)
	require.Equal(t, []wire.MultiResult{
		{Op: wire.OpError, Code: wire.BadVersion}, {Op: wire.OpError, Code: wire.RuntimeInconsistency},
	}, results.results)

	d = jute.NewDecoder(frames["whoAmI<"].frame[16:])
	var who wire.WhoAmIResponse
	who.Decode(&d)
	require.Equal(t, []wire.ClientInfo{{"ip", "127.0.0.1"}, {"digest", "u"}}, who.Identities)
}
