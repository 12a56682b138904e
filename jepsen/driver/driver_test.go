package driver

import (
	"context"
	"encoding/binary"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quoll/jepsen/history"
	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/zab"
)

// liar is a server that opens any session and answers each request as the test likes.
func liar(t *testing.T, answer func(h wire.RequestHeader) (frame []byte, ok bool)) string {
	t.Helper()
	return answering(t, 2000, func(h wire.RequestHeader, _ *jute.Decoder) ([]byte, bool) { return answer(h) })
}

// answering is liar for those who want to see the bodies of requests.
func answering(t *testing.T, timeoutMs int32, answer func(h wire.RequestHeader, body *jute.Decoder) (frame []byte, ok bool)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for id := zab.SessionID(1); ; id++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := readFrame(c, nil); err != nil {
					return
				}
				resp := wire.ConnectResponse{TimeoutMs: timeoutMs, SessionID: id, Password: make([]byte, wire.PasswordSize), HasReadOnly: true}
				_, _ = c.Write(wire.EndFrame(resp.Append(wire.BeginFrame(nil)), 0))
				for {
					body, err := readFrame(c, nil)
					if err != nil {
						return
					}
					d := jute.NewDecoder(body)
					var h wire.RequestHeader
					h.Decode(&d)
					frame, ok := answer(h, &d)
					if !ok {
						return
					}
					_, _ = c.Write(frame)
				}
			}()
		}
	}()
	return l.Addr().String()
}

func replyFrame(xid zab.Xid, zxid int64, code wire.Code, body []byte) []byte {
	b := wire.ReplyHeader{Xid: xid, Zxid: zxid, Code: code}.Append(wire.BeginFrame(nil))
	return wire.EndFrame(append(b, body...), 0)
}

func drive(t *testing.T, server string, length time.Duration) *Outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := Start(ctx, Options{Servers: []string{server}, Workload: "set", Clients: 3, Rate: 600, For: length, Seed: 1})
	require.NoError(t, err)
	r.Wait()
	p := r.Progress()
	require.Equal(t, 3, p.Clients)
	return r.Outcome()
}

// What no answer can be is a fault of the server; nobody asks again for what is open then.
func TestStrangeAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(h wire.RequestHeader) ([]byte, bool)
		want   string
	}{
		"another request": {func(h wire.RequestHeader) ([]byte, bool) { return replyFrame(h.Xid+7, 1, wire.NoNode, nil), true }, "not its oldest open one"},
		"half a body":     {func(h wire.RequestHeader) ([]byte, bool) { return replyFrame(h.Xid, 1, wire.OK, []byte{0}), true }, "cannot be read"},
		"half a header": {func(wire.RequestHeader) ([]byte, bool) {
			return wire.EndFrame(append(wire.BeginFrame(nil), 1, 2), 0), true
		}, "header of an answer"},
	} {
		t.Run(name, func(t *testing.T) {
			out := drive(t, liar(t, c.answer), 300*time.Millisecond)
			require.NotEmpty(t, out.Faults)
			require.Contains(t, out.Faults[0].Text, c.want)
			for i := range out.History.Ops {
				require.False(t, out.History.Ops[i].Known())
			}
		})
	}
}

// What is never answered is unknown, not failed, and the clients come back for more.
func TestSilence(t *testing.T) {
	var asked atomic.Int64
	out := drive(t, liar(t, func(h wire.RequestHeader) ([]byte, bool) {
		n := asked.Add(1)
		if n%20 == 0 {
			return nil, false // the connection ends
		}
		if h.Op == wire.OpCreate && n%2 == 0 {
			return replyFrame(h.Xid, n, wire.NodeExists, nil), true
		}
		return replyFrame(h.Xid, n, wire.NoNode, nil), true
	}), time.Second)
	require.Empty(t, out.Faults)
	f := Measure(out, time.Second.Microseconds())
	require.Positive(t, f.Errors["unknown"])
	require.Greater(t, f.Errors["NoNode"], 20)
	require.Zero(t, f.OK)
	require.EqualValues(t, time.Second.Microseconds(), f.Gap)
	require.Greater(t, len(out.History.Conns), 3)
	for i := range out.History.Conns {
		require.False(t, out.History.Conns[i].Closed.IsZero(), "nothing is left open")
	}
}

// Some clients fall silent for longer than their session lasts, without a word, and come back with it.
func TestAbsentClients(t *testing.T) {
	const timeout = 300 * time.Millisecond
	address := answering(t, int32(timeout.Milliseconds()), func(h wire.RequestHeader, _ *jute.Decoder) ([]byte, bool) {
		return replyFrame(h.Xid, int64(h.Xid), wire.NoNode, nil), true
	})
	r, err := Start(t.Context(), Options{Servers: []string{address}, Workload: "register", Clients: 4, Absent: 1, Rate: 200, For: 3 * time.Second, Seed: 3})
	require.NoError(t, err)
	r.Wait()
	h := r.Outcome().History
	last := map[int]*history.Conn{}
	away := map[int]int{}
	for i := range h.Conns {
		c := &h.Conns[i]
		if before := last[c.Client]; before != nil && c.Dialed.At-before.Closed.At > timeout.Microseconds() {
			away[c.Client]++
			require.Equal(t, before.Session, c.Asked, "it comes back with its session")
		}
		last[c.Client] = c
	}
	require.Greater(t, away[3], 1)
	require.Len(t, away, 1, "the others stay")
	for i := range h.Ops {
		o := &h.Ops[i]
		require.False(t, !h.Conns[o.Conn].Closed.IsZero() && h.Conns[o.Conn].Closed.Before(o.Call))
		require.NotEqual(t, wire.OpCloseSession, o.Op.Kind, "not a word")
	}
	_, err = Start(t.Context(), Options{Servers: []string{address}, Workload: "register", Clients: 4, Absent: 5, For: time.Second})
	require.Error(t, err)
}

