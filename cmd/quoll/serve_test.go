package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// output is a writer that many may use, and that lets a test wait for what is written.
type output struct {
	mu    sync.Mutex
	text  strings.Builder
	lines chan string
	pipe  *io.PipeWriter
}

func newOutput() *output {
	r, w := io.Pipe()
	o := &output{lines: make(chan string, 1024), pipe: w}
	go func() {
		for s := bufio.NewScanner(r); s.Scan(); {
			o.lines <- s.Text()
		}
		close(o.lines)
	}()
	return o
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(b)
	return o.pipe.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// command is a command line that runs beside the test.
type command struct {
	t        *testing.T
	out, err *output
	stop     context.CancelFunc
	code     chan int
}

func begin(t *testing.T, args ...string) *command {
	ctx, stop := context.WithCancel(t.Context())
	c := &command{t: t, out: newOutput(), err: newOutput(), stop: stop, code: make(chan int, 1)}
	go func() {
		code := run(args, &console{ctx: ctx, in: strings.NewReader(""), out: c.out, err: c.err})
		c.out.pipe.Close()
		c.err.pipe.Close()
		c.code <- code
	}()
	return c
}

// await returns the first line of o that matches pattern, and its groups.
func (c *command) await(o *output, pattern string) []string {
	c.t.Helper()
	re := regexp.MustCompile(pattern)
	for line := range o.lines {
		if m := re.FindStringSubmatch(line); m != nil {
			return m
		}
	}
	require.FailNow(c.t, "the command ended", "before %q:\n%s%s", pattern, c.out, c.err)
	return nil
}

// end interrupts the command and returns its exit code.
func (c *command) end() int {
	c.stop()
	return <-c.code
}

// do runs a command line to its end.
func do(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	c := begin(t, args...)
	code = <-c.code
	return code, c.out.String(), c.err.String()
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func zooCfg(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "zoo.cfg")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

// A server starts from a zoo.cfg and properties, serves, ends on a signal with 0 and keeps its
// data.
func TestServe(t *testing.T) {
	port := freePort(t)
	address := fmt.Sprintf("127.0.0.1:%d", port)
	cfg := zooCfg(t, fmt.Sprintf("dataDir=%s\nclientPort=%d\nclientPortAddress=127.0.0.1\n4lw.commands.whitelist=*\nfoo=1\n",
		filepath.Join(t.TempDir(), "data"), port))
	args := []string{
		"serve", "-Dzookeeper.snapCount=5000", "-Dreadonlymode.enabled=false", "-Djava.awt.headless=true",
		"-Dzookeeper.DigestAuthenticationProvider.superDigest=super:D/InIHSb7yEEbrWz8b9l71RjZJU=", cfg,
	}
	for attempt, create := range []string{"create", "get"} {
		server := begin(t, args...)
		require.Equal(t, address, server.await(server.err, `msg="clients are served" address=(\S+)`)[1])
		code, out, errs := do(t, create, "--server", address, "/kept")
		require.Zero(t, code, "attempt %d: %s%s", attempt, out, errs)
		code, out, _ = do(t, "4lw", "srvr", address)
		require.Zero(t, code)
		require.Contains(t, out, "Mode: standalone")
		require.Zero(t, server.end(), server.err)
		require.Contains(t, server.err.String(), "warning: "+cfg+":5: foo: is not a key of zoo.cfg: ignored\n")
		require.Empty(t, server.out.String())
	}
}

// Faults of a configuration come one on a line, and nothing starts.
func TestServeFaults(t *testing.T) {
	cfg := zooCfg(t, "dataDir=/nowhere\nclientPort=x\ntickTime=y\n")
	code, out, errs := do(t, "serve", cfg)
	require.Equal(t, exitFailure, code)
	require.Empty(t, out)
	require.Equal(t, cfg+":2: clientPort: \"x\" is not a port: 1..65535\n"+cfg+":3: tickTime: \"y\" is not a number\n"+
		"quoll: the configuration has 2 faults, nothing was started\n", errs)

	code, _, errs = do(t, "serve", zooCfg(t, "dataDir=/nowhere\n"))
	require.Equal(t, exitFailure, code)
	require.True(t, strings.HasSuffix(errs, "\nquoll: the configuration has a fault, nothing was started\n"))

	code, _, errs = do(t, "serve", "/nowhere/zoo.cfg")
	require.Equal(t, exitFailure, code)
	require.Equal(t, "quoll: configuration: open /nowhere/zoo.cfg: no such file or directory\n", errs)

	code, _, _ = do(t, "serve")
	require.Equal(t, exitUsage, code)
}

// A port that is taken is named.
func TestServePortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	code, _, errs := do(t, "serve", zooCfg(t, "dataDir="+t.TempDir()+"\nclientPortAddress=127.0.0.1\nclientPort="+port+"\n"))
	require.Equal(t, exitFailure, code)
	require.Contains(t, errs, "127.0.0.1:"+port)
}

// A local ensemble serves on the ports that it prints, and leaves nothing behind.
func TestDev(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	dev := begin(t, "dev", "--client-port", "0")
	hosts := strings.Split(dev.await(dev.out, `^(\S+)$`)[1], ",")
	require.Len(t, hosts, 3)
	dev.await(dev.err, `^3 servers serving after .*, data in .*, interrupt to stop$`)
	modes := map[string]int{}
	for _, host := range hosts {
		code, out, errs := do(t, "4lw", "srvr", host)
		require.Zero(t, code, errs)
		modes[regexp.MustCompile(`Mode: (\w+)`).FindStringSubmatch(out)[1]]++
	}
	require.Equal(t, map[string]int{"leader": 1, "follower": 2}, modes)
	code, _, errs := do(t, "create", "--server", hosts[0], "/a", "x")
	require.Zero(t, code, errs)
	began := time.Now()
	require.Zero(t, dev.end(), dev.err)
	require.Less(t, time.Since(began), shutdownTimeout, "ended by itself")
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// With a directory, the data is there again.
func TestDevKeepsData(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{{"create", "/a", "x"}, {"get", "/a"}} {
		dev := begin(t, "dev", "--servers", "1", "--client-port", "0", "--dir", dir)
		host := dev.await(dev.out, `^(\S+)$`)[1]
		code, _, errs := do(t, append([]string{args[0], "--server", host}, args[1:]...)...)
		require.Zero(t, code, errs)
		require.Zero(t, dev.end(), dev.err)
	}
}

func TestDevUsage(t *testing.T) {
	for _, args := range [][]string{
		{"dev", "--servers", "0"},
		{"dev", "--servers", "10"},
		{"dev", "--client-port", "-1"},
		{"dev", "--client-port", "65534"},
		{"dev", "--log-level", "loud"},
	} {
		code, _, errs := do(t, args...)
		require.Equal(t, exitUsage, code, "%v: %s", args, errs)
	}
}
