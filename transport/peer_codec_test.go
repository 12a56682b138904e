package transport

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quoll/election"
	"quoll/zab"
)

// encodeMessage returns the frame of m in a buffer of its own.
func encodeMessage(m *zab.Message) []byte {
	e := newEncoder()
	e.message(m)
	return e.out.buf
}

func drawBytes(t *rapid.T, name string, most int) []byte {
	b := rapid.SliceOfN(rapid.Byte(), 0, most).Draw(t, name)
	if len(b) == 0 {
		return nil
	}
	return b
}

func drawList[T any](t *rapid.T, name string, most int, one func() T) []T {
	var list []T
	for range rapid.IntRange(0, most).Draw(t, name) {
		list = append(list, one())
	}
	return list
}

func drawZxid(t *rapid.T, name string) zab.Zxid { return zab.Zxid(rapid.Uint64().Draw(t, name)) }

func drawID(t *rapid.T) zab.RequestID {
	return zab.RequestID{Boot: rapid.Uint64().Draw(t, "boot"), N: rapid.Uint64().Draw(t, "n")}
}

func drawRequest(t *rapid.T) zab.Request {
	return zab.Request{
		ID:      drawID(t),
		Session: zab.SessionID(rapid.Int64().Draw(t, "session")),
		Xid:     zab.Xid(rapid.Int32().Draw(t, "xid")),
		Op:      rapid.Int32().Draw(t, "op"),
		Body:    drawBytes(t, "body", 300),
		Auth: drawList(t, "auths", 3, func() zab.AuthID {
			return zab.AuthID{Scheme: rapid.String().Draw(t, "scheme"), ID: rapid.StringN(0, 40, 300).Draw(t, "id")}
		}),
	}
}

// drawMessage fills exactly the fields that the kind carries.
func drawMessage(t *rapid.T, kind zab.Kind) *zab.Message {
	f, ok := layout(kind)
	require.True(t, ok)
	m := &zab.Message{Kind: kind}
	if f&hasServer != 0 {
		m.Server = zab.ServerID(rapid.Uint8().Draw(t, "server"))
	}
	if f&hasObserver != 0 {
		m.Observer = rapid.Bool().Draw(t, "observer")
	}
	if f&hasNoCount != 0 {
		m.NoCount = rapid.Bool().Draw(t, "nocount")
	}
	if f&hasEpoch != 0 {
		m.Epoch = zab.Epoch(rapid.Uint32Range(0, uint32(zab.MaxEpoch)).Draw(t, "epoch"))
	}
	if f&hasZxid != 0 {
		m.Zxid = drawZxid(t, "zxid")
	}
	if f&hasCommit != 0 {
		m.Commit = drawZxid(t, "commit")
	}
	if f&hasSeq != 0 {
		m.Seq = rapid.Uint64().Draw(t, "seq")
	}
	if f&hasTxns != 0 {
		m.Txns = drawList(t, "txns", 20, func() zab.Txn {
			return zab.Txn{Zxid: drawZxid(t, "txn"), Data: drawBytes(t, "data", 300)}
		})
	}
	if f&hasRequests != 0 {
		m.Requests = drawList(t, "requests", 6, func() zab.Request { return drawRequest(t) })
	}
	if f&hasSessions != 0 {
		m.Sessions = drawList(t, "sessions", 20, func() zab.SessionID {
			return zab.SessionID(rapid.Int64().Draw(t, "session"))
		})
	}
	if f&hasRevalidation != 0 {
		m.Revalidation = zab.Revalidation{
			ID: drawID(t), Session: zab.SessionID(rapid.Int64().Draw(t, "session")), Password: drawBytes(t, "password", 16),
			TimeoutMs: rapid.Int32().Draw(t, "timeout"), Valid: rapid.Bool().Draw(t, "valid"),
		}
	}
	return m
}

// kinds are those that travel as a message of their own.
func kinds() []zab.Kind {
	var list []zab.Kind
	for k := zab.Kind(1); k.Valid(); k++ {
		if k != zab.Snap {
			list = append(list, k)
		}
	}
	return list
}

