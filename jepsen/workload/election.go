package workload

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"quoll/jepsen/history"
	"quoll/transport/wire"
	"quoll/zab"
)

// election is ZooKeeper's recipe of a leader election, with a fence. A client stands for election with an
// ephemeral sequential znode and watches the one before it; whose is the first leads, for as long as it likes. What a
// leader does counts only under its fence: it writes the czxid of its own znode to /election/fence, on the condition
// that nothing has changed there since it looked, and resigns when it finds a higher one. Its session may be over
// without its knowledge, and its successor at work.
type election struct {
	*agent
	step   electionStep
	asked  bool     // the operation of step is on its way
	mine   string   // the znode of this client
	czxid  zab.Zxid // of mine
	before string   // the znode to wait for
	fence  int32    // version of the fence
	acts   int      // left to do before it resigns
	idle   int      // questions asked while waiting
}

type electionStep uint8

const (
	electionStand  electionStep = iota // create the znode
	electionFind                       // the answer to the create was lost: look for a znode of this session
	electionKnow                       // ask for its czxid
	electionList                       // see who is first
	electionWatch                      // watch the znode before
	electionWait                       // for it to go
	electionLook                       // take office: read the fence
	electionAct                        // as a leader: write the fence
	electionResign                     // delete the znode
)

const (
	electionPath      = "/election"
	electionFence     = electionPath + "/fence"
	electionCandidate = electionPath + "/n-"
)

func newElection(a *agent, _ *rand.Rand) generator {
	a.set(electionPath, nil)
	a.set(electionFence, []byte("0"))
	return &election{agent: a}
}

func (g *election) next(r *rand.Rand) history.Op {
	if g.asked {
		return read(wire.OpExists, electionFence)
	}
	if g.step == electionWait {
		if g.idle++; g.idle < 8 {
			return read(wire.OpExists, electionFence)
		}
		g.step = electionList // the watch may have gone with a connection: look again
	}
	g.asked = true
	switch g.step {
	case electionFind:
		return read(wire.OpGetEphemerals, electionCandidate)
	case electionKnow:
		return read(wire.OpGetData, g.mine)
	case electionList:
		return read(wire.OpGetChildren, electionPath)
	case electionWatch:
		return watching(wire.OpExists, g.before)
	case electionLook:
		g.acts = 1 + r.IntN(20) // a long reign now and then, to be ended by the end of its session
		return read(wire.OpGetData, electionFence)
	case electionAct:
		return setData(electionFence, fmt.Appendf(nil, "%d %s", int64(g.czxid), g.value()), g.fence)
	case electionResign:
		return remove(g.mine, -1)
	default:
		return create(electionCandidate, g.value(), wire.EphemeralSequential)
	}
}

// done goes on when the answer is that to the operation of the step.
func (g *election) done(op *history.Op, res *history.Result) {
	if !g.asked || op.Kind == wire.OpExists && !op.Watch || op.Kind == wire.OpCreate && !op.Mode.Ephemeral() {
		return // not of the recipe
	}
	g.asked = false
	if res == nil { // ask again; but what may have been created or written must be looked at first
		switch g.step {
		case electionStand:
			g.step = electionFind
		case electionAct:
			g.step = electionLook
		default:
		}
		return
	}
	switch op.Kind {
	case wire.OpCreate:
		g.stood(res)
	case wire.OpGetEphemerals:
		g.step = electionStand
		if succeeded(res) && len(res.Children) > 0 {
			g.mine, g.step = slices.Min(res.Children), electionKnow
		}
	case wire.OpGetChildren:
		g.listed(res)
	case wire.OpExists:
		g.step, g.idle = electionWait, 0
		if res.Code != wire.OK {
			g.step = electionList
		}
	case wire.OpGetData:
		g.looked(op, res)
	case wire.OpDelete: // a create that was given up for lost may have come through since
		g.step, g.mine = electionFind, ""
	default:
		g.fence++
		if g.acts--; res.Code != wire.OK || g.acts <= 0 { // deposed, or tired of it
			g.step = electionResign
		}
	}
}

func (g *election) stood(res *history.Result) {
	switch res.Code {
	case wire.OK:
		g.mine, g.step = res.Path, electionKnow
	case wire.NoNode:
		g.reset()
	default:
	}
}

func (g *election) listed(res *history.Result) {
	names := slices.DeleteFunc(slices.Sorted(slices.Values(res.Children)), func(name string) bool { return !strings.HasPrefix(name, "n-") })
	i := slices.Index(names, strings.TrimPrefix(g.mine, electionPath+"/"))
	switch {
	case res.Code != wire.OK:
	case i < 0: // a server that is behind, or the session is over
		g.step, g.mine = electionFind, ""
	case i == 0:
		g.step = electionLook
	default:
		g.before, g.step = electionPath+"/"+names[i-1], electionWatch
	}
}

// looked takes what was read of the own znode, or of the fence.
func (g *election) looked(op *history.Op, res *history.Result) {
	if op.Path != electionFence {
		g.step, g.czxid = electionList, res.Stat.Czxid
		if res.Code != wire.OK {
			g.step, g.mine = electionFind, ""
		}
		return
	}
	digits, _, _ := bytes.Cut(res.Data, []byte(" "))
	highest, err := strconv.ParseInt(string(digits), 10, 64)
	switch {
	case res.Code == wire.NoNode:
		g.reset()
	case res.Code != wire.OK || err != nil || highest > int64(g.czxid):
		g.step = electionResign
	default:
		g.fence, g.step = res.Stat.Version, electionAct
	}
}

func (g *election) event(e history.Event) {
	if g.step == electionWait && e.Path == g.before {
		g.step = electionList
	}
}

// lost starts over: the znode went with the session.
func (g *election) lost() {
	g.step, g.asked, g.mine, g.before = electionStand, false, "", ""
}
