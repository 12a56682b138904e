package sim

import (
	"math/rand/v2"
	"slices"

	"quoll/jepsen/workload"
	"quoll/zab"
)

// Plan is everything that a run is made of. It is data: it can be kept in a file, changed by hand and
// made smaller (Shrink), and plays the same way each time.
type Plan struct {
	Seed       uint64 `json:"seed"`
	Voters     int    `json:"voters"`
	Observers  int    `json:"observers,omitempty"`
	Groups     bool   `json:"groups,omitempty"`  // hierarchical quorums
	Weights    []int  `json:"weights,omitempty"` // of the voters; empty: all weigh the same
	Clients    int    `json:"clients"`
	Workload   string `json:"workload"`
	Operations int    `json:"operations"`     // of each client
	Auth       bool   `json:"auth,omitempty"` // half of the clients prove an identity
	FaultUs    int64  `json:"fault_us"`       // how long things go wrong
	Acts       []Act  `json:"acts"`

	// The pace of the world, in µs, and its habits in cases of 1000.
	LatencyUs    [2]int64 `json:"latency_us"`
	FsyncUs      [2]int64 `json:"fsync_us"`
	BusyUs       int64    `json:"busy_us"`    // a task waits so long for the processor, at most
	RestartUs    int64    `json:"restart_us"` // a process is down so long, at most
	TickUs       int64    `json:"tick_us"`
	DriftUs      []int64  `json:"drift_us"`      // of each server's tick
	Hiccups      int      `json:"hiccups"`       // messages that are 50 times late
	VoteLoss     int      `json:"vote_loss"`     // notifications lost
	VoteTwice    int      `json:"vote_twice"`    // notifications repeated
	HalfOpen     int      `json:"half_open"`     // ends of connections that one side learns of late
	PartialTurns int      `json:"partial_turns"` // turns that leave something for the next
	SnapPieces   int64    `json:"snap_pieces"`

	// The servers' configuration, small so that edges are near.
	InitTicks    int    `json:"init_ticks"`
	SyncTicks    int    `json:"sync_ticks"`
	PingTicks    int    `json:"ping_ticks"`
	ReportTicks  int    `json:"report_ticks"`
	MaxCounter   uint64 `json:"max_counter,omitempty"`
	WindowBytes  int    `json:"window_bytes,omitempty"`
	SnapCount    int    `json:"snap_count"`
	SnapRetain   int    `json:"snap_retain"`
	SegmentBytes int64  `json:"segment_bytes"`
	// Bounds of what clients may ask for; 0: those of production.
	TxnBytes   int `json:"txn_bytes,omitempty"`   // of one txn, the closeSession included
	FrameBytes int `json:"frame_bytes,omitempty"` // of a request
	PipeBytes  int `json:"pipe_bytes,omitempty"`  // of a connection's requests that wait

	SessionMs   int32 `json:"session_ms"`
	Pipeline    int   `json:"pipeline"`     // open operations of a client
	PauseFactor int64 `json:"pause_factor"` // percent of the pauses of the workload

	OracleUs int64 `json:"oracle_us,omitempty"` // an adversary decides elections so often; 0: there is none

	// Checks are the only ones that count; nil: all. A bug is mostly seen first by the check that is
	// nearest to it: this asks what would notice if that one did not.
	Checks []string `json:"checks,omitempty"`
}

func (p *Plan) heeds(check string) bool { return p.Checks == nil || slices.Contains(p.Checks, check) }

// Limits is what the drawer of plans is told. The zero value leaves everything to the seed.
type Limits struct {
	Voters    [2]int   // at least and at most; zero: 1 to 7
	Observers int      // at most; -1: none; 0: 2
	Faults    []string // names of Faults; nil: all
	FaultUs   int64    // 0: the seed decides
	Workload  string   // empty: the seed decides
	Checks    []string // of the plan
}

// ensemble is the membership of a plan. With groups, voters fall into three of them.
func (p *Plan) ensemble() zab.EnsembleConfig {
	cfg := zab.EnsembleConfig{}
	for i := range p.Voters {
		cfg.Voters = append(cfg.Voters, zab.ServerID(i+1))
	}
	for i := range p.Observers {
		cfg.Observers = append(cfg.Observers, zab.ServerID(p.Voters+i+1))
	}
	if p.Groups {
		cfg.Groups = map[int][]zab.ServerID{}
		for i, id := range cfg.Voters {
			cfg.Groups[1+i%3] = append(cfg.Groups[1+i%3], id)
		}
	}
	if len(p.Weights) > 0 {
		cfg.Weights = map[zab.ServerID]int{}
		for i, id := range cfg.Voters {
			cfg.Weights[id] = p.Weights[i%len(p.Weights)]
		}
	}
	return cfg
}

