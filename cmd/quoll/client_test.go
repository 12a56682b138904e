package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quoll/transport/wire"
)

// result is what a command left behind.
type result struct {
	code     int
	out, err string
}

func invoke(t *testing.T, stdin string, args ...string) result {
	var out, errs bytes.Buffer
	c := &console{ctx: t.Context(), in: strings.NewReader(stdin), out: &out, err: &errs}
	code := run(args, c)
	return result{code, out.String(), errs.String()}
}

// A session at the command line, each line a process of its own.
func TestCommands(t *testing.T) {
	f := startFake(t)
	for _, c := range []struct {
		args  string
		stdin string
		want  result
	}{
		{args: "ls", want: result{out: "zookeeper\n"}},
		{args: "create /a hello", want: result{out: "/a\n"}},
		{args: "create /a", want: result{code: 1, err: "quoll: create2 /a: node exists\n"}},
		{args: "create /x/y", want: result{code: 1, err: "quoll: create2 /x/y: no node\n"}},
		{args: "create -s /a/q-", want: result{out: "/a/q-0000000007\n"}},
		{args: "create -c /a/c", want: result{out: "/a/c\n"}},
		{args: "create --ttl=1m /a/c/t", want: result{out: "/a/c/t\n"}},
		{args: "get /a", want: result{out: "hello\n"}},
		{args: "set /a world", want: result{}},
		{args: "set -v 7 /a again", want: result{code: 1, err: "quoll: setData /a: bad version\n"}},
		{args: "set -v 1 /a -", stdin: "from\nstdin", want: result{}},
		{args: "get /a", want: result{out: "from\nstdin\n"}},
		{args: "ls /a", want: result{out: "c\nq-0000000007\n"}},
		{args: "ls -R /a", want: result{out: "/a\n/a/c\n/a/c/t\n/a/q-0000000007\n"}},
		{args: "ls /a/c/t", want: result{}},
		{args: "ls /none", want: result{code: 1, err: "quoll: getChildren2 /none: no node\n"}},
		{args: "delete /a", want: result{code: 1, err: "quoll: delete /a: node has children\n"}},
		{args: "delete -r /none", want: result{code: 1, err: "quoll: exists /none: no node\n"}},
		{args: "delete -r /a", want: result{}},
		{args: "ls -R", want: result{out: "/\n/zookeeper\n"}},
		{args: "ls --auth digest:u:p /", want: result{out: "zookeeper\n"}},
	} {
		words := strings.Fields(c.args)
		args := append([]string{words[0], "--server=" + f.addr}, words[1:]...)
		require.Equal(t, c.want, invoke(t, c.stdin, args...), c.args)
	}
	require.Equal(t, []string{"digest:u:p"}, f.identity)
	require.EqualValues(t, f.sessions, f.counted(wire.OpCloseSession), "each command closes its session, also one that fails")
	require.Equal(t, result{out: "imok\n"}, invoke(t, "", "4lw", "ruok", f.addr))
}

func TestCommandLineErrors(t *testing.T) {
	for args, want := range map[string]string{
		"":                              "expected one of",
		"frobnicate":                    "unexpected argument frobnicate",
		"get":                           "<path>",
		"ls -o xml":                     "--output",
		"create -e -c /a":               "only --sequential",
		"create -c --ttl=1s /a":         "only --sequential",
		"create --ttl=-1s /a":           "positive time",
		"create --acl world:anyone /a":  "SCHEME:ID:PERMS",
		"create --acl world:anyone:x /": "cdrwa",
		"delete -r -v 1 /a":             "do not go together",
		"bench --mix=fly=1":             `"fly" is no operation`,
		"bench --mix=set=0":             "weight",
		"bench --mix=delete=1":          `"delete" is no operation`,
		"bench --conns=0":               "at least 1",
		"bench --size=2000000":          "--size",
		"bench --keys=0":                "--keys",
		"bench --duration=0s":           "--duration",
		"bench --rate=-1":               "positive",
		"bench --gap --fill=10":         "exclude",
	} {
		r := invoke(t, "", strings.Fields(args)...)
		require.Equal(t, exitUsage, r.code, args)
		require.Contains(t, r.err, want, args)
		require.Empty(t, r.out, args)
	}
	r := invoke(t, "", "--help")
	require.Zero(t, r.code)
	require.Contains(t, r.out, "bench")
	require.Zero(t, invoke(t, "", "version").code)
}

