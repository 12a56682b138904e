package measure

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// Kind is what one measured operation does.
type Kind uint8

// The kinds of operation, in the order of reports.
const (
	Set Kind = iota
	Create
	Delete
	Get
	Exists
	List
	Sync
	SyncGet // sync and getData at once: a linearizable read, where sync is a barrier
	NumKinds

	// Pair stands only in a mix: a create, and once it was answered a delete of the same znode.
	Pair
)

var kindNames = [...]string{
	Set: "set", Create: "create", Delete: "delete", Get: "get", Exists: "exists",
	List: "ls", Sync: "sync", SyncGet: "syncget", Pair: "create+delete",
}

func (k Kind) String() string {
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return "kind " + strconv.Itoa(int(k))
}

// Mix says how often each kind is chosen, relative to the sum of weights.
type Mix []Weighted

// Weighted is a kind and how often it is chosen.
type Weighted struct {
	Kind   Kind
	Weight int
}

// ParseMix reads kind=weight,...; a kind alone weighs 100. delete needs something to delete, so it
// comes only with create.
func ParseMix(s string) (Mix, error) {
	var mix Mix
	for item := range strings.SplitSeq(s, ",") {
		name, value, weighed := strings.Cut(item, "=")
		w := Weighted{Weight: 100}
		if weighed {
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 || n > 1_000_000 {
				return nil, fmt.Errorf("--mix: weight of %q: want a number from 1 to 1000000", item)
			}
			w.Weight = n
		}
		found := false
		for k, known := range kindNames {
			if known == name && name != "" && Kind(k) != Delete {
				w.Kind, found = Kind(k), true
			}
		}
		if !found {
			return nil, fmt.Errorf("--mix: %q is no operation; there are get set exists ls create create+delete sync syncget", name)
		}
		mix = append(mix, w)
	}
	return mix, nil
}

// Pick chooses a kind.
func (m Mix) Pick(r *rand.Rand) Kind {
	if len(m) == 1 {
		return m[0].Kind
	}
	total := 0
	for _, w := range m {
		total += w.Weight
	}
	n := r.IntN(total)
	for _, w := range m {
		if n -= w.Weight; n < 0 {
			return w.Kind
		}
	}
	return m[len(m)-1].Kind
}
