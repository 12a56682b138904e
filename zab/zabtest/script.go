package zabtest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/datadriven"

	"quoll/zab"
)

// Script runs the commands of a trace file. Servers are letters, zxids epoch:counter.
//
//	ensemble voters=3 [observers= init= sync= ping= maxcounter= window=]
//	start A B [silent]      start processes; silent: on a disk that was lost
//	establish A B C         start what is down; all leave their roles, A leads, the others follow
//	lead A / follow B A     the oracle decides, rightly or not; an older role ends
//	elect                   an honest oracle decides for all that are Looking
//	connect B               the dialing of B succeeds
//	deliver A B [n=2]       the next messages from A arrive at B
//	sync A [n=1]            the disk syncs everything, or the next n records
//	propose A x y           in one turn
//	barrier A id=1
//	tick [A] [n=5] [run]    run: everything happens between the ticks
//	snapshot A [purge]
//	hold A B / release A B  during run, what A sends does not arrive at B
//	block A / unblock A     the disk stops syncing during run
//	crash A B [kill]        power cut, what is not synced is lost; kill: the page cache survives
//	break A B               the link breaks; cut A B: and none comes up until heal A B
//	abdicate A
//	forge A B kind=Commit [zxid= epoch=]  A's side of the link to B says something wrong
//	run                     everything that waits happens, until all is quiet
//	show, log A
//	converge                faults end, all restart, all must agree
//
// Any command takes quiet: its events are not shown.
type Script struct {
	env *Env
}

type command func(s *Script, d *datadriven.TestData, servers []*Server) error

var commands = map[string]command{
	"start":     (*Script).start,
	"establish": (*Script).establish,
	"lead": each(func(e *Env, s *Server) {
		e.Abdicate(s)
		e.Lead(s)
	}),
	"follow":   (*Script).follow,
	"elect":    func(s *Script, _ *datadriven.TestData, _ []*Server) error { s.env.Elect(); return nil },
	"connect":  each(func(e *Env, s *Server) { e.Connect(s) }),
	"deliver":  (*Script).deliver,
	"sync":     (*Script).sync,
	"propose":  (*Script).propose,
	"barrier":  (*Script).barrier,
	"tick":     (*Script).tick,
	"snapshot": (*Script).snapshot,
	"block":    each(func(_ *Env, s *Server) { s.Blocked = true }),
	"unblock":  each(func(_ *Env, s *Server) { s.Blocked = false }),
	"crash":    (*Script).crash,
	"break":    (*Script).breakLink,
	"cut":      func(s *Script, _ *datadriven.TestData, on []*Server) error { s.env.Cut(on[0], on[1]); return nil },
	"heal":     func(s *Script, _ *datadriven.TestData, on []*Server) error { s.env.Heal(on[0], on[1]); return nil },
	"hold": func(s *Script, _ *datadriven.TestData, on []*Server) error {
		s.env.hold[[2]zab.ServerID{on[0].ID, on[1].ID}] = true
		return nil
	},
	"release": func(s *Script, _ *datadriven.TestData, on []*Server) error {
		delete(s.env.hold, [2]zab.ServerID{on[0].ID, on[1].ID})
		return nil
	},
	"abdicate": each((*Env).Abdicate),
	"forge":    (*Script).forge,
	"run":      func(s *Script, _ *datadriven.TestData, _ []*Server) error { s.env.Run(); return nil },
	"show":     (*Script).show,
	"log":      (*Script).log,
	"converge": (*Script).converge,
}

func each(do func(*Env, *Server)) command {
	return func(s *Script, _ *datadriven.TestData, on []*Server) error {
		for _, server := range on {
			do(s.env, server)
		}
		return nil
	}
}

