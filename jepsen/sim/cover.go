package sim

import (
	"maps"
	"slices"
	"strings"

	"quoll"
	"quoll/jepsen/history"
	"quoll/log"
	"quoll/transport/wire"
	"quoll/zab"
)

// Coverage counts what happened, by name. A batch of runs that never saw one of Required is worth
// less than it seems, and fails.
type Coverage map[string]int

// Add counts one.
func (c Coverage) Add(name string) { c[name]++ }

// Merge adds another run's.
func (c Coverage) Merge(o Coverage) {
	for name, n := range o {
		c[name] += n
	}
}

// Missing returns which of the required are not there.
func (c Coverage) Missing(required []string) []string {
	return slices.DeleteFunc(slices.Clone(required), func(name string) bool { return c[name] > 0 })
}

// Names returns what was seen, sorted.
func (c Coverage) Names() []string { return slices.Sorted(maps.Keys(c)) }

// coverSend counts ways of synchronization, with the distance in epochs.
func (n *network) coverSend(env zab.Envelope) {
	var mode string
	switch env.Msg.Kind {
	case zab.Diff:
		mode = "sync: DIFF"
	case zab.Trunc:
		mode = "sync: TRUNC"
	case zab.Snap:
		mode = "sync: SNAP"
	case zab.AckEpoch:
		if env.Msg.NoCount {
			n.w.cover.Add("promise that does not count")
		}
		return
	default:
		return
	}
	if env.History.To != 0 {
		mode += ", then from the log"
	}
	n.w.cover.Add(mode)
}

// coverRecovery counts what a recovery found.
func (s *server) coverRecovery(r *log.Recovery) {
	c := s.w.cover
	switch st := &r.State; {
	case st.Silent:
		c.Add("recovery: silent")
	case st.History.Last() == 0:
		c.Add("recovery: empty")
	case st.Snapshot != 0 && len(st.Tail) == 0:
		c.Add("recovery: snapshot alone")
	case st.Snapshot != 0:
		c.Add("recovery: snapshot and log")
	default:
		c.Add("recovery: log alone")
	}
	if st := &r.State; st.History.Last().Epoch() > st.CurrentEpoch {
		c.Add("recovery: txns of a later epoch than the current one")
	}
	if r.State.CurrentEpoch < r.State.AcceptedEpoch {
		c.Add("recovery: promised and not adopted")
	}
	if r.Torn != nil {
		c.Add("recovery: torn tail")
	}
	if r.Abandoned != 0 {
		c.Add("recovery: unfinished installation")
	}
	if r.Missing != 0 {
		c.Add("recovery: newest snapshot missing")
	}
	if len(r.Quarantined) > 0 {
		c.Add("recovery: damaged snapshot put aside")
	}
}

// coverTurn counts what a turn decided.
func (s *server) coverTurn(a *quoll.Actions) {
	c, z := s.w.cover, s.peer.Zab()
	for i := range a.Violations {
		if v := &a.Violations[i]; v.Kind == zab.AckEpoch && strings.Contains(v.Text, "is more recent") {
			c.Add("follower is ahead")
		}
	}
	if z.Incarnation() == s.counted {
		return
	}
	if s.counted = z.Incarnation(); z.Role() != zab.Following && z.Role() != zab.Observing {
		return
	}
	// It has found its leader by what that says of itself and others of it, not in an election of its own.
	if l := s.w.server(z.Leader()); l.up && l.peer.Zab().Phase() == zab.Broadcast {
		c.Add("late joiner")
	}
}

// coverCommits counts what only the committed sequence shows.
func (w *World) coverCommits(commits []history.Commit) {
	const low = 1<<56 - 1 // of a session's id: the zxid that opened it (tree/prep.go)
	for i := range commits {
		c := &commits[i]
		if opened := zab.Zxid(c.Session & low); c.Op.Kind == wire.OpCloseSession && c.Xid == 0 && opened.Epoch() < c.Zxid.Epoch() {
			w.cover.Add("expired under a later leader")
		}
	}
}
