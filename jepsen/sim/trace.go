package sim

import (
	"fmt"
	"runtime/debug"
	"strconv"
	"strings"

	"quoll"
	"quoll/transport/wire"
	"quoll/zab"
	"quoll/zab/zabtest"
)

// Step is one thing that happened, for people and for viewers.
type Step struct {
	At     int64  `json:"at_us"`
	Server int    `json:"server,omitempty"` // where; 0: at a client, or everywhere
	Kind   string `json:"kind"`             // send, receive, append, durable, deliver, role, act, ...
	Peer   int    `json:"peer,omitempty"`   // the other server of a message
	Number int64  `json:"number,omitempty"` // of the message: its send and its receive have the same
	Text   string `json:"text,omitempty"`
}

// Tracer is told every step, in order.
type Tracer interface{ Step(s Step) }

// trace tells the tracer, if there is one. text is called only then.
func (w *World) trace(server zab.ServerID, kind string, peer zab.ServerID, number int64, text func() string) {
	if w.tracer != nil {
		w.tracer.Step(Step{At: w.now, Server: int(server), Kind: kind, Peer: int(peer), Number: number, Text: text()})
	}
}

// traceTurn tells what a turn asked for.
func (s *server) traceTurn(a *quoll.Actions) {
	w := s.w
	z := s.peer.Zab()
	if role := (roleShown{z.Role(), z.Phase(), z.Epoch(), z.Leader(), z.Incarnation()}); role != s.shown {
		if role.incarnation != s.shown.incarnation && s.shown.role != zab.Looking && s.shown.role != 0 {
			w.cover.Add("left: " + string(z.Left()))
		}
		s.shown = role
		w.note(uint64(s.id), uint64(role.role), uint64(role.phase), uint64(role.epoch))
		w.trace(s.id, "role", z.Leader(), 0, func() string {
			return fmt.Sprintf("%v/%v epoch=%d", role.role, role.phase, role.epoch)
		})
	}
	for i := range a.Violations {
		v := &a.Violations[i]
		w.trace(s.id, "refuse", 0, 0, func() string { return v.Kind.String() + ": " + v.Text })
	}
	if w.tracer == nil {
		return
	}
	for i := range a.Persist {
		w.trace(s.id, "append", 0, 0, func() string { return zabtest.DescribeRecord(a.Persist[i]) })
	}
	if a.Install != 0 {
		w.trace(s.id, "install", 0, 0, a.Install.String)
	}
	for i := range a.Deliver {
		w.trace(s.id, "deliver", 0, 0, func() string { return zabtest.Z(a.Deliver[i].Zxid) })
	}
}

// roleShown is what was told of a server last.
type roleShown struct {
	role        zab.Role
	phase       zab.Phase
	epoch       zab.Epoch
	leader      zab.ServerID
	incarnation uint64
}

// describe returns a message for a trace.
func describe(env zab.Envelope) func() string {
	return func() string {
		text := zabtest.Describe(env.Msg)
		if env.History.To != 0 {
			text += fmt.Sprintf(" then (%s, %s] from the log", zabtest.Z(env.History.From), zabtest.Z(env.History.To))
		}
		return text
	}
}

// describe returns an operation for a trace.
func (c *client) describe(op int) string {
	o := &c.w.record.Ops[op]
	text := fmt.Sprintf("client %d xid=%d %v %s", c.id, o.Xid, o.Op.Kind, o.Op.Path)
	if o.Op.Kind == wire.OpMulti {
		parts := make([]string, len(o.Op.Ops))
		for i := range o.Op.Ops {
			parts[i] = fmt.Sprintf(" %v %s", o.Op.Ops[i].Kind, o.Op.Ops[i].Path)
		}
		text += strings.Join(parts, "")
	}
	if o.Known() {
		text += fmt.Sprintf(" -> %s zxid=%s %s", o.Result.Code.Name(), zabtest.Z(zab.Zxid(o.Zxid)), o.Result.Path)
	}
	return text
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func stack() string { return string(debug.Stack()) }
