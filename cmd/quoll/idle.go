package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"quoll/cmd/internal/idle"
)

// idleCmd opens sessions that do nothing but ping, prints "ready" when all are there, and closes
// them when its standard input ends.
type idleCmd struct {
	Servers  []string      `required:"" placeholder:"HOST:PORT" help:"Servers; the sessions are spread over them."`
	Sessions int           `default:"1000" help:"How many."`
	Timeout  time.Duration `default:"30s" help:"Time-out of the sessions; each pings three times in it."`
}

// Run performs the command.
func (m *idleCmd) Run(c *console) error {
	ctx, cancel := context.WithCancelCause(c.ctx)
	defer cancel(nil)
	crowd := &idle.Crowd{Timeout: m.Timeout, Lose: cancel}
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
