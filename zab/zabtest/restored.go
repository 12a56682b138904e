package zabtest

import "quoll/zab"

// Restored tells that the disk of s, which does not run, is now one of which a recovery finds st: an older
// copy came back, or damage took the end of its log, and nothing on it says so. What s promised and acked
// since is forgotten, so it must be Expendable; st must end with what is committed.
func (c *Checker) Restored(s *Subject, st *zab.State) {
	last, horizon := c.txns[st.History.Last()], c.txns[st.Horizon]
	if last == nil || horizon == nil || !last.committed {
		panic("zabtest: a disk that ends with what is not committed is not within the budget")
	}
	c.Wiped(s)
	sv := c.byID[s.ID]
	f := fold{accepted: st.AcceptedEpoch, current: st.CurrentEpoch, history: history{base: horizon, last: last}}
	*s.Disk = Disk{all: f, durable: f}
	sv.silent, sv.wiped = st.Silent, false
	sv.cover, sv.owes = last.trunk().depth, c.before(f.current)
	sv.ends.reset(belief{f.current, last.Zxid})
}
