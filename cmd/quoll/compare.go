package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"quoll/cmd/internal/measure"
	"quoll/cmd/internal/table"
)

// compareCmd measures Quoll, Apache ZooKeeper and etcd side by side: all run on this machine at the
// same time, as many servers of each, fsync on in all, and each workload loads first the one and
// then the others while the rest is idle. What counts is the ratio. The loader does not know whom
// it loads: Quoll and ZooKeeper get the same bytes.
type compareCmd struct {
	ZooKeeper string        `name:"zookeeper" type:"existingdir" placeholder:"DIR" help:"Where the jars of Apache ZooKeeper are; without, only goals that are not relative to it are judged."`
	Etcd      string        `type:"existingfile" placeholder:"FILE" help:"The etcd server; without, its column stays empty."`
	EtcdLoad  string        `type:"existingfile" placeholder:"FILE" help:"The load generator for etcd."`
	Only      []string      `placeholder:"NAME,..." help:"Rows to measure: ${compare_rows}."`
	Quick     bool          `help:"Small sizes and short times, to see that everything can be measured; its figures count for nothing."`
	Duration  time.Duration `help:"How long to measure each workload (10s; quick: 2s)."`
	Warmup    time.Duration `help:"How long to run before that (3s; quick: 1s)."`
	Long      time.Duration `help:"How long to write for the lowest second (5m; quick: 10s)."`
	Fill      int           `help:"Znodes to create, and to restart with (1000000; quick: 20000)."`
	Idle      int           `help:"Sessions that only ping (20000; quick: 1000)."`
	Large     int           `help:"Children of the largest family; the other large things shrink with it (1000000; quick: 20000)."`
	Repeat    int           `help:"How often to kill a leader, to restart and to list, for the median (3; quick: 1)."`
	Servers   int           `default:"3" help:"Servers of each system."`
	Profile   string        `type:"existingdir" placeholder:"DIR" help:"Have Quoll's servers write a profile of each run of load there, numbered by server process; what they cost is in the figures."`
	Out       string        `type:"path" placeholder:"DIR" help:"Write results.json, table.md and chart.svg there."`
}

// Validate is called by the command line's parser.
func (m *compareCmd) Validate() error {
	switch {
	case m.Duration < 0 || m.Warmup < 0 || m.Long < 0 || m.Fill < 0 || m.Idle < 0 || m.Large < 0 || m.Repeat < 0:
		return errors.New("--duration, --warmup, --long, --fill, --idle, --large and --repeat: want positive values")
	case m.Servers < 1:
		return fmt.Errorf("--servers=%d: want at least 1", m.Servers)
	case (m.Etcd == "") != (m.EtcdLoad == ""):
		return errors.New("--etcd and --etcd-load: want both or none")
	}
	return checkRows(m.Only)
}

// settle fills in what the command line left open.
func (m *compareCmd) settle() {
	full := compareCmd{Duration: 10 * time.Second, Warmup: 3 * time.Second, Long: 5 * time.Minute, Fill: 1_000_000, Idle: 20_000, Large: 1_000_000, Repeat: 3}
	if m.Quick {
		full = compareCmd{Duration: 2 * time.Second, Warmup: time.Second, Long: 10 * time.Second, Fill: 20_000, Idle: 1000, Large: 20_000, Repeat: 1}
	}
	for _, t := range []struct {
		flag *time.Duration
		full time.Duration
	}{{&m.Duration, full.Duration}, {&m.Warmup, full.Warmup}, {&m.Long, full.Long}} {
		if *t.flag == 0 {
			*t.flag = t.full
		}
	}
	for _, n := range []struct {
		flag *int
		full int
	}{{&m.Fill, full.Fill}, {&m.Idle, full.Idle}, {&m.Large, full.Large}, {&m.Repeat, full.Repeat}} {
		if *n.flag == 0 {
			*n.flag = n.full
		}
	}
}

// Run performs the command. What was measured is printed and written even when something failed.
func (m *compareCmd) Run(c *console) error {
	m.settle()
	dir, err := os.MkdirTemp("", "quoll-compare-")
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	r := &comparing{compareCmd: m, c: c, dir: dir, self: self}
	r.result = &table.Result{
		Command: strings.Join(os.Args, " "), Started: time.Now(), Quick: m.Quick, Settings: m.settings(),
		Rows: wanted(m.Only),
	}
	err = r.measure()
	if err != nil && c.ctx.Err() == nil || r.keep {
		fmt.Fprintf(c.err, "quoll: the servers' directories, with their logs, are kept: %s\n", dir)
	} else {
		os.RemoveAll(dir)
	}
	return errors.Join(err, r.publish())
}

// settings are what the figures depend on, for whoever reads them.
func (m *compareCmd) settings() map[string]string {
	return map[string]string{
		"duration": m.Duration.String() + " after " + m.Warmup.String(), "long run": m.Long.String(),
		"znodes": fmt.Sprint(m.Fill), "idle sessions": fmt.Sprint(m.Idle), "largest family": fmt.Sprint(m.Large), "servers": fmt.Sprintf("%d of each system, on loopback", m.Servers),
	}
}

// comparing is a comparison under way.
type comparing struct {
	*compareCmd
	c        *console
	dir      string // of all servers
	self     string // this program
	keep     bool   // dir is evidence
	profiles int    // of each server of the stage
	result   *table.Result

	sides []*side // of the stage under way
	etcd  *etcd   // nil: not there
}

