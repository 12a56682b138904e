package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"quoll/jepsen/campaign"
	"quoll/jepsen/driver"
	"quoll/jepsen/nemesis"
	"quoll/jepsen/workload"
)

// jepsenCmd tests an ensemble of real processes: clients work, faults are done to it, and what the
// clients saw is judged.
type jepsenCmd struct {
	Target    string `default:"quoll" placeholder:"WHAT" help:"quoll, zookeeper, or HOST:PORT,... of servers that run already."`
	Binary    string `type:"path" placeholder:"FILE" help:"The quoll to test. Default: this one."`
	ZooKeeper string `name:"zookeeper" type:"existingdir" placeholder:"DIR" help:"Where the jars of Apache ZooKeeper are: with --target zookeeper."`
	Servers   int    `default:"3" help:"How many servers are started."`

	Workload []string      `placeholder:"NAME,..." help:"What clients do, one run each; list: print the workloads. Default: register."`
	Nemesis  []string      `placeholder:"NAME,..." help:"What is done to the servers; all: whatever can be done here; few: three of those; none; list: print the faults. Default: kill, pause and partitions. Not for servers that run already."`
	Matrix   string        `enum:",quick,full" default:"" placeholder:"WHICH" help:"Many runs: quick or full, instead of --workload and --nemesis."`
	For      time.Duration `default:"30s" help:"How long a run lasts; with --matrix, how long all of them may."`
	Rate     float64       `default:"300" help:"Requests per second of all clients together; 0: as fast as the workload thinks."`
	Clients  int           `default:"10" help:"How many clients there are."`
	Pipeline int           `default:"8" help:"How many requests of a client may be open at once."`
	Session  time.Duration `default:"4s" help:"Timeout that sessions ask for."`
	Seed     string        `default:"random" placeholder:"N" help:"Decides the workload and the faults; random: one that is drawn and printed."`
	Network  string        `enum:"auto,namespaces,proxies,none" default:"auto" help:"What lies between the servers."`
	Strict   bool          `help:"Judge plain reads as if they were linearizable, which no such server promises."`
	Search   time.Duration `default:"30s" help:"How long the search of one history for an order may take."`

	Break string `placeholder:"COMMAND" help:"With servers that run already: breaks something, every few seconds."`
	Heal  string `placeholder:"COMMAND" help:"Undoes --break."`

	Judge string `type:"existingfile" placeholder:"FILE" help:"Run nothing: judge the history.json.gz of an earlier run again."`

	Out  string `type:"path" placeholder:"DIR" default:"jepsen-results" help:"Where reports go, a directory for each run."`
	Keep bool   `help:"Keep the servers' directories although all is well."`
	JSON bool   `name:"json" help:"Print a line of JSON for each run."`
}

// The defaults of --workload and --nemesis.
var (
	defaultWorkload = []string{"register"}
	defaultNemesis  = []string{"kill", "kill-leader", "pause-leader", "halves", "isolate-leader"}
)

const listThem = "list"

// Validate is called by the command line's parser.
func (j *jepsenCmd) Validate() error {
	for _, name := range j.Workload {
		if name != listThem && !slices.Contains(workload.Names(), name) {
			return fmt.Errorf("--workload %s: it is one of %s", name, strings.Join(workload.Names(), " "))
		}
	}
	for _, name := range j.Nemesis {
		if name != listThem && name != campaign.All && name != campaign.Few && name != noneOfThem && !slices.Contains(nemesis.Names(), name) {
			return fmt.Errorf("--nemesis %s: it is all, few, none or of %s", name, strings.Join(nemesis.Names(), " "))
		}
	}
	switch {
	case j.For <= 0 || j.Rate < 0 || j.Clients < 1 || j.Pipeline < 1 || j.Session <= 0 || j.Servers < 1 || j.Search <= 0:
		return errors.New("--for, --clients, --pipeline, --session, --servers and --search: want positive numbers")
	case j.Target == "zookeeper" && j.ZooKeeper == "":
		return errors.New("--target zookeeper: say with --zookeeper where its jars are; `make build/zookeeper` fetches them")
	case (j.Break != "" || j.Heal != "") && !j.running():
		return errors.New("--break and --heal are for servers that run already: this command breaks its own itself")
	case j.Break == "" != (j.Heal == ""):
		return errors.New("--break and --heal belong together")
	case j.running() && slices.ContainsFunc(j.Nemesis, func(name string) bool { return name != noneOfThem && name != listThem }):
		return fmt.Errorf("--nemesis %s: servers that run already cannot be broken from here; --break and --heal can", strings.Join(j.Nemesis, ","))
	}
	if least := campaign.QuickLength(); j.Matrix == campaign.Quick && j.For < least {
		return fmt.Errorf("--matrix quick: its runs alone take %v, and --for is %v", least, j.For)
	}
	_, err := j.seed()
	return err
}

const noneOfThem = "none"

// running reports whether the target is servers that run already.
func (j *jepsenCmd) running() bool { return strings.Contains(j.Target, ":") }

func (j *jepsenCmd) seed() (uint64, error) {
	if j.Seed == "random" {
		return rand.Uint64N(largestRandom), nil
	}
	var n uint64
	if _, err := fmt.Sscan(j.Seed, &n); err != nil {
		return 0, fmt.Errorf("--seed %s: want a number, or random", j.Seed)
	}
	return n, nil
}

