package sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// steps of a run that says little.
var someSteps = []Step{
	{At: 0, Server: 1, Kind: "start", Text: "accepted=0"},
	{At: 12_345, Server: 1, Kind: "role", Peer: 2, Text: "Following/Discovery epoch=3"},
	{At: 13_000, Server: 1, Kind: "send", Peer: 2, Number: 7, Text: "FollowerInfo accepted=2"},
	{At: 13_500, Server: 2, Kind: "receive", Peer: 1, Number: 7, Text: "FollowerInfo accepted=2"},
	{At: 13_500, Server: 2, Kind: "receive", Peer: 1, Text: "Proposal 1:1 from the log"},
	{At: 13_501, Server: 2, Kind: "role", Peer: 2, Text: "Leading/Broadcast epoch=3"},
	{At: 14_000, Server: 2, Kind: "tell", Peer: 1, Number: 8, Text: "LEADING"},
	{At: 14_500, Server: 1, Kind: "hear", Peer: 2, Number: 8, Text: "LEADING"},
	{At: 14_900, Server: 1, Kind: "hear", Peer: 2, Number: 8, Text: "LEADING"},
	{At: 15_000, Kind: "ask", Peer: 1, Text: "client 0 xid=1 create /a"},
	{At: 15_200, Server: 1, Kind: "append", Text: strings.Repeat("x", 200)},
	{At: 16_000, Server: 2, Kind: "act", Text: "power loss"},
	{At: 16_000, Server: 2, Kind: "crash", Text: "power"},
	{At: 17_000, Kind: "answer", Peer: 1, Text: "client 0 xid=1 create /a -> OK"},
	{At: 18_000, Server: 1, Kind: "violation", Text: "I-ACK: first\nsecond"},
}

func TestTranscript(t *testing.T) {
	var b strings.Builder
	transcript := &Transcript{W: &b}
	for _, s := range someSteps {
		Tracers{transcript}.Step(s)
	}
	require.NoError(t, transcript.Err)
	require.Equal(t, strings.TrimPrefix(`
       0.000 ms  A  start accepted=0
      12.345 ms  A  is Following/Discovery epoch=3 leader=B
      13.000 ms  A  send FollowerInfo accepted=2 to B
      13.500 ms  B  receive FollowerInfo accepted=2 from A
      13.500 ms  B  receive Proposal 1:1 from the log from A
      13.501 ms  B  is Leading/Broadcast epoch=3
      14.000 ms  B  tell LEADING to A
      14.500 ms  A  hear LEADING from B
      14.900 ms  A  hear LEADING from B
      15.000 ms     client 0 xid=1 create /a to A
      15.200 ms  A  append `+strings.Repeat("x", 120)+`…
      16.000 ms  B  *** power loss
      16.000 ms  B  crash power
      17.000 ms     answer from A: client 0 xid=1 create /a -> OK
      18.000 ms  A  VIOLATION I-ACK: first
                    second
`, "\n"), b.String())
}

// broken accepts so many bytes.
type brokenWriter struct{ left int }

var errFull = errors.New("full")

func (b *brokenWriter) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

// An output that fails is reported by each form.
func TestExportErrors(t *testing.T) {
	transcript := &Transcript{W: &brokenWriter{left: 60}}
	for _, s := range someSteps {
		transcript.Step(s)
	}
	require.ErrorIs(t, transcript.Err, errFull)
	require.ErrorIs(t, WriteLines(&brokenWriter{}, someSteps), errFull)
	require.ErrorIs(t, WriteShiViz(&brokenWriter{}, someSteps), errFull)
	require.ErrorIs(t, WriteView(&brokenWriter{}, NewView(Plan{}, someSteps, nil)), errFull)
}

func TestShiViz(t *testing.T) {
	var b strings.Builder
	require.NoError(t, WriteShiViz(&b, someSteps[1:9]))
	require.Equal(t, `(?<at>\S+ ms) (?<host>\S+) (?<clock>\{.*\})\n(?<event>.*)

12.345 ms A {"A":1}
is Following/Discovery epoch=3 leader=B
13.000 ms A {"A":2}
send FollowerInfo accepted=2 to B
13.500 ms B {"A":2,"B":1}
receive FollowerInfo accepted=2 from A
13.500 ms B {"A":2,"B":2}
receive Proposal 1:1 from the log from A
13.501 ms B {"A":2,"B":3}
is Leading/Broadcast epoch=3
14.000 ms B {"A":2,"B":4}
tell LEADING to A
14.500 ms A {"A":3,"B":4}
hear LEADING from B
14.900 ms A {"A":4,"B":4}
hear LEADING from B
`, b.String())
}