// stage is a part of the comparison that begins with fresh servers: what the one leaves behind in
// memory and on disk must not be in the figures of the next.
type stage struct {
	name  string
	rows  []string
	etcd  bool         // takes part
	first func() error // what the steps rest on; nil: nothing
	steps []func() error
}

func (r *comparing) stages() []stage {
	full := []string{"fill", "rss", "restart", "lowest", "gap-full"}
	if r.ZooKeeper != "" {
		full = append(full, "heap") // of which Quoll's figure takes no such servers
	}
	return []stage{
		{name: "bare", rows: []string{"empty", "idle", "ls"}, steps: []func() error{r.empty, r.idle, r.list}},
		{
			name: "load", rows: []string{"writes", "write-p99", "creates", "reads", "mixed", "one-write", "one-read", "linear", "gap", "gap-follower"},
			etcd: true, first: r.warm, steps: []func() error{r.loads, r.linear, r.gaps},
		},
		{
			name: "full", rows: full,
			first: r.fills, steps: []func() error{r.restarts, r.lowest, r.fullGaps},
		},
		{
			name: "large", rows: []string{"values", "multis", "watches", "expiry", "ephemerals", "list-tenth", "list"},
			first: r.warm, steps: []func() error{r.large},
		},
	}
}

// measure goes through everything. What fails does not keep the rest from being measured.
func (r *comparing) measure() error {
	var failures []error
	note := func(err error) {
		if err != nil {
			failures = append(failures, err)
			r.result.Failures = append(r.result.Failures, err.Error())
		}
	}
	note(r.describe())
	note(r.loaders())
	note(r.heap())
	for _, s := range r.stages() {
		if slices.ContainsFunc(s.rows, r.wants) && r.c.ctx.Err() == nil {
			note(r.perform(s))
		}
	}
	r.judgeLoaders()
	if err := context.Cause(r.c.ctx); err != nil {
		return err
	}
	return errors.Join(failures...)
}

// perform starts the servers of a stage, measures and ends them. A step that fails does not keep
// the next from being measured, a server that died does: it makes numbers worthless that look right.
func (r *comparing) perform(s stage) (err error) {
	defer func() {
		r.close()
		if err != nil {
			err = fmt.Errorf("stage %s: %w", s.name, err)
		}
	}()
	if err = r.start(s); err != nil {
		return err
	}
	if s.first != nil {
		if err = errors.Join(s.first(), r.died()); err != nil {
			return err
		}
	}
	for _, step := range s.steps {
		err = errors.Join(err, step())
		if died := r.died(); died != nil || r.c.ctx.Err() != nil {
			return errors.Join(err, died)
		}
	}
	return err
}

// died tells of servers that ended by themselves.
func (r *comparing) died() (err error) {
	for _, side := range r.sides {
		if ended := side.Failed(); ended != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", side.name, ended))
		}
	}
	return err
}

func (r *comparing) wants(name string) bool {
	return len(r.Only) == 0 || slices.Contains(r.Only, name)
}

// progress tells the user what goes on: the whole takes half an hour.
func (r *comparing) progress(format string, args ...any) {
	fmt.Fprintf(r.c.err, format+"\n", args...)
}

// run adds a run to the result. Operations that fail are no news where a leader was killed.
func (r *comparing) run(row string, s table.System, report *measure.Report) {
	if failed := report.Total.Failed; failed > 0 && !strings.HasPrefix(row, "gap") {
		r.result.Note(row, "%s failed %d operations of %d", s, failed, failed+report.Total.Acked)
	}
	r.progress("%s, %s: %s", row, s, report.Text())
	r.result.Runs = append(r.result.Runs, table.Run{Row: row, System: s, Report: report})
}

// publish prints the table, and writes it when there is a place for it.
func (r *comparing) publish() error {
	if r.Out != "" {
		if err := r.result.Write(r.Out); err != nil {
			return err
		}
		r.progress("written: %s", filepath.Join(r.Out, "{results.json,table.md,chart.svg}"))
	}
	return r.c.printf("%s", r.result.Text())
}

// describe notes what the figures were measured on.
func (r *comparing) describe() error {
	facts := machineFacts(runtime.Version())
	sync, err := fsyncTime(r.dir)
	if err != nil {
		return err
	}
	if mounts, failed := os.ReadFile("/proc/mounts"); failed == nil { // which Linux alone has
		facts = append(facts, table.Fact{Name: "file system of the servers", Value: fileSystem(string(mounts), r.dir)})
	}
	facts = append(facts, table.Fact{Name: "fsync of 512 appended bytes", Value: fmt.Sprintf("%.2f ms (median)", sync.Seconds()*1e3)})
	facts = append(facts, table.Fact{Name: "Quoll", Value: commit()})
	if r.ZooKeeper != "" {
		facts = append(facts, table.Fact{Name: "ZooKeeper", Value: zooKeeperVersion(r.ZooKeeper)})
	}
	if r.Etcd != "" {
		facts = append(facts, table.Fact{Name: "etcd", Value: etcdVersion(r.c.ctx, r.Etcd)})
	}
	r.result.Machine = facts
	return nil
}
