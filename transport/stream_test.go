package transport_test

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quoll/transport"
	"quoll/zab"
)

const chunk = 256 << 10

func snapshotFile(size int) []byte {
	b := make([]byte, size)
	r := rand.NewChaCha8([32]byte{byte(size)})
	_, _ = r.Read(b)
	return b
}

func snap(z zab.Zxid) *zab.Message { return &zab.Message{Kind: zab.Snap, Zxid: z} }

// A synchronization by snapshot as a leader sends it: everything arrives in the order of Send, and
// what is queued behind a stream waits for it (R15).
func TestSnapshotAndHistoryInOrder(t *testing.T) {
	for _, size := range []int{0, 1, chunk - 1, chunk, chunk + 1, 3*chunk + 17} {
		pair(t, nil, func(t *testing.T, _ *transport.Memory, leader, learner *node) {
			z := zab.MakeZxid(1, 20)
			leader.storage.snapshots[z] = snapshotFile(size)
			leader.storage.log = txns(1, 15, 40, 100)
			leader.Send(zab.Envelope{Link: 1, Msg: commit(1)})
			leader.Send(zab.Envelope{Link: 1, Msg: snap(z), History: zab.Range{From: z, To: zab.MakeZxid(1, 47)}})
			leader.Send(zab.Envelope{Link: 1, Msg: &zab.Message{Kind: zab.NewLeader, Epoch: 2}})
			synctest.Wait()
			require.Equal(t, leader.storage.snapshots[z], learner.storage.received[z])
			got := learner.received(1)
			require.Equal(t, []*zab.Message{commit(1), snap(z)}, got[:2])
			var history []zab.Txn
			for _, m := range got[2 : len(got)-1] {
				require.Equal(t, zab.Proposal, m.Kind)
				require.Zero(t, m.Commit)
				history = append(history, m.Txns...)
			}
			require.Equal(t, txns(1, 21, 27, 100), history)
			require.Equal(t, &zab.Message{Kind: zab.NewLeader, Epoch: 2}, got[len(got)-1])
		})
	}
}

func TestHistoryAlone(t *testing.T) {
	pair(t, nil, func(t *testing.T, _ *transport.Memory, leader, learner *node) {
		leader.storage.log = append(txns(1, 1, 30, 50_000), txns(3, 1, 10, 50_000)...)
		diff := &zab.Message{Kind: zab.Diff, Zxid: zab.MakeZxid(3, 5)}
		leader.Send(zab.Envelope{Link: 1, Msg: diff, History: zab.Range{From: zab.MakeZxid(1, 3), To: diff.Zxid}})
		leader.Send(zab.Envelope{Link: 1, History: zab.Range{From: diff.Zxid, To: zab.MakeZxid(3, 7)}})
		synctest.Wait()
		got := learner.received(1)
		require.Equal(t, diff, got[0])
		var history []zab.Txn
		for _, m := range got[1:] {
			size := 0
			for _, txn := range m.Txns {
				size += len(txn.Data)
			}
			require.LessOrEqual(t, size, chunk)
			history = append(history, m.Txns...)
		}
		require.Equal(t, append(txns(1, 4, 27, 50_000), txns(3, 1, 7, 50_000)...), history)
	})
}

// A hole in the log ends the link: the learner would not notice what it is not told (R8).
func TestHistoryWithAHole(t *testing.T) {
	whole := txns(1, 1, 30, 10)
	for name, log := range map[string][]zab.Txn{
		"in the middle":    append(append([]zab.Txn(nil), whole[:15]...), whole[16:]...),
		"at the beginning": whole[6:],
		"at the end":       whole[:20],
		"everything":       nil,
	} {
		pair(t, nil, func(t *testing.T, _ *transport.Memory, leader, learner *node) {
			leader.storage.log = log
			leader.Send(zab.Envelope{Link: 1, History: zab.Range{From: zab.MakeZxid(1, 5), To: zab.MakeZxid(1, 25)}})
			leader.Send(zab.Envelope{Link: 1, Msg: commit(1)})
			synctest.Wait()
			require.ErrorContains(t, leader.down(1), "the log ", name)
			last := zab.MakeZxid(1, 5)
			for _, m := range learner.received(1) {
				require.Equal(t, zab.Proposal, m.Kind, name)
				for _, txn := range m.Txns {
					require.True(t, last.Precedes(txn.Zxid), name)
					last = txn.Zxid
				}
			}
		})
	}
}

func TestSnapshotThatIsGone(t *testing.T) {
	pair(t, nil, func(t *testing.T, _ *transport.Memory, leader, learner *node) {
		leader.Send(zab.Envelope{Link: 1, Msg: snap(7)})
		synctest.Wait()
		require.ErrorContains(t, leader.down(1), "snapshot of 0x7: no such snapshot")
		require.Empty(t, learner.received(1))
	})
}

