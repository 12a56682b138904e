package sim

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"quoll/tree"
)

// Play replays a scenario: a script in which each command is a line, and the outcome of a command the
// indented lines below it. It returns the script with the outcomes as they are now; who keeps a
// scenario compares. The error is a broken promise, or a command that makes no sense.
//
// A scenario is a World without chance: nothing goes wrong that the script does not ask for, and
// latencies are fixed. Servers are letters, zxids epoch:counter, times like 200ms.
//
//	each n=1..30            plays all of it for each n, which stands for $n
//	ensemble voters=3 [observers= maxcounter= session= init= sync= segment= retain= pieces= window=]
//	start A B C             starts processes. One that has crashed stays down until it is started
//	run 500ms               time passes
//	await A synchronization time passes until A comes to this phase of its role
//	show                    every server's history, as far as it has it
//	tree                    what every server's clients would see
//	sessions                the ids of the clients' sessions
//	files A                 what is in its directory
//	converge                ends everything that is wrong, restarts who is down, and demands all that
//	                        must come true then, and of all that has happened: the end of a script
//
// Servers, disks and the network:
//
//	crash A [power]         the process is killed; with power, what was not synced may be lost, and
//	                        silently: also nobody closes its connections
//	crash A after=9 [power] in so many operations of its disk and its links
//	hang A / unhang A       its disk syncs nothing
//	fill A / free A         its disk has no room
//	fail A [n=1]            the n-th fsync from now fails
//	snapshot A [begin|end]  begin freezes the tree, end writes it; else both
//	rot A snapshot|log [oldest|all]  a bit of the newest file flips, of the oldest, or one of each
//	empty A snapshot [all]  files of length 0
//	remove A log [oldest]
//	quarantine A            what an operator does with a log that is refused, then start
//	wipe A                  a new disk
//	pause A 500ms           the process stands still
//	clock A +1h             the clock on the wall
//	isolate A / heal        from the other servers; clients are not concerned
//	hold A B / release A B  what A sends to B waits
//	break A B               the link between them ends
//	oracle A                elections end as an adversary likes: who looks now follows A; oracle: no more
//	slow A B 20ms           what A sends to B takes longer, by up to this
//
// Clients (scenario_clients.go):
//
//	client c1 at A [session=c2] connects, as a new client or as another one of a session
//	c1 create /a [x] [ephemeral] [sequential] [container] [acl=auth|read] [n=100] [pad=1000]
//	c1 set|delete|get|exists|children|acl|ephemerals|sync|close [/a] [x] [version=3] [watch] [n=]
//	c1 multi create /a x; set /b y; check /c version=1
//	c1 watch /a [recursive]   a persistent watch
//	c1 auth                 proves an identity
//	c1 wait                 for what is open
//	c1 to B                 leaves its connection and goes on at B
//	c1 away / c1 back       is silent; its session may expire
//	c1 gone                 for good, without a word
//
// A command of a client waits for its answer, for three seconds at most; with & at the end it does not.
func Play(script string, tracer Tracer) (transcript string, err error) {
	var lines []string
	last, lo, hi := "", 0, 0
	for line := range strings.Lines(script) {
		if strings.HasPrefix(line, "  ") {
			continue
		}
		lines = append(lines, strings.TrimSpace(line))
		if _, scanned := fmt.Sscanf(line, "each n=%d..%d", &lo, &hi); scanned == nil && (lo < 1 || hi < lo) {
			return "", fmt.Errorf("%s: from 1 on, and up", line)
		}
		if line = lines[len(lines)-1]; line != "" && line[0] != '#' {
			last = line
		}
	}
	if last != "converge" {
		return "", errors.New("a scenario ends with converge")
	}
	var plays [][]string
	for n := lo; n <= hi && err == nil; n++ {
		var outcome []string
		if outcome, err = play(lines, n, tracer); err != nil && lo < hi {
			err = fmt.Errorf("n=%d: %w", n, err)
		}
		if err != nil {
			plays, lo = nil, n // only this one is of interest
		}
		plays = append(plays, outcome)
	}
	return interleave(lines, plays, lo), err
}

// play carries out all lines, with $n replaced, and returns the outcome of each.
func play(lines []string, n int, tracer Tracer) (outcomes []string, err error) {
	defer func() {
		if x := recover(); x != nil {
			err = fmt.Errorf("panic: %v\n%s", x, stack())
		}
	}()
	p := &scenario{tracer: tracer, people: map[string]*person{}, frozen: map[*server]*tree.View{}}
	outcomes = make([]string, len(lines))
	for i, line := range lines {
		if line == "" || line[0] == '#' || strings.HasPrefix(line, "each ") {
			continue
		}
		err = p.do(strings.ReplaceAll(line, "$n", strconv.Itoa(n)))
		outcomes[i] = strings.Join(p.said, "\n")
		if err != nil {
			return outcomes, fmt.Errorf("%s: %w", line, err)
		}
	}
	return outcomes, nil
}

// interleave writes the outcomes below their lines. Where they are not alike for all n it says which
// is that of which, for n from lo on.
func interleave(lines []string, plays [][]string, lo int) string {
	var b strings.Builder
	show := func(prefix, outcome string) {
		if outcome != "" {
			margin := "\n  " + strings.Repeat(" ", len(prefix))
			b.WriteString("  " + prefix + strings.ReplaceAll(outcome, "\n", margin) + "\n")
		}
	}
	for i, line := range lines {
		b.WriteString(line + "\n")
		same := func(play []string) bool { return play[i] == plays[0][i] }
		if !slices.ContainsFunc(plays, func(play []string) bool { return !same(play) }) {
			show("", plays[0][i])
			continue
		}
		for from, to := 0, 0; from < len(plays); from = to {
			for to = from; to < len(plays) && plays[to][i] == plays[from][i]; {
				to++
			}
			what := fmt.Sprintf("n=%d", lo+from)
			if to > from+1 {
				what += fmt.Sprintf("..%d", lo+to-1)
			}
			if plays[from][i] == "" {
				show(what+": ", "nothing")
			} else {
				show(what+": ", plays[from][i])
			}
		}
	}
	return b.String()
}
