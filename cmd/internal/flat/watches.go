package main

import (
	"runtime"

	"quoll/session"
)

var watchColumns = []string{"watches", "B each", "add", "trigger", "told", "dropped", "slowest ms", "collect ms", "mark cpu ms"}

// watches registers n watches, perConn of them by each connection, and returns their row. path
// must be the same for the same i.
func watches(n, perConn int, path func(i int) string) []float64 {
	empty := liveHeap()
	w := session.NewWatches()
	var slowest worst
	for i := range n {
		p := path(i)
		slowest.time(func() { w.Add(session.ConnID(i/perConn), p, session.Data) })
	}
	size := liveHeap() - empty
	wall, cpu := collection()

	// A watch that fired is added again, as clients do, but in another order.
	ops := min(max(n, 1000), 200_000)
	r := random(n)
	again := make([]int, ops)
	paths := make([]string, ops)
	for i := range again {
		again[i] = r.IntN(n)
		paths[i] = path(again[i])
	}
	alone := n == 1 || paths[0] != path(0) || paths[1] != path(0)
	var trigger, told, add float64
	if alone {
		key := make([]byte, 0, 64)
		fire := func(i int) {
			key = append(key[:0], paths[i]...)
			w.Trigger(session.NodeDataChanged, key, func(session.ConnID) { told++ })
		}
		both := each(ops, func(i int) {
			fire(i)
			w.Add(session.ConnID(again[i]/perConn), paths[i], session.Data)
		})
		trigger = each(ops, fire)
		add = both - trigger
		told = trigger
	} else {
		trigger = each(1, func(int) { w.Trigger(session.NodeDataChanged, []byte(paths[0]), func(session.ConnID) {}) })
		told = trigger / float64(n)
		order := r.Perm(n)
		add = each(n, func(i int) {
			slowest.time(func() { w.Add(session.ConnID(order[i]), paths[0], session.Data) })
		})
	}
	conns := (n + perConn - 1) / perConn
	drops := min(conns, 1000)
	dropped := each(drops, func(i int) { w.RemoveConn(session.ConnID(i * 7919 % conns)) }) / float64(min(perConn, n))
	runtime.KeepAlive(w)
	return []float64{float64(n), perEach(size, n), add, trigger, told, dropped, slowest.ms(), wall, cpu}
}
