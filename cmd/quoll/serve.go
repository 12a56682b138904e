package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"quoll"
)

// shutdownTimeout bounds a graceful end. What was acknowledged is on disk before it begins, so
// that giving up on it loses nothing.
const shutdownTimeout = 5 * time.Second

// logging is how a command that runs servers reports what happens to them.
type logging struct {
	LogLevel slog.Level `default:"${log_level=info}" help:"Least level to report: debug, info, warn or error."`
}

func (l logging) logger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: l.LogLevel}))
}

// serveCmd runs one server in the foreground. SIGTERM and SIGINT end it with exit code 0.
type serveCmd struct {
	Define []string `short:"D" sep:"none" placeholder:"NAME=VALUE" help:"A property, as -Dzookeeper.snapCount=5000 or -Djute.maxbuffer=4194304; zoo.cfg overrides most."`
	logging
	Profile string `type:"existingdir" placeholder:"DIR" help:"SIGUSR2 begins a profile of the processor there, and the next one ends it and adds one of allocations."`

	Config string `arg:"" type:"path" name:"zoo.cfg" help:"The configuration, as for Apache ZooKeeper."`
}

// Run performs the command.
func (s *serveCmd) Run(c *console) error {
	cfg, warnings, err := quoll.ReadConfig(s.Config, s.Define)
	for _, w := range warnings {
		fmt.Fprintln(c.err, "warning:", w)
	}
	if err != nil {
		return faults(c, err)
	}
	cfg.Logger = s.logger(c.err)
	manageMemory(cfg.Logger)
	if s.Profile != "" {
		ctx, cancel := context.WithCancel(c.ctx)
		p := newProfiler(s.Profile)
		var profiling sync.WaitGroup
		profiling.Go(func() { p.run(ctx, cfg.Logger) })
		defer func() {
			cancel()
			profiling.Wait()
		}()
	}
	server, err := quoll.Start(context.WithoutCancel(c.ctx), cfg)
	if err != nil {
		return faults(c, err)
	}
	cfg.Logger.Info("server started", "client_address", server.ClientAddr(), "data", cfg.DataDir)
	if server.AwaitServing(c.ctx) == nil {
		cfg.Logger.Info("clients are served", "address", server.ClientAddr())
	}
	return until(c, server)
}

// faults prints what is wrong with a configuration, one fault on a line, and returns the sum of
// them. Another error is returned as it is.
func faults(c *console, err error) error {
	if _, ok := errors.AsType[*quoll.ConfigError](err); !ok {
		return err
	}
	lines := strings.Split(err.Error(), "\n")
	for _, line := range lines {
		fmt.Fprintln(c.err, line)
	}
	if len(lines) == 1 {
		return errors.New("the configuration has a fault, nothing was started")
	}
	return fmt.Errorf("the configuration has %d faults, nothing was started", len(lines))
}

// until waits for the end of the command or of one of the servers, then ends them all.
func until(c *console, servers ...*quoll.Server) error {
	ended := make(chan *quoll.Server, len(servers))
	for _, s := range servers {
		go func() {
			<-s.Done()
			ended <- s
		}()
	}
	var failure error
	select {
	case <-c.ctx.Done():
	case s := <-ended:
		failure = fmt.Errorf("server on %s: %w", s.ClientAddr(), s.Err())
	}
	return errors.Join(failure, shutdown(servers))
}

// shutdown ends servers, all at once and within shutdownTimeout.
func shutdown(servers []*quoll.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	results := make(chan error, len(servers))
	for _, s := range servers {
		go func() { results <- s.Shutdown(ctx) }()
	}
	var failures []error
	for range servers {
		failures = append(failures, <-results)
	}
	return errors.Join(failures...)
}
