// Command etcdload puts on etcd, through etcd's own client, the load that `quoll bench` puts on
// servers of ZooKeeper's protocol, and reports it in the same form: the two can be put side by side.
//
// A connection is a client with one server as its endpoint; a request in flight is a goroutine,
// which is how etcd's client is used. The kinds of operation are those of `quoll bench`, as far as etcd has
// them: set is a put to one of the keys, get a serializable read (from the server that the client is
// connected to, as ZooKeeper's reads are), syncget a linearizable one.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"quoll/cmd/internal/measure"
)

// options are the command line.
type options struct {
	endpoints []string
	mix       measure.Mix
	mixText   string
	conns     int
	inflight  int
	size      int
	keys      int
	duration  time.Duration
	warmup    time.Duration
	rate      float64
	asJSON    bool
	null      bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "etcdload:", err)
		os.Exit(1)
	}
}

// run does what args say.
func run(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if o.null {
		return serveNull(ctx, o, in, out)
	}
	report, err := load(ctx, o)
	if err != nil {
		return err
	}
	report.Command = strings.Join(os.Args, " ")
	if o.asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(report)
	}
	_, err = io.WriteString(out, report.Text())
	return err
}

func parse(args []string) (*options, error) {
	o := new(options)
	f := flag.NewFlagSet("etcdload", flag.ContinueOnError)
	endpoints := f.String("endpoints", "127.0.0.1:2379", "servers, host:port, separated by commas; the connections are spread over them")
	f.StringVar(&o.mixText, "mix", "set=100", "what to do: set get syncget, each with a weight")
	f.IntVar(&o.conns, "conns", 16, "connections, a client each")
	f.IntVar(&o.inflight, "inflight", 32, "requests in flight on each")
	f.IntVar(&o.size, "size", 100, "bytes in a value")
	f.IntVar(&o.keys, "keys", 1000, "keys to read and write")
	f.DurationVar(&o.duration, "duration", 10*time.Second, "how long to measure")
	f.DurationVar(&o.warmup, "warmup", 2*time.Second, "how long to run before that")
	f.Float64Var(&o.rate, "rate", 0, "open loop: start so many operations a second; 0: closed loop")
	f.BoolVar(&o.asJSON, "json", false, "print the report as JSON")
	f.BoolVar(&o.null, "null", false, "serve, without doing anything, what this program asks for, and print where")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("%q is no option; see --help", f.Arg(0))
	}
	o.endpoints = strings.Split(*endpoints, ",")
	if o.conns < 1 || o.inflight < 1 || o.keys < 1 || o.size < 0 || o.duration <= 0 || o.warmup < 0 || o.rate < 0 {
		return nil, errors.New("--conns, --inflight, --keys and --duration: want more than 0; --size, --warmup and --rate: not less")
	}
	var err error
	if o.mix, err = measure.ParseMix(o.mixText); err != nil {
		return nil, err
	}
	for _, w := range o.mix {
		if w.Kind != measure.Set && w.Kind != measure.Get && w.Kind != measure.SyncGet {
			return nil, fmt.Errorf("--mix: %v is nothing that is measured on etcd; there are set get syncget", w.Kind)
		}
	}
	return o, nil
}
