package wire_test

import (
	"bytes"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/transport/jute"
	"quoll/transport/wire"
)

// settle checks that what a decoder took from b means the same when it is encoded and read again.
// It need not be b: a null string reads as empty, any true byte as 1.
func settle(t *testing.T, fresh func() record, b []byte) {
	first := fresh()
	d := jute.NewDecoder(b)
	first.Decode(&d)
	if d.Err() != nil {
		return
	}
	once := first.Append(nil)
	second := fresh()
	d = jute.NewDecoder(once)
	second.Decode(&d)
	require.NoError(t, d.Err())
	require.Zero(t, d.Len())
	require.True(t, bytes.Equal(once, second.Append(nil)))
}

func FuzzRequest(f *testing.F) {
	for _, g := range readGolden(f) {
		if g.request && g.name != "ConnectRequest" {
			f.Add(g.frame)
		}
	}
	watches := setWatches2{wire.SetWatchesRequest{
		Data: []string{"/a"}, Exist: []string{}, Child: []string{}, Persistent: []string{""}, PersistentRecursive: []string{"/"},
	}}
	f.Add(watches.Append(wire.RequestHeader{Xid: -8, Op: wire.OpSetWatches2}.Append(nil)))
	f.Fuzz(func(t *testing.T, b []byte) {
		d := jute.NewDecoder(b)
		var h wire.RequestHeader
		h.Decode(&d)
		settle(t, func() record { return requestOf(h.Op) }, d.Rest())
	})
}

func FuzzReply(f *testing.F) {
	op := wire.Op(0)
	for _, g := range readGolden(f) {
		if g.name == "ConnectRequest" {
			continue
		}
		d := jute.NewDecoder(g.frame)
		if g.request {
			var h wire.RequestHeader
			h.Decode(&d)
			op = h.Op
			continue
		}
		f.Add(int32(op), g.frame)
	}
	f.Fuzz(func(t *testing.T, op int32, b []byte) {
		d := jute.NewDecoder(b)
		var h wire.ReplyHeader
		h.Decode(&d)
		settle(t, func() record { return responseOf(wire.Op(op)) }, d.Rest())
	})
}

func FuzzConnect(f *testing.F) {
	for _, g := range readGolden(f) {
		if g.name == "ConnectRequest" {
			f.Add(g.frame)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		settle(t, func() record { return new(wire.ConnectRequest) }, b)
		settle(t, func() record { return new(wire.ConnectResponse) }, b)
	})
}

// A few bytes that promise a lot cost nothing: no count is believed that the rest of the frame
// cannot hold.
func TestHostileCounts(t *testing.T) {
	const frameSize = 64 << 10
	var frames [][]byte
	for _, count := range []int32{0x7fffffff, 0x10000000, frameSize, frameSize / 4, -2, -0x80000000} {
		b := jute.AppendInt(nil, count)
		frames = append(frames, b, append(b, make([]byte, frameSize-4)...))
	}
	decode := func(b []byte) {
		for op := wire.Op(-20); op < 120; op++ {
			for _, r := range []record{requestOf(op), responseOf(op)} {
				d := jute.NewDecoder(b)
				r.Decode(&d)
				d = jute.NewDecoder(append(make([]byte, 12), b[:min(len(b), 100)]...)) // the count comes later
				r.Decode(&d)
			}
		}
	}
	for _, b := range frames {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		decode(b)
		runtime.ReadMemStats(&after)
		// 280 decodes of two inputs each, of which nearly all refuse at once.
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64*frameSize), "count % x", b[:4])
	}
}
