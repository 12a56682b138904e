package quoll

// work is what one batch of a connection's frames asks of the loop. The loop gives it back, so that a busy
// connection allocates one thing for a batch: the block that owns the bodies of its requests.
type work struct {
	handled []Handled
	bytes   int // of the bodies
	cost    int // of the writes, in memory
}

// newWork returns one that was given back, or a new one.
func (s *Server) newWork() *work {
	select {
	case w := <-s.spare:
		return w
	default:
		return new(work)
	}
}

func (w *work) add(h Handled) {
	w.handled = append(w.handled, h)
	w.bytes += len(h.Request.Body)
	if h.Step == StepSubmit {
		w.cost += requestCost(&h.Request)
	}
}

// own copies the bodies out of the connection's read buffer, all into one block that is as large as they are.
// It is the only copy of a request on the server that the client is connected to. Handing over the read
// buffer instead would save it, but a request that waits for the quorum would then hold a whole buffer.
func (w *work) own() {
	block := make([]byte, 0, w.bytes)
	for i := range w.handled {
		block = w.handled[i].Own(block)
	}
}

// worked gives w back. What it refers to belongs to the Peer now.
func (s *Server) worked(w *work) {
	clear(w.handled)
	w.handled, w.bytes, w.cost = w.handled[:0], 0, 0
	select {
	case s.spare <- w:
	default:
	}
}

// hand gives work to the loop; it blocks while the loop has too much. It reports false if the server stops.
func (s *Server) hand(w *work) bool {
	w.own()
	s.writable.add(w.cost)
	select {
	case s.writes <- w:
		return true
	case <-s.stopped:
		return false
	}
}