// Handle runs one command and returns what happened, line by line.
func (s *Script) Handle(d *datadriven.TestData) (string, error) {
	if d.Cmd == "ensemble" {
		s.env = New(Options{
			Voters: number(d, "voters", 3), Observers: number(d, "observers", 0),
			Init: number(d, "init", 0), Sync: number(d, "sync", 0), Ping: number(d, "ping", 0),
			MaxCounter: uint64(number(d, "maxcounter", 0)), WindowBytes: number(d, "window", 0),
		})
		return "", nil
	}
	do, ok := commands[d.Cmd]
	if !ok || s.env == nil {
		return "", fmt.Errorf("no command %q, or no ensemble yet", d.Cmd)
	}
	var b strings.Builder
	s.env.trace = &b
	if d.HasArg("quiet") {
		s.env.trace = nil
	}
	var on []*Server
	for _, arg := range d.CmdArgs {
		if len(arg.Key) == 1 && len(arg.Vals) == 0 && arg.Key[0] >= 'A' && int(arg.Key[0]-'A') < len(s.env.servers) {
			on = append(on, s.env.servers[arg.Key[0]-'A'])
		}
	}
	if err := do(s, d, on); err != nil {
		return "", err
	}
	if err := s.env.Err(); err != nil {
		return b.String(), err
	}
	return b.String(), nil
}

func number(d *datadriven.TestData, key string, otherwise int) int {
	for _, arg := range d.CmdArgs {
		if arg.Key == key && len(arg.Vals) == 1 {
			n, err := strconv.Atoi(arg.Vals[0])
			if err != nil {
				panic(err)
			}
			return n
		}
	}
	return otherwise
}

func (s *Script) start(d *datadriven.TestData, on []*Server) error {
	for _, server := range on {
		s.env.Start(server, d.HasArg("silent"))
	}
	return nil
}

func (s *Script) establish(_ *datadriven.TestData, on []*Server) error {
	trace := s.env.trace
	s.env.trace = nil
	for _, server := range on {
		if server.Peer == nil {
			s.env.Start(server, false)
		}
	}
	s.env.Run() // links that broke are noticed
	for _, server := range on {
		s.env.Abdicate(server)
	}
	s.env.Lead(on[0])
	var names strings.Builder
	for _, server := range on[1:] {
		s.env.Follow(server, on[0])
		names.WriteString(" " + Name(server.ID))
	}
	s.env.Run()
	s.env.trace = trace
	if !on[0].Peer.Serving() {
		return fmt.Errorf("%s did not establish an epoch", Name(on[0].ID))
	}
	s.env.logf("%s leads epoch %d, with it:%s", Name(on[0].ID), on[0].Peer.Epoch(), names.String())
	return nil
}

func (s *Script) follow(_ *datadriven.TestData, on []*Server) error {
	s.env.Abdicate(on[0])
	s.env.Follow(on[0], on[1])
	return nil
}

// link returns the newest link between two servers and the end that b has.
func (s *Script) link(a, b *Server) (*Link, int, error) {
	for _, l := range slices.Backward(s.env.links) {
		for i := range l.ends {
			if l.ends[i].server == b && l.ends[1-i].server == a && l.ends[i].open {
				return l, i, nil
			}
		}
	}
	return nil, 0, fmt.Errorf("no link from %s to %s", Name(a.ID), Name(b.ID))
}

func (s *Script) deliver(d *datadriven.TestData, on []*Server) error {
	for range number(d, "n", 1) {
		l, i, err := s.link(on[0], on[1])
		if err != nil {
			return err
		}
		if !s.env.Deliver(l, i) {
			return fmt.Errorf("nothing on its way from %s to %s", Name(on[0].ID), Name(on[1].ID))
		}
	}
	return nil
}

func (s *Script) sync(d *datadriven.TestData, on []*Server) error {
	for _, server := range on {
		from, to := server.Unsynced()
		s.env.Sync(server, min(to, from+number(d, "n", to-from)))
	}
	return nil
}

func (s *Script) propose(d *datadriven.TestData, on []*Server) error {
	var data []string
	for _, arg := range d.CmdArgs[1:] {
		if arg.Key != "quiet" {
			data = append(data, arg.Key)
		}
	}
	s.env.Propose(on[0], data...)
	return nil
}

func (s *Script) barrier(d *datadriven.TestData, on []*Server) error {
	s.env.Barrier(on[0], uint64(number(d, "id", 1)))
	return nil
}