// The rate is that of the requests and not of the answers: what a stall held up leaves later, its time counts from
// when it was due, and what never left is counted.
func TestOpenLoop(t *testing.T) {
	const rate, length, stall = 400, 2 * time.Second, 600 * time.Millisecond
	begin := time.Now()
	answer := func(h wire.RequestHeader) ([]byte, bool) {
		if since := time.Since(begin); since > 500*time.Millisecond && since < 500*time.Millisecond+stall {
			time.Sleep(500*time.Millisecond + stall - since)
		}
		return replyFrame(h.Xid, int64(h.Xid), wire.NoNode, nil), true
	}
	run := func(pipeline int, address string) *Outcome {
		begin = time.Now()
		r, err := Start(t.Context(), Options{Servers: []string{address}, Workload: "register", Clients: 2, Rate: rate, Pipeline: pipeline, For: length, Seed: 3})
		require.NoError(t, err)
		r.Wait()
		return r.Outcome()
	}
	out := run(2, liar(t, answer))
	f := Measure(out, length.Microseconds())
	require.InDelta(t, rate*length.Seconds(), f.Asked+f.Unsent, 150, "what was due does not depend on the server")
	require.InDelta(t, f.Asked, f.Asked+f.Unsent, 40, "it is made up for")
	require.Greater(t, f.Late, 100, "what was due while it stood still was held up")
	require.Less(t, f.Late, f.Asked*3/4)
	require.Greater(t, f.P99, (stall / 2).Microseconds(), "and has waited from when it was due")

	begin = time.Now()
	silent := run(3, liar(t, func(wire.RequestHeader) ([]byte, bool) { time.Sleep(time.Minute); return nil, false }))
	require.InDelta(t, len(silent.History.Ops)+silent.Unsent, f.Asked+f.Unsent, 1, "nor on its answers")
	require.LessOrEqual(t, len(silent.History.Ops), 2*3*4, "no more are open than the pipeline takes")
	require.Greater(t, silent.Unsent, 700)
}

// A frame is as long as it says, within reason.
func TestReadFrame(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	go func() { _, _ = b.Write(binary.BigEndian.AppendUint32(nil, 1<<31)) }()
	_, err := readFrame(a, nil)
	require.ErrorContains(t, err, "a frame of -")
}

// Figures are of what was asked for in time; the end of the run ends a gap.
func TestMeasure(t *testing.T) {
	op := func(call, back int64, kind wire.Op, code wire.Code) history.Operation {
		o := history.Operation{Op: history.Op{Kind: kind}, Call: history.Moment{At: call, Seq: call + 1}, Result: history.Result{Code: code}}
		if back > 0 {
			o.Return = history.Moment{At: back, Seq: back + 1}
		}
		return o
	}
	h := &history.History{Ops: []history.Operation{
		op(100_000, 110_000, wire.OpCreate, wire.OK),
		op(200_000, 230_000, wire.OpGetData, wire.OK),
		op(900_000, 2_500_000, wire.OpGetData, wire.OK),
		op(1_000_000, 1_010_000, wire.OpDelete, wire.NoNode),
		op(1_100_000, 0, wire.OpCreate, wire.OK),
		op(5_000_000, 5_100_000, wire.OpCreate, wire.OK), // too late
	}}
	f := Measure(&Outcome{History: h, Due: map[int]int64{1: 190_000}, Late: 3, Unsent: 2}, 4_000_000)
	require.Equal(t, []int{3, 2}, []int{f.Late, f.Unsent})
	require.Equal(t, 5, f.Asked)
	require.Equal(t, 3, f.OK)
	require.Equal(t, map[string]int{"NoNode": 1, "unknown": 1}, f.Errors)
	require.Equal(t, Second{OK: 2, P50: 40_000, P99: 40_000}, f.Seconds[0])
	require.Equal(t, Second{Failed: 1, Unknown: 1, P50: 10_000, P99: 10_000}, f.Seconds[1])
	require.EqualValues(t, 1_600_000, f.Max)
	require.EqualValues(t, []int64{2_270_000, 230_000}, []int64{f.Gap, f.GapAt})
	require.EqualValues(t, []int64{3_890_000, 110_000}, []int64{f.WriteGap, f.WriteAt})
	require.InDelta(t, 0.75, f.PerSec, 1e-9)
}

// Nobody to ask, nothing to do: said at once.
func TestStartRefuses(t *testing.T) {
	for _, o := range []Options{{}, {Servers: []string{"x"}}, {Servers: []string{"x"}, Clients: 1}} {
		_, err := Start(t.Context(), o)
		require.ErrorContains(t, err, "want servers, clients and a time")
	}
}
