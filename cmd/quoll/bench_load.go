package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"quoll/cmd/internal/measure"
	"quoll/transport/client"
	"quoll/transport/wire"
)

// drainTime is how long a run waits after its window for the answers that are still due.
const drainTime = 10 * time.Second

// measure performs the run.
func (p *benchPlan) measure(ctx context.Context) (*measure.Report, error) {
	workers := make([]*worker, p.Conns)
	recorders := make([]*measure.Recorder, min(p.Conns, measure.MaxRecorders))
	for i := range workers {
		s, err := client.Dial(ctx, p.options(i))
		if err != nil {
			return nil, err
		}
		defer s.Abandon()
		workers[i] = newWorker(p, i, s)
	}
	// The run begins now; what came before is not in its time.
	p.clock = measure.StartWatch()
	cpu := measure.StartCPU()
	from, to := p.Warmup, p.Warmup+p.Duration
	if p.Fill > 0 {
		from, to = 0, 0
	}
	for i := range recorders {
		recorders[i] = measure.NewRecorder(from, to)
	}
	var wg sync.WaitGroup
	for i, w := range workers {
		w.rec = recorders[i%len(recorders)]
		wg.Go(func() { w.run(ctx) })
	}
	wg.Wait()
	cores := cpu.Cores()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	for _, r := range recorders[1:] {
		recorders[0].Merge(r)
	}
	leave, done := context.WithTimeout(ctx, p.Timeout)
	defer done()
	for _, w := range workers {
		w.closeSession(leave)
	}
	return measure.NewReport(p.setup(cores), recorders[0]), nil
}

// setup is what the report tells of the run.
func (p *benchPlan) setup(cores float64) measure.Setup {
	return measure.Setup{
		Servers: p.Servers, Mix: p.Mix, Conns: p.Conns, Inflight: p.Inflight, Size: p.Size, Keys: p.Keys,
		Fill: p.Fill, Rate: p.Rate, Warmup: p.Warmup, Cores: cores,
	}
}

// worker loads one connection. Its slots are the requests it may have in flight; a slot that was
// answered starts its next operation from the callback. Only the pace of an open loop, and a
// session that is lost, need the worker's own goroutine.
type worker struct {
	plan   *benchPlan
	id     int
	rec    *measure.Recorder
	stopAt time.Duration // no operation is due from here on; 0: when the budget is spent

	mu     sync.Mutex
	conn   *client.Client
	rng    *rand.Rand
	free   []*slot
	budget int           // operations to start; -1: no bound
	every  time.Duration // open loop: time between two operations; 0: closed loop
	next   time.Duration // open loop: when the next is due
	named  int64         // znodes created so far
	prefix []byte        // of their paths
	halted bool          // the session is over; its slots wait for another
	idle   chan struct{} // holds a word when all slots are free and nothing more will start
	moved  chan struct{} // holds a word when the session ended
}

func newWorker(p *benchPlan, id int, conn *client.Client) *worker {
	w := &worker{
		plan: p, id: id, conn: conn, rng: rand.New(rand.NewPCG(p.Seed, uint64(id))), budget: -1,
		stopAt: p.Warmup + p.Duration, prefix: []byte(p.parent(id) + "/n"), idle: make(chan struct{}, 1), moved: make(chan struct{}, 1),
	}
	if p.Fill > 0 {
		w.stopAt = 0
		w.budget = (p.Fill + p.Conns - 1 - id) / p.Conns
	}
	if p.Rate > 0 {
		w.every = time.Duration(float64(p.Conns) / p.Rate * float64(time.Second))
		w.next = w.every * time.Duration(id) / time.Duration(p.Conns)
	}
	for range p.Inflight {
		w.free = append(w.free, newSlot(w))
	}
	return w
}

