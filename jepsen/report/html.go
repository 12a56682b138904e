package report

import (
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"
)

// HTML writes a run as one page.
func HTML(w io.Writer, r *Run) error { return page.Execute(w, r) }

var page = template.Must(template.New("report").Funcs(template.FuncMap{
	"throughput": throughput, "latency": latency, "s": func(v float64) string { return fmt.Sprintf("%.3f s", v) },
	"ms": func(v float64) string { return fmt.Sprintf("%.1f ms", v) }, "ids": ids,
}).Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{{.Target}}, {{.Workload}}, seed {{.Seed}}</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 1150px; padding: 0 1em; color: #222; }
h1 { font-size: 1.5em } h2 { font-size: 1.15em; margin-top: 2em; border-bottom: 1px solid #ddd }
table { border-collapse: collapse } td, th { padding: .15em .8em .15em 0; text-align: left; vertical-align: top }
code, pre { font: 13px ui-monospace, monospace } pre { white-space: pre-wrap; background: #f6f6f6; padding: .6em }
.bad { color: #b00020; font-weight: 600 } .good { color: #1b7837 } .none { color: #777 } .maybe { color: #b36b00 }
.first { border: 2px solid #b00020; padding: .4em 1em; margin: 1em 0 } svg { width: 100%; height: auto; background: #fcfcfc }
.logs { max-height: 32em; overflow: auto; border: 1px solid #ddd } .logs td { font: 12px ui-monospace, monospace; white-space: pre-wrap }
iframe { width: 100%; height: 46em; border: 1px solid #ddd }
</style></head><body>
<h1>{{if .OK}}<span class="good">No violation</span>{{else}}<span class="bad">Violated</span>{{end}}:
{{.Target}} under {{.Workload}}</h1>
{{range $i, $v := .Violations}}{{if lt $i 5}}<div class="first"><p class="bad">{{$v.Check}} at {{s $v.At}}</p><p>{{$v.Text}}</p>
{{if $v.Ops}}<pre>{{range $v.Ops}}{{.}}
{{end}}</pre>{{end}}</div>{{end}}{{end}}
{{if gt (len .Violations) 5}}<p class="bad">{{len .Violations}} violations in all; the others are in the JSON beside this page.</p>{{end}}
<table>
<tr><th>server</th><td>{{.Version}}, {{.Servers}} of them, {{.Network}}</td></tr>
<tr><th>began</th><td>{{.Began}}, {{printf "%.0f" .Length}} s</td></tr>
<tr><th>again with</th><td><code>{{.Command}}</code></td></tr>
{{with .Harness}}<tr><th>harness</th><td>{{.}}</td></tr>
{{end}}</table>

<h2>Checks</h2>
<table>{{range .Verdicts}}<tr><td><code>{{.Check}}</code></td>
<td class="{{if eq .Outcome "holds"}}good{{else if eq .Outcome "violated"}}bad{{else if eq .Outcome "undecided"}}maybe{{else}}none{{end}}">{{.Outcome}}</td>
<td>{{.Why}}</td></tr>{{end}}</table>

<h2>Availability</h2>
{{with .Figures}}<table>
<tr><th>requests</th><td>{{.Asked}} asked, {{.OK}} done ({{printf "%.0f" .PerSec}} a second){{range $name, $n := .Errors}}, {{$n}} {{$name}}{{end}}; {{.Late}} left late, {{.Unsent}} were due and never left</td></tr>
<tr><th>sessions</th><td>{{.Opened}} opened, {{.Expired}} expired</td></tr>
<tr><th>latency</th><td>median {{ms .P50}}, 99 of 100 within {{ms .P99}}, worst {{ms .Max}}, from when a request was due to its answer</td></tr>
<tr><th>longest gap</th><td>{{ms .Gap}} without any success, from {{s .GapAt}}; {{ms .WriteGap}} without a write, from {{s .WriteAt}}</td></tr>
</table>{{end}}
<p>Answers per second: <span style="color:#4d9a5f">success</span>, <span style="color:#d9a441">another code</span>,
<span style="color:#b00020">never answered</span> (by when they were asked). Bands are faults.</p>
{{throughput .}}
<p>Latency in milliseconds, on a logarithmic scale: <span style="color:#2b6cb0">median</span> and <span style="color:#8e44ad">99 of 100</span>.</p>
{{latency .}}

<h2>Faults</h2>
<table><tr><th>from</th><th>to</th><th>kind</th><th>servers</th><th></th></tr>
{{range .Faults}}<tr><td>{{s .From}}</td><td>{{s .To}}</td><td>{{.Kind}}</td><td>{{ids .Servers}}</td><td>{{.Detail}}{{if .Err}} <span class="maybe">{{.Err}}</span>{{end}}</td></tr>
{{else}}<tr><td colspan="5">none</td></tr>{{end}}</table>
{{if .Kinds}}<p>Drawn from: {{range .Kinds}}{{.}} {{end}}</p>{{end}}
{{range .Notes}}<p>{{.}}</p>{{end}}
{{range .Skipped}}<p class="none">Not possible here: {{.}}</p>{{end}}
{{range .Never}}<p class="maybe">Never done in this run: {{.}}</p>{{end}}

{{if .Picture}}<h2>Linearizability of one znode</h2>
<p>Each bar is an operation, from its call to its return; the line is an order that explains the answers. Faults and elections are on lines of their own.</p>
<iframe srcdoc="{{.Picture}}"></iframe>{{end}}

<h2>Logs of the servers</h2>
<p>On the clock of the requests. <label>From second <input id="from" type="number" value="0" style="width:5em"></label>
<label>show only lines with <input id="with"></label></p>
<div class="logs"><table id="logs">{{range .Logs}}<tr data-at="{{printf "%.3f" .At}}"><td>{{printf "%9.3f" .At}}</td><td>{{.Server}}</td><td>{{.Text}}</td></tr>
{{end}}</table></div>
<script>
const rows = document.querySelectorAll('#logs tr'), from = document.getElementById('from'), only = document.getElementById('with');
function filter() {
  for (const r of rows) r.hidden = +r.dataset.at < +from.value || !r.textContent.includes(only.value);
}
from.oninput = only.oninput = filter;
</script>
</body></html>
`))

func ids(servers []int) string {
	return strings.Trim(fmt.Sprint(servers), "[]")
}

// The measures of a chart, in its own units.
const (
	wide  = 1000.0
	high  = 170.0
	left  = 45.0
	below = 18.0
)

// chart is an SVG in the making.
type chart struct {
	b       strings.Builder
	seconds float64
}

func (c *chart) x(s float64) float64 { return left + s/c.seconds*(wide-left) }

func newChart(r *Run) *chart {
	c := &chart{seconds: math.Max(1, float64(len(r.Seconds)))}
	fmt.Fprintf(&c.b, `<svg viewBox="0 0 %.0f %.0f" xmlns="http://www.w3.org/2000/svg" font-size="10" font-family="sans-serif">`, wide, high+below)
	for i, f := range r.Faults {
		if f.Failed {
			continue // a band would blame it for what it did not do
		}
		from, to := math.Max(0, f.From), math.Min(math.Max(f.To, f.From+0.05), c.seconds)
		fmt.Fprintf(&c.b, `<rect x="%.1f" y="0" width="%.1f" height="%.0f" fill="#e8a0a0" opacity="0.35"><title>%s</title></rect>`,
			c.x(from), math.Max(1, c.x(to)-c.x(from)), high, template.HTMLEscapeString(f.Kind+" "+ids(f.Servers)+" "+f.Detail))
		fmt.Fprintf(&c.b, `<text x="%.1f" y="%d" fill="#a33">%s</text>`, c.x(from)+2, 10+10*(i%3), template.HTMLEscapeString(f.Kind))
	}
	step := math.Max(1, math.Ceil(c.seconds/20))
	for s := 0.0; s < c.seconds; s += step {
		fmt.Fprintf(&c.b, `<text x="%.1f" y="%.0f" fill="#666">%.0f s</text>`, c.x(s), high+below-4, s)
	}
	return c
}

func (c *chart) scale(y float64, label string) {
	fmt.Fprintf(&c.b, `<line x1="%.0f" x2="%.0f" y1="%.1f" y2="%.1f" stroke="#ddd"/><text x="0" y="%.1f" fill="#666">%s</text>`, left, wide, y, y, y+4, label)
}

func (c *chart) done() template.HTML {
	c.b.WriteString("</svg>")
	return template.HTML(c.b.String()) // made of numbers and of text that is escaped above
}

func throughput(r *Run) template.HTML {
	c := newChart(r)
	most := 1.0
	for _, s := range r.Seconds {
		most = math.Max(most, float64(s.OK+s.Failed+s.Unknown))
	}
	c.scale(high*0.02, fmt.Sprintf("%.0f", most))
	c.scale(high, "0")
	unit := high * 0.98 / most
	for i, s := range r.Seconds {
		y := high
		for _, part := range []struct {
			n     int
			color string
		}{{s.OK, "#4d9a5f"}, {s.Failed, "#d9a441"}, {s.Unknown, "#b00020"}} {
			h := float64(part.n) * unit
			y -= h
			fmt.Fprintf(&c.b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`,
				c.x(float64(i)), y, math.Max(0.5, c.x(1)-c.x(0)-0.5), h, part.color)
		}
	}
	return c.done()
}

func latency(r *Run) template.HTML {
	c := newChart(r)
	const least, decades = 0.1, 5.0 // from 0.1 ms to 10 s
	y := func(ms float64) float64 {
		return high - math.Max(0, math.Log10(math.Max(ms, least)/least))/decades*high
	}
	for ms := 1.0; ms <= 1000; ms *= 10 {
		c.scale(y(ms), fmt.Sprintf("%.0f", ms))
	}
	for _, line := range []struct {
		at    func(s *Second) float64
		color string
	}{{func(s *Second) float64 { return s.P50 }, "#2b6cb0"}, {func(s *Second) float64 { return s.P99 }, "#8e44ad"}} {
		pen := "M"
		var d strings.Builder
		for i := range r.Seconds {
			if ms := line.at(&r.Seconds[i]); ms > 0 {
				fmt.Fprintf(&d, "%s%.1f %.1f ", pen, c.x(float64(i)+0.5), y(ms))
				pen = "L"
			} else {
				pen = "M" // no answer in that second
			}
		}
		fmt.Fprintf(&c.b, `<path d="%s" fill="none" stroke="%s" stroke-width="1.5"/>`, d.String(), line.color)
	}
	return c.done()
}