func (s *Script) tick(d *datadriven.TestData, on []*Server) error {
	if len(on) == 0 {
		on = s.env.servers
	}
	for range number(d, "n", 1) {
		for _, server := range on {
			if server.Peer != nil {
				s.env.Tick(server)
			}
		}
		if d.HasArg("run") {
			s.env.Run()
		}
	}
	return nil
}

func (s *Script) snapshot(d *datadriven.TestData, on []*Server) error {
	for _, server := range on {
		s.env.Snapshot(server, d.HasArg("purge"))
	}
	return nil
}

func (s *Script) crash(d *datadriven.TestData, on []*Server) error {
	for _, server := range on {
		keep := 0
		if d.HasArg("kill") {
			keep = len(server.files.records)
		}
		s.env.Crash(server, keep)
	}
	return nil
}

func (s *Script) breakLink(_ *datadriven.TestData, on []*Server) error {
	l, _, err := s.link(on[0], on[1])
	if err == nil {
		s.env.Break(l)
	}
	return err
}

func (s *Script) forge(d *datadriven.TestData, on []*Server) error {
	l, i, err := s.link(on[0], on[1])
	if err != nil {
		return err
	}
	m := &zab.Message{Epoch: zab.Epoch(number(d, "epoch", 0)), Server: on[0].ID}
	for k := zab.FollowerInfo; k.Valid(); k++ {
		if d.HasArg("kind") && k.String() == value(d, "kind") {
			m.Kind = k
		}
	}
	if v := value(d, "zxid"); v != "" {
		var epoch zab.Epoch
		var counter uint64
		if _, err := fmt.Sscanf(v, "%d:%d", &epoch, &counter); err != nil {
			return err
		}
		m.Zxid = zab.MakeZxid(epoch, counter)
		m.Commit = m.Zxid
		m.Txns = []zab.Txn{{Zxid: m.Zxid, Data: []byte("forged")}}
	}
	l.ends[i].inbox = append(l.ends[i].inbox, parcel{msg: m})
	s.env.checker.Forged = true
	return nil
}

func value(d *datadriven.TestData, key string) string {
	for _, arg := range d.CmdArgs {
		if arg.Key == key && len(arg.Vals) == 1 {
			return arg.Vals[0]
		}
	}
	return ""
}

func (s *Script) show(*datadriven.TestData, []*Server) error {
	for _, server := range s.env.servers {
		p := server.Peer
		if p == nil {
			s.env.logf("%s down", Name(server.ID))
			continue
		}
		s.env.logf("%s %v/%v epoch=%d vote=(%d %s) logged=%s committed=%s delivered=%s %s",
			Name(server.ID), p.Role(), p.Phase(), p.Epoch(), p.CurrentEpoch(), Z(p.LastDurable()),
			Z(p.LastLogged()), Z(p.Committed()), Z(p.Delivered()), p.SyncMode())
		for _, l := range p.Learners() {
			s.env.logf("  %s synced=%v by %q acked=%s", Name(l.Server), l.Synced, l.Sync, Z(l.Acked))
		}
	}
	return nil
}

func (s *Script) log(_ *datadriven.TestData, on []*Server) error {
	for _, server := range on {
		for i, r := range server.files.records {
			mark := ""
			if i >= server.Disk.synced {
				mark = "  (not synced)"
			}
			s.env.logf("%s%s", DescribeRecord(r), mark)
		}
	}
	return nil
}

// converge shows only the end: what every server has agreed on.
func (s *Script) converge(*datadriven.TestData, []*Server) error {
	trace := s.env.trace
	s.env.trace = nil
	err := s.env.Converge()
	s.env.trace = trace
	if err != nil {
		return err
	}
	server := s.env.servers[0]
	s.env.logf("all agree in epoch %d, led by %s: %s", server.Peer.Epoch(), Name(server.Peer.Leader()),
		describeTree(server.tree))
	return nil
}

func describeTree(ts []zab.Txn) string {
	if len(ts) == 0 {
		return "nothing"
	}
	var b strings.Builder
	for i, t := range ts {
		if i > 0 {
			b.WriteString(" ")
		}
		fmt.Fprintf(&b, "%s %s", Z(t.Zxid), t.Data)
	}
	return b.String()
}
