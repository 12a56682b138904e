package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"quoll/jepsen/network"
)

// Target is an ensemble of processes that can be broken; cluster.Cluster is one. Servers are counted
// from 0.
type Target interface {
	Size() int
	Restart(server int) error
	Kill(server int)
	Stop(server int)
	Pause(server int)
	Resume(server int)
	Running(server int) bool
	Pid(server int) int
	DataDir(server int) string
	Leader(ctx context.Context) (int, error)
	AwaitServing(ctx context.Context) error
	Mode(ctx context.Context, server int) string
}

// Fault is what was done, on the clock of the wall.
type Fault struct {
	Kind    string    `json:"kind"`
	Servers []int     `json:"servers,omitempty"` // counted from 1, as their ids
	Detail  string    `json:"detail,omitempty"`
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Err     string    `json:"error,omitempty"`  // why it was not done, or not undone at once
	Failed  bool      `json:"failed,omitempty"` // it was not done
}

// Options say what may be done.
type Options struct {
	Kinds   []string // of Kinds; none: nothing is broken
	Seed    uint64
	Every   time.Duration // pause between faults, at most; 0: 3 s
	Hold    time.Duration // how long a fault lasts, at most; 0: 4 s
	Network network.Network
	// Launch changes how a server is started the next time: a prefix of its command. nil: it cannot be.
	Launch func(server int, prefix []string)
}

// Nemesis breaks a Target. It is for one goroutine, but Faults may be asked at any time.
type Nemesis struct {
	Options
	target  Target
	rnd     *rand.Rand
	flipped map[string]bool // snapshots

	mu     sync.Mutex
	faults []Fault
}

// New returns a Nemesis. It fails if a kind is not known, or cannot be done here.
func New(target Target, opts Options) (*Nemesis, error) {
	if opts.Every == 0 {
		opts.Every = 3 * time.Second
	}
	if opts.Hold == 0 {
		opts.Hold = 4 * time.Second
	}
	n := &Nemesis{Options: opts, target: target, rnd: rand.New(rand.NewPCG(opts.Seed, 0xbad))}
	for _, name := range opts.Kinds {
		k := find(name)
		if k == nil {
			return nil, fmt.Errorf("nemesis: there is no fault %q; there are %s", name, strings.Join(Names(), ", "))
		}
		if why := k.unavailable(n); why != "" {
			return nil, &UnavailableError{Kind: name, Why: why}
		}
	}
	return n, nil
}

// UnavailableError says that a kind of fault cannot be done here.
type UnavailableError struct{ Kind, Why string }

// Error implements error.
func (e *UnavailableError) Error() string { return "nemesis: " + e.Kind + ": " + e.Why }

// Faults returns what was done so far. One that lasts has no end yet.
func (n *Nemesis) Faults() []Fault {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.faults)
}

// patience is how long an ensemble may take to serve again after a fault that leaves no quorum, or
// before one that must find all serving.
const patience = 60 * time.Second

// NotServingError says that everything was made whole again and the ensemble still does not serve.
type NotServingError struct {
	After time.Duration // of waiting, at most
	Err   error
}

// Error implements error.
func (e *NotServingError) Error() string {
	return fmt.Sprintf("nemesis: the ensemble did not serve again within %v: %v", e.After, e.Err)
}

// Unwrap returns what is missing.
func (e *NotServingError) Unwrap() error { return e.Err }

// Run breaks things until ctx ends, then makes all whole again. It fails when that cannot be done, with a
// NotServingError when it was, and in vain.
func (n *Nemesis) Run(ctx context.Context) error {
	for n.sleep(ctx, n.between(n.Every/4, n.Every)) && len(n.Kinds) > 0 {
		k := find(n.Kinds[n.rnd.IntN(len(n.Kinds))])
		if k.heavy {
			n.alone(ctx, k)
			continue
		}
		second := find(n.Kinds[n.rnd.IntN(len(n.Kinds))])
		heal := n.do(ctx, k)
		if n.rnd.IntN(3) == 0 && second != k && !second.heavy {
			n.sleep(ctx, n.between(0, n.Hold/2))
			also := n.do(ctx, second)
			n.sleep(ctx, n.between(n.Hold/8, n.Hold))
			also()
		} else {
			n.sleep(ctx, n.between(n.Hold/8, n.Hold))
		}
		heal()
	}
	<-ctx.Done()
	return n.restore()
}

