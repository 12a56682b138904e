package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"quoll"
	"quoll/zab"
)

// devTick is the tickTime of a local ensemble: sessions of two seconds and up are possible.
const devTick = time.Second

// devReady bounds the first election: far more than it takes, so that a machine under load waits
// and a broken one says so.
const devReady = 30 * time.Second

// devCmd runs an ensemble on the loopback interface, all of it in this process, until interrupted.
type devCmd struct {
	Servers    int    `default:"3" help:"Number of servers, 1 to 9."`
	Dir        string `type:"path" help:"Where to keep the data. Without it a temporary directory is used and removed at the end."`
	ClientPort int    `default:"2181" help:"The client port of the first server; the others follow. 0: any free ports."`
	logging    `set:"log_level=error"`
}

// Validate refuses a number of servers that makes no sense on one machine.
func (d *devCmd) Validate() error {
	if d.Servers < 1 || d.Servers > 9 {
		return fmt.Errorf("--servers %d: 1 to 9", d.Servers)
	}
	if d.ClientPort < 0 || d.ClientPort+d.Servers > 65536 {
		return fmt.Errorf("--client-port %d: there is no such port", d.ClientPort)
	}
	return nil
}

// Run performs the command.
func (d *devCmd) Run(c *console) (err error) {
	began, dir := time.Now(), d.Dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "quoll-dev-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	manageMemory(d.logger(c.err))
	configs, err := d.configs(dir)
	if err != nil {
		return err
	}
	servers, err := d.start(c, configs)
	if err != nil {
		return faults(c, err)
	}
	if err := awaitAll(c.ctx, servers); err != nil {
		return stopAfter(err, servers)
	}
	hosts := make([]string, len(servers))
	for i, s := range servers {
		hosts[i] = s.ClientAddr()
	}
	if err := c.printf("%s\n", strings.Join(hosts, ",")); err != nil {
		return stopAfter(err, servers)
	}
	fmt.Fprintf(c.err, "%s serving after %v, data in %s, interrupt to stop\n", plural(len(servers)), time.Since(began).Round(time.Millisecond), dir)
	return until(c, servers...)
}

func plural(n int) string {
	if n == 1 {
		return "one server"
	}
	return strconv.Itoa(n) + " servers"
}

// configs describes the ensemble. One server stands alone.
func (d *devCmd) configs(dir string) ([]quoll.Config, error) {
	specs, err := loopbackSpecs(d.Servers)
	if err != nil {
		return nil, err
	}
	configs := make([]quoll.Config, d.Servers)
	for i, spec := range specs {
		port := 0
		if d.ClientPort != 0 {
			port = d.ClientPort + i
		}
		configs[i] = quoll.Config{
			DataDir:         filepath.Join(dir, "server."+strconv.Itoa(i+1)),
			MyID:            spec.ID,
			ClientAddress:   net.JoinHostPort(spec.Host, strconv.Itoa(port)),
			TickTime:        devTick,
			MaxClientCnxns:  -1,
			FourLetterWords: []string{"*"},
			ExtendedTypes:   true,
		}
		if len(specs) > 1 {
			configs[i].Servers = specs
		}
	}
	return configs, nil
}

// loopbackSpecs finds two free ports for each server. They are held until all are found, so that
// none is found twice.
func loopbackSpecs(n int) ([]quoll.ServerSpec, error) {
	const host = "127.0.0.1"
	var ports []int
	for range 2 * n {
		l, err := net.Listen("tcp", host+":0")
		if err != nil {
			return nil, fmt.Errorf("no free port for a server: %w", err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	specs := make([]quoll.ServerSpec, n)
	for i := range specs {
		specs[i] = quoll.ServerSpec{ID: zab.ServerID(i + 1), Host: host, LinkPort: ports[2*i], ElectionPort: ports[2*i+1]}
	}
	return specs, nil
}

// start starts all servers, or none.
func (d *devCmd) start(c *console, configs []quoll.Config) ([]*quoll.Server, error) {
	logger := d.logger(c.err)
	var servers []*quoll.Server
	for i := range configs {
		configs[i].Logger = logger.With("server", configs[i].MyID)
		s, err := quoll.Start(context.WithoutCancel(c.ctx), configs[i])
		if err != nil {
			return nil, stopAfter(err, servers)
		}
		servers = append(servers, s)
	}
	return servers, nil
}

// stopAfter ends servers because of an error, which it returns.
func stopAfter(err error, servers []*quoll.Server) error {
	if failure := shutdown(servers); failure != nil {
		return fmt.Errorf("%w (and then: %w)", err, failure)
	}
	return err
}

func awaitAll(ctx context.Context, servers []*quoll.Server) error {
	ctx, cancel := context.WithTimeout(ctx, devReady)
	defer cancel()
	for _, s := range servers {
		if err := s.AwaitServing(ctx); err != nil {
			return fmt.Errorf("server on %s: %w", s.ClientAddr(), err)
		}
	}
	return nil
}
