package transport

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll/zab"
)

func TestHelloRoundTrip(t *testing.T) {
	want := hello{cluster: strings.Repeat("ü", 127), membership: 1<<64 - 1, sender: 255, target: 1}
	b := encodeHello(channelLink, want)
	require.LessOrEqual(t, len(b), preambleBytes+lengthBytes+maxHello)
	got, err := readHello(bytes.NewReader(b), channelLink)
	require.NoError(t, err)
	require.Equal(t, want, got)
	for n := range b {
		_, err := readHello(bytes.NewReader(b[:n]), channelLink)
		require.Error(t, err, "%d bytes", n)
	}
}

func TestRefusalRoundTrip(t *testing.T) {
	for c := causeStranger; c < causeLast; c++ {
		want := refuse(c, "%s", strings.Repeat("because ", 100))
		_, err := readHello(bytes.NewReader(encodeRefusal(channelElection, want)), channelElection)
		var got *refusal
		require.ErrorAs(t, err, &got)
		require.Equal(t, c, got.cause)
		require.True(t, got.peer)
		require.Equal(t, want.text[:maxReason], got.text)
		require.False(t, got.answers(), "a refusal is not answered with another")
		require.NotContains(t, c.String(), "unknown cause")
	}
}

// What is said when several things are wrong: the reason that helps most.
func TestHelloVerdict(t *testing.T) {
	id := Identity{Cluster: "blue", Self: 1, Membership: 77}
	member := func(s zab.ServerID) bool { return s >= 1 && s <= 3 }
	good := hello{cluster: "blue", membership: 77, sender: 2, target: 1}
	for _, c := range []struct {
		name string
		want cause
		h    hello
		dial zab.ServerID
	}{
		{"accepted", 0, good, 0},
		{"answered", 0, good, 2},
		{"cluster before everything", causeCluster, hello{cluster: "red", membership: 5, sender: 9, target: 9}, 0},
		{"not me before unknown", causeTarget, hello{cluster: "blue", membership: 5, sender: 9, target: 3}, 0},
		{"own id before membership", causeOwnID, hello{cluster: "blue", membership: 5, sender: 1, target: 1}, 0},
		{"unknown before membership", causeUnknown, hello{cluster: "blue", membership: 5, sender: 9, target: 1}, 0},
		{"server 0", causeUnknown, hello{cluster: "blue", membership: 77, sender: 0, target: 1}, 0},
		{"another answers", causeTarget, hello{cluster: "blue", membership: 77, sender: 3, target: 1}, 2},
		{"membership", causeMembership, hello{cluster: "blue", membership: 5, sender: 2, target: 1}, 0},
	} {
		r := id.check(c.h, c.dial, member)
		if c.want == 0 {
			require.Nil(t, r, c.name)
			continue
		}
		require.NotNil(t, r, c.name)
		require.Equal(t, c.want, r.cause, c.name)
	}
}

func TestStrangers(t *testing.T) {
	for sent, want := range map[string]string{
		"GET / HTTP/1.1\r\n": "HTTP",
		"DELETE /x HTTP/1.1": "HTTP",
		"OPTIONS * HTTP/1.1": "HTTP",
		"ruok":               "four-letter",
		"mntr\n":             "four-letter",
		"\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01":     "ZooKeeper server's election",
		"\xff\xff\xff\xff\xff\xff\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01":     "ZooKeeper server's election",
		"\x00\x00\x00\x0b\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x14":     "ZooKeeper server's quorum",
		"\x00\x00\x00\x10\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x14":     "ZooKeeper server's quorum",
		"\x00\x00\x00\x2d\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00":     "ZooKeeper client",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03":                         "TLS",
		"\x9e\x01\x77\xff\x00\x00\xde\xad":                                     "no protocol known",
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00": "no protocol known",
		"QU":            "no more",
		"QUOLK\x00\x01": "no protocol known",
	} {
		_, err := readHello(strings.NewReader(sent), channelLink)
		var r *refusal
		require.ErrorAs(t, err, &r, "%q", sent)
		require.Equal(t, causeStranger, r.cause, "%q", sent)
		require.Contains(t, r.text, want, "%q", sent)
		require.False(t, r.answers())
	}
}

func TestHelloOfAnotherKind(t *testing.T) {
	ours := encodeHello(channelLink, hello{cluster: "blue", sender: 2, target: 1})
	change := func(at int, to ...byte) []byte {
		b := bytes.Clone(ours)
		copy(b[at:], to)
		return b
	}
	for name, c := range map[string]struct {
		sent []byte
		want cause
	}{
		"another version": {change(6, 0, 2), causeVersion},
		"another port":    {change(5, 'E'), causeChannel},
		"no port":         {change(5, 0), causeChannel},
		"no length":       {change(8, 0, 0, 0, 0), causeMalformed},
		"too long":        {change(8, 0, 0, 4, 1), causeMalformed},
		"another frame":   {change(13, kindHeartbeat), causeMalformed},
		"a field less":    {change(12, 0x94), causeMalformed},
	} {
		_, err := readHello(bytes.NewReader(c.sent), channelLink)
		var r *refusal
		require.ErrorAs(t, err, &r, name)
		require.Equal(t, c.want, r.cause, name)
		require.True(t, r.answers(), name)
	}
}

func FuzzHello(f *testing.F) {
	f.Add(encodeHello(channelLink, hello{cluster: "blue", membership: 1 << 60, sender: 2, target: 1}))
	f.Add(encodeRefusal(channelLink, refuse(causeCluster, "no")))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add([]byte("QUOLLL\x00\x01\x00\x00\x00\x05\x95\x60\xdb\xff\xff"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		h, err := readHello(bytes.NewReader(sent), channelLink)
		if err == nil {
			require.True(t, bytes.HasPrefix(sent, encodeHello(channelLink, h)))
			return
		}
		if _, ok := errors.AsType[*refusal](err); !ok {
			require.True(t, errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF), "%v", err)
		}
	})
}
