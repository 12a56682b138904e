package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"quoll/cmd/internal/measure"
	"quoll/cmd/internal/table"
	"quoll/jepsen/cluster"
)

// side is one of the systems that speak ZooKeeper's protocol, with its servers.
type side struct {
	name table.System
	*cluster.Cluster
	littered bool // told that znodes of a run stay
}

// start starts the servers of all sides and waits until they serve.
func (r *comparing) start(s stage) error {
	r.progress("stage %s: starting servers", s.name)
	commands := map[table.System]func(string) []string{table.Quoll: cluster.Quoll(r.self)}
	if r.Profile != "" {
		commands[table.Quoll] = cluster.Quoll(r.self, "--profile", r.Profile)
	}
	if r.ZooKeeper != "" {
		commands[table.ZooKeeper] = cluster.ZooKeeper(r.ZooKeeper)
	}
	for _, name := range []table.System{table.ZooKeeper, table.Quoll} {
		if commands[name] == nil {
			continue
		}
		home := filepath.Join(r.dir, s.name, string(name))
		if err := os.MkdirAll(home, 0o755); err != nil {
			return err
		}
		started, err := cluster.Start(cluster.Options{Dir: home, Size: r.Servers, Command: commands[name]})
		r.sides = append(r.sides, &side{name: name, Cluster: started})
		if err != nil {
			return err
		}
	}
	if s.etcd && r.Etcd != "" {
		var err error
		if r.etcd, err = startEtcd(r.c.ctx, r.Etcd, r.EtcdLoad, filepath.Join(r.dir, s.name, string(table.Etcd)), r.Servers); err != nil {
			return err
		}
	}
	for _, side := range r.sides {
		if err := side.awaitServing(r.c.ctx); err != nil {
			return err
		}
	}
	return nil
}

// close ends all servers of the stage.
func (r *comparing) close() {
	for _, s := range r.sides {
		s.Close()
	}
	r.sides, r.profiles = nil, 0
	if r.etcd != nil {
		r.etcd.close()
		r.etcd = nil
	}
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

// warm runs all sides until their code is compiled and their caches are filled.
func (r *comparing) warm() error {
	for _, s := range r.sides {
		for _, mix := range []string{"set=50,get=50", "create+delete=100"} {
			if _, err := r.bench(s, benchCmd{Mix: mix, Conns: 16, Inflight: 32, Size: 100, Keys: 1000, Duration: 2 * r.Warmup}); err != nil {
				return err
			}
		}
	}
	return nil
}

// bench performs one run against one side.
func (r *comparing) bench(s *side, b benchCmd) (*measure.Report, error) {
	b.Timeout, b.Seed = 10*time.Second, 1
	if b.Servers == nil {
		b.Servers = s.Servers()
	}
	if b.Duration == 0 {
		b.Duration, b.Warmup = r.Duration, r.Warmup
	}
	r.quiet()
	defer r.profile(s, &b)()
	report, left, err := b.measure(r.c.ctx)
	if left != nil && !s.littered {
		s.littered = true
		r.progress("%s: %v; this is told of the first run only", s.name, left)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	return report, nil
}

// profile has the servers of Quoll profile a run, if that was asked for, until done is called.
func (r *comparing) profile(s *side, b *benchCmd) (done func()) {
	if r.Profile == "" || s.name != table.Quoll || b.Gap {
		return func() {}
	}
	toggle := func() {
		for i := range s.Size() {
			s.Profile(i)
		}
	}
	r.profiles++
	r.progress("profile %d of each server: %s, %d x %d", r.profiles, b.Mix, b.Conns, b.Inflight)
	toggle()
	return func() {
		toggle()
		_ = r.pause(time.Second) // it takes a moment to be written, and such servers are killed
	}
}

// follower returns a server that does not lead, or the only one.
func (s *side) follower(ctx context.Context) (int, error) {
	leader, err := s.Leader(ctx)
	return (leader + 1) % s.Size(), err
}

// resident returns the resident memory of the average server.
func (s *side) resident() (float64, error) {
	sum := int64(0)
	for i := range s.Size() {
		n, err := s.Resident(i)
		if err != nil {
			return 0, fmt.Errorf("%s: memory of server %d: %w", s.name, i+1, err)
		}
		sum += n
	}
	return float64(sum) / float64(s.Size()), nil
}

// median returns that of several values; the higher of two.
func median(values []float64) float64 {
	values = slices.Sorted(slices.Values(values))
	return values[len(values)/2]
}
