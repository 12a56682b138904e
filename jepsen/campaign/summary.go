package campaign

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"quoll/jepsen/check"
	"quoll/jepsen/report"
)

const (
	pictured = 250 // operations in a picture
	provenBy = 8   // operations that are shown with a violation
)

// Report returns the result for people; command does the same again.
func (r *Result) Report(command string) (*report.Run, error) {
	h := r.Outcome.History
	out := &report.Run{
		Target: r.Options.Target.Name, Version: r.Version, Servers: r.Options.Servers, Network: r.NetworkIs, Workload: r.Options.Workload,
		Seed: r.Options.Seed, Command: command, Began: r.Outcome.Began.Format(time.RFC3339), Length: r.Options.For.Seconds(), Skipped: r.Skipped,
		Never: r.NeverDone(), Notes: r.Notes(), Kinds: r.Kinds,
	}
	for _, v := range r.Verdicts {
		out.Verdicts = append(out.Verdicts, report.Verdict(v))
	}
	var proof []int
	for _, v := range r.Violations {
		if v.Undecided {
			continue
		}
		x := report.Violation{Check: v.Check, At: float64(v.At.At) / 1e6, Text: v.Text}
		for _, i := range v.Ops[max(0, len(v.Ops)-provenBy):] {
			x.Ops = append(x.Ops, check.Describe(h, i))
		}
		if proof == nil {
			proof = v.Ops
		}
		out.Violations = append(out.Violations, x)
	}
	var notes []check.Note
	for _, f := range r.Faults {
		x := report.Fault{
			Kind: f.Kind, Servers: f.Servers, Detail: f.Detail, Err: f.Err, Failed: f.Failed,
			From: report.Since(r.Outcome.Began, f.From), To: report.Since(r.Outcome.Began, f.To),
		}
		out.Faults = append(out.Faults, x)
		if f.Failed {
			continue // nobody suffered it
		}
		notes = append(notes, check.Note{
			From: int64(x.From * 1e6), To: int64(x.To * 1e6), Tag: "faults",
			Text: strings.TrimSpace(f.Kind + " " + strings.Trim(fmt.Sprint(f.Servers), "[]") + " " + f.Detail),
		})
	}
	for _, l := range r.Logs {
		line := report.Line{At: report.Since(r.Outcome.Began, l.At), Server: l.Server, Text: l.Text}
		out.Logs = append(out.Logs, line)
		if elected(l.Text) {
			notes = append(notes, check.Note{
				From: int64(line.At * 1e6), To: int64(line.At * 1e6), Tag: fmt.Sprintf("server %d", l.Server), Text: brief(l.Text),
			})
		}
	}
	r.figures(out)
	var picture bytes.Buffer
	limits := check.DefaultLimits
	limits.Strict = r.Options.Strict
	err := check.Picture(&picture, h, limits, proof, pictured, notes)
	if errors.Is(err, check.ErrNoPicture) {
		return out, nil
	}
	out.Picture = picture.String()
	return out, err
}

func (r *Result) figures(out *report.Run) {
	f := r.Figures
	ms := func(us int64) float64 { return float64(us) / 1e3 }
	out.Figures = report.Figures{
		Asked: f.Asked, OK: f.OK, PerSec: f.PerSec, P50: ms(f.P50), P99: ms(f.P99), Max: ms(f.Max), Errors: f.Errors, Opened: f.Opened, Expired: f.Expired, Late: f.Late, Unsent: f.Unsent,
		Gap: ms(f.Gap), GapAt: float64(f.GapAt) / 1e6, WriteGap: ms(f.WriteGap), WriteAt: float64(f.WriteAt) / 1e6,
	}
	for _, s := range f.Seconds {
		out.Seconds = append(out.Seconds, report.Second{OK: s.OK, Failed: s.Failed, Unknown: s.Unknown, P50: ms(s.P50), P99: ms(s.P99)})
	}
}

// elected reports whether a line of a log, Quoll's or ZooKeeper's, tells of a new role.
func elected(text string) bool {
	return strings.Contains(text, "role=leading") || strings.Contains(text, "msg=role") || strings.Contains(text, "LEADING - LEADER ELECTION TOOK") ||
		strings.Contains(text, "FOLLOWING - LEADER ELECTION TOOK")
}

// brief is the end of a line of a log, which says the most.
func brief(text string) string {
	const most = 80
	if r := []rune(text); len(r) > most {
		return "…" + string(r[len(r)-most:])
	}
	return text
}
