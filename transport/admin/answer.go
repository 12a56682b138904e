package admin

import (
	"encoding/binary"
	"math"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// notServing is the answer of most words while there is no leader.
const notServing = "This ZooKeeper instance is not currently serving requests\n"

// defaultTraceMask is what gtmk says before the first stmk.
const defaultTraceMask = 306

// Words answers four-letter words for one server. Any goroutine may use it.
type Words struct {
	source  Source
	version string
	allowed map[Word]bool
	mask    atomic.Uint64
	host    func() []Property
}

// NewWords allows the words of a whitelist; "*" is all of them.
func NewWords(source Source, version Version, whitelist []string) *Words {
	w := &Words{source: source, version: version.String(), host: hostProperties, allowed: map[Word]bool{TelnetClose: true}}
	w.mask.Store(defaultTraceMask)
	for _, name := range whitelist {
		if name == "*" {
			for word := range wordRules {
				w.allowed[word] = true
			}
		}
		w.allowed[Word(name)] = true
	}
	return w
}

// Answer returns the text for a word, after which the connection is closed. Of what the client
// sent behind the word, only its ArgumentBytes count; missing ones are zero.
func (w *Words) Answer(word Word, argument []byte) []byte {
	rule, known := wordRules[word]
	if !known {
		return nil
	}
	if !w.allowed[word] {
		return []byte(string(word) + " is not executed because it is not in the whitelist.\n")
	}
	a := answer{words: w, argument: argument, status: w.source.Status()}
	if !a.status.Serving && !rule.always {
		return []byte(notServing)
	}
	rule.write(&a)
	return a.out
}

// answer is the text of one word under construction.
type answer struct {
	words    *Words
	argument []byte
	status   Status
	out      []byte
}

func (a *answer) text(parts ...string) {
	for _, p := range parts {
		a.out = append(a.out, p...)
	}
}

func (a *answer) int(n int64)  { a.out = strconv.AppendInt(a.out, n, 10) }
func (a *answer) hex(n uint64) { a.out = append(append(a.out, "0x"...), strconv.FormatUint(n, 16)...) }

// pair writes name, separator and number as a line.
func (a *answer) pair(name, separator string, n int64) {
	a.text(name, separator)
	a.int(n)
	a.text("\n")
}

// decimal prints x as Java does: at most four digits behind the point, and at least one.
func decimal(x float64) string {
	s := strconv.FormatFloat(math.Round(x*10000)/10000, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// javaDate is the form of java.util.Date.
const javaDate = "Mon Jan 02 15:04:05 UTC 2006"

func (a *answer) ruok() { a.text("imok") }

func (a *answer) isro() {
	switch {
	case !a.status.Serving:
		a.text("null")
	case a.status.Mode == ModeReadOnly:
		a.text("ro")
	default:
		a.text("rw")
	}
}

func (a *answer) gtmk() { a.int(int64(a.words.mask.Load())) }

// stmk keeps the mask for gtmk and has no other effect: there is no trace log.
func (a *answer) stmk() {
	var mask [8]byte
	copy(mask[:], a.argument)
	a.words.mask.Store(binary.BigEndian.Uint64(mask[:]))
	a.gtmk()
}

func (a *answer) crst() {
	a.words.source.Reset(ResetConnections)
	a.text("Connection stats reset.\n")
}

func (a *answer) srst() {
	a.words.source.Reset(ResetServer)
	a.text("Server stats reset.\n")
}

func (a *answer) dirs() {
	a.pair("datadir_size", ": ", a.status.DataDirSize)
	a.pair("logdir_size", ": ", a.status.LogDirSize)
}

func (a *answer) hash() {
	for _, d := range a.status.Digests {
		a.text(strconv.FormatUint(d.Zxid, 16), ": ", strconv.FormatUint(d.Digest, 10), "\n")
	}
}

func (a *answer) srvr() {
	a.versionLines()
	a.numbers()
}

// stat is srvr with the clients in front of the numbers.
func (a *answer) stat() {
	a.versionLines()
	a.text("Clients:\n")
	for _, c := range a.words.source.Connections() {
		a.connection(&c)
		a.text(")\n")
	}
	a.text("\n")
	a.numbers()
}

func (a *answer) versionLines() {
	a.text("Zookeeper version: ", a.words.version, "\n")
	if a.status.Mode == ModeReadOnly {
		a.text("READ-ONLY mode; serving only read-only clients\n")
	}
}

func (a *answer) numbers() {
	s := &a.status
	a.text("Latency min/avg/max: ")
	a.int(s.Latency.Min)
	a.text("/", decimal(s.Latency.Avg), "/")
	a.int(s.Latency.Max)
	a.text("\n")
	a.pair("Received", ": ", s.Received)
	a.pair("Sent", ": ", s.Sent)
	a.pair("Connections", ": ", int64(s.Connections))
	a.pair("Outstanding", ": ", s.Outstanding)
	a.text("Zxid: ")
	a.hex(s.Zxid)
	a.text("\nMode: ", string(s.Mode), "\n")
	a.pair("Node count", ": ", int64(s.NodeCount))
	if s.Leader != nil {
		p := s.Leader.Proposals
		a.text("Proposal sizes last/min/max: ")
		a.int(p.Last)
		a.text("/")
		a.int(p.Min)
		a.text("/")
		a.int(p.Max)
		a.text("\n")
	}
}

// connection writes what stat and cons share, without the closing parenthesis. The number in
// brackets is the interest of ZooKeeper's selector: 1 while it reads.
func (a *answer) connection(c *Connection) {
	interest := "0"
	if c.Reading {
		interest = "1"
	}
	a.text(" /", c.Remote.String(), "[", interest, "](queued=")
	a.int(c.Outstanding)
	a.text(",recved=")
	a.int(c.Received)
	a.text(",sent=")
	a.int(c.Sent)
}

// cons is parsed by go-zookeeper field by field, in this order.
func (a *answer) cons() {
	for _, c := range a.words.source.Connections() {
		a.connection(&c)
		if c.Session != 0 {
			a.session(&c)
		}
		a.text(")\n")
	}
	a.text("\n")
}

func (a *answer) session(c *Connection) {
	a.text(",sid=")
	a.hex(c.Session)
	a.text(",lop=", c.LastOperation, ",est=")
	a.int(unixMilli(c.Established))
	a.text(",to=")
	a.int(c.Timeout.Milliseconds())
	if c.LastCxid >= 0 {
		a.text(",lcxid=")
		a.hex(uint64(c.LastCxid))
	}
	a.text(",lzxid=")
	a.hex(c.LastZxid)
	a.text(",lresp=")
	a.int(unixMilli(c.LastResponse))
	a.text(",llat=")
	a.int(c.LastLatency)
	a.text(",minlat=")
	a.int(c.Latency.Min)
	a.text(",avglat=")
	a.int(int64(c.Latency.Avg))
	a.text(",maxlat=")
	a.int(c.Latency.Max)
}

// unixMilli prints no time as 0.
func unixMilli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
