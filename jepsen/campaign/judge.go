package campaign

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"quoll/jepsen/check"
	"quoll/jepsen/history"
	"quoll/transport/wire"
	"quoll/zab"
)

// sameName is the check of what the survey found: every server shows the same.
const sameName = "SAME"

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

// shown is what a server says of a znode, as far as the end of a session cannot change it.
type shown struct {
	data         []byte
	czxid, mzxid zab.Zxid
	version      int32
	missing      bool
}

// same compares what the survey read from each server: the clients from first on, one for each server. Znodes of
// sessions that may end meanwhile are left out.
func same(h *history.History, first int) []check.Violation {
	servers := map[zab.ServerID]map[string]shown{}
	var order []zab.ServerID
	var last int
	for i := range h.Ops {
		o := &h.Ops[i]
		if o.Client < first || o.Op.Kind != wire.OpGetData || !o.Known() {
			continue
		}
		last = i
		if servers[o.Server] == nil {
			servers[o.Server] = map[string]shown{}
			order = append(order, o.Server)
		}
		s := &o.Result.Stat
		if s.EphemeralOwner == 0 {
			servers[o.Server][o.Op.Path] = shown{o.Result.Data, s.Czxid, s.Mzxid, s.Version, o.Result.Code != wire.OK}
		}
	}
	if len(order) < 2 {
		return nil
	}
	ephemeral := map[string]bool{}
	for i := range h.Ops {
		noteEphemerals(&h.Ops[i].Op, ephemeral)
	}
	var differ []string
	for path, a := range servers[order[0]] {
		for _, s := range order[1:] {
			b, ok := servers[s][path]
			if ephemeral[path] || !ok {
				continue
			}
			if !bytes.Equal(a.data, b.data) || a.czxid != b.czxid || a.mzxid != b.mzxid || a.version != b.version || a.missing != b.missing {
				differ = append(differ, fmt.Sprintf("%q: server %d shows version %d of %v, server %d version %d of %v",
					path, order[0], a.version, a.mzxid, s, b.version, b.mzxid))
			}
		}
	}
	if len(differ) == 0 {
		return nil
	}
	slices.Sort(differ)
	text := fmt.Sprintf("at the end, behind a sync, servers show different states: %s", strings.Join(differ[:min(3, len(differ))], "; "))
	return []check.Violation{{Check: sameName, Text: text, At: h.Ops[last].Return, Ops: []int{last}}}
}

// noteEphemerals notes the paths that may go with a session.
func noteEphemerals(op *history.Op, paths map[string]bool) {
	if op.Mode.Ephemeral() {
		paths[op.Path] = true
	}
	for i := range op.Ops {
		noteEphemerals(&op.Ops[i], paths)
	}
}
