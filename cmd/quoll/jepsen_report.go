package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"quoll/jepsen/campaign"
	"quoll/jepsen/driver"
	"quoll/jepsen/nemesis"
	"quoll/jepsen/report"
)

// progress prints how far a run is, on one line.
func (c *console) progress(p driver.Progress, faults []nemesis.Fault, total time.Duration) {
	now := ""
	for _, f := range faults {
		if f.To.IsZero() {
			now += " " + f.Kind
		}
	}
	if now == "" {
		now = " none"
	}
	fmt.Fprintf(c.err, "  %3.0f s of %.0f: %d of %d clients connected, %d answers in the last second, %d in all, %d unknown; %d faults, now:%s\n",
		p.Elapsed.Seconds(), total.Seconds(), p.Connected, p.Clients, p.AcknowledgedInSecond, p.OK+p.Failed, p.Unknown, len(faults), now)
}

// report writes what came of a run, and says it in short.
func (j *jepsenCmd) report(c *console, res *campaign.Result, dir string) error {
	run, err := res.Report(j.again(res))
	if err != nil {
		return err
	}
	if err = write(filepath.Join(dir, "report.html"), run, report.HTML); err != nil {
		return err
	}
	if err = write(filepath.Join(dir, "report.json"), run, report.JSON); err != nil {
		return err
	}
	if j.JSON {
		return json.NewEncoder(c.out).Encode(run)
	}
	f := res.Figures
	fmt.Fprintf(c.out, "%s %s, %s: %d requests, %.0f a second, p50 %.1f ms, p99 %.1f ms, longest gap %.2f s, of writes %.2f s, %d unknown, %d faults\n",
		res.Options.Target.Name, res.Version, res.Options.Workload, f.Asked, f.PerSec, float64(f.P50)/1e3, float64(f.P99)/1e3,
		float64(f.Gap)/1e6, float64(f.WriteGap)/1e6, f.Errors["unknown"], len(res.Faults))
	for _, kind := range res.NeverDone() {
		fmt.Fprintf(c.out, "  never done: %s\n", kind)
	}
	var holds []string
	for _, v := range res.Verdicts {
		switch v.Outcome {
		case campaign.Holds:
			holds = append(holds, v.Check)
		case campaign.NotApplicable:
		default:
			fmt.Fprintf(c.out, "  %s %s: %s\n", v.Check, v.Outcome, v.Why)
		}
	}
	fmt.Fprintf(c.out, "  hold: %s\n  report: %s\n", strings.Join(holds, " "), filepath.Join(dir, "report.html"))
	return nil
}

func write(name string, run *report.Run, as func(io.Writer, *report.Run) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(as(f, run), f.Close())
}

// again is the command that does a run again.
func (j *jepsenCmd) again(res *campaign.Result) string {
	o := &res.Options
	args := []string{
		"quoll jepsen --target", j.Target, "--servers", fmt.Sprint(o.Servers), "--workload", o.Workload, "--nemesis", strings.Join(o.Nemesis, ","),
		"--for", o.For.String(), "--rate", fmt.Sprintf("%.0f", o.Rate), "--clients", fmt.Sprint(o.Clients), "--session", o.Session.String(),
		"--network", o.Network, "--seed", fmt.Sprint(o.Seed),
	}
	if len(o.Nemesis) == 0 {
		args[7] = noneOfThem
	}
	if j.ZooKeeper != "" {
		args = append(args, "--zookeeper", j.ZooKeeper)
	}
	if o.Strict {
		args = append(args, "--strict")
	}
	return strings.Join(args, " ")
}
