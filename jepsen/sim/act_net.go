package sim

import (
	"slices"

	"quoll/zab"
)

// Acts on the network, and on clients.

// between blocks lanes from each server of one side to each of the other, for a time.
func (n *nemesis) between(from, to []*server, us int64, lanes ...int) {
	do := func(f func(int, zab.ServerID, zab.ServerID)) {
		for _, lane := range lanes {
			for _, a := range from {
				for _, b := range to {
					f(lane, a.id, b.id)
				}
			}
		}
	}
	do(n.w.net.block)
	n.later(us, func() { do(n.w.net.unblock) })
}

var both = []int{linkLane, meshLane}

// split divides the servers by the bits of N.
func (n *nemesis) split(bits int64) (a, b []*server) {
	for i, s := range n.w.servers {
		if bits>>i&1 == 1 {
			a = append(a, s)
		} else {
			b = append(b, s)
		}
	}
	return a, b
}

// partition separates two sides (N7); one-way, only what one says to the other is held back (N8).
func partition(n *nemesis, a *Act, _ *server) {
	x, y := n.split(a.N)
	n.between(x, y, a.ForUs, both...)
	if a.Do == "partition" {
		n.between(y, x, a.ForUs, both...)
	}
}

// isolate separates one server from all others; Other 1: it can send and hears nothing, 2: it hears
// and nothing it sends arrives.
func isolate(n *nemesis, a *Act, s *server) {
	rest := n.others(s)
	if a.Other != 1 {
		n.between([]*server{s}, rest, a.ForUs, both...)
	}
	if a.Other != 2 {
		n.between(rest, []*server{s}, a.ForUs, both...)
	}
}

func (n *nemesis) others(s *server) []*server {
	return slices.DeleteFunc(slices.Clone(n.w.servers), func(o *server) bool { return o == s })
}

// ring lets each server see only its neighbours: majorities that differ for each (N7).
func ring(n *nemesis, a *Act, _ *server) {
	all := n.w.servers
	reach := max(1, len(all)/4)
	for i, s := range all {
		for j, o := range all {
			if d := min((i-j+len(all))%len(all), (j-i+len(all))%len(all)); d > reach {
				n.between([]*server{s}, []*server{o}, a.ForUs, both...)
			}
		}
	}
}

// bridge lets one server see two halves that do not see each other.
func bridge(n *nemesis, a *Act, s *server) {
	x, y := n.split(a.N)
	not := func(o *server) bool { return o == s }
	x, y = slices.DeleteFunc(x, not), slices.DeleteFunc(y, not)
	n.between(x, y, a.ForUs, both...)
	n.between(y, x, a.ForUs, both...)
}

// swizzle blocks servers one by one and lets them go in another order (N9).
func swizzle(n *nemesis, a *Act, _ *server) {
	for i, k := range n.w.rnd.Perm(len(n.w.servers)) {
		s, us := n.w.servers[k], n.w.between(a.ForUs/2, a.ForUs)
		n.later(int64(i)*a.ForUs/8, func() {
			n.between([]*server{s}, n.others(s), us, both...)
			n.between(n.others(s), []*server{s}, us, both...)
		})
	}
}

// deaf loses all notifications of the election to a server while its links live (N8).
func deaf(n *nemesis, a *Act, s *server) {
	for _, o := range n.others(s) {
		n.w.net.way(o.id, s.id).deaf++
	}
	n.later(a.ForUs, func() {
		for _, o := range n.others(s) {
			n.w.net.way(o.id, s.id).deaf--
		}
	})
}

// linksBlocked is the reverse: elections work, Zab does not.
func linksBlocked(n *nemesis, a *Act, s *server) {
	n.between([]*server{s}, n.others(s), a.ForUs, linkLane)
	n.between(n.others(s), []*server{s}, a.ForUs, linkLane)
}

// slowLink delays one direction (N1).
func slowLink(n *nemesis, a *Act, s *server) {
	o := n.who(a.Other)
	if o != s {
		p := n.w.net.way(s.id, o.id)
		p.slow, p.slowTo = a.N, n.w.now+a.ForUs
	}
}

// breakLinks resets all links of a server (N2, N5).
func breakLinks(n *nemesis, _ *Act, s *server) {
	for _, l := range slices.Clone(n.w.net.links) {
		if l.ends[0].s == s || l.ends[1].s == s {
			n.w.net.cut(l)
		}
	}
}

// deadBranch cuts the leader off while writes are under way, lets it log some, and takes it down (N27).
func deadBranch(n *nemesis, a *Act, s *server) {
	isolate(n, a, s)
	n.later(a.ForUs/2, func() { s.crash(a.N%2 == 0) })
}

// clientCut breaks the connections of some clients (N30).
func clientCut(n *nemesis, a *Act, _ *server) {
	for i, c := range n.w.clients {
		if a.N>>i&1 == 1 && c.conn != nil {
			c.leave()
		}
	}
}

// clientTwin has a second connection go on with the session of a client that still has one, as a
// client does that lost its packets but not its server (N30).
func clientTwin(n *nemesis, a *Act, _ *server) {
	c := n.w.clients[int(a.N)%len(n.w.clients)]
	if c.conn == nil || !c.joined {
		return
	}
	c.disconnected(c.conn) // the server is not told
}

// clientSilent keeps a client away for longer than its session lives.
func clientSilent(n *nemesis, a *Act, _ *server) {
	c := n.w.clients[int(a.N)%len(n.w.clients)]
	if c.silent {
		return
	}
	c.silent = true
	if c.conn != nil {
		c.leave()
	}
	n.later(a.ForUs, func() {
		c.silent = false
		c.redial()
	})
}
