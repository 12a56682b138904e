package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"quoll/jepsen/network"
	"quoll/transport/client"
)

// Options say what to run. Command makes the command line of one server from its zoo.cfg.
type Options struct {
	Dir     string // gets a directory per server; must exist
	Size    int    // servers; one runs standalone
	Command func(zooCfg string) []string
	Extra   []string // lines for every zoo.cfg
	TickMs  int      // 0: 2000

	// Network is what lies between all of them; nil: the loopback interface, which nothing breaks.
	// Whoever gives it closes it, after the Cluster.
	Network network.Network
	// Prepare is called before each start of a server, with its directory of data; nil: nothing.
	Prepare func(server int, data string) error
	// Prefix is asked at each start for what comes before the command; nil: nothing.
	Prefix func(server int) []string
}

// Quoll returns the Command of a quoll binary, with flags of quoll serve.
func Quoll(binary string, flags ...string) func(string) []string {
	return func(zooCfg string) []string { return slices.Concat([]string{binary, "serve"}, flags, []string{zooCfg}) }
}

// ZooKeeper returns the Command of Apache ZooKeeper, whose jars are in lib.
func ZooKeeper(lib string) func(string) []string {
	return func(zooCfg string) []string {
		return []string{
			"java", "-Xmx2g", "-Dorg.slf4j.simpleLogger.showDateTime=true",
			"-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS", "-cp", filepath.Join(lib, "*"),
			"org.apache.zookeeper.server.quorum.QuorumPeerMain", zooCfg,
		}
	}
}

// loopback is where all servers listen that have no network of their own.
const loopback = "127.0.0.1"

func (o *Options) host(i int) string {
	if o.Network == nil {
		return loopback
	}
	return o.Network.Host(i)
}

// via returns the address at which from reaches an address of server to.
func (o *Options) via(from, to int, address string) (string, error) {
	if o.Network == nil || from == to {
		return address, nil
	}
	return o.Network.Via(from, to, address)
}

// Cluster is a running ensemble. Its methods are for one goroutine.
type Cluster struct {
	opts    Options
	ports   *portBlock // nil: there were none
	servers []*server
}

type server struct {
	dir     string
	client  string   // host:port, where clients dial
	process *process // nil before the first start, and after Kill and Stop
	ended   error    // how the first process ended that did so by itself
	when    time.Time
}

// process is one life of a server.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed when it has ended; then cmd.ProcessState says how
	when   time.Time     // it ended; set before exited is closed
}

func (p *process) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// Start starts all servers on free ports of the loopback interface. Close must be called even
// when it fails.
func Start(opts Options) (c *Cluster, err error) {
	c = &Cluster{opts: opts}
	if c.ports, err = takePorts(portsPerServer * opts.Size); err != nil {
		return c, err
	}
	for i := range opts.Size {
		s := &server{dir: filepath.Join(opts.Dir, "s"+strconv.Itoa(i+1))}
		c.servers = append(c.servers, s)
		if s.client, err = opts.via(network.Clients, i, c.address(i, clientPort)); err != nil {
			return c, err
		}
		members, err := c.members(i)
		if err != nil {
			return c, err
		}
		if err = s.configure(i+1, c.port(i, clientPort), members, &opts); err != nil {
			return c, err
		}
		if err = c.Restart(i); err != nil {
			return c, err
		}
	}
	return c, nil
}

// members are the lines of zoo.cfg for all servers, with the addresses at which server i reaches them.
func (c *Cluster) members(i int) (string, error) {
	if c.opts.Size == 1 {
		return "", nil
	}
	var lines strings.Builder
	for j := range c.opts.Size {
		link, err := c.opts.via(i, j, c.address(j, linkPort))
		if err != nil {
			return "", err
		}
		election, err := c.opts.via(i, j, c.address(j, electionPort))
		if err != nil {
			return "", err
		}
		_, port, err := net.SplitHostPort(election)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&lines, "server.%d=%s:%s\n", j+1, link, port)
	}
	return lines.String(), nil
}

// address returns where a server itself listens.
func (c *Cluster) address(server, which int) string {
	return net.JoinHostPort(c.opts.host(server), strconv.Itoa(c.port(server, which)))
}

// The ports of one server.
const (
	clientPort = iota
	linkPort
	electionPort
	portsPerServer
)

func (c *Cluster) port(server, which int) int { return c.ports.port(portsPerServer*server + which) }

