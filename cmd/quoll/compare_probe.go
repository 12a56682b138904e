package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"quoll/cmd/internal/measure"
	"quoll/cmd/internal/table"
	"quoll/transport/client"
	"quoll/transport/wire"
)

// probePause is what a probe waits between an answer and its next request: it is to find out how long
// others have to wait, not to be the load.
const probePause = time.Millisecond

// probes are small clients beside something large: on each server one that reads and one that writes,
// one request at a time.
type probes struct {
	setup   measure.Setup
	readers []*client.Client
	writers []*client.Client
	data    []byte
}

// largeRoot holds all znodes of the large things and of their probes.
const largeRoot = "/quoll-large"

func probePath(i int) string { return fmt.Sprintf("%s/probe-%d", largeRoot, i) }

// startProbes connects the probes and creates their znodes, one for each server.
func startProbes(ctx context.Context, servers []string) (p *probes, err error) {
	p = &probes{data: make([]byte, 100)}
	p.setup = measure.Setup{Servers: servers, Mix: "probes", Conns: 2 * len(servers), Inflight: 1, Size: len(p.data), Keys: len(servers)}
	for i, server := range servers {
		for _, to := range []*[]*client.Client{&p.readers, &p.writers} {
			s, err := client.Dial(ctx, client.Options{Servers: []string{server}, SessionTimeout: largePatience})
			if err != nil {
				return p, err
			}
			*to = append(*to, s)
		}
		if _, err := p.writers[i].Create(ctx, probePath(i), p.data, wire.OpenACL, wire.Persistent); err != nil {
			return p, err
		}
		if _, err := p.readers[i].Sync(ctx, largeRoot); err != nil {
			return p, err
		}
	}
	return p, nil
}

func (p *probes) close() {
	for _, s := range append(p.readers, p.writers...) {
		s.Abandon()
	}
}

// during lets the probes run while f does, and waits for the last of their answers: a request that was
// stuck to the end counts with all of its time.
func (p *probes) during(ctx context.Context, f func() error) (waits table.Waits, took time.Duration, err error) {
	rec, clock := measure.NewRecorder(0, 0), measure.StartWatch()
	var over atomic.Bool
	var running sync.WaitGroup
	probe := func(kind measure.Kind, once func() error) {
		running.Go(func() {
			for !over.Load() {
				due := clock.Now()
				if failed := once(); failed != nil {
					rec.Fail(kind, due, failed.Error())
				} else {
					rec.Ack(kind, due, clock.Now())
				}
				time.Sleep(probePause)
			}
		})
	}
	for i := range p.readers {
		probe(measure.Get, func() error {
			_, _, failed := p.readers[i].Data(ctx, probePath(i))
			return failed
		})
		probe(measure.Set, func() error {
			_, failed := p.writers[i].SetData(ctx, probePath(i), p.data, wire.AnyVersion)
			return failed
		})
	}
	err = f()
	took = clock.Now()
	over.Store(true)
	running.Wait()
	report := measure.NewReport(p.setup, rec)
	if failed := report.Total.Failed; failed > 0 && err == nil {
		err = fmt.Errorf("%d of %d probes failed: %v", failed, failed+report.Total.Acked, report.Errors)
	}
	return table.NewWaits(report), took, err
}
