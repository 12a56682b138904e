package main

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quoll"
	"quoll/cmd/internal/table"
	"quoll/transport/client"
	"quoll/transport/wire"
)

// startServer starts a server of its own within the test.
func startServer(t *testing.T) string {
	server, err := quoll.Start(t.Context(), quoll.Config{
		DataDir: t.TempDir(), ClientAddress: "127.0.0.1:0", NoSync: true, MaxClientCnxns: -1,
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Shutdown(context.WithoutCancel(t.Context()))) })
	require.NoError(t, server.AwaitServing(t.Context()))
	return server.ClientAddr()
}

// Every large thing that one client does can be done, and the probes tell of all that they asked.
func TestLargeThings(t *testing.T) {
	l := &larges{r: &comparing{compareCmd: &compareCmd{Large: 200}}, ctx: t.Context(), hosts: []string{startServer(t)}}
	var err error
	l.doer, err = l.dial()
	require.NoError(t, err)
	defer l.doer.Abandon()
	_, err = l.doer.Create(l.ctx, largeRoot, nil, wire.OpenACL, wire.Persistent)
	require.NoError(t, err)
	p, err := startProbes(l.ctx, l.hosts)
	require.NoError(t, err)
	defer p.close()
	for _, thing := range largeThings {
		if thing.row == "watches" || thing.row == "expiry" { // take processes
			continue
		}
		do, failed := thing.prepare(l)
		require.NoError(t, failed, thing.row)
		waits, took, failed := p.during(l.ctx, do)
		require.NoError(t, failed, thing.row)
		require.Positive(t, took)
		require.Positive(t, waits.Read.Count, thing.row)
		require.Positive(t, waits.Write.Count, thing.row)
		require.Positive(t, waits.Longest())
	}
	names, _, err := l.doer.Children(l.ctx, largeRoot+"/family")
	require.NoError(t, err)
	require.Len(t, names, 200)
	names, _, err = l.doer.Children(l.ctx, largeRoot+"/ephemerals")
	require.NoError(t, err)
	require.Empty(t, names)
}

// Probes that fail spoil the figure: what is not answered has no longest wait.
func TestProbesThatFail(t *testing.T) {
	ctx := t.Context()
	host := startServer(t)
	s, err := client.Dial(ctx, client.Options{Servers: []string{host}})
	require.NoError(t, err)
	defer s.Abandon()
	_, err = s.Create(ctx, largeRoot, nil, wire.OpenACL, wire.Persistent)
	require.NoError(t, err)
	p, err := startProbes(ctx, []string{host})
	require.NoError(t, err)
	defer p.close()
	require.NoError(t, s.Delete(ctx, probePath(0), wire.AnyVersion))
	gone := make(chan struct{})
	_, _, err = p.during(ctx, func() error {
		time.AfterFunc(20*ms, func() { close(gone) })
		<-gone
		return nil
	})
	require.ErrorContains(t, err, "probes failed")
}

// Sessions that watch tell when all of them have heard.
func TestIdleWatches(t *testing.T) {
	host := startServer(t)
	s, err := client.Dial(t.Context(), client.Options{Servers: []string{host}})
	require.NoError(t, err)
	defer s.Abandon()
	_, err = s.Create(t.Context(), "/watched", nil, wire.OpenACL, wire.Persistent)
	require.NoError(t, err)
	in, release := io.Pipe()
	out, said := io.Pipe()
	ended := make(chan int)
	go func() {
		ended <- run([]string{"idle", "--servers=" + host, "--sessions=5", "--watch=/watched"}, &console{ctx: t.Context(), in: in, out: said, err: io.Discard})
	}()
	line := make([]byte, 16)
	n, err := out.Read(line)
	require.NoError(t, err)
	require.Equal(t, "ready\n", string(line[:n]))
	_, err = s.SetData(t.Context(), "/watched", nil, wire.AnyVersion)
	require.NoError(t, err)
	n, err = out.Read(line)
	require.NoError(t, err)
	require.Equal(t, "told\n", string(line[:n]))
	release.Close()
	require.Zero(t, <-ended)
}

// The large things have a table of their own, with what was before.
func TestLargeTable(t *testing.T) {
	r := table.Result{Large: []table.Large{{Row: "list", System: table.Quoll, Took: 12, During: table.Waits{}}}}
	r.Large[0].During.Read.Max, r.Large[0].Before.Write.Max = 34, 5
	require.Regexp(t, `list +quoll +12\.0 .* 34\.0 .* 5\.00`, r.Text())
	require.InDelta(t, 34, r.Large[0].During.Longest(), 0)
}
