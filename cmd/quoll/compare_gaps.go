package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"quoll/cmd/internal/table"
)

// gapAfter is when a server is killed in a run of gapRun. A gap over gapSuspect, in ms, is none
// that an election explains.
const (
	gapAfter   = 2 * time.Second
	gapRun     = 8 * time.Second
	gapSuspect = 3000
)

func (r *comparing) gaps() error {
	return errors.Join(r.gapRow("gap", leaderDies), r.gapRow("gap-follower", followerDies))
}

func (r *comparing) fullGaps() error { return r.gapRow("gap-full", leaderDies) }

// loss is a server that is killed, and those that the writer may talk to.
type loss func(ctx context.Context, s *side) (victim int, servers []string, err error)

// leaderDies lets the writer find another server, wherever it was.
func leaderDies(ctx context.Context, s *side) (int, []string, error) {
	leader, err := s.Leader(ctx)
	return leader, s.Servers(), err
}

// followerDies keeps the writer away from the one that dies.
func followerDies(ctx context.Context, s *side) (int, []string, error) {
	victim, err := s.follower(ctx)
	return victim, slices.Delete(s.Servers(), victim, victim+1), err
}

// gapRow kills a server under one writer that reconnects.
func (r *comparing) gapRow(row string, dies loss) error {
	if !r.wants(row) {
		return nil
	}
	if r.Servers < 3 {
		r.result.Note(row, "takes three servers at least")
		return nil
	}
	for _, s := range r.sides {
		var gaps []float64
		for range r.Repeat {
			gap, err := r.kill(row, s, dies)
			if err != nil {
				return fmt.Errorf("row %s: %w", row, err)
			}
			gaps = append(gaps, gap)
		}
		r.result.Set(row, s.name, median(gaps))
	}
	return nil
}

// kill kills a server under a writer, starts it again, and returns the gap.
func (r *comparing) kill(row string, s *side, dies loss) (float64, error) {
	victim, servers, err := dies(r.c.ctx, s)
	if err != nil {
		return 0, err
	}
	killed := make(chan struct{})
	kill := time.AfterFunc(gapAfter, func() {
		s.Kill(victim)
		close(killed)
	})
	report, err := r.bench(s, benchCmd{Gap: true, Servers: servers, Size: 100, Duration: gapRun})
	if !kill.Stop() {
		<-killed
	}
	if err != nil {
		return 0, err
	}
	r.run(row, s.name, report)
	if report.LongestGap > gapSuspect {
		r.keep = true
		r.progress("%s: nothing was acknowledged for %.0f ms when server %d was killed", s.name, report.LongestGap, victim+1)
	}
	if err := s.Restart(victim); err != nil {
		return 0, err
	}
	return report.LongestGap, s.awaitServing(r.c.ctx)
}

// lowest writes for long, so that snapshots come and go, into an ensemble that has something to
// put into them, and compares the worst second with the mean.
func (r *comparing) lowest() error {
	if !r.wants("lowest") {
		return nil
	}
	for _, s := range r.sides {
		watch := watchSnapshots(s.DataDir(0), s.name == table.ZooKeeper)
		report, err := r.bench(s, benchCmd{Mix: "set=100", Conns: 16, Inflight: 32, Size: 100, Keys: 1000, Duration: r.Long, Warmup: r.Warmup})
		made, failed := watch.end()
		if err = errors.Join(err, failed); err != nil {
			return fmt.Errorf("row lowest: %w", err)
		}
		r.run("lowest", s.name, report)
		if low := report.Total.LowestSecond; low != nil && report.Total.Rate > 0 {
			r.result.Set("lowest", s.name, 100*float64(*low)/report.Total.Rate)
		}
		r.result.Note("lowest", "%s began %d snapshots on server 1", s.name, made)
	}
	return nil
}

// snapshotWatch counts the snapshots that a server begins.
type snapshotWatch struct {
	stop chan struct{}
	done chan struct{}
	made int
	err  error
}

const (
	// snapshotPoll is how often is looked: more often than any server writes snapshots.
	snapshotPoll = 250 * time.Millisecond
	// keptSnapshots are left by a purge, as by ZooKeeper's own (autopurge.snapRetainCount).
	keptSnapshots = 3
)

// watchSnapshots begins to count those below a server's directory of data. purge: it also removes
// all but the newest. ZooKeeper's autopurge runs every hour at most, and until then one that
// writes a large snapshot every few seconds fills the disk, and with it everybody's page cache.
func watchSnapshots(data string, purge bool) *snapshotWatch {
	w := &snapshotWatch{stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(w.done)
		seen := map[string]bool{}
		w.look(data, seen, false)
		w.made = 0 // those were there before
		t := time.NewTicker(snapshotPoll)
		defer t.Stop()
		for w.err == nil {
			select {
			case <-w.stop:
				return
			case <-t.C:
				w.look(data, seen, purge)
			}
		}
	}()
	return w
}

// look counts the snapshots that are not yet seen.
func (w *snapshotWatch) look(data string, seen map[string]bool, purge bool) {
	all, err := snapshots(data)
	if err != nil {
		w.err = fmt.Errorf("look for snapshots: %w", err)
		return
	}
	for _, file := range all {
		if !seen[file] {
			seen[file] = true
			w.made++
		}
	}
	if !purge || len(all) <= keptSnapshots {
		return
	}
	for _, file := range all[:len(all)-keptSnapshots] {
		if err := os.Remove(file); err != nil {
			w.err = fmt.Errorf("remove an old snapshot: %w", err)
			return
		}
	}
}

// end stops the count and returns it.
func (w *snapshotWatch) end() (int, error) {
	close(w.stop)
	<-w.done
	return w.made, w.err
}

// snapshots returns the files of all snapshots below a directory, oldest first. Quoll and
// ZooKeeper both call them snapshot.ZXID, in hexadecimal.
func snapshots(data string) (all []string, err error) {
	err = filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a server removes files whenever it likes
		}
		if err == nil && strings.HasPrefix(d.Name(), "snapshot.") {
			all = append(all, path)
		}
		return err
	})
	// A shorter number without leading zeros is a smaller one.
	slices.SortFunc(all, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	return all, err
}
