package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"quoll/jepsen/cluster"
)

// compareCmd measures Quoll and Apache ZooKeeper side by side: both run on this machine at the
// same time, three servers each, fsync on in both, and each workload loads first the one and then
// the other while the other is idle. What counts is the ratio.
type compareCmd struct {
	ZooKeeper string        `name:"zookeeper" required:"" type:"existingdir" placeholder:"DIR" help:"Where the jars of Apache ZooKeeper are."`
	Duration  time.Duration `default:"10s" help:"How long to measure each workload."`
	Warmup    time.Duration `default:"3s" help:"How long to run before that."`
	Fill      int           `default:"1000000" help:"Znodes to create, and to restart with; 0 leaves that out."`
	Servers   int           `default:"3" help:"Servers on each side."`
	Only      []string      `placeholder:"NAME" help:"Rows to measure: writes, one-write, creates, reads, one-read, mixed, gap, fill."`
}

// comparison is a row of the result.
type comparison struct {
	name   string
	unit   string
	goal   string // what the project asks of Quoll, in words
	theirs float64
	ours   float64
	lower  bool // less is better
}

// side is one of the two systems.
type side struct {
	name string
	*cluster.Cluster
}

// Run performs the command.
func (m *compareCmd) Run(c *console) (err error) {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "quoll-compare-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	sides := []side{{name: "zookeeper"}, {name: "quoll"}}
	commands := []func(string) []string{cluster.ZooKeeper(m.ZooKeeper), cluster.Quoll(self)}
	for i := range sides {
		home := filepath.Join(dir, sides[i].name)
		if err = os.Mkdir(home, 0o755); err != nil {
			return err
		}
		sides[i].Cluster, err = cluster.Start(cluster.Options{Dir: home, Size: m.Servers, Command: commands[i]})
		defer sides[i].Close()
		if err != nil {
			return err
		}
	}
	for i := range sides {
		if err := sides[i].AwaitServing(c.ctx); err != nil {
			return err
		}
	}
	if err := m.warm(c, sides); err != nil {
		return err
	}
	var rows []comparison
	for _, measure := range []func(*console, []side) ([]comparison, error){m.loads, m.gaps, m.fills} {
		more, err := measure(c, sides)
		if err != nil {
			return err
		}
		rows = append(rows, more...)
	}
	return printComparison(c, rows)
}

func (m *compareCmd) wants(name string) bool {
	return len(m.Only) == 0 || slices.Contains(m.Only, name)
}

// warm runs both until their code is compiled and their caches are filled.
func (m *compareCmd) warm(c *console, sides []side) error {
	for i := range sides {
		for _, mix := range []string{"set=50,get=50", "create+delete=100"} {
			b := benchCmd{Mix: mix, Conns: 16, Inflight: 32, Size: 100, Keys: 1000, Duration: 2 * m.Warmup}
			if _, err := m.bench(c, &sides[i], b); err != nil {
				return err
			}
		}
	}
	return nil
}

// bench performs one run against one side.
func (m *compareCmd) bench(c *console, s *side, b benchCmd) (*benchReport, error) {
	b.Servers, b.Timeout, b.Seed = s.Servers(), 10*time.Second, 1
	if b.Duration == 0 {
		b.Duration, b.Warmup = m.Duration, m.Warmup
	}
	quiet := &console{ctx: c.ctx, out: &strings.Builder{}, err: c.err}
	r, err := b.measure(quiet)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	return r, nil
}

// loads measures the workloads that need nothing but load.
func (m *compareCmd) loads(c *console, sides []side) (rows []comparison, err error) {
	for _, w := range []struct {
		name, mix, rate, latency string
		conns, inflight          int
	}{
		{"writes", "set=100", "2x, then 5x", "p99 1/2, then 1/5", 16, 32},
		{"creates", "create+delete=100", "5x", "", 16, 32},
		{"reads", "get=100", "2x, then 5x", "", 16, 32},
		{"mixed", "get=90,set=10", "2x, then 5x", "p99 1/2", 16, 32},
		{"one-write", "set=100", "", "p50 1/2", 1, 1},
		{"one-read", "get=100", "", "p50 1/2", 1, 1},
	} {
		if !m.wants(w.name) {
			continue
		}
		rate := comparison{name: w.name, unit: "op/s", goal: w.rate}
		p50 := comparison{name: w.name + " p50", unit: "ms", lower: true, goal: w.latency}
		p99 := comparison{name: w.name + " p99", unit: "ms", lower: true, goal: w.latency}
		for i := range sides {
			b := benchCmd{Mix: w.mix, Conns: w.conns, Inflight: w.inflight, Size: 100, Keys: 1000}
			r, err := m.bench(c, &sides[i], b)
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(c.err, "%s: %s", sides[i].name, r.text())
			rate.set(i, r.Total.Rate)
			p50.set(i, r.Total.Latency.P50)
			p99.set(i, r.Total.Latency.P99)
		}
		if w.conns == 1 {
			rows = append(rows, p50, p99)
		} else {
			rows = append(rows, rate, p99)
		}
	}
	return rows, nil
}

