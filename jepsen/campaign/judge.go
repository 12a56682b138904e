package campaign

import (
	"slices"

	"quoll/jepsen/check"
)

// judge looks at all that was recorded.
func (b *bench) judge() {
	h := b.res.Outcome.History
	limits := check.DefaultLimits
	limits.Moves, limits.Search, limits.Strict = false, b.Search, b.Strict
	b.res.Violations = check.AllWithin(h, limits)
	for _, f := range b.res.Outcome.Faults {
		b.res.Violations = append(b.res.Violations, check.Violation{Check: "PROTOCOL", Text: f.Text, At: f.At})
	}
	b.res.Violations = append(b.res.Violations, same(h, b.Clients)...)
	applicable := append(check.Applicable(h), "PROTOCOL", sameName)
	for _, name := range append(check.Names(), "PROTOCOL", sameName) {
		v := Verdict{Check: name, Outcome: Holds}
		if !slices.Contains(applicable, name) {
			v.Outcome, v.Why = NotApplicable, "it needs the committed sequence, which only a simulator sees"
		}
		for _, x := range b.res.Violations {
			switch {
			case x.Check != name || v.Outcome == Violated:
			case x.Undecided:
				v.Outcome, v.Why = Undecided, x.Text
			default:
				v.Outcome, v.Why = Violated, x.Text
			}
		}
		b.res.Verdicts = append(b.res.Verdicts, v)
	}
}
