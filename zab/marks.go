package zab

// mark says what becomes true when the records up to seq are durable.
type mark struct {
	kind       RecordKind
	first, seq uint64 // the records it stands for; more than one only for txns of one epoch
	last       Zxid   // end of the durable history from seq on
	epoch      Epoch
	install    Zxid // with RecordCurrentEpoch: the generation that becomes the history
}

// marks is the queue of what was handed out in Persist and is not known to be durable. Runs of
// txns share a mark, so in the steady state the queue holds one or two, whatever the load.
type marks struct {
	queue []mark
	head  int
}

// push adds a mark at the end.
func (ms *marks) push(m mark) {
	if n := len(ms.queue); n > ms.head && m.kind == RecordTxn {
		tail := &ms.queue[n-1]
		if tail.kind == RecordTxn && tail.seq+1 == m.first && tail.last+1 == m.last {
			tail.seq, tail.last = m.seq, m.last
			return
		}
	}
	ms.queue = append(ms.queue, m)
}

// pop takes the next mark that is reached at seq; of a run of txns the part that is.
func (ms *marks) pop(seq uint64) (mark, bool) {
	if ms.head == len(ms.queue) || ms.queue[ms.head].first > seq {
		return mark{}, false
	}
	m := ms.queue[ms.head]
	if m.seq > seq {
		ms.queue[ms.head].first = seq + 1
		m.last -= Zxid(m.seq - seq)
		m.seq = seq
		return m, true
	}
	if ms.head++; ms.head == len(ms.queue) {
		ms.queue, ms.head = ms.queue[:0], 0
	}
	return m, true
}

// installs reports whether one of them makes a snapshot the history.
func (ms *marks) installs() bool {
	for i := range ms.queue[ms.head:] {
		if ms.queue[ms.head+i].install != 0 {
			return true
		}
	}
	return false
}
