package main

import (
	"fmt"
	"runtime"

	"quoll/session"
)

var watchColumns = []string{"watches", "B each", "add", "fire", "drop", "slowest ms", "collect ms", "mark cpu ms"}

// spread has each watch on a path of its own, and a thousand of a connection.
type spread struct{}

func (spread) path(i int) string { return fmt.Sprintf("/bench/locks/%d/lock-%010d", i%1000, i) }

func (spread) conn(i int) session.ConnID { return session.ConnID(i / 1000) }

// crowded has each watch of a connection of its own, and all on one path.
type crowded struct{}

func (crowded) path(int) string { return "/config" }

func (crowded) conn(i int) session.ConnID { return session.ConnID(i) }

// watches registers n watches and returns their row. Then it takes them at random, as clients
// come: some fire and are added again, the others go with their connections.
func watches(n int, s interface {
	path(i int) string
	conn(i int) session.ConnID
},
) []float64 {
	empty := liveHeap()
	w := session.NewWatches(0)
	var slowest worst
	for i := range n {
		path := s.path(i)
		slowest.time(func() { w.Add(s.conn(i), path, session.Data) })
	}
	size := liveHeap() - empty
	wall, cpu := collection()

	order := random(n).Perm(n)
	some := order[:min(n, 200_000)]
	paths := make([][]byte, len(some))
	for i, at := range some {
		paths[i] = []byte(s.path(at))
	}
	told := 0
	fire := each(1, func(int) {
		for _, path := range paths { // one of them fires all that are on one path
			w.Trigger(session.NodeDataChanged, path, func(session.ConnID) { told++ })
		}
	}) / float64(told)
	if told > len(some) {
		some = order
	}
	again := make([]string, len(some))
	for i, at := range some {
		again[i] = s.path(at)
	}
	add := each(len(some), func(i int) { w.Add(s.conn(some[i]), again[i], session.Data) })
	drop := each(1, func(int) {
		for _, at := range some[:max(1, len(some)/2)] {
			w.RemoveConn(s.conn(at))
		}
	})
	_, _, left := w.Totals()
	runtime.KeepAlive(w)
	return []float64{perEach(size, n), add, fire, drop / float64(n-left), slowest.ms(), wall, cpu}
}
