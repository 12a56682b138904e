package session_test

import (
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quoll/session"
	"quoll/zab"
)

func zxid(n uint64) zab.Zxid { return zab.Zxid(n) }

// expiryModel keeps the last touch of every session and looks at all of them all the time.
type expiryModel struct {
	bucket   int64
	sessions map[zab.SessionID]*modelSession
}

type modelSession struct{ timeout, touched int64 }

func (m *expiryModel) edge(s *modelSession) int64 {
	return (s.touched + s.timeout) / m.bucket * m.bucket
}

// advance returns who expires at now, by edge and then by id.
func (m *expiryModel) advance(now int64) []zab.SessionID {
	due := slices.Sorted(maps.Keys(m.sessions))
	due = slices.DeleteFunc(due, func(id zab.SessionID) bool { return m.edge(m.sessions[id])+m.bucket > now })
	slices.SortStableFunc(due, func(a, b zab.SessionID) int { return int(m.edge(m.sessions[a]) - m.edge(m.sessions[b])) })
	for _, id := range due {
		delete(m.sessions, id)
	}
	return due
}

func TestExpiryModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bucket := rapid.Int64Range(1, 7).Draw(t, "bucket")
		e := session.NewExpiry(bucket)
		m := &expiryModel{bucket: bucket, sessions: map[zab.SessionID]*modelSession{}}
		now := rapid.Int64Range(0, 1000).Draw(t, "start")
		id := rapid.Map(rapid.IntRange(-3, 6), func(n int) zab.SessionID { return zab.SessionID(n) })
		add := func(t *rapid.T) {
			s, timeout := id.Draw(t, "id"), rapid.Int64Range(0, 30).Draw(t, "timeout")
			e.Add(s, timeout, now)
			m.sessions[s] = &modelSession{timeout: timeout, touched: now}
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": add, "addMore": add,
			"touch": func(t *rapid.T) {
				id := id.Draw(t, "id")
				s, ok := m.sessions[id]
				require.Equal(t, ok, e.Touch(id, now))
				if ok {
					s.touched = now
				}
			},
			"remove": func(t *rapid.T) {
				id := id.Draw(t, "id")
				e.Remove(id)
				delete(m.sessions, id)
			},
			"reset": func(*rapid.T) {
				e.Reset(now)
				for _, s := range m.sessions {
					s.touched = now
				}
			},
			"advance": func(t *rapid.T) {
				before := maps.Clone(m.sessions)
				now += rapid.SampledFrom([]int64{0, 1, 1, 2, 5, 40}).Draw(t, "ticks")
				want := m.advance(now)
				var got []zab.SessionID
				e.Advance(now, math.MaxInt, func(id zab.SessionID) { got = append(got, id) })
				require.Equal(t, len(want), len(got))
				for i := range want {
					require.Equal(t, want[i], got[i])
					s := before[got[i]]
					require.Greater(t, now, s.touched+s.timeout, "never early")
				}
				for id, s := range m.sessions {
					require.LessOrEqual(t, now, s.touched+s.timeout+bucket, "session %d is later than a bucket", id)
				}
			},
			"": func(t *rapid.T) { require.Equal(t, len(m.sessions), e.Len()) },
		})
	})
}

// The leader reacts to an expiry by proposing, which may touch the table again.
func TestExpiredMayUseExpiry(t *testing.T) {
	e := session.NewExpiry(10)
	for id := range zab.SessionID(5) {
		e.Add(id, 10, 0)
	}
	var order []zab.SessionID
	e.Advance(100, math.MaxInt, func(id zab.SessionID) {
		order = append(order, id)
		require.False(t, e.Touch(id, 100), "it is over")
		e.Remove(id)
		e.Add(id+10, 10, 100)
	})
	require.Equal(t, []zab.SessionID{0, 1, 2, 3, 4}, order)
	require.Equal(t, 5, e.Len())
	e.Advance(119, math.MaxInt, func(zab.SessionID) { t.Fatal("early") })
	n := 0
	e.Advance(120, math.MaxInt, func(zab.SessionID) { n++ })
	require.Equal(t, 5, n)
}

// A timeout that a reconnect made shorter holds from then on.
func TestShorterTimeout(t *testing.T) {
	e := session.NewExpiry(1)
	e.Add(1, 1000, 0)
	e.Add(1, 5, 10)
	expired := 0
	count := func(zab.SessionID) { expired++ }
	e.Advance(15, math.MaxInt, count)
	require.Zero(t, expired)
	e.Advance(16, math.MaxInt, count)
	require.Equal(t, 1, expired)
	e.Advance(5000, math.MaxInt, count)
	require.Equal(t, 1, expired, "the first entry is dead")
	require.Panics(t, func() { session.NewExpiry(0) })
}

// Sessions that are over together end in parts, and those that are heard of meanwhile live on.
func TestExpiryInParts(t *testing.T) {
	e := session.NewExpiry(10)
	for id := range zab.SessionID(1000) {
		e.Add(id, 10, 0)
	}
	var gone []zab.SessionID
	part := func(now int64) int {
		n := len(gone)
		e.Advance(now, 64, func(id zab.SessionID) { gone = append(gone, id) })
		return len(gone) - n
	}
	require.Equal(t, 64, part(20))
	require.False(t, e.Touch(10, 20), "it is over")
	require.True(t, e.Touch(500, 20))
	e.Remove(501)
	e.Add(502, 5, 20) // due at the next edge already
	for part(21) > 0 {
	}
	require.Len(t, gone, 997)
	require.True(t, slices.IsSorted(gone))
	require.NotContains(t, gone, zab.SessionID(500))
	require.NotContains(t, gone, zab.SessionID(501))
	require.Equal(t, 1, part(30))
	require.Equal(t, 1, part(40))
	require.Equal(t, []zab.SessionID{502, 500}, gone[997:])
	require.Zero(t, e.Len())
}

func TestTouchAllocatesNothing(t *testing.T) {
	e := session.NewExpiry(200)
	for id := range zab.SessionID(1000) {
		e.Add(id, 3000, 0)
	}
	now := int64(0)
	turn := func() {
		now += 10
		for id := range zab.SessionID(1000) {
			e.Touch(id, now)
		}
		e.Advance(now, math.MaxInt, func(zab.SessionID) { t.Fatal("touched sessions live") })
	}
	for range 1000 {
		turn()
	}
	require.Zero(t, testing.AllocsPerRun(1000, turn))
}

func BenchmarkTouch(b *testing.B) {
	const sessions = 20_000
	e := session.NewExpiry(200)
	for id := range zab.SessionID(sessions) {
		e.Add(id, 3000, 0)
	}
	for i := 0; b.Loop(); i++ {
		now := int64(i / sessions)
		e.Touch(zab.SessionID(i%sessions), now)
		e.Advance(now, math.MaxInt, func(zab.SessionID) {})
	}
}
