package quoll_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quoll"
	"quoll/log/vfs"
	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/zab"
)

// overloadedDisk takes a second of the bubble for so many bytes of the log. It keeps nothing of what is written behind
// the header of a segment, so that a heap is that of the servers and not of their disks.
type overloadedDisk struct {
	vfs.FS
	rate *atomic.Int64 // bytes a second; 0: no time at all
}

func (d overloadedDisk) Create(name string) (vfs.File, error) {
	f, err := d.FS.Create(name)
	if err != nil || !strings.Contains(name, "log.") {
		return f, err
	}
	return &overloadedFile{File: f, rate: d.rate}, nil
}

type overloadedFile struct {
	vfs.File
	rate    *atomic.Int64
	mu      sync.Mutex
	written int
}

func (f *overloadedFile) WriteAt(b []byte, off int64) (int, error) {
	if off == 0 {
		return f.File.WriteAt(b, off)
	}
	if b[0] != 0 { // not the zeros that are put there ahead
		f.mu.Lock()
		f.written += len(b)
		f.mu.Unlock()
	}
	return len(b), nil
}

// Sync takes its time without a lock: others of the bubble that wait for one would stop its clock.
func (f *overloadedFile) Sync() error {
	f.mu.Lock()
	n := f.written
	f.written = 0
	f.mu.Unlock()
	if rate := f.rate.Load(); rate > 0 {
		time.Sleep(time.Duration(n) * time.Second / time.Duration(rate))
	}
	return f.File.Sync()
}

// flood is a client that sends writes as fast as it can, and counts the answers.
type flood struct {
	*rawConn
	path     string
	frame    []byte
	writes   int64
	answered atomic.Int64
	done     chan error
}

func (e *ensemble) flood(i, n, size int, writes int64) *flood {
	f := &flood{rawConn: e.raw(i), path: fmt.Sprintf("/flood-%d", n), writes: writes, done: make(chan error, 2)}
	f.greet(wire.ConnectRequest{TimeoutMs: 60_000}) // it sends no pings when it is done
	f.does(1, wire.OpCreate, create(f.path, "", wire.Persistent))
	f.frame = request(2, wire.OpSetData, setData(f.path, strings.Repeat("x", size), wire.AnyVersion))
	return f
}

func (f *flood) run() {
	go func() { f.done <- f.send() }()
	go func() { f.done <- f.hear() }()
}

func (f *flood) send() error {
	for range f.writes {
		if _, err := f.nc.Write(f.frame); err != nil {
			return err
		}
	}
	return nil
}

func (f *flood) hear() error {
	if err := f.nc.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	var b [256]byte
	for ; f.answered.Load() < f.writes; f.answered.Add(1) {
		if _, err := io.ReadFull(f.nc, b[:wire.LengthSize]); err != nil {
			return err
		}
		n := binary.BigEndian.Uint32(b[:])
		if _, err := io.ReadFull(f.nc, b[:n]); err != nil {
			return err
		}
		d := jute.NewDecoder(b[:n])
		var h wire.ReplyHeader
		if h.Decode(&d); d.Err() != nil || h.Code != wire.OK {
			return fmt.Errorf("answer %d: %+v, %w", f.answered.Load(), h, d.Err())
		}
	}
	return nil
}

// over reports whether all floods have ended; one that failed fails the test.
func over(t *testing.T, floods []*flood) bool {
	t.Helper()
	for _, f := range floods {
		if f.answered.Load() < f.writes && len(f.done) < 2 {
			select {
			case err := <-f.done:
				require.NoError(t, err, f.path)
				f.done <- nil
			default:
			}
			return false
		}
	}
	return true
}

// The load of TestOverload: 256 MB of writes on one server.
const (
	floodConns  = 64
	floodSize   = 100_000
	floodWrites = 40
)

// floodHeap is what three servers may hold under it: the counted bytes of the server that is flooded; for each of its
// connections a read buffer of up to four frames, as much in a batch beyond the limit, and what the two sockets
// hold; on each server the window, the txns on their way to its disk, and the block of the log that they are copied
// to.
const floodHeap = quoll.RequestBytes + floodConns*(8*floodSize+512<<10) +
	3*(zab.DefaultWindowBytes+quoll.DefaultLeadBytes+quoll.UnsyncedBytes)

