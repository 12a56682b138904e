package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"quoll/jepsen/history"
	"quoll/transport/wire"
	"quoll/zab"
	"quoll/zab/zabtest"
)

// person is a client of a scenario: its script decides what it asks for, instead of a workload.
type person struct {
	p    *scenario
	name string
	c    *client

	many  bool // answers are counted, not shown
	count map[string]int
	last  int64
}

// patienceUs is how long a command of a client waits for its answer.
const patienceUs = 3_000_000

// Next implements workload.Client: nothing is asked for unless the script says so.
func (*person) Next(*rand.Rand) (history.Op, int64, bool) { return history.Op{}, 0, false }

// Done implements workload.Client.
func (d *person) Done(op *history.Op, res *history.Result, known bool) {
	o := d.operation(op)
	switch {
	case !known:
		d.p.say("%s: %s: the connection is lost, the outcome unknown", d.name, describeOp(op))
	case d.many:
		d.count[describeOp(op)+": "+codeName(res.Code)]++
		d.last = o.Zxid
	default:
		d.p.say("%s: %s: %s", d.name, describeOp(op), describeResult(o, res))
	}
}

// operation finds the record of what was asked.
func (d *person) operation(op *history.Op) *history.Operation {
	ops := d.p.w.record.Ops
	for i := len(ops) - 1; i >= 0; i-- {
		if &ops[i].Op == op {
			return &ops[i]
		}
	}
	panic("an answer to nothing")
}

// Event implements workload.Client.
func (d *person) Event(e history.Event) {
	of := ""
	if e.Zxid > 0 { // of what happened while it was away the zxid is not told
		of = " of " + zabtest.Z(zab.Zxid(e.Zxid))
	}
	d.p.say("%s hears %s %s%s", d.name, e.Type, e.Path, of)
}

// Lost implements workload.Client.
func (d *person) Lost() { d.p.say("%s: the session is over", d.name) }

// client makes a client and connects it.
func (p *scenario) client(c *command) error {
	if len(c.words) < 2 || len(c.servers) != 1 {
		return errors.New("which client, at which server?")
	}
	name := c.words[0]
	d := &person{p: p, name: name, count: map[string]int{}}
	cl := &client{w: p.w, id: len(p.w.clients), gen: d, nextXid: 1, partners: []zab.ServerID{c.servers[0].id}}
	d.c = cl
	if of, ok := c.values["session"]; ok {
		o := p.people[of]
		if o == nil {
			return fmt.Errorf("there is no client %s", of)
		}
		cl.session, cl.password, cl.patience, cl.seen = o.c.session, o.c.password, o.c.patience, o.c.seen
		cl.nextXid = 1 << 20
	}
	p.people[name] = d
	p.w.clients = append(p.w.clients, cl)
	cl.dial()
	return d.joins()
}

// joins lets the client find a connection.
func (d *person) joins() error {
	d.p.awhile(func() bool { return d.c.joined || d.c.conn == nil && d.c.stopped && d.c.session == 0 })
	switch {
	case d.c.joined:
		d.p.say("%s is connected to %s", d.name, zabtest.Name(d.c.conn.s.id))
	case d.c.session != 0 || !d.c.stopped:
		d.p.say("%s is not connected yet", d.name)
	}
	return nil
}

// awhile lets the world go on until ok, for some seconds at most.
func (p *scenario) awhile(ok func() bool) {
	w := p.w
	for end := w.now + patienceUs; w.broken == nil && !ok() && len(w.queue.heap) > 0 && w.queue.heap[0].at <= end; {
		w.next()
	}
}

// do carries out a line of the script that begins with the client's name.
func (d *person) do(line string) error {
	line = strings.TrimSpace(strings.TrimPrefix(line, d.name))
	line, async := strings.CutSuffix(line, "&")
	c := d.p.parse(line)
	switch c.name {
	case "to":
		if len(c.servers) != 1 {
			return errors.New("to which server?")
		}
		d.c.partners = []zab.ServerID{c.servers[0].id}
		if d.c.silent {
			return nil
		}
		if d.c.conn != nil {
			d.c.leave()
			d.p.awhile(func() bool { return d.c.conn == nil })
		}
		return d.joins()
	case "away":
		d.c.silent = true
		if d.c.conn != nil {
			d.c.leave()
		}
		return nil
	case "gone":
		d.c.session = 0 // so it does not come back
		if d.c.conn != nil {
			d.c.leave()
		}
		return nil
	case "back":
		d.c.silent = false
		d.c.redial()
		return d.joins()
	case "auth":
		d.c.authenticate()
		return nil
	case "wait":
		d.wait()
		return nil
	}
	return d.asks(c, line, async)
}

// asks sends an operation, n times if that is wanted, and waits for the answers.
func (d *person) asks(c *command, line string, async bool) error {
	op, err := d.op(c, line)
	if err != nil {
		return err
	}
	if !d.c.joined {
		return errors.New("it has no connection")
	}
	n := c.number("n", 1)
	d.many = n > 1
	for range n {
		d.c.ask(op)
	}
	if async {
		return nil
	}
	d.wait()
	if d.many {
		var counts []string
		for what, times := range d.count {
			counts = append(counts, fmt.Sprintf("%s (%d times)", what, times))
		}
		slices.Sort(counts)
		d.p.say("%s: %s, the last at %s", d.name, strings.Join(counts, ", "), zabtest.Z(zab.Zxid(d.last)))
		clear(d.count)
	}
	return nil
}