// A stream cut anywhere, in either direction, leaves no snapshot, no message, and storage with an
// error that is not the end of the file.
func TestSnapshotCutAnywhere(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.IntRange(0, 3*chunk).Draw(rt, "size")
		whole := len(transport.SnapFrame(9, int64(size)))
		file := snapshotFile(size)
		sum := uint32(0)
		for b := file; len(b) > 0; b = b[min(chunk, len(b)):] {
			p := b[:min(chunk, len(b))]
			sum = crc32.Update(sum, crc32.MakeTable(crc32.Castagnoli), p)
			whole += len(transport.ChunkFrame(sum, p))
		}
		whole += len(transport.EndFrame(int64(size), sum))
		k := rapid.OneOf(rapid.IntRange(1, whole-1), rapid.IntRange(max(1, whole-20), whole-1)).Draw(rt, "cut")
		pair(t, nil, func(t *testing.T, m *transport.Memory, leader, learner *node) {
			leader.storage.snapshots[9] = file
			m.BreakAfter("h1", "h2", k)
			leader.Send(zab.Envelope{Link: 1, Msg: snap(9)})
			leader.Send(zab.Envelope{Link: 1, Msg: commit(1)})
			synctest.Wait()
			require.Error(t, learner.down(1))
			require.Error(t, leader.down(1))
			require.Empty(t, learner.received(1))
			require.Empty(t, learner.storage.received)
			if k >= len(transport.SnapFrame(9, int64(size))) {
				require.Len(t, learner.storage.errs, 1)
			}
		})
	})
}

// Installing a big snapshot takes as long as it takes: nobody's deadline passes meanwhile, not even
// with more traffic than the socket holds behind it (ZOOKEEPER-1465).
func TestSlowInstall(t *testing.T) {
	pair(t, nil, func(t *testing.T, _ *transport.Memory, leader, learner *node) {
		leader.storage.snapshots[9] = snapshotFile(chunk)
		learner.storage.installs = time.Minute
		leader.Send(zab.Envelope{Link: 1, Msg: snap(9)})
		var want []*zab.Message
		for i := range 40 {
			p := &zab.Message{Kind: zab.Proposal, Txns: txns(2, 1+i, 1, 50_000)}
			want = append(want, p)
			leader.Send(zab.Envelope{Link: 1, Msg: p})
		}
		for _, n := range []*node{leader, learner} {
			before := n.progressed()
			time.Sleep(10 * time.Second)
			require.InDelta(t, 100, n.progressed()-before, 2, "one call in 100 ms")
		}
		time.Sleep(39 * time.Second)
		require.Empty(t, learner.received(1))
		time.Sleep(2 * time.Second)
		require.Equal(t, append([]*zab.Message{snap(9)}, want...), learner.received(1))
		require.NoError(t, leader.down(1))
	})
}

// Progress is bytes: when the other side falls silent in the middle, the reports end and the core's
// deadline can pass.
func TestStalledSnapshotIsNoProgress(t *testing.T) {
	pair(t, nil, func(t *testing.T, m *transport.Memory, leader, learner *node) {
		leader.storage.snapshots[9] = snapshotFile(8 * chunk)
		m.Block("h1", "h2")
		leader.Send(zab.Envelope{Link: 1, Msg: snap(9)})
		time.Sleep(5 * time.Second)
		require.Zero(t, learner.progressed())
		require.LessOrEqual(t, leader.progressed(), 2, "only what the socket took")
		m.Unblock("h1", "h2")
		time.Sleep(5 * time.Second)
		require.Equal(t, []*zab.Message{snap(9)}, learner.received(1))
	})
}

func TestStorageRefusesSnapshot(t *testing.T) {
	pair(t, nil, func(t *testing.T, _ *transport.Memory, leader, learner *node) {
		learner.storage.refuse = errors.New("damaged inside")
		leader.storage.snapshots[9] = snapshotFile(1000)
		leader.Send(zab.Envelope{Link: 1, Msg: snap(9)})
		leader.Send(zab.Envelope{Link: 1, Msg: commit(1)})
		synctest.Wait()
		require.ErrorContains(t, learner.down(1), "damaged inside")
		require.Empty(t, learner.received(1))
		require.Error(t, leader.down(1))
	})
}

// handMade runs f with a leader that is a bare connection, already past its hello.
func handMade(t *testing.T, f func(t *testing.T, leader net.Conn, learner *node)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := transport.NewMemory()
		l, err := m.Host("h1").Listen("h1:2888")
		require.NoError(t, err)
		learner := start(t, m, 2, nil)
		learner.Connect(1)
		conn, err := l.Accept()
		require.NoError(t, err)
		_, err = conn.Write(transport.Opening(identity(1), 2))
		require.NoError(t, err)
		synctest.Wait()
		require.Len(t, learner.links(), 1)
		f(t, conn, learner)
		require.NoError(t, conn.Close())
		require.NoError(t, l.Close())
		learner.stop(t)
	})
}

