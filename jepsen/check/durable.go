package check

import (
	"bytes"
	"fmt"
	"slices"

	"quoll/jepsen/history"
	"quoll/transport/wire"
)

// durable looks every acknowledged write up by the zxid in its answer.
func (s *study) durable() []Violation {
	r := &report{check: "C-DUR"}
	if !s.complete {
		return s.alone(r.check)
	}
	for i := range s.h.Ops {
		o := &s.h.Ops[i]
		if !acknowledged(o) {
			s.refused(r, i)
			continue
		}
		at, ok := s.pos(o.Zxid)
		if !ok || at < 0 {
			r.add(o.Return, []int{i}, fmt.Sprintf("%s was acknowledged at %s with zxid %s, which is not in the committed sequence",
				s.op(i), seconds(o.Return), hex(o.Zxid)))
			continue
		}
		c := &s.h.Commits[at]
		if c.Session != o.Session || c.Xid != o.Xid {
			r.add(o.Return, []int{i}, fmt.Sprintf("%s was acknowledged at %s with zxid %s, which is request %d of %s",
				s.op(i), seconds(o.Return), hex(o.Zxid), c.Xid, session(c.Session)))
			continue
		}
		if text := difference(o.Op.Kind, &o.Result, &s.told[at]); text != "" {
			r.add(o.Return, []int{i}, fmt.Sprintf("%s was answered at %s with %s, at zxid %s", s.op(i), seconds(o.Return), text, hex(o.Zxid)))
		}
	}
	s.outcomes(r)
	return r.list
}

// refused: a write that a server refused to propose did not take effect.
func (s *study) refused(r *report, op int) {
	o := &s.h.Ops[op]
	if !o.Known() || !o.Op.IsWrite() || o.Result.Code != wire.SystemError {
		return
	}
	for _, at := range s.commits[request{o.Session, o.Xid}] {
		if s.told[at].Code == wire.OK {
			r.add(o.Return, []int{op}, fmt.Sprintf("%s was refused with %s at %s, but took effect with zxid %v",
				s.op(op), o.Result.Code.Name(), seconds(o.Return), s.h.Commits[at].Zxid))
		}
	}
}

// outcomes compares what the servers have in their history with what the model makes of it. What a
// session does behind its end is C-SESS's, the code of a multi is in its results, and of a request of
// nobody that failed the servers do not keep what it was.
func (s *study) outcomes(r *report) {
	for i := range s.h.Commits {
		c := &s.h.Commits[i]
		end, over := s.closed[c.Session]
		nobodys := c.Xid == 0 && c.Code != wire.OK
		if c.Op.Kind == wire.OpMulti || nobodys || over && end < i || c.Code == s.told[i].Code {
			continue
		}
		if asked := s.asked[request{c.Session, c.Xid}]; len(asked) == 1 && acknowledged(&s.h.Ops[asked[0]]) {
			continue // judged by its answer
		}
		r.add(s.h.End, nil, fmt.Sprintf("zxid %v, %s by %s, ended with %s instead of %s",
			c.Zxid, asks(&c.Op), session(c.Session), c.Code.Name(), s.told[i].Code.Name()))
	}
}

// once counts the commits of each request, and compares what was committed with what was asked.
func (s *study) once() []Violation {
	r := &report{check: "C-ONCE"}
	if !s.complete {
		return s.alone(r.check)
	}
	opened, dialed := 0, 0
	for i := range s.h.Conns {
		if s.h.Conns[i].Asked == 0 {
			dialed++
		}
	}
	for i := range s.h.Commits {
		c := &s.h.Commits[i]
		name := fmt.Sprintf("zxid %v, %s by %s,", c.Zxid, asks(&c.Op), session(c.Session))
		switch {
		case c.Op.Kind == wire.OpCreateSession:
			if opened++; opened > dialed && len(s.h.Conns) > 0 {
				r.add(s.h.End, nil, fmt.Sprintf("%s is the %dth session, but only %d were asked for", name, opened, dialed))
			}
		case c.Xid == 0:
			if c.Op.Kind != wire.OpCloseSession && c.Op.Kind != wire.OpDeleteContainer {
				r.add(s.h.End, nil, name+" is nobody's request")
			}
		default:
			s.onceEach(r, i, name)
		}
	}
	return r.list
}

func (s *study) onceEach(r *report, commit int, name string) {
	c := &s.h.Commits[commit]
	asked, took := s.asked[request{c.Session, c.Xid}], s.commits[request{c.Session, c.Xid}]
	nth := slices.Index(took, commit)
	switch {
	case len(asked) == 0:
		r.add(s.h.End, nil, fmt.Sprintf("%s is request %d, which its client never sent", name, c.Xid))
	case nth >= len(asked):
		r.add(s.h.Ops[asked[0]].Call, asked, fmt.Sprintf("%s is %s once more: it was committed before with zxid %v",
			name, s.op(asked[0]), s.h.Commits[took[nth-1]].Zxid))
	case !slices.ContainsFunc(asked, func(i int) bool { return sameRequest(&s.h.Ops[i].Op, &c.Op) }):
		r.add(s.h.Ops[asked[0]].Call, asked, fmt.Sprintf("%s is not what its client asked for: %s", name, s.op(asked[0])))
	}
}

