package table_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quoll/cmd/internal/measure"
	"quoll/cmd/internal/table"
)

func figures(quoll, zookeeper, etcd float64) map[table.System]float64 {
	all := map[table.System]float64{}
	for s, v := range map[table.System]float64{table.Quoll: quoll, table.ZooKeeper: zookeeper, table.Etcd: etcd} {
		if v > 0 {
			all[s] = v
		}
	}
	return all
}

// Every way to state a goal, and every verdict on it.
func TestVerdict(t *testing.T) {
	for name, c := range map[string]struct {
		row  table.Row
		want table.Verdict
	}{
		"more is better, missed":    {table.Row{Goal: table.Goal{Ratio: 5}, Stretch: table.Goal{Ratio: 8}, Figures: figures(499, 100, 0)}, table.Missed},
		"more is better, goal":      {table.Row{Goal: table.Goal{Ratio: 5}, Stretch: table.Goal{Ratio: 8}, Figures: figures(500, 100, 0)}, table.Reached},
		"more is better, stretch":   {table.Row{Goal: table.Goal{Ratio: 5}, Stretch: table.Goal{Ratio: 8}, Figures: figures(800, 100, 0)}, table.Beyond},
		"less is better, missed":    {table.Row{Lower: true, Goal: table.Goal{Ratio: 2}, Stretch: table.Goal{Ratio: 3}, Figures: figures(51, 100, 0)}, table.Missed},
		"less is better, goal":      {table.Row{Lower: true, Goal: table.Goal{Ratio: 2}, Stretch: table.Goal{Ratio: 3}, Figures: figures(50, 100, 0)}, table.Reached},
		"less is better, stretch":   {table.Row{Lower: true, Goal: table.Goal{Ratio: 2}, Stretch: table.Goal{Ratio: 3}, Figures: figures(33, 100, 0)}, table.Beyond},
		"at most a value, missed":   {table.Row{Lower: true, Goal: table.Goal{Value: 100}, Stretch: table.Goal{Value: 50}, Figures: figures(101, 0, 0)}, table.Missed},
		"at most a value, goal":     {table.Row{Lower: true, Goal: table.Goal{Value: 100}, Stretch: table.Goal{Value: 50}, Figures: figures(100, 0, 0)}, table.Reached},
		"at most a value, stretch":  {table.Row{Lower: true, Goal: table.Goal{Value: 100}, Stretch: table.Goal{Value: 50}, Figures: figures(50, 0, 0)}, table.Beyond},
		"at least a value, missed":  {table.Row{Goal: table.Goal{Value: 70}, Stretch: table.Goal{Value: 85}, Figures: figures(69, 0, 0)}, table.Missed},
		"at least a value, stretch": {table.Row{Goal: table.Goal{Value: 70}, Stretch: table.Goal{Value: 85}, Figures: figures(85, 0, 0)}, table.Beyond},
		"no rival":                  {table.Row{Goal: table.Goal{Ratio: 5}, Figures: figures(500, 0, 0)}, table.Open},
		"not measured":              {table.Row{Goal: table.Goal{Value: 5}}, table.Open},
	} {
		require.Equal(t, c.want, c.row.Verdict(), name)
	}
}

// sample is a result with a row of each kind.
func sample() *table.Result {
	lowest := int64(90_000)
	report := &measure.Report{
		Mix: "set=100", Conns: 16, Inflight: 32, LoaderCores: 0.5, OpenLoop: 12_345, LongestGap: 3.25,
		Total: measure.OpReport{Rate: 104_321.4, LowestSecond: &lowest, Latency: measure.Latencies{P50: 1.5, P99: 12.25, P999: 30, Max: 41.7}},
	}
	r := &table.Result{
		Command: "quoll compare", Started: time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC), Settings: map[string]string{"servers": "3"},
		Machine: []table.Fact{{Name: "processor", Value: "a | b <c>"}},
		Rows: []table.Row{
			{Name: "writes", What: "writes", Unit: "op/s", Goal: table.Goal{Ratio: 5}, Stretch: table.Goal{Ratio: 8}},
			{Name: "p99", What: "write p99", Unit: "ms", Lower: true, Goal: table.Goal{Ratio: 5}, Stretch: table.Goal{Ratio: 10}},
			{Name: "gap", What: "write gap <killed>", Unit: "ms", Lower: true, Goal: table.Goal{Value: 100}, Stretch: table.Goal{Value: 50}},
			{Name: "idle", What: "idle session", Unit: "KB", Lower: true, Goal: table.Goal{Value: 10}, Stretch: table.Goal{Value: 5}},
		},
		Runs:   []table.Run{{Row: "writes", System: table.Quoll, Report: report}},
		Loader: []table.LoaderCost{table.NewLoaderCost(table.ZooKeeper, report)},
	}
	for s, v := range figures(104_321.4, 20_000, 12_000) {
		r.Set("writes", s, v)
	}
	for s, v := range figures(200, 118, 0) {
		r.Set("p99", s, v)
	}
	r.Set("gap", table.Quoll, 75)
	r.Note("gap", "median of %d", 3)
	r.Set("nothing", table.Quoll, 1) // a row that was not asked for
	return r
}

