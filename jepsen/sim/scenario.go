package sim

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"quoll/log"
	"quoll/tree"
	"quoll/zab"
	"quoll/zab/zabtest"
)

// scenario is a script that is being played.
type scenario struct {
	w      *World
	tracer Tracer
	people map[string]*person
	frozen map[*server]*tree.View // snapshots that are begun

	// The outcome of the command.
	said     []string
	repeated string // what was said last
	again    int    // and how often

	// Of each server, as it was shown last: what it does, its incarnation, and whether that had a role.
	shown        []string
	incarnations map[*server]uint64
	served       map[*server]bool
}

// say notes a line of the outcome; what is said again and again is counted.
func (p *scenario) say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if n := len(p.said); n > 0 && p.repeated == text {
		p.again++
		p.said[n-1] = fmt.Sprintf("%s (%d times)", text, p.again)
		return
	}
	p.said, p.repeated, p.again = append(p.said, text), text, 1
}

// command is a line of a script.
type command struct {
	name    string
	servers []*server
	words   []string          // all others, in order
	values  map[string]string // key=value
}

func (c *command) has(word string) bool { return slices.Contains(c.words, word) }

// number returns the value of a key, or another.
func (c *command) number(key string, otherwise int) int {
	v, ok := c.values[key]
	if !ok {
		return otherwise
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		panic(fmt.Sprintf("%s=%s: not a number", key, v))
	}
	return n
}

// time returns the last word, a duration, in µs.
func (c *command) time() (int64, error) {
	if len(c.words) == 0 {
		return 0, errors.New("how long?")
	}
	d, err := time.ParseDuration(c.words[len(c.words)-1])
	return d.Microseconds(), err
}

// parse takes a line apart. A word that is the letter of a server names it.
func (p *scenario) parse(line string) *command {
	words := strings.Fields(line)
	c := &command{name: words[0], values: map[string]string{}}
	for _, word := range words[1:] {
		key, value, pair := strings.Cut(word, "=")
		switch {
		case pair:
			c.values[key] = value
		case p.w != nil && len(word) == 1 && word[0] >= 'A' && int(word[0]-'A') < len(p.w.servers):
			c.servers = append(c.servers, p.w.servers[word[0]-'A'])
		default:
			c.words = append(c.words, word)
		}
	}
	return c
}

// do carries out a line and gathers what came of it.
func (p *scenario) do(line string) (err error) {
	p.said, p.repeated = nil, ""
	c := p.parse(line)
	switch handle, known := scenarioCommands[c.name]; {
	case c.name == "ensemble":
		p.build(c)
	case p.w == nil:
		return errors.New("there is no ensemble yet")
	case known:
		err = handle(p, c)
	case p.people[c.name] != nil:
		err = p.people[c.name].do(line)
	default:
		return errors.New("no such command, and no such client")
	}
	if err == nil && c.name != "converge" {
		p.changes()
	}
	if err == nil && p.w.broken != nil {
		err = p.w.broken
	}
	return err
}

var scenarioCommands map[string]func(*scenario, *command) error

func init() { // a map literal would refer to itself
	scenarioCommands = map[string]func(*scenario, *command) error{
		"start": each((*scenario).start), "run": (*scenario).run, "await": (*scenario).await,
		"show": (*scenario).show, "tree": (*scenario).trees, "sessions": (*scenario).sessions,
		"files": each((*scenario).files), "converge": (*scenario).converge,
		"crash": (*scenario).crash, "hang": each(func(_ *scenario, s *server) error { s.ailment.hungDisk = true; return nil }),
		"unhang": each(func(_ *scenario, s *server) error { s.unhang(); return nil }),
		"fill":   each(func(_ *scenario, s *server) error { s.ailment.full = true; return nil }),
		"free":   each(func(_ *scenario, s *server) error { s.ailment.full = false; return nil }),
		"fail":   (*scenario).failSync, "snapshot": (*scenario).snapshot,
		"rot": (*scenario).damage, "empty": (*scenario).damage, "remove": (*scenario).damage,
		"quarantine": each((*scenario).quarantine), "wipe": each((*scenario).wipe),
		"pause": (*scenario).pause, "clock": (*scenario).clock,
		"isolate": each((*scenario).isolate), "heal": func(p *scenario, _ *command) error { p.heal(); return nil },
		"hold": (*scenario).hold, "release": (*scenario).hold, "break": (*scenario).breakLink, "slow": (*scenario).slow,
		"client": (*scenario).client, "oracle": (*scenario).decide,
	}
}

// each does something for each server that is named.
func each(do func(*scenario, *server) error) func(*scenario, *command) error {
	return func(p *scenario, c *command) error {
		if len(c.servers) == 0 {
			return errors.New("which server?")
		}
		for _, s := range c.servers {
			if err := do(p, s); err != nil {
				return err
			}
		}
		return nil
	}
}

