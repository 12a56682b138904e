package campaign

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"quoll/jepsen/nemesis"
)

// breaker is what breaks a target: a Nemesis, or the user's own commands.
type breaker struct {
	own     *nemesis.Nemesis
	command *commands
}

func (x *breaker) faultsSoFar() []nemesis.Fault {
	if x.own != nil {
		return x.own.Faults()
	}
	return x.command.faults()
}

// Names that stand for several kinds of fault.
const (
	All = "all" // every kind that can be done
	Few = "few" // a few of those, as the seed draws them
)

// few is how many kinds Few is.
const few = 3

// nemesis makes what the options ask for. Of "all", what cannot be done here is left out and noted; a
// kind that is asked for by name must be possible.
func (b *bench) nemesis() (*breaker, error) {
	if b.cluster == nil {
		return &breaker{command: &commands{start: b.Target.Break, stop: b.Target.Heal, patience: commandPatience, every: commandPause}}, nil
	}
	opts := nemesis.Options{
		Seed: b.Seed, Network: b.network, Every: 2 * time.Second, Hold: max(3*time.Second, b.Session),
		Launch: func(i int, prefix []string) { b.prefix[i] = prefix },
	}
	for _, name := range b.Nemesis {
		if name != All && name != Few {
			opts.Kinds = append(opts.Kinds, name)
			continue
		}
		names, missing := nemesis.Available(b.cluster, opts)
		for _, m := range missing {
			b.res.Skipped = append(b.res.Skipped, m.Kind+": "+m.Why)
		}
		if name == Few {
			names = drawn(names, b.Seed)
		}
		opts.Kinds = append(opts.Kinds, names...)
	}
	slices.Sort(opts.Kinds)
	opts.Kinds = slices.Compact(opts.Kinds)
	b.res.Kinds = opts.Kinds
	n, err := nemesis.New(b.cluster, opts)
	return &breaker{own: n}, err
}

// drawn picks a few names.
func drawn(names []string, seed uint64) []string {
	rnd := rand.New(rand.NewPCG(seed, 0xfe3))
	rnd.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	return names[:min(few, len(names))]
}

// Notes says of kinds of fault that were done what their names do not.
func (r *Result) Notes() (all []string) {
	if slices.ContainsFunc(r.Faults, func(f nemesis.Fault) bool { return f.Kind == "clock" && !f.Failed }) {
		all = append(all, "clock: a server was started again with its monotonic clock at an offset; no clock stepped while its server ran, "+
			"and that of the wall is the machine's")
	}
	return all
}

// NeverDone tells of the kinds of fault that were to be drawn from and that no server has suffered: a run says
// nothing about them.
func (r *Result) NeverDone() (all []string) {
	var undrawn []string
	for _, kind := range r.Kinds {
		tried, done, why := 0, false, ""
		for i := range r.Faults {
			f := &r.Faults[i]
			switch {
			case f.Kind != kind:
			case f.Failed:
				tried, why = tried+1, f.Err
			default:
				done = true
			}
		}
		switch {
		case done:
		case tried > 0:
			all = append(all, fmt.Sprintf("%s: tried %d times, %s", kind, tried, why))
		default:
			undrawn = append(undrawn, kind)
		}
	}
	if len(undrawn) > 0 {
		all = append(all, strings.Join(undrawn, ", ")+": not drawn in this time")
	}
	return all
}

func (b *bench) breakThings(ctx context.Context, x *breaker) error {
	if x.own == nil {
		return x.command.run(ctx)
	}
	return x.own.Run(ctx)
}

// commands is the nemesis of a target that is not ours: a command that breaks something, and one that heals
// it. It is asked for its faults while it runs.
type commands struct {
	start, stop string
	patience    time.Duration // for one command
	every       time.Duration

	mu  sync.Mutex
	all []nemesis.Fault
}

func (c *commands) faults() []nemesis.Fault {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.all)
}

const (
	commandPause    = 4 * time.Second
	commandPatience = 30 * time.Second
)

// run fails when what heals does not: nobody else can.
func (c *commands) run(ctx context.Context) error {
	for c.start != "" && pause(ctx, c.every) {
		f := nemesis.Fault{Kind: "command", Detail: c.start, From: time.Now()}
		c.mu.Lock()
		c.all = append(c.all, f)
		c.mu.Unlock()
		if err := c.shell(c.start); err != nil {
			f.Err = err.Error() // it may have broken something all the same
		}
		pause(ctx, c.every)
		err := c.shell(c.stop)
		f.To = time.Now()
		c.mu.Lock()
		c.all[len(c.all)-1] = f
		c.mu.Unlock()
		if err != nil {
			return err
		}
	}
	<-ctx.Done()
	return nil
}

// shell has a command done. It is not ended with the run, but when it takes too long: what it left half done would
// be nobody's fault.
func (c *commands) shell(command string) error {
	ctx, cancel := context.WithTimeout(context.Background(), c.patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.WaitDelay = time.Second // something of it may hold its output open
	out, err := cmd.CombinedOutput()
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%q took longer than %v", command, c.patience)
	case err != nil:
		return fmt.Errorf("%q: %w: %s", command, err, bytes.TrimSpace(out))
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
