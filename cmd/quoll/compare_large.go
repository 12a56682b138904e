package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"quoll/cmd/internal/table"
	"quoll/transport/client"
	"quoll/transport/wire"
)

// The sizes of large things. Those that are parts are parts of --large, the children of the largest family.
const (
	largeValue   = 1_000_000 // bytes: as much as a frame of default size has room for
	largeValues  = 40        // written, then read
	largeMulti   = 1000      // ops
	largeMultis  = 40        // that create, and as many that delete
	largeLists   = 5         // of children, and as many right behind a write of the same client
	largeWidth   = 4         // values and multis in flight
	fillWidth    = 1024      // small creates in flight
	tenth        = 10        // ephemerals of the session that closes; children of the smaller list
	watchersPart = 20        // sessions that watch
	expiringPart = 100       // sessions that expire

	expiringTimeout = 4 * time.Second  // the least that servers grant with their tick of two seconds
	expiryTime      = 12 * time.Second // in which the last of them has expired
	watchersTimeout = 60 * time.Second // so that their pings are few
	largePatience   = 30 * time.Second // of the sessions that do and probe: none is to be lost while it waits
)

// largeThing is done by one client, or by a crowd, and must not be felt by others. prepare makes ready
// for it and returns what does it.
type largeThing struct {
	row     string
	prepare func(l *larges) (do func() error, err error)
}

// largeThings are in the order in which they are done: what leaves most behind comes last.
var largeThings = []largeThing{
	{"values", (*larges).values},
	{"multis", (*larges).multis},
	{"watches", (*larges).watches},
	{"expiry", (*larges).expiry},
	{"list-tenth", func(l *larges) (func() error, error) { return l.list(l.r.Large / tenth) }},
	{"list", func(l *larges) (func() error, error) { return l.list(l.r.Large) }},
	{"ephemerals", (*larges).ephemerals}, // after which ZooKeeper does not serve
}

// larges does them to one side.
type larges struct {
	r      *comparing
	s      *side
	ctx    context.Context
	doer   *client.Client
	hosts  []string
	family int    // children of the family so far
	crowd  crowds // to be ended behind the thing under way
}

func (r *comparing) large() (err error) {
	for _, s := range r.sides {
		failed := r.largeSide(s)
		switch {
		case failed == nil:
		case s.name == table.Quoll || r.c.ctx.Err() != nil:
			err = errors.Join(err, fmt.Errorf("%s: %w", s.name, failed))
		default: // what a rival cannot do is a result
			r.result.Failures = append(r.result.Failures, fmt.Sprintf("%s: %v", s.name, failed))
			r.progress("%s: %v", s.name, failed)
		}
	}
	r.result.Note("values", "%d setData of %d bytes, then as many getData", largeValues, largeValue)
	r.result.Note("multis", "%d of %d creates, then as many of as many deletes", largeMultis, largeMulti)
	r.result.Note("watches", "one change of a znode that %d sessions watch", r.Large/watchersPart)
	r.result.Note("expiry", "%d sessions of a process that is killed", r.Large/expiringPart)
	r.result.Note("ephemerals", "%d of them", r.Large/tenth)
	r.result.Note("list", "%d getChildren of %d children, and as many in one flight behind a write", largeLists, r.Large)
	return err
}

// largeSide does all large things to one side. What one system cannot do is told, and the rest is done.
func (r *comparing) largeSide(s *side) error {
	l := &larges{r: r, s: s, ctx: r.c.ctx, hosts: s.Servers()}
	var err error
	if l.doer, err = l.dial(); err != nil {
		return err
	}
	defer func() { l.doer.Abandon() }()
	if _, err = l.doer.Create(l.ctx, largeRoot, nil, wire.OpenACL, wire.Persistent); err != nil {
		return err
	}
	p, err := startProbes(l.ctx, l.hosts)
	defer p.close()
	if err != nil {
		return err
	}
	for _, thing := range largeThings {
		if !r.wants(thing.row) {
			continue
		}
		if failed := l.measure(p, thing); failed != nil {
			err = errors.Join(err, fmt.Errorf("row %s: %w", thing.row, failed))
			if died := r.died(); died != nil || l.ctx.Err() != nil {
				break
			}
		}
	}
	return err
}

// measure lets the probes look before and while a thing is done.
func (l *larges) measure(p *probes, thing largeThing) (err error) {
	defer func() {
		l.crowd.kill()
		l.crowd = nil
	}()
	do, err := thing.prepare(l)
	if err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	before, _, err := p.during(l.ctx, func() error { return l.r.pause(l.r.Warmup) })
	if err != nil {
		return err
	}
	during, took, err := p.during(l.ctx, do)
	if err != nil {
		return err
	}
	l.r.result.Set(thing.row, l.s.name, during.Longest())
	l.r.result.Large = append(l.r.result.Large, table.Large{
		Row: thing.row, System: l.s.name, Took: took.Seconds() * 1e3, Before: before, During: during,
	})
	l.r.progress("%s, %s: took %v; longest waits %.1f ms (read) and %.1f ms (write), before that %.1f and %.1f",
		thing.row, l.s.name, took.Round(time.Millisecond), during.Read.Max, during.Write.Max, before.Read.Max, before.Write.Max)
	return nil
}

func (l *larges) dial() (*client.Client, error) {
	return client.Dial(l.ctx, client.Options{Servers: l.hosts, SessionTimeout: largePatience})
}

