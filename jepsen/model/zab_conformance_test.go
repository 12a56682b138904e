package model_test

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quoll/jepsen/model"
	"quoll/zab"
)

// events are what may happen.
var events = []struct {
	weight int
	do     func(*ensemble)
}{
	{80, (*ensemble).deliver},
	{20, func(e *ensemble) {
		if s := e.some(); len(s.disk) > s.durable {
			s.sync(s.durable + 1 + e.pick(len(s.disk)-s.durable))
		}
	}},
	{6, func(e *ensemble) { e.some().report() }},
	{15, (*ensemble).propose},
	{4, (*ensemble).elect},
	{1, (*ensemble).misled},
	{10, func(e *ensemble) { e.some().connect() }},
	{6, (*ensemble).tick},
	{3, (*ensemble).settle},
	{1, (*ensemble).crash},
	{1, (*ensemble).broken},
	{8, (*ensemble).snapshot},
}

// step lets one thing happen. Who is down starts sooner or later.
func (e *ensemble) step() {
	total := 0
	for _, odds := range e.odds {
		total += odds
	}
	n := e.pick(total)
	for i, odds := range e.odds {
		if n -= odds; n < 0 {
			events[i].do(e)
			return
		}
	}
}

// some returns a machine that runs: one that is down is started.
func (e *ensemble) some() *machine {
	s := e.all[e.pick(len(e.all))]
	if s.peer == nil {
		s.start()
	}
	return s
}

func (e *ensemble) deliver() {
	if len(e.links) == 0 {
		return
	}
	l, i := e.links[e.pick(len(e.links))], e.pick(2)
	to := &l.ends[i]
	for range 1 + e.pick(4) {
		switch {
		case !to.open:
			return
		case len(to.inbox) > 0:
			m := to.inbox[0]
			to.inbox = to.inbox[1:]
			e.took[m.Kind.String()]++
			to.turn(func(p *zab.Peer, out *zab.Actions) { p.Receive(to.id, m, out) })
		case to.eof:
			e.shut(to.id)
			to.turn(func(p *zab.Peer, out *zab.Actions) { p.LinkDown(to.id, out) })
		}
	}
}

// settle lets most of what is under way arrive.
func (e *ensemble) settle() {
	for range e.pick(12) {
		for range 2 * len(e.links) {
			e.deliver()
		}
		for _, s := range e.all {
			if s.peer != nil && e.pick(4) > 0 {
				s.sync(len(s.disk))
				s.report()
			}
		}
	}
}

// tick lets time pass: the same for most.
func (e *ensemble) tick() {
	for _, s := range e.all {
		if s.peer != nil && e.pick(8) > 0 {
			s.turn((*zab.Peer).Tick)
		}
	}
}

func (e *ensemble) propose() {
	for _, s := range e.all {
		if s.peer == nil || s.peer.Role() != zab.Leading || !s.peer.Serving() {
			continue
		}
		s.turn(func(p *zab.Peer, out *zab.Actions) {
			for range 1 + e.pick(3) {
				e.n++
				p.Propose(fmt.Append(nil, e.n), out)
			}
		})
	}
}

// elect has everybody follow a leader that serves. If there is none, or at random, who does not serve
// gives up, and the most recent of some servers leads.
func (e *ensemble) elect() {
	leader := e.serving()
	if leader == nil || e.pick(30) == 0 {
		leader = nil
		for _, s := range e.all {
			if s.peer != nil && s.peer.Phase() != zab.Broadcast {
				s.turn((*zab.Peer).Abdicate)
			}
			if s.peer == nil || s.peer.Role() != zab.Looking || !e.rules.Electable(s.id) || e.pick(5) == 0 {
				continue
			}
			if leader == nil || s.peer.CurrentEpoch() > leader.peer.CurrentEpoch() ||
				s.peer.CurrentEpoch() == leader.peer.CurrentEpoch() && s.peer.LastDurable() > leader.peer.LastDurable() {
				leader = s
			}
		}
		if leader == nil {
			return
		}
		leader.turn((*zab.Peer).Lead)
	}
	for _, s := range e.all {
		if s.peer != nil && s.peer.Role() == zab.Looking {
			s.turn(func(p *zab.Peer, out *zab.Actions) { p.Follow(leader.id, out) })
		}
		s.connect()
	}
}

// serving returns a leader that serves, of the latest epoch.
func (e *ensemble) serving() (leader *machine) {
	for _, s := range e.all {
		if s.peer != nil && s.peer.Role() == zab.Leading && s.peer.Serving() &&
			(leader == nil || s.peer.Epoch() > leader.peer.Epoch()) {
			leader = s
		}
	}
	return leader
}

