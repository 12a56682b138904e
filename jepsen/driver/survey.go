package driver

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"quoll/jepsen/history"
	"quoll/transport/wire"
	"quoll/zab"
)

// Survey reads everything from each server, when the workload is over and nothing is broken any more: a
// sync, and then every znode below the root that ZooKeeper does not keep for itself. What was
// acknowledged and is gone shows here if it never did before. It is part of the history, and of the
// proof: each server is read by a client of its own.
func (r *Run) Survey(ctx context.Context) error {
	for i := range r.opts.Servers {
		if err := r.survey(ctx, i); err != nil {
			return fmt.Errorf("driver: survey of server %d: %w", i+1, err)
		}
	}
	return nil
}

// asker is a client that waits for each answer.
type asker struct {
	r  *Run
	id int
	nc net.Conn

	number  int // in History.Conns
	session zab.SessionID
	xid     zab.Xid
	b       []byte
}

const surveyPatience = 30 * time.Second // for an answer

func (r *Run) survey(ctx context.Context, server int) error {
	a := &asker{r: r, id: len(r.clients) + server}
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
	req := wire.ConnectRequest{TimeoutMs: int32(surveyPatience.Milliseconds()), Password: make([]byte, wire.PasswordSize), HasReadOnly: true}
	if err = c.greet(nc, &req); err != nil {
		return err
	}
	a.nc, a.session = nc, c.session
	if err = a.all(); err != nil {
		return err
	}
	_, err = a.do(history.Op{Kind: wire.OpCloseSession})
	return err
}

// all reads everything: first where there is something, then, behind one sync, what it is.
func (a *asker) all() error {
	if _, err := a.do(history.Op{Kind: wire.OpSync, Path: "/"}); err != nil {
		return err
	}
	paths := []string{"/"}
	for i := 0; i < len(paths); i++ {
		path := paths[i]
		res, err := a.do(history.Op{Kind: wire.OpGetChildren2, Path: path})
		if err != nil {
			return err
		}
		for _, name := range res.Children {
			if child := strings.TrimSuffix(path, "/") + "/" + name; child != "/zookeeper" {
				paths = append(paths, child)
			}
		}
	}
	a.r.mu.Lock()
	seen := map[string]bool{}
	for i := range a.r.record.Ops { // what was written and is not there must be missed, too
		op := &a.r.record.Ops[i].Op
		if (op.Kind == wire.OpCreate || op.Kind == wire.OpCreate2) && !op.Mode.Sequential() && !seen[op.Path] {
			seen[op.Path] = true
		}
	}
	a.r.mu.Unlock()
	for _, path := range paths {
		delete(seen, path)
	}
	for path := range seen { // any order: reads only
		paths = append(paths, path)
	}
	if _, err := a.do(history.Op{Kind: wire.OpSync, Path: "/"}); err != nil {
		return err
	}
	for _, path := range paths {
		if _, err := a.do(history.Op{Kind: wire.OpGetData, Path: path}); err != nil {
			return err
		}
	}
	return nil
}

// do asks for one operation and waits for its answer.
func (a *asker) do(op history.Op) (history.Result, error) {
	a.xid++
	a.r.mu.Lock()
	n := a.r.record.Call(history.Operation{
		Client: a.id, Conn: a.number, Session: a.session, Server: a.r.record.Conns[a.number].Server, Xid: a.xid, Op: op,
	})
	a.r.mu.Unlock()
	_ = a.nc.SetDeadline(time.Now().Add(surveyPatience)) // it fails where Write does
	frame := wire.AppendRequest(nil, a.xid, op.Kind, func(b []byte) []byte { return history.AppendBody(b, &op) })
	if _, err := a.nc.Write(frame); err != nil {
		return history.Result{}, err
	}
	body, err := readFrame(a.nc, a.b)
	if err != nil {
		return history.Result{}, err
	}
	a.b = body
	return a.take(n, body)
}
