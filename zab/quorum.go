package zab

import (
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math/bits"
	"slices"
)

// Set is a set of servers, a value that is copied and compared with ==. The zero Set is empty.
type Set [4]uint64

// Add puts id into the set.
func (s *Set) Add(id ServerID) { s[id/64] |= 1 << (id % 64) }

// Remove takes id out of the set.
func (s *Set) Remove(id ServerID) { s[id/64] &^= 1 << (id % 64) }

// Has reports whether id is in the set.
func (s Set) Has(id ServerID) bool { return s[id/64]&(1<<(id%64)) != 0 }

// Len returns the number of servers in the set.
func (s Set) Len() int {
	n := 0
	for _, word := range s {
		n += bits.OnesCount64(word)
	}
	return n
}

// SubsetOf reports whether every server of s is in t.
func (s Set) SubsetOf(t Set) bool {
	for i, word := range s {
		if word&^t[i] != 0 {
			return false
		}
	}
	return true
}

func (s Set) intersect(t Set) Set {
	for i := range s {
		s[i] &= t[i]
	}
	return s
}

// MaxWeight is the largest weight of a voter.
const MaxWeight = 1<<31 - 1

// EnsembleConfig is a membership as an operator writes it: server.N, group.N and weight.N lines.
type EnsembleConfig struct {
	Voters    []ServerID // server.N with the role participant
	Observers []ServerID // server.N with the role observer

	// Groups are the group.N lines and ask for hierarchical quorums: every voter is in exactly
	// one of them. None: a quorum is a majority of the voters.
	Groups map[int][]ServerID
	// Weights are the weight.N lines, 0 to MaxWeight; a voter that is not named weighs 1. They
	// need groups, as in ZooKeeper.
	Weights map[ServerID]int
}

// Member is one server of an Ensemble, with every default filled in.
type Member struct {
	ID       ServerID
	Observer bool
	Weight   int // 0 in an observer, 1 in a voter of a majority ensemble
	Group    int // 0 in an observer and in a majority ensemble
}

// Ensemble is a fixed membership and the only place where servers are counted: whoever counts,
// asks Quorum (ZOOKEEPER-1192, 1343 and 2959 each counted the wrong set at one of many places).
// It never changes after NewEnsemble, so everybody may read it.
type Ensemble struct {
	members      []Member
	voters       []ServerID
	voterSet     Set
	memberSet    Set
	electable    Set
	groups       []group // those with a weight; nil: majority quorums
	hierarchical bool
}

// group is one group of a hierarchical ensemble.
type group struct {
	members []Member
	weight  uint64 // sum of the members' weights, never 0
}

// NewEnsemble builds the membership or returns every fault of cfg, each naming its server.
func NewEnsemble(cfg EnsembleConfig) (*Ensemble, error) {
	e := &Ensemble{hierarchical: len(cfg.Groups) > 0 || len(cfg.Weights) > 0}
	var faults []error
	for _, id := range cfg.Voters {
		faults = append(faults, e.add(Member{ID: id, Weight: 1}))
	}
	for _, id := range cfg.Observers {
		faults = append(faults, e.add(Member{ID: id, Observer: true}))
	}
	if len(cfg.Voters) == 0 {
		faults = append(faults, errors.New("no server votes: at least one must be a participant"))
	}
	slices.SortFunc(e.members, func(a, b Member) int { return int(a.ID) - int(b.ID) })
	if e.hierarchical {
		faults = append(faults, e.assign(&cfg), e.gather())
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("ensemble: %w", err)
	}
	for _, m := range e.members {
		if m.Observer {
			continue
		}
		e.voters = append(e.voters, m.ID)
		if m.Weight > 0 {
			e.electable.Add(m.ID)
		}
	}
	return e, nil
}

func (e *Ensemble) add(m Member) error {
	switch {
	case m.ID == 0:
		return errors.New("server.0: server ids are 1 to 255")
	case e.memberSet.Has(m.ID):
		return fmt.Errorf("server.%d is named twice", m.ID)
	}
	e.memberSet.Add(m.ID)
	if !m.Observer {
		e.voterSet.Add(m.ID)
	}
	e.members = append(e.members, m)
	return nil
}

