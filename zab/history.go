package zab

import "slices"

// History says which zxids a log holds, as a table of epochs: within an epoch counters have no
// gaps, so the last zxid of each epoch says it all, whatever the number of txns.
//
//	base (1,40)   ends (1,97) (2,3) (5,12)
//	members: 1:40, 1:41 … 1:97, 2:1 … 2:3, 5:1 … 5:12
//
// Whether a server's last zxid is on this branch is a lookup in it and never a comparison with
// the first and the last: 2:4 lies between them and is not a member (R8, ZOOKEEPER-1154). The
// base is the explicit horizon; there is no zxid with a special meaning (ZOOKEEPER-4352). The
// zero History is that of an empty log, complete from the beginning.
//
// A History holds a slice: a copy shares it, Clone does not.
type History struct {
	base Zxid
	ends []Zxid // last zxid of each epoch with txns after base, ascending
}

// NewHistory returns the history that holds base and nothing after it.
func NewHistory(base Zxid) History { return History{base: base} }

// Clone returns a copy that shares nothing with h.
func (h *History) Clone() History { return History{base: h.base, ends: slices.Clone(h.ends)} }

// Base returns the zxid after which the history is complete; 0: from the beginning.
func (h *History) Base() Zxid { return h.base }

// Last returns the last zxid, the base when nothing follows it.
func (h *History) Last() Zxid {
	if len(h.ends) == 0 {
		return h.base
	}
	return h.ends[len(h.ends)-1]
}

// at returns the index of the first epoch that ends at z or later.
func (h *History) at(z Zxid) int {
	i, _ := slices.BinarySearch(h.ends, z)
	return i
}

// Contains reports whether z is the base or follows it in this history.
func (h *History) Contains(z Zxid) bool {
	if z <= h.base {
		return z == h.base
	}
	i := h.at(z)
	return i < len(h.ends) && h.ends[i].Epoch() == z.Epoch() && z.Counter() != 0
}

// Floor returns the largest member that is smaller than z; there is none at or below the base.
func (h *History) Floor(z Zxid) (Zxid, bool) {
	if z <= h.base {
		return 0, false
	}
	if i := h.at(z); i < len(h.ends) && h.ends[i].Epoch() == z.Epoch() && z.Counter() > 1 {
		return z - 1, true // the base itself when z is the first after it
	} else if i > 0 {
		return h.ends[i-1], true
	}
	return h.base, true
}

// Append adds z at the end and reports whether it may follow there; if not, nothing changes.
func (h *History) Append(z Zxid) bool {
	last := h.Last()
	if !last.Precedes(z) {
		return false
	}
	if n := len(h.ends); n > 0 && last.Epoch() == z.Epoch() {
		h.ends[n-1] = z
	} else {
		h.ends = append(h.ends, z)
	}
	return true
}

// Truncate removes everything after p and reports whether p is a member; if not, nothing changes.
func (h *History) Truncate(p Zxid) bool {
	if !h.Contains(p) {
		return false
	}
	if p == h.base {
		h.ends = h.ends[:0]
		return true
	}
	i := h.at(p)
	h.ends[i] = p
	h.ends = h.ends[:i+1]
	return true
}

// Rebase forgets everything before base and reports whether base is a member; if not, nothing
// changes.
func (h *History) Rebase(base Zxid) bool {
	if !h.Contains(base) {
		return false
	}
	i := h.at(base)
	if i < len(h.ends) && h.ends[i] == base {
		i++
	}
	h.base, h.ends = base, slices.Delete(h.ends, 0, i)
	return true
}
