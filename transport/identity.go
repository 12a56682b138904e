package transport

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"net"
	"time"

	"quoll/zab"
)

// Identity is what a server says about itself, and what must agree before two servers talk.
type Identity struct {
	Cluster    string // the ensemble's name, at most 255 bytes; two ensembles never mix
	Self       zab.ServerID
	Membership uint64 // digest of ids, roles, groups and weights: zab.Ensemble.Digest
}

// Address says where a member of the ensemble listens, as host:port. Names are resolved again at
// every dial, so a server may move.
type Address struct {
	ID       zab.ServerID
	Link     string
	Election string
}

// Both ends open with a preamble of eight bytes that no other protocol sends, then one frame. The
// dialer speaks first; the answer is a hello or a refusal with its reason. This much, the preamble
// and the layout of a refusal, is the same in every version of the protocol.
//
//	+-------+---------+--------------+-----------------------+
//	| QUOLL | channel | version BE16 | frame: hello, refusal |
//	+-------+---------+--------------+-----------------------+
const (
	magic         = "QUOLL"
	version       = 1
	preambleBytes = len(magic) + 3
	helloFields   = 4
	maxCluster    = 255
	maxReason     = 512
)

// channel is the port family of a connection.
type channel byte

const (
	channelLink     channel = 'L'
	channelElection channel = 'E'
)

// String names the port as operators know it.
func (c channel) String() string {
	switch c {
	case channelLink:
		return "peer port"
	case channelElection:
		return "election port"
	default:
		return fmt.Sprintf("port %q", byte(c))
	}
}

// cause is why a connection was refused; it travels in the refusal.
type cause uint8

const (
	causeStranger   cause = 1 + iota // not our protocol: closed without an answer
	causeVersion                     // our protocol, another version
	causeChannel                     // peer and election ports mixed up
	causeMalformed                   // our preamble, then nonsense
	causeCluster                     // another ensemble
	causeTarget                      // the dialer looks for another server here
	causeOwnID                       // the other server has our id
	causeUnknown                     // its id is not in our configuration
	causeMembership                  // the configurations differ
	causeBusy                        // too many handshakes at once
	causeLast
)

var causeNames = [causeLast]string{
	causeStranger: "stranger", causeVersion: "version", causeChannel: "wrong port", causeMalformed: "malformed",
	causeCluster: "wrong cluster", causeTarget: "not me", causeOwnID: "own id", causeUnknown: "unknown id",
	causeMembership: "other membership", causeBusy: "busy",
}

// String returns the word that logs use.
func (c cause) String() string {
	if c == 0 || c >= causeLast {
		return "unknown cause"
	}
	return causeNames[c]
}

// refusal is the error of a handshake that ended with a verdict, ours or the other side's.
type refusal struct {
	cause cause
	text  string
	peer  bool // the other side refused us
}

// Error says who refused whom and why.
func (r *refusal) Error() string {
	if r.peer {
		return fmt.Sprintf("refused by the other server (%s): %q", r.cause, r.text)
	}
	return fmt.Sprintf("refused (%s): %s", r.cause, r.text)
}

func refuse(c cause, format string, args ...any) *refusal {
	return &refusal{cause: c, text: fmt.Sprintf(format, args...)}
}

// hello is the frame in which a server introduces itself.
type hello struct {
	cluster    string
	membership uint64
	sender     zab.ServerID
	target     zab.ServerID
}

func (id Identity) hello(to zab.ServerID) hello {
	return hello{cluster: id.Cluster, membership: id.Membership, sender: id.Self, target: to}
}

// check is the verdict on a hello, in the order in which the answers help most: a server of another
// ensemble should hear that, not that its id is unknown here. want is the server that was dialed;
// 0 takes any member.
func (id Identity) check(h hello, want zab.ServerID, member func(zab.ServerID) bool) *refusal {
	switch {
	case h.cluster != id.Cluster:
		return refuse(causeCluster, "this server belongs to cluster %q, the other to %q: check the addresses", id.Cluster, h.cluster)
	case h.target != id.Self:
		return refuse(causeTarget, "this is server %d, the other looks for server %d: check the addresses and myid", id.Self, h.target)
	case h.sender == id.Self:
		return refuse(causeOwnID, "both servers say that they are server %d: check myid", id.Self)
	case !member(h.sender):
		return refuse(causeUnknown, "server %d is not in the configuration of server %d", h.sender, id.Self)
	case want != 0 && h.sender != want:
		return refuse(causeTarget, "dialed server %d, server %d answered: check the addresses and myid", want, h.sender)
	case h.membership != id.Membership:
		return refuse(causeMembership, "servers %d and %d have different lists of servers, roles, groups or weights: make their configurations equal",
			id.Self, h.sender)
	default:
		return nil
	}
}