func (s *server) configure(id, port int, members string, opts *Options) error {
	data := filepath.Join(s.dir, "data")
	if err := os.MkdirAll(data, 0o755); err != nil {
		return err
	}
	tickMs := opts.TickMs
	if tickMs == 0 {
		tickMs = 2000
	}
	cfg := fmt.Sprintf("tickTime=%d\ninitLimit=10\nsyncLimit=5\ndataDir=%s\nclientPort=%d\nclientPortAddress=%s\n"+
		"maxClientCnxns=0\nadmin.enableServer=false\n4lw.commands.whitelist=*\n%s%s\n",
		tickMs, data, port, opts.host(id-1), members, strings.Join(opts.Extra, "\n"))
	if err := os.WriteFile(filepath.Join(data, "myid"), []byte(strconv.Itoa(id)), 0o600); err != nil {
		return err
	}
	return os.WriteFile(s.zooCfg(), []byte(cfg), 0o600)
}

func (s *server) zooCfg() string { return filepath.Join(s.dir, "zoo.cfg") }

// DataDir returns the directory of the data of server i.
func (c *Cluster) DataDir(i int) string { return filepath.Join(c.servers[i].dir, "data") }

// LogFile returns the file of what server i prints.
func (c *Cluster) LogFile(i int) string { return filepath.Join(c.servers[i].dir, "log") }

// Pid returns the process of server i; 0: it does not run.
func (c *Cluster) Pid(i int) int {
	if !c.Running(i) {
		return 0
	}
	return c.servers[i].process.cmd.Process.Pid
}

// Size returns the number of servers.
func (c *Cluster) Size() int { return len(c.servers) }

// Servers returns the client addresses.
func (c *Cluster) Servers() []string {
	var all []string
	for _, s := range c.servers {
		all = append(all, s.client)
	}
	return all
}

// Restart starts server i again on its old data.
func (c *Cluster) Restart(i int) error {
	s := c.servers[i]
	if s.process != nil {
		if s.process.running() {
			return fmt.Errorf("cluster: server %d runs already", i+1)
		}
		c.bury(i)
	}
	log, err := os.OpenFile(c.LogFile(i), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the process has a descriptor of its own
	if c.opts.Prepare != nil {
		if err := c.opts.Prepare(i, c.DataDir(i)); err != nil {
			return fmt.Errorf("cluster: server %d: %w", i+1, err)
		}
	}
	args := c.opts.Command(s.zooCfg())
	if c.opts.Prefix != nil {
		args = append(slices.Clone(c.opts.Prefix(i)), args...)
	}
	if c.opts.Network != nil {
		args = c.opts.Network.Within(i, args)
	}
	p := &process{cmd: exec.Command(args[0], args[1:]...), exited: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.Dir = log, log, s.dir
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("cluster: start %s: %w", args[0], err)
	}
	go func() {
		_ = p.cmd.Wait() // ProcessState has it
		p.when = time.Now()
		close(p.exited)
	}()
	s.process = p
	return nil
}

func (c *Cluster) signal(i int, sig syscall.Signal, gone bool) {
	p := c.servers[i].process
	if p == nil {
		return
	}
	if !p.running() {
		c.bury(i)
		return
	}
	_ = p.cmd.Process.Signal(sig) // it may be ending right now
	if gone {
		_ = p.cmd.Process.Signal(syscall.SIGCONT) // one that is paused would never hear of it
		select {
		case <-p.exited:
		case <-time.After(stopPatience):
			_ = p.cmd.Process.Kill()
			<-p.exited
		}
		c.servers[i].process = nil
	}
}

// stopPatience is how long a server may take to end when it is asked to.
const stopPatience = 30 * time.Second

// bury notes how server i ended by itself.
func (c *Cluster) bury(i int) {
	err, when := c.Ended(i), c.WhenEnded(i)
	c.servers[i].ended, c.servers[i].when, c.servers[i].process = err, when, nil
}

// Kill ends server i at once (SIGKILL), as if its process had crashed.
func (c *Cluster) Kill(i int) { c.signal(i, syscall.SIGKILL, true) }

// Stop asks server i to end (SIGTERM) and waits; one that does not is killed.
func (c *Cluster) Stop(i int) { c.signal(i, syscall.SIGTERM, true) }

// Pause freezes server i; Resume lets it go on.
func (c *Cluster) Pause(i int) { c.signal(i, syscall.SIGSTOP, false) }

// Resume ends Pause.
func (c *Cluster) Resume(i int) { c.signal(i, syscall.SIGCONT, false) }

// Profile has a quoll serve --profile begin a profile, or end the one under way.
func (c *Cluster) Profile(i int) { c.signal(i, syscall.SIGUSR2, false) }

// Close kills what runs and gives the ports back.
func (c *Cluster) Close() {
	for i := range c.servers {
		c.Kill(i)
	}
	if c.ports != nil {
		c.ports.release()
	}
}

// Running reports whether server i has not ended.
func (c *Cluster) Running(i int) bool {
	p := c.servers[i].process
	return p != nil && p.running()
}

// Ended tells how server i ended although nobody asked it to, with the end of its log; nil if that
// never happened. It stays true of a server that was started again.
func (c *Cluster) Ended(i int) error {
	s := c.servers[i]
	if s.ended != nil || s.process == nil || s.process.running() {
		return s.ended
	}
	return fmt.Errorf("cluster: server %d ended by itself: %v; its log in %s ends:\n%s",
		i+1, s.process.cmd.ProcessState, s.dir, c.Log(i))
}

// WhenEnded returns when that of Ended happened; zero if it never did.
func (c *Cluster) WhenEnded(i int) time.Time {
	s := c.servers[i]
	if s.ended != nil || s.process == nil || s.process.running() {
		return s.when
	}
	return s.process.when
}

// Failed tells of every server that Ended. An ensemble hides the loss of a server, so whoever
// measures one, or tests it, asks at the end.
func (c *Cluster) Failed() error {
	var all []error
	for i := range c.servers {
		all = append(all, c.Ended(i))
	}
	return errors.Join(all...)
}

// Log returns the end of what server i printed.
func (c *Cluster) Log(i int) string {
	b, err := os.ReadFile(c.LogFile(i))
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-4096):])
}