// run drives the worker until all its operations have ended.
func (w *worker) run(ctx context.Context) {
	var pace *time.Timer // of an open loop
	var paced, drained <-chan time.Time
	if w.every > 0 {
		pace = time.NewTimer(0)
		paced = pace.C
	}
	if w.stopAt > 0 {
		drained = time.After(w.stopAt + drainTime - w.plan.clock.Now())
	}
	w.pump(w.plan.clock.Now())
	for {
		select {
		case <-w.idle:
			return
		case <-paced:
			w.pump(w.plan.clock.Now())
			pace.Reset(w.untilDue())
			continue
		case <-w.moved:
			if w.redial(ctx) {
				w.pump(w.plan.clock.Now())
				continue
			}
		case <-ctx.Done():
		case <-drained:
		}
		// What is in flight ends now, as lost; nobody records anything after this.
		w.mu.Lock()
		conn, overdue := w.conn, w.overdue()
		w.mu.Unlock()
		conn.Abandon()
		w.rec.Skip(overdue)
		return
	}
}

// overdue returns how many operations of an open loop were never begun. The caller holds mu.
func (w *worker) overdue() int64 {
	if w.every == 0 || w.next >= w.stopAt {
		return 0
	}
	return int64((w.stopAt - w.next) / w.every)
}

// untilDue returns how long an open loop has nothing to start. Without a free slot the next
// callback starts what is due; the worker only looks in again, for when they have caught up.
func (w *worker) untilDue() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	wait := max(w.next-w.plan.clock.Now(), 0)
	if len(w.free) == 0 || w.halted {
		wait = max(wait, time.Millisecond)
	}
	return wait
}

// pump starts every operation that is due at now and for which there is a slot.
func (w *worker) pump(now time.Duration) {
	for {
		w.mu.Lock()
		s := w.pick(now)
		w.mu.Unlock()
		if s == nil {
			return
		}
		s.send()
	}
}

// pick readies the next operation; nil when none may start. The caller holds mu.
func (w *worker) pick(now time.Duration) *slot {
	due := now
	if w.every > 0 {
		due = w.next
	}
	over := w.budget == 0 || w.stopAt > 0 && (due >= w.stopAt || now >= w.stopAt+drainTime)
	if over && len(w.free) == w.plan.Inflight {
		select {
		case w.idle <- struct{}{}:
		default:
		}
	}
	if over || w.halted || len(w.free) == 0 || due > now {
		return nil
	}
	s := w.free[len(w.free)-1]
	w.free = w.free[:len(w.free)-1]
	if w.budget > 0 {
		w.budget--
	}
	w.next += w.every
	s.due, s.conn = due, w.conn
	s.choose()
	return s
}

// release takes a slot back. over: its session has ended.
func (w *worker) release(s *slot, over bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.free = append(w.free, s)
	if over && !w.halted {
		w.halted = true
		w.moved <- struct{}{}
	}
}

// redial replaces a session that has expired; false when the run ends first.
func (w *worker) redial(ctx context.Context) bool {
	w.rec.SessionLost()
	for ctx.Err() == nil && (w.stopAt == 0 || w.plan.clock.Now() < w.stopAt) {
		conn, err := client.Dial(ctx, w.plan.options(w.id))
		if err == nil {
			w.mu.Lock()
			w.conn, w.halted = conn, false
			w.mu.Unlock()
			return true
		}
		pause := time.NewTimer(time.Millisecond)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
		}
	}
	return false
}

// closeSession ends the worker's session.
func (w *worker) closeSession(ctx context.Context) {
	w.mu.Lock()
	conn := w.conn
	w.mu.Unlock()
	// A session that cannot be closed expires: nothing to tell the user of a benchmark.
	_ = conn.Close(ctx)
}

// slot is one request in flight, and what it needs to make the next without allocating. Between
// pick and release it belongs to whoever runs the callback.
type slot struct {
	w       *worker
	conn    *client.Client
	kind    measure.Kind
	paired  bool // the create that is under way is followed by its delete
	due     time.Duration
	path    []byte
	name    []byte // room for the path of a znode of our own
	failure error  // of the first half of syncget

	encodeRequest func([]byte) []byte // the method values, made once
	encodePath    func([]byte) []byte
	onReply       func(client.Reply)
	onSync        func(client.Reply)
}

