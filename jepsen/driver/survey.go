package driver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"quoll/jepsen/history"
	"quoll/transport/wire"
	"quoll/zab"
)

// Survey reads everything from each server, when the workload is over and nothing is broken any more. First
// it asks each, behind a sync, what there is below the root that ZooKeeper does not keep for itself; then,
// behind another, for what any of them showed or anybody wrote: so what one server lacks, or has for
// itself, is asked for at all of them. What was acknowledged and is gone shows here if it never did
// before. It is part of the history, and of the proof: each server is read by a client of its own.
//
// A server that does not answer for as long as patience lasts does not keep the others from being read;
// the error tells of all such.
func (r *Run) Survey(ctx context.Context, patience time.Duration) error {
	all, parents := map[string]bool{"/": true}, map[string]bool{}
	failed := make([]error, len(r.opts.Servers))
	for i := range r.opts.Servers {
		failed[i] = r.insist(ctx, i, patience, func(a *asker) error { return a.walk(all, parents) })
	}
	r.mu.Lock()
	for i := range r.record.Ops { // what was written and is not there must be missed, too
		for _, path := range written(&r.record.Ops[i]) {
			all[path] = true
		}
	}
	r.mu.Unlock()
	paths := slices.Sorted(maps.Keys(all))
	for i := range r.opts.Servers {
		if failed[i] == nil {
			failed[i] = r.insist(ctx, i, patience, func(a *asker) error { return a.compare(paths, parents) })
		}
		if failed[i] != nil {
			failed[i] = fmt.Errorf("driver: survey of server %d: %w", i+1, failed[i])
		}
	}
	return errors.Join(failed...)
}

// written returns the znodes that an operation may have made, as far as their names are known.
func written(o *history.Operation) []string {
	switch o.Op.Kind {
	case wire.OpCreate, wire.OpCreate2:
	default:
		return nil
	}
	switch {
	case !o.Op.Mode.Sequential():
		return []string{o.Op.Path}
	case o.Known() && o.Result.Code == wire.OK:
		return []string{o.Result.Path}
	default:
		return nil
	}
}

// asker is a client that waits for each answer.
type asker struct {
	r        *Run
	id       int
	nc       net.Conn
	patience time.Duration // for an answer

	number  int // in History.Conns
	session zab.SessionID
	xid     zab.Xid
	b       []byte
}

const (
	surveySession = 30 * time.Second
	surveyPause   = 200 * time.Millisecond
)

// insist is survey until it succeeds or patience is at its end: a leader may change at any time, whatever was
// done to it.
func (r *Run) insist(ctx context.Context, server int, patience time.Duration, look func(a *asker) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := r.survey(ctx, server, patience, look)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no answer for %v: %w", patience, err)
		case <-time.After(surveyPause):
		}
	}
}

// survey opens a session with a server, has it read, and closes it.
func (r *Run) survey(ctx context.Context, server int, patience time.Duration, look func(a *asker) error) error {
	a := &asker{r: r, id: len(r.clients) + server, patience: patience}
	c := newClient(r, a.id, nil)
	r.mu.Lock()
	a.number = r.record.Dial(history.Conn{Client: a.id, Server: zab.ServerID(server + 1)})
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.record.Close(a.number)
		r.mu.Unlock()
	}()
	nc, err := r.opts.Dialer.DialContext(ctx, "tcp", r.opts.Servers[server])
	if err != nil {
		return err
	}
	defer func() { _ = nc.Close() }() // nothing is written that matters
	c.number = a.number
	req := wire.ConnectRequest{TimeoutMs: int32(surveySession.Milliseconds()), Password: make([]byte, wire.PasswordSize), HasReadOnly: true}
	if err = c.greet(nc, &req); err != nil {
		return err
	}
	a.nc, a.session = nc, c.session
	if err = look(a); err != nil {
		return err
	}
	return a.do(history.Op{Kind: wire.OpCloseSession})
}

// walk adds the paths that a server shows, and those that have children.
func (a *asker) walk(all, parents map[string]bool) error {
	if err := a.do(history.Op{Kind: wire.OpSync, Path: "/"}); err != nil {
		return err
	}
	for level := []string{"/"}; len(level) > 0; {
		var below []string
		err := a.each(wire.OpGetChildren2, level, func(path string, res *history.Result) {
			for _, name := range res.Children {
				if child := strings.TrimSuffix(path, "/") + "/" + name; child != "/zookeeper" {
					below = append(below, child)
					all[child], parents[path] = true, true
				}
			}
		})
		if err != nil {
			return err
		}
		level = below
	}
	return nil
}

// compare reads what is to be compared between servers: the data and the stat of each path, then
// the names of children, then who may do what.
func (a *asker) compare(paths []string, parents map[string]bool) error {
	if err := a.do(history.Op{Kind: wire.OpSync, Path: "/"}); err != nil {
		return err
	}
	ignore := func(string, *history.Result) {}
	if err := a.each(wire.OpGetData, paths, ignore); err != nil { // first of all: the sync counts for these
		return err
	}
	if err := a.each(wire.OpGetChildren2, slices.Sorted(maps.Keys(parents)), ignore); err != nil {
		return err
	}
	return a.each(wire.OpGetACL, paths, ignore)
}

// surveyWindow is how many questions of a survey are open at once.
const surveyWindow = 64

// each asks for one thing of every path, several at once, and tells of the answers in this order.
func (a *asker) each(kind wire.Op, paths []string, tell func(path string, res *history.Result)) error {
	for len(paths) > 0 {
		some := paths[:min(surveyWindow, len(paths))]
		paths = paths[len(some):]
		var asked []int
		var frames []byte
		for _, path := range some {
			n, frame := a.call(history.Op{Kind: kind, Path: path})
			asked, frames = append(asked, n), append(frames, frame...)
		}
		if err := a.send(frames); err != nil {
			return err
		}
		for i, n := range asked {
			res, err := a.answer(n)
			if err != nil {
				return err
			}
			switch res.Code {
			case wire.OK, wire.NoNode, wire.NoAuth:
				tell(some[i], &res)
			default:
				return fmt.Errorf("%v %q: %s", kind, some[i], res.Code.Name())
			}
		}
	}
	return nil
}

// do asks for one operation and waits until it is done.
func (a *asker) do(op history.Op) error {
	n, frame := a.call(op)
	if err := a.send(frame); err != nil {
		return err
	}
	res, err := a.answer(n)
	if err == nil && res.Code != wire.OK {
		err = fmt.Errorf("%v: %s", op.Kind, res.Code.Name())
	}
	return err
}

// call records an operation and returns its frame.
func (a *asker) call(op history.Op) (n int, frame []byte) {
	a.xid++
	a.r.mu.Lock()
	n = a.r.record.Call(history.Operation{
		Client: a.id, Conn: a.number, Session: a.session, Server: a.r.record.Conns[a.number].Server, Xid: a.xid, Op: op,
	})
	a.r.mu.Unlock()
	return n, wire.AppendRequest(nil, a.xid, op.Kind, func(b []byte) []byte { return history.AppendBody(b, &op) })
}

func (a *asker) send(frames []byte) error {
	_ = a.nc.SetDeadline(time.Now().Add(a.patience)) // it fails where Write does
	_, err := a.nc.Write(frames)
	return err
}

// answer waits for the answer to operation n, the oldest that is open.
func (a *asker) answer(n int) (history.Result, error) {
	body, err := readFrame(a.nc, a.b)
	if err != nil {
		return history.Result{}, err
	}
	a.b = body
	return a.take(n, body)
}
