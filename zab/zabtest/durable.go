package zabtest

import "quoll/zab"

// Durable returns what the disk of s attests: its current epoch and the end of its history.
func (c *Checker) Durable(s *Subject) (current zab.Epoch, last zab.Zxid) {
	f := &s.Disk.durable
	return f.current, f.history.last.Zxid
}