// Run performs the command.
func (j *jepsenCmd) Run(c *console) error {
	switch {
	case slices.Contains(j.Workload, listThem):
		fmt.Fprintln(c.out, strings.Join(workload.Names(), "\n"))
		return nil
	case slices.Contains(j.Nemesis, listThem):
		for _, k := range nemesis.Kinds() {
			fmt.Fprintf(c.out, "%-15s %s\n", k.Name, k.What)
		}
		return nil
	}
	if j.Judge != "" {
		return j.judge(c)
	}
	target, err := j.target()
	if err != nil {
		return err
	}
	seed, err := j.seed()
	if err != nil {
		return err
	}
	runs := j.runs(seed)
	fmt.Fprintf(c.err, "%d runs against %s, from seed %d\n", len(runs), target.Name, seed)
	for i := range runs {
		runs[i].Target = target
	}
	return j.all(c, runs, func(opts *campaign.Options) (bool, error) { return j.one(c, opts) })
}

// all carries the runs out, those of a matrix as long as there is time, and says what came of them. What was not
// run was not found good.
func (j *jepsenCmd) all(c *console, runs []campaign.Options, one func(*campaign.Options) (ok bool, err error)) error {
	end := time.Now().Add(j.For)
	failed, done := 0, 0
	for i := range runs {
		if j.Matrix != "" && time.Until(end) < runs[i].For {
			break
		}
		ok, err := one(&runs[i])
		if err != nil {
			return err
		}
		done++
		if !ok {
			failed++
		}
	}
	missing := unmade(runs, done)
	if len(missing) > 0 {
		fmt.Fprintf(c.err, "there was no time for %s\n", strings.Join(missing, " "))
	}
	switch {
	case failed > 0:
		return fmt.Errorf("%d of %d runs found a violation; the reports are in %s", failed, done, j.Out)
	case done == 0:
		return fmt.Errorf("no run fits into %v", j.For)
	case j.Matrix == campaign.Quick && done < len(runs):
		return fmt.Errorf("only %d of %d runs were made in %v: give --for more", done, len(runs), j.For)
	}
	fmt.Fprintf(c.err, "%d runs, no violation; the reports are in %s\n", done, j.Out)
	return nil
}

// unmade returns the workloads of which there was no run at all.
func unmade(runs []campaign.Options, done int) (names []string) {
	seen := map[string]bool{}
	for i := range runs {
		if name := runs[i].Workload; !seen[name] {
			seen[name] = true
			if i >= done {
				names = append(names, name)
			}
		}
	}
	return names
}

func (j *jepsenCmd) target() (campaign.Target, error) {
	switch {
	case j.Target == "zookeeper":
		return campaign.ZooKeeper(j.ZooKeeper), nil
	case j.running():
		t := campaign.Running(strings.Split(j.Target, ","))
		t.Break, t.Heal = j.Break, j.Heal
		return t, nil
	case j.Target != "quoll":
		return campaign.Target{}, fmt.Errorf("--target %s: it is quoll, zookeeper, or addresses such as localhost:2181", j.Target)
	}
	binary := j.Binary
	if binary == "" {
		self, err := os.Executable()
		if err != nil {
			return campaign.Target{}, err
		}
		binary = self
	}
	return campaign.Quoll(binary), nil
}

// runs are what the options ask for.
func (j *jepsenCmd) runs(seed uint64) []campaign.Options {
	base := campaign.Options{
		Servers: j.Servers, For: j.For, Rate: j.Rate, Clients: j.Clients, Pipeline: j.Pipeline, Session: j.Session, Network: j.Network,
		Strict: j.Strict, Keep: j.Keep, Search: j.Search,
	}
	if j.Matrix != "" {
		all := campaign.Matrix(j.Matrix, base, seed, j.For)
		for i := range all {
			if j.running() {
				all[i].Nemesis = nil // whatever is done to them, --break does
			}
		}
		return all
	}
	workloads, faults := j.Workload, j.Nemesis
	if len(workloads) == 0 {
		workloads = defaultWorkload
	}
	if len(faults) == 0 && !j.running() {
		faults = defaultNemesis
	}
	base.Nemesis = slices.DeleteFunc(slices.Clone(faults), func(name string) bool { return name == noneOfThem })
	var all []campaign.Options
	for i, w := range workloads {
		base.Workload, base.Seed = w, seed+uint64(i)
		all = append(all, base)
	}
	return all
}

// one carries a run out and reports it.
func (j *jepsenCmd) one(c *console, opts *campaign.Options) (ok bool, err error) {
	name := fmt.Sprintf("%s-%s-%d", time.Now().Format("20060102-150405"), opts.Workload, opts.Seed)
	dir := filepath.Join(j.Out, name)
	opts.Dir = filepath.Join(dir, "servers")
	if err = os.MkdirAll(opts.Dir, 0o755); err != nil {
		return false, err
	}
	fmt.Fprintf(c.err, "%s: %s, %s, faults: %s, seed %d\n", opts.Target.Name, opts.Workload, opts.For, cmpOr(opts.Nemesis), opts.Seed)
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	res, err := campaign.Run(ctx, *opts, func(p driver.Progress, faults []nemesis.Fault) { c.progress(p, faults, opts.For) })
	if err != nil {
		return false, fmt.Errorf("%w\nthe servers' directories are in %s", err, opts.Dir)
	}
	if res.OK() && !opts.Keep {
		_ = os.RemoveAll(opts.Dir) // it is empty
	}
	if err = j.report(c, res, dir); err != nil {
		return false, err
	}
	return res.OK(), nil
}

func cmpOr(names []string) string {
	if len(names) == 0 {
		return noneOfThem
	}
	return strings.Join(names, " ")
}
