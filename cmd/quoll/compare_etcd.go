package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"quoll/cmd/internal/measure"
	"quoll/jepsen/cluster"
)

// etcd is an ensemble of etcd, and the program that loads it: it speaks a protocol of its own, and
// its client is a matter of its own module. It is started for the rows that have a figure of it,
// with its defaults, which sync every write to disk.
type etcd struct {
	loader    string
	endpoints []string
	servers   []*exec.Cmd
	release   func() // of the ports
}

// startEtcd starts the servers in directories below home, and waits until they serve.
func startEtcd(ctx context.Context, binary, loader, home string, n int) (e *etcd, err error) {
	ports, release, err := cluster.TakePorts(2 * n)
	if err != nil {
		return nil, err
	}
	e = &etcd{loader: loader, release: release}
	defer func() {
		if err != nil {
			e.close()
		}
	}()
	address := func(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }
	var members []string
	for i := range n {
		members = append(members, fmt.Sprintf("s%d=http://%s", i+1, address(ports[2*i+1])))
	}
	for i := range n {
		client, peer := "http://"+address(ports[2*i]), "http://"+address(ports[2*i+1])
		dir := filepath.Join(home, "s"+strconv.Itoa(i+1))
		if err = os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
		var log *os.File
		if log, err = os.Create(filepath.Join(dir, "log")); err != nil {
			return nil, err
		}
		cmd := exec.Command(binary, "--name=s"+strconv.Itoa(i+1), "--data-dir="+filepath.Join(dir, "data"), "--log-level=warn",
			"--listen-client-urls="+client, "--advertise-client-urls="+client,
			"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer,
			"--initial-cluster="+strings.Join(members, ","), "--initial-cluster-state=new")
		cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, dir
		err = cmd.Start()
		_ = log.Close() // the process has a descriptor of its own
		if err != nil {
			return nil, fmt.Errorf("start %s: %w", binary, err)
		}
		e.servers = append(e.servers, cmd)
		e.endpoints = append(e.endpoints, address(ports[2*i]))
	}
	ctx, cancel := context.WithTimeout(ctx, servingPatience)
	defer cancel()
	for i, endpoint := range e.endpoints {
		err = cluster.Await(ctx, "etcd to serve on "+endpoint, func() bool { return healthy(ctx, endpoint) })
		if err != nil {
			return nil, fmt.Errorf("%w; its log is in %s", err, filepath.Join(home, "s"+strconv.Itoa(i+1)))
		}
	}
	return e, nil
}

// healthy reports whether a server says that it can serve, which takes a leader.
func healthy(ctx context.Context, endpoint string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+endpoint+"/health", nil)
	if err != nil {
		return false
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	var health struct{ Health string }
	text, err := io.ReadAll(answer.Body)
	return err == nil && json.Unmarshal(text, &health) == nil && health.Health == "true"
}

// close kills the servers and gives the ports back.
func (e *etcd) close() {
	for _, s := range e.servers {
		_ = s.Process.Kill() // it may have ended
		_ = s.Wait()         // by our hand
	}
	if e.release != nil {
		e.release()
	}
}

// bench has the loader put a workload on the ensemble.
func (e *etcd) bench(ctx context.Context, m *compareCmd, w loadShape, rate float64) (*measure.Report, error) {
	b := w.bench(rate)
	cmd := exec.CommandContext(ctx, e.loader, "--json", "--endpoints="+strings.Join(e.endpoints, ","), "--mix="+b.Mix,
		fmt.Sprintf("--conns=%d", b.Conns), fmt.Sprintf("--inflight=%d", b.Inflight), fmt.Sprintf("--size=%d", b.Size),
		fmt.Sprintf("--keys=%d", b.Keys), fmt.Sprintf("--duration=%v", m.Duration), fmt.Sprintf("--warmup=%v", m.Warmup),
		fmt.Sprintf("--rate=%f", b.Rate))
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		if ended, ok := errors.AsType[*exec.ExitError](err); ok {
			return nil, fmt.Errorf("etcd: %s: %w: %s", e.loader, ended, said.String())
		}
		return nil, fmt.Errorf("etcd: run %s: %w", e.loader, err)
	}
	report := new(measure.Report)
	if err := json.Unmarshal(out.Bytes(), report); err != nil {
		return nil, fmt.Errorf("etcd: the report of %s: %w", e.loader, err)
	}
	return report, nil
}
