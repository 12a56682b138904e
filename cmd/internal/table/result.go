package table

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"quoll/cmd/internal/measure"
)

// Result is a whole comparison.
type Result struct {
	Command  string            `json:"command"`
	Started  time.Time         `json:"started"`
	Quick    bool              `json:"quick,omitempty"` // too short a run for its figures to count
	Settings map[string]string `json:"settings"`
	Machine  []Fact            `json:"machine"`
	Rows     []Row             `json:"rows"`
	Loader   []LoaderCost      `json:"loader,omitempty"`
	Runs     []Run             `json:"runs,omitempty"`
	Large    []Large           `json:"large,omitempty"`
	Failures []string          `json:"failures,omitempty"` // of rows, which then lack figures
}

// Fact is something to know of the machine or of the software.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Run is one run of a loader against one system.
type Run struct {
	Row    string          `json:"row"`
	System System          `json:"system"`
	Report *measure.Report `json:"report"`
}

// LoaderCost is what a loader does against a server that answers at once: no figure of a real
// server beyond a good part of it is worth anything.
type LoaderCost struct {
	Protocol System  `json:"protocol"` // whose it is
	Mix      string  `json:"mix"`
	Conns    int     `json:"conns"`
	Inflight int     `json:"inflight"`
	Rate     float64 `json:"rate"`
	P50      float64 `json:"p50Ms"`
	Cores    float64 `json:"cores"`      // that the loader kept busy
	PerOp    float64 `json:"cpuPerOpUs"` // processor time of the loader
}

// NewLoaderCost reads the cost off the report of a run.
func NewLoaderCost(protocol System, r *measure.Report) LoaderCost {
	c := LoaderCost{
		Protocol: protocol, Mix: r.Mix, Conns: r.Conns, Inflight: r.Inflight,
		Rate: r.Total.Rate, P50: r.Total.Latency.P50, Cores: r.LoaderCores,
	}
	if c.Rate > 0 {
		c.PerOp = c.Cores / c.Rate * 1e6
	}
	return c
}

// Row returns the row of a name; nil: there is none.
func (r *Result) Row(name string) *Row {
	i := slices.IndexFunc(r.Rows, func(row Row) bool { return row.Name == name })
	if i < 0 {
		return nil
	}
	return &r.Rows[i]
}

// Set gives a row the figure of a system. A row that was not asked for takes none.
func (r *Result) Set(name string, s System, v float64) {
	row := r.Row(name)
	if row == nil {
		return
	}
	if row.Figures == nil {
		row.Figures = map[System]float64{}
	}
	row.Figures[s] = v
}

// Note adds a remark to a row.
func (r *Result) Note(name, format string, args ...any) {
	row := r.Row(name)
	if row == nil {
		return
	}
	if row.Note != "" {
		row.Note += "; "
	}
	row.Note += fmt.Sprintf(format, args...)
}

// grid is a table before it is drawn: a line of headings, then lines of cells.
type grid [][]string

func (r *Result) rowGrid() grid {
	g := grid{{"what", "unit", "Quoll", "ZooKeeper", "etcd", "to ZooKeeper", "to etcd", "goal", "stretch", "reached"}}
	for i := range r.Rows {
		row := &r.Rows[i]
		g = append(g, []string{
			row.What, row.Unit, row.figureText(Quoll), row.figureText(ZooKeeper), row.figureText(Etcd),
			row.ratioText(Quoll, ZooKeeper), row.ratioText(Quoll, Etcd), row.goalText(row.Goal), row.goalText(row.Stretch), string(row.Verdict()),
		})
	}
	return g
}

func (r *Result) loaderGrid() grid {
	g := grid{{"the loader alone", "in flight", "op/s", "p50 ms", "cores", "CPU/op us"}}
	for _, l := range r.Loader {
		g = append(g, []string{
			fmt.Sprintf("%s protocol, %s", l.Protocol, l.Mix), fmt.Sprintf("%d x %d", l.Conns, l.Inflight),
			figure(l.Rate), figure(l.P50), figure(l.Cores), figure(l.PerOp),
		})
	}
	return g
}

