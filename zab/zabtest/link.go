package zabtest

import (
	"slices"

	"quoll/zab"
)

// Link is a connection. End 0 dialed.
type Link struct {
	ends [2]linkEnd
}

type linkEnd struct {
	server *Server
	id     zab.LinkID
	life   int
	inbox  []parcel
	open   bool // this end has not closed, and was not told that the link broke
	eof    bool // the other end has closed: after inbox there is nothing
}

// parcel is a message in flight, with the file when it is a snapshot.
type parcel struct {
	msg  *zab.Message
	file []zab.Txn
}

// find returns the link with an end of that number, and which end it is.
func (e *Env) find(id zab.LinkID) (*Link, int) {
	for _, l := range e.links {
		for i := range l.ends {
			if l.ends[i].id == id {
				return l, i
			}
		}
	}
	return nil, 0
}

func (e *Env) peerOf(id zab.LinkID) zab.ServerID {
	if l, i := e.find(id); l != nil {
		return l.ends[1-i].server.ID
	}
	return 0
}

// shut closes one end. What is under way to the other still arrives there, then it is told.
func (e *Env) shut(l *Link, i int) {
	l.ends[i].open = false
	l.ends[i].inbox = nil
	l.ends[1-i].eof = true
	e.sweep()
}

func (e *Env) sweep() {
	e.links = slices.DeleteFunc(e.links, func(l *Link) bool {
		return !l.ends[0].open && !l.ends[1].open
	})
}

// Connect lets the dialing of s succeed.
func (e *Env) Connect(s *Server) bool {
	if s.Peer == nil || s.dialing == 0 {
		return false
	}
	to := e.servers[s.dialing-1]
	if to.Peer == nil || e.IsCut(s, to) {
		return false
	}
	l := &Link{}
	for i, end := range []*Server{s, to} {
		e.lastLink++
		l.ends[i] = linkEnd{server: end, id: e.lastLink, life: end.Life, open: true}
	}
	e.links = append(e.links, l)
	s.dialing = 0
	e.logf("%s connects to %s", Name(s.ID), Name(to.ID))
	e.turn(s, func(p *zab.Peer, out *zab.Actions) { p.LinkUp(l.ends[0].id, to.ID, true, out) })
	if l.ends[1].open {
		e.turn(to, func(p *zab.Peer, out *zab.Actions) { p.LinkUp(l.ends[1].id, s.ID, false, out) })
	}
	return true
}

// Break breaks a link: both ends are told, what was under way is lost.
func (e *Env) Break(l *Link) {
	for i := range l.ends {
		l.ends[i].inbox, l.ends[i].eof = nil, true
	}
	for i := range l.ends {
		e.Deliver(l, i)
	}
}

// Deliver hands the next message to end i of a link, or tells it that the link is down, and
// reports whether there was anything.
func (e *Env) Deliver(l *Link, i int) bool {
	end := &l.ends[i]
	if !end.open {
		return false
	}
	s, from := end.server, l.ends[1-i].server
	switch {
	case len(end.inbox) > 0:
		p := end.inbox[0]
		end.inbox = end.inbox[1:]
		e.seen[p.msg.Kind.String()]++
		e.logf("%s→%s %s", Name(from.ID), Name(s.ID), Describe(p.msg))
		if p.file != nil {
			s.files.snapshots[p.msg.Zxid] = p.file
		}
		e.turn(s, func(peer *zab.Peer, out *zab.Actions) {
			e.checker.Heard(&s.Subject, end.id, p.msg)
			peer.Receive(end.id, p.msg, out)
		})
	case end.eof:
		end.open = false
		e.sweep()
		e.logf("%s loses the link to %s", Name(s.ID), Name(from.ID))
		e.turn(s, func(peer *zab.Peer, out *zab.Actions) { peer.LinkDown(end.id, out) })
	default:
		return false
	}
	return true
}

// Pending reports whether Deliver has something for end i of a link.
func (l *Link) Pending(i int) bool {
	return l.ends[i].open && (len(l.ends[i].inbox) > 0 || l.ends[i].eof)
}

// Open returns the end of the link that s has open, -1 if there is none.
func (l *Link) Open(s *Server) int {
	for i := range l.ends {
		if l.ends[i].server == s && l.ends[i].open {
			return i
		}
	}
	return -1
}

// Next returns the kind of the message that Deliver has for end i, 0 if there is none.
func (l *Link) Next(i int) zab.Kind {
	if len(l.ends[i].inbox) == 0 {
		return 0
	}
	return l.ends[i].inbox[0].msg.Kind
}

// Cut breaks all links between two servers and lets none come up; Heal undoes it.
func (e *Env) Cut(a, b *Server) {
	e.cut[pair(a, b)] = true
	for _, l := range slices.Clone(e.links) {
		if l.joins(a, b) {
			e.Break(l)
		}
	}
}

// Heal lets two servers connect again.
func (e *Env) Heal(a, b *Server) { delete(e.cut, pair(a, b)) }

// IsCut reports whether two servers cannot connect.
func (e *Env) IsCut(a, b *Server) bool { return e.cut[pair(a, b)] }

func pair(a, b *Server) [2]zab.ServerID {
	return [2]zab.ServerID{min(a.ID, b.ID), max(a.ID, b.ID)}
}

func (l *Link) joins(a, b *Server) bool {
	x, y := l.ends[0].server, l.ends[1].server
	return x == a && y == b || x == b && y == a
}