func TestEveryKindHasALayout(t *testing.T) {
	for _, k := range kinds() {
		_, ok := layout(k)
		require.True(t, ok, "kind %d", k)
	}
	for _, k := range []zab.Kind{0, zab.Snap, zab.Kind(len(layouts)), kindChunk, kindHello, 255} {
		_, ok := layout(k)
		require.False(t, ok, "kind %d", k)
	}
	require.Less(t, len(layouts), kindChunk, "the kinds of messages have run into those of other frames")
}

func TestMessageRoundTrip(t *testing.T) {
	d := newDecoder()
	for _, kind := range kinds() {
		rapid.Check(t, func(t *rapid.T) {
			m := drawMessage(t, kind)
			frame := encodeMessage(m)
			require.EqualValues(t, len(frame)-lengthBytes, binary.BigEndian.Uint32(frame))
			payload := frame[lengthBytes:]
			got, err := d.message(payload)
			require.NoError(t, err)
			require.Equal(t, m, got)
			clear(payload) // the message must not live in the reader's buffer
			require.Equal(t, m, got)
		})
	}
}

func TestNotificationRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := election.Notification{
			State: election.State(rapid.Uint8Range(1, uint8(election.Observing)).Draw(t, "state")),
			Vote: election.Vote{
				Leader: zab.ServerID(rapid.Uint8().Draw(t, "leader")),
				Zxid:   drawZxid(t, "zxid"),
				Epoch:  zab.Epoch(rapid.Uint32Range(0, uint32(zab.MaxEpoch)).Draw(t, "epoch")),
			},
			Round: rapid.Uint64().Draw(t, "round"),
		}
		e, d := newEncoder(), newDecoder()
		e.notification(n)
		require.LessOrEqual(t, len(e.out.buf)-lengthBytes, maxElection)
		got, err := d.notification(d.open(e.out.buf[lengthBytes:]))
		require.NoError(t, err)
		require.Equal(t, n, got)
	})
}

// These bytes are the examples of docs/FORMATS.md: a change of them is a change of the protocol.
func TestFrameBytes(t *testing.T) {
	id := zab.RequestID{Boot: 7, N: 300}
	for _, c := range []struct {
		m    *zab.Message
		want string
	}{
		{&zab.Message{Kind: zab.FollowerInfo, Server: 3, Epoch: 5}, "00000005 94 01 03 c2 05"},
		{&zab.Message{Kind: zab.Ack, Zxid: zab.MakeZxid(5, 2)}, "0000000b 92 0a cf0000050000000002"},
		{
			&zab.Message{Kind: zab.Proposal, Commit: 1, Txns: []zab.Txn{{Zxid: 2, Data: []byte("ab")}}},
			"0000000a 93 07 01 91 92 02 c4026162",
		},
		{
			&zab.Message{Kind: zab.Requests, Requests: []zab.Request{{ID: id, Session: -1, Xid: 9, Op: -11, Auth: []zab.AuthID{{Scheme: "ip", ID: "::1"}}}}},
			"00000016 92 11 91 97 07 cd012c ff 09 f5 c400 91 92 a26970 a33a3a31",
		},
		{
			&zab.Message{Kind: zab.Revalidate, Revalidation: zab.Revalidation{ID: id, Session: 1, Password: []byte{0xfe}, TimeoutMs: 6000, Valid: true}},
			"0000000f 92 13 96 07 cd012c 01 c401fe cd1770 c3",
		},
	} {
		want := strings.ReplaceAll(c.want, " ", "")
		require.Equal(t, want, hex.EncodeToString(encodeMessage(c.m)))
	}
}

func TestUnusedFieldIsABug(t *testing.T) {
	for _, m := range []*zab.Message{
		{Kind: zab.Ping, Server: 1},
		{Kind: zab.Ack, Txns: []zab.Txn{{Zxid: 1}}},
		{Kind: zab.Commit, Revalidation: zab.Revalidation{TimeoutMs: 1}},
		{Kind: zab.Snap, Zxid: 1},
		{},
	} {
		require.Panics(t, func() { encodeMessage(m) })
	}
}

