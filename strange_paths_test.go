package quoll_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/transport/jute"
	"quoll/transport/wire"
	"quoll/zab"
)

// An empty path is another name of the root for those who read; a null path is no path, and
// leaves no watch behind. jepsen/compat found each of these beside a real ZooKeeper.
func TestNullPathsAreNoPaths(t *testing.T) {
	inEnsemble(t, 1, 0, nil, func(e *ensemble) {
		c := e.session(0)
		null := func(rest ...byte) func([]byte) []byte {
			return func(b []byte) []byte { return append(jute.AppendInt(b, -1), rest...) }
		}
		for op, body := range map[wire.Op]func([]byte) []byte{
			wire.OpExists: null(1), wire.OpGetData: null(1), wire.OpGetChildren: null(1), wire.OpGetChildren2: null(1),
			wire.OpGetACL: null(), wire.OpGetAllChildrenNumber: null(), wire.OpDelete: null(255, 255, 255, 255),
			wire.OpCreate: (&wire.CreateRequest{ACL: wire.OpenACL}).Append,
			wire.OpMulti:  multi(wire.MultiOp{Op: wire.OpCreate, Path: []byte("/a"), ACL: wire.OpenACL}, wire.MultiOp{Op: wire.OpDelete}),
		} {
			c.refuses(wire.MarshallingError, 1, op, body, op)
		}
		for _, op := range []wire.Op{wire.OpExists, wire.OpGetData, wire.OpGetChildren, wire.OpGetChildren2} {
			c.does(2, op, plain(""))
		}
		c.does(3, wire.OpCreate, create("/child", "", wire.Ephemeral))
		c.does(4, wire.OpSetData, setData("/", "new", -1))
		c.rests()
	})
}

// Only a prefix that is blank, or the root, means all; any other counts as it is.
func TestPrefixOfEphemeralsIsNotTrimmed(t *testing.T) {
	inEnsemble(t, 1, 0, nil, func(e *ensemble) {
		c := e.session(0)
		c.does(1, wire.OpCreate, create("/a", "", wire.Ephemeral))
		for prefix, want := range map[string]int{" ": 1, " / ": 1, "/a": 1, " /a": 0, "/a ": 0} {
			require.Len(t, stringsOf(t, c.does(2, wire.OpGetEphemerals, onPath(prefix))), want, "%q", prefix)
		}
	})
}

// The membership reads the same by getData and in a multiRead, and has the same stat wherever one is shown.
func TestConfigInMultiRead(t *testing.T) {
	inEnsemble(t, 3, 0, nil, func(e *ensemble) {
		c := e.session(0)
		const path = "/zookeeper/config"
		alone := c.does(1, wire.OpGetData, plain(path))
		require.Contains(t, string(alone), "server.1=")
		d := jute.NewDecoder(c.does(2, wire.OpMultiRead, multi(wire.MultiOp{Op: wire.OpGetData, Path: []byte(path)})))
		var r wire.MultiResult
		require.True(t, r.Decode(&d))
		data := wire.DataResponse{Data: r.Data, Stat: r.Stat}
		require.Equal(t, alone, data.Append(nil))
		stat := r.Stat.Append(nil)
		require.Equal(t, stat, c.does(3, wire.OpExists, plain(path)))
		for xid, op := range []wire.Op{wire.OpGetACL, wire.OpGetChildren2} {
			body := onPath(path)
			if op == wire.OpGetChildren2 {
				body = plain(path)
			}
			shown := c.does(zab.Xid(4+xid), op, body)
			require.Equal(t, stat, shown[len(shown)-len(stat):], op)
		}
	})
}
