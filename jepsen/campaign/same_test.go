package campaign_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/jepsen/campaign"
	"quoll/jepsen/history"
	"quoll/transport/wire"
)

// first is the client that reads server 1 in these tests; the next ones read the next servers.
const first = 10

func asked(server int, kind wire.Op, path string, res history.Result) history.Operation {
	return history.Operation{
		Client: first + server - 1, Server: campaign.ServerID(server), Op: history.Op{Kind: kind, Path: path}, Result: res,
		Call: history.Moment{At: 1, Seq: 1}, Return: history.Moment{At: 2, Seq: 2},
	}
}

func shows(server int, path, data string, change func(s *wire.Stat)) history.Operation {
	res := history.Result{Data: []byte(data), Stat: wire.Stat{Czxid: 7, Mzxid: 8, Version: 1}}
	if change != nil {
		change(&res.Stat)
	}
	return asked(server, wire.OpGetData, path, res)
}

func lists(server int, path string, names ...string) history.Operation {
	return asked(server, wire.OpGetChildren2, path, history.Result{Children: names})
}

func allows(server int, path string, perms wire.Perm) history.Operation {
	return asked(server, wire.OpGetACL, path, history.Result{ACL: []wire.ACL{{Perms: perms, Scheme: "world", ID: "anyone"}}})
}

// equal is what three servers of one state say. /e went with its session in between, /c was empty for long enough.
func equal() []history.Operation {
	owned := func(s *wire.Stat) { s.EphemeralOwner = 9 }
	var all []history.Operation
	for s := 1; s <= 3; s++ {
		children := []string{"a", "b"}
		if s == 1 {
			children = []string{"e", "b", "c", "a"}
		}
		all = append(all, shows(s, "/a", "x", nil), allows(s, "/a", 31), lists(s, "/", children...),
			shows(s, "/", "", func(st *wire.Stat) { st.NumChildren = int32(len(children)) }))
	}
	gone := history.Result{Code: wire.NoNode}
	return append(all, shows(1, "/e", "1", owned), asked(2, wire.OpGetData, "/e", gone), asked(3, wire.OpGetData, "/e", gone),
		shows(1, "/c", "", nil), asked(2, wire.OpGetData, "/c", gone), asked(3, wire.OpGetData, "/c", gone),
		history.Operation{Client: 1, Op: history.Op{Kind: wire.OpCreateContainer, Path: "/c", Mode: wire.Container}},
		history.Operation{Client: first + 1, Op: history.Op{Kind: wire.OpGetData, Path: "/never-answered"}})
}

// Servers that differ at the end are told apart; what may go without anybody's asking is left out.
func TestSame(t *testing.T) {
	require.Empty(t, campaign.Same(&history.History{Ops: equal()}, first))
	for name, c := range map[string]struct {
		other history.Operation
		want  string
	}{
		"data":      {shows(3, "/a", "y", nil), `"/a": server 1 shows version 1 of 0x8, created by 0x7`},
		"version":   {shows(3, "/a", "x", func(s *wire.Stat) { s.Version++ }), "server 3 version 2 of"},
		"aversion":  {shows(3, "/a", "x", func(s *wire.Stat) { s.Aversion++ }), "aversion 1"},
		"mtime":     {shows(3, "/a", "x", func(s *wire.Stat) { s.Mtime++ }), "changed at 1"},
		"cversion":  {shows(3, "/a", "x", func(s *wire.Stat) { s.Cversion++ }), "cversion 1"},
		"pzxid":     {shows(3, "/a", "x", func(s *wire.Stat) { s.Pzxid++ }), "last change"},
		"gone":      {asked(3, wire.OpGetData, "/a", history.Result{Code: wire.NoNode}), "server 3 NoNode"},
		"its own":   {shows(3, "/b", "x", nil), `"/b": server 1 shows NoNode, server 3 version 1`},
		"no child":  {lists(3, "/", "b"), `"/": server 1 shows the children ["a" "b"], server 3 the children ["b"]`},
		"acl":       {allows(3, "/a", 1), "server 3 the ACL"},
		"long data": {shows(3, "/long", strings.Repeat("a", 200)+"y"+strings.Repeat("a", 200), nil), "401 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			ops := equal()
			for s := 1; s <= 3; s++ {
				ops = append(ops, shows(s, "/long", strings.Repeat("a", 401), nil), asked(s, wire.OpGetData, "/b", history.Result{Code: wire.NoNode}))
			}
			ops = append(ops, c.other)
			v := campaign.Same(&history.History{Ops: ops}, first)
			require.Len(t, v, 1)
			require.Contains(t, v[0].Text, c.want)
			require.Contains(t, v[0].Text, "(1 differences)")
			require.True(t, slices.Contains(v[0].Ops, len(ops)-1))
		})
	}
}