func TestMalformedFrames(t *testing.T) {
	for name, payload := range map[string]string{
		"empty":                         "",
		"no array":                      "0a",
		"array without a kind":          "90",
		"nil":                           "c0",
		"map":                           "80",
		"kind is nil":                   "92 c0 01",
		"kind is negative":              "92 ff 01",
		"kind in two bytes":             "92 cc0a 01",
		"kind 0":                        "92 00 01",
		"unknown kind":                  "92 3f 01",
		"snap as a message":             "92 06 01",
		"chunk outside of a stream":     "93 40 01 c401ff",
		"heartbeat on a link":           "91 51",
		"missing field":                 "91 0a",
		"field too many":                "93 0a 01 01",
		"bytes behind":                  "92 0a 01 00",
		"zxid is nil":                   "92 0a c0",
		"zxid is negative":              "92 0a ff",
		"zxid is a string":              "92 0a a131",
		"zxid is a float":               "92 0a cb3ff0000000000000",
		"zxid not in its shortest form": "92 0a ce00000001",
		"zxid is cut":                   "92 0a cf00000001",
		"bool is a number":              "94 01 03 01 05",
		"server out of range":           "94 01 cd0100 c2 05",
		"epoch out of range":            "92 02 ce01000000",
		"txns is nil":                   "93 07 01 c0",
		"txns longer than the frame":    "93 07 01 ddffffffff",
		"txns a little longer":          "93 07 01 92 9202c400",
		"txn of three":                  "93 07 01 91 93 02 c400 01",
		"data is nil":                   "93 07 01 91 92 02 c0 c0",
		"data is a string":              "93 07 01 91 92 02 a161 a161",
		"data longer than the frame":    "93 07 01 91 92 02 c6ffffffff",
		"data in a long form":           "93 07 01 91 92 02 c5000161",
		"array in a long form":          "93 07 01 dc0001 9202c400",
		"session beyond 64 bits":        "92 12 91 cfffffffffffffffff",
		"session as a negative uint":    "92 12 91 cf8000000000000000",
		"session as a positive int":     "92 12 91 d001",
		"xid out of range":              "92 11 91 97 07 01 01 ce80000000 01 c400 90",
		"auth longer than the frame":    "92 11 91 97 07 01 01 01 01 c400 9f a161a161",
		"scheme is bytes":               "92 11 91 97 07 01 01 01 01 c400 91 92 c40161 a161",
		"string longer than the frame":  "92 11 91 97 07 01 01 01 01 c400 91 92 dbffffffff a161",
	} {
		b, err := hex.DecodeString(strings.ReplaceAll(payload, " ", ""))
		require.NoError(t, err, name)
		m, err := newDecoder().message(b)
		require.ErrorIs(t, err, errMalformed, name)
		require.Nil(t, m, name)
	}
}

func TestMalformedNotifications(t *testing.T) {
	for name, payload := range map[string]string{
		"state 0":       "96 50 00 01 01 01 01",
		"state 5":       "96 50 05 01 01 01 01",
		"a message":     "92 0a 01",
		"a field less":  "95 50 01 01 01 01",
		"bytes behind":  "96 50 01 01 01 01 01 01",
		"epoch too big": "96 50 01 01 01 ceffffffff 01",
	} {
		b, err := hex.DecodeString(strings.ReplaceAll(payload, " ", ""))
		require.NoError(t, err, name)
		d := newDecoder()
		_, err = d.notification(d.open(b))
		require.ErrorIs(t, err, errMalformed, name)
	}
}

