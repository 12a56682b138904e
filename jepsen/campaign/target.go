package campaign

import (
	"bufio"
	"context"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"quoll/jepsen/cluster"
	"quoll/transport/client"
)

// Target is what is tested: servers that are started here, from their zoo.cfg, or an ensemble that runs
// already.
type Target struct {
	Name    string
	Command func(zooCfg string) []string
	Extra   []string // lines for zoo.cfg

	Addresses   []string // of one that runs already; then the rest is its own business
	Break, Heal string   // commands that break something of it and make it whole
}

// Quoll is the target of a binary.
func Quoll(binary string) Target {
	return Target{Name: "quoll", Command: cluster.Quoll(binary)}
}

// ZooKeeper is the target of Apache ZooKeeper, whose jars are in lib.
func ZooKeeper(lib string) Target {
	return Target{Name: "zookeeper", Command: cluster.ZooKeeper(lib)}
}

// Running is the target of servers that run already.
func Running(addresses []string) Target {
	return Target{Name: strings.Join(addresses, ","), Addresses: addresses}
}

// version asks a server who it is.
func version(ctx context.Context, address string) string {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	text, err := client.FourLetterWord(ctx, address, "srvr")
	if err != nil {
		return "unknown"
	}
	line, _, _ := strings.Cut(text, "\n")
	return strings.TrimPrefix(line, "Zookeeper version: ")
}

// Line is a line of a server's log.
type Line struct {
	Server int       `json:"server"` // from 1
	At     time.Time `json:"at"`
	Text   string    `json:"text"`
}

// The beginnings of lines of log that tell the time, of Quoll and of ZooKeeper.
var (
	stamps = regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.,]\d+(Z|[+-]\d\d:\d\d)?`)
	forms  = []string{time.RFC3339Nano, "2006-01-02 15:04:05,000", "2006-01-02T15:04:05.999999999"}
)

// mostLines bounds what is kept of each server's log.
const mostLines = 2000

// readLogs takes what the servers printed, on the clock that they share with this process.
func (b *bench) readLogs() {
	if b.cluster == nil {
		return
	}
	for i := range b.cluster.Size() {
		f, err := os.Open(b.cluster.LogFile(i))
		if err != nil {
			continue // a report without this log
		}
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		at, kept := b.res.Began, 0
		for lines.Scan() && kept < mostLines {
			text := lines.Text()
			if stamp := stamps.FindString(text); stamp != "" {
				for _, form := range forms {
					if t, err := time.ParseInLocation(form, stamp, time.Local); err == nil {
						at = t
						break
					}
				}
			}
			kept++
			b.res.Logs = append(b.res.Logs, Line{Server: i + 1, At: at, Text: text})
		}
		_ = f.Close() // only read
	}
	slices.SortStableFunc(b.res.Logs, func(x, y Line) int { return x.At.Compare(y.At) })
}