func (r *comparison) set(side int, v float64) {
	if side == 0 {
		r.theirs = v
	} else {
		r.ours = v
	}
}

// gapAfter is when the leader is killed in a run of gapRun.
const (
	gapAfter = 2 * time.Second
	gapRun   = 8 * time.Second
)

// gaps kills the leader under one writer that reconnects.
func (m *compareCmd) gaps(c *console, sides []side) ([]comparison, error) {
	if !m.wants("gap") || m.Servers < 3 {
		return nil, nil
	}
	row := comparison{name: "write gap, leader killed", unit: "ms", lower: true, goal: "300 ms, then 100 ms"}
	for i := range sides {
		gap, err := m.gap(c, &sides[i])
		if err != nil {
			return nil, err
		}
		row.set(i, gap)
	}
	return []comparison{row}, nil
}

// gap returns the median of three.
func (m *compareCmd) gap(c *console, s *side) (float64, error) {
	var gaps [3]float64
	for i := range gaps {
		leader, err := s.Leader(c.ctx)
		if err != nil {
			return 0, err
		}
		kill := time.AfterFunc(gapAfter, func() { s.Kill(leader) })
		r, err := m.bench(c, s, benchCmd{Gap: true, Size: 100, Duration: gapRun})
		kill.Stop()
		if err != nil {
			return 0, err
		}
		gaps[i] = r.LongestGap
		if err := s.Restart(leader); err != nil {
			return 0, err
		}
		if err := s.AwaitServing(c.ctx); err != nil {
			return 0, err
		}
	}
	return max(min(gaps[0], gaps[1]), min(max(gaps[0], gaps[1]), gaps[2])), nil
}

// fills creates many znodes, and restarts a server that has them.
func (m *compareCmd) fills(c *console, sides []side) ([]comparison, error) {
	if !m.wants("fill") || m.Fill == 0 {
		return nil, nil
	}
	rate := comparison{name: fmt.Sprintf("filling %d znodes", m.Fill), unit: "op/s", goal: "8x"}
	memory := comparison{name: "resident bytes per znode", unit: "B", lower: true, goal: "1/4"}
	restart := comparison{name: "restart with them", unit: "s", lower: true, goal: "1/4, then 1/8"}
	for i := range sides {
		s := &sides[i]
		before, err := s.Resident(0)
		if err != nil {
			return nil, err
		}
		r, err := m.bench(c, s, benchCmd{Fill: m.Fill, Conns: 16, Inflight: 64, Size: 100, Duration: time.Second, Mix: "create=100", Keys: 1})
		if err != nil {
			return nil, err
		}
		after, err := s.Resident(0)
		if err != nil {
			return nil, err
		}
		took, err := restartTime(c.ctx, s)
		if err != nil {
			return nil, err
		}
		rate.set(i, r.Total.Rate)
		memory.set(i, float64(after-before)/float64(m.Fill))
		restart.set(i, took.Seconds())
	}
	return []comparison{rate, memory, restart}, nil
}

// restartTime stops a follower and measures how long it takes from its start until it serves.
func restartTime(ctx context.Context, s *side) (time.Duration, error) {
	leader, err := s.Leader(ctx)
	if err != nil {
		return 0, err
	}
	victim := (leader + 1) % len(s.Servers())
	s.Stop(victim)
	watch := startWatch()
	if err = s.Restart(victim); err != nil {
		return 0, err
	}
	err = cluster.Await(ctx, "the restarted server to serve", func() bool {
		return s.Mode(ctx, victim) != "" || !s.Running(victim)
	})
	if err == nil && !s.Running(victim) {
		err = errors.New("the restarted server ended; its log says: " + s.Log(victim))
	}
	return watch.now(), err
}

func printComparison(c *console, rows []comparison) error {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "what\tunit\tzookeeper\tquoll\tratio\tgoal\t")
	for _, r := range rows {
		ratio := "-"
		if r.theirs > 0 && r.ours > 0 {
			ratio = fmt.Sprintf("%.2fx", r.ours/r.theirs)
			if r.lower {
				ratio = fmt.Sprintf("1/%.1f", r.theirs/r.ours)
			}
		}
		fmt.Fprintf(t, "%s\t%s\t%.4g\t%.4g\t%s\t%s\t\n", r.name, r.unit, r.theirs, r.ours, ratio, r.goal)
	}
	t.Flush()
	return c.printf("%s", b.String())
}