// record plays a plan and keeps its steps.
func record(t *testing.T, plan Plan) (*Recording, *Result) {
	var r Recording
	res := Run(plan, &r)
	require.NotEmpty(t, r.Steps)
	return &r, res
}

// ShiViz refuses a log in which a host's own clock does not count 1, 2, 3, or knows of an event of
// another host that comes later in no order.
func TestShiVizOfRun(t *testing.T) {
	r, _ := record(t, Draw(5, Limits{Voters: [2]int{3, 3}, FaultUs: 500_000}))
	var b strings.Builder
	require.NoError(t, WriteShiViz(&b, r.Steps))
	head, rest, _ := strings.Cut(b.String(), "\n\n")
	event := regexp.MustCompile("^" + head + "\n")
	count, known := vector{}, 0
	for len(rest) > 0 {
		m := event.FindStringSubmatch(rest)
		require.NotNil(t, m, "%.200s", rest)
		rest = rest[len(m[0]):]
		var clock vector
		require.NoError(t, json.Unmarshal([]byte(m[event.SubexpIndex("clock")]), &clock))
		host := m[event.SubexpIndex("host")]
		count[host]++
		require.Equal(t, count[host], clock[host])
		for other, n := range clock {
			require.LessOrEqual(t, n, count[other], "an event that comes later")
			if other != host {
				known++
			}
		}
	}
	require.Len(t, count, 4, "three servers, and the clients")
	require.Positive(t, known)
}

// A message is received by the server that it was sent to, with the number and the text that it was
// sent with: else arrows in a diagram go wrong.
func TestNumbersOfRun(t *testing.T) {
	r, _ := record(t, Draw(5, Limits{Voters: [2]int{3, 3}, FaultUs: 500_000}))
	sent, matched := map[int64]Step{}, 0
	for _, s := range r.Steps {
		switch s.Kind {
		case "send", "tell":
			require.NotContains(t, sent, s.Number)
			sent[s.Number] = s
		case "receive", "hear":
			if s.Number == 0 {
				continue
			}
			from := sent[s.Number]
			require.Equal(t, []int{s.Peer, s.Server}, []int{from.Server, from.Peer}, "%+v", s)
			require.LessOrEqual(t, from.At, s.At)
			matched++
		}
	}
	require.Greater(t, matched, 50)
}

func TestLines(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, WriteLines(&b, someSteps))
	first, _, _ := strings.Cut(b.String(), "\n")
	require.JSONEq(t, `{"at_us":0,"server":1,"kind":"start","text":"accepted=0"}`, first)
	var back []Step
	for d := json.NewDecoder(&b); d.More(); {
		var s Step
		require.NoError(t, d.Decode(&s))
		back = append(back, s)
	}
	require.Equal(t, someSteps, back)
}

func TestView(t *testing.T) {
	v := NewView(Plan{Voters: 1, Observers: 1, Clients: 2}, someSteps, &Result{Steps: 9})
	require.Equal(t, []ViewServer{
		{ID: 1, Name: "A", States: []ViewState{
			{}, {Step: 0, Up: true}, {Step: 1, Up: true, Role: "Following", Phase: "Discovery", Epoch: 3, Leader: 2},
		}},
		{ID: 2, Name: "B", Observer: true, States: []ViewState{
			{}, {Step: 5, Up: true, Role: "Leading", Phase: "Broadcast", Epoch: 3, Leader: 2}, {Step: 12},
		}},
	}, v.Servers)
	var b bytes.Buffer
	require.NoError(t, WriteView(&b, v))
	var back View
	require.NoError(t, json.Unmarshal(b.Bytes(), &back))
	require.Equal(t, v, &back)
}

// The states of a run's servers are complete: each is up at some time, and one leads.
func TestViewOfRun(t *testing.T) {
	plan := Draw(5, Limits{Voters: [2]int{3, 3}, Observers: -1, FaultUs: 500_000})
	r, res := record(t, plan)
	leads := 0
	for _, s := range NewView(plan, r.Steps, res).Servers {
		up := false
		for i, state := range s.States {
			require.True(t, i == 0 || state.Step > s.States[i-1].Step || i == 1)
			up = up || state.Up
			if state.Role == "Leading" && state.Phase == "Broadcast" {
				leads++
				require.Equal(t, s.ID, state.Leader)
				require.NotZero(t, state.Epoch)
			}
		}
		require.True(t, up, s.Name)
	}
	require.Positive(t, leads)
}
