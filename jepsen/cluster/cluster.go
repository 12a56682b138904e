package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"quoll/transport/client"
)

// Options say what to run. Command makes the command line of one server from its zoo.cfg.
type Options struct {
	Dir     string // gets a directory per server; must exist
	Size    int    // servers; one runs standalone
	Command func(zooCfg string) []string
	Extra   []string // lines for every zoo.cfg
	TickMs  int      // 0: 2000
}

// Quoll returns the Command of a quoll binary.
func Quoll(binary string) func(string) []string {
	return func(zooCfg string) []string { return []string{binary, "serve", zooCfg} }
}

// ZooKeeper returns the Command of Apache ZooKeeper, whose jars are in lib.
func ZooKeeper(lib string) func(string) []string {
	return func(zooCfg string) []string {
		return []string{
			"java", "-Xmx2g", "-cp", filepath.Join(lib, "*"),
			"org.apache.zookeeper.server.quorum.QuorumPeerMain", zooCfg,
		}
	}
}

// Cluster is a running ensemble. Its methods are for one goroutine.
type Cluster struct {
	opts    Options
	servers []*server
}

type server struct {
	dir    string
	client string // host:port
	cmd    *exec.Cmd
	exited chan struct{}
	log    *os.File
}

// Start starts all servers on free ports of the loopback interface. Close must be called even
// when it fails.
func Start(opts Options) (*Cluster, error) {
	c := &Cluster{opts: opts}
	ports, err := freePorts(3 * opts.Size)
	if err != nil {
		return c, err
	}
	var members strings.Builder
	for i := range opts.Size {
		fmt.Fprintf(&members, "server.%d=127.0.0.1:%d:%d\n", i+1, ports[3*i+1], ports[3*i+2])
	}
	if opts.Size == 1 {
		members.Reset()
	}
	for i := range opts.Size {
		s := &server{dir: filepath.Join(opts.Dir, "s"+strconv.Itoa(i+1)), client: "127.0.0.1:" + strconv.Itoa(ports[3*i])}
		c.servers = append(c.servers, s)
		if err := s.configure(i+1, ports[3*i], members.String(), &opts); err != nil {
			return c, err
		}
		if err := c.Restart(i); err != nil {
			return c, err
		}
	}
	return c, nil
}

func (s *server) configure(id, port int, members string, opts *Options) error {
	data := filepath.Join(s.dir, "data")
	if err := os.MkdirAll(data, 0o755); err != nil {
		return err
	}
	tickMs := opts.TickMs
	if tickMs == 0 {
		tickMs = 2000
	}
	cfg := fmt.Sprintf("tickTime=%d\ninitLimit=10\nsyncLimit=5\ndataDir=%s\nclientPort=%d\nclientPortAddress=127.0.0.1\n"+
		"maxClientCnxns=0\nadmin.enableServer=false\n4lw.commands.whitelist=*\n%s%s\n",
		tickMs, data, port, members, strings.Join(opts.Extra, "\n"))
	if err := os.WriteFile(filepath.Join(data, "myid"), []byte(strconv.Itoa(id)), 0o600); err != nil {
		return err
	}
	return os.WriteFile(s.zooCfg(), []byte(cfg), 0o600)
}

func (s *server) zooCfg() string { return filepath.Join(s.dir, "zoo.cfg") }

// freePorts asks the kernel for ports that nobody has; they are all held until the last is known.
func freePorts(n int) (ports []int, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// Servers returns the client addresses.
func (c *Cluster) Servers() []string {
	var all []string
	for _, s := range c.servers {
		all = append(all, s.client)
	}
	return all
}

// Restart starts server i again on its old data.
func (c *Cluster) Restart(i int) (err error) {
	s := c.servers[i]
	if s.log, err = os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return err
	}
	args := c.opts.Command(s.zooCfg())
	s.cmd = exec.Command(args[0], args[1:]...)
	s.cmd.Stdout, s.cmd.Stderr, s.cmd.Dir = s.log, s.log, s.dir
	s.exited = make(chan struct{})
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		return fmt.Errorf("cluster: start %s: %w", args[0], err)
	}
	go func(cmd *exec.Cmd, exited chan struct{}) {
		_ = cmd.Wait() // how it ended is in its log
		close(exited)
	}(s.cmd, s.exited)
	return nil
}

func (c *Cluster) signal(i int, sig syscall.Signal, gone bool) {
	s := c.servers[i]
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(sig) // it may have ended by itself
	if gone {
		<-s.exited
		_ = s.log.Close()
		s.cmd = nil
	}
}

// Kill ends server i at once (SIGKILL), as if its process had crashed.
func (c *Cluster) Kill(i int) { c.signal(i, syscall.SIGKILL, true) }

// Stop asks server i to end (SIGTERM) and waits.
func (c *Cluster) Stop(i int) { c.signal(i, syscall.SIGTERM, true) }

// Pause freezes server i; Resume lets it go on.
func (c *Cluster) Pause(i int) { c.signal(i, syscall.SIGSTOP, false) }

// Resume ends Pause.
func (c *Cluster) Resume(i int) { c.signal(i, syscall.SIGCONT, false) }

// Close kills what runs.
func (c *Cluster) Close() {
	for i := range c.servers {
		c.Kill(i)
	}
}

// Running reports whether server i has not ended.
func (c *Cluster) Running(i int) bool {
	s := c.servers[i]
	if s.cmd == nil {
		return false
	}
	select {
	case <-s.exited:
		return false
	default:
		return true
	}
}

// Log returns the end of what server i printed.
func (c *Cluster) Log(i int) string {
	b, err := os.ReadFile(filepath.Join(c.servers[i].dir, "log"))
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

// AwaitServing waits until every server that runs serves.
func (c *Cluster) AwaitServing(ctx context.Context) error {
	for i := range c.servers {
		err := Await(ctx, "server "+strconv.Itoa(i+1)+" to serve", func() bool { return !c.Running(i) || c.Mode(ctx, i) != "" })
		if err != nil {
			return fmt.Errorf("%w; its log ends:\n%s", err, c.Log(i))
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
	s := c.servers[i]
	if s.cmd == nil {
		return 0, errors.New("cluster: server does not run")
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", s.cmd.Process.Pid))
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