func TestNobodyListens(t *testing.T) {
	for _, args := range [][]string{
		{"ls", "--server=127.0.0.1:1"},
		{"4lw", "ruok", "127.0.0.1:1"},
		{"bench", "--servers=127.0.0.1:1"},
	} {
		r := invoke(t, "", args...)
		require.Equal(t, exitFailure, r.code)
		require.Contains(t, r.err, "connect to 127.0.0.1:1")
	}
}

func TestJSON(t *testing.T) {
	f := startFake(t)
	server := "--server=" + f.addr
	require.Zero(t, invoke(t, "", "create", server, "/a", "text").code)
	require.Zero(t, invoke(t, "\xff\x00", "create", server, "/a/b", "-").code)

	var z znode
	require.NoError(t, json.Unmarshal([]byte(invoke(t, "", "get", server, "-o", "json", "/a").out), &z))
	require.Equal(t, "/a", z.Path)
	require.Equal(t, "text", *z.Data.Text)
	require.EqualValues(t, 1, z.NumChildren)

	z = znode{}
	require.NoError(t, json.Unmarshal([]byte(invoke(t, "", "get", server, "-o", "json", "/a/b").out), &z))
	require.Nil(t, z.Data.Text)
	require.Equal(t, "\xff\x00", string(z.Data.Base64))

	z = znode{}
	require.NoError(t, json.Unmarshal([]byte(invoke(t, "", "set", server, "-o", "json", "/a", "x").out), &z))
	require.EqualValues(t, 1, z.Version)
	require.Nil(t, z.Data)

	var l listing
	require.NoError(t, json.Unmarshal([]byte(invoke(t, "", "ls", server, "-o", "json", "-R", "/a").out), &l))
	require.Equal(t, listing{Path: "/a", Recursive: true, Names: []string{"/a", "/a/b"}}, l)
	require.NoError(t, json.Unmarshal([]byte(invoke(t, "", "ls", server, "-o", "json", "/a/b").out), &l))
	require.Equal(t, []string{}, l.Names)
}

// An ephemeral lives as long as its command: until it is interrupted.
func TestCreateEphemeralWaits(t *testing.T) {
	f := startFake(t)
	ctx, cancel := context.WithCancel(t.Context())
	out := make(signalWriter, 1)
	code := make(chan int)
	go func() {
		code <- run([]string{"create", "--server=" + f.addr, "-e", "/e"}, &console{ctx: ctx, out: out, err: out})
	}()
	require.Equal(t, "/e\n", <-out)
	require.Zero(t, f.counted(wire.OpCloseSession))
	cancel()
	require.Zero(t, <-code)
	require.Equal(t, 1, f.counted(wire.OpCloseSession))
}

// signalWriter hands out what is written to it.
type signalWriter chan string

func (w signalWriter) Write(b []byte) (int, error) {
	w <- string(b)
	return len(b), nil
}

func TestStatText(t *testing.T) {
	stat := wire.Stat{
		Czxid: 0x1f, Mzxid: 0x20, Pzxid: 0x21, Ctime: 0, Mtime: time.Hour.Milliseconds(), Version: 1, Cversion: 2,
		Aversion: 3, EphemeralOwner: 0x7f, DataLength: 5, NumChildren: 6,
	}
	require.Equal(t, `cZxid = 0x1f
ctime = Thu Jan 01 00:00:00 UTC 1970
mZxid = 0x20
mtime = Thu Jan 01 01:00:00 UTC 1970
pZxid = 0x21
cversion = 2
dataVersion = 1
aclVersion = 3
ephemeralOwner = 0x7f
dataLength = 5
numChildren = 6
`, statText(stat))
}

func TestParseACL(t *testing.T) {
	acl, err := parseACL("digest:u:hash=:crw,world:anyone:r")
	require.NoError(t, err)
	require.Equal(t, []wire.ACL{
		{Perms: wire.PermCreate | wire.PermRead | wire.PermWrite, Scheme: "digest", ID: "u:hash="},
		{Perms: wire.PermRead, Scheme: "world", ID: "anyone"},
	}, acl)
	acl, err = parseACL("auth::cdrwa")
	require.NoError(t, err)
	require.Equal(t, []wire.ACL{{Perms: wire.PermAll, Scheme: "auth"}}, acl)
}
