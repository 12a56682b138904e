package model

import (
	"fmt"
	"slices"

	"quoll/zab"
)

// Broken is a property of the protocol that does not hold. That none is, whatever steps with their
// guards are taken, is what the tests of this package explore.
type Broken struct{ Invariant, Text string }

func (b *Broken) Error() string { return b.Invariant + ": " + b.Text }

// Check looks for a broken invariant in the whole state. It walks over all histories: for tests, and
// for the end of a run.
func (m *Zab) Check() error {
	for _, check := range []func(*Zab) error{
		(*Zab).checkLeaders, (*Zab).checkChains, (*Zab).checkAdopted, (*Zab).checkCompleteness,
		(*Zab).checkDurability, (*Zab).checkDelivered,
	} {
		if err := check(m); err != nil {
			return err
		}
	}
	return nil
}

// checkLeaders: an epoch has at most one leader, ever (L1, I-LEAD2).
func (m *Zab) checkLeaders() error {
	for e := range m.highest + 1 {
		if ep := m.epochs[e]; ep != nil && ep.led > 1 {
			return &Broken{"one leader per epoch", fmt.Sprintf("epoch %d was led %d times, last by %d", e, ep.led, ep.leader)}
		}
	}
	return nil
}

// checkChains: wherever a txn is, it follows what it was proposed to follow (L4, I-MATCH), and Canon
// is committed by ever later epochs.
func (m *Zab) checkChains() error {
	for i, t := range m.canon.txns[1:] {
		if t.before != m.canon.txns[i] || m.canon.by[i+1] < m.canon.by[i] {
			return &Broken{"chain", fmt.Sprintf("canon has %v behind %v", t.Zxid, m.canon.txns[i].Zxid)}
		}
	}
	for _, member := range m.ensemble.Members() {
		s := m.servers[member.ID]
		before := m.canon.txns[s.history.shared-1]
		for _, t := range s.history.tail {
			if t.before != before || !before.Zxid.Precedes(t.Zxid) {
				return &Broken{"chain", fmt.Sprintf("server %d has %v behind %v", s.id, t.Zxid, before.Zxid)}
			}
			before = t
		}
	}
	return nil
}

// checkAdopted: a current epoch means its initial history, unless a later synchronization is under
// way (I-EPOCH, I-CEHIST).
func (m *Zab) checkAdopted() error {
	for _, member := range m.ensemble.Members() {
		s := m.servers[member.ID]
		ep := m.epoch(s.current)
		switch {
		case s.current > s.accepted:
			return &Broken{"epochs", fmt.Sprintf("server %d adopted %d and promised %d", s.id, s.current, s.accepted)}
		case s.current == s.accepted && s.current != 0 && !s.history.has(ep.initial.last()):
			return &Broken{"adopted history", fmt.Sprintf("server %d has current epoch %d and not its initial history",
				s.id, s.current)}
		}
		if z := m.committedBefore(s.current); s.voter && !s.history.has(z) {
			return &Broken{"adopted history", fmt.Sprintf(
				"server %d has current epoch %d and not %v, which was committed before", s.id, s.current, z.Zxid)}
		}
	}
	return nil
}

// committedBefore returns the last txn that an epoch before e committed.
func (m *Zab) committedBefore(e zab.Epoch) *txn {
	n, _ := slices.BinarySearch(m.canon.by, e)
	return m.canon.txns[max(n-1, 0)]
}

// checkCompleteness: who leads an established epoch begins with everything that earlier epochs have
// committed, and ever will (L3, I-LC); established initial histories continue each other.
func (m *Zab) checkCompleteness() error {
	var before *txn
	var beforeEpoch zab.Epoch
	for e := range m.highest + 1 {
		ep := m.epochs[e]
		if ep == nil || ep.led == 0 {
			continue
		}
		if z := m.committedBefore(e); !ep.initial.has(z) {
			return &Broken{"leader completeness", fmt.Sprintf("epoch %d is led without %v, which is committed", e, z.Zxid)}
		}
		if !m.ensemble.Quorum(ep.adopted) {
			continue
		}
		if before != nil && !ep.initial.has(before) {
			return &Broken{"initial histories", fmt.Sprintf("I[%d] does not continue I[%d]", e, beforeEpoch)}
		}
		before, beforeEpoch = ep.initial.last(), e
	}
	return nil
}

// checkDurability: what is committed is on the disks of a quorum, those not counted that were wiped
// (I-DUR). Canon is one history, so its end says it for all of it.
func (m *Zab) checkDurability() error {
	last := m.canon.last()
	var holders zab.Set
	for _, id := range m.ensemble.Voters() {
		if s := m.servers[id]; s.forgetful || s.history.has(last) {
			holders.Add(id)
		}
	}
	if !m.ensemble.Quorum(holders) {
		return &Broken{"durability", fmt.Sprintf("%v is committed and on %d disks", last.Zxid, holders.Len())}
	}
	return nil
}

// checkDelivered: a tree shows what its own log can explain (R16, I-APPLY).
func (m *Zab) checkDelivered() error {
	for _, member := range m.ensemble.Members() {
		if s := m.servers[member.ID]; !s.history.has(s.delivered) {
			return &Broken{"delivered", fmt.Sprintf("server %d shows %v, its log ends at %v",
				s.id, s.delivered.Zxid, s.history.last().Zxid)}
		}
	}
	return nil
}
