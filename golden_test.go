package quoll_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"quoll"
	"quoll/transport"
	"quoll/zab"
)

// loopback lets clients of an in-memory network appear to come from 127.0.0.1.
type loopback struct{ transport.Network }

func (n loopback) Listen(addr string) (net.Listener, error) {
	l, err := n.Network.Listen(addr)
	return loopbackListener{l}, err
}

type loopbackListener struct{ net.Listener }

func (l loopbackListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return loopbackConn{nc}, nil
}

type loopbackConn struct{ net.Conn }

func (loopbackConn) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 40000}
}

func fromLoopback(c *quoll.Config) { c.Network = loopback{c.Network} }

// golden is a request of the captured conversation and the frames that answered it, lengths
// included.
type golden struct {
	name    string
	request []byte
	answers [][]byte
}

func readGolden(t *testing.T) []golden {
	t.Helper()
	text, err := os.ReadFile("transport/wire/testdata/golden.txt")
	require.NoError(t, err)
	var all []golden
	for line := range strings.Lines(string(text)) {
		name, rest, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || name == "#" {
			continue
		}
		b, err := hex.DecodeString(strings.ReplaceAll(rest[2:], " ", ""))
		require.NoError(t, err, line)
		if rest[0] == '>' {
			all = append(all, golden{name: name, request: b})
			continue
		}
		last := &all[len(all)-1]
		last.answers = append(last.answers, b)
	}
	return all
}

// statOffset is where the Stat begins in the frames that have one, counted from the end.
var statOffset = map[string]int{
	"create2": 68, "getData": 68, "getChildren2": 68, "setData": 68, "getACL": 68, "createTTL": 68, "createContainer": 68,
	"multiRead": 68 + 9 + 4 + 9,
}

// masked replaces what differs between two servers by what it stands for: zxids by their place
// in the epoch, which both conversations share since every request takes the same number of
// txns; session and password by their names; times by nothing.
func masked(g *golden, frame []byte, session zab.SessionID, password []byte) string {
	b := bytes.Clone(frame)
	if g.name == "ConnectRequest" {
		b = bytes.ReplaceAll(b, binary.BigEndian.AppendUint64(nil, uint64(session)), []byte("-session"))
		return hex.EncodeToString(bytes.ReplaceAll(b, password, []byte("----password----")))
	}
	place := func(at int) {
		z := zab.Zxid(binary.BigEndian.Uint64(b[at:]))
		if z.Epoch() == 1 {
			binary.BigEndian.PutUint64(b[at:], z.Counter())
		}
	}
	place(8) // of the header, behind length and xid
	if n := statOffset[g.name]; n > 0 && len(b) >= n+20 {
		stat := len(b) - n
		place(stat)
		place(stat + 8)
		place(stat + 60)
		clear(b[stat+16 : stat+32])
		if owner := b[stat+44 : stat+52]; bytes.Equal(owner, binary.BigEndian.AppendUint64(nil, uint64(session))) {
			copy(owner, "-session")
		}
	}
	return hex.EncodeToString(b)
}

// A conversation captured from ZooKeeper 3.10 goes the same way with this server, byte for byte:
// order of frames, lengths, codes, null or empty, zxids in step (protocol.md 18).
func TestGoldenConversation(t *testing.T) {
	adjust := func(c *quoll.Config) { c.MaxSessionTimeout = 0; c.TickTime = 2e9; fromLoopback(c) }
	inEnsemble(t, 1, 0, adjust, func(e *ensemble) {
		script := readGolden(t)
		c := e.raw(0)
		capturedSession := zab.SessionID(0x0100002802310000)
		capturedPassword := script[0].answers[0][24:40]
		for i := range script {
			g := &script[i]
			c.say(g.request)
			for _, want := range g.answers {
				got := c.next()
				if g.name == "ConnectRequest" {
					c.session = zab.SessionID(binary.BigEndian.Uint64(got[8:]))
					c.password = bytes.Clone(got[20:36])
				}
				require.Equal(t, masked(g, want, capturedSession, capturedPassword),
					masked(g, frame(got), c.session, c.password), g.name)
			}
		}
		c.ends("after closeSession")
	})
}
