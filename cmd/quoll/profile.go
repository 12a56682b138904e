package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"syscall"
)

// profiler writes profiles of this process, for go tool pprof: of the processor over a time, and at its end of
// what was allocated since the process began and what is still in use.
type profiler struct {
	dir string
	n   int
	cpu *os.File // of the profile under way

	signals chan os.Signal
}

// newProfiler listens to SIGUSR2, which would end the process else.
func newProfiler(dir string) *profiler {
	p := &profiler{dir: dir, signals: make(chan os.Signal, 8)} // ending one takes a moment, and the next may begin meanwhile
	signal.Notify(p.signals, syscall.SIGUSR2)
	return p
}

func (p *profiler) file(kind string) (*os.File, error) {
	return os.Create(filepath.Join(p.dir, fmt.Sprintf("quoll-%d-%d.%s.pprof", os.Getpid(), p.n, kind)))
}

// toggle begins a profile, or ends the one under way. It returns what it did.
func (p *profiler) toggle() (did string, err error) {
	if p.cpu == nil {
		return p.begin()
	}
	pprof.StopCPUProfile()
	name := p.cpu.Name()
	err = p.cpu.Close()
	p.cpu = nil
	f, failed := p.file("allocs")
	if err = errors.Join(err, failed); failed != nil {
		return "", err
	}
	return "ended, " + name + " and " + f.Name(), errors.Join(err, pprof.Lookup("allocs").WriteTo(f, 0), f.Close())
}

func (p *profiler) begin() (did string, err error) {
	p.n++
	f, err := p.file("cpu")
	if err != nil {
		return "", err
	}
	if err = pprof.StartCPUProfile(f); err != nil {
		return "", errors.Join(err, f.Close())
	}
	p.cpu = f
	return "begun, " + f.Name(), nil
}

// run toggles at each SIGUSR2. A profile under way when ctx ends is ended.
func (p *profiler) run(ctx context.Context, log *slog.Logger) {
	defer signal.Stop(p.signals)
	for ctx.Err() == nil || p.cpu != nil {
		select {
		case <-p.signals:
		case <-ctx.Done():
			if p.cpu == nil {
				return
			}
		}
		if did, err := p.toggle(); err != nil {
			log.Error("no profile", "err", err)
		} else {
			log.Info("profile", "what", did)
		}
	}
}
