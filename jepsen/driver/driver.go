package driver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"quoll/jepsen/history"
	"quoll/jepsen/workload"
)

// Options say who asks for what.
type Options struct {
	Servers  []string // host:port; the server with the id i+1 is at i
	Workload string   // of workload.Names
	Clients  int
	Rate     float64 // requests per second of all clients together; 0: as fast as the workload thinks
	Pipeline int     // requests of a client that may be open; 0: 8
	// Absent is how many clients, the last ones, now and then cut their connection without a word and stay away for
	// longer than their session lasts, which is a quarter of those of the others.
	Absent  int
	Session time.Duration // timeout that clients ask for; 0: 6 s
	For     time.Duration // then nothing new is asked for
	Seed    uint64        // of the workload and the choice of servers

	Dialer net.Dialer
}

// Fault is what a server did that no answer can be: it is a violation by itself.
type Fault struct {
	At     history.Moment
	Client int
	Text   string
}

// Outcome is what came of a run.
type Outcome struct {
	History *history.History
	Began   time.Time // the wall clock at moment 0
	Faults  []Fault
	Due     map[int]int64 // when operations were due, in µs, that left later: by index in History.Ops
	Late    int           // requests that left late: the pipeline was full, or there was no connection
	Unsent  int           // requests that were due and never left
}

// Progress is how far a run has come.
type Progress struct {
	Elapsed              time.Duration
	OK, Failed, Unknown  int // outcomes so far; failed: a code other than OK
	Connected, Clients   int
	LastAcknowledged     time.Duration // how long ago some request was answered
	AcknowledgedInSecond int           // answers in the second before
}

// Run is a run under way: its recorder and its clients share one lock, for a history is one order.
type Run struct {
	opts  Options
	began time.Time

	mu      sync.Mutex
	record  history.Recorder
	faults  []Fault
	due     map[int]int64
	late    int
	unsent  int
	clients []*client

	ok, failed, unknown int
	recent              []int64 // times of answers in the last second, µs
}

const (
	defaultPipeline = 8
	defaultSession  = 6 * time.Second
)

// Start starts the clients. They work until the time of opts is over or ctx ends; Wait ends the run.
func Start(ctx context.Context, opts Options) (*Run, error) {
	if opts.Pipeline == 0 {
		opts.Pipeline = defaultPipeline
	}
	if opts.Session == 0 {
		opts.Session = defaultSession
	}
	if len(opts.Servers) == 0 || opts.Clients < 1 || opts.For <= 0 || opts.Absent > opts.Clients {
		return nil, errors.New("driver: want servers, clients and a time")
	}
	r := &Run{opts: opts, began: time.Now(), due: map[int]int64{}}
	r.record.Now = func() int64 { return time.Since(r.began).Microseconds() }
	const endless = 1 << 40 // operations: the time ends a run
	gens := workload.Sized(opts.Workload, opts.Clients, endless, rand.New(rand.NewPCG(opts.Seed, 7)))
	for i, g := range gens {
		c := newClient(r, i, g)
		c.absent.wanted = i >= opts.Clients-opts.Absent
		r.clients = append(r.clients, c)
	}
	for _, c := range r.clients {
		c.done.Add(1)
		go c.live(ctx)
	}
	return r, nil
}

// Wait waits for the clients, who give what is open some time to be answered, and returns the outcome. A
// survey of the servers may be added to it before, by Survey.
func (r *Run) Wait() {
	for _, c := range r.clients {
		c.done.Wait()
	}
}

// Outcome ends the history.
func (r *Run) Outcome() *Outcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.record.End = r.record.Moment()
	return &Outcome{History: &r.record.History, Began: r.began, Faults: r.faults, Due: r.due, Late: r.late, Unsent: r.unsent}
}

// Progress tells how far the run is.
func (r *Run) Progress() Progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := Progress{Elapsed: time.Since(r.began), OK: r.ok, Failed: r.failed, Unknown: r.unknown, Clients: len(r.clients)}
	for _, c := range r.clients {
		if c.joined {
			p.Connected++
		}
	}
	now := r.record.Now()
	r.forget(now)
	p.AcknowledgedInSecond = len(r.recent)
	p.LastAcknowledged = p.Elapsed
	if n := len(r.recent); n > 0 {
		p.LastAcknowledged = time.Duration(now-r.recent[n-1]) * time.Microsecond
	}
	return p
}

// forget drops the answers that are older than a second.
func (r *Run) forget(now int64) {
	n := 0
	for n < len(r.recent) && r.recent[n] < now-time.Second.Microseconds() {
		n++
	}
	r.recent = append(r.recent[:0], r.recent[n:]...)
}

// fault notes what a server did. The caller holds mu.
func (r *Run) fault(client int, format string, args ...any) {
	r.faults = append(r.faults, Fault{At: r.record.Moment(), Client: client, Text: fmt.Sprintf(format, args...)})
}