// assign gives each voter its group and its weight.
func (e *Ensemble) assign(cfg *EnsembleConfig) error {
	var faults []error
	var grouped Set
	for _, g := range slices.Sorted(maps.Keys(cfg.Groups)) {
		for _, id := range cfg.Groups[g] {
			m := e.voter(id)
			switch {
			case m == nil:
				faults = append(faults, fmt.Errorf("group.%d: server.%d does not vote", g, id))
			case grouped.Has(id):
				faults = append(faults,
					fmt.Errorf("server.%d is in group.%d and in group.%d", id, m.Group, g))
			default:
				grouped.Add(id)
				m.Group = g
			}
		}
	}
	for _, m := range e.members {
		if !m.Observer && !grouped.Has(m.ID) {
			faults = append(faults, fmt.Errorf(
				"server.%d is in no group: add it to one, or remove all group.N and weight.N", m.ID))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(cfg.Weights)) {
		m, weight := e.voter(id), cfg.Weights[id]
		switch {
		case m == nil:
			faults = append(faults, fmt.Errorf("weight.%d: server.%d does not vote", id, id))
		case weight < 0 || weight > MaxWeight:
			faults = append(faults, fmt.Errorf("weight.%d=%d: must be 0 to %d", id, weight, MaxWeight))
		default:
			m.Weight = weight
		}
	}
	return errors.Join(faults...)
}

func (e *Ensemble) voter(id ServerID) *Member {
	for i := range e.members {
		if m := &e.members[i]; m.ID == id && !m.Observer {
			return m
		}
	}
	return nil
}

// gather collects the groups. One whose servers all weigh nothing can never be satisfied, so it
// is not among those of which a quorum needs more than half (protocol.md 12.6).
func (e *Ensemble) gather() error {
	byNumber := make(map[int]*group)
	for _, m := range e.members {
		if m.Weight <= 0 {
			continue
		}
		g := byNumber[m.Group]
		if g == nil {
			g = new(group)
			byNumber[m.Group] = g
		}
		g.members = append(g.members, m)
		g.weight += uint64(m.Weight)
	}
	for _, n := range slices.Sorted(maps.Keys(byNumber)) {
		e.groups = append(e.groups, *byNumber[n])
	}
	if len(e.groups) == 0 && e.voterSet.Len() > 0 {
		return errors.New("every voter weighs 0: no quorum is possible")
	}
	return nil
}

// Quorum reports whether the voters in s can decide: a majority of all voters or, with groups,
// more than half of the groups, each with more than half of its weight. Observers and strangers
// in s count for nothing. Any two quorums have a voter in common, which is all that the safety
// of Zab asks of them.
func (e *Ensemble) Quorum(s Set) bool {
	if !e.hierarchical {
		return 2*s.intersect(e.voterSet).Len() > len(e.voters)
	}
	satisfied := 0
	for i := range e.groups {
		g := &e.groups[i]
		var weight uint64
		for j := range g.members {
			if m := &g.members[j]; s.Has(m.ID) {
				weight += uint64(m.Weight)
			}
		}
		if 2*weight > g.weight {
			satisfied++
		}
	}
	return 2*satisfied > len(e.groups)
}

// Voters returns the voters, sorted. The slice is shared and must not be changed.
func (e *Ensemble) Voters() []ServerID { return e.voters }

// Members returns all servers, sorted by id. The slice is shared and must not be changed.
func (e *Ensemble) Members() []Member { return e.members }

// Hierarchical reports whether quorums are counted by groups and weights.
func (e *Ensemble) Hierarchical() bool { return e.hierarchical }

// IsVoter reports whether id votes and acks.
func (e *Ensemble) IsVoter(id ServerID) bool { return e.voterSet.Has(id) }

// IsMember reports whether id is a voter or an observer.
func (e *Ensemble) IsMember(id ServerID) bool { return e.memberSet.Has(id) }

// Electable reports whether id may lead: a voter that weighs something.
func (e *Ensemble) Electable(id ServerID) bool { return e.electable.Has(id) }

// Digest identifies the membership: ids, roles, groups and weights. Servers whose digests differ
// could count quorums that do not intersect, so they refuse each other's connections.
func (e *Ensemble) Digest() uint64 {
	h := fnv.New64a()
	for _, m := range e.members {
		_, _ = fmt.Fprintf(h, "%d %t %t %d %d\n", m.ID, m.Observer, e.hierarchical, m.Weight, m.Group)
	}
	return h.Sum64()
}
