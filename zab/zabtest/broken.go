package zabtest

import (
	"fmt"

	"quoll/zab"
)

// Broken is a broken invariant.
type Broken struct {
	Name   string       // as in zab.md 3.2 and 3.3, such as I-ACK
	Server zab.ServerID // that did it, or in which it shows; 0: none in particular
	Text   string
}

func (b *Broken) Error() string {
	if b.Server == 0 {
		return b.Name + ": " + b.Text
	}
	return b.Name + ": " + Name(b.Server) + " " + b.Text
}

func broken(name, format string, args ...any) *Broken {
	return &Broken{Name: name, Text: fmt.Sprintf(format, args...)}
}

// fail notes the first broken invariant; what follows it is noise.
func (c *Checker) fail(s *server, b *Broken) {
	if c.err != nil || c.Heeds != nil && !c.Heeds(b.Name) {
		return
	}
	if s != nil {
		b.Server = s.ID
	}
	c.err = b
}

// failf is fail with a text that reads on from the name of the server.
func (c *Checker) failf(s *server, name, format string, args ...any) {
	if c.err == nil {
		c.fail(s, broken(name, format, args...))
	}
}