// sameRequest compares what the wire carries of two writes.
func sameRequest(a, b *history.Op) bool {
	if a.Kind != b.Kind {
		return false
	}
	switch a.Kind {
	case wire.OpCreate, wire.OpCreate2, wire.OpCreateContainer, wire.OpCreateTTL:
		return a.Path == b.Path && sameData(a, b) && a.Mode == b.Mode && slices.Equal(a.ACL, b.ACL) &&
			(a.Kind != wire.OpCreateTTL || a.TTLMs == b.TTLMs)
	case wire.OpSetData:
		return a.Path == b.Path && a.Version == b.Version && sameData(a, b)
	case wire.OpSetACL:
		return a.Path == b.Path && a.Version == b.Version && slices.Equal(a.ACL, b.ACL)
	case wire.OpDelete, wire.OpCheck:
		return a.Path == b.Path && a.Version == b.Version
	case wire.OpMulti:
		return slices.EqualFunc(a.Ops, b.Ops, func(x, y history.Op) bool { return sameRequest(&x, &y) })
	default:
		return true
	}
}

func sameData(a, b *history.Op) bool {
	return bytes.Equal(a.Data, b.Data) && (a.Data == nil) == (b.Data == nil)
}

// configPath is answered from a server's configuration, which is no part of a history.
const configPath = "/zookeeper/config"

// reads compares every read with the model. An ephemeral that is shown behind its end is left to
// C-EPHLIFE.
func (s *study) reads() []Violation {
	r := &report{check: "C-READ"}
	if !s.complete {
		return s.alone(r.check)
	}
	for i := range s.h.Ops {
		o := &s.h.Ops[i]
		if !s.state(o) || o.Op.Path == configPath && o.Op.Kind == wire.OpGetData {
			continue
		}
		if _, ok := s.pos(o.Zxid); !ok {
			r.add(o.Return, []int{i}, fmt.Sprintf("%s reflects zxid %s, which is not in the committed sequence", s.op(i), hex(o.Zxid)))
			continue
		}
		want, ok := s.expected[i]
		if !ok || s.outlived(o) != 0 {
			continue
		}
		if text := difference(o.Op.Kind, &o.Result, &want); text != "" {
			r.add(o.Return, []int{i}, fmt.Sprintf("%s returned %s at %s, by a server that says it has applied %s%s",
				s.op(i), text, seconds(o.Return), hex(o.Zxid), s.missed(o, &want)))
		}
	}
	return r.list
}

// missed names the write that a read should have seen, if its client was told of one.
func (s *study) missed(o *history.Operation, want *history.Result) string {
	at, ok := s.pos(int64(want.Stat.Mzxid))
	if want.Code != wire.OK || !ok || at < 0 || o.Result.Stat.Mzxid == want.Stat.Mzxid {
		return ""
	}
	c := &s.h.Commits[at]
	if asked := s.asked[request{c.Session, c.Xid}]; len(asked) == 1 && acknowledged(&s.h.Ops[asked[0]]) {
		return fmt.Sprintf(", although %s was acknowledged with %v at %s", s.op(asked[0]), c.Zxid, seconds(s.h.Ops[asked[0]].Return))
	}
	return ""
}

// multis looks at the shape of the results: that they are the right ones is for C-DUR, that they
// are seen together for C-READ.
func (s *study) multis() []Violation {
	r := &report{check: "C-MULTI"}
	for i := range s.h.Ops {
		o := &s.h.Ops[i]
		if o.Op.Kind != wire.OpMulti || !acknowledged(o) || o.Result.Code != wire.OK {
			continue
		}
		if text := halfDone(o); text != "" {
			r.add(o.Return, []int{i}, fmt.Sprintf("%s: %s", s.op(i), text))
		}
	}
	if !s.complete {
		r.list = append(r.list, s.alone(r.check)...)
	}
	return r.list
}

// halfDone says what shows that a multi was not all or nothing. Of one that failed every result
// is an error: none before the op that failed, its own, and RuntimeInconsistency behind (protocol 3.5).
func halfDone(o *history.Operation) string {
	res := o.Result.Results
	if len(res) != len(o.Op.Ops) {
		return fmt.Sprintf("%d results for %d operations", len(res), len(o.Op.Ops))
	}
	failed := slices.IndexFunc(res, func(r history.Result) bool { return r.Kind == wire.OpError && r.Code != wire.OK })
	for i := range res {
		part := &res[i]
		stat := part.Kind == wire.OpSetData || part.Kind == wire.OpCreate2
		switch {
		case failed < 0 && part.Kind == wire.OpError:
			return fmt.Sprintf("result %d is undone, but none failed", i+1)
		case failed < 0 && stat && int64(part.Stat.Mzxid) != o.Zxid:
			return fmt.Sprintf("result %d was made by %v, the multi by %s", i+1, part.Stat.Mzxid, hex(o.Zxid))
		case failed < 0:
		case part.Kind != wire.OpError:
			return fmt.Sprintf("result %d says that the operation happened, but the one of %d failed", i+1, failed+1)
		case i > failed && part.Code != wire.RuntimeInconsistency:
			return fmt.Sprintf("result %d is %s behind the failure of %d", i+1, part.Code.Name(), failed+1)
		}
	}
	return ""
}
