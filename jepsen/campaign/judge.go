package campaign

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"quoll/jepsen/check"
	"quoll/jepsen/driver"
	"quoll/jepsen/history"
)

// protocolName is the check of what no answer can be.
const protocolName = "PROTOCOL"

// Record is what a run is judged by; written to a file, it can be judged again by checks that know more.
type Record struct {
	Target   string
	Workload string
	Seed     uint64
	Clients  int // who worked; behind them come those that read each server at the end
	Strict   bool
	History  *history.History
	Faults   []driver.Fault    // PROTOCOL
	Unserved []check.Violation // SERVE
	Excused  []string          // why SERVE holds all the same
}

// Write writes a record as compressed JSON.
func (r *Record) Write(w io.Writer) error {
	z := gzip.NewWriter(w)
	return errors.Join(json.NewEncoder(z).Encode(r), z.Close())
}

// ReadRecord reads what Write has written.
func ReadRecord(r io.Reader) (*Record, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("campaign: this is no record of a run: %w", err)
	}
	rec := &Record{}
	if err = errors.Join(json.NewDecoder(z).Decode(rec), z.Close()); err == nil && rec.History == nil {
		err = errors.New("there is no history in it")
	}
	if err != nil {
		return nil, fmt.Errorf("campaign: this is no record of a run: %w", err)
	}
	return rec, nil
}

// Judge looks at all that was recorded. search bounds C-LINW.
func (r *Record) Judge(search time.Duration) (verdicts []Verdict, violations []check.Violation) {
	limits := check.DefaultLimits
	limits.Moves, limits.Search, limits.Strict = false, search, r.Strict
	limits.Writes = r.Target == "quoll" // ZooKeeper's leader waits for the reports of servers
	violations = check.AllWithin(r.History, limits)
	for _, f := range r.Faults {
		violations = append(violations, check.Violation{Check: protocolName, Text: f.Text, At: f.At})
	}
	violations = append(violations, same(r.History, r.Clients)...)
	violations = append(violations, r.Unserved...) // last: what clients saw says more, and a report begins with it
	applicable := append(check.Applicable(r.History), protocolName, sameName, serveName)
	byClients := check.ByClients(r.History)
	for _, name := range append(check.Names(), protocolName, sameName, serveName) {
		v := Verdict{Check: name, Outcome: Holds}
		if !slices.Contains(applicable, name) {
			v.Outcome, v.Why = NotApplicable, "the history has no evidence for it"
		}
		if slices.Contains(byClients, name) {
			v.Why = "by what clients can prove, who have not seen the committed sequence"
		}
		for _, x := range violations {
			switch {
			case x.Check != name || v.Outcome == Violated:
			case x.Undecided:
				v.Outcome, v.Why = Undecided, x.Text
			default:
				v.Outcome, v.Why = Violated, x.Text
			}
		}
		if name == serveName && v.Outcome == Holds {
			v.Why = strings.Join(r.Excused, "; ")
		}
		verdicts = append(verdicts, v)
	}
	return verdicts, violations
}

// judge looks at what the run has recorded.
func (b *bench) judge() {
	r := &Record{
		Target: b.Target.Name, Workload: b.Workload, Seed: b.Seed, Clients: b.Clients, Strict: b.Strict, History: b.res.Outcome.History,
		Faults: b.res.Outcome.Faults, Unserved: b.unserved(), Excused: b.excused(),
	}
	b.res.Record = r
	b.res.Verdicts, b.res.Violations = r.Judge(b.Search)
}
