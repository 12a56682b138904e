package campaign

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"

	"quoll/jepsen/check"
	"quoll/jepsen/history"
	"quoll/transport/wire"
	"quoll/zab"
)

// sameName is the check of what the survey found: every server shows the same.
const sameName = "SAME"

// view is a question of the survey; every server was asked the same ones.
type view struct {
	path string
	kind wire.Op
}

// shown is what a server answered to a view, and which operation was that.
type shown struct {
	server zab.ServerID
	op     int
	res    *history.Result
}

// same compares what the survey read from each server: the clients from first on, one for each. It looks at
// every znode that any server showed or anybody wrote; what may go with a session or with time is left
// out, and so are the counts of its parent.
func same(h *history.History, first int) []check.Violation {
	views := map[view][]shown{}
	fleeting := map[string]bool{}
	for i := range h.Ops {
		o := &h.Ops[i]
		noteFleeting(&o.Op, &o.Result, fleeting)
		switch o.Op.Kind {
		case wire.OpGetData, wire.OpGetChildren2, wire.OpGetACL:
		default:
			continue
		}
		if o.Client < first || !o.Known() {
			continue
		}
		if o.Result.Stat.EphemeralOwner != 0 {
			fleeting[o.Op.Path] = true
		}
		v := view{o.Op.Path, o.Op.Kind}
		views[v] = append(slices.DeleteFunc(views[v], func(s shown) bool { return s.server == o.Server }), shown{o.Server, i, &o.Result})
	}
	restless := map[string]bool{} // children come and go
	for path := range fleeting {
		restless[parentOf(path)] = true
	}
	order := slices.SortedFunc(maps.Keys(views), func(a, b view) int {
		if c := strings.Compare(a.path, b.path); c != 0 {
			return c
		}
		return int(a.kind) - int(b.kind)
	})
	var differ []string
	var proof []int
	for _, v := range order {
		all := views[v]
		if fleeting[v.path] {
			continue
		}
		for _, other := range all[1:] {
			a, b := v.plain(all[0].res, fleeting, restless), v.plain(other.res, fleeting, restless)
			if a != b {
				differ = append(differ, fmt.Sprintf("%q: server %d shows %s, server %d %s", v.path, all[0].server, a, other.server, b))
				proof = append(proof, all[0].op, other.op)
			}
		}
	}
	if len(differ) == 0 {
		return nil
	}
	const told = 3
	text := fmt.Sprintf("at the end, behind a sync, servers show different states (%d differences): %s", len(differ), strings.Join(differ[:min(told, len(differ))], "; "))
	proof = proof[:min(2*told, len(proof))]
	return []check.Violation{{Check: sameName, Text: text, At: h.Ops[slices.Max(proof)].Return, Ops: proof}}
}

// plain is an answer in words; servers are of one state when all answers read the same.
func (v view) plain(res *history.Result, fleeting, restless map[string]bool) string {
	if res.Code != wire.OK {
		return res.Code.Name()
	}
	switch v.kind {
	case wire.OpGetACL:
		return fmt.Sprintf("the ACL %v", res.ACL)
	case wire.OpGetChildren2:
		var names []string
		for _, name := range res.Children {
			if !fleeting[strings.TrimSuffix(v.path, "/")+"/"+name] {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		return fmt.Sprintf("the children %q", names)
	default:
		return v.znode(res, restless)
	}
}

// znode is the data of a znode and its stat, without what children that come and go leave in it.
func (v view) znode(res *history.Result, restless map[string]bool) string {
	s := &res.Stat
	text := fmt.Sprintf("version %d of %v, created by %v at %d, changed at %d, aversion %d, with %s", s.Version, s.Mzxid, s.Czxid, s.Ctime, s.Mtime, s.Aversion, content(res))
	if !restless[v.path] {
		text += fmt.Sprintf(", cversion %d, %d children, the last change of which was %v", s.Cversion, s.NumChildren, s.Pzxid)
	}
	return text
}

// content is the data of a znode; a digest stands for what is long.
func content(res *history.Result) string {
	const most = 60
	if res.Data == nil {
		return "no data"
	}
	if len(res.Data) <= most {
		return fmt.Sprintf("data %q", res.Data)
	}
	return fmt.Sprintf("%d bytes %q… of the digest %.8x", len(res.Data), res.Data[:most/2], sha256.Sum256(res.Data))
}

func parentOf(path string) string {
	return path[:max(1, strings.LastIndexByte(path, '/'))]
}

// noteFleeting notes the paths that nobody need delete for them to go: with a session, when they are empty, or with time.
func noteFleeting(op *history.Op, res *history.Result, paths map[string]bool) {
	if op.Mode.Ephemeral() || op.Mode.TTL() || op.Kind == wire.OpCreateContainer {
		paths[op.Path] = true
		if res.Path != "" {
			paths[res.Path] = true
		}
	}
	for i := range op.Ops {
		part := &history.Result{}
		if i < len(res.Results) {
			part = &res.Results[i]
		}
		noteFleeting(&op.Ops[i], part, paths)
	}
}
