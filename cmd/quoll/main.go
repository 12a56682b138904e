package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

// cli is the command line; a field is a command.
type cli struct {
	Serve      serveCmd      `cmd:"" help:"Run a server from a zoo.cfg."`
	Dev        devCmd        `cmd:"" help:"Run an ensemble on this machine, ready in a second."`
	Ls         lsCmd         `cmd:"" help:"List the children of a znode."`
	Get        getCmd        `cmd:"" help:"Print the data of a znode."`
	Set        setCmd        `cmd:"" help:"Replace the data of a znode."`
	Create     createCmd     `cmd:"" help:"Create a znode and print its path."`
	Delete     deleteCmd     `cmd:"" help:"Delete a znode."`
	Stat       statCmd       `cmd:"" help:"Print what is known of a znode besides its data."`
	FourLetter fourLetterCmd `cmd:"" name:"4lw" help:"Ask a server a four-letter word, such as srvr."`
	Bench      benchCmd      `cmd:"" help:"Put load on servers and measure them."`
	Compare    compareCmd    `cmd:"" help:"Measure Quoll, Apache ZooKeeper and etcd side by side."`
	Null       nullCmd       `cmd:"" hidden:"" help:"Answer every request at once, from nothing: what does the load generator cost?"`
	Idle       idleCmd       `cmd:"" hidden:"" help:"Open sessions that only ping."`
	Sim        simCmd        `cmd:"" help:"Run simulated ensembles under faults and check all that they promise."`
	Jepsen     jepsenCmd     `cmd:"" help:"Test an ensemble of real processes: load, faults, and a judgement of what clients saw."`
	Version    versionCmd    `cmd:"" help:"Print the version of this program."`
}

// The exit codes.
const (
	exitFailure = 1
	exitUsage   = 2
)

// console is what a command may touch of the world around it.
type console struct {
	ctx context.Context // ends when the user interrupts
	in  io.Reader
	out io.Writer
	err io.Writer
}

func (c *console) printf(format string, args ...any) error {
	_, err := fmt.Fprintf(c.out, format, args...)
	return err
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(os.Args[1:], &console{ctx: ctx, in: os.Stdin, out: os.Stdout, err: os.Stderr})
	stop()
	os.Exit(code)
}

// exit is thrown by the parser when it has done the work itself, as for --help.
type exit int

// run does what args say and returns the exit code.
func run(args []string, c *console) (code int) {
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(exit)
			if !ok {
				panic(r)
			}
			code = int(e)
		}
	}()
	var commands cli
	parser, err := kong.New(&commands,
		kong.Name("quoll"),
		kong.Description("A coordination service that every ZooKeeper client can use, and its tools."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Writers(c.out, c.err),
		kong.Exit(func(code int) { panic(exit(code)) }),
		kong.Bind(c),
		variables(),
	)
	if err != nil {
		panic(err) // the struct tags above are wrong
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintln(c.err, "quoll:", err)
		fmt.Fprintln(c.err, "quoll: see quoll --help")
		return exitUsage
	}
	if err := parsed.Run(); err != nil {
		if c.ctx.Err() != nil && errors.Is(err, context.Canceled) {
			err = errors.New("interrupted")
		}
		fmt.Fprintln(c.err, "quoll:", err)
		return exitFailure
	}
	return 0
}

// versionCmd prints what the build recorded.
type versionCmd struct{}

// Run performs the command.
func (versionCmd) Run(c *console) error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return errors.New("this binary was built without its version")
	}
	from := commit()
	if from != unknownCommit {
		from = " " + from
	} else {
		from = ""
	}
	return c.printf("quoll %s%s %s\n", info.Main.Version, from, info.GoVersion)
}

// revision is the commit that the Makefile built this program from, with -modified if its tree had been
// changed. It is empty outside a checkout, and when go build was called by hand.
var revision string

// unknownCommit stands for one that nobody has recorded.
const unknownCommit = "unknown"

// commit names the source that this program was built from.
func commit() string {
	if hash, modified := strings.CutSuffix(revision, "-modified"); modified {
		return hash + ", with changes"
	}
	if revision != "" {
		return revision
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return unknownCommit
	}
	return stamped(info.Settings)
}

// stamped finds the commit in what the Go command has recorded of itself.
func stamped(settings []debug.BuildSetting) string {
	hash, changes := unknownCommit, ""
	for _, s := range settings {
		switch {
		case s.Key == "vcs.revision":
			hash = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			changes = ", with changes"
		}
	}
	return hash + changes
}

// variables are what the help texts of commands refer to.
func variables() kong.Vars { return kong.Vars{"compare_rows": strings.Join(rowNames(), " ")} }
