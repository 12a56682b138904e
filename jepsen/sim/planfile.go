package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"quoll/jepsen/workload"
	"quoll/zab"
)

// Plans in files: indented JSON, for people to change.

// WritePlan writes a plan.
func WritePlan(w io.Writer, p *Plan) error {
	b, err := json.MarshalIndent(p, "", "  ")
	if err == nil {
		_, err = w.Write(append(b, '\n'))
	}
	if err != nil {
		return fmt.Errorf("write the plan of seed %d: %w", p.Seed, err)
	}
	return nil
}

// ReadPlan reads one and refuses what no run can begin with.
func ReadPlan(r io.Reader) (Plan, error) {
	var p Plan
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return Plan{}, fmt.Errorf("read a plan: %w", err)
	}
	if err := p.check(); err != nil {
		return Plan{}, fmt.Errorf("this plan cannot be played: %w", err)
	}
	return p, nil
}

// The most that a plan may ask for, so that a slip in a file does not fill the memory.
const (
	mostServers = 26 // each has a letter
	mostClients = 1000
	mostFaultUs = 3_600_000_000
)

// check tells what is wrong with a plan, all of it.
func (p *Plan) check() error {
	var faults []error
	want := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	servers := p.Voters + p.Observers
	counted := p.Voters >= 1 && p.Observers >= 0 && p.Voters <= mostServers && p.Observers <= mostServers && servers <= mostServers
	want(counted, "voters %d, observers %d: 1 to %d servers, of which one votes", p.Voters, p.Observers, mostServers)
	if counted {
		_, err := zab.NewEnsemble(p.ensemble())
		want(err == nil, "the ensemble: %w", err)
	}
	want(p.Clients >= 1 && p.Clients <= mostClients, "clients %d: 1 to %d", p.Clients, mostClients)
	want(slices.Contains(workload.Names(), p.Workload), "workload %q: it is one of %v", p.Workload, workload.Names())
	want(p.FaultUs >= 0 && p.FaultUs <= mostFaultUs, "fault_us %d: 0 to %d", p.FaultUs, int64(mostFaultUs))
	want(p.TickUs >= 1000, "tick_us %d: at least 1000", p.TickUs)
	want(len(p.DriftUs) >= servers, "drift_us has %d entries for %d servers", len(p.DriftUs), servers)
	for _, us := range p.DriftUs {
		want(us > -p.TickUs, "drift_us %d: a tick of %d µs would never end", us, p.TickUs)
	}
	for _, name := range p.Checks {
		want(known[name], "checks: there is no %q", name)
	}
	for i := range p.Acts {
		a := &p.Acts[i]
		want(acts[a.Do] != nil, "acts[%d]: there is no act %q", i, a.Do)
		want(a.AtUs >= 0 && a.ForUs >= 0, "acts[%d]: at_us %d, for_us %d: time goes forward", i, a.AtUs, a.ForUs)
	}
	return errors.Join(faults...)
}