// misled is an election that went wrong: safety does not rest on it (R24).
func (e *ensemble) misled() {
	s, leader := e.some(), e.some()
	switch {
	case s.peer.Role() != zab.Looking:
	case s == leader && e.rules.Electable(s.id):
		s.turn((*zab.Peer).Lead)
	case s != leader && e.rules.IsVoter(leader.id):
		s.turn(func(p *zab.Peer, out *zab.Actions) { p.Follow(leader.id, out) })
	}
}

func (s *machine) connect() {
	e := s.ensemble
	if s.peer == nil || s.dialing == 0 || e.all[s.dialing-1].peer == nil {
		return
	}
	to := e.all[s.dialing-1]
	l := &link{}
	for i, m := range []*machine{s, to} {
		e.last++
		l.ends[i] = end{machine: m, id: e.last, open: true}
	}
	e.links = append(e.links, l)
	s.dialing = 0
	s.turn(func(p *zab.Peer, out *zab.Actions) { p.LinkUp(l.ends[0].id, to.id, true, out) })
	if l.ends[1].open {
		to.turn(func(p *zab.Peer, out *zab.Actions) { p.LinkUp(l.ends[1].id, s.id, false, out) })
	}
}

// crash ends a process, or cuts the power: some of what was not synced stays.
func (e *ensemble) crash() {
	s := e.all[e.pick(len(e.all))]
	if s.peer == nil {
		return
	}
	s.peer = nil
	s.disk = s.disk[:s.durable+e.pick(len(s.disk)-s.durable+1)]
	for _, l := range slices.Clone(e.links) {
		for i := range l.ends {
			if l.ends[i].machine == s && l.ends[i].open {
				e.shut(l.ends[i].id)
			}
		}
	}
}

// broken breaks a link, with what is under way on it.
func (e *ensemble) broken() {
	if len(e.links) == 0 {
		return
	}
	l := e.links[e.pick(len(e.links))]
	for i := range l.ends {
		l.ends[i].inbox, l.ends[i].eof = nil, true
	}
}

func (e *ensemble) snapshot() {
	s := e.some()
	z := s.peer.Delivered()
	if c := s.read(); z == 0 || c.aside != nil || !c.has(z) {
		return
	}
	s.own = z
	if e.pick(3) > 0 {
		s.horizon = z
	}
	s.turn(func(p *zab.Peer, out *zab.Actions) { p.Snapshotted(z, s.horizon, out) })
}

// Whatever real peers do, on disks and links that keep their promises, is a step of the paper's.
func TestPeersRefineZab(t *testing.T) {
	took := make(map[string]int)
	bit := rapid.Bool()
	rapid.Check(t, func(t *rapid.T) {
		e := newEnsemble(func(n int) int { // with equal chances, which rapid's ranges do not give
			for {
				v := 0
				for range bits.Len(uint(n - 1)) {
					v <<= 1
					if bit.Draw(t, "bit") {
						v |= 1
					}
				}
				if v < n {
					return v
				}
			}
		}, "")
		for range 400 {
			e.step()
			require.NoError(t, e.err)
		}
		require.NoError(t, e.paper.Check())
		for what, n := range e.took {
			took[what] += n
		}
	})
	for seed := range uint64(200) {
		e := newEnsemble(rand.New(rand.NewPCG(seed, 2)).IntN, "")
		for range 2000 {
			e.step()
		}
		require.NoError(t, e.err, "seed %d", seed)
		require.NoError(t, e.paper.Check(), "seed %d", seed)
		for what, n := range e.took {
			took[what] += n
		}
	}
	t.Log(took)
	for _, what := range []string{ // a random test that does not get somewhere tests nothing there
		"AcceptedEpoch", "CurrentEpoch", "Txn", "Truncate", "Install", "Abandon", "Snapshot",
		"lead", "propose", "deliver", "commit", "install", "restarted", "Inform",
	} {
		require.Positive(t, took[what], what)
	}
}

// The same peers in a shell that breaks a promise take steps that the paper's protocol does not have.
func TestFlawsAreRefused(t *testing.T) {
	for _, flaw := range []string{
		"messages do not wait for the disk", "the disk lies", "promises are forgotten", "epochs overtake txns",
		"truncations come too low", "a half installed snapshot is recovered",
	} {
		var refusal *model.Refusal
		for seed := uint64(0); refusal == nil && seed < 400; seed++ {
			e := newEnsemble(rand.New(rand.NewPCG(seed, 3)).IntN, flaw)
			for n := 0; n < 2000 && e.err == nil; n++ {
				e.step()
			}
			if e.err != nil {
				require.ErrorAs(t, e.err, &refusal, flaw)
			}
		}
		require.NotNil(t, refusal, flaw)
		t.Logf("%s: %v", flaw, refusal)
	}
}
