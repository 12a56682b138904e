package quoll

import "io"

const (
	aheadBytes   = 512 << 10 // of a block: enough to make the change of hands cheap
	aheadBlocks  = 3
	aheadAtFirst = 16 << 10 // small snapshots are many, and empty memory costs
)

// ahead is a Reader of what another goroutine reads.
type ahead struct {
	full, spare chan []byte
	block, rest []byte // the Reader's: the one that it reads, and what is left of it
	err         error  // what follows the last block; written before full is closed
}

func newAhead() *ahead {
	return &ahead{full: make(chan []byte, aheadBlocks), spare: make(chan []byte, aheadBlocks)}
}

// fill reads r to its end, or until done is closed.
func (a *ahead) fill(r io.Reader, done <-chan struct{}) {
	defer close(a.full)
	for round := 0; a.err == nil; round++ {
		var b []byte
		switch {
		case round == 0:
			b = make([]byte, aheadAtFirst)
		case round <= aheadBlocks: // the first is too small to be used again
			b = make([]byte, aheadBytes)
		default:
			select {
			case b = <-a.spare:
			case <-done:
				return
			}
		}
		n := 0
		for n < len(b) && a.err == nil {
			var m int
			m, a.err = r.Read(b[n:])
			n += m
		}
		select {
		case a.full <- b[:n]:
		case <-done:
			return
		}
	}
}

// Read implements io.Reader.
func (a *ahead) Read(b []byte) (int, error) {
	for len(a.rest) == 0 {
		if cap(a.block) == aheadBytes {
			a.spare <- a.block[:aheadBytes]
		}
		var ok bool
		if a.block, ok = <-a.full; !ok {
			return 0, a.err
		}
		a.rest = a.block
	}
	n := copy(b, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}
