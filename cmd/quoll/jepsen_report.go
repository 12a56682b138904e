package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
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
	run.Harness = commit()
	if err = write(filepath.Join(dir, "report.html"), run, report.HTML); err != nil {
		return err
	}
	if err = write(filepath.Join(dir, "report.json"), run, report.JSON); err != nil {
		return err
	}
	if !res.OK() || res.Options.Keep {
		if err = write(filepath.Join(dir, "history.json.gz"), res.Record, func(w io.Writer, r *campaign.Record) error { return r.Write(w) }); err != nil {
			return err
		}
	}
	if j.JSON {
		return json.NewEncoder(c.out).Encode(run)
	}
	f := res.Figures
	fmt.Fprintf(c.out, "%s %s, %s: %d requests, %.0f a second, p50 %.1f ms, p99 %.1f ms, longest gap %.2f s, of writes %.2f s, %d unknown, %d late, %d not sent, %d faults\n",
		res.Options.Target.Name, res.Version, res.Options.Workload, f.Asked, f.PerSec, float64(f.P50)/1e3, float64(f.P99)/1e3,
		float64(f.Gap)/1e6, float64(f.WriteGap)/1e6, f.Errors["unknown"], f.Late, f.Unsent, len(res.Faults))
	for _, kind := range res.NeverDone() {
		fmt.Fprintf(c.out, "  never done: %s\n", kind)
	}
	c.verdicts(res.Verdicts)
	fmt.Fprintf(c.out, "  report: %s\n", filepath.Join(dir, "report.html"))
	return nil
}

// verdicts prints what the checks found; what holds, in one line.
func (c *console) verdicts(all []campaign.Verdict) {
	var holds []string
	for _, v := range all {
		switch v.Outcome {
		case campaign.Holds:
			holds = append(holds, v.Check)
		case campaign.NotApplicable:
		default:
			fmt.Fprintf(c.out, "  %s %s: %s\n", v.Check, v.Outcome, v.Why)
		}
	}
	fmt.Fprintf(c.out, "  hold: %s\n", strings.Join(holds, " "))
}

// judge looks at the history of an earlier run again.
func (j *jepsenCmd) judge(c *console) error {
	f, err := os.Open(j.Judge)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	r, err := campaign.ReadRecord(f)
	if err != nil {
		return fmt.Errorf("%s: %w", j.Judge, err)
	}
	r.Strict = r.Strict || j.Strict
	verdicts, _ := r.Judge(j.Search)
	fmt.Fprintf(c.out, "%s, %s, seed %d: %d requests\n", r.Target, r.Workload, r.Seed, len(r.History.Ops))
	c.verdicts(verdicts)
	if !campaign.Good(verdicts) {
		return errors.New("the history shows a violation")
	}
	return nil
}

func write[T any](name string, what T, as func(io.Writer, T) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(as(f, what), f.Close())
}

// again is the command that does a run again.
func (j *jepsenCmd) again(res *campaign.Result) string {
	o := &res.Options
	faults := noneOfThem
	if len(o.Nemesis) > 0 {
		faults = strings.Join(o.Nemesis, ",")
	}
	args := []string{"quoll", "jepsen", "--target", j.Target}
	if !j.running() {
		args = append(args, "--servers", fmt.Sprint(o.Servers), "--nemesis", faults, "--network", o.Network)
	}
	args = append(args, "--workload", o.Workload, "--for", o.For.String(), "--rate", strconv.FormatFloat(o.Rate, 'f', -1, 64),
		"--clients", fmt.Sprint(o.Clients), "--pipeline", fmt.Sprint(o.Pipeline), "--session", o.Session.String(), "--seed", fmt.Sprint(o.Seed), "--search", o.Search.String())
	for _, given := range []struct{ flag, value string }{
		{"--binary", j.Binary}, {"--zookeeper", j.ZooKeeper}, {"--break", j.Break}, {"--heal", j.Heal},
	} {
		if given.value != "" {
			args = append(args, given.flag, given.value)
		}
	}
	if o.Strict {
		args = append(args, "--strict")
	}
	for i := range args {
		args[i] = quoted(args[i])
	}
	return strings.Join(args, " ")
}

// quoted is a word as a shell takes it for itself.
func quoted(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./,:=+@%", r)
	}
	if word != "" && !strings.ContainsFunc(word, func(r rune) bool { return !plain(r) }) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