// flight sends n requests, width at a time, none of which may fail.
func (l *larges) flight(s *client.Client, n, width int, op wire.Op, encode func(i int, b []byte) []byte) error {
	return pipelined(l.ctx, n, width, func(i int, done func(client.Reply)) {
		s.Do(op, func(b []byte) []byte { return encode(i, b) }, done)
	}, func(i int, r client.Reply) error {
		if err := r.Failure(); err != nil {
			return fmt.Errorf("%v %d of %d: %w", op, i+1, n, err)
		}
		return nil
	})
}

// create creates the znodes first to last-1 below a parent, which it makes, too.
func (l *larges) create(s *client.Client, parent string, first, last int, mode wire.CreateMode) error {
	if first == 0 {
		if _, err := l.doer.Create(l.ctx, parent, nil, wire.OpenACL, wire.Persistent); err != nil {
			return err
		}
	}
	return l.flight(s, last-first, fillWidth, wire.OpCreate, func(i int, b []byte) []byte {
		r := wire.CreateRequest{Path: childPath(parent, first+i), ACL: wire.OpenACL, Flags: mode}
		return r.Append(b)
	})
}

func childPath(parent string, i int) []byte { return fmt.Appendf(nil, "%s/n%08d", parent, i) }

func (l *larges) values() (func() error, error) {
	const path = largeRoot + "/value"
	data := make([]byte, largeValue)
	_, err := l.doer.Create(l.ctx, path, data, wire.OpenACL, wire.Persistent)
	return func() error {
		set := wire.SetDataRequest{Path: []byte(path), Data: data, Version: wire.AnyVersion}
		get := wire.PathWatchRequest{Path: []byte(path)}
		return errors.Join(
			l.flight(l.doer, largeValues, largeWidth, wire.OpSetData, func(_ int, b []byte) []byte { return set.Append(b) }),
			l.flight(l.doer, largeValues, largeWidth, wire.OpGetData, func(_ int, b []byte) []byte { return get.Append(b) }))
	}, err
}

func (l *larges) multis() (func() error, error) {
	const parent = largeRoot + "/multi"
	_, err := l.doer.Create(l.ctx, parent, nil, wire.OpenACL, wire.Persistent)
	all := func(op wire.Op) error {
		return l.flight(l.doer, largeMultis, largeWidth, wire.OpMulti, func(i int, b []byte) []byte {
			for j := range largeMulti {
				o := wire.MultiOp{Op: op, Path: childPath(parent, largeMulti*i+j), ACL: wire.OpenACL, Version: wire.AnyVersion}
				b = o.Append(b)
			}
			return wire.MultiEnd.Append(b)
		})
	}
	return func() error { return errors.Join(all(wire.OpCreate), all(wire.OpDelete)) }, err
}

func (l *larges) watches() (do func() error, err error) {
	const path = largeRoot + "/watched"
	if _, err = l.doer.Create(l.ctx, path, nil, wire.OpenACL, wire.Persistent); err != nil {
		return nil, err
	}
	l.crowd, err = l.r.crowd(l.s, max(1, l.r.Large/watchersPart), "--watch="+path, "--timeout="+watchersTimeout.String())
	return func() error {
		_, failed := l.doer.SetData(l.ctx, path, nil, wire.AnyVersion)
		return errors.Join(failed, l.crowd.await("hear of the change"))
	}, err
}

func (l *larges) expiry() (do func() error, err error) {
	l.crowd, err = l.r.crowd(l.s, max(1, l.r.Large/expiringPart), "--timeout="+expiringTimeout.String())
	return func() error {
		l.crowd.kill()
		l.crowd = nil
		return l.r.pause(expiryTime)
	}, err
}

func (l *larges) ephemerals() (func() error, error) {
	owner, err := l.dial()
	if err != nil {
		return nil, err
	}
	if err = l.create(owner, largeRoot+"/ephemerals", 0, l.r.Large/tenth, wire.Ephemeral); err != nil {
		owner.Abandon()
		return nil, err
	}
	return func() error { return owner.Close(l.ctx) }, nil
}

// list fills the family up to n children, and lists them. Half of the lists come right behind a write of the
// same client, so that the server has to keep the order.
func (l *larges) list(n int) (func() error, error) {
	const parent = largeRoot + "/family"
	if err := l.create(l.doer, parent, l.family, n, wire.Persistent); err != nil {
		return nil, err
	}
	l.family = n
	if _, err := l.doer.Sync(l.ctx, parent); err != nil {
		return nil, err
	}
	get := wire.PathWatchRequest{Path: []byte(parent)}
	set := wire.SetDataRequest{Path: []byte(parent), Version: wire.AnyVersion}
	once := func(behind bool) error {
		count := make(chan error, 1)
		if behind {
			l.doer.Do(wire.OpSetData, set.Append, func(client.Reply) {})
		}
		l.doer.Do(wire.OpGetChildren, get.Append, func(r client.Reply) {
			err := r.Failure()
			if err == nil && (len(r.Body) < 4 || int(binary.BigEndian.Uint32(r.Body)) != n) {
				err = fmt.Errorf("the list has not %d names", n)
			}
			count <- err
		})
		return <-count
	}
	return func() error {
		for i := range 2 * largeLists {
			if err := once(i%2 == 1); err != nil {
				return err
			}
		}
		return nil
	}, nil
}