// Draw makes a plan of a seed: which faults there are at all, how often, and the pace of everything
// (swarm testing: runs differ in kind, not only in order).
func Draw(seed uint64, l Limits) Plan {
	d := drawer{r: rand.New(rand.NewPCG(seed, 1))}
	p := Plan{Seed: seed, Checks: l.Checks}
	d.members(&p, &l)
	d.pace(&p)
	d.configuration(&p)
	p.Clients = d.from(1, 6)
	p.Workload = d.workload()
	if l.Workload != "" {
		p.Workload = l.Workload
	}
	p.Auth = d.in(4)
	p.FaultUs = int64(d.from(2, 12)) * 1_000_000
	if l.FaultUs > 0 {
		p.FaultUs = l.FaultUs
	}
	p.Operations = 20 + int(p.FaultUs/1_000_000)*d.from(5, 40)
	d.faults(&p, l.Faults)
	weigh(&p, &drawer{r: rand.New(rand.NewPCG(seed, 2))})
	return p
}

// weigh gives the voters of some plans weights: few of them, one heavy one, or none at all for some (N31). It
// draws from a source of its own, so that other plans stay what they were before there were weights.
func weigh(p *Plan, d *drawer) {
	share := 12
	if p.Groups {
		share = 2
	}
	if p.Voters < 3 || !d.in(share) {
		return
	}
	grouped := p.Groups
	p.Groups = true // there are no weights without groups
	for range p.Voters {
		p.Weights = append(p.Weights, d.oneOf(0, 1, 1, 1, 2, 3))
	}
	if _, err := zab.NewEnsemble(p.ensemble()); err != nil { // nobody is left who could be a quorum
		p.Weights, p.Groups = nil, grouped
	}
}

type drawer struct{ r *rand.Rand }

func (d *drawer) from(lo, hi int) int { return lo + d.r.IntN(hi-lo+1) }

// in is true in one of n cases.
func (d *drawer) in(n int) bool { return d.r.IntN(n) == 0 }

func (d *drawer) oneOf(values ...int) int { return values[d.r.IntN(len(values))] }

func (d *drawer) members(p *Plan, l *Limits) {
	lo, hi := l.Voters[0], l.Voters[1]
	if hi == 0 {
		p.Voters = d.oneOf(1, 2, 3, 3, 3, 3, 4, 5, 5, 5, 6, 7)
	} else {
		p.Voters = d.from(lo, hi)
	}
	most := l.Observers
	if most == 0 {
		most = 2
	}
	if most > 0 && d.in(3) {
		p.Observers = d.from(1, most)
	}
	p.Groups = p.Voters >= 5 && d.in(6)
}

func (d *drawer) workload() string {
	if d.in(2) {
		return "mixed"
	}
	names := workload.Simulated()
	return names[d.r.IntN(len(names))]
}

func (d *drawer) pace(p *Plan) {
	latency := int64(d.oneOf(20, 100, 500, 3000))
	p.LatencyUs = [2]int64{latency / 2, latency * int64(d.from(1, 4))}
	fsync := int64(d.oneOf(50, 200, 1000, 8000))
	p.FsyncUs = [2]int64{fsync / 2, fsync * int64(d.from(1, 4))}
	p.BusyUs = int64(d.oneOf(5, 50, 500, 3000))
	p.RestartUs = int64(d.oneOf(20_000, 200_000, 1_000_000))
	p.TickUs = 10_000
	for range p.Voters + p.Observers {
		p.DriftUs = append(p.DriftUs, 0)
	}
	p.Hiccups = d.oneOf(0, 0, 1, 20)
	p.VoteTwice = d.oneOf(0, 0, 20, 200)
	p.HalfOpen = d.oneOf(0, 100, 500)
	p.PartialTurns = d.oneOf(0, 200, 700)
	p.SnapPieces = int64(d.oneOf(0, 3, 20))
}

func (d *drawer) configuration(p *Plan) {
	p.InitTicks, p.SyncTicks, p.PingTicks = d.oneOf(60, 100), d.oneOf(30, 50), 5
	p.ReportTicks = d.oneOf(5, 10)
	p.SnapCount = d.oneOf(5, 20, 60, 100_000)
	p.SnapRetain = d.oneOf(2, 3)
	p.SegmentBytes = int64(d.oneOf(4<<10, 16<<10, 128<<10))
	if d.in(2) {
		p.WindowBytes = d.oneOf(500, 5_000)
	}
	p.SessionMs = int32(d.oneOf(400, 1000, 4000))
	p.Pipeline = d.oneOf(1, 1, 3, 10)
	p.PauseFactor = int64(d.oneOf(20, 100, 300))
}

// Fault is a kind of fault, with the nemeses of zab.md section 4 that it stands for.
type Fault struct {
	Name  string
	About string
	draw  func(d *drawer, p *Plan)
}

// Faults lists all kinds of fault.
func Faults() []Fault { return slices.Clone(faults) }

// faults draws which kinds there are, then each draws its acts.
func (d *drawer) faults(p *Plan, names []string) {
	for i := range faults {
		f := &faults[i]
		share := 3
		if names != nil {
			share = 1
		}
		if wanted := names == nil || slices.Contains(names, f.Name); wanted && d.in(share) {
			f.draw(d, p)
		}
	}
	slices.SortStableFunc(p.Acts, func(a, b Act) int { return int(a.AtUs - b.AtUs) })
}