// restore makes everything whole.
func (n *Nemesis) restore() error {
	if n.Network != nil {
		n.Network.Heal()
	}
	var all []error
	for i := range n.target.Size() {
		n.target.Resume(i)
		all = append(all, n.start(i))
	}
	if err := errors.Join(all...); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := n.target.AwaitServing(ctx); err != nil {
		return &NotServingError{After: patience, Err: err}
	}
	return nil
}

func (n *Nemesis) start(server int) error {
	if n.target.Running(server) {
		return nil
	}
	return n.target.Restart(server)
}

// do begins a fault and returns what ends it.
func (n *Nemesis) do(ctx context.Context, k *kind) (heal func()) {
	a := &attack{Nemesis: n, ctx: ctx}
	n.mu.Lock()
	n.faults = append(n.faults, Fault{Kind: k.name, From: time.Now()})
	at := len(n.faults) - 1
	n.mu.Unlock()
	undo, err := k.begin(a)
	n.mu.Lock()
	f := &n.faults[at]
	f.Servers, f.Detail = a.victims, a.detail
	if err != nil {
		f.Err, f.Failed, f.To = err.Error(), true, time.Now()
	}
	n.mu.Unlock()
	return func() {
		if err != nil || undo == nil {
			undo = func() error { return nil }
		}
		failed := undo()
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.faults[at].To.IsZero() {
			n.faults[at].To = time.Now()
		}
		if failed != nil {
			n.faults[at].Err = failed.Error()
		}
	}
}

// alone does a fault that takes knowledge from a server: while all serve, and until all serve again.
func (n *Nemesis) alone(ctx context.Context, k *kind) {
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := n.allServe(waiting); err != nil {
		return // the time is over, or the ensemble is in trouble: whoever waits for its end will tell
	}
	heal := n.do(ctx, k)
	n.sleep(ctx, n.between(0, n.Hold/4))
	heal()
	again, cancel := context.WithTimeout(context.Background(), patience) // even if the time is over
	defer cancel()
	_ = n.allServe(again) // the same
}

// allServe waits until every server serves and one of them leads.
func (n *Nemesis) allServe(ctx context.Context) error {
	if err := n.target.AwaitServing(ctx); err != nil {
		return err
	}
	for {
		if _, err := n.target.Leader(ctx); err == nil {
			return nil
		}
		if !n.sleep(ctx, 20*time.Millisecond) {
			return context.Cause(ctx)
		}
	}
}

// sleep reports whether the time went by before ctx ended.
func (n *Nemesis) sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func (n *Nemesis) between(least, most time.Duration) time.Duration {
	return least + time.Duration(n.rnd.Int64N(int64(most-least)+1))
}

// attack is one fault as its kind sees it.
type attack struct {
	*Nemesis
	ctx     context.Context
	victims []int
	detail  string
}

// hit notes a victim.
func (a *attack) hit(server int) int {
	a.victims = append(a.victims, server+1)
	return server
}

func (a *attack) any() int { return a.hit(a.rnd.IntN(a.target.Size())) }

// leader returns the leader, else any server.
func (a *attack) leader() int {
	if l, err := a.target.Leader(a.ctx); err == nil {
		a.detail = "the leader"
		return a.hit(l)
	}
	return a.any()
}

// shuffled returns all servers in any order.
func (a *attack) shuffled() []int { return a.rnd.Perm(a.target.Size()) }
