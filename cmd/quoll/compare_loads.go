package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"quoll/cmd/internal/measure"
	"quoll/cmd/internal/table"
)

// loadShape is a row that needs nothing but load. A single client is judged by its latency, many by
// what they get done.
type loadShape struct {
	row             string
	mix             string
	conns, inflight int
	etcd            bool // is measured, too
	open            bool // is repeated as an open loop
}

var loadShapes = []loadShape{
	{"writes", "set=100", 16, 32, true, true},
	{"creates", "create+delete=100", 16, 32, false, false},
	{"reads", "get=100", 16, 32, true, true},
	{"mixed", "get=90,set=10", 16, 32, true, true},
	{"one-write", "set=100", 1, 1, true, false},
	{"one-read", "get=100", 1, 1, true, false},
}

// linearShape is not among them: ZooKeeper has nothing to do the same with.
var linearShape = loadShape{"linear", "syncget=100", 16, 32, true, false}

func (w *loadShape) bench(rate float64) benchCmd {
	return benchCmd{Mix: w.mix, Conns: w.conns, Inflight: w.inflight, Size: 100, Keys: 1000, Rate: rate}
}

// loads measures the workloads.
func (r *comparing) loads() error {
	for _, w := range loadShapes {
		if !r.wants(w.row) && (w.row != "writes" || !r.wants("write-p99")) {
			continue
		}
		rates, err := r.load(w, 0, nil)
		if err == nil && w.open && !r.Quick {
			_, err = r.load(w, openRate(rates), rates)
		}
		if err != nil {
			return fmt.Errorf("row %s: %w", w.row, err)
		}
	}
	return nil
}

// openRate is at what rate the open loops run, by the rates of the closed ones: the same for all, at
// half of what ZooKeeper can do, so that it tells of latency where nobody is overrun.
func openRate(closed map[table.System]float64) float64 {
	if rate := closed[table.ZooKeeper]; rate > 0 {
		return rate / 2
	}
	return closed[table.Quoll] / 2
}

// load runs a workload on every system in turn and returns their rates: without closed as a closed
// loop, which fills the row; else as an open loop at a rate, where only those take part of which
// closed says that they can do as much.
func (r *comparing) load(w loadShape, rate float64, closed map[table.System]float64) (rates map[table.System]float64, err error) {
	rates = map[table.System]float64{}
	note := func(s table.System, report *measure.Report) {
		r.run(w.row, s, report)
		rates[s] = report.Total.Rate
		switch {
		case rate > 0:
		case w.conns == 1:
			r.result.Set(w.row, s, report.Total.Latency.P50)
		default:
			r.result.Set(w.row, s, report.Total.Rate)
		}
		if w.row == "writes" && rate == 0 {
			r.result.Set("write-p99", s, report.Total.Latency.P99)
		}
	}
	for _, s := range r.sides {
		if closed != nil && closed[s.name] <= rate {
			continue
		}
		report, err := r.bench(s, w.bench(rate))
		if err != nil {
			return nil, err
		}
		note(s.name, report)
	}
	if w.etcd && r.etcd != nil && (closed == nil || closed[table.Etcd] > rate) {
		report, err := r.etcd.bench(r.c.ctx, r.compareCmd, w, rate)
		if err != nil {
			return nil, err
		}
		note(table.Etcd, report)
	}
	return rates, nil
}

// linear measures reads that are linearizable: sync and getData in one go. ZooKeeper's sync is no
// barrier, so what is asked of Quoll is what ZooKeeper does in plain reads.
func (r *comparing) linear() error {
	if !r.wants("linear") {
		return nil
	}
	w := linearShape
	for _, s := range r.sides {
		b := w.bench(0)
		if s.name == table.ZooKeeper {
			b.Mix = "get=100"
		}
		report, err := r.bench(s, b)
		if err != nil {
			return fmt.Errorf("row %s: %w", w.row, err)
		}
		r.run(w.row, s.name, report)
		r.result.Set(w.row, s.name, report.Total.Rate)
	}
	if r.etcd != nil {
		report, err := r.etcd.bench(r.c.ctx, r.compareCmd, w, 0)
		if err != nil {
			return fmt.Errorf("row %s: %w", w.row, err)
		}
		r.run(w.row, table.Etcd, report)
		r.result.Set(w.row, table.Etcd, report.Total.Rate)
	}
	r.result.Note(w.row, "ZooKeeper's figure is that of its plain reads, since its sync is no barrier; etcd's is that of its linearizable reads")
	return nil
}

