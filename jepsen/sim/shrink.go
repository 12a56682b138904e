package sim

import (
	"slices"
	"strings"
	"time"
)

// Shrink returns a smaller plan that breaks the same promise: want is the Check of a Violation that
// plan leads to. It tries for as long as budget, and tells report of every smaller plan that it
// finds. A plan that does not break want is returned as it is, and so is one that hangs, since each
// try would leave a goroutine behind.
//
// Smaller is: fewer acts, then less of everything else. A change of one part moves all randomness
// behind it, so what is left is not a minimum; that each act alone is needed is true of the end.
func Shrink(plan Plan, want string, budget time.Duration, report func(Plan)) Plan {
	end := time.Now().Add(budget)
	s := shrinker{
		best: plan.Clone(), want: want, report: report,
		over: func() bool { return !time.Now().Before(end) },
		play: func(p Plan) *Result { return watched(p, func(p Plan) *Result { return Run(p, nil) }, HangTime) },
	}
	s.shrink()
	return s.best
}

// Clone returns a plan that shares nothing with p.
func (p *Plan) Clone() Plan {
	c := *p
	c.Acts, c.DriftUs, c.Weights = slices.Clone(p.Acts), slices.Clone(p.DriftUs), slices.Clone(p.Weights)
	return c
}

// shrinker holds the smallest plan so far.
type shrinker struct {
	best   Plan
	want   string
	like   string // what the text begins with: of panics, each is a failure of its own
	play   func(Plan) *Result
	over   func() bool
	report func(Plan)
}

func (s *shrinker) shrink() {
	if s.want == Hang {
		return
	}
	first := s.play(s.best.Clone())
	if !s.broken(first) {
		return
	}
	if s.want == panicked {
		s.like, _, _ = strings.Cut(first.Violation.Text, "\n")
	}
	s.past(first.Violation.At)
	for smaller := true; smaller && !s.over(); {
		smaller = s.fewerActs()
		for i := range numbers {
			smaller = s.lower(&numbers[i]) || smaller
		}
		for _, simplify := range simplifications {
			smaller = s.try(simplify) || smaller
		}
	}
}

func (s *shrinker) broken(r *Result) bool {
	return r.Violation != nil && r.Violation.Check == s.want && strings.HasPrefix(r.Violation.Text, s.like)
}

// try makes a change and keeps it if the promise is still broken. A change that changes nothing is
// not tried.
func (s *shrinker) try(change func(p *Plan) (changed bool)) bool {
	if s.over() {
		return false
	}
	p := s.best.Clone()
	if !change(&p) || p.check() != nil || !s.broken(s.play(p.Clone())) {
		return false
	}
	s.best = p
	if s.report != nil {
		s.report(p.Clone())
	}
	return true
}

// past drops what comes after the end.
func (s *shrinker) past(us int64) {
	s.try(func(p *Plan) bool {
		n := len(p.Acts)
		p.Acts = slices.DeleteFunc(p.Acts, func(a Act) bool { return a.AtUs > us })
		return len(p.Acts) < n
	})
}

// fewerActs is delta debugging (Zeller's ddmin, by complements): it leaves out ever smaller stretches
// of the acts, until none of them can be spared.
func (s *shrinker) fewerActs() (smaller bool) {
	pieces := 1
	for len(s.best.Acts) > 0 && !s.over() {
		size := (len(s.best.Acts) + pieces - 1) / pieces
		spared := false
		for from := 0; from < len(s.best.Acts); {
			spare := s.try(func(p *Plan) bool {
				p.Acts = slices.Delete(p.Acts, from, min(from+size, len(p.Acts)))
				return true
			})
			if spare {
				spared, smaller = true, true
			} else {
				from += size
			}
		}
		switch {
		case size > 1:
			pieces = min(2*pieces, len(s.best.Acts))
		case !spared:
			return smaller
		}
	}
	return smaller
}

// number is a part of a plan that can be lower, down to least.
type number struct {
	least int64
	at    func(p *Plan) int64
	set   func(p *Plan, n int64)
}

// numbers are the parts of which less is simpler.
var numbers = []number{
	{1, func(p *Plan) int64 { return int64(p.Clients) }, func(p *Plan, n int64) { p.Clients = int(n) }},
	{1, func(p *Plan) int64 { return int64(p.Operations) }, func(p *Plan, n int64) { p.Operations = int(n) }},
	{0, func(p *Plan) int64 { return p.FaultUs }, func(p *Plan, n int64) { p.FaultUs = n }},
	{0, func(p *Plan) int64 { return int64(p.Observers) }, func(p *Plan, n int64) { p.Observers = int(n) }},
	{1, func(p *Plan) int64 { return int64(p.Voters) }, func(p *Plan, n int64) { p.Voters = int(n) }},
}

// step is the least share of a number that it is lowered by: the last percents of a time are not
// worth a run.
const step = 16

// lower takes as much away as it can, at first all that there is, then half as much and so on.
func (s *shrinker) lower(n *number) (smaller bool) {
	less := n.at(&s.best) - n.least
	for less > 0 && less >= n.at(&s.best)/step && !s.over() {
		spared := s.try(func(p *Plan) bool {
			n.set(p, n.at(p)-less)
			return true
		})
		if spared {
			smaller, less = true, min(less, n.at(&s.best)-n.least)
		} else {
			less /= 2
		}
	}
	return smaller
}

// simplifications take habits away, one at a time.
var simplifications = []func(p *Plan) bool{
	func(p *Plan) bool { return zero(&p.OracleUs) },
	func(p *Plan) bool { return zero(&p.Hiccups) },
	func(p *Plan) bool { return zero(&p.VoteLoss) },
	func(p *Plan) bool { return zero(&p.VoteTwice) },
	func(p *Plan) bool { return zero(&p.HalfOpen) },
	func(p *Plan) bool { return zero(&p.PartialTurns) },
	func(p *Plan) bool { return zero(&p.SnapPieces) },
	func(p *Plan) bool { return zero(&p.BusyUs) },
	func(p *Plan) bool { return zero(&p.WindowBytes) },
	func(p *Plan) bool { return zero(&p.MaxCounter) },
	func(p *Plan) bool { return zero(&p.Auth) },
	func(p *Plan) bool {
		changed := len(p.Weights) > 0
		p.Weights = nil
		return changed
	},
	func(p *Plan) bool {
		p.Weights = nil // there are none without groups
		return zero(&p.Groups)
	},
	func(p *Plan) bool {
		changed := false
		for i := range p.DriftUs {
			changed = zero(&p.DriftUs[i]) || changed
		}
		return changed
	},
	func(p *Plan) bool {
		changed := p.Pipeline > 1
		p.Pipeline = 1
		return changed
	},
}

// zero reports whether v was something else.
func zero[T comparable](v *T) bool {
	var none T
	changed := *v != none
	*v = none
	return changed
}
