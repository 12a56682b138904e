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

// lock is ZooKeeper's recipe of a lock, which is that of a leader election, too: a client stands in line with
// an ephemeral sequential znode, watching the one before it, and whose znode is the first holds the lock. What the
// holder does counts only under a fence: it writes a token that grows from holder to holder, on the condition that
// nothing has changed there since it looked, and gives up when it finds a higher one. Its session may be over without
// its knowledge, and the next holder at work.
type lock struct {
	*agent
	fencing
	step   lockStep
	asked  bool     // the operation of step is on its way
	mine   string   // the znode of this client
	czxid  zab.Zxid // of mine, where that is the token
	before string   // the znode to wait for
	fence  int32    // version of the fence
	writes int      // left to do before the lock is given back
	idle   int      // questions asked while waiting
}

// fencing is what tells a lock from an election.
type fencing struct {
	line    string // whose children named n-... stand in line
	path    string // of the fence
	czxid   bool   // the token is the czxid of the holder's znode, and else its sequence number
	longest int    // how many writes a holder does at most
	checks  int    // in how many cases of a hundred the write is a multi that checks the own znode: the other way to be safe
}

type lockStep uint8

const (
	lockEnter   lockStep = iota // create the znode
	lockFind                    // the answer to the create was lost: look for a znode of this session
	lockKnow                    // ask for its czxid
	lockList                    // see who is first
	lockWatch                   // watch the znode before
	lockWait                    // for it to go
	lockLook                    // read the fence
	lockWrite                   // write it
	lockRelease                 // delete the znode
)

const (
	lockFence     = "/fence"
	electionFence = "/election/fence"
	candidate     = "n-"
)

func newLock(a *agent, _ *rand.Rand) generator {
	return newLine(a, fencing{line: "/lock", path: lockFence, longest: 3, checks: 30})
}

// newElection has long reigns now and then, to be ended by the end of a session.
func newElection(a *agent, _ *rand.Rand) generator {
	return newLine(a, fencing{line: "/election", path: electionFence, czxid: true, longest: 20})
}

func newLine(a *agent, f fencing) generator {
	a.set(f.line, nil)
	a.set(f.path, []byte("0"))
	return &lock{agent: a, fencing: f}
}

func (g *lock) next(r *rand.Rand) history.Op {
	if g.asked {
		return read(wire.OpExists, g.path)
	}
	if g.step == lockWait {
		g.idle++
		if g.idle < 8 {
			return read(wire.OpExists, g.path)
		}
		g.step = lockList // the watch may have gone with a connection: look again
	}
	g.asked = true
	switch g.step {
	case lockFind:
		return read(wire.OpGetEphemerals, g.line+"/"+candidate)
	case lockKnow:
		return read(wire.OpGetData, g.mine)
	case lockList:
		return read(wire.OpGetChildren, g.line)
	case lockWatch:
		return watching(wire.OpExists, g.before)
	case lockLook:
		g.writes = 1 + r.IntN(g.longest)
		return read(wire.OpGetData, g.path)
	case lockWrite:
		op := setData(g.path, fmt.Appendf(nil, "%d %s", g.token(), g.value()), g.fence)
		if g.checks > 0 && chance(r, g.checks) {
			return history.Op{Kind: wire.OpMulti, Ops: []history.Op{{Kind: wire.OpCheck, Path: g.mine, Version: -1}, op}}
		}
		return op
	case lockRelease:
		return remove(g.mine, -1)
	default:
		return create(g.line+"/"+candidate, g.value(), wire.EphemeralSequential)
	}
}

// token is what this client writes to the fence.
func (g *lock) token() int64 {
	if g.fencing.czxid {
		return int64(g.czxid)
	}
	n, _ := strconv.ParseInt(g.mine[max(0, len(g.mine)-10):], 10, 64)
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
			g.stand(slices.Min(res.Children))
		}
	case wire.OpGetChildren:
		g.listed(res)
	case wire.OpExists:
		g.step, g.idle = lockWait, 0
		if res.Code != wire.OK {
			g.step = lockList
		}
	case wire.OpGetData:
		if op.Path == g.path {
			g.looked(res)
		} else {
			g.knew(res)
		}
	case wire.OpDelete: // a create that was given up for lost may have come through since
		g.step, g.mine = lockFind, ""
	default:
		g.wrote(op, res)
	}
}

func (g *lock) entered(res *history.Result) {
	switch res.Code {
	case wire.OK:
		g.stand(res.Path)
	case wire.NoNode:
		g.reset()
	default:
	}
}

// stand goes on with a znode in line.
func (g *lock) stand(mine string) {
	g.mine, g.step = mine, lockList
	if g.fencing.czxid {
		g.step = lockKnow
	}
}

func (g *lock) knew(res *history.Result) {
	g.step, g.czxid = lockList, res.Stat.Czxid
	if res.Code != wire.OK {
		g.step, g.mine = lockFind, ""
	}
}

func (g *lock) listed(res *history.Result) {
	if g.mine == "" { // given up since the question was asked
		g.step = lockFind
		return
	}
	names := slices.DeleteFunc(slices.Sorted(slices.Values(res.Children)), func(name string) bool { return !strings.HasPrefix(name, candidate) })
	i := slices.Index(names, g.mine[len(g.line)+1:])
	switch {
	case res.Code != wire.OK:
	case i < 0: // a server that is behind, or the session is over
		g.step, g.mine = lockFind, ""
	case i == 0:
		g.step = lockLook
	default:
		g.before, g.step = g.line+"/"+names[i-1], lockWatch
	}
}

func (g *lock) looked(res *history.Result) {
	digits, _, _ := bytes.Cut(res.Data, []byte(" "))
	highest, err := strconv.ParseInt(string(digits), 10, 64)
	switch {
	case res.Code == wire.NoNode:
		g.reset()
	case res.Code != wire.OK || err != nil || highest > g.token():
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
