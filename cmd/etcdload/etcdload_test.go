package main

import (
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quoll/cmd/internal/measure"
)

const ms = time.Millisecond

func TestCommandLine(t *testing.T) {
	o, err := parse([]string{"--endpoints=a:1,b:2", "--mix=get=90,set=10", "--json"})
	require.NoError(t, err)
	require.Equal(t, []string{"a:1", "b:2"}, o.endpoints)
	require.Equal(t, measure.Mix{{Kind: measure.Get, Weight: 90}, {Kind: measure.Set, Weight: 10}}, o.mix)
	require.True(t, o.asJSON)
	for args, want := range map[string]string{
		"--mix=ls": "nothing that is measured on etcd", "--mix=x": "is no operation", "--conns=0": "want more than 0", "more": "is no option",
	} {
		_, err := parse([]string{args})
		require.ErrorContains(t, err, want)
	}
}

// An open loop has its operations due at the asked rate, the connections shifted against each other.
func TestPace(t *testing.T) {
	o := &options{conns: 2, rate: 1000, duration: 10 * ms}
	var dues []time.Duration
	for p := newPace(o, 1); ; {
		due, ok := p.take(7 * ms)
		if !ok {
			break
		}
		dues = append(dues, due)
	}
	require.Equal(t, []time.Duration{1 * ms, 3 * ms, 5 * ms, 7 * ms, 9 * ms}, dues)
	closed := newPace(&options{conns: 2, duration: 10 * ms}, 0)
	due, ok := closed.take(7 * ms)
	require.True(t, ok)
	require.Equal(t, 7*ms, due)
	_, ok = closed.take(10 * ms)
	require.False(t, ok)
}

// A run against the null server, through the client and a socket.
func TestLoadOfTheNullServer(t *testing.T) {
	in, release := io.Pipe()
	said, out := io.Pipe()
	ended := make(chan error)
	go func() { ended <- run(context.Background(), []string{"--null"}, in, out) }()
	address := make([]byte, 64)
	n, err := said.Read(address)
	require.NoError(t, err)
	var text strings.Builder
	require.NoError(t, run(context.Background(), []string{
		"--endpoints=" + strings.TrimSpace(string(address[:n])), "--mix=set,get,syncget", "--conns=2", "--inflight=4",
		"--keys=10", "--duration=200ms", "--warmup=20ms", "--json",
	}, nil, &text))
	var report measure.Report
	require.NoError(t, json.Unmarshal([]byte(text.String()), &report))
	require.Len(t, report.Ops, 3)
	require.Zero(t, report.Total.Failed, report.Errors)
	require.Positive(t, report.LoaderCores)
	release.Close()
	require.NoError(t, <-ended)
}
