package report_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quoll/jepsen/report"
)

func sample() *report.Run {
	return &report.Run{
		Target: "quoll", Version: "3.9.5-quoll", Servers: 3, Network: "loopback", Workload: "registers", Seed: 7,
		Command: "quoll jepsen --seed 7", Began: "2026-11-23T08:00:00Z", Harness: "94b5365", Length: 3,
		Verdicts: []report.Verdict{
			{Check: "C-LINW", Outcome: "violated", Why: "a stale read"},
			{Check: "C-MONO", Outcome: "holds"},
			{Check: "C-READ", Outcome: "not applicable", Why: "no commits"},
			{Check: "C-SYNC", Outcome: "undecided", Why: "time"},
		},
		Violations: []report.Violation{{Check: "C-LINW", At: 1.5, Text: "read <v17> although v18 was acknowledged", Ops: []string{"client 1 & 2"}}},
		Faults: []report.Fault{
			{Kind: "kill", Servers: []int{2}, Detail: "<the leader>", From: 0.5, To: 1.2},
			{Kind: "loss", From: 2, To: 2, Err: "no netem", Failed: true},
			{Kind: "pause", Servers: []int{1}, From: 2.1, To: 2.5, Err: "late to go on"},
		},
		Never:   []string{"loss: tried 1 times, no netem"},
		Notes:   []string{"clock: at an offset"},
		Kinds:   []string{"kill", "loss"},
		Skipped: []string{"clock: no time namespaces"},
		Figures: report.Figures{Asked: 10, OK: 8, PerSec: 2.7, P50: 1, P99: 20, Max: 30, Gap: 700, GapAt: 0.5, Errors: map[string]int{"NoNode": 1, "unknown": 1}, Late: 6, Unsent: 4, Opened: 12, Expired: 5},
		Seconds: []report.Second{{OK: 5, P50: 1, P99: 2}, {}, {OK: 3, Failed: 1, Unknown: 1, P50: 3, P99: 20}},
		Logs:    []report.Line{{At: 0.7, Server: 1, Text: "<script>alert(1)</script>"}},
		Picture: "<p>a page of its own</p>",
	}
}

// The page says first what failed, has everything that a reader needs and nothing that a browser would have to fetch.
func TestHTML(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, report.HTML(&b, sample()))
	page := b.String()
	first, command := strings.Index(page, "read &lt;v17&gt; although v18"), strings.Index(page, "quoll jepsen --seed 7")
	require.Positive(t, first)
	require.Less(t, first, command)
	for _, want := range []string{"Violated", "94b5365", "client 1 &amp; 2", "not applicable", "undecided", "no netem", "clock: no time namespaces", "Never done in this run: loss: tried 1 times", "700.0 ms", "clock: at an offset", "Drawn from: kill loss", "12 opened, 5 expired", "6 left late, 4 were due and never left", "1 NoNode"} {
		require.Contains(t, page, want)
	}
	require.NotContains(t, page, "<script>alert")
	require.NotContains(t, page, "<p>a page of its own", "it is text of an attribute")
	for _, remote := range []string{` src="`, "@import", `<link`} {
		require.NotContains(t, page, remote)
	}
	good := sample()
	good.Violations = nil
	b.Reset()
	require.NoError(t, report.HTML(&b, good))
	require.Contains(t, b.String(), "No violation")
}

// The charts are well-formed, with a band for each fault that was done, and only for those.
func TestCharts(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, report.HTML(&b, sample()))
	charts := strings.Split(b.String(), "<svg")[1:]
	require.Len(t, charts, 2)
	for _, c := range charts {
		svg := "<svg" + c[:strings.Index(c, "</svg>")+len("</svg>")]
		bands := 0
		for d := xml.NewDecoder(strings.NewReader(svg)); ; {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
			if e, ok := token.(xml.StartElement); ok && e.Name.Local == "title" {
				bands++
			}
		}
		require.Equal(t, 2, bands)
	}
}

// What programs read is what people read.
func TestJSON(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, report.JSON(&b, sample()))
	var back report.Run
	require.NoError(t, json.Unmarshal(b.Bytes(), &back))
	want := sample()
	want.Logs, want.Picture = nil, "" // the page has them
	require.Equal(t, want, &back)
	require.False(t, back.OK())
	require.InDelta(t, 1.5, report.Since(time.Unix(10, 0), time.Unix(11, 5e8)), 1e-9)
}
