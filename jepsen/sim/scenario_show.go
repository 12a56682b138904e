package sim

import (
	"fmt"
	"slices"
	"strings"

	"quoll/tree"
	"quoll/zab"
	"quoll/zab/zabtest"
)

// What a scenario shows of its servers.

// changes says what is different from when it was said last: roles, and why one was left.
func (p *scenario) changes() {
	for i, s := range p.w.servers {
		if s.up {
			z := s.peer.Zab()
			if left := z.Incarnation() != p.incarnations[s] && p.served[s]; left && z.Left() != "" {
				p.say("%s gave up, %s", zabtest.Name(s.id), z.Left())
			}
			p.incarnations[s], p.served[s] = z.Incarnation(), z.Role() != zab.Looking
		}
		if now := describeServer(s); now != p.shown[i] {
			p.shown[i] = now
			p.say("%s", now)
		}
	}
}

// describeServer says what a server does.
func describeServer(s *server) string {
	me := zabtest.Name(s.id)
	if !s.up {
		return me + " is down"
	}
	z := s.peer.Zab()
	silent := ""
	if z.Silent() {
		silent = ", and has no vote: its disk was lost"
	}
	switch z.Role() {
	case zab.Leading:
		if s.peer.Serving() {
			return fmt.Sprintf("%s leads epoch %d", me, z.Epoch())
		}
		return me + " would lead"
	case zab.Following, zab.Observing:
		verb := "follows"
		if z.Role() == zab.Observing {
			verb = "observes"
		}
		if s.peer.Serving() {
			return fmt.Sprintf("%s %s %s in epoch %d, by %s%s", me, verb, zabtest.Name(z.Leader()), z.Epoch(), z.SyncMode(), silent)
		}
		return fmt.Sprintf("%s %s %s and is not synced%s", me, verb, zabtest.Name(z.Leader()), silent)
	default:
		return me + " looks for a leader" + silent
	}
}

// show says what is in logs, committed and applied.
func (p *scenario) show(*command) error {
	for _, s := range p.w.servers {
		if !s.up {
			p.say("%s is down", zabtest.Name(s.id))
			continue
		}
		z := s.peer.Zab()
		p.say("%s promised %d, current %d, logged %s, durable %s, committed %s, applied %s", zabtest.Name(s.id), z.AcceptedEpoch(),
			z.CurrentEpoch(), zabtest.Z(z.LastLogged()), zabtest.Z(z.LastDurable()), zabtest.Z(z.Committed()), zabtest.Z(s.peer.Tree().Applied()))
	}
	return nil
}

func (p *scenario) trees(*command) error {
	p.sayTrees()
	return nil
}

// sayTrees says what each server shows its clients; servers that show the same are named together.
func (p *scenario) sayTrees() {
	var texts, names []string
	for _, s := range p.w.servers {
		if !s.up {
			continue
		}
		text := p.describeTree(s.peer.Tree())
		i := slices.Index(texts, text)
		if i < 0 {
			i = len(texts)
			texts, names = append(texts, text), append(names, "")
		}
		names[i] += zabtest.Name(s.id) + " "
	}
	for i, text := range texts {
		p.say("%sat %s", names[i], text)
	}
}

// mostNodes is how many znodes are named; of more it is enough to know how many.
const mostNodes = 12

func (p *scenario) describeTree(t *tree.Tree) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:", zabtest.Z(t.Applied()))
	if count := t.NodeCount(); count > mostNodes+5 {
		fmt.Fprintf(&b, " %d znodes, of which %d ephemeral", count, t.EphemeralCount())
		return b.String()
	}
	var walk func(n tree.NodeID)
	empty := true
	walk = func(n tree.NodeID) {
		t.EachChild(n, func(name []byte) bool {
			child, _ := t.Lookup(append(append(t.AppendPath(n, nil), slash(t, n)...), name...))
			path := string(t.AppendPath(child, nil))
			if path == "/zookeeper" {
				return true
			}
			empty = false
			b.WriteString(" " + path)
			if data := t.Data(child); len(data) > 0 {
				fmt.Fprintf(&b, "=%q", brief(data))
			}
			if owner := t.Stat(child).EphemeralOwner; owner != 0 {
				b.WriteString(" of " + p.owner(owner))
			}
			walk(child)
			return true
		})
	}
	root, _ := t.Lookup([]byte("/"))
	walk(root)
	if empty {
		b.WriteString(" nothing")
	}
	return b.String()
}

func slash(t *tree.Tree, n tree.NodeID) string {
	if len(t.AppendPath(n, nil)) == 1 {
		return ""
	}
	return "/"
}

// brief cuts long data.
func brief(b []byte) []byte {
	if len(b) > 20 {
		return b[:20]
	}
	return b
}

// sessions says who has a session, and which.
func (p *scenario) sessions(*command) error {
	for _, c := range p.w.clients {
		p.say("%s has session %x", c.gen.(*person).name, c.session)
	}
	return nil
}

func (p *scenario) files(s *server) error {
	names, err := s.mem.List(dataDir)
	for _, name := range names {
		size, _ := s.mem.Stat(dataDir + "/" + name)
		p.say("%s has %s, %d bytes", zabtest.Name(s.id), name, size)
	}
	return err
}
