package campaign

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"quoll/jepsen/check"
	"quoll/jepsen/cluster"
	"quoll/jepsen/driver"
	"quoll/jepsen/nemesis"
	"quoll/jepsen/network"
	"quoll/jepsen/workload"
)

// Options say what to test, and how.
type Options struct {
	Target  Target
	Servers int // of a target that is started here

	Workload string
	Nemesis  []string // kinds of fault; "all": all that can be done here
	Seed     uint64
	For      time.Duration
	Rate     float64 // requests per second in all; 0: as fast as the workload thinks
	Clients  int
	Pipeline int // requests of a client that may be open; 0: the driver's own
	Session  time.Duration
	Network  string // NetworkAuto and so on
	Strict   bool   // plain reads are judged as if they were linearizable

	Dir  string // for the servers' directories; they are left there when the run fails
	Keep bool   // or always

	Search time.Duration // for C-LINW; 0: DefaultSearch
}

// Kinds of network.
const (
	NetworkAuto       = "auto"       // namespaces where they can be made, else proxies
	NetworkNamespaces = "namespaces" // see network.Switch
	NetworkProxies    = "proxies"
	NetworkNone       = "none" // the loopback interface, which nothing breaks
)

// DefaultSearch is the time that C-LINW may take for a history.
const DefaultSearch = 30 * time.Second

// Verdict is what a check found.
type Verdict struct {
	Check   string `json:"check"`
	Outcome string `json:"outcome"`
	Why     string `json:"why,omitempty"`
}

// Outcomes of a check.
const (
	Holds         = "holds"
	Violated      = "violated"
	Undecided     = "undecided"
	NotApplicable = "not applicable"
)

// Result is what came of a run.
type Result struct {
	Options    Options
	Version    string // as the servers tell it
	NetworkIs  string
	Began      time.Time
	Outcome    *driver.Outcome
	Figures    *driver.Figures
	Faults     []nemesis.Fault
	Kinds      []string // of fault, that were to be drawn from
	Skipped    []string // kinds that could not be done here, and why
	Record     *Record
	Verdicts   []Verdict
	Violations []check.Violation
	Logs       []Line
}

// OK reports whether nothing was violated.
func (r *Result) OK() bool { return Good(r.Verdicts) }

// Good reports whether none of some verdicts is that something was violated.
func Good(verdicts []Verdict) bool {
	return !slices.ContainsFunc(verdicts, func(v Verdict) bool { return v.Outcome == Violated })
}

// bench is a run under way.
type bench struct {
	Options
	cluster *cluster.Cluster // nil: the target runs already
	network network.Network
	mounts  []string
	prefix  [][]string // of the next start of each server
	lost    []error    // why not everything served at the end
	res     *Result
}

// Run carries a test out. progress is told how far it is, about once a second, and may be nil.
func Run(ctx context.Context, opts Options, progress func(driver.Progress, []nemesis.Fault)) (*Result, error) {
	if opts.Search == 0 {
		opts.Search = DefaultSearch
	}
	if opts.Target.Addresses != nil {
		if len(opts.Nemesis) > 0 {
			return nil, errors.New("campaign: servers that run already are broken by commands of their own, not by " + strings.Join(opts.Nemesis, ", "))
		}
		opts.Servers = len(opts.Target.Addresses)
	}
	b := &bench{Options: opts, res: &Result{Options: opts}}
	err := b.run(ctx, progress)
	failed := err != nil || !b.res.OK()
	err = errors.Join(err, b.close(failed || opts.Keep))
	if err != nil {
		return nil, err
	}
	return b.res, nil
}

func (b *bench) run(ctx context.Context, progress func(driver.Progress, []nemesis.Fault)) error {
	servers, err := b.start(ctx)
	if err != nil {
		return err
	}
	n, err := b.nemesis()
	if err != nil {
		return err
	}
	r, err := driver.Start(ctx, driver.Options{
		Servers: servers, Workload: b.Workload, Clients: b.Clients, Absent: b.absent(), Pipeline: b.Pipeline, Rate: b.Rate, Session: b.Session, For: b.For, Seed: b.Seed,
	})
	if err != nil {
		return err
	}
	b.res.Began = time.Now()
	breaking, stop := context.WithTimeout(ctx, b.For-b.For/10) // the last tenth of the time is for recovery
	defer stop()
	broke := make(chan error, 1)
	go func() { broke <- b.breakThings(breaking, n) }()
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Wait()
	}()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for running := true; running; {
		select {
		case <-done:
			running = false
		case <-tick.C:
			if progress != nil {
				progress(r.Progress(), n.faultsSoFar())
			}
		}
	}
	stop()
	if err = b.recovered(<-broke); err != nil {
		return err
	}
	if err = context.Cause(ctx); err != nil {
		return err
	}
	patience := surveyPatience
	if len(b.lost) > 0 {
		patience = lostPatience
	}
	if err = r.Survey(ctx, patience); err != nil {
		b.lost = append(b.lost, err)
	}
	if err = context.Cause(ctx); err != nil {
		return err
	}
	b.res.Outcome, b.res.Faults = r.Outcome(), n.faultsSoFar()
	b.res.Figures = driver.Measure(b.res.Outcome, b.For.Microseconds())
	b.judge()
	b.readLogs()
	return nil
}

