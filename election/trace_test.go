package election_test

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"quoll/election"
	"quoll/zab"
)

// TestTraces replays testdata/*.trace: scripts with their full transcripts. After a change of
// behaviour, `go test ./election -rewrite` writes the transcripts anew; read the difference.
//
//	ensemble voters=(1,2,3) [observers=(4)] [groups=(1:2,3)] [weights=(2:0)]
//	    starts a network of these servers; none is connected or looking. A group lists its
//	    servers, a weight is server:weight. finalize, resend and max-resend are in ticks.
//	run, setup
//	    performs the steps that follow, one a line; setup keeps the transcript to itself:
//	up A B, up all       connect; both sides tell their last word
//	down A B             disconnect; what is on the wire is lost
//	crash A              disconnect A from everybody and forget what it knew
//	start A V            A looks for a leader, with the vote V: A@epoch/zxid, or - for none
//	tick A|all [N]       N ticks pass
//	deliver [A B]        deliver what is on the wire from A to B, or everything until it is empty
//	lose A B             lose what is on the wire from A to B
//	say A B STATE V N    B hears from A that it is in STATE and votes V in round N
//	settle A|all E       A serves in epoch E in the role it decided for
//	links A B,C|none     A, which is to lead, has links from these servers
//	show                 what everybody believes
func TestTraces(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.trace")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".trace"), func(t *testing.T) {
			var w *network
			datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
				switch d.Cmd {
				case "ensemble":
					w = newNetwork(scanEnsemble(t, d))
					return ""
				case "setup":
					w.script(t, d)
					return ""
				case "run":
					return w.script(t, d)
				}
				d.Fatalf(t, "no command %s", d.Cmd)
				return ""
			})
		})
	}
}

func scanEnsemble(t *testing.T, d *datadriven.TestData) election.Config {
	var cfg zab.EnsembleConfig
	out := election.Config{FinalizeTicks: 2, ResendTicks: 20, MaxResendTicks: 80}
	for _, arg := range d.CmdArgs {
		switch arg.Key {
		case "voters":
			cfg.Voters = scanIDs(t, d, arg.Vals)
		case "observers":
			cfg.Observers = scanIDs(t, d, arg.Vals)
		case "groups":
			cfg.Groups = map[int][]zab.ServerID{}
			for i, g := range arg.Vals {
				cfg.Groups[i+1] = scanIDs(t, d, strings.Split(g, ":"))
			}
		case "weights":
			cfg.Weights = map[zab.ServerID]int{}
			for _, v := range arg.Vals {
				id, weight, _ := strings.Cut(v, ":")
				cfg.Weights[scanIDs(t, d, []string{id})[0]] = scanInt(t, d, weight)
			}
		case "finalize":
			out.FinalizeTicks = scanInt(t, d, arg.Vals[0])
		case "resend":
			out.ResendTicks = scanInt(t, d, arg.Vals[0])
		case "max-resend":
			out.MaxResendTicks = scanInt(t, d, arg.Vals[0])
		default:
			d.Fatalf(t, "no argument %s", arg.Key)
		}
	}
	var err error
	if out.Ensemble, err = zab.NewEnsemble(cfg); err != nil {
		d.Fatalf(t, "%v", err)
	}
	return out
}

func scanIDs(t *testing.T, d *datadriven.TestData, vals []string) (ids []zab.ServerID) {
	for _, v := range vals {
		ids = append(ids, zab.ServerID(scanInt(t, d, v)))
	}
	return ids
}

func scanInt(t *testing.T, d *datadriven.TestData, s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		d.Fatalf(t, "%v", err)
	}
	return n
}

// script performs steps and returns what came of them, each step above its consequences.
func (w *network) script(t *testing.T, d *datadriven.TestData) string {
	w.log.Reset()
	for line := range strings.SplitSeq(d.Input, "\n") {
		w.printf("> %s\n", line)
		if err := w.step(strings.Fields(line)); err != nil {
			d.Fatalf(t, "%s: %v", line, err)
		}
	}
	return w.log.String()
}

func (w *network) step(f []string) error {
	servers := make([]zab.ServerID, len(f)) // of the words that are numbers
	for i, word := range f {
		if n, err := strconv.Atoi(word); err == nil {
			servers[i] = zab.ServerID(n)
		}
	}
	switch command := f[0] + " " + strconv.Itoa(len(f)-1); command {
	case "up 2":
		w.up(servers[1], servers[2])
	case "up 1":
		for _, a := range w.ids() {
			for _, b := range w.ids() {
				w.up(a, b)
			}
		}
	case "down 2":
		w.down(servers[1], servers[2])
	case "crash 1":
		w.crash(servers[1])
	case "start 2":
		vote, err := parseVote(f[2])
		if err != nil {
			return err
		}
		w.start(servers[1], vote)
	case "tick 1", "tick 2":
		return w.ticks(f)
	case "deliver 2":
		w.deliver(pair{servers[1], servers[2]})
	case "deliver 0":
		if _, quiet := w.deliverAll(200); !quiet {
			return fmt.Errorf("the wire does not fall quiet")
		}
	case "lose 2":
		delete(w.wire, pair{servers[1], servers[2]})
	case "say 5":
		return w.say(pair{servers[1], servers[2]}, f[3:])
	case "settle 2":
		for _, id := range w.ids() {
			if f[1] == fmt.Sprint(id) || f[1] == "all" && w.nodes[id].State() > election.Looking {
				w.settle(id, zab.Epoch(servers[2]))
			}
		}
	case "links 2":
		var links zab.Set
		for word := range strings.SplitSeq(strings.ReplaceAll(f[2], "none", "0"), ",") {
			id, err := strconv.Atoi(word)
			if err != nil {
				return err
			}
			links.Add(zab.ServerID(id))
		}
		w.linked(servers[1], links)
	case "show 0":
		w.show()
	default:
		return fmt.Errorf("no step %q", command)
	}
	return nil
}

func (w *network) ticks(f []string) error {
	n := 1
	if len(f) > 2 {
		var err error
		if n, err = strconv.Atoi(f[2]); err != nil {
			return err
		}
	}
	for range n {
		for _, id := range w.ids() {
			if f[1] == "all" || f[1] == fmt.Sprint(id) {
				w.tick(id)
			}
		}
	}
	return nil
}

func (w *network) say(p pair, f []string) (err error) {
	var n election.Notification
	if n.State, err = parseState(f[0]); err != nil {
		return err
	}
	if n.Vote, err = parseVote(f[1]); err != nil {
		return err
	}
	if n.Round, err = strconv.ParseUint(f[2], 10, 64); err != nil {
		return err
	}
	w.hear(p, n)
	return nil
}

func (w *network) show() {
	for _, id := range w.ids() {
		if n := w.nodes[id]; n.State() != 0 {
			w.printf("%d is %s\n", id, show(election.Notification{
				State: n.State(), Vote: n.Vote(), Round: n.Round(),
			}))
		}
	}
}
