package sim

// faults draws acts. Each kind draws its own number, targets and times.
var faults = []Fault{
	{"power", "power losses: unsynced sectors survive, vanish or turn to garbage (N10-N15)", func(d *drawer, p *Plan) {
		d.acts(p, 1, 8, func(a *Act) { a.Do, a.Who = "power loss", d.target(p) })
	}},
	{"kill", "processes killed, the page cache survives (N11)", func(d *drawer, p *Plan) {
		d.acts(p, 1, 8, func(a *Act) { a.Do, a.Who = "kill", d.target(p) })
	}},
	{"crash-point", "crashes between any two operations of disk or network (N10)", func(d *drawer, p *Plan) {
		d.acts(p, 1, 10, func(a *Act) {
			a.Do, a.Who, a.Other, a.N = "crash in", d.target(p), d.from(0, 2), int64(d.from(1, d.oneOf(10, 100, 400)))
		})
	}},
	{"restarts", "all at once, one after another, or one for long (N24, N26)", func(d *drawer, p *Plan) {
		d.acts(p, 1, 4, func(a *Act) {
			a.Do, a.Who, a.Other = []string{"all down", "rolling restart", "down", "down"}[d.from(0, 3)], d.target(p), d.from(0, 1)
			a.ForUs = int64(d.from(50, 3000)) * 1000
		})
	}},
	{"leader", "the leader is hit at the edges of phases (N25)", func(d *drawer, p *Plan) {
		d.acts(p, 2, 10, func(a *Act) {
			a.On = moments[d.from(0, len(moments)-1)]
			a.Do = []string{"power loss", "kill", "isolate", "break links", "crash in", "pause"}[d.from(0, 5)]
			a.N, a.Other, a.ForUs = int64(d.from(1, 12)), d.from(0, 1), int64(d.from(20, 1500))*1000
		})
	}},
	{"partition", "halves, rings, bridges, isolated servers, both ways and one way (N7, N8)", func(d *drawer, p *Plan) {
		d.acts(p, 1, 6, func(a *Act) {
			a.Do = []string{"partition", "one-way partition", "isolate", "isolate", "ring", "bridge"}[d.from(0, 5)]
			a.Who, a.Other, a.N = d.target(p), d.from(0, 2), int64(d.r.IntN(1<<(p.Voters+p.Observers)))
			a.ForUs = int64(d.from(20, 2500)) * 1000
		})
	}},
	{"swizzle", "servers are clogged one by one and freed in another order (N9)", func(d *drawer, p *Plan) {
		d.acts(p, 1, 2, func(a *Act) { a.Do, a.ForUs = "swizzle", int64(d.from(100, 2000))*1000 })
	}},
	{"links", "links break, crawl, or carry nothing while elections go on, and the reverse (N1, N2, N4-N6, N8)", func(d *drawer, p *Plan) {
		p.HalfOpen = d.oneOf(200, 800)
		p.Hiccups = d.oneOf(1, 50)
		d.acts(p, 1, 12, func(a *Act) {
			a.Do = []string{"break links", "break links", "slow link", "links blocked", "deaf"}[d.from(0, 4)]
			a.Who, a.Other = d.target(p), d.from(1, p.Voters+p.Observers)
			a.N, a.ForUs = int64(d.from(1, 200))*1000, int64(d.from(20, 1500))*1000
		})
	}},
	{"votes", "notifications of the election are lost and repeated (N2, N3)", func(d *drawer, p *Plan) {
		p.VoteLoss, p.VoteTwice = d.oneOf(50, 300), d.oneOf(50, 400)
	}},
	{"slow-disk", "disks that are slow or hang (N19)", func(d *drawer, p *Plan) {
		d.acts(p, 1, 5, func(a *Act) {
			a.Do, a.Who = []string{"slow disk", "slow disk", "hung disk"}[d.from(0, 2)], d.target(p)
			a.N, a.ForUs = int64(d.oneOf(10, 100, 1000)), int64(d.from(20, 2000))*1000
		})
	}},
	{"full-disk", "no room for a time (N17)", func(d *drawer, p *Plan) {
		d.acts(p, 1, 4, func(a *Act) {
			a.Do, a.Who, a.ForUs = "full disk", d.target(p), int64(d.from(10, 1500))*1000
		})
	}},
	{"fsync", "an fsync fails once (N16)", func(d *drawer, p *Plan) {
		d.acts(p, 1, 4, func(a *Act) { a.Do, a.Who, a.N = "fsync fails", d.target(p), int64(d.from(1, 40)) })
	}},
	{"rot", "bits flip in snapshots and in the log, within the budget (N18)", func(d *drawer, p *Plan) {
		d.acts(p, 1, 3, func(a *Act) { a.Do, a.Who, a.N = "bit rot", d.from(1, p.Voters), int64(d.from(0, 9)) })
	}},
	{"wipe", "a disk is emptied, within the budget (N23)", func(d *drawer, p *Plan) {
		d.acts(p, 1, 2, func(a *Act) { a.Do, a.Who = "wipe", d.from(1, p.Voters+p.Observers) })
	}},
	{"pause", "processes stand still and go on (N20)", func(d *drawer, p *Plan) {
		d.acts(p, 1, 6, func(a *Act) {
			a.Do, a.Who, a.ForUs = "pause", d.target(p), int64(d.from(10, d.oneOf(300, 3000)))*1000
		})
	}},
	{"clock", "clocks run fast or slow, and jump by hours (N21)", func(d *drawer, p *Plan) {
		for i := range p.DriftUs {
			p.DriftUs[i] = int64(d.from(-400, 400))
		}
		d.acts(p, 1, 4, func(a *Act) {
			a.Do, a.Who, a.N = "clock jump", d.target(p), int64(d.from(-7_200_000, 7_200_000))
		})
	}},
	{"starve", "one task of a process gets no processor (N32)", func(d *drawer, p *Plan) {
		d.acts(p, 2, 10, func(a *Act) {
			a.Do, a.Who, a.N, a.ForUs = "starve", d.target(p), int64(d.from(0, 9)), int64(d.from(5, 500))*1000
		})
	}},
	{"snapshot", "snapshots at any time, and very often (N28)", func(d *drawer, p *Plan) {
		p.SnapCount = d.oneOf(3, 10)
		d.acts(p, 2, 20, func(a *Act) { a.Do, a.Who = "snapshot", d.from(1, p.Voters+p.Observers) })
	}},
	{"counter", "the counter of an epoch is used up soon (N29)", func(_ *drawer, p *Plan) { p.MaxCounter = 63 }},
	{"dead-branch", "leaders are cut off with writes under way, and crash (N27)", func(d *drawer, p *Plan) {
		d.acts(p, 1, 4, func(a *Act) {
			a.Do, a.N, a.ForUs = "dead branch", int64(d.from(0, 1)), int64(d.from(50, 1000))*1000
		})
	}},
	{"members", "a server is configured with other members for a time (N31)", func(d *drawer, p *Plan) {
		d.acts(p, 1, 1, func(a *Act) { a.Do, a.Who, a.ForUs = "stranger", d.target(p), int64(d.from(100, 2000))*1000 })
	}},
	{"clients", "clients move, come twice, and fall silent (N30)", func(d *drawer, p *Plan) {
		d.acts(p, 2, 15, func(a *Act) {
			a.Do, a.N = []string{"client cut", "client cut", "client twin", "client silent"}[d.from(0, 3)], int64(d.r.IntN(1<<p.Clients))
			a.ForUs = int64(d.from(100, 8000)) * 1000
		})
	}},
	{"oracle", "an adversary decides the elections (R24)", func(d *drawer, p *Plan) { p.OracleUs = int64(d.from(20, 500)) * 1000 }},

	// What is new comes last, so that a seed goes on meaning what it meant for all that was there before.
	{"floods", "clients ask for too much at once, and for what is too large (N30)", func(d *drawer, p *Plan) {
		p.TxnBytes, p.FrameBytes, p.PipeBytes = 32<<10, 64<<10, d.oneOf(1_000, 4_000, 20_000)
		d.acts(p, 2, 8, func(a *Act) {
			a.Do, a.Other, a.N = "client flood", d.from(0, len(floods)-1), int64(d.r.IntN(p.Clients))
		})
	}},
	{"transfers", "learners are hit while they get a snapshot (N5, N10, N28)", func(d *drawer, p *Plan) {
		p.SnapCount, p.WindowBytes, p.SnapPieces = d.oneOf(3, 10), 500, 20
		d.acts(p, 1, 2, func(a *Act) { a.Do, a.Who, a.ForUs = "down", d.from(1, p.Voters+p.Observers), 1_000_000 })
		d.acts(p, 2, 8, func(a *Act) {
			a.On = transfers[d.from(0, 1)]
			a.Do = []string{"break links", "crash in", "power loss", "kill"}[d.from(0, 3)]
			a.N, a.Other = int64(d.from(1, 12)), d.from(0, 1)
		})
	}},
	{"old-disk", "an older copy of a disk comes back, within the budget (N22)", func(d *drawer, p *Plan) {
		d.acts(p, 1, 3, func(a *Act) {
			a.Do, a.Who, a.ForUs = "old disk", d.from(1, p.Voters+p.Observers), int64(d.from(100, 3000))*1000
		})
	}},
	{"damage", "bits flip where the log ends, and sectors arrive in the wrong place, within the budget (N18)", func(d *drawer, p *Plan) {
		d.acts(p, 1, 4, func(a *Act) {
			a.Do, a.Who, a.Other, a.N = "damage", d.from(1, p.Voters), d.from(0, 2), int64(d.from(0, 9))
		})
	}},
	{"pairs", "a power loss while the disk is full, a crash while a snapshot is written (N10, N17)", func(d *drawer, p *Plan) {
		p.SnapCount, p.RestartUs = 3, 20_000
		for range d.from(2, 5) {
			at, who := d.r.Int64N(p.FaultUs), d.from(1, p.Voters+p.Observers)
			p.Acts = append(p.Acts,
				Act{AtUs: at, Do: "full disk", Who: who, ForUs: 500_000},
				Act{AtUs: at + int64(d.from(0, 50_000)), Do: "power loss", Who: who})
		}
		d.acts(p, 4, 12, func(a *Act) {
			a.Do, a.Who, a.Other, a.N = "crash in", d.from(1, p.Voters+p.Observers), d.from(0, 2), int64(d.from(1, 60))
		})
	}},
}

// acts draws from lo to hi acts.
func (d *drawer) acts(p *Plan, lo, hi int, fill func(a *Act)) {
	for range d.from(lo, hi) {
		a := Act{AtUs: d.r.Int64N(p.FaultUs)}
		fill(&a)
		p.Acts = append(p.Acts, a)
	}
}

// target draws a server, half of the time the leader of the moment.
func (d *drawer) target(p *Plan) int {
	if d.in(2) {
		return 0
	}
	return d.from(1, p.Voters+p.Observers)
}
