// Command flat measures what must not grow with the work: the time of an operation from 10 to ten
// million znodes and from 1 to ten million watches, the memory that each of them takes, and the
// collector's time. It prints the tables of docs/PERFORMANCE.md. The data is the same in every run.
package main

import (
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"
)

func main() {
	runtime.LockOSThread()
	p := printer{os.Stdout}
	most := flag.Int("most", 10_000_000, "the largest number of znodes and of watches")
	only := flag.String("only", "", "znodes or watches")
	flag.Parse()
	fmt.Fprintf(p, "%s, %d cores, %s\n", runtime.Version(), runtime.NumCPU(), time.Now().UTC().Format(time.DateTime))
	if *only != "watches" {
		p.title(flatShape{}.name(), znodeColumns)
		p.rows(*most, func(n int) []float64 { return znodes(flatShape{}, n) }, 10, 1000, 100_000, 1_000_000, 10_000_000)
		p.title(realShape{}.name(), znodeColumns)
		p.rows(*most, func(n int) []float64 { return znodes(realShape{}, n) }, 10, 1000, 100_000, 1_000_000, 10_000_000)
	}
	if *only != "znodes" {
		p.title("watches, each on a path of its own, a thousand to a connection", watchColumns)
		p.rows(*most, func(n int) []float64 { return watches(n, spread{}) }, 1, 1000, 100_000, 1_000_000, 10_000_000)
		p.title("watches of one path, each of a connection of its own", watchColumns)
		p.rows(*most, func(n int) []float64 { return watches(n, crowded{}) }, 1, 1000, 100_000, 1_000_000)
	}
}

// printer writes tables for a page of documentation.
type printer struct{ io.Writer }

// rows prints a row for each of the sizes that is not over most.
func (p printer) rows(most int, measure func(n int) []float64, sizes ...int) {
	for _, n := range sizes {
		if n <= most {
			p.row(n, measure(n))
		}
	}
}

func (p printer) title(what string, columns []string) {
	fmt.Fprintf(p, "\n%s\n\n| %s |\n|%s\n", what, strings.Join(columns, " | "), strings.Repeat("--:|", len(columns)))
}

func (p printer) row(n int, figures []float64) {
	fmt.Fprintf(p, "| %d ", n)
	for _, f := range figures {
		text := "-"
		switch {
		case f < 10:
			text = strconv.FormatFloat(f, 'f', 1, 64)
		case !math.IsNaN(f):
			text = strconv.FormatFloat(f, 'f', 0, 64)
		}
		fmt.Fprint(p, "| ", text, " ")
	}
	fmt.Fprintln(p, "|")
}

// random is the same sequence for the same n.
func random(n int) *rand.Rand { return rand.New(rand.NewPCG(uint64(n), 0)) }

// each returns the ns of processor time that one of n operations took.
func each(n int, f func(i int)) float64 {
	start := used()
	for i := range n {
		f(i)
	}
	return float64(used()-start) / float64(n)
}

// worst is the longest of many single times.
type worst time.Duration

func (w *worst) time(f func()) {
	start := used()
	f()
	*w = max(*w, worst(used()-start))
}

func (w worst) ms() float64 { return float64(w) / 1e6 }

// liveHeap returns the bytes that are reachable.
func liveHeap() int64 {
	runtime.GC()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	return int64(live[0].Value.Uint64())
}

// collection returns how long a whole collection takes and the processor time of its marking, in
// ms; the median of three.
func collection() (wall, cpu float64) {
	mark := func() (sum float64) {
		used := []metrics.Sample{
			{Name: "/cpu/classes/gc/mark/dedicated:cpu-seconds"},
			{Name: "/cpu/classes/gc/mark/idle:cpu-seconds"},
			{Name: "/cpu/classes/gc/mark/assist:cpu-seconds"},
		}
		metrics.Read(used)
		for i := range used {
			sum += used[i].Value.Float64() * 1e3
		}
		return sum
	}
	var walls, cpus [3]float64
	for i := range walls {
		before := mark()
		start := time.Now()
		runtime.GC()
		walls[i] = float64(time.Since(start)) / 1e6
		cpus[i] = mark() - before
	}
	return median(walls), median(cpus)
}

func median(f [3]float64) float64 {
	return max(min(f[0], f[1]), min(max(f[0], f[1]), f[2]))
}

// oneMiss is the ns of a read at a place of size bytes that the read before it tells: what the
// memory of this machine takes for data of that size, whatever the program.
func oneMiss(size int64) float64 {
	const reads = 1_000_000
	words := make([]uint64, max(size/8, 8))
	for i := range words {
		words[i] = uint64(i) * 0x9e3779b97f4a7c15
	}
	at := uint64(1)
	ns := each(reads, func(i int) { at = (words[at%uint64(len(words))] ^ uint64(i)*0xd1b54a32d192ed03) >> 7 })
	runtime.KeepAlive(at)
	return ns
}

// perEach is the share of each of n in size, unless what a server has without any would show.
func perEach(size int64, n int) float64 {
	if n < 100_000 {
		return math.NaN()
	}
	return float64(size) / float64(n)
}