// absent is how many clients let their sessions expire: one in five, where a workload is about that.
func (b *bench) absent() int {
	if !workload.Mortal(b.Workload) || b.Clients < 2 {
		return 0
	}
	return max(1, b.Clients/5)
}

// start makes the ensemble and waits until it serves; it returns where clients connect.
func (b *bench) start(ctx context.Context) ([]string, error) {
	if b.Target.Addresses != nil {
		b.res.Version = version(ctx, b.Target.Addresses[0])
		return b.Target.Addresses, nil
	}
	if err := b.connect(); err != nil {
		return nil, err
	}
	b.prefix = make([][]string, b.Servers)
	started := make([]bool, b.Servers)
	var err error
	for i := range b.Servers {
		if err = b.mount(i); err != nil {
			return nil, err
		}
	}
	b.cluster, err = cluster.Start(cluster.Options{
		Dir: b.Dir, Size: b.Servers, Command: b.Target.Command, Network: b.network, TickMs: tickMs,
		Extra: b.config(),
		Prepare: func(i int, data string) error {
			if started[i] {
				return nil
			}
			started[i] = true
			return os.WriteFile(filepath.Join(data, "initialize"), nil, 0o600)
		},
		Prefix: func(i int) []string { return b.prefix[i] },
	})
	if err != nil {
		return nil, err
	}
	waiting, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	if err = b.cluster.AwaitServing(waiting); err != nil {
		return nil, err
	}
	b.res.Version = version(ctx, b.cluster.Servers()[0])
	return b.cluster.Servers(), nil
}

// config are the lines of zoo.cfg that every server gets.
func (b *bench) config() []string {
	// A server whose disk is empty must not take itself for a new one: so wiping one is borne.
	lines := []string{"db.autocreate=false", "zookeeper.snapshot.trust.empty=false"}
	names := func(line string) bool { return strings.HasPrefix(line, "snapCount=") }
	if !slices.ContainsFunc(b.Target.Extra, names) {
		lines = append(lines, fmt.Sprintf("snapCount=%d", snapCount(b.Seed)), "autopurge.purgeInterval=1")
	}
	return append(lines, b.Target.Extra...)
}

// snapCount draws how many txns lie between snapshots: so few that a short run has many of them, is
// purged, and brings a server that was away up by a snapshot. ZooKeeper takes 2 or more, and either kind of
// server waits for anything between half of it and all.
func snapCount(seed uint64) int {
	const least, most = 100, 2000
	return least + rand.New(rand.NewPCG(seed, 0x54a9)).IntN(most-least+1)
}

const (
	startPatience  = 90 * time.Second
	surveyPatience = 30 * time.Second
	lostPatience   = 2 * time.Second // of servers that are known not to serve
	tickMs         = 500             // of the servers: what takes ticks is to happen within a short run, and often
)

// connect makes the network that was asked for.
func (b *bench) connect() (err error) {
	switch kind := b.Network; {
	case kind == NetworkNone:
		b.res.NetworkIs = "loopback"
		return nil
	case kind == NetworkProxies, kind == NetworkAuto && (runtime.GOOS != "linux" || os.Getuid() != 0):
		b.network = network.NewProxies(b.Servers)
	case kind == NetworkAuto, kind == NetworkNamespaces:
		s, err := network.NewSwitch(b.Servers)
		if s != nil {
			b.network = s
		}
		if err != nil && kind == NetworkAuto {
			_ = b.network.Close()
			b.network, err = network.NewProxies(b.Servers), nil
		}
		if err != nil {
			return err
		}
	default:
		return fmt.Errorf("campaign: there is no network %q: auto, namespaces, proxies or none", kind)
	}
	b.res.NetworkIs = b.network.Kind()
	return nil
}

// close ends everything.
func (b *bench) close(keep bool) error {
	var all []error
	if b.cluster != nil {
		b.cluster.Close()
	}
	if b.network != nil {
		all = append(all, b.network.Close())
	}
	all = append(all, b.unmount(keep))
	return errors.Join(all...)
}
