package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"quoll"
	"quoll/cmd/internal/measure"
	"quoll/cmd/internal/table"
)

// settleTime is for memory to come to rest: what a start or a login leaves behind.
const settleTime = 2 * time.Second

// pause waits, unless the user interrupts.
func (r *comparing) pause(d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-r.c.ctx.Done():
		return context.Cause(r.c.ctx)
	}
}

// empty measures servers that have just started.
func (r *comparing) empty() error {
	if err := r.pause(settleTime); err != nil {
		return err
	}
	for _, s := range r.sides {
		n, err := s.resident()
		if err != nil {
			return err
		}
		r.result.Set("empty", s.name, n/1e6)
	}
	return nil
}

// idlePerProcess bounds the sessions that one process opens, by what a descriptor table of common
// size has room for.
const idlePerProcess = 5000

// idle measures what sessions cost that only ping: by how much the memory of all servers together
// grows, since every server knows every session and one has its connection.
func (r *comparing) idle() error {
	if !r.wants("idle") {
		return nil
	}
	for _, s := range r.sides {
		before, err := s.resident()
		if err != nil {
			return err
		}
		crowd, err := r.crowd(s, r.Idle)
		if err == nil {
			err = r.pause(r.idleTime())
		}
		var after float64
		if err == nil {
			after, err = s.resident()
		}
		if err = errors.Join(err, crowd.leave()); err != nil {
			return fmt.Errorf("row idle: %s: %w", s.name, err)
		}
		r.result.Set("idle", s.name, (after-before)*float64(s.Size())/float64(r.Idle)/1e3)
	}
	r.result.Note("idle", "by how much the RSS of all %d servers together grows with %d sessions, for each of them", r.Servers, r.Idle)
	return nil
}

// idleTime lets every session ping at least twice.
func (r *comparing) idleTime() time.Duration {
	if r.Quick {
		return settleTime
	}
	return 25 * time.Second
}

// crowds are the processes that hold idle sessions.
type crowds []*idleProcess

type idleProcess struct {
	cmd  *exec.Cmd
	in   io.Closer
	out  *bufio.Reader
	said bytes.Buffer
}

// crowd opens n sessions and waits until all are there. args are more of the command idle.
func (r *comparing) crowd(s *side, n int, args ...string) (all crowds, err error) {
	for left := n; left > 0; left -= idlePerProcess {
		line := []string{"idle", "--servers=" + strings.Join(s.Servers(), ","), "--sessions=" + strconv.Itoa(min(left, idlePerProcess))}
		p := &idleProcess{cmd: exec.Command(r.self, append(line, args...)...)}
		p.cmd.Stderr = &p.said
		in, err := p.cmd.StdinPipe()
		if err != nil {
			return all, err
		}
		out, err := p.cmd.StdoutPipe()
		if err != nil {
			return all, err
		}
		if err = p.cmd.Start(); err != nil {
			return all, fmt.Errorf("start the sessions: %w", err)
		}
		p.in, p.out = in, bufio.NewReader(out)
		all = append(all, p)
	}
	return all, all.await("open its sessions")
}

// await waits for a word of every process.
func (w crowds) await(what string) error {
	for i, p := range w {
		if _, err := p.out.ReadString('\n'); err != nil {
			return fmt.Errorf("process %d of %d did not %s", i+1, len(w), what)
		}
	}
	return nil
}

// kill ends all processes as a machine that dies does: their sessions end when they expire.
func (w crowds) kill() {
	for _, p := range w {
		_ = p.cmd.Process.Kill() // it may have ended
		_ = p.cmd.Wait()         // by our hand
	}
}

// leave closes all sessions. Its error has what went wrong in a process meanwhile.
func (w crowds) leave() (err error) {
	for _, p := range w {
		_ = p.in.Close() // the process may have ended; Wait tells
	}
	for _, p := range w {
		if failed := p.cmd.Wait(); failed != nil {
			err = errors.Join(err, fmt.Errorf("idle sessions: %w: %s", failed, p.said.String()))
		}
	}
	return err
}

// fillBench creates znodes as fast as it goes.
func (r *comparing) fillBench() benchCmd {
	return benchCmd{Fill: r.Fill, Conns: 16, Inflight: 64, Size: 100, Duration: time.Second, Mix: "create=100", Keys: 1}
}

// fills fills all ensembles, for the rows of this stage that need it, and measures what that takes.
func (r *comparing) fills() error {
	if err := r.warm(); err != nil {
		return err
	}
	for _, s := range r.sides {
		if err := r.fill(s); err != nil {
			return fmt.Errorf("row fill: %w", err)
		}
	}
	r.result.Note("fill", "%d znodes of 100 bytes", r.Fill)
	r.result.Note("rss", "by how much the RSS of the average server grew in the fill, for each of %d znodes; the servers had been warmed up", r.Fill)
	return nil
}

