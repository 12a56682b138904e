package session_test

import (
	"fmt"
	"runtime"
	"testing"

	"quoll/session"
)

// spread gives each of n paths one watcher, a connection holding a thousand.
func spread(n int) (*session.Watches, []string) {
	w, paths := session.NewWatches(0), make([]string, n)
	for i := range paths {
		paths[i] = fmt.Sprintf("/bench/locks/%d/lock-%010d", i%1000, i)
		w.Add(session.ConnID(i/1000), paths[i], session.Data)
	}
	return w, paths
}

// BenchmarkTrigger measures an event and the registration of its watch anew, which must not
// depend on how many other watches there are but for the misses of the cache.
func BenchmarkTrigger(b *testing.B) {
	for _, n := range []int{1, 1_000, 1_000_000} {
		b.Run(fmt.Sprintf("watches=%d", n), func(b *testing.B) {
			w, paths := spread(n)
			path := make([]byte, 0, 100)
			for i := 0; b.Loop(); i++ {
				at := i * 7919 % n
				path = append(path[:0], paths[at]...)
				w.Trigger(session.NodeDataChanged, path, func(c session.ConnID) {})
				w.Add(session.ConnID(at/1000), paths[at], session.Data)
			}
		})
	}
}

// BenchmarkTriggerUnwatched is what nearly every txn pays.
func BenchmarkTriggerUnwatched(b *testing.B) {
	w, _ := spread(1_000_000)
	path := []byte("/app/settings/a/b/c")
	b.Run("plain", func(b *testing.B) {
		for b.Loop() {
			w.Trigger(session.NodeDataChanged, path, func(session.ConnID) {})
		}
	})
	w.Add(1, "/services", session.PersistentRecursive)
	b.Run("recursive", func(b *testing.B) {
		for b.Loop() {
			w.Trigger(session.NodeDataChanged, path, func(session.ConnID) {})
		}
	})
}

// BenchmarkTriggerFanOut tells 100,000 connections of one change; they all watch again.
func BenchmarkTriggerFanOut(b *testing.B) {
	const conns = 100_000
	w := session.NewWatches(0)
	path := []byte("/config")
	for b.Loop() {
		for c := range session.ConnID(conns) {
			w.Add(c, "/config", session.Data)
		}
		w.Trigger(session.NodeDataChanged, path, func(session.ConnID) {})
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/conns, "ns/watch")
}

// BenchmarkMemory reports what a watch costs, alone on its path and as one of many.
func BenchmarkMemory(b *testing.B) {
	measure := func(b *testing.B, n int, fill func() *session.Watches) {
		var before, after runtime.MemStats
		for b.Loop() {
			runtime.GC()
			runtime.ReadMemStats(&before)
			w := fill()
			runtime.GC()
			runtime.ReadMemStats(&after)
			runtime.KeepAlive(w)
		}
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(n), "B/watch")
	}
	b.Run("alone", func(b *testing.B) {
		measure(b, 1_000_000, func() *session.Watches {
			w, _ := spread(1_000_000)
			return w
		})
	})
	b.Run("shared", func(b *testing.B) {
		paths := make([]string, 1000)
		for i := range paths {
			paths[i] = fmt.Sprintf("/config/%d", i)
		}
		measure(b, 1_000_000, func() *session.Watches {
			w := session.NewWatches(0)
			for c := range session.ConnID(1000) {
				for _, path := range paths {
					w.Add(c, path, session.Data)
				}
			}
			return w
		})
	})
}