func newSlot(w *worker) *slot {
	s := &slot{w: w}
	s.encodeRequest, s.encodePath, s.onReply, s.onSync = s.encode, s.appendPath, s.reply, s.synced
	return s
}

// choose draws the operation. The caller holds w.mu.
func (s *slot) choose() {
	s.kind = s.w.plan.mix.Pick(s.w.rng)
	s.failure = nil
	if s.paired = s.kind == measure.Pair; s.paired {
		s.kind = measure.Create
	}
	switch s.kind {
	case measure.Create:
		s.name = strconv.AppendInt(append(s.name[:0], s.w.prefix...), s.w.named, 10)
		s.w.named++
		s.path = s.name
	default:
		s.path = s.w.plan.keys[s.w.rng.IntN(len(s.w.plan.keys))]
	}
}

// send sends the operation that choose drew.
func (s *slot) send() {
	switch s.kind {
	case measure.Set:
		s.conn.Do(wire.OpSetData, s.encodeRequest, s.onReply)
	case measure.Create:
		s.conn.Do(wire.OpCreate, s.encodeRequest, s.onReply)
	case measure.Delete:
		s.conn.Do(wire.OpDelete, s.encodeRequest, s.onReply)
	case measure.Get:
		s.conn.Do(wire.OpGetData, s.encodeRequest, s.onReply)
	case measure.Exists:
		s.conn.Do(wire.OpExists, s.encodeRequest, s.onReply)
	case measure.List:
		s.conn.Do(wire.OpGetChildren, s.encodeRequest, s.onReply)
	case measure.Sync:
		s.conn.Do(wire.OpSync, s.encodePath, s.onReply)
	case measure.SyncGet:
		s.conn.Do(wire.OpSync, s.encodePath, s.onSync)
		s.conn.Do(wire.OpGetData, s.encodeRequest, s.onReply)
	default:
		panic(fmt.Sprintf("bench: %v is not an operation", s.kind))
	}
}

func (s *slot) encode(b []byte) []byte {
	switch s.kind {
	case measure.Set:
		r := wire.SetDataRequest{Path: s.path, Data: s.w.plan.data, Version: wire.AnyVersion}
		return r.Append(b)
	case measure.Create:
		r := wire.CreateRequest{Path: s.path, Data: s.w.plan.data, ACL: wire.OpenACL}
		return r.Append(b)
	case measure.Delete:
		r := wire.PathVersionRequest{Path: s.path, Version: wire.AnyVersion}
		return r.Append(b)
	default:
		r := wire.PathWatchRequest{Path: s.path}
		return r.Append(b)
	}
}

func (s *slot) appendPath(b []byte) []byte {
	r := wire.PathRequest{Path: s.path}
	return r.Append(b)
}

// synced takes the answer to the sync of a syncget, which comes before that to its getData.
func (s *slot) synced(r client.Reply) { s.failure = r.Failure() }

// reply takes the answer, records it, and lets the next operation begin.
func (s *slot) reply(r client.Reply) {
	w := s.w
	now := w.plan.clock.Now()
	err := r.Failure()
	if err == nil {
		err = s.failure
	}
	if err == nil {
		w.rec.Ack(s.kind, s.due, now)
	} else {
		w.rec.Fail(s.kind, s.due, reason(err))
	}
	if err == nil && s.paired {
		s.kind, s.paired, s.due = measure.Delete, false, now
		s.send()
		return
	}
	over := errors.Is(r.Err, client.ErrSessionExpired) || errors.Is(r.Err, client.ErrClosed)
	w.release(s, over)
	if !over {
		w.pump(now)
	}
}

// reason names an error shortly, for the report's table.
func reason(err error) string {
	var code wire.Code
	switch {
	case errors.As(err, &code):
		return code.Name()
	case errors.Is(err, client.ErrConnectionLoss):
		return "ConnectionLoss"
	case errors.Is(err, client.ErrSessionExpired):
		return "SessionExpired"
	case errors.Is(err, client.ErrNotSent):
		return "NotSent"
	default:
		return err.Error()
	}
}
