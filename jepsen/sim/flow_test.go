package sim

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quoll"
)

// healed returns a world without faults in which three servers serve and clients are connected.
func healed(t *testing.T) *World {
	t.Helper()
	p := Draw(3, Limits{Voters: [2]int{3, 3}, Observers: -1, Faults: []string{}, FaultUs: 2_000_000})
	p.Clients, p.Workload, p.FsyncUs = 2, "register", [2]int64{1000, 2000}
	w := newWorld(p, nil)
	for i, s := range w.servers {
		w.after(int64(i), s.boot)
	}
	w.net.start()
	w.nemesis.start(w)
	w.until(p.FaultUs)
	w.heal()
	require.True(t, w.await(electUs, "L-JOIN", "all serve", w.oneLeader))
	for _, c := range w.clients {
		c.last, c.stopped = true, true
	}
	require.True(t, w.await(electUs, "L-OPS", "clients are connected and quiet", func() bool { return w.quiet() && w.clients[0].joined }))
	return w
}

// A core that waits for its slowest voter is noticed, one that does not is not.
func TestFlow(t *testing.T) {
	w := healed(t)
	require.True(t, w.flows())
	require.Nil(t, w.broken)
	require.Positive(t, w.cover["pace measured with a slow voter"])

	var infect func() // whoever commits with all disks is as slow as the slowest
	infect = func() {
		slowest := int64(0)
		for _, s := range w.servers {
			slowest = max(slowest, s.ailment.slowDisk)
		}
		for _, s := range w.servers {
			s.ailment.slowDisk = slowest * 3
		}
		if slowest == 0 {
			w.after(100, infect)
		}
	}
	infect()
	require.False(t, w.flows())
	require.Equal(t, "L-FLOW", w.broken.Check, "%v", w.broken)
}

// A write that nobody takes, or a question that nobody answers, is noticed.
func TestLeftovers(t *testing.T) {
	w := healed(t)
	require.True(t, w.drained())
	s := w.servers[1]
	s.looping = true // it will not look at it
	s.writes = append(s.writes, quoll.Handled{Step: quoll.StepGone})
	require.False(t, w.drained())
	require.Equal(t, "L-MEM", w.broken.Check)
}

// A connection of which more waits than it may is noticed, and a server that asks its leader too much.
func TestBudget(t *testing.T) {
	for name, shrink := range map[string]func(b *budget){
		"connection": func(b *budget) { b.pipe = -requestCost - b.frame - 1 },
		"questions":  func(b *budget) { b.asks = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			w := healed(t)
			s := w.clients[0].conn.s
			s.frugal()
			require.Nil(t, w.broken)
			shrink(&w.budget)
			s.frugal()
			require.Equal(t, "I-BUDGET", w.broken.Check)
		})
	}
}
