package main

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"quoll/cmd/internal/idle"
)

// idleCmd opens sessions that do nothing but ping, prints "ready" when all are there, and closes
// them when its standard input ends. With a watch each of them has one on the same znode, and it prints
// "told" when all were told of a change.
type idleCmd struct {
	Servers  []string      `required:"" placeholder:"HOST:PORT" help:"Servers; the sessions are spread over them."`
	Sessions int           `default:"1000" help:"How many."`
	Watch    string        `placeholder:"PATH" help:"Znode that every session watches."`
	Timeout  time.Duration `default:"30s" help:"Time-out of the sessions; each pings three times in it."`
}

// Run performs the command.
func (m *idleCmd) Run(c *console) error {
	ctx, cancel := context.WithCancelCause(c.ctx)
	defer cancel(nil)
	crowd := &idle.Crowd{Timeout: m.Timeout, Watch: m.Watch, Lose: cancel}
	var told atomic.Int64
	crowd.Told = func() {
		if told.Add(1) == int64(m.Sessions) {
			_ = c.printf("told\n") // who does not listen any more has no need of it
		}
	}
	defer crowd.Drop()
	pinging, release := context.WithCancel(ctx)
	defer release()
	pinged := make(chan error, 1)
	go func() { pinged <- crowd.Ping(pinging) }()
	if err := crowd.Gather(ctx, m.Servers, m.Sessions); err != nil {
		return fmt.Errorf("open %d sessions, of which %d are there: %w; "+
			"each takes a file descriptor here and one on its server (ulimit -n)", m.Sessions, crowd.Len(), err)
	}
	if err := c.printf("ready\n"); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, c.in) // however it ends, it has ended
		release()
	}()
	switch err := <-pinged; {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return err
	default:
		return crowd.Leave()
	}
}