// loaders measures what the loaders cost: each against a server of its protocol that answers at
// once. The servers are processes of their own, as the real ones are.
func (r *comparing) loaders() error {
	if !r.wants(loaderRow) {
		return nil
	}
	address, stop, err := startNull(r.self, "null")
	if err != nil {
		return fmt.Errorf("loader cost: %w", err)
	}
	defer stop()
	all := append([]loadShape{linearShape}, loadShapes...)
	for _, w := range all {
		b := w.bench(0)
		b.Servers, b.Timeout, b.Seed, b.Duration, b.Warmup = []string{address}, servingPatience, 1, r.Duration, r.Warmup
		report, _, failed := b.measure(r.c.ctx)
		if failed != nil {
			return fmt.Errorf("loader cost, %s: %w", w.mix, failed)
		}
		r.noteLoader(table.ZooKeeper, report)
	}
	if r.Etcd == "" {
		return nil
	}
	address, stopEtcd, err := startNull(r.EtcdLoad, "--null")
	if err != nil {
		return fmt.Errorf("loader cost: %w", err)
	}
	defer stopEtcd()
	null := &etcd{loader: r.EtcdLoad, endpoints: []string{address}}
	for _, w := range all {
		if !w.etcd {
			continue
		}
		report, err := null.bench(r.c.ctx, r.compareCmd, w, 0)
		if err != nil {
			return fmt.Errorf("loader cost, %s: %w", w.mix, err)
		}
		r.noteLoader(table.Etcd, report)
	}
	return nil
}

func (r *comparing) noteLoader(protocol table.System, report *measure.Report) {
	cost := table.NewLoaderCost(protocol, report)
	r.progress("loader alone, %s protocol, %s: %.0f op/s", protocol, cost.Mix, cost.Rate)
	r.result.Loader = append(r.result.Loader, cost)
}

// startNull starts a server that answers at once, and returns where it listens. It ends when its
// standard input does, so that nothing is left of it when this process is killed.
func startNull(program string, args ...string) (address string, stop func(), err error) {
	cmd := exec.Command(program, args...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	var said strings.Builder
	cmd.Stderr = &said
	if err = cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("start the null server: %w", err)
	}
	stop = func() {
		_ = in.Close()
		_ = cmd.Wait() // it ends because it was told to
	}
	address, err = bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stop()
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("the null server %s did not tell its address: %s", program, said.String())
		}
		return "", nil, err
	}
	return strings.TrimSpace(address), stop, nil
}

// nearLoader is the part of what a loader can do from which on it is the loader that is measured.
const nearLoader = 0.5

// judgeLoaders says of rows that they are limited by the loader. On a machine where the loader and
// the servers share the cores, it takes from the servers long before it reaches its own limit.
func (r *comparing) judgeLoaders() {
	for _, run := range r.result.Runs {
		protocol := run.System
		if protocol == table.Quoll {
			protocol = table.ZooKeeper
		}
		for _, l := range r.result.Loader {
			same := l.Protocol == protocol && l.Mix == run.Report.Mix && l.Conns == run.Report.Conns
			if same && run.Report.Conns > 1 && run.Report.Total.Rate > nearLoader*l.Rate {
				r.result.Note(run.Row, "%s was at %.0f %% of what the loader can do against a server that answers at once",
					run.System, 100*run.Report.Total.Rate/l.Rate)
			}
		}
	}
}