// What decodes has one encoding, so whoever re-encodes a message gets the same bytes.
func FuzzMessage(f *testing.F) {
	f.Add(encodeMessage(&zab.Message{Kind: zab.Proposal, Commit: 9, Txns: []zab.Txn{{Zxid: 2, Data: []byte("ab")}, {Zxid: 3}}})[lengthBytes:])
	f.Add(encodeMessage(&zab.Message{Kind: zab.Touch, Sessions: []zab.SessionID{-1, math.MinInt64, math.MaxInt64}})[lengthBytes:])
	f.Add(encodeMessage(&zab.Message{Kind: zab.Requests, Requests: []zab.Request{{Op: -10, Auth: []zab.AuthID{{Scheme: "digest", ID: "a:b"}}}}})[lengthBytes:])
	f.Add(encodeMessage(&zab.Message{Kind: zab.RevalidateReply, Zxid: 1 << 40})[lengthBytes:])
	f.Add([]byte("\x93\x07\x01\xdd\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		m, err := newDecoder().message(payload)
		if err != nil {
			require.ErrorIs(t, err, errMalformed)
			require.Nil(t, m)
			return
		}
		require.Equal(t, payload, encodeMessage(m)[lengthBytes:])
	})
}

func FuzzNotification(f *testing.F) {
	e := newEncoder()
	e.notification(election.Notification{State: election.Leading, Vote: election.Vote{Leader: 2, Zxid: 1 << 41, Epoch: 3}, Round: 8})
	f.Add(e.out.buf[lengthBytes:])
	f.Fuzz(func(t *testing.T, payload []byte) {
		d := newDecoder()
		n, err := d.notification(d.open(payload))
		if err != nil {
			require.ErrorIs(t, err, errMalformed)
			return
		}
		e := newEncoder()
		e.notification(n)
		require.Equal(t, payload, e.out.buf[lengthBytes:])
	})
}

// A frame may lie about every length in it; the memory it costs is a small multiple of its size.
func TestDecodeAllocatesWhatCame(t *testing.T) {
	dense := encodeMessage(&zab.Message{Kind: zab.Touch, Sessions: make([]zab.SessionID, 1<<16)})[lengthBytes:]
	empty := encodeMessage(&zab.Message{Kind: zab.Proposal, Txns: make([]zab.Txn, 1<<15)})[lengthBytes:]
	blank := encodeMessage(&zab.Message{Kind: zab.Requests, Requests: make([]zab.Request, 1<<14)})[lengthBytes:]
	liar := append([]byte("\x92\x11\xdd\x00\x01\x00\x00"), make([]byte, 1<<16)...)
	for name, payload := range map[string][]byte{
		"dense": dense, "empty txns": empty, "blank requests": blank, "liar": liar, "cut": empty[:len(empty)-1],
	} {
		d := newDecoder()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := d.message(payload)
		runtime.ReadMemStats(&after)
		require.LessOrEqual(t, after.TotalAlloc-before.TotalAlloc, uint64(12*len(payload)+4096), name)
		require.Equal(t, name == "liar" || name == "cut", err != nil, name)
	}
}

func TestEncodeProposalAllocatesNothing(t *testing.T) {
	m := &zab.Message{Kind: zab.Proposal, Commit: 1 << 41}
	for i := range 64 {
		m.Txns = append(m.Txns, zab.Txn{Zxid: zab.MakeZxid(2, uint64(i+1)), Data: make([]byte, 150)})
	}
	e := newEncoder()
	require.Zero(t, testing.AllocsPerRun(100, func() {
		e.reset()
		e.message(m)
	}))
}

// requestsMessage is what a follower sends for n writes of 100 bytes, of three clients.
func requestsMessage(n int) *zab.Message {
	m := &zab.Message{Kind: zab.Requests}
	for i := range n {
		m.Requests = append(m.Requests, zab.Request{
			ID: zab.RequestID{Boot: 1 << 60, N: uint64(i + 1)}, Session: 1 << 56, Xid: zab.Xid(i), Op: 5, Body: make([]byte, 120),
			Auth: []zab.AuthID{{Scheme: "ip", ID: fmt.Sprintf("10.0.0.%d", i%3)}, {Scheme: "digest", ID: "user:hash"}},
		})
	}
	return m
}

func TestEncodeRequestsAllocatesNothing(t *testing.T) {
	m, e := requestsMessage(64), newEncoder()
	require.Zero(t, testing.AllocsPerRun(100, func() {
		e.reset()
		e.message(m)
	}))
}

