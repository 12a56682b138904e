package zab

import "strconv"

// ServerID names a server of the ensemble: the number in myid and in server.N. 0 names nobody.
type ServerID uint8

// Epoch numbers leaderships. It fits in EpochBits; 0 comes before the first leader.
type Epoch uint32

// Zxid is the identity and the order of a txn: the epoch of the leader that proposed it above,
// its place in that epoch below. Clients see an opaque increasing 64-bit number.
//
//	63        40 39                          0
//	+-----------+----------------------------+
//	|   epoch   |          counter           |
//	+-----------+----------------------------+
//
// ZooKeeper splits 32/32; at our write rate 32 bits of counter would be gone in ten hours and
// each exhaustion costs an election (R22). The first txn of epoch e is (e,1); (e,0) is only the
// name of NEWLEADER(e) and never that of a record (R11).
type Zxid uint64

const (
	// CounterBits is the width of the counter.
	CounterBits = 40
	// EpochBits is the width of the epoch.
	EpochBits = 64 - CounterBits
	// MaxCounter is the last counter of an epoch; Config may set a lower one.
	MaxCounter = 1<<CounterBits - 1
	// MaxEpoch is the last epoch. A server that would pass it stops.
	MaxEpoch Epoch = 1<<EpochBits - 1
)

// MakeZxid joins an epoch and a counter, which must fit their widths.
func MakeZxid(e Epoch, counter uint64) Zxid {
	return Zxid(uint64(e)<<CounterBits | counter)
}

// Epoch returns the epoch of the leader that proposed z.
func (z Zxid) Epoch() Epoch { return Epoch(z >> CounterBits) }

// Counter returns the place of z in its epoch, from 1.
func (z Zxid) Counter() uint64 { return uint64(z) & MaxCounter }

// Precedes reports whether next may directly follow z in a history (zab.md's succ): the next
// counter of the same epoch, or the first of a later one. Every enqueue and every receipt of a
// txn checks it: a hole is never accepted (R32, ZOOKEEPER-4925).
func (z Zxid) Precedes(next Zxid) bool {
	if next.Epoch() == z.Epoch() {
		return next == z+1 && next.Counter() != 0
	}
	return next.Epoch() > z.Epoch() && next.Counter() == 1
}

// String prints z as operators know it, 0x and lower-case hex.
func (z Zxid) String() string { return "0x" + strconv.FormatUint(uint64(z), 16) }
