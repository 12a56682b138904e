package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/status"

	"quoll/cmd/internal/measure"
)

const (
	// patience bounds one request: a server that takes longer counts as failing.
	patience = 10 * time.Second
	// drainTime is how long a run waits after its window for operations that were due in it.
	drainTime = 10 * time.Second
	// prefix is of all keys of all runs, which remove them.
	prefix = "/quoll-bench/"
)

// loader is a run.
type loader struct {
	*options
	clients []*clientv3.Client
	keys    []string
	value   string
	clock   measure.Stopwatch
}

// load performs a run.
func load(ctx context.Context, o *options) (*measure.Report, error) {
	l := &loader{options: o, value: strings.Repeat("q", o.size)}
	for i := range o.keys {
		l.keys = append(l.keys, prefix+"k"+strconv.Itoa(i))
	}
	defer func() {
		for _, c := range l.clients {
			_ = c.Close() // the run is over: what a connection has to say at its end changes nothing
		}
	}()
	for i := range o.conns {
		c, err := clientv3.New(clientv3.Config{Endpoints: []string{o.endpoints[i%len(o.endpoints)]}, DialTimeout: patience})
		if err != nil {
			return nil, fmt.Errorf("connect to %s: %w", o.endpoints[i%len(o.endpoints)], err)
		}
		l.clients = append(l.clients, c)
	}
	if err := l.prepare(ctx); err != nil {
		return nil, fmt.Errorf("put the keys of the run: %w", err)
	}
	report := l.measure(ctx)
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	leave, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err := l.clients[0].Delete(leave, prefix, clientv3.WithPrefix()); err != nil {
		return nil, fmt.Errorf("delete the keys of the run below %s: %w", prefix, err)
	}
	return report, nil
}

// prepare puts every key, and by the way makes every client connect.
func (l *loader) prepare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	failed := make([]error, len(l.clients))
	var wg sync.WaitGroup
	for i, c := range l.clients {
		wg.Go(func() {
			for k := i; k < len(l.keys) && failed[i] == nil; k += len(l.clients) {
				_, failed[i] = c.Put(ctx, l.keys[k], l.value)
			}
			if failed[i] == nil {
				_, failed[i] = c.Get(ctx, l.keys[0])
			}
		})
	}
	wg.Wait()
	return errors.Join(failed...)
}

// measure puts the load on.
func (l *loader) measure(ctx context.Context) *measure.Report {
	recorders := make([]*measure.Recorder, min(l.conns, measure.MaxRecorders))
	for i := range recorders {
		recorders[i] = measure.NewRecorder(l.warmup, l.warmup+l.duration)
	}
	l.clock = measure.StartWatch()
	cpu := measure.StartCPU()
	var wg sync.WaitGroup
	for i, c := range l.clients {
		pace := newPace(l.options, i)
		for slot := range l.inflight {
			s := &slotRun{
				loader: l, client: c, pace: pace, record: recorders[i%len(recorders)],
				rng: rand.New(rand.NewPCG(uint64(i), uint64(slot))),
			}
			wg.Go(func() { s.run(ctx) })
		}
	}
	wg.Wait()
	cores := cpu.Cores()
	for _, r := range recorders[1:] {
		recorders[0].Merge(r)
	}
	return measure.NewReport(measure.Setup{
		Servers: l.endpoints, Mix: l.mixText, Conns: l.conns, Inflight: l.inflight, Size: l.size, Keys: len(l.keys),
		Rate: l.rate, Warmup: l.warmup, Cores: cores,
	}, recorders[0])
}

// pace hands out when operations of one connection are due.
type pace struct {
	every time.Duration // 0: a closed loop, in which an operation is due when there is a slot for it
	stop  time.Duration // nothing is due from here on

	mu   sync.Mutex
	next time.Duration
}

func newPace(o *options, conn int) *pace {
	p := &pace{stop: o.warmup + o.duration}
	if o.rate > 0 {
		p.every = time.Duration(float64(o.conns) / o.rate * float64(time.Second))
		p.next = p.every * time.Duration(conn) / time.Duration(o.conns)
	}
	return p
}

// take returns when the next operation is due, which may be in the future; false: there is none.
func (p *pace) take(now time.Duration) (due time.Duration, ok bool) {
	if p.every == 0 {
		return now, now < p.stop
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	due = p.next
	if due >= p.stop {
		return 0, false
	}
	p.next += p.every
	return due, true
}

// slotRun is one of the requests that a connection may have in flight.
type slotRun struct {
	*loader
	client *clientv3.Client
	pace   *pace
	record *measure.Recorder
	rng    *rand.Rand
}

// run does one operation after another, until none is due any more.
func (s *slotRun) run(ctx context.Context) {
	for ctx.Err() == nil {
		now := s.clock.Now()
		due, ok := s.pace.take(now)
		switch {
		case !ok:
			return
		case now >= s.pace.stop+drainTime:
			s.record.Skip(1)
			continue
		case due > now:
			time.Sleep(due - now)
		}
		kind := s.mix.Pick(s.rng)
		err := s.perform(ctx, kind, s.keys[s.rng.IntN(len(s.keys))])
		if err != nil {
			s.record.Fail(kind, due, reason(err))
			continue
		}
		s.record.Ack(kind, due, s.clock.Now())
	}
}

func (s *slotRun) perform(ctx context.Context, kind measure.Kind, key string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var err error
	switch kind {
	case measure.Set:
		_, err = s.client.Put(ctx, key, s.value)
	case measure.Get:
		_, err = s.client.Get(ctx, key, clientv3.WithSerializable())
	case measure.SyncGet:
		_, err = s.client.Get(ctx, key)
	default:
		panic(fmt.Sprintf("etcdload: %v is not measured", kind)) // parse refuses it
	}
	return err
}

// reason names an error shortly, for the report's table.
func reason(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "Timeout"
	}
	return status.Code(err).String()
}