func (r *comparing) fill(s *side) error {
	java := s.name == table.ZooKeeper && r.wants("heap")
	liveBefore := 0.0
	if java {
		liveBefore = r.javaHeap(s)
	}
	before, err := s.resident()
	if err != nil {
		return err
	}
	report, err := r.bench(s, r.fillBench())
	if err != nil {
		return err
	}
	r.run("fill", s.name, report)
	after, err := s.resident()
	if err != nil {
		return err
	}
	r.result.Set("fill", s.name, report.Total.Rate)
	r.result.Set("rss", s.name, (after-before)/float64(r.Fill))
	if java && liveBefore > 0 {
		if live := r.javaHeap(s); live > liveBefore {
			r.result.Set("heap", s.name, (live-liveBefore)/float64(r.Fill))
		}
	}
	return nil
}

// javaHeap returns the live bytes of a JVM, which a class histogram collects garbage for; 0: there
// is no jcmd to ask it with, which comes with a JDK only.
func (r *comparing) javaHeap(s *side) float64 {
	out, err := exec.CommandContext(r.c.ctx, "jcmd", strconv.Itoa(s.Pid(0)), "GC.class_histogram").Output()
	if err != nil {
		r.result.Note("heap", "no figure of %s: jcmd: %v", s.name, err)
		return 0
	}
	bytes, ok := histogramTotal(string(out))
	if !ok {
		r.result.Note("heap", "no figure of %s: the answer of jcmd has no total", s.name)
	}
	return bytes
}

// histogramTotal reads the last line of a class histogram: Total, instances, bytes.
func histogramTotal(text string) (bytes float64, ok bool) {
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "Total" {
			n, err := strconv.ParseFloat(fields[2], 64)
			return n, err == nil
		}
	}
	return 0, false
}

// heap measures what is reachable of a Quoll server's heap, which nobody can ask a process: so it
// fills a server within this one. What the disk does is of no importance for it.
func (r *comparing) heap() error {
	if !r.wants("heap") {
		return nil
	}
	server, err := quoll.Start(r.c.ctx, quoll.Config{
		DataDir: filepath.Join(r.dir, "heap"), ClientAddress: "127.0.0.1:0", NoSync: true, MaxClientCnxns: -1,
	})
	if err != nil {
		return fmt.Errorf("row heap: %w", err)
	}
	err = r.fillWithin(server)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.c.ctx), shutdownTimeout)
	defer cancel()
	if err = errors.Join(err, server.Shutdown(ctx)); err != nil {
		return fmt.Errorf("row heap: %w", err)
	}
	r.result.Note("heap", "Quoll's is of a server within the process that measures (runtime.MemStats.HeapAlloc after a collection, "+
		"so much more after %d znodes than before), ZooKeeper's of a class histogram by jcmd", r.Fill)
	return nil
}

// fillWithin fills a server of this process and sets the figure.
func (r *comparing) fillWithin(server *quoll.Server) error {
	if err := server.AwaitServing(r.c.ctx); err != nil {
		return err
	}
	before := liveHeap()
	b := r.fillBench()
	b.Servers, b.Timeout, b.Seed = []string{server.ClientAddr()}, servingPatience, 1
	if _, _, err := b.measure(r.c.ctx); err != nil {
		return err
	}
	r.result.Set("heap", table.Quoll, (liveHeap()-before)/float64(r.Fill))
	return nil
}

// liveHeap returns the bytes that are reachable. The second collection is for what finalizers of
// the first let go.
func liveHeap() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// restarts stops a follower that has all znodes and measures how long it takes from its start
// until it serves.
func (r *comparing) restarts() error {
	if !r.wants("restart") {
		return nil
	}
	for _, s := range r.sides {
		var took []float64
		for range r.Repeat {
			victim, err := s.follower(r.c.ctx)
			if err != nil {
				return fmt.Errorf("row restart: %s: %w", s.name, err)
			}
			s.Stop(victim)
			watch := measure.StartWatch()
			if err = s.Restart(victim); err != nil {
				return fmt.Errorf("row restart: %s: %w", s.name, err)
			}
			if err = s.awaitServing(r.c.ctx); err != nil {
				return fmt.Errorf("row restart: %w", err)
			}
			took = append(took, watch.Now().Seconds())
		}
		r.result.Set("restart", s.name, median(took))
	}
	return nil
}
