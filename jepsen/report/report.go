package report

import (
	"encoding/json"
	"io"
	"time"
)

// Run is what a report is about. Times are in seconds since the clients began.
type Run struct {
	Target   string  `json:"target"`
	Version  string  `json:"version"`
	Servers  int     `json:"servers"`
	Network  string  `json:"network"`
	Workload string  `json:"workload"`
	Seed     uint64  `json:"seed"`
	Command  string  `json:"command"` // that does the same again
	Harness  string  `json:"harness"` // commit of the harness: a seed draws the same at the same source only
	Began    string  `json:"began"`
	Length   float64 `json:"length_s"`

	Verdicts   []Verdict   `json:"verdicts"`
	Violations []Violation `json:"violations,omitempty"`
	Faults     []Fault     `json:"faults"`
	Skipped    []string    `json:"skipped,omitempty"`    // faults that could not be done, and why
	Notes      []string    `json:"notes,omitempty"`      // on faults
	Kinds      []string    `json:"kinds,omitempty"`      // of fault, that were to be drawn from
	Never      []string    `json:"never_done,omitempty"` // faults that could be done and were not, and why
	Figures    Figures     `json:"figures"`
	Seconds    []Second    `json:"seconds"`
	Logs       []Line      `json:"-"`
	Picture    string      `json:"-"` // a page of its own: porcupine's
}

// Verdict is what a check found.
type Verdict struct {
	Check   string `json:"check"`
	Outcome string `json:"outcome"`
	Why     string `json:"why,omitempty"`
}

// Violation is a broken promise.
type Violation struct {
	Check string   `json:"check"`
	At    float64  `json:"at_s"`
	Text  string   `json:"text"`
	Ops   []string `json:"operations,omitempty"` // those that prove it
}

// Fault is what was done to the servers.
type Fault struct {
	Kind    string  `json:"kind"`
	Servers []int   `json:"servers,omitempty"`
	Detail  string  `json:"detail,omitempty"`
	From    float64 `json:"from_s"`
	To      float64 `json:"to_s"`
	Err     string  `json:"error,omitempty"`
	Failed  bool    `json:"failed,omitempty"` // it was not done
}

// Figures are of the whole run; times are in milliseconds.
type Figures struct {
	Asked    int            `json:"asked"`
	OK       int            `json:"ok"`
	PerSec   float64        `json:"ok_per_second"`
	P50      float64        `json:"p50_ms"`
	P99      float64        `json:"p99_ms"`
	Max      float64        `json:"max_ms"`
	Gap      float64        `json:"longest_gap_ms"`
	GapAt    float64        `json:"longest_gap_at_s"`
	WriteGap float64        `json:"longest_write_gap_ms"`
	WriteAt  float64        `json:"longest_write_gap_at_s"`
	Errors   map[string]int `json:"errors"`
	Opened   int            `json:"sessions_opened"`
	Expired  int            `json:"sessions_expired"`
	Late     int            `json:"late"`   // requests that left late: a pipeline was full, or there was no connection
	Unsent   int            `json:"unsent"` // requests that were due and never left
}

// Second is what came back in one second; times are in milliseconds.
type Second struct {
	OK      int     `json:"ok"`
	Failed  int     `json:"failed"`
	Unknown int     `json:"unknown"`
	P50     float64 `json:"p50_ms"`
	P99     float64 `json:"p99_ms"`
}

// Line is a line of a server's log.
type Line struct {
	At     float64
	Server int
	Text   string
}

// OK reports whether nothing was violated.
func (r *Run) OK() bool { return len(r.Violations) == 0 }

// JSON writes a run for programs.
func JSON(w io.Writer, r *Run) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// Since returns the seconds from one time to another.
func Since(began, t time.Time) float64 { return t.Sub(began).Seconds() }
