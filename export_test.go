package quoll

// What the queues of a server hold, for tests of their bounds.

// RequestBytes returns what counts against requestBytes.
func (s *Server) RequestBytes() int { return s.writable.held() }

// TakesWrites reports whether a client's write would be read now.
func (s *Server) TakesWrites() bool { return s.writable.isOpen.Load() }

// UnsyncedBytes returns what counts against unsyncedBytes.
func (s *Server) UnsyncedBytes() int { return s.unsynced.held() }

// ClientBytes returns what counts against clientBytes.
func (s *Server) ClientBytes() int { return int(s.clientBytes.Load()) }

func (b *budget) held() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// The limits.
const (
	RequestBytes  = requestBytes
	UnsyncedBytes = unsyncedBytes
	ClientBytes   = clientBytes
	FlyingBytes   = flyingBytes
)
