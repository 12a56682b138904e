package election_test

import (
	"fmt"
	"slices"
	"strings"

	"quoll/election"
	"quoll/zab"
)

// network is a handful of servers and what is on the wire between them: like the real mesh, one
// notification per direction of a connection, the newest.
type network struct {
	cfg   election.Config // ID is filled in per server
	nodes map[zab.ServerID]*node
	wire  map[pair]election.Notification
	links map[pair]bool // both directions of a connection
	log   strings.Builder
	spy   func(n *node) // sees what each input asked for
}

type pair struct{ from, to zab.ServerID }

type node struct {
	*election.Election
	id      zab.ServerID
	out     election.Out
	decided zab.ServerID // last decision, 0 since Start
	left    bool         // Deserted was reported since Start
}

func newNetwork(cfg election.Config) *network {
	w := &network{
		cfg:   cfg,
		nodes: map[zab.ServerID]*node{},
		wire:  map[pair]election.Notification{},
		links: map[pair]bool{},
		spy:   func(*node) {},
	}
	for _, m := range cfg.Ensemble.Members() {
		w.boot(m.ID)
	}
	return w
}

// boot puts a process that knows nothing in the place of id.
func (w *network) boot(id zab.ServerID) {
	cfg := w.cfg
	cfg.ID = id
	w.nodes[id] = &node{Election: election.New(cfg), id: id}
}

func (w *network) ids() []zab.ServerID {
	var ids []zab.ServerID
	for _, m := range w.cfg.Ensemble.Members() {
		ids = append(ids, m.ID)
	}
	return ids
}

func (w *network) up(a, b zab.ServerID) {
	if a == b || w.links[pair{a, b}] {
		return
	}
	w.links[pair{a, b}], w.links[pair{b, a}] = true, true
	for _, p := range []pair{{a, b}, {b, a}} {
		n := w.nodes[p.from]
		n.Connected(p.to, &n.out)
		w.perform(n)
	}
}

func (w *network) down(a, b zab.ServerID) {
	for _, p := range []pair{{a, b}, {b, a}} {
		if w.links[p] {
			delete(w.links, p)
			delete(w.wire, p)
			w.nodes[p.from].Disconnected(p.to)
		}
	}
}

func (w *network) crash(id zab.ServerID) {
	for _, other := range w.ids() {
		w.down(id, other)
	}
	w.boot(id)
}

func (w *network) start(id zab.ServerID, own election.Vote) {
	n := w.nodes[id]
	n.decided, n.left = 0, false
	n.Start(own, &n.out)
	w.perform(n)
}

func (w *network) tick(id zab.ServerID) {
	n := w.nodes[id]
	n.Tick(&n.out)
	w.perform(n)
}

// settle makes id serve in the role it decided for.
func (w *network) settle(id zab.ServerID, epoch zab.Epoch) {
	n := w.nodes[id]
	state := n.State()
	if state == election.Observing && w.cfg.Ensemble.IsVoter(id) {
		state = election.Following // it was silent and has a history now
	}
	n.Settle(state, epoch, &n.out)
	w.perform(n)
}

// linked tells id, which is to lead, who has a link to it.
func (w *network) linked(id zab.ServerID, links zab.Set) {
	n := w.nodes[id]
	n.Linked(links, &n.out)
	w.perform(n)
}

// deliver hands over what is on the wire; it reports whether there was anything.
func (w *network) deliver(p pair) bool {
	msg, ok := w.wire[p]
	if ok {
		delete(w.wire, p)
		w.hear(p, msg)
	}
	return ok
}

// deliverAll delivers until the wire is empty, always the first of the lowest sender, and reports
// how many notifications it took. More than limit of them would be a storm.
func (w *network) deliverAll(limit int) (n int, quiet bool) {
	for ; n < limit; n++ {
		first := pair{}
		for p := range w.wire {
			if first == (pair{}) || p.from < first.from || p.from == first.from && p.to < first.to {
				first = p
			}
		}
		if !w.deliver(first) {
			return n, true
		}
	}
	return n, false
}

func (w *network) hear(p pair, msg election.Notification) {
	n := w.nodes[p.to]
	w.printf("%d hears %d: %s\n", p.to, p.from, show(msg))
	n.Receive(p.from, msg, &n.out)
	w.perform(n)
}

// perform does what the server's last input asked for.
func (w *network) perform(n *node) {
	for i := 0; i < len(n.out.Send); {
		msg := n.out.Send[i].N
		var to []string
		for ; i < len(n.out.Send) && n.out.Send[i].N == msg; i++ {
			s := n.out.Send[i]
			to = append(to, fmt.Sprint(s.To))
			if p := (pair{n.id, s.To}); w.links[p] {
				w.wire[p] = msg
			}
		}
		w.printf("%d tells %s: %s\n", n.id, strings.Join(to, ","), show(msg))
	}
	if d := n.out.Decided; d != 0 {
		n.decided = d
		w.printf("%d DECIDES for %d: %s\n", n.id, d, n.State())
	}
	if n.out.Deserted {
		n.left = true
		w.printf("%d IS DESERTED\n", n.id)
	}
	w.spy(n)
	n.out.Reset()
}

func (w *network) printf(format string, args ...any) { fmt.Fprintf(&w.log, format, args...) }

// show prints a notification the way traces write them: STATE leader@epoch/zxid round.
func show(n election.Notification) string {
	return fmt.Sprintf("%s %s round %d", n.State, showVote(n.Vote), n.Round)
}

func showVote(v election.Vote) string {
	if v == (election.Vote{}) {
		return "-"
	}
	return fmt.Sprintf("%d@%d/%d:%d", v.Leader, v.Epoch, v.Zxid.Epoch(), v.Zxid.Counter())
}

// parseVote reads what showVote prints.
func parseVote(s string) (v election.Vote, err error) {
	if s == "-" {
		return v, nil
	}
	var epoch zab.Epoch
	var counter uint64
	_, err = fmt.Sscanf(s, "%d@%d/%d:%d", &v.Leader, &v.Epoch, &epoch, &counter)
	v.Zxid = zab.MakeZxid(epoch, counter)
	return v, err
}

func parseState(s string) (election.State, error) {
	for _, state := range []election.State{
		election.Looking, election.Following, election.Leading, election.Observing,
	} {
		if state.String() == s {
			return state, nil
		}
	}
	return 0, fmt.Errorf("no state %q", s)
}

func without(ids []zab.ServerID, gone ...zab.ServerID) []zab.ServerID {
	return slices.DeleteFunc(slices.Clone(ids), func(id zab.ServerID) bool {
		return slices.Contains(gone, id)
	})
}
