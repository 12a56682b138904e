package workload

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"quoll/jepsen/history"
	"quoll/transport/wire"
)

// Client is one client of a workload. It outlives connections and sessions.
type Client interface {
	// Next returns the next operation and how long to wait, in microseconds, before sending it; ok
	// is false when the client has done its share. It may be called while earlier operations are
	// open: a recipe that needs an answer first asks for something harmless meanwhile.
	Next(r *rand.Rand) (op history.Op, pauseUs int64, ok bool)
	// Done tells how an operation ended; known is false when nobody will ever know, and then res
	// may be nil. Operations end in the order in which they were asked for.
	Done(op *history.Op, res *history.Result, known bool)
	// Event tells of a watch event.
	Event(e history.Event)
	// Lost tells that the session is over, after everything that was asked on it is done. A new one
	// follows, without the ephemerals and watches of the old one.
	Lost()
}

// generator is what tells one workload from another.
type generator interface {
	next(r *rand.Rand) history.Op
	done(op *history.Op, res *history.Result) // res is nil when the outcome is unknown
	event(e history.Event)
	lost()
}

// makers lists the workloads.
var makers = []struct {
	name string
	make func(a *agent, shape *rand.Rand) generator
}{
	{"append", newAppender},
	{"bank", newBank},
	{"counter", newCounter},
	{"election", newElection},
	{"ephemeral", newEphemeral},
	{"lock", newLock},
	{"mixed", newMixed},
	{"queue", newQueue},
	{"register", newRegister},
	{"registers", newRegisters},
	{"sequence", newSequence},
	{"set", newSet},
	{"watch", newWatch},
}

// Simulated returns the names of the workloads that a simulation draws from, sorted. The others are for runs
// of any length on real servers: they move on to other znodes so that the search for an order stays
// short, and ask nothing of a server that these do not.
func Simulated() []string {
	return []string{"bank", "ephemeral", "lock", "mixed", "queue", "register", "sequence", "watch"}
}

// Mortal reports whether a workload lives on sessions that end without their client's doing: then some of its clients
// should fall silent for longer than their session lasts.
func Mortal(name string) bool {
	return slices.Contains([]string{"election", "ephemeral", "lock", "mixed"}, name)
}

// Names returns the names of the workloads, sorted.
func Names() []string {
	var names []string
	for _, m := range makers {
		names = append(names, m.name)
	}
	return names
}

// New returns the clients of a workload, each with a share of operations drawn from r. It panics
// when there is no workload of that name.
func New(name string, clients int, r *rand.Rand) []Client {
	return Sized(name, clients, 30+r.IntN(90), r)
}

// Sized is New with the number of operations of each client given, what sets the stage not counted.
func Sized(name string, clients, operations int, r *rand.Rand) []Client {
	i := slices.IndexFunc(makers, func(m struct {
		name string
		make func(a *agent, shape *rand.Rand) generator
	},
	) bool {
		return m.name == name
	})
	if i < 0 {
		panic("workload: there is none with the name " + name)
	}
	seed, hurry := r.Uint64(), 1+r.Int64N(4)
	all := make([]Client, clients)
	for id := range all {
		a := &agent{id: id, left: operations, hurry: hurry}
		// Every client must see the stage in the same shape.
		a.generator = makers[i].make(a, rand.New(rand.NewPCG(seed, 0)))
		all[id] = a
	}
	return all
}

// agent is what the clients of all workloads share.
type agent struct {
	generator
	id     int
	left   int   // operations still to come
	hurry  int64 // divides the pauses
	made   int   // values made
	stage  []history.Op
	staged int // of stage, what was asked for
}

// Next implements Client.
func (a *agent) Next(r *rand.Rand) (op history.Op, pauseUs int64, ok bool) {
	switch {
	case a.staged < len(a.stage):
		op = a.stage[a.staged]
		a.staged++
	case a.left == 0:
		return history.Op{}, 0, false
	default:
		a.left--
		op = a.next(r)
	}
	return op, a.pause(r), true
}

// pause draws a time to think: mostly none to speak of, sometimes long enough for a tick to pass.
func (a *agent) pause(r *rand.Rand) int64 {
	switch n := r.IntN(10); {
	case n < 5:
		return r.Int64N(5_000) / a.hurry
	case n < 9:
		return r.Int64N(100_000) / a.hurry
	default:
		return r.Int64N(1_000_000) / a.hurry
	}
}

// Done implements Client.
func (a *agent) Done(op *history.Op, res *history.Result, known bool) {
	if !known {
		res = nil
	}
	a.done(op, res)
}

// Event implements Client.
func (a *agent) Event(e history.Event) { a.event(e) }

// Lost implements Client.
func (a *agent) Lost() { a.lost() }

// set puts a persistent znode on the stage: every client asks for it, the first one gets it.
func (a *agent) set(path string, data []byte) {
	a.stage = append(a.stage, create(path, data, wire.Persistent))
}

// reset asks for the stage once more: what was asked the first time may have been lost. It costs an
// operation, so that there is an end to it.
func (a *agent) reset() {
	if a.left > 0 {
		a.left--
		a.staged = 0
	}
}

// value returns data that no other operation of the run carries.
func (a *agent) value() []byte {
	a.made++
	return fmt.Appendf(nil, "c%d.%d", a.id, a.made)
}

func succeeded(res *history.Result) bool { return res != nil && res.Code == wire.OK }

func create(path string, data []byte, mode wire.CreateMode) history.Op {
	return history.Op{Kind: wire.OpCreate, Path: path, Data: data, Mode: mode, ACL: wire.OpenACL}
}

func setData(path string, data []byte, version int32) history.Op {
	return history.Op{Kind: wire.OpSetData, Path: path, Data: data, Version: version}
}

func remove(path string, version int32) history.Op {
	return history.Op{Kind: wire.OpDelete, Path: path, Version: version}
}

func read(kind wire.Op, path string) history.Op { return history.Op{Kind: kind, Path: path} }

func watching(kind wire.Op, path string) history.Op {
	return history.Op{Kind: kind, Path: path, Watch: true}
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// chance is true n times out of 100.
func chance(r *rand.Rand, n int) bool { return r.IntN(100) < n }
