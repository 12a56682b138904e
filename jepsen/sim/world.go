package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"quoll/jepsen/history"
	"quoll/jepsen/model"
	"quoll/zab"
	"quoll/zab/zabtest"
)

// World is one run: everything that there is. Nothing of it is shared with another run.
type World struct {
	plan     Plan
	now      int64 // µs since the start
	queue    queue
	rnd      *rand.Rand
	ensemble *zab.Ensemble
	servers  []*server
	clients  []*client
	net      network
	oracle   oracle
	nemesis  nemesis

	checker *zabtest.Checker
	paper   *model.Zab
	digests map[zab.Zxid]uint64 // of the tree, as the first server to apply it had it
	record  history.Recorder
	asked   map[request]int // to the operation in record.Ops

	budget   budget
	calm     bool    // the faults are over
	core     zab.Set // servers that are healed for good then
	lag      int64   // until when something is put off by a pause of a process
	broken   *Violation
	cover    Coverage
	steps    int64
	hash     uint64
	tracer   Tracer
	lastLink zab.LinkID
	lastConn uint64
	boots    uint64
	messages int64 // numbers what travels, for traces
}

// request names what a client asked for, over all of its connections.
type request struct {
	session zab.SessionID
	xid     zab.Xid
}

// Violation is a broken promise.
type Violation struct {
	Check  string `json:"check"` // the name in zab.md section 3, such as I-ACK or C-MONO
	Text   string `json:"text"`
	At     int64  `json:"at_us"`
	Server int    `json:"server,omitempty"`
}

// Error implements error.
func (v *Violation) Error() string { return v.Check + ": " + v.Text }

// Result is what came of a run.
type Result struct {
	Seed      uint64     `json:"seed"`
	Violation *Violation `json:"violation,omitempty"`
	Hash      uint64     `json:"hash"` // of everything that happened
	Steps     int64      `json:"steps"`
	VirtualUs int64      `json:"virtual_us"`
	Ops       int        `json:"ops"`     // of clients, with a known outcome
	Commits   int        `json:"commits"` // in the committed sequence
	Cover     Coverage   `json:"-"`

	// History is what the clients saw, with the committed sequence.
	History *history.History `json:"-"`
}

// Run plays a plan. tracer is told what happens and may be nil.
func Run(plan Plan, tracer Tracer) (res *Result) {
	w := newWorld(plan, tracer)
	defer func() {
		if p := recover(); p != nil { // check() of the code under test, as a rule
			w.panicked(p)
			res = w.result()
		}
	}()
	w.run()
	return w.result()
}

func newWorld(plan Plan, tracer Tracer) *World {
	w := &World{
		plan: plan, rnd: rand.New(rand.NewPCG(plan.Seed, 0x51a0)), tracer: tracer, hash: 14695981039346656037,
		digests: map[zab.Zxid]uint64{}, asked: map[request]int{}, cover: Coverage{},
	}
	w.record.Now = func() int64 { return w.now }
	ensemble, err := zab.NewEnsemble(plan.ensemble())
	if err != nil {
		panic(err)
	}
	w.ensemble = ensemble
	w.budget = budgetOf(&w.plan)
	w.net.init(w)
	var subjects []*zabtest.Subject
	for _, m := range ensemble.Members() {
		s := newServer(w, m.ID)
		w.servers = append(w.servers, s)
		subjects = append(subjects, s.subject)
	}
	w.checker = zabtest.NewChecker(ensemble, subjects)
	w.paper = model.NewZab(ensemble)
	w.checker.TxnBytes = w.budget.txn
	w.checker.OnDurable, w.checker.Heeds = w.durable, plan.heeds
	w.startClients()
	return w
}

// run is the whole life of the world.
func (w *World) run() {
	for i, s := range w.servers {
		w.after(int64(i)*w.between(0, 20_000), s.boot)
	}
	w.net.start()
	w.nemesis.start(w)
	if slices.ContainsFunc(w.plan.DriftUs, func(us int64) bool { return us != 0 }) {
		w.cover.Add("clock drifts")
	}
	if len(w.plan.Weights) > 0 {
		w.cover.Add("weights count")
	}
	w.until(w.plan.FaultUs)
	w.heal()
	w.converge(w.sessionsWork, w.flows, w.sessionsEnd, w.drained)
	w.judge()
}

// until lets the world run up to a time or a violation.
func (w *World) until(t int64) {
	for w.broken == nil && len(w.queue.heap) > 0 && w.queue.heap[0].at <= t {
		w.next()
	}
	if w.broken == nil {
		w.now = t
	}
}

// next lets the next event happen.
func (w *World) next() {
	e, _ := w.queue.pop()
	w.now = max(w.now, e.at)
	w.steps++
	e.do()
}

// after plans an event.
func (w *World) after(us int64, do func()) { w.queue.push(w.now+us, do) }

// between draws a number of [lo, hi].
func (w *World) between(lo, hi int64) int64 {
	if hi <= lo {
		return lo
	}
	return lo + w.rnd.Int64N(hi-lo+1)
}

// chance is true in p of 1000 cases.
func (w *World) chance(p int) bool { return p > 0 && w.rnd.IntN(1000) < p }

// fail notes the first broken promise and ends the run.
func (w *World) fail(check string, server zab.ServerID, format string, args ...any) {
	if !known[check] { // nobody could ask for it with Plan.Checks
		panic("the simulator has no check " + check)
	}
	if w.broken != nil || !w.plan.heeds(check) {
		return
	}
	w.broken = &Violation{Check: check, Text: fmt.Sprintf(format, args...), At: w.now, Server: int(server)}
	w.trace(server, "violation", 0, 0, func() string { return w.broken.Error() })
}

func (w *World) panicked(p any) {
	if w.broken == nil {
		w.fail("panic", 0, "%v\n%s", p, stack())
	}
}

// note adds to the hash of the run.
func (w *World) note(values ...uint64) {
	h := w.hash
	for _, v := range values {
		h = (h ^ v) * 1099511628211
		h ^= h >> 29
	}
	w.hash = h
}

func (w *World) server(id zab.ServerID) *server { return w.servers[id-1] }

func (w *World) result() *Result {
	ops := 0
	for i := range w.record.Ops {
		if w.record.Ops[i].Known() {
			ops++
		}
	}
	return &Result{
		Seed: w.plan.Seed, Violation: w.broken, Hash: w.hash, Steps: w.steps, VirtualUs: w.now, Ops: ops,
		Commits: len(w.record.Commits), Cover: w.cover, History: &w.record.History,
	}
}

// examine takes over what the Checker found.
func (w *World) examine() {
	if err := w.checker.Err(); err != nil && w.broken == nil {
		w.fail(err.Name, err.Server, "%s", err.Text)
	}
}

// compare demands that trees of the same zxid are equal (I-TREE), whoever holds them.
func (w *World) compare(s zab.ServerID, what string, z zab.Zxid, digest uint64) {
	if known, ok := w.digests[z]; !ok {
		w.digests[z] = digest
	} else if known != digest {
		w.fail("I-TREE", s, "%s at %v differs from that of another server: digest %x, elsewhere %x", what, z, digest, known)
	}
}