func (d *person) wait() {
	d.p.awhile(func() bool { return len(d.c.open) == 0 })
	for _, n := range d.c.open {
		d.p.say("%s: %s: no answer yet", d.name, describeOp(&d.p.w.record.Ops[n].Op))
	}
}

var opKinds = map[string]wire.Op{
	"create": wire.OpCreate2, "delete": wire.OpDelete, "set": wire.OpSetData, "get": wire.OpGetData, "exists": wire.OpExists,
	"children": wire.OpGetChildren2, "acl": wire.OpGetACL, "sync": wire.OpSync, "close": wire.OpCloseSession, "multi": wire.OpMulti,
	"check": wire.OpCheck, "watch": wire.OpAddWatch, "ephemerals": wire.OpGetEphemerals,
}

// op reads an operation.
func (d *person) op(c *command, line string) (history.Op, error) {
	kind, ok := opKinds[c.name]
	if !ok {
		return history.Op{}, fmt.Errorf("no such operation: %s", c.name)
	}
	o := history.Op{Kind: kind, Version: int32(c.number("version", -1)), Watch: c.has("watch")}
	if kind == wire.OpMulti {
		for part := range strings.SplitSeq(strings.TrimPrefix(line, "multi"), ";") {
			inner, err := d.op(d.p.parse(part), "")
			if err != nil {
				return o, err
			}
			if inner.Kind == wire.OpCreate2 {
				inner.Kind = wire.OpCreate
			}
			o.Ops = append(o.Ops, inner)
		}
		return o, nil
	}
	for _, word := range c.words {
		switch {
		case word == "watch" || word == "recursive" || word == "ephemeral" || word == "sequential" || word == "container":
		case strings.HasPrefix(word, "/"):
			o.Path = word
		default:
			o.Data = []byte(word)
		}
	}
	if kind == wire.OpSync && o.Path == "" {
		o.Path = "/"
	}
	if c.has("recursive") {
		o.WatchMode = wire.AddWatchPersistentRecursive
	}
	if n := c.number("pad", 0); n > 0 {
		o.Path += strings.Repeat("x", n)
	}
	if kind == wire.OpCreate2 {
		return o, d.created(c, &o)
	}
	return o, nil
}

// created fills in what only a create has.
func (d *person) created(c *command, o *history.Op) error {
	if o.Data == nil {
		o.Data = []byte{}
	}
	switch e, s := c.has("ephemeral"), c.has("sequential"); {
	case c.has("container"):
		o.Kind, o.Mode = wire.OpCreateContainer, wire.Container
	case e && s:
		o.Mode = wire.EphemeralSequential
	case e:
		o.Mode = wire.Ephemeral
	case s:
		o.Mode = wire.PersistentSequential
	}
	switch acl, given := c.values["acl"]; {
	case !given:
		o.ACL = wire.OpenACL
	case acl == "auth":
		o.ACL = []wire.ACL{{Perms: wire.PermAll, Scheme: "auth"}}
	case acl == "read":
		o.ACL = []wire.ACL{{Perms: wire.PermRead, Scheme: "world", ID: "anyone"}}
	default:
		return fmt.Errorf("acl=%s: auth or read", acl)
	}
	return nil
}

// describeOp is an operation in the words of scripts.
func describeOp(o *history.Op) string {
	name := o.Kind.String()
	for word, kind := range opKinds { // a kind has one word
		if kind == o.Kind {
			name = word
		}
	}
	path := o.Path
	if len(path) > 40 {
		path = path[:40] + "..."
	}
	if path != "" && o.Kind != wire.OpSync {
		name += " " + path
	}
	return name
}

// codeName is an outcome as a script shows it.
func codeName(c wire.Code) string {
	if c == wire.OK {
		return "ok"
	}
	return c.Name()
}

// describeResult is an answer: what it holds, and the zxid that it was given at.
func describeResult(o *history.Operation, r *history.Result) string {
	at := " at " + zabtest.Z(zab.Zxid(o.Zxid))
	if r.Code != wire.OK {
		return r.Code.Name() + at
	}
	switch o.Op.Kind {
	case wire.OpCreate2, wire.OpCreateContainer:
		if r.Path != o.Op.Path {
			return r.Path + at
		}
	case wire.OpGetData:
		return fmt.Sprintf("%q, version %d%s", brief(r.Data), r.Stat.Version, at)
	case wire.OpExists:
		return fmt.Sprintf("version %d, children %d, cversion %d, pzxid %s%s", r.Stat.Version, r.Stat.NumChildren, r.Stat.Cversion,
			zabtest.Z(r.Stat.Pzxid), at)
	case wire.OpGetChildren2, wire.OpGetEphemerals:
		slices.Sort(r.Children)
		if n := len(r.Children); n > mostNodes {
			return fmt.Sprintf("%d names%s", n, at)
		}
		return fmt.Sprintf("%v%s", r.Children, at)
	case wire.OpGetACL:
		return fmt.Sprintf("%v%s", r.ACL, at)
	case wire.OpMulti:
		for i := range r.Results {
			if x := &r.Results[i]; x.Kind == wire.OpError && x.Code != wire.OK && x.Code != wire.RuntimeInconsistency {
				return fmt.Sprintf("%s in step %d%s", x.Code.Name(), i+1, at)
			}
		}
	default:
	}
	return "ok" + at
}
