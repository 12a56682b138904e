package transport

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
)

// What ZooKeeper's protocols start with, all numbers big-endian.
const (
	zkFollowerInfo  = 11 // type of the first packet of a follower
	zkObserverInfo  = 16 // and of an observer
	zkConnectLow    = 44 // length of a client's connect request without the read-only flag
	zkConnectHigh   = 45 // and with it
	zkElectionFirst = -65536
	zkElectionLast  = -65530 // the election port's version numbers grow from the first
)

// describeStranger says what sent b, the first bytes of a connection that is not ours. It is for a
// human with a wrong port number in a configuration file, so it guesses, and says what to do.
func describeStranger(b []byte) string {
	switch {
	case isZooKeeperElection(b):
		return "a ZooKeeper server's election connection: Quoll servers do not form an ensemble with ZooKeeper servers"
	case isZooKeeperLearner(b):
		return "a ZooKeeper server's quorum connection: Quoll servers do not form an ensemble with ZooKeeper servers"
	case isZooKeeperClient(b):
		return "a ZooKeeper client: clients belong on the client port"
	case isHTTP(b):
		return "an HTTP client: this port is for servers of the ensemble only"
	case len(b) >= 2 && b[0] == 0x16 && b[1] == 3:
		return "a TLS client: this port does not speak TLS"
	case len(b) >= 4 && isWord(b[:4]):
		return fmt.Sprintf("a four-letter command %q: those belong on the client port", b[:4])
	default:
		return fmt.Sprintf("bytes of no protocol known here: %x", b)
	}
}

func isZooKeeperElection(b []byte) bool {
	if len(b) < 8 {
		return false
	}
	v := int64(binary.BigEndian.Uint64(b))
	return v >= zkElectionFirst && v <= zkElectionLast
}

func isZooKeeperLearner(b []byte) bool {
	if len(b) < 4 {
		return false
	}
	v := binary.BigEndian.Uint32(b)
	return v == zkFollowerInfo || v == zkObserverInfo
}

// A client's first frame is a connect request, whose protocol version is 0.
func isZooKeeperClient(b []byte) bool {
	if len(b) < 8 {
		return false
	}
	n := binary.BigEndian.Uint32(b)
	return n >= zkConnectLow && n <= zkConnectHigh && binary.BigEndian.Uint32(b[4:]) == 0
}

func isHTTP(b []byte) bool {
	for method := range strings.SplitSeq("GET HEAD POST PUT DELETE OPTIONS CONNECT TRACE PATCH PRI", " ") {
		if bytes.HasPrefix(b, []byte(method+" ")) || len(b) == 8 && strings.HasPrefix(method+" ", string(b)) {
			return true
		}
	}
	return false
}

func isWord(b []byte) bool {
	for _, c := range b {
		if c < 'a' || c > 'z' {
			return false
		}
	}
	return true
}