// A stream that does not add up is not a snapshot, whoever sent it.
func TestSnapshotThatDoesNotAddUp(t *testing.T) {
	sum := func(p string) uint32 { return crc32.Checksum([]byte(p), crc32.MakeTable(crc32.Castagnoli)) }
	part := func(whole, p string) []byte { return transport.ChunkFrame(sum(whole), []byte(p)) }
	end := transport.EndFrame
	head := transport.SnapFrame(9, 6)
	for name, frames := range map[string][][]byte{
		"damaged chunk":         {head, part("abX", "abc")},
		"chunk missing":         {head, part("abcdef", "def")},
		"chunks exchanged":      {head, part("abcdef", "def"), part("abc", "abc"), end(6, sum("abcdef"))},
		"chunk twice":           {head, part("abc", "abc"), part("abc", "abc")},
		"too long":              {head, part("abcdefg", "abcdefg")},
		"too short":             {head, part("abc", "abc"), end(3, sum("abc"))},
		"another size":          {head, part("abcdef", "abcdef"), end(5, sum("abcdef"))},
		"another sum":           {head, part("abcdef", "abcdef"), end(6, sum("abcdeg"))},
		"empty chunk":           {head, part("", "")},
		"a message in between":  {head, part("abc", "abc"), transport.Frame(commit(1))},
		"a snapshot inside one": {head, head},
		"chunk after the end":   {head, part("abcdef", "abcdef"), part("abcdef", "g")},
	} {
		t.Run(name, func(t *testing.T) {
			handMade(t, func(t *testing.T, leader net.Conn, learner *node) {
				_, err := leader.Write(bytes.Join(frames, nil))
				require.NoError(t, err)
				synctest.Wait()
				require.ErrorContains(t, learner.down(1), "malformed")
				require.ErrorContains(t, learner.down(1), "snapshot of 0x9")
				require.Empty(t, learner.received(1))
				require.Empty(t, learner.storage.received)
			})
		})
	}
	handMade(t, func(t *testing.T, leader net.Conn, learner *node) {
		_, err := leader.Write(bytes.Join([][]byte{head, part("abc", "abc"), part("abcdef", "def"), end(6, sum("abcdef"))}, nil))
		require.NoError(t, err)
		synctest.Wait()
		require.Equal(t, []*zab.Message{snap(9)}, learner.received(1))
		require.Equal(t, "abcdef", string(learner.storage.received[9]))
	})
}

// A frame that announces much and brings little costs little, and long frames count as progress.
func TestLongFrameIsProgress(t *testing.T) {
	handMade(t, func(t *testing.T, leader net.Conn, learner *node) {
		m := &zab.Message{Kind: zab.Proposal, Txns: txns(1, 1, 1, 100_000)}
		frame := transport.Frame(m)
		for i := 0; i < len(frame); i += 10_000 {
			_, err := leader.Write(frame[i:min(len(frame), i+10_000)])
			require.NoError(t, err)
			time.Sleep(time.Second)
		}
		require.Equal(t, []*zab.Message{m}, learner.received(1))
		require.GreaterOrEqual(t, learner.progressed(), 9)
	})
}

// Whatever is sent in whatever order, it arrives in that order or not at all.
func TestRandomTraffic(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		ops := rapid.SliceOfN(rapid.IntRange(0, 9), 1, 40).Draw(rt, "ops")
		cut := rapid.IntRange(1, 400_000).Draw(rt, "cut")
		pair(t, nil, func(t *testing.T, m *transport.Memory, leader, learner *node) {
			leader.storage.log = txns(1, 1, 100, 500)
			leader.storage.snapshots[zab.MakeZxid(1, 3)] = snapshotFile(70_000)
			var want []string
			m.BreakAfter("h1", "h2", cut)
			for i, op := range ops {
				env := zab.Envelope{Link: 1}
				switch {
				case op < 5:
					env.Msg = commit(i)
				case op < 7:
					env.Msg = &zab.Message{Kind: zab.Proposal, Txns: txns(2, i+1, 1, 10_000*op)}
				case op < 9:
					env.History = zab.Range{From: zab.MakeZxid(1, uint64(op)), To: zab.MakeZxid(1, uint64(op+i))}
				default:
					env.Msg = snap(zab.MakeZxid(1, 3))
				}
				want = append(want, describe(env, leader.storage.log)...)
				leader.Send(env)
				if op%2 == 0 {
					synctest.Wait()
				}
			}
			synctest.Wait()
			var got []string
			for _, msg := range learner.received(1) {
				got = append(got, describe(zab.Envelope{Msg: msg}, nil)...)
			}
			require.LessOrEqual(t, len(got), len(want))
			for i := range got {
				require.Equal(t, want[i], got[i])
			}
			if learner.down(1) == nil {
				require.Len(t, got, len(want))
			}
		})
	})
}

// describe lists what an envelope brings, a txn at a time: histories arrive in batches of any size.
func describe(env zab.Envelope, log []zab.Txn) []string {
	list := []string{}
	if m := env.Msg; m != nil {
		if m.Kind != zab.Proposal {
			list = append(list, fmt.Sprint(m.Kind, m.Zxid, m.Commit))
		}
		for _, txn := range m.Txns {
			list = append(list, fmt.Sprint(txn.Zxid, crc32.ChecksumIEEE(txn.Data)))
		}
	}
	for _, txn := range log {
		if txn.Zxid > env.History.From && txn.Zxid <= env.History.To {
			list = append(list, fmt.Sprint(txn.Zxid, crc32.ChecksumIEEE(txn.Data)))
		}
	}
	return list
}
