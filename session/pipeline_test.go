package session_test

import (
	"bytes"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quoll/session"
	"quoll/transport/wire"
	"quoll/zab"
)

// pipelineModel is one list of everything that waits, in order.
type pipelineModel struct {
	items []pipelineItem
	done  uint64
}

type pipelineItem struct {
	n     uint64 // 0: a read
	sync  bool
	frame []byte
}

// head returns what is next, if it is an open request.
func (m *pipelineModel) head() (pipelineItem, bool) {
	if len(m.items) == 0 || m.items[0].n == 0 {
		return pipelineItem{}, false
	}
	return m.items[0], true
}

func (m *pipelineModel) take() pipelineItem {
	item := m.items[0]
	m.items = m.items[1:]
	m.done = max(m.done, item.n)
	return item
}

func (m *pipelineModel) bytes() int {
	n := 0
	for _, item := range m.items {
		if item.n == 0 {
			n += 4 + len(item.frame)
		}
	}
	return n
}

// pipelineTest runs both beside each other.
type pipelineTest struct {
	p    session.Pipeline
	m    pipelineModel
	next uint64
}

func (pt *pipelineTest) write(gap uint64, sync bool) {
	pt.next += 1 + gap
	op := wire.OpSetData
	if sync {
		op = wire.OpSync
	}
	pt.p.PushWrite(pt.next, zab.Xid(pt.next), op)
	pt.m.items = append(pt.m.items, pipelineItem{n: pt.next, sync: sync})
}

func (pt *pipelineTest) read(frame []byte) {
	pt.p.PushRead(frame)
	pt.m.items = append(pt.m.items, pipelineItem{frame: bytes.Clone(frame)})
}

func (pt *pipelineTest) nextRead(t require.TestingT) {
	frame, ok := pt.p.NextRead()
	if len(pt.m.items) == 0 || pt.m.items[0].n != 0 {
		require.False(t, ok)
		return
	}
	require.True(t, ok)
	require.True(t, bytes.Equal(pt.m.take().frame, frame))
}

func (pt *pipelineTest) complete(t require.TestingT, n uint64) {
	head, ok := pt.m.head()
	switch {
	case n <= pt.m.done:
		require.False(t, pt.p.Complete(n))
	case ok && head.n == n:
		require.True(t, pt.p.Complete(n))
		pt.m.take()
	default:
		require.Panics(t, func() { pt.p.Complete(n) })
	}
}

func (pt *pipelineTest) skipBarrier(t require.TestingT, n uint64) {
	head, ok := pt.m.head()
	skip := ok && head.sync && head.n < n
	require.Equal(t, skip, pt.p.SkipBarrier(n))
	if skip {
		pt.m.take()
	}
}

func (pt *pipelineTest) check(t require.TestingT) {
	head, ok := pt.m.head()
	n, gotOK := pt.p.Head()
	require.Equal(t, ok, gotOK)
	require.Equal(t, head.n, n)
	require.Equal(t, len(pt.m.items) == 0, pt.p.Idle())
	require.Equal(t, len(pt.m.items), pt.p.Len())
	require.Equal(t, pt.m.bytes(), pt.p.Bytes())
	for n := range pt.next + 2 {
		require.Equal(t, n <= pt.m.done, pt.p.Answered(n))
	}
}

func TestPipelineModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var pt pipelineTest
		read := func(t *rapid.T) { pt.read(rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "frame")) }
		nextRead := func(t *rapid.T) { pt.nextRead(t) }
		completeHead := func(t *rapid.T) {
			if head, ok := pt.m.head(); ok {
				pt.complete(t, head.n)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) { pt.write(rapid.Uint64Range(0, 2).Draw(t, "gap"), rapid.Bool().Draw(t, "sync")) },
			"read":  read, "readMore": read,
			"nextRead": nextRead, "nextReadMore": nextRead,
			"completeHead": completeHead, "completeHeadMore": completeHead,
			"completeAny": func(t *rapid.T) { pt.complete(t, rapid.Uint64Range(0, pt.next+1).Draw(t, "n")) },
			"skipBarrier": func(t *rapid.T) { pt.skipBarrier(t, rapid.Uint64Range(0, pt.next+1).Draw(t, "n")) },
			"":            func(t *rapid.T) { pt.check(t) },
		})
	})
}

// FuzzPipeline does the same with scripts and frames made of bytes.
func FuzzPipeline(f *testing.F) {
	f.Add([]byte("wrrarwscn"), []byte("frame"))
	f.Add([]byte("rnwwrrscnnccn"), []byte{})
	f.Add([]byte("wrcnwrcnwrcn"), bytes.Repeat([]byte("x"), 5000))
	f.Fuzz(func(t *testing.T, script, frame []byte) {
		if len(script) > 200 {
			script = script[:200]
		}
		var pt pipelineTest
		for i, op := range script {
			switch op {
			case 'w':
				pt.write(0, false)
			case 's':
				pt.write(1, true)
			case 'r':
				pt.read(frame[:min(len(frame), i*i)])
			case 'n':
				pt.nextRead(t)
			case 'c':
				if head, ok := pt.m.head(); ok {
					pt.complete(t, head.n)
				}
			default:
				pt.skipBarrier(t, uint64(op))
				pt.complete(t, uint64(op))
			}
			pt.check(t)
		}
	})
}