// TestOverload offers the servers many times what they may hold and what a disk takes meanwhile. They slow the
// clients and lose nothing: every write is answered and there, pings and reads of others are answered all along, no
// session ends, the leader stays, and every queue keeps its bound.
func TestOverload(t *testing.T) {
	for _, test := range []struct {
		name string
		slow func(server, leader int) bool
	}{
		{"all disks", func(int, int) bool { return true }},
		{"the leader's disk", func(server, leader int) bool { return server == leader }},
	} {
		t.Run(test.name, func(t *testing.T) {
			var rates []*atomic.Int64
			adjust := func(c *quoll.Config) {
				rates = append(rates, new(atomic.Int64))
				c.FS = overloadedDisk{c.FS, rates[len(rates)-1]}
				c.MaxClientCnxns = -1
				c.SyncLimit = 50 // times 200 ms: the ten seconds that servers have by default
			}
			inEnsemble(t, 3, 0, adjust, func(e *ensemble) {
				leader := e.leader()
				for i := range rates {
					if test.slow(i, leader) {
						rates[i].Store(16 << 20)
					}
				}
				e.overload(e.follower())
				require.Equal(t, leader, e.leader(), "a slow disk is no reason for an election")
			})
		})
	}
}

func (e *ensemble) overload(victim int) {
	t := e.t
	idle, reader := e.session(victim), e.session(victim)
	reader.does(1, wire.OpCreate, create("/x", "y", wire.Persistent))
	var floods []*flood
	for i := range floodConns {
		floods = append(floods, e.flood(victim, i, floodSize, floodWrites))
	}
	base, heap, full, rounds := liveHeap(), 0, 0, 0
	for _, f := range floods {
		f.run()
	}
	for ; !over(t, floods); rounds++ {
		idle.rests()
		data, _ := dataOf(t, reader.does(zab.Xid(2+rounds), wire.OpGetData, plain("/x")))
		require.Equal(t, "y", data)
		for i, s := range e.servers {
			require.Less(t, s.RequestBytes(), quoll.RequestBytes+floodConns*4*floodSize, "server %d", i+1)
			require.Less(t, s.UnsyncedBytes(), quoll.UnsyncedBytes+4<<20, "server %d", i+1)
			require.Less(t, s.ClientBytes(), quoll.ClientBytes, "server %d", i+1)
			if !s.TakesWrites() { // for as long as half of the bound takes the disk: no sample can miss it
				full++
			}
		}
		if rounds%10 == 0 {
			heap = max(heap, liveHeap()-base)
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Logf("%d rounds, in %d of them a server took no more; %d MB of heap, may be %d", rounds, full, heap>>20, floodHeap>>20)
	require.Positive(t, full, "this was no overload")
	require.Less(t, heap, floodHeap)
	e.converge()
	for _, f := range floods {
		_, stat := dataOf(t, f.does(9, wire.OpGetData, plain(f.path)))
		require.EqualValues(t, floodWrites, stat.Version)
	}
	for i, s := range e.servers {
		require.Zero(t, s.RequestBytes(), "server %d", i+1)
		require.Zero(t, s.UnsyncedBytes(), "server %d", i+1)
	}
}

// Clients that ask for much behind a write and read nothing of it are given up when all of them together hold too
// much, each with its share: one alone may hold more than that. Others notice nothing.
func TestClientsThatDoNotRead(t *testing.T) {
	inEnsemble(t, 1, 0, nil, func(e *ensemble) {
		other := e.session(0)
		other.does(1, wire.OpCreate, create("/x", strings.Repeat("x", 500_000), wire.Persistent))
		base := liveHeap()
		const conns, reads = 16, 100 // 800 MB of answers
		var deaf []*rawConn
		for range conns {
			c := e.session(0)
			frames := [][]byte{request(1, wire.OpSetData, setData("/", "", wire.AnyVersion))}
			for i := range reads {
				frames = append(frames, request(zab.Xid(2+i), wire.OpGetData, plain("/x")))
			}
			c.say(frames...)
			deaf = append(deaf, c)
		}
		most, heap := 0, 0
		for range 20 {
			other.rests()
			most, heap = max(most, e.servers[0].ClientBytes()), max(heap, liveHeap()-base)
			time.Sleep(100 * time.Millisecond)
		}
		t.Logf("%d MB of answers, %d MB of heap", most>>20, heap>>20)
		require.Less(t, most, quoll.ClientBytes+64<<20+conns<<20)
		require.Less(t, heap, 2*quoll.ClientBytes, "arrays that grow have room to spare")
		for _, c := range deaf {
			c.nc.Close()
		}
		e.await("the connections to go", func() bool { return e.servers[0].ClientBytes() < 64<<10 })
		other.rests()
	})
}

func liveHeap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