// cells returns the fields of the line that begins with a name.
func cells(t *testing.T, text, name string) []string {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), name); ok {
			return strings.Fields(rest)
		}
	}
	require.Fail(t, "no line "+name, text)
	return nil
}

func TestText(t *testing.T) {
	text := sample().Text()
	require.Equal(t, strings.Fields("op/s 104,321 20,000 12,000 5.2x 8.7x 5x 8x goal"), cells(t, text, "writes"))
	require.Equal(t, strings.Fields("ms 200 118 - 1.7x - 1/5 1/10 missed"), cells(t, text, "write p99"), "more of something bad")
	require.Equal(t, strings.Fields("ms 75.0 - - - - 100 ms 50 ms goal"), cells(t, text, "write gap <killed>"))
	require.Equal(t, strings.Fields("KB - - - - - 10 KB 5 KB -"), cells(t, text, "idle session"))
	require.Contains(t, text, "write gap <killed>: median of 3\n")
	require.Contains(t, text, "open, 12,345/s")
	require.NotContains(t, text, "quick")
	r := sample()
	r.Quick, r.Failures = true, []string{"no java"}
	require.Contains(t, r.Text(), "failed: no java\n")
	require.Contains(t, r.Text(), "count for nothing")
}

func TestMarkdown(t *testing.T) {
	text := sample().Markdown()
	require.Contains(t, text, "Measured 2001-02-03 04:05 UTC with `quoll compare`.\n")
	require.Contains(t, text, "- processor: a | b <c>\n")
	require.Contains(t, text, "| writes | op/s | 104,321 | 20,000 | 12,000 | 5.2x | 8.7x | 5x | 8x | goal |\n")
	require.Contains(t, text, "| writes | quoll | open, 12,345/s | 104,321 | 90,000 | 1.50 | 12.2 | 30.0 | 41.7 | 3.25 | 0.500 |\n")
	columns := 0
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "|") {
			columns = 0
			continue
		}
		if columns == 0 {
			columns = strings.Count(line, "|")
		}
		require.Equal(t, columns, strings.Count(line, "|"), line)
	}
}

// The processor time of an operation follows from how busy the loader was.
func TestLoaderCost(t *testing.T) {
	c := table.NewLoaderCost(table.Etcd, &measure.Report{LoaderCores: 1.5, Total: measure.OpReport{Rate: 300_000}})
	require.InDelta(t, 5, c.PerOp, 1e-9)
	require.Zero(t, table.NewLoaderCost(table.Etcd, new(measure.Report)).PerOp)
}

// elements reads a document and counts its elements; it fails when it is not well-formed.
func elements(t *testing.T, text string) map[string]int {
	count := map[string]int{}
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return count
		}
		require.NoError(t, err)
		if e, ok := token.(xml.StartElement); ok {
			count[e.Name.Local]++
		}
	}
}

func TestChart(t *testing.T) {
	chart := sample().Chart()
	require.Equal(t, 1+2+1+1, elements(t, chart)["rect"], "the ground; writes of Quoll and etcd; p99; the gap")
	require.Contains(t, chart, "write gap &lt;killed&gt;")
	require.NotContains(t, chart, "idle session", "there is nothing to draw of it")
	require.NotContains(t, chart, "NaN")
	require.Equal(t, 1, elements(t, new(table.Result).Chart())["rect"])
}

// What is written can be read again, as what it was.
func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	r := sample()
	require.NoError(t, r.Write(dir))
	text, err := os.ReadFile(filepath.Join(dir, "results.json"))
	require.NoError(t, err)
	again := new(table.Result)
	require.NoError(t, json.Unmarshal(text, again))
	require.Equal(t, r, again)
	for file, want := range map[string]string{"table.md": r.Markdown(), "chart.svg": r.Chart()} {
		text, err := os.ReadFile(filepath.Join(dir, file))
		require.NoError(t, err)
		require.Equal(t, want, string(text))
	}
	require.ErrorContains(t, r.Write(filepath.Join(dir, "table.md")), "directory of the results")
}
