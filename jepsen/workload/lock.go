package workload

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"

	"quoll/jepsen/history"
	"quoll/transport/wire"
)

// lock is ZooKeeper's recipe of a lock, with a fence. A client waits for its turn with an ephemeral
// sequential znode, watching the one before it. While it holds the lock it writes the number of
// that znode to /fence, on the condition that nothing has changed there since it looked, and
// gives up when it finds a higher number: its session may be over without its knowledge.
type lock struct {
	*agent
	step   lockStep
	asked  bool   // the operation of step is on its way
	mine   string // the znode of this client
	before string // the znode to wait for
	fence  int32  // version of /fence
	writes int    // left to do before the lock is given back
	idle   int    // questions asked while waiting
}

type lockStep uint8

const (
	lockEnter   lockStep = iota // create the znode
	lockFind                    // the answer to the create was lost: look for a znode of this session
	lockList                    // see who is first
	lockWatch                   // watch the znode before
	lockWait                    // for it to go
	lockLook                    // read the fence
	lockWrite                   // write it
	lockRelease                 // delete the znode
)

const fencePath = "/fence"

func newLock(a *agent, _ *rand.Rand) generator {
	a.set("/lock", nil)
	a.set(fencePath, []byte("0"))
	return &lock{agent: a}
}

func (g *lock) next(r *rand.Rand) history.Op {
	if g.asked {
		return read(wire.OpExists, fencePath)
	}
	if g.step == lockWait {
		g.idle++
		if g.idle < 8 {
			return read(wire.OpExists, fencePath)
		}
		g.step = lockList // the watch may have gone with a connection: look again
	}
	g.asked = true
	switch g.step {
	case lockFind:
		return read(wire.OpGetEphemerals, "/lock/n-")
	case lockList:
		return read(wire.OpGetChildren, "/lock")
	case lockWatch:
		return watching(wire.OpExists, g.before)
	case lockLook:
		g.writes = 1 + r.IntN(3)
		return read(wire.OpGetData, fencePath)
	case lockWrite:
		op := setData(fencePath, fmt.Appendf(nil, "%d %s", number(g.mine), g.value()), g.fence)
		if chance(r, 30) { // the other way to be safe: only while the own znode is there
			return history.Op{Kind: wire.OpMulti, Ops: []history.Op{{Kind: wire.OpCheck, Path: g.mine, Version: -1}, op}}
		}
		return op
	case lockRelease:
		return remove(g.mine, -1)
	default:
		return create("/lock/n-", g.value(), wire.EphemeralSequential)
	}
}

// number returns the sequence number at the end of a path.
func number(path string) int {
	n, _ := strconv.Atoi(path[max(0, len(path)-10):])
	return n
}

// done goes on when the answer is that to the operation of the step.
func (g *lock) done(op *history.Op, res *history.Result) {
	if !g.asked || op.Kind == wire.OpExists && !op.Watch || op.Kind == wire.OpCreate && !op.Mode.Ephemeral() {
		return // not of the recipe
	}
	g.asked = false
	if res == nil { // ask again; but what may have been created or written must be looked at first
		switch g.step {
		case lockEnter:
			g.step = lockFind
		case lockWrite:
			g.step = lockLook
		default:
		}
		return
	}
	switch op.Kind {
	case wire.OpCreate:
		g.entered(res)
	case wire.OpGetEphemerals:
		g.step = lockEnter
		if succeeded(res) && len(res.Children) > 0 {
			g.mine, g.step = slices.Min(res.Children), lockList
		}
	case wire.OpGetChildren:
		g.listed(res)
	case wire.OpExists:
		g.step, g.idle = lockWait, 0
		if res.Code != wire.OK {
			g.step = lockList
		}
	case wire.OpGetData:
		g.looked(res)
	case wire.OpDelete: // a create that was given up for lost may have come through since
		g.step, g.mine = lockFind, ""
	default:
		g.wrote(op, res)
	}
}

func (g *lock) entered(res *history.Result) {
	switch res.Code {
	case wire.OK:
		g.mine, g.step = res.Path, lockList
	case wire.NoNode:
		g.reset()
	default:
	}
}

func (g *lock) listed(res *history.Result) {
	if g.mine == "" { // given up since the question was asked
		g.step = lockFind
		return
	}
	names := slices.Sorted(slices.Values(res.Children))
	i := slices.Index(names, g.mine[len("/lock/"):])
	switch {
	case res.Code != wire.OK:
	case i < 0: // a server that is behind, or the session is over
		g.step, g.mine = lockFind, ""
	case i == 0:
		g.step = lockLook
	default:
		g.before, g.step = "/lock/"+names[i-1], lockWatch
	}
}

func (g *lock) looked(res *history.Result) {
	digits, _, _ := bytes.Cut(res.Data, []byte(" "))
	highest, err := strconv.Atoi(string(digits))
	switch {
	case res.Code == wire.NoNode:
		g.reset()
	case res.Code != wire.OK || err != nil || highest > number(g.mine):
		g.step = lockRelease
	default:
		g.fence, g.step = res.Stat.Version, lockWrite
	}
}

// wrote goes on after a write of the fence. One that failed says that the lock was lost.
func (g *lock) wrote(op *history.Op, res *history.Result) {
	ok := res.Code == wire.OK
	if op.Kind == wire.OpMulti {
		last := len(res.Results) - 1
		ok = ok && last >= 0 && res.Results[last].Kind == wire.OpSetData
	}
	g.writes--
	g.fence++
	if !ok || g.writes <= 0 {
		g.step = lockRelease
	}
}

func (g *lock) event(e history.Event) {
	if g.step == lockWait && e.Path == g.before {
		g.step = lockList
	}
}

// lost starts over: the znode went with the session.
func (g *lock) lost() { g.step, g.asked, g.mine, g.before = lockEnter, false, "", "" }
