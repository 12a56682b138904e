package driver

import (
	"context"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quoll/jepsen/history"
	"quoll/transport/jute"
	"quoll/transport/wire"
)

// shop is a server that has the znodes of a list below the root, and notes what it was asked for.
type shop struct {
	address string
	mu      sync.Mutex
	asked   []string // the operation and the path
}

func newShop(t *testing.T, names ...string) *shop {
	s := &shop{}
	s.address = answering(t, 2000, func(h wire.RequestHeader, d *jute.Decoder) ([]byte, bool) {
		path := ""
		if h.Op != wire.OpCloseSession && h.Op != wire.OpPing {
			path = string(d.Buffer())
		}
		s.mu.Lock()
		s.asked = append(s.asked, h.Op.String()+" "+path)
		s.mu.Unlock()
		switch known := path == "/" || slices.Contains(names, path[min(1, len(path)):]); {
		case h.Op == wire.OpSync:
			return replyFrame(h.Xid, 5, wire.OK, jute.AppendBuffer(nil, []byte(path))), true
		case h.Op == wire.OpCloseSession:
			return replyFrame(h.Xid, 5, wire.OK, nil), true
		case !known:
			return replyFrame(h.Xid, 5, wire.NoNode, nil), true
		case h.Op == wire.OpGetChildren2:
			var v wire.Children2Response
			if path == "/" {
				v.Children = append([]string{"zookeeper"}, names...)
			}
			return replyFrame(h.Xid, 5, wire.OK, v.Append(nil)), true
		case h.Op == wire.OpGetACL:
			v := wire.ACLResponse{ACL: wire.OpenACL}
			return replyFrame(h.Xid, 5, wire.OK, v.Append(nil)), true
		default:
			v := wire.DataResponse{Data: []byte(path)}
			return replyFrame(h.Xid, 5, wire.OK, v.Append(nil)), true
		}
	})
	return s
}

// What one server has and another lacks is asked for at both; and so is what was written and is nowhere.
func TestSurveyReadsTheUnion(t *testing.T) {
	one, two := newShop(t, "a", "b"), newShop(t, "a", "c")
	r := &Run{opts: Options{Servers: []string{one.address, two.address}}, began: time.Now()}
	r.record.Now = func() int64 { return time.Since(r.began).Microseconds() }
	r.record.Dial(history.Conn{})
	r.record.Call(history.Operation{Op: history.Op{Kind: wire.OpCreate, Path: "/lost"}})
	sequential := r.record.Call(history.Operation{Op: history.Op{Kind: wire.OpCreate, Path: "/q-", Mode: wire.PersistentSequential}})
	r.record.Return(sequential, 4, history.Result{Path: "/q-0000000001"})
	require.NoError(t, r.Survey(t.Context(), time.Minute))
	require.Empty(t, r.Outcome().Faults)
	for _, s := range []*shop{one, two} {
		for _, path := range []string{"/", "/a", "/b", "/c", "/lost", "/q-0000000001"} {
			require.Contains(t, s.asked, wire.OpGetData.String()+" "+path)
			require.Contains(t, s.asked, wire.OpGetACL.String()+" "+path)
		}
		require.NotContains(t, s.asked, wire.OpGetData.String()+" /zookeeper")
		require.NotContains(t, s.asked, wire.OpGetData.String()+" /q-")
		reads := slices.Index(s.asked, wire.OpGetData.String()+" /")
		require.Equal(t, wire.OpSync.String()+" /", s.asked[reads-1], "reads count as current only right behind a sync")
	}
}

// A server that does not answer does not keep the others from being read.
func TestSurveyWithoutOneServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	dead := l.Addr().String()
	require.NoError(t, l.Close())
	s := newShop(t, "a")
	r := &Run{opts: Options{Servers: []string{dead, s.address}}, began: time.Now()}
	r.record.Now = func() int64 { return time.Since(r.began).Microseconds() }
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.ErrorContains(t, r.Survey(ctx, time.Second), "survey of server 1: no answer for 1s")
	require.Contains(t, s.asked, wire.OpGetData.String()+" /a")
}
