package campaign

import (
	"slices"
	"strings"

	"quoll/jepsen/check"
)

// protocolName is the check of what no answer can be.
const protocolName = "PROTOCOL"

// judge looks at all that was recorded.
func (b *bench) judge() {
	h := b.res.Outcome.History
	limits := check.DefaultLimits
	limits.Moves, limits.Search, limits.Strict = false, b.Search, b.Strict
	b.res.Violations = append(b.unserved(), check.AllWithin(h, limits)...)
	for _, f := range b.res.Outcome.Faults {
		b.res.Violations = append(b.res.Violations, check.Violation{Check: protocolName, Text: f.Text, At: f.At})
	}
	b.res.Violations = append(b.res.Violations, same(h, b.Clients)...)
	applicable := append(check.Applicable(h), protocolName, sameName, serveName)
	for _, name := range append(check.Names(), protocolName, sameName, serveName) {
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
		if name == serveName && v.Outcome == Holds {
			v.Why = strings.Join(b.excused(), "; ")
		}
		b.res.Verdicts = append(b.res.Verdicts, v)
	}
}