// verify is check for those who want an error.
func (id Identity) verify(h hello, want zab.ServerID, member func(zab.ServerID) bool) error {
	if r := id.check(h, want, member); r != nil {
		return r
	}
	return nil
}

func appendPreamble(b []byte, ch channel) []byte {
	b = append(append(b, magic...), byte(ch))
	return binary.BigEndian.AppendUint16(b, version)
}

// encodeHello returns preamble and hello.
func encodeHello(ch channel, h hello) []byte {
	e := newEncoder()
	e.out.buf = appendPreamble(nil, ch)
	start := e.begin(kindHello, helloFields)
	e.string(h.cluster)
	e.uint(h.membership)
	e.uint(uint64(h.sender))
	e.uint(uint64(h.target))
	e.finish(start)
	return e.out.buf
}

// encodeRefusal returns preamble and refusal.
func encodeRefusal(ch channel, r *refusal) []byte {
	e := newEncoder()
	e.out.buf = appendPreamble(nil, ch)
	start := e.begin(kindRefusal, 2)
	e.uint(uint64(r.cause))
	e.string(r.text[:min(len(r.text), maxReason)])
	e.finish(start)
	return e.out.buf
}

// decodeHello reads the frame after the preamble: a hello, or the refusal that is its error.
func decodeHello(payload []byte) (hello, error) {
	d := newDecoder()
	var h hello
	switch kind, n := d.open(payload); {
	case d.err != nil:
		return hello{}, refuse(causeMalformed, "%v", d.err)
	case kind == kindHello:
		d.fields(kind, n, helloFields)
		h.cluster = d.string()
		h.membership = d.uint(math.MaxUint64)
		h.sender, h.target = d.server(), d.server()
	case kind == kindRefusal:
		d.fields(kind, n, 2)
		r := &refusal{cause: cause(d.uint(math.MaxUint8)), text: d.string(), peer: true}
		if d.end() == nil && len(r.text) <= maxReason {
			return hello{}, r
		}
		d.fail("a reason of %d bytes", len(r.text))
	default:
		d.fail("kind %d in a handshake", kind)
	}
	if len(h.cluster) > maxCluster {
		d.fail("a cluster name of %d bytes", len(h.cluster))
	}
	if err := d.end(); err != nil {
		return hello{}, refuse(causeMalformed, "%v", err)
	}
	return h, nil
}

// readHello reads preamble and frame from a stranger, with no more memory than a handshake needs.
func readHello(r io.Reader, ch channel) (hello, error) {
	if err := readPreamble(r, ch); err != nil {
		return hello{}, err
	}
	payload, err := readHelloFrame(r)
	if err != nil {
		return hello{}, err
	}
	return decodeHello(payload)
}

func readHelloFrame(r io.Reader) ([]byte, error) {
	var length [lengthBytes]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, fmt.Errorf("read hello: %w", err)
	}
	n := binary.BigEndian.Uint32(length[:])
	if n == 0 || n > maxHello {
		return nil, refuse(causeMalformed, "a hello of %d bytes", n)
	}
	payload := make([]byte, n)
	if _, err := io.ReadFull(r, payload); err != nil {
		return nil, fmt.Errorf("read hello: %w", err)
	}
	return payload, nil
}

// readPreamble stops at the first byte that shows that this is not one of us; what did come says
// who it may be.
func readPreamble(r io.Reader, ch channel) error {
	var b [preambleBytes]byte
	n := 0
	for n < len(b) {
		k, err := r.Read(b[n:])
		n += k
		if m := min(n, len(magic)); n >= 4 && string(b[:m]) != magic[:m] {
			// The rest of the eight bytes tells one ZooKeeper protocol from another.
			k, _ = io.ReadFull(r, b[n:])
			n += k
			return refuse(causeStranger, "%s", describeStranger(b[:n]))
		}
		if err != nil && n < len(b) {
			if n > 0 {
				return refuse(causeStranger, "%s and then no more (%v)", describeStranger(b[:n]), err)
			}
			return fmt.Errorf("read hello: %w", err)
		}
	}
	if v := binary.BigEndian.Uint16(b[len(magic)+1:]); v != version {
		return refuse(causeVersion, "this server speaks version %d between servers, the other %d: run the same release", version, v)
	}
	if got := channel(b[len(magic)]); got != ch {
		return refuse(causeChannel, "this is the %s, the other wants the %s: check the two ports of its address", ch, got)
	}
	return nil
}

// answers are whether a refusal is told to the other side: only to those who speak our protocol.
func (r *refusal) answers() bool { return !r.peer && r.cause != causeStranger }

// writeWithin writes b before d is over.
func writeWithin(conn net.Conn, b []byte, d time.Duration) error {
	if err := conn.SetWriteDeadline(now().Add(d)); err != nil {
		return err
	}
	_, err := conn.Write(b)
	return err
}