// build makes a world in which nothing happens by chance: where the lower bound of a latency is above
// the upper one, nothing is drawn.
func (p *scenario) build(c *command) {
	voters, observers := c.number("voters", 3), c.number("observers", 0)
	plan := Plan{
		Seed: 1, Voters: voters, Observers: observers, Workload: "mixed",
		LatencyUs: [2]int64{200, 100}, FsyncUs: [2]int64{500, 0}, RestartUs: 1_000, TickUs: 10_000,
		DriftUs:   make([]int64, voters+observers),
		InitTicks: c.number("init", 100), SyncTicks: c.number("sync", 50), PingTicks: 5, ReportTicks: 5,
		MaxCounter: uint64(c.number("maxcounter", 0)), WindowBytes: c.number("window", 0),
		SnapCount: 1_000_000, SnapRetain: c.number("retain", 3), SegmentBytes: int64(c.number("segment", 16<<10)),
		SnapPieces: int64(c.number("pieces", 0)), SessionMs: int32(c.number("session", 2000)), Pipeline: 1 << 20, PauseFactor: 100,
	}
	p.w = newWorld(plan, p.tracer)
	p.shown, p.incarnations, p.served = make([]string, len(p.w.servers)), map[*server]uint64{}, map[*server]bool{}
	for i, s := range p.w.servers {
		s.ailment.keepDown = 1
		p.shown[i] = zabtest.Name(s.id) + " is down"
	}
	p.w.net.start()
	p.w.nemesis.start(p.w)
}

// start starts a process. A log that cannot be read is refused as production refuses it, with its words.
func (p *scenario) start(s *server) error {
	if s.up {
		return fmt.Errorf("%s runs", zabtest.Name(s.id))
	}
	if s.ailment.damaged {
		l, _, err := log.Open(s.logOptions(s.mem.Kill()))
		if err != nil {
			p.say("%s refuses to start: %v", zabtest.Name(s.id), err)
			return nil
		}
		_ = l.Close()
	}
	before, fresh := maps.Clone(p.w.cover), s.virgin
	s.ailment.keepDown = 0
	s.boot()
	s.ailment.keepDown = 1
	var found []string
	for _, name := range p.w.cover.Names() {
		what, recovery := strings.CutPrefix(name, "recovery: ")
		if recovery && p.w.cover[name] > before[name] && !strings.HasPrefix(what, "torn") {
			found = append(found, what)
		}
	}
	switch {
	case !s.up:
		p.say("%s does not start: %s", zabtest.Name(s.id), strings.Join(found, ", "))
	case !fresh:
		p.say("%s finds %s: last %s, promised %d, current %d", zabtest.Name(s.id), strings.Join(found, ", "),
			zabtest.Z(s.logged), s.peer.Zab().AcceptedEpoch(), s.peer.Zab().CurrentEpoch())
	}
	p.shown[s.id-1], p.served[s] = describeServer(s), false
	return nil
}

func (p *scenario) run(c *command) error {
	us, err := c.time()
	if err == nil {
		p.w.until(p.w.now + us)
	}
	return err
}

// await lets time pass until a server comes to a phase, so that what follows strikes there.
func (p *scenario) await(c *command) error {
	phases := map[string]zab.Phase{"discovery": zab.Discovery, "synchronization": zab.Synchronization, "broadcast": zab.Broadcast}
	if len(c.servers) != 1 || len(c.words) != 1 || phases[c.words[0]] == 0 {
		return errors.New("which server, and which phase?")
	}
	s := c.servers[0]
	in := func() bool { return s.up && s.peer.Zab().Phase() == phases[c.words[0]] }
	p.awhile(in)
	if !in() {
		return errors.New("it does not come to that")
	}
	return nil
}

// converge ends what is wrong and lets the world judge all that has happened.
func (p *scenario) converge(*command) error {
	w := p.w
	for _, view := range p.frozen {
		view.Release()
	}
	w.calm = true
	for _, s := range w.servers {
		w.core.Add(s.id)
	}
	for _, s := range w.servers {
		s.recoverMachine()
	}
	w.net.heal(w.core.Has)
	for _, c := range w.clients {
		if c.silent {
			c.silent = false
			c.redial()
		}
	}
	w.converge(w.sessionsEnd)
	if w.broken == nil {
		p.said = nil // what clients heard on the way depends on who expired
		p.sayTrees()
	}
	w.judge()
	if w.broken != nil {
		return w.broken
	}
	p.say("%d requests were answered, %d txns committed, and all checks hold", p.answers(), len(w.record.Commits))
	return nil
}

func (p *scenario) answers() (n int) {
	for i := range p.w.record.Ops {
		if p.w.record.Ops[i].Known() {
			n++
		}
	}
	return n
}

// names of sessions, for people: those of their clients.
func (p *scenario) owner(id zab.SessionID) string {
	for _, c := range p.w.clients {
		for i := range p.w.record.Conns {
			if conn := &p.w.record.Conns[i]; conn.Client == c.id && conn.Session == id {
				return c.gen.(*person).name
			}
		}
	}
	return fmt.Sprintf("session %x", id)
}
