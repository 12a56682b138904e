package table

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// Sizes of the chart, in pixels.
const (
	chartWidth  = 980
	labelWidth  = 250 // left of the bars
	textWidth   = 210 // right of them
	lineHeight  = 30
	panelHead   = 52
	barHeight   = 9
	chartMargin = 16
)

// The colours tell systems apart on white, also for those who see no red.
const (
	quollColour = "#0b6e99"
	etcdColour  = "#b8b8b8"
	goalColour  = "#d1495b"
)

// panel is one set of bars over a common logarithmic scale.
type panel struct {
	title string
	bars  []bar
}

// bar is a line of a panel. Each value is a multiple of what the scale's 1 stands for.
type bar struct {
	label, text         string
	quoll, etcd         float64 // 0: not there
	goal, stretch       float64
	quollText, etcdText string
}

// panels sorts the rows: those that are about ZooKeeper are drawn against it, the others against
// their goals, since there is nothing else to compare them with.
func (r *Result) panels() []panel {
	ratios := panel{title: "Times better than ZooKeeper: right of 1 is better; the marks are goal and stretch"}
	values := panel{title: "Against a fixed goal: 1 is the goal, right of it is better"}
	for i := range r.Rows {
		row := &r.Rows[i]
		if row.Goal.Ratio > 0 {
			times, ok := row.Times(Quoll, ZooKeeper)
			other, also := row.Times(Etcd, ZooKeeper)
			if !ok {
				continue
			}
			b := bar{label: row.What, quoll: times, goal: row.Goal.Ratio, stretch: row.Stretch.Ratio}
			b.text = fmt.Sprintf("%s : %s %s", row.figureText(Quoll), row.figureText(ZooKeeper), row.Unit)
			b.quollText = fmt.Sprintf("Quoll %sx", short(times))
			if also {
				b.etcd, b.etcdText = other, fmt.Sprintf("etcd %sx", short(other))
			}
			ratios.bars = append(ratios.bars, b)
			continue
		}
		attained, ok := row.Attained(row.Goal)
		if !ok {
			continue
		}
		b := bar{label: row.What, quoll: attained, goal: 1, quollText: fmt.Sprintf("Quoll %s %s", row.figureText(Quoll), row.Unit)}
		b.text = fmt.Sprintf("%s, goal %s", row.figureText(Quoll), row.goalText(row.Goal))
		if stretch, ok := row.Attained(row.Stretch); ok && stretch > 0 {
			b.stretch = attained / stretch
		}
		values.bars = append(values.bars, b)
	}
	var all []panel
	for _, p := range []panel{ratios, values} {
		if len(p.bars) > 0 {
			all = append(all, p)
		}
	}
	return all
}

// Chart draws the table as SVG.
func (r *Result) Chart() string {
	panels := r.panels()
	height := 2 * chartMargin
	for _, p := range panels {
		height += panelHead + lineHeight*len(p.bars)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n",
		chartWidth, height, chartWidth, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/>`+"\n", chartWidth, height)
	legend(&b)
	top := chartMargin
	for _, p := range panels {
		p.draw(&b, top)
		top += panelHead + lineHeight*len(p.bars)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// legend says whose bars are which.
func legend(b *strings.Builder) {
	left := chartWidth - textWidth + 8
	for _, entry := range []struct{ name, colour string }{{"Quoll", quollColour}, {"etcd", etcdColour}} {
		fmt.Fprintf(b, `<path d="M%d %dh%dv%dh-%dz" fill="%s"/>`+"\n", left, chartMargin+4, barHeight, barHeight, barHeight, entry.colour)
		fmt.Fprintf(b, `<text x="%d" y="%d">%s</text>`+"\n", left+barHeight+5, chartMargin+14, entry.name)
		left += 70
	}
}

// scale maps multiples to pixels, by their logarithm.
type scale struct{ low, high float64 }

// scale covers all that the panel shows and 1.
func (p *panel) scale() scale {
	s := scale{0.8, 1.25}
	for _, b := range p.bars {
		for _, v := range []float64{b.quoll, b.etcd, b.goal, b.stretch} {
			if v > 0 {
				s.low, s.high = min(s.low, v/1.25), max(s.high, v*1.25)
			}
		}
	}
	return s
}

func (s scale) x(v float64) float64 {
	part := (math.Log(v) - math.Log(s.low)) / (math.Log(s.high) - math.Log(s.low))
	return labelWidth + part*(chartWidth-labelWidth-textWidth)
}

// ticks are the round multiples within the scale.
func (s scale) ticks() (all []float64) {
	for decade := math.Pow(10, math.Floor(math.Log10(s.low))); decade <= s.high; decade *= 10 {
		for _, step := range []float64{1, 2, 5} {
			if v := decade * step; v >= s.low && v <= s.high {
				all = append(all, v)
			}
		}
	}
	return all
}

func (p *panel) draw(b *strings.Builder, top int) {
	s := p.scale()
	bottom := top + panelHead + lineHeight*len(p.bars) - lineHeight/3
	fmt.Fprintf(b, `<text x="%d" y="%d" font-weight="bold">%s</text>`+"\n", chartMargin, top+14, html.EscapeString(p.title))
	for _, v := range s.ticks() {
		colour := "#e6e6e6"
		if v == 1 {
			colour = "#444444"
		}
		fmt.Fprintf(b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="%s"/>`+"\n", s.x(v), top+panelHead-14, s.x(v), bottom, colour)
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle" fill="#666666">%g</text>`+"\n", s.x(v), top+panelHead-18, v)
	}
	for i, line := range p.bars {
		line.draw(b, s, top+panelHead+lineHeight*i)
	}
}

func (line *bar) draw(b *strings.Builder, s scale, top int) {
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", labelWidth-8, top+12, html.EscapeString(line.label))
	fmt.Fprintf(b, `<text x="%d" y="%d" fill="#444444">%s</text>`+"\n", chartWidth-textWidth+8, top+12, html.EscapeString(line.text))
	rectangle := func(v float64, y int, colour, title string) {
		if v <= 0 {
			return
		}
		left, right := min(s.x(1), s.x(v)), max(s.x(1), s.x(v))
		fmt.Fprintf(b, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"><title>%s</title></rect>`+"\n",
			left, y, max(right-left, 1), barHeight, colour, html.EscapeString(title))
	}
	rectangle(line.quoll, top, quollColour, line.quollText)
	rectangle(line.etcd, top+barHeight+1, etcdColour, line.etcdText)
	for _, mark := range []float64{line.goal, line.stretch} {
		if mark > 0 {
			fmt.Fprintf(b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="%s" stroke-width="2"/>`+"\n",
				s.x(mark), top-3, s.x(mark), top+2*barHeight+3, goalColour)
		}
	}
}
