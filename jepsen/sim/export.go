package sim

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"quoll/zab"
	"quoll/zab/zabtest"
)

// What a run leaves for people and for other programs: a transcript, and files made of its steps.

// Tracers tells several tracers the same.
type Tracers []Tracer

// Step implements Tracer.
func (ts Tracers) Step(s Step) {
	for _, t := range ts {
		t.Step(s)
	}
}

// Recording keeps all steps of a run.
type Recording struct{ Steps []Step }

// Step implements Tracer.
func (r *Recording) Step(s Step) { r.Steps = append(r.Steps, s) }

// Transcript writes each step as a line to W, as it happens. The first error ends it, and is kept.
type Transcript struct {
	W   io.Writer
	Err error
}

// Step implements Tracer.
func (t *Transcript) Step(s Step) {
	if t.Err == nil {
		text := strings.ReplaceAll(s.sentence(), "\n", "\n                    ")
		_, t.Err = fmt.Fprintf(t.W, "%12.3f ms  %s  %s\n", float64(s.At)/1000, name(s.Server), text)
	}
}

// name is the letter of a server, or nothing for what is not at one.
func name(server int) string {
	if server == 0 {
		return " "
	}
	return zabtest.Name(zab.ServerID(server))
}

// sentence says what happened, without when and where.
func (s *Step) sentence() string {
	with := name(s.Peer)
	switch s.Kind {
	case "send", "tell":
		return s.Kind + " " + s.Text + " to " + with
	case "receive", "hear":
		return s.Kind + " " + s.Text + " from " + with
	case "ask":
		return s.Text + " to " + with
	case "answer", "event":
		return s.Kind + " from " + with + ": " + s.Text
	case "role":
		if s.Peer == 0 || s.Peer == s.Server {
			return "is " + s.Text
		}
		return "is " + s.Text + " leader=" + with
	case "act":
		return "*** " + s.Text
	case "violation":
		return "VIOLATION " + s.Text
	case "append":
		return "append " + short(s.Text)
	default:
		return strings.TrimSpace(s.Kind + " " + s.Text)
	}
}

// longest is how much of a record's data a line shows.
const longest = 120

func short(text string) string {
	if len(text) <= longest {
		return text
	}
	return strings.ToValidUTF8(text[:longest], "") + "…"
}

// WriteLines writes steps as JSON, one a line.
func WriteLines(w io.Writer, steps []Step) error {
	b := bufio.NewWriter(w)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	for i := range steps {
		if err := e.Encode(&steps[i]); err != nil {
			return fmt.Errorf("write the steps: %w", err)
		}
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("write the steps: %w", err)
	}
	return nil
}

// The head of a file for ShiViz (https://bestchai.bitbucket.io/shiviz): the expression that takes an
// event apart, and an empty line where logs of several executions name what divides them.
const shivizHead = `(?<at>\S+ ms) (?<host>\S+) (?<clock>\{.*\})\n(?<event>.*)` + "\n\n"

// shivizClients is the host of all that is not at a server.
const shivizClients = "clients"

// WriteShiViz writes steps as a log for ShiViz, which draws one line of time a host and an arrow for
// each message. The vector clocks that it needs follow from the numbers of messages: what a server
// receives it knows with all that the sender knew when it sent that. Steps without a number, such as
// the stretches of a log that follow a DIFF, are local.
func WriteShiViz(w io.Writer, steps []Step) error {
	b := bufio.NewWriter(w)
	fmt.Fprint(b, shivizHead)
	clocks, sent := map[string]vector{}, map[int64]vector{}
	for i := range steps {
		s := &steps[i]
		host := name(s.Server)
		if s.Server == 0 {
			host = shivizClients
		}
		clock := clocks[host]
		if clock == nil {
			clock = vector{}
			clocks[host] = clock
		}
		switch s.Kind {
		case "receive", "hear":
			clock.merge(sent[s.Number]) // nil without a number
		}
		clock[host]++
		if s.Number != 0 && (s.Kind == "send" || s.Kind == "tell") {
			sent[s.Number] = clock.clone()
		}
		text, err := json.Marshal(clock) // sorts the hosts
		if err != nil {
			return fmt.Errorf("write the log for ShiViz: %w", err)
		}
		fmt.Fprintf(b, "%.3f ms %s %s\n%s\n", float64(s.At)/1000, host, text, strings.ReplaceAll(s.sentence(), "\n", "; "))
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("write the log for ShiViz: %w", err)
	}
	return nil
}

// vector is a vector clock: how many events of each host are known.
type vector map[string]int

func (v vector) merge(o vector) {
	for host, n := range o {
		v[host] = max(v[host], n)
	}
}

func (v vector) clone() vector {
	c := vector{}
	c.merge(v)
	return c
}

// View is a run as a page shows it that steps through it.
type View struct {
	Plan    Plan         `json:"plan"`
	Servers []ViewServer `json:"servers"`
	Clients int          `json:"clients"`
	Steps   []Step       `json:"steps"`
	Result  *Result      `json:"result"`
}

// ViewServer is one server of a View.
type ViewServer struct {
	ID       int         `json:"id"`
	Name     string      `json:"name"` // a letter, as in the text of steps
	Observer bool        `json:"observer,omitempty"`
	States   []ViewState `json:"states"` // by Step; a state holds until the next
}

// ViewState is what a server is, from a step on.
type ViewState struct {
	Step   int    `json:"step"` // index in Steps
	Up     bool   `json:"up"`
	Role   string `json:"role,omitempty"`
	Phase  string `json:"phase,omitempty"`
	Epoch  uint32 `json:"epoch,omitempty"`
	Leader int    `json:"leader,omitempty"`
}

// NewView makes it. steps and res become part of it.
func NewView(plan Plan, steps []Step, res *Result) *View {
	v := &View{Plan: plan, Clients: plan.Clients, Steps: steps, Result: res}
	for id := 1; id <= plan.Voters+plan.Observers; id++ {
		v.Servers = append(v.Servers, ViewServer{ID: id, Name: name(id), Observer: id > plan.Voters, States: []ViewState{{}}})
	}
	for i := range steps {
		s := &steps[i]
		if s.Server < 1 || s.Server > len(v.Servers) {
			continue
		}
		states := &v.Servers[s.Server-1].States
		next := ViewState{Step: i}
		switch s.Kind {
		case "start":
			next.Up = true
		case "crash":
		case "role":
			next.Up, next.Leader = true, s.Peer
			next.Role, next.Phase, next.Epoch = readRole(s.Text)
		default:
			continue
		}
		*states = append(*states, next)
	}
	return v
}

// readRole takes the text of a role step apart, which traceTurn wrote.
func readRole(text string) (role, phase string, epoch uint32) {
	names, number, _ := strings.Cut(text, " epoch=")
	role, phase, _ = strings.Cut(names, "/")
	_, _ = fmt.Sscan(number, &epoch) // stays 0 when there is none
	return role, phase, epoch
}

// WriteView writes a View as one JSON document.
func WriteView(w io.Writer, v *View) error {
	b, err := json.Marshal(v)
	if err == nil {
		_, err = w.Write(b)
	}
	if err != nil {
		return fmt.Errorf("write the view of seed %d: %w", v.Plan.Seed, err)
	}
	return nil
}
