package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"quoll/cmd/internal/measure"
	"quoll/transport/client"
	"quoll/transport/wire"
)

// benchCmd puts load on any servers that speak ZooKeeper's protocol.
type benchCmd struct {
	Servers  []string      `default:"127.0.0.1:2181" placeholder:"HOST:PORT" help:"Servers; the connections are spread over them."`
	Mix      string        `default:"set=100" placeholder:"OP=WEIGHT,..." help:"What to do: get set exists ls create create+delete sync syncget."`
	Conns    int           `default:"16" help:"Connections, a session each."`
	Inflight int           `default:"32" help:"Requests in flight on each."`
	Size     int           `default:"100" help:"Bytes of data in a znode."`
	Keys     int           `default:"1000" help:"Znodes to read and write."`
	Duration time.Duration `default:"10s" help:"How long to measure."`
	Warmup   time.Duration `default:"2s" help:"How long to run before that."`
	Rate     float64       `placeholder:"OPS" help:"Open loop: start so many operations a second, whatever the answers do, and count latency from when each was due."`
	Timeout  time.Duration `default:"10s" help:"Time-out of the sessions."`
	JSON     string        `name:"json" placeholder:"FILE" help:"Write the report as JSON too; - is standard output, without the text."`
	Fill     int           `placeholder:"N" help:"Create N znodes as fast as it goes, leave them there, and report that."`
	Gap      bool          `help:"One writer, one write at a time, that goes on when servers die: how long is nothing acknowledged?"`
	Keep     bool          `help:"Leave the znodes of the run."`
	Seed     uint64        `default:"1" help:"Of the choice of operations and znodes."`
}

// maxInflight keeps a closed loop clear of the client's own bound.
const maxInflight = 32768

// Validate is called by the command line's parser.
func (b *benchCmd) Validate() error {
	switch {
	case b.Conns < 1 || b.Inflight < 1 || b.Inflight > maxInflight:
		return fmt.Errorf("--conns=%d --inflight=%d: want at least 1 of each, and at most %d in flight", b.Conns, b.Inflight, maxInflight)
	case b.Size < 0 || b.Size > wire.MaxFrame-1024:
		return fmt.Errorf("--size=%d: want 0 to %d", b.Size, wire.MaxFrame-1024)
	case b.Keys < 1:
		return fmt.Errorf("--keys=%d: want at least 1", b.Keys)
	case b.Duration <= 0 || b.Warmup < 0:
		return fmt.Errorf("--duration=%v --warmup=%v: want a time to measure", b.Duration, b.Warmup)
	case b.Rate < 0 || b.Fill < 0:
		return errors.New("--rate and --fill: want positive numbers")
	case b.Fill > 0 && b.Gap || b.Rate > 0 && (b.Gap || b.Fill > 0):
		return errors.New("--fill, --gap and --rate exclude each other")
	}
	_, err := measure.ParseMix(b.Mix)
	return err
}

// benchRoot holds the znodes of all runs, each below a name of its own.
const benchRoot = "/quoll-bench"

// Run performs the command.
func (b *benchCmd) Run(c *console) error {
	report, left, err := b.measure(c.ctx)
	if left != nil {
		fmt.Fprintln(c.err, "quoll:", left)
	}
	if err != nil {
		return err
	}
	return b.print(c, report)
}

// measure performs the run and, unless it is to stay, removes what it made. left tells of znodes
// that are still there against that intention: what was measured is as good as without them.
func (b *benchCmd) measure(ctx context.Context) (report *measure.Report, left, err error) {
	if b.Gap {
		b.Conns, b.Inflight, b.Warmup, b.Mix, b.Keys = 1, 1, 0, "set=100", 1
	}
	plan, err := b.plan()
	if err != nil {
		return nil, nil, err
	}
	admin, err := client.Dial(ctx, plan.options(0))
	if err != nil {
		return nil, nil, err
	}
	defer admin.Abandon()
	if err = plan.prepare(ctx, admin); err != nil {
		return nil, nil, fmt.Errorf("prepare %s: %w", plan.root, err)
	}
	report, err = plan.measure(ctx)
	if err == nil {
		report.Command = strings.Join(os.Args, " ")
	}
	// The znodes go even when the user has interrupted the run.
	ctx = context.WithoutCancel(ctx)
	if b.Fill == 0 && !b.Keep {
		if failed := deleteTree(ctx, admin, plan.root); failed != nil {
			return report, fmt.Errorf("%s and the znodes below it are still there: %w; "+
				"once the servers serve again, quoll delete --recursive removes them", plan.root, failed), err
		}
	}
	if closed := admin.Close(ctx); err == nil {
		err = closed
	}
	return report, nil, err
}

func (b *benchCmd) print(c *console, r *measure.Report) error {
	if b.JSON == "-" {
		return c.json(r)
	}
	if b.JSON != "" {
		var text bytes.Buffer
		if err := (&console{out: &text}).json(r); err != nil {
			return err
		}
		if err := os.WriteFile(b.JSON, text.Bytes(), 0o644); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	return c.printf("%s", r.Text())
}

// benchPlan is a run before it starts.
type benchPlan struct {
	*benchCmd
	mix   measure.Mix
	root  string
	keys  [][]byte
	data  []byte
	clock measure.Stopwatch
}

func (b *benchCmd) plan() (*benchPlan, error) {
	p := &benchPlan{benchCmd: b, data: bytes.Repeat([]byte("q"), b.Size), clock: measure.StartWatch()}
	p.root = benchRoot + "/" + strconv.FormatInt(p.clock.Start().UnixMilli(), 36)
	var err error
	if p.mix, err = measure.ParseMix(b.Mix); err != nil {
		return nil, err
	}
	if b.Fill > 0 {
		p.mix = measure.Mix{{Kind: measure.Create, Weight: 1}}
		return p, nil
	}
	for i := range b.Keys {
		p.keys = append(p.keys, fmt.Appendf(nil, "%s/k%d", p.root, i))
	}
	return p, nil
}

// options returns those of connection i. In a run that waits for servers to die, trying the next
// one must not be what takes the time.
func (p *benchPlan) options(i int) client.Options {
	servers := make([]string, 0, len(p.Servers))
	for j := range p.Servers {
		servers = append(servers, p.Servers[(i+j)%len(p.Servers)])
	}
	o := client.Options{Servers: servers, SessionTimeout: p.Timeout}
	if p.Gap {
		o.ConnectTimeout, o.RetryPause = 250*time.Millisecond, time.Millisecond
	}
	return o
}

// parent returns the znode that connection i creates below: one each, so that no list of children
// outgrows a frame too soon.
func (p *benchPlan) parent(i int) string { return p.root + "/c" + strconv.Itoa(i) }

// prepare creates the znodes that a run needs to be there.
func (p *benchPlan) prepare(ctx context.Context, s *client.Client) error {
	for _, path := range []string{benchRoot, p.root} {
		if _, err := s.Create(ctx, path, nil, nil, wire.Persistent); err != nil && !errors.Is(err, wire.NodeExists) {
			return err
		}
	}
	paths := slices.Clone(p.keys)
	for i := range p.Conns {
		paths = append(paths, []byte(p.parent(i)))
	}
	send := func(i int, done func(client.Reply)) {
		r := wire.CreateRequest{Path: paths[i], Data: p.data, ACL: wire.OpenACL}
		s.Do(wire.OpCreate, r.Append, done)
	}
	return pipelined(ctx, len(paths), pipelineWidth, send, func(_ int, r client.Reply) error { return r.Failure() })
}
