package zab

// tally finds the highest value that a quorum of voters has reached: the zxid up to which
// proposals are committed, the confirmation round that has succeeded. It is asked at every ack,
// so the voters stay sorted and nothing is allocated.
type tally struct {
	ensemble *Ensemble
	reached  []reach // one for each voter, highest value first
}

type reach struct {
	server ServerID
	value  uint64
}

func newTally(e *Ensemble) tally {
	t := tally{ensemble: e, reached: make([]reach, 0, len(e.Voters()))}
	for _, id := range e.Voters() {
		t.reached = append(t.reached, reach{server: id})
	}
	return t
}

// set notes the value of a voter; other servers are ignored.
func (t *tally) set(id ServerID, value uint64) {
	i := 0
	for ; i < len(t.reached); i++ {
		if t.reached[i].server == id {
			break
		}
	}
	if i == len(t.reached) {
		return
	}
	t.reached[i].value = value
	for ; i > 0 && t.reached[i-1].value < value; i-- {
		t.reached[i], t.reached[i-1] = t.reached[i-1], t.reached[i]
	}
	for ; i+1 < len(t.reached) && t.reached[i+1].value > value; i++ {
		t.reached[i], t.reached[i+1] = t.reached[i+1], t.reached[i]
	}
}

// raise notes the value of a voter unless a higher one is known: a server that comes back within
// the epoch may attest less with its first ack than it did on its last link.
func (t *tally) raise(id ServerID, value uint64) {
	for _, r := range t.reached {
		if r.server == id && r.value < value {
			t.set(id, value)
			return
		}
	}
}

// quorum returns the highest value that every server of some quorum has reached, 0 when none has.
func (t *tally) quorum() uint64 {
	var s Set
	for _, r := range t.reached {
		if r.value == 0 {
			break
		}
		s.Add(r.server)
		if t.ensemble.Quorum(s) {
			return r.value
		}
	}
	return 0
}