// A read that came behind a write is answered behind it, and before the next write.
func TestReadsWaitBehindTheirWrite(t *testing.T) {
	var p session.Pipeline
	require.True(t, p.Idle())
	p.PushWrite(1, 100, wire.OpCreate)
	p.PushRead([]byte("get 1"))
	p.PushRead([]byte("ping"))
	p.PushWrite(2, 103, wire.OpSetData)
	p.PushRead([]byte("get 2"))
	_, ok := p.NextRead()
	require.False(t, ok)

	require.True(t, p.Complete(1))
	require.False(t, p.Complete(1), "answered before")
	_, ok = p.Head()
	require.False(t, ok, "two reads are before it")
	for _, want := range []string{"get 1", "ping"} {
		frame, ready := p.NextRead()
		require.True(t, ready)
		require.Equal(t, want, string(frame))
	}
	_, ok = p.NextRead()
	require.False(t, ok)
	require.True(t, p.Complete(2))
	last, ok := p.NextRead()
	require.True(t, ok)
	require.Equal(t, "get 2", string(last))
	require.True(t, p.Idle())
}

// The txn of a later write confirms a barrier that nobody has answered yet.
func TestWriteConfirmsBarrier(t *testing.T) {
	var p session.Pipeline
	p.PushWrite(1, 1, wire.OpSync)
	p.PushRead([]byte("sync"))
	p.PushWrite(2, 2, wire.OpSetData)
	require.False(t, p.SkipBarrier(1), "not by itself")
	require.True(t, p.SkipBarrier(2))
	require.False(t, p.SkipBarrier(2), "its read comes first")
	_, ok := p.NextRead()
	require.True(t, ok)
	require.False(t, p.SkipBarrier(3), "a write is no barrier")
	require.True(t, p.Answered(1))
	require.False(t, p.Complete(1), "the late answer of the barrier")
	require.True(t, p.Complete(2))
}

func TestDisorderPanics(t *testing.T) {
	var p session.Pipeline
	require.PanicsWithValue(t, "session: answer to request 1, which was never sent: the last was 0", func() { p.Complete(1) })
	p.PushWrite(1, 7, wire.OpSetData)
	p.PushWrite(3, 8, wire.OpSetData)
	require.PanicsWithValue(t, "session: answer to request 3, but next are 0 reads, then request 1 (xid 7, setData)",
		func() { p.Complete(3) })
	require.Panics(t, func() { p.PushWrite(3, 9, wire.OpSetData) })
	require.True(t, p.Complete(1))
	p.PushRead(nil)
	p.PushWrite(4, 9, wire.OpSetData)
	require.True(t, p.Complete(3))
	require.PanicsWithValue(t, "session: answer to request 4, but next are 1 reads, then request 4 (xid 9, setData)",
		func() { p.Complete(4) }, "the read is still there")
}

func TestPipelineSteadyStateAllocatesNothing(t *testing.T) {
	var p session.Pipeline
	frame := make([]byte, 60)
	n := uint64(0)
	turn := func() {
		for range 8 {
			n++
			p.PushWrite(n, zab.Xid(n), wire.OpSetData)
			p.PushRead(frame)
			p.PushRead(frame)
		}
		for i := range uint64(8) {
			p.Complete(n - 7 + i)
			for _, ok := p.NextRead(); ok; _, ok = p.NextRead() {
			}
		}
	}
	turn()
	require.Zero(t, testing.AllocsPerRun(1000, turn))
	require.True(t, p.Idle())
}

// A queue that never runs empty must not creep through memory.
func TestPipelineNeverEmptyKeepsItsSize(t *testing.T) {
	var p session.Pipeline
	frame := make([]byte, 1000)
	n := uint64(0)
	push := func() {
		n++
		p.PushWrite(n, zab.Xid(n), wire.OpSetData)
		p.PushRead(frame)
	}
	for range 10 {
		push()
	}
	turn := func() {
		push()
		p.Complete(n - 10)
		p.NextRead()
	}
	for range 100 {
		turn()
	}
	require.Zero(t, testing.AllocsPerRun(1000, turn))
	require.Equal(t, 20, p.Len())
}

// Ten thousands of idle connections have one each.
func TestPipelineIsSmall(t *testing.T) {
	require.LessOrEqual(t, unsafe.Sizeof(session.Pipeline{}), uintptr(96))
}

func BenchmarkPipeline(b *testing.B) {
	var p session.Pipeline
	frame := make([]byte, 60)
	n := uint64(0)
	for b.Loop() {
		n++
		p.PushWrite(n, zab.Xid(n), wire.OpSetData)
		p.PushRead(frame)
		p.Complete(n)
		p.NextRead()
	}
}
