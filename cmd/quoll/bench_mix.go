package main

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// opKind is what one measured operation does.
type opKind uint8

// The kinds of operation, in the order of reports.
const (
	kindSet opKind = iota
	kindCreate
	kindDelete
	kindGet
	kindExists
	kindLs
	kindSync
	kindSyncGet // sync and getData at once: a linearizable read, where sync is a barrier
	numKinds

	// kindPair stands only in a mix: a create, and once it was answered a delete of the same znode.
	kindPair
)

var kindNames = [...]string{
	kindSet: "set", kindCreate: "create", kindDelete: "delete", kindGet: "get", kindExists: "exists",
	kindLs: "ls", kindSync: "sync", kindSyncGet: "syncget", kindPair: "create+delete",
}

func (k opKind) String() string {
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return "kind " + strconv.Itoa(int(k))
}

// benchMix says how often each kind is chosen, relative to the sum of weights.
type benchMix []weightedKind

type weightedKind struct {
	kind   opKind
	weight int
}

// parseMix reads kind=weight,...; a kind alone weighs 100. delete needs something to delete, so it
// comes only with create.
func parseMix(s string) (benchMix, error) {
	var mix benchMix
	for item := range strings.SplitSeq(s, ",") {
		name, value, weighed := strings.Cut(item, "=")
		w := weightedKind{weight: 100}
		if weighed {
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 || n > 1_000_000 {
				return nil, fmt.Errorf("--mix: weight of %q: want a number from 1 to 1000000", item)
			}
			w.weight = n
		}
		found := false
		for k, known := range kindNames {
			if known == name && name != "" && opKind(k) != kindDelete {
				w.kind, found = opKind(k), true
			}
		}
		if !found {
			return nil, fmt.Errorf("--mix: %q is no operation; there are get set exists ls create create+delete sync syncget", name)
		}
		mix = append(mix, w)
	}
	return mix, nil
}

// pick chooses a kind.
func (m benchMix) pick(r *rand.Rand) opKind {
	if len(m) == 1 {
		return m[0].kind
	}
	total := 0
	for _, w := range m {
		total += w.weight
	}
	n := r.IntN(total)
	for _, w := range m {
		if n -= w.weight; n < 0 {
			return w.kind
		}
	}
	return m[len(m)-1].kind
}