// A frame costs the message, its array and its bytes, whatever it holds; nothing for a message without bytes but
// itself. The identities of requests are those that the decoder has seen before.
func TestDecodeAllocations(t *testing.T) {
	proposal := encodeMessage(&zab.Message{Kind: zab.Proposal, Txns: make([]zab.Txn, 64)})[lengthBytes:]
	requests := encodeMessage(requestsMessage(64))[lengthBytes:]
	ping := encodeMessage(&zab.Message{Kind: zab.Ping, Seq: 1 << 33, Commit: 1 << 41})[lengthBytes:]
	d := newDecoder()
	decode := func(payload []byte) func() {
		return func() {
			if _, err := d.message(payload); err != nil {
				t.Fatal(err)
			}
		}
	}
	require.LessOrEqual(t, testing.AllocsPerRun(100, decode(proposal)), 3.0)
	require.LessOrEqual(t, testing.AllocsPerRun(100, decode(requests)), 3.0)
	require.LessOrEqual(t, testing.AllocsPerRun(100, decode(ping)), 1.0)
}

// What a decoder remembers of identities is bounded, and forgetting changes nothing.
func TestDecoderForgetsIdentities(t *testing.T) {
	d := newDecoder()
	for i := range 3 * knownAuths {
		want := []zab.AuthID{{Scheme: "ip", ID: fmt.Sprint(i)}, {Scheme: "digest", ID: strings.Repeat("x", i%1000)}}
		m := &zab.Message{Kind: zab.Requests, Requests: []zab.Request{{Auth: want}, {Auth: want}, {}}}
		got, err := d.message(encodeMessage(m)[lengthBytes:])
		require.NoError(t, err)
		require.Equal(t, want, got.Requests[0].Auth)
		require.Equal(t, want, got.Requests[1].Auth)
		require.Nil(t, got.Requests[2].Auth)
		require.LessOrEqual(t, len(d.auths), knownAuths)
	}
}

// TestQueueAllocatesNothing: a frame is copied into the queue of its link, whose two arrays take turns.
func TestQueueAllocatesNothing(t *testing.T) {
	l := newLink(&Links{queueBytes: 1 << 20}, 1, nil, 2, false)
	frame, spent := make([]byte, 9000), batch{}
	turn := func() {
		for range 8 {
			l.enqueue(frame, nil)
		}
		spent = l.take(spent)
		l.written(len(spent.frames))
	}
	for range 10 {
		turn()
	}
	require.NoError(t, l.err)
	require.Zero(t, testing.AllocsPerRun(100, turn))
}

func BenchmarkEncodeProposal(b *testing.B) {
	m := &zab.Message{Kind: zab.Proposal, Commit: 1 << 41}
	for i := range 64 {
		m.Txns = append(m.Txns, zab.Txn{Zxid: zab.MakeZxid(2, uint64(i+1)), Data: make([]byte, 150)})
	}
	e := newEncoder()
	b.ReportAllocs()
	for b.Loop() {
		e.reset()
		e.message(m)
	}
}

func BenchmarkDecodeProposal(b *testing.B) {
	m := &zab.Message{Kind: zab.Proposal, Commit: 1 << 41}
	for i := range 64 {
		m.Txns = append(m.Txns, zab.Txn{Zxid: zab.MakeZxid(2, uint64(i+1)), Data: make([]byte, 150)})
	}
	payload := encodeMessage(m)[lengthBytes:]
	d := newDecoder()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.message(payload); err != nil {
			b.Fatal(err)
		}
	}
}

// A proposal goes to every learner in a run of envelopes: its bytes are made once. (That the message
// is changed in between is what nobody may do, and what shows here that it was not read again.)
func TestMessageIsEncodedOnce(t *testing.T) {
	s := &Links{enc: newEncoder()}
	m := &zab.Message{Kind: zab.Commit, Commit: 1}
	first := string(s.encode(m))
	m.Commit = 2
	require.Equal(t, first, string(s.encode(m)))
	require.NotEqual(t, first, string(s.encode(&zab.Message{Kind: zab.Commit, Commit: 2})))
	require.NotEqual(t, first, string(s.encode(m)), "another message came in between")
}
