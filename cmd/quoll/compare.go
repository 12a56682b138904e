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

	"quoll/cmd/internal/measure"
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
	littered bool // told that znodes of a run stay
	slow     bool // was without a leader for longer than gapSuspect
}

// Run performs the command. The servers' directories go when all is well; else they are evidence.
func (m *compareCmd) Run(c *console) (err error) {
	dir, err := os.MkdirTemp("", "quoll-compare-")
	if err != nil {
		return err
	}
	sides := []side{{name: "zookeeper"}, {name: "quoll"}}
	defer func() {
		if err == nil && !slices.ContainsFunc(sides, func(s side) bool { return s.slow }) || c.ctx.Err() != nil {
			os.RemoveAll(dir)
			return
		}
		fmt.Fprintf(c.err, "quoll: the servers' directories, with their logs, are kept: %s\n", dir)
	}()
	defer func() {
		for i := range sides {
			if sides[i].Cluster != nil {
				sides[i].Close()
			}
		}
	}()
	if err = m.start(c, sides, dir); err != nil {
		return err
	}
	rows, err := m.rows(c, sides)
	// That a server died explains an error, and makes numbers worthless that look right.
	for i := range sides {
		if ended := sides[i].Failed(); ended != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", sides[i].name, ended))
		}
	}
	if err != nil {
		return err
	}
	return printComparison(c, rows)
}

// start starts both sides and waits until they serve.
func (m *compareCmd) start(c *console, sides []side, dir string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	commands := []func(string) []string{cluster.ZooKeeper(m.ZooKeeper), cluster.Quoll(self)}
	for i := range sides {
		home := filepath.Join(dir, sides[i].name)
		if err = os.Mkdir(home, 0o755); err != nil {
			return err
		}
		sides[i].Cluster, err = cluster.Start(cluster.Options{Dir: home, Size: m.Servers, Command: commands[i]})
		if err != nil {
			return err
		}
	}
	for i := range sides {
		if err := sides[i].awaitServing(c.ctx); err != nil {
			return err
		}
	}
	return nil
}

// rows measures everything.
func (m *compareCmd) rows(c *console, sides []side) ([]comparison, error) {
	if err := m.warm(c, sides); err != nil {
		return nil, err
	}
	var rows []comparison
	for _, measure := range []func(*console, []side) ([]comparison, error){m.loads, m.gaps, m.fills} {
		more, err := measure(c, sides)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

// servingPatience is enough to load what a comparison fills.
const servingPatience = 2 * time.Minute

func (s *side) awaitServing(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, servingPatience)
	defer cancel()
	if err := s.AwaitServing(ctx); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	return nil
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
func (m *compareCmd) bench(c *console, s *side, b benchCmd) (*measure.Report, error) {
	b.Servers, b.Timeout, b.Seed = s.Servers(), 10*time.Second, 1
	if b.Duration == 0 {
		b.Duration, b.Warmup = m.Duration, m.Warmup
	}
	r, left, err := b.measure(c.ctx)
	if left != nil && !s.littered {
		s.littered = true
		fmt.Fprintf(c.err, "%s: %v; this is told of the first run only\n", s.name, left)
	}
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
			fmt.Fprintf(c.err, "%s: %s", sides[i].name, r.Text())
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

// gapAfter is when the leader is killed in a run of gapRun. A gap over gapSuspect, in ms, is none
// that an election explains.
const (
	gapAfter   = 2 * time.Second
	gapRun     = 8 * time.Second
	gapSuspect = 3000
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
		gap, err := m.killLeader(c, s)
		if err != nil {
			return 0, err
		}
		gaps[i] = gap
	}
	slices.Sort(gaps[:])
	return gaps[1], nil
}

// killLeader kills the leader under a writer, starts it again, and returns the gap.
func (m *compareCmd) killLeader(c *console, s *side) (float64, error) {
	leader, err := s.Leader(c.ctx)
	if err != nil {
		return 0, err
	}
	killed := make(chan struct{})
	kill := time.AfterFunc(gapAfter, func() {
		s.Kill(leader)
		close(killed)
	})
	r, err := m.bench(c, s, benchCmd{Gap: true, Size: 100, Duration: gapRun})
	if !kill.Stop() {
		<-killed
	}
	if err != nil {
		return 0, err
	}
	if r.LongestGap > gapSuspect {
		s.slow = true
		fmt.Fprintf(c.err, "%s: nothing was acknowledged for %.0f ms when server %d, the leader, was killed\n",
			s.name, r.LongestGap, leader+1)
	}
	if err := s.Restart(leader); err != nil {
		return 0, err
	}
	return r.LongestGap, s.awaitServing(c.ctx)
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
	watch := measure.StartWatch()
	if err = s.Restart(victim); err != nil {
		return 0, err
	}
	err = s.awaitServing(ctx)
	return watch.Now(), err
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