func (r *Result) runGrid() grid {
	g := grid{{"run", "system", "loop", "op/s", "lowest s", "p50 ms", "p99", "p99.9", "max", "longest gap ms", "loader cores"}}
	for _, run := range r.Runs {
		t, loop, lowest := run.Report.Total, "closed", "-"
		if run.Report.OpenLoop > 0 {
			loop = "open, " + thousands(int64(run.Report.OpenLoop)) + "/s"
		}
		if t.LowestSecond != nil {
			lowest = figure(float64(*t.LowestSecond))
		}
		g = append(g, []string{
			run.Row, string(run.System), loop, figure(t.Rate), lowest, figure(t.Latency.P50), figure(t.Latency.P99),
			figure(t.Latency.P999), figure(t.Latency.Max), figure(run.Report.LongestGap), figure(run.Report.LoaderCores),
		})
	}
	return g
}

// Text is the table for a terminal.
func (r *Result) Text() string {
	var b strings.Builder
	for _, g := range []grid{r.rowGrid(), r.runGrid(), r.largeGrid(), r.loaderGrid()} {
		if len(g) == 1 {
			continue
		}
		t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
		for _, line := range g {
			fmt.Fprintln(t, strings.Join(line, "\t")+"\t")
		}
		t.Flush()
		b.WriteByte('\n')
	}
	for _, remark := range r.remarks() {
		b.WriteString(remark + "\n")
	}
	return b.String()
}

// Markdown is all of it for a document, with what has to be known to read it.
func (r *Result) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured %s with `%s`.\n\n", r.Started.UTC().Format("2006-01-02 15:04 MST"), r.Command)
	for _, f := range r.Machine {
		fmt.Fprintf(&b, "- %s: %s\n", f.Name, f.Value)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Settings)) {
		fmt.Fprintf(&b, "- %s: %s\n", name, r.Settings[name])
	}
	for _, g := range []grid{r.rowGrid(), r.runGrid(), r.largeGrid(), r.loaderGrid()} {
		if len(g) > 1 {
			b.WriteByte('\n')
			g.markdown(&b)
		}
	}
	if remarks := r.remarks(); len(remarks) > 0 {
		b.WriteByte('\n')
		for _, remark := range remarks {
			fmt.Fprintf(&b, "- %s\n", remark)
		}
	}
	return b.String()
}

func (g grid) markdown(b *strings.Builder) {
	for i, line := range g {
		cells := make([]string, 0, len(line))
		for _, cell := range line {
			cells = append(cells, strings.ReplaceAll(cell, "|", `\|`))
		}
		fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
		if i == 0 {
			b.WriteString("|---|" + strings.Repeat("--:|", len(line)-1) + "\n")
		}
	}
}

// remarks are the notes of the rows and what went wrong.
func (r *Result) remarks() (all []string) {
	if r.Quick {
		all = append(all, "A quick run: it shows that everything can be measured; its figures count for nothing.")
	}
	for i := range r.Rows {
		if note := r.Rows[i].Note; note != "" {
			all = append(all, r.Rows[i].What+": "+note)
		}
	}
	for _, f := range r.Failures {
		all = append(all, "failed: "+f)
	}
	return all
}

// Write puts results.json, table.md and chart.svg into a directory, which is made.
func (r *Result) Write(dir string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write the results: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the directory of the results: %w", err)
	}
	for _, f := range []struct {
		name string
		text []byte
	}{
		{"results.json", append(text, '\n')}, {"table.md", []byte(r.Markdown())}, {"chart.svg", []byte(r.Chart())},
	} {
		if err := os.WriteFile(filepath.Join(dir, f.name), f.text, 0o644); err != nil {
			return fmt.Errorf("write the results: %w", err)
		}
	}
	return nil
}
