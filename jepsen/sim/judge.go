package sim

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"quoll/jepsen/check"
	"quoll/jepsen/history"
	"quoll/jepsen/model"
	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/tree"
	"quoll/zab"
)

// The end of a run: the committed sequence is executed by the model, trees are compared with it, and
// the histories of the clients are judged.

// judge looks at all that was recorded.
func (w *World) judge() {
	if w.broken != nil {
		return
	}
	w.record.End = w.record.Moment()
	for _, z := range w.checker.Canon() {
		c, err := w.commit(z, w.checker.Data(z))
		if err != nil {
			w.fail("I-INTEGRITY", 0, "%v: %v", z, err)
			return
		}
		w.record.Commits = append(w.record.Commits, c)
	}
	w.coverCommits(w.record.Commits)
	w.fold()
	if w.broken != nil {
		return
	}
	limits := check.DefaultLimits
	limits.Moves = false // leaders are deposed all the time
	for _, v := range check.AllWithin(&w.record.History, limits) {
		if v.Undecided { // out of real time, which must not decide anything here
			w.cover.Add("undecided: " + v.Check)
			continue
		}
		w.now = v.At.At
		w.fail(v.Check, 0, "%s", v.Text)
	}
}

// commit tells what a txn carries out: its header says whose request it is, and the client knows what
// it asked for.
func (w *World) commit(z zab.Zxid, data []byte) (history.Commit, error) {
	h, err := tree.DecodeHeader(data)
	if err != nil {
		return history.Commit{}, err
	}
	d := jute.NewDecoder(data[txnHeaderBytes:])
	c := history.Commit{Zxid: z, Session: h.Session, Xid: h.Xid, TimeMs: h.TimeMs, Code: wire.Code(d.Int())}
	c.Op.Kind = h.Op
	if n, ok := w.asked[request{h.Session, h.Xid}]; ok && h.Xid != 0 {
		c.Op, c.Auth = w.record.Ops[n].Op, w.record.Ops[n].Auth
		if c.Op.Kind != h.Op {
			return c, fmt.Errorf("%v was committed for a request that was %v", h.Op, c.Op.Kind)
		}
		c.Refused = refused(&c, &d)
		return c, nil
	}
	switch {
	case h.Xid != 0:
		return c, fmt.Errorf("session %x never asked for its request %d", h.Session, h.Xid)
	case c.Code != wire.OK:
	case h.Op == wire.OpCreateSession:
		c.Op.TimeoutMs = d.Int()
		c.Op.Password = slices.Clone(d.Buffer())
	case h.Op == wire.OpDeleteContainer:
		c.Op.Path = string(d.Buffer())
	case h.Op == wire.OpCloseSession: // its session is in the header
	default:
		return c, fmt.Errorf("nobody asked for this %v", h.Op)
	}
	return c, d.Err()
}

// refused finds the op of a failed multi that its server had no room for: a list of errors says which.
func refused(c *history.Commit, d *jute.Decoder) int {
	if c.Op.Kind != wire.OpMulti || c.Code != wire.OK {
		return 0
	}
	for i := range d.Int() {
		if wire.Op(d.Int()) != wire.OpError {
			return 0
		}
		if wire.Code(d.Int()) == wire.SystemError {
			return int(i) + 1
		}
	}
	return 0
}

// txnHeaderBytes is the size of the header of a txn; the code follows (tree/txn.go).
const txnHeaderBytes = 40

// fold executes the committed sequence, and compares the result with each tree of the core (I-TREE,
// and with it I-SESS, I-EPH, I-SEQ and I-STAT).
func (w *World) fold() {
	m := model.New()
	for i := range w.record.Commits {
		c := &w.record.Commits[i]
		if full := c.Code == wire.SystemError || c.Refused > 0; full && w.plan.TxnBytes == 0 {
			w.fail("C-DUR", 0, "%v of session %x at %v was refused for want of room, and is small", c.Op.Kind, c.Session, c.Zxid)
			return
		}
		nobodys := c.Xid == 0 && c.Code != wire.OK // the search for containers was late: its txn does not say for which
		if res, _ := m.Apply(c); res.Code != c.Code && !nobodys {
			w.fail("C-DUR", 0, "%v of session %x at %v ended with %s, the model says %s",
				c.Op.Kind, c.Session, c.Zxid, c.Code.Name(), res.Code.Name())
			return
		}
	}
	for _, s := range w.servers {
		if w.core.Has(s.id) && s.up {
			if diff := difference(m, s.peer.Tree()); diff != "" {
				w.fail("I-TREE", s.id, "the tree at %v is not what the committed sequence makes: %s", s.peer.Tree().Applied(), diff)
				return
			}
		}
	}
}

// difference compares a model with a tree, znode by znode, and says the first difference.
func difference(m *model.Tree, t *tree.Tree) (diff string) {
	count := 0
	m.Each(func(path string, data []byte, stat wire.Stat, acl []wire.ACL, _ int64) {
		count++
		if diff != "" {
			return
		}
		n, ok := t.Lookup([]byte(path))
		switch {
		case !ok:
			diff = path + " is missing"
		case !bytes.Equal(t.Data(n), data) || (t.Data(n) == nil) != (data == nil):
			diff = fmt.Sprintf("%s holds %q and not %q", path, t.Data(n), data)
		case t.Stat(n) != stat:
			diff = fmt.Sprintf("%s has %+v and not %+v", path, t.Stat(n), stat)
		case !slices.Equal(t.ACL(n), acl):
			diff = fmt.Sprintf("%s has the list %v and not %v", path, t.ACL(n), acl)
		}
	})
	if have := t.NodeCount() - 1; diff == "" && count != have { // it counts the root twice
		diff = fmt.Sprintf("%d znodes and not %d", have, count)
	}
	if diff != "" {
		return diff
	}
	var sessions []string
	t.EachSession(func(s *tree.Session) bool {
		sessions = append(sessions, fmt.Sprintf("%x", s.ID))
		return true
	})
	var wanted []string
	for _, id := range m.Sessions() {
		wanted = append(wanted, fmt.Sprintf("%x", id))
	}
	slices.Sort(sessions)
	slices.Sort(wanted)
	if !slices.Equal(sessions, wanted) {
		return "sessions " + strings.Join(sessions, " ") + " and not " + strings.Join(wanted, " ")
	}
	return ""
}