// Ask sends a four-letter word to server i.
func (c *Cluster) Ask(ctx context.Context, i int, word string) (string, error) {
	return client.FourLetterWord(ctx, c.servers[i].client, word)
}

// modePatience bounds one question of Mode: a ZooKeeper that is just starting may take a
// connection and never answer it.
const modePatience = time.Second

// Mode returns the role of server i as `srvr` tells it; empty while it does not serve.
func (c *Cluster) Mode(ctx context.Context, i int) string {
	ctx, cancel := context.WithTimeout(ctx, modePatience)
	defer cancel()
	text, _ := c.Ask(ctx, i, "srvr") // nobody answers: it does not serve
	_, rest, _ := strings.Cut(text, "\nMode: ")
	mode, _, _ := strings.Cut(rest, "\n")
	return mode
}

// poll is how often a condition of other processes is looked at: there is no event to wait for.
const poll = 10 * time.Millisecond

// Await waits until ok holds.
func Await(ctx context.Context, what string, ok func() bool) error {
	t := time.NewTicker(poll)
	defer t.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("cluster: %s: %w", what, context.Cause(ctx))
		case <-t.C:
		}
	}
	return nil
}

// AwaitServing waits until every server serves that was not ended with Kill or Stop. It fails when
// one has ended by itself: an ensemble of three that runs with two looks healthy until one more dies.
func (c *Cluster) AwaitServing(ctx context.Context) error {
	for i, s := range c.servers {
		err := Await(ctx, "server "+strconv.Itoa(i+1)+" to serve", func() bool { return !c.Running(i) || c.Mode(ctx, i) != "" })
		if err != nil {
			return fmt.Errorf("%w; its log ends:\n%s", err, c.Log(i))
		}
		if s.process != nil && !s.process.running() {
			return c.Ended(i)
		}
	}
	return nil
}

// ErrNoLeader is the error of Leader when no server says it leads.
var ErrNoLeader = errors.New("cluster: no server leads")

// Leader returns the index of the leader, or of the only server.
func (c *Cluster) Leader(ctx context.Context) (int, error) {
	for i := range c.servers {
		if mode := c.Mode(ctx, i); mode == "leader" || mode == "standalone" {
			return i, nil
		}
	}
	return 0, ErrNoLeader
}

// Resident returns the resident memory of server i in bytes, as Linux reports it.
func (c *Cluster) Resident(i int) (int64, error) {
	p := c.servers[i].process
	if p == nil {
		return 0, errors.New("cluster: server does not run")
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0, fmt.Errorf("cluster: statm reads %q", b)
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}
